"""What happened while the models trained: curves, findings, time per stage."""

from __future__ import annotations

from typing import Any

from whet.report import numbers
from whet.report.charts import curves as draw_curves
from whet.report.curves import Curves, averaged, learning_curves
from whet.report.noted import noted
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Table, plain

LOSS = {"values": "Loss", "ranks": "Loss"}
"""What the curve of the loss is called; nats where it is a negative log probability."""
MANY_POINTS = 60
"""Rows of a data table; longer curves are thinned out, the first and last point stay."""


def training(run: RunFiles) -> Section:
    """Learning curves of every fine-tuned model, and what was noted on the way."""
    found = learning_curves(run.events)
    told = noted(run.findings or [], "EW")
    stages = _stages(run)
    if not found and not told and stages is None:
        return Section("training", "Training", absent="No training was recorded for this run.")
    content: dict[str, Any] = {
        "models": [
            (one.model, _summary(one), _pictures(one, f"curves-{index}", run.kind)) for index, one in enumerate(found)
        ],
        "findings": told,
        "stages": stages,
    }
    return Section("training", "Training", content)


def _summary(curves: Curves) -> str:
    last = max(
        [points[-1][0] for points in curves.measures.values() if points] + [step for step, _ in curves.step_loss]
    )
    steps = numbers.plural(last, "step")
    if curves.best_step is None:
        return f"{steps}; no state was marked as the best."
    return f"{steps}; the best state on validation is that of step {numbers.count(curves.best_step)}."


def _pictures(curves: Curves, name: str, kind: str) -> list[Picture]:
    measures = curves.measures
    loss = {"Validation": measures.get("loss", []), "Train": measures.get("train_loss", [])}
    pictures = [_picture(curves, loss, LOSS.get(kind, "Loss, nats"), f"{name}-loss", curves.step_loss)]
    if curves.score is not None:
        right = {"Validation": measures[curves.score], "Train": measures.get(f"train_{curves.score}", [])}
        known = numbers.metric(curves.score)
        title = known.title[:1].upper() + known.title[1:] if curves.score not in numbers.METRICS else known.title
        pictures.append(_picture(curves, right, f"{title}, percent" if known.share else title, f"{name}-share", []))
    return [picture for picture in pictures if picture]


def _picture(
    curves: Curves, series: dict[str, list[tuple[int, float]]], title: str, name: str, steps: list[tuple[int, float]]
) -> Picture | None:
    series = {key: points for key, points in series.items() if points}
    if not series and len(steps) < 2:
        return None
    percent = title.endswith("percent")
    parts = [
        f"{key} from {_shown(points[0][1], percent)} to {_shown(points[-1][1], percent)}"
        for key, points in series.items()
    ]
    if not series:
        parts = [f"training batches from {steps[0][1]:.3f} to {steps[-1][1]:.3f}"]
    best = f" Best state at step {curves.best_step}." if curves.best_step is not None else ""
    alternative = f"{title} of {curves.model} over the steps: {'; '.join(parts)}.{best}"
    caption = f"{title.split(',')[0]} of {curves.model}."
    if curves.best_step is not None:
        caption += " The dotted line marks the best state."
    if steps:
        caption += " The faint line is the loss of the batches."
    chart = {"any": lambda: draw_curves(series, averaged(steps), title, curves.best_step, percent)}
    return Picture(caption, alternative, _data(series, steps, percent), drawn(name, alternative, chart))


def _data(series: dict[str, list[tuple[int, float]]], steps: list[tuple[int, float]], percent: bool) -> Table:
    columns = dict(series) or {"Batches": averaged(steps, MANY_POINTS)}
    at: dict[int, dict[str, float]] = {}
    for name, points in columns.items():
        for step, value in points:
            at.setdefault(step, {})[name] = value
    ordered = sorted(at)
    if len(ordered) > MANY_POINTS:
        every = -(-len(ordered) // MANY_POINTS)
        ordered = [step for index, step in enumerate(ordered) if index % every == 0 or step == ordered[-1]]
    rows = [[numbers.count(step)] + [_shown(at[step].get(name), percent) for name in columns] for step in ordered]
    return plain("The numbers of the picture", ["Step", *columns], rows)


def _shown(value: float | None, percent: bool) -> str:
    return numbers.percent(value) if percent else numbers.decimal(value)


def _stages(run: RunFiles) -> Table | None:
    """Seconds per stage; a stage that was done again after a resume is counted together."""
    spent: dict[str, float] = {}
    for event in run.events:
        if event.get("kind") == "stage" and event.get("state") == "finished":
            taken = event.get("seconds_taken")
            if numbers.is_number(taken):
                spent[str(event.get("stage"))] = spent.get(str(event.get("stage")), 0.0) + float(taken)
    if not spent:
        return None
    rows = [[stage, numbers.seconds(taken)] for stage, taken in spent.items()]
    return plain("Time per stage", ["Stage", "Time"], rows)
