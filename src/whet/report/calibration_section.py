"""How far the probabilities of a model can be taken at their word."""

from __future__ import annotations

from typing import Any

from whet.report import numbers
from whet.report.calibration import bins, mean_gap, tempered
from whet.report.charts import reliability as draw_reliability
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Table, plain

DECISIONS = {
    "classes": "one decision a row",
    "spans": "the entities that were said",
    "answers": "one answer a question",
}
"""What carries a confidence, per kind of predictions."""


def calibration(run: RunFiles) -> Section:
    """Reliability before and after the temperature."""
    from whet.data.predictions import ClassPredictions

    model, scores = run.shown_model, run.scores or {}
    temperature = (scores.get("temperature_in_model") or {}).get(model)
    before: list[dict[str, float]] = (scores.get("reliability") or {}).get(model) or []
    after: list[dict[str, float]] = []
    predictions = run.predictions(model, ClassPredictions) if run.kind == "classes" else None
    if predictions is not None and predictions.gold is not None and len(predictions):
        before = bins(predictions, predictions.scores)
        if numbers.is_number(temperature) and temperature > 0:  # the saved probabilities have it already
            untempered = tempered(predictions.scores, 1 / float(temperature), predictions.multi_label)
            before, after = bins(predictions, untempered), before
    if not before:
        return Section("calibration", "Calibration", absent="No reliability was saved.")
    what = DECISIONS.get(run.kind, "decisions")
    gaps = {"as trained": mean_gap(before), "after temperature": mean_gap(after) if after else None}
    spoken = "; ".join(f"{name}: mean gap {numbers.percent(gap)}" for name, gap in gaps.items() if gap is not None)
    alternative = f"Accuracy against confidence of {model} in bins of equal size ({what}). {spoken}."
    caption = f"{model}: confidence against accuracy in bins of equal size ({what}). On the dotted diagonal, a "
    caption += "probability means what it says; below it the model is too sure."
    charts = {"any": lambda: draw_reliability(before, after)}
    picture = Picture(caption, alternative, _bins_table(before, after), drawn("calibration", alternative, charts))
    content = {"model": model, "picture": picture, "temperature": numbers.decimal(temperature, 2), "gaps": _gaps(gaps)}
    return Section("calibration", "Calibration", content)


def _gaps(gaps: dict[str, float | None]) -> list[tuple[str, str]]:
    return [(name, numbers.percent(gap)) for name, gap in gaps.items() if gap is not None]


def _bins_table(before: list[dict[str, float]], after: list[dict[str, float]]) -> Table:
    rows: list[list[Any]] = []
    for name, found in (("As trained", before), ("After temperature", after)):
        for index, one in enumerate(found, 1):
            edges = numbers.interval(one.get("low"), one.get("high"), "accuracy")
            shown = [numbers.percent(one["confidence"]), numbers.percent(one["accuracy"]), numbers.count(one["count"])]
            rows.append([f"{name}, bin {index}", edges, *shown])
    titles = ["Bin", "From, to (percent)", "Mean confidence", "Accuracy", "Decisions"]
    return plain("The numbers of the picture", titles, rows)
