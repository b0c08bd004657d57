"""All models on the same rows: the picture, the complete table, the paired comparisons."""

from __future__ import annotations

from typing import Any

from whet.report import kinds, numbers
from whet.report.charts import comparison as draw_comparison
from whet.report.charts import split_scale
from whet.report.numbers import measured, plural
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.score_tables import (
    comparisons_table,
    costs_table,
    heading,
    metric_names,
    models_table,
    ranked,
    same_everywhere,
)
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, words


def comparison(run: RunFiles) -> Section:
    """All models on the same rows: picture, complete table, paired comparisons."""
    scores = run.scores
    if not scores or not scores.get("models"):
        return Section("comparison", "Comparison", absent="Nothing was scored: the run has not come that far.")
    told = run.verdict or {}
    primary = str(scores.get("primary", "accuracy"))
    split, num_rows = scores.get("split", "test"), scores.get("num_rows")
    notes, marked = _notes(told), told.get("ship")
    kind = kinds.words(run.kind)
    caption = f"All models on the same {plural(num_rows, kind.row, kind.rows)} of {split}, best first"
    content: dict[str, Any] = {
        "picture": _picture(scores, told, primary),
        "table": models_table(caption, scores["models"], primary, notes, marked),
        "micro_is_accuracy": same_everywhere(scores["models"]),
        "meanings": [(heading(name), numbers.metric(name).meaning) for name in metric_names(scores["models"], primary)],
        "costs": None,
        "comparisons": None,
        "without_leaks": None,
        "leaked": "",
        "rows": kind.rows,
        "groups": _groups(scores, kind),
        "paired": kind.compared,
        "validation": None,
        "beside": None,
    }
    if told.get("comparisons"):
        content["comparisons"] = comparisons_table(
            f"Paired comparisons, {kind.row} by {kind.row}", told["comparisons"], kind.rows
        )
        content["margin"] = numbers.amount(told.get("margin"), str(told.get("metric") or primary))
        content["alpha"] = numbers.decimal(told.get("alpha"), 2) if told.get("alpha") is not None else ""
    if told.get("beside"):
        content["beside"] = comparisons_table(
            "Compared by another metric, outside the verdict", told["beside"], kind.rows
        )
        content["judged_by"] = numbers.spoken(str(told.get("metric") or primary))
    if told.get("costs"):
        order = ranked(scores["models"], primary)
        content["costs"] = costs_table("Cost of every model, in the same order", told["costs"], order)
    clean = scores.get("without_leaks")
    if clean and clean.get("models"):
        left = plural(clean.get("num_rows"), kind.row, kind.rows)
        content["without_leaks"] = models_table(f"Without leaked rows: {left}", clean["models"], primary, notes, marked)
        if numbers.is_number(num_rows) and numbers.is_number(clean.get("num_rows")):
            content["leaked"] = plural(num_rows - clean["num_rows"], kind.row, kind.rows)
    if scores.get("validation"):
        content["validation"] = models_table(
            "The same models on validation", scores["validation"], primary, notes, marked
        )
    return Section("comparison", "Comparison", content)


def _groups(scores: dict[str, Any], kind: kinds.Kind) -> str:
    """A sentence where rows come in groups, else ""."""
    if not numbers.is_number(scores.get("num_groups")):
        return ""
    groups = plural(scores["num_groups"], "group")
    return f"The {kind.rows} come in {groups} (documents, customers); intervals and tests draw whole groups."


def _notes(told: dict[str, Any]) -> dict[str, str]:
    notes: dict[str, str] = {}
    if told.get("best_baseline"):
        notes[str(told["best_baseline"])] = "best baseline"
    if told.get("ship"):
        shipped, role = str(told["ship"]), "until decided" if told.get("code") == "cannot_tell" else "ships"
        notes[shipped] = f"{role}, {notes[shipped]}" if shipped in notes else role
    return notes


def _picture(scores: dict[str, Any], told: dict[str, Any], primary: str) -> Picture | None:
    models = scores["models"]
    factor = 100 if numbers.metric(primary).share else 1
    rows: list[dict[str, Any]] = []
    for model in ranked(models, primary):
        value, low, high = measured(models[model].get(primary))
        if value is not None:
            low, high = (value if low is None else low), (value if high is None else high)
            row = {"value": value * factor, "low": low * factor, "high": high * factor}
            written = {
                f"{key}_shown": numbers.decimal(amount, 1) if factor == 100 else numbers.figure(amount)
                for key, amount in row.items()
            }
            rows.append({"model": model, "ships": model == told.get("ship")} | row | written)
    if not rows:
        return None
    title = numbers.metric(primary).title + (", percent" if factor == 100 else "")
    reference = next((row["value"] for row in rows if row["model"] == told.get("best_baseline")), None)
    spoken = "; ".join(f"{one['model']} {one['value_shown']} ({_ends(one)})" for one in rows)
    alternative = f"{title} with 95 % intervals, best first: {spoken}."
    legend = ["Dots are scores, lines their 95 % intervals."]
    if any(row["ships"] for row in rows):
        undecided = told.get("code") == "cannot_tell"
        legend.append(f"The filled dot is the model to {'use until more rows decide' if undecided else 'ship'}.")
    if reference is not None:
        legend.append("The dashed line is the best baseline.")
    less = not numbers.metric(primary).higher_is_better
    if split_scale(rows, factor, less)[1]:
        legend.append("◂ lies off the scale to the left.")
    charts = {
        "wide": lambda: draw_comparison(rows, title, reference, 560, factor, less),
        "narrow": lambda: draw_comparison(rows, title, reference, 220, factor, less),
    }
    return Picture(" ".join(legend), alternative, _data(rows, title), drawn("comparison", alternative, charts))


def _ends(row: dict[str, Any]) -> str:
    return f"{row['low_shown']} to {row['high_shown']}"


def _data(rows: list[dict[str, Any]], title: str) -> Table:
    columns = [Column("Model"), Column(title, True), Column("Lower end", True), Column("Upper end", True)]
    table = [
        Row([words(row["model"]), *(number(row[key], row[f"{key}_shown"]) for key in ("value", "low", "high"))])
        for row in rows
    ]
    return Table("The numbers of the picture", columns, table)
