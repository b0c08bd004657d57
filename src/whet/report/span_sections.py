"""A closer look at one model that finds entities: its types, its kinds of errors, the texts themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whet.report import numbers
from whet.report.charts import heat_map
from whet.report.confusions import DRAWN_UP_TO, confused_pairs
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.score_tables import classes_table, matrix_table, pairs_table, weakest
from whet.report.section import Section
from whet.report.span_errors import ERRORS, Event, events, taken_for
from whet.report.span_examples import LEGEND, SIGNS, WORDS, groups
from whet.report.tables import Column, Row, Table, number, words

if TYPE_CHECKING:
    from whet.data.predictions import SpanPredictions

FOLDED_FROM = 30
"""Types: a longer table starts folded, with the weakest shown above."""
NUM_WEAKEST = 10
NUM_FORMS = 15
NOT_AN_ENTITY = "no entity"


def types(run: RunFiles) -> Section:
    """Every type of the shown model, and entities that training knew against those it did not."""
    found, model = run.details.get("per_type"), run.shown_model
    if not found:
        return Section("types", "Types of entities", absent="No scores per type were saved.")
    in_train = ((run.audit or {}).get("splits") or {}).get("train", {}).get("labels") or {}
    many = len(found) > FOLDED_FROM
    worst = weakest(found, NUM_WEAKEST)
    kind = "spans"
    content = {
        "table": classes_table(f"All {numbers.count(len(found))} types of {model}", found, in_train, kind),
        "weakest": classes_table(f"The {len(worst)} weakest types of {model}", worst, in_train, kind) if many else None,
        "seen": _seen(run.details.get("seen") or {}, model),
    }
    return Section("types", "Types of entities", content)


def _seen(found: dict[str, Any], model: str | None) -> Table | None:
    names = {"seen": "Seen in training", "unseen": "Never seen in training"}
    rows = []
    for key, name in names.items():
        one = found.get(key) or {}
        interval = numbers.interval(one.get("low"), one.get("high"), "accuracy")
        if one.get("support"):
            shown = number(one.get("recall"), numbers.percent(one.get("recall")), interval)
            rows.append(Row([words(name), number(one["support"], numbers.count(one["support"])), shown]))
    columns = [
        Column("Entity"),
        Column("Test entities", True),
        Column("Found", True, "Share said with right borders and type, with its 95 % interval."),
    ]
    return (
        Table(f"Entities of {model} that stood in training with this type, and others", columns, rows) if rows else None
    )


def _events(run: RunFiles) -> tuple[SpanPredictions, list[Event]] | str:
    """The saved entities of the shown model against the truth, or why there are none."""
    from whet.data.predictions import SpanPredictions

    predictions = run.judged(SpanPredictions)
    if isinstance(predictions, str):
        return predictions
    key = ("events", run.shown_model)
    if key not in run.loaded:
        run.loaded[key] = list(events(predictions))
    return predictions, run.loaded[key]


def errors(run: RunFiles) -> Section:
    """How many entities are missed, invented, of the wrong type or cut wrongly, and which are missed most."""
    made = _events(run)
    if isinstance(made, str):
        return Section("errors", "Kinds of errors", absent=made)
    predictions, found = made
    right = sum(one.outcome == "right" for one in found)
    num_true, num_said = len(predictions.gold.starts) if predictions.gold else 0, len(predictions.said.starts)
    rows = []
    for outcome in ERRORS:
        times = sum(one.outcome == outcome for one in found)
        total, whole = (num_said, "said") if outcome == "spurious" else (num_true, "true")
        share = times / total if total else None
        shown = number(share, numbers.percent(share), f"of the {whole}")
        rows.append(Row([words(f"{SIGNS[outcome]} {WORDS[outcome][0]}"), number(times, numbers.count(times)), shown]))
        rows[-1].cells.append(words(WORDS[outcome][1]))
    columns = [Column("Error"), Column("Entities", True), Column("Share", True), Column("What it means", prose=True)]
    content = {
        "model": run.shown_model,
        "right": numbers.count(right),
        "true": numbers.plural(num_true, "true entity", "true entities"),
        "said": numbers.count(num_said),
        "table": Table("Errors, each entity counted once", columns, rows),
        "forms": _missed_forms(run, predictions, found),
    }
    return Section("errors", "Kinds of errors", content)


def _missed_forms(run: RunFiles, predictions: SpanPredictions, found: list[Event]) -> Table | None:
    """The surface forms that are missed most: (form, type), how often missed and how often there."""
    missed_rows = {one.row for one in found if one.outcome == "missed"}
    texts = (
        run.sources(predictions, {one.row for one in found if one.true is not None}, ["text"]) if missed_rows else {}
    )
    there: dict[tuple[str, int], list[Event]] = {}
    for one in found:
        if one.true is not None and one.row in texts:
            form = " ".join(str(texts[one.row]["text"])[one.true[0] : one.true[1]].split())
            there.setdefault((form, one.true[2]), []).append(one)
    counts = {key: sum(one.outcome == "missed" for one in some) for key, some in there.items()}
    order = sorted((key for key in there if counts[key]), key=lambda key: (-counts[key], -len(there[key]), key))
    rows = []
    for form, kind in order[:NUM_FORMS]:
        some = there[form, kind]
        seen = {True: "yes", False: "no", None: numbers.ABSENT}[some[0].seen]
        missed = number(counts[form, kind], numbers.count(counts[form, kind]))
        name = form if len(form) <= 60 else form[:60].rstrip() + " …"
        total = number(len(some), numbers.count(len(some)))
        rows.append(Row([words(name), words(predictions.labels[kind]), missed, total, words(seen)]))
    if not rows:
        return None
    columns = [
        Column("Form"),
        Column("Type"),
        Column("Missed", True),
        Column("Occurs", True),
        Column("Seen in training"),
    ]
    more = f"The {len(rows)} of {numbers.count(len(order))} missed forms that are missed most"
    return Table(more if len(order) > len(rows) else "Missed forms", columns, rows, sortable=True)


def confusion(run: RunFiles) -> Section:
    """Which types are taken for which, for none, or invented."""
    made = _events(run)
    if isinstance(made, str):
        return Section("confusion", "Confusion of types", absent=made)
    predictions, found = made
    model, nothing = run.shown_model, NOT_AN_ENTITY
    while nothing in predictions.labels:
        nothing = f"({nothing})"
    labels, matrix = [*predictions.labels, nothing], taken_for(found, len(predictions.labels))
    mixed = [pair for pair in confused_pairs(labels, matrix) if nothing not in pair[:2]]
    picture = None
    if len(labels) <= DRAWN_UP_TO:
        spoken = "; ".join(f"{truth} taken for {said} {times} times" for truth, said, times, _ in mixed[:5])
        alternative = (
            f"Types of entities of {model}: rows are the truth, columns what was said; “{nothing}” stands for "
        )
        alternative += f"missed and invented ones. {f'Most frequent mix-ups: {spoken}' if spoken else 'No mix-up'}."
        caption = f"{model}: number of entities by true and said type, whatever their borders. The column “{nothing}” "
        caption += "holds those that were missed, the row those that were invented."
        data = matrix_table("The numbers of the picture", labels, matrix)
        charts = {"any": lambda: heat_map(labels, matrix)}
        picture = Picture(caption, alternative, data, drawn("confusion", alternative, charts))
    title = f"The {numbers.plural(len(mixed), 'most frequent mix-up')} of types of {model}"
    content = {
        "picture": picture,
        "pairs": pairs_table(title, mixed, "Entities") if mixed else None,
        "none": "No type was taken for another.",
    }
    return Section("confusion", "Confusion of types", content)


def spans(run: RunFiles) -> Section:
    """Texts with what was said and what is true, by kind of error."""
    made = _events(run)
    if isinstance(made, str):
        return Section("spans", "Entities in their texts", absent=made)
    predictions, found = made
    if not found:
        return Section("spans", "Entities in their texts", absent="There are no entities, neither true nor said.")
    shown = groups(run, predictions, found)
    if not shown:
        return Section("spans", "Entities in their texts", absent="The texts are not in this run folder.")
    return Section("spans", "Entities in their texts", {"model": run.shown_model, "legend": LEGEND, "groups": shown})
