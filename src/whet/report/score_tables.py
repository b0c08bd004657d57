"""Tables of scores: all models, the paired comparisons, the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.report import numbers
from whet.report.tables import Cell, Column, Row, Table, number, words

COSTS = {
    "train_seconds": ("Training", numbers.seconds),
    "predict_rows_per_second": ("Rows per second", numbers.count),
    "size_bytes": ("Size", numbers.size),
    "trainable_parameters": ("Trainable parameters", numbers.magnitude),
}
"""Cost columns: heading and way of writing."""

CLASS_WORDS = {
    "classes": (
        "Class",
        "rows",
        "Of the rows given this label, the share that carries it.",
        "Of the rows that carry this label, the share that was given it.",
    ),
    "spans": (
        "Type",
        "entities",
        "Of the entities said to be of this type, the share that is right in borders and type.",
        "Of the true entities of this type, the share said with right borders and type.",
    ),
}
"""What a table of classes or types says in its headings, per kind of predictions."""

Scores = Mapping[str, Mapping[str, Any]]
"""``{model: {metric: {value, low, high}}}`` as it stands in scores.json."""


def models_table(
    caption: str,
    models: Scores,
    primary: str,
    notes: Mapping[str, str] | None = None,
    marked: str | None = None,
) -> Table:
    """Every model with every metric and its interval, best first.

    :param notes: a word under a model's name, such as "ships".
    :param marked: the model whose row stands out.
    """
    names = [name for name in metric_names(models, primary) if not (name == "micro_f1" and same_everywhere(models))]
    columns = [Column("Model")]
    columns += [Column(heading(name), True, numbers.metric(name).meaning) for name in names]
    best = {name: _best(models, name) for name in names}
    rows = []
    for model in ranked(models, primary):
        note = (notes or {}).get(model, "")
        cells = [words(model, note)]
        for name in names:
            value, low, high = numbers.measured(models[model].get(name))
            is_best = value is not None and value == best[name]
            cells.append(number(value, numbers.written(value, name), numbers.interval(low, high, name), strong=is_best))
        rows.append(Row(cells, marked=model == marked))
    return Table(caption, columns, rows, sortable=len(rows) > 2)


def costs_table(caption: str, costs: Mapping[str, Mapping[str, Any]], order: list[str]) -> Table:
    """What every model costs, in the order of ``order``; models without a record come last."""
    names = [name for name in COSTS if any(name in cost for cost in costs.values())]
    columns = [Column("Model")] + [Column(COSTS[name][0], True) for name in names]
    models = [model for model in order if model in costs] + sorted(set(costs) - set(order))
    rows = [
        Row([words(model), *(number(costs[model].get(name), COSTS[name][1](costs[model].get(name))) for name in names)])
        for model in models
    ]
    return Table(caption, columns, rows, sortable=len(rows) > 2)


def metric_names(models: Scores, primary: str = "") -> list[str]:
    """The metrics that occur: the primary one, then the known ones in their usual order, then others."""
    found = {name for scores in models.values() for name in scores}
    names = [name for name in numbers.METRICS if name in found] + sorted(found - set(numbers.METRICS))
    return sorted(names, key=lambda name: name != primary)


def same_everywhere(models: Scores) -> bool:
    """Whether micro F1 equals accuracy for every model, as it does where every row has exactly one label."""
    pairs = [
        (numbers.measured(scores.get("micro_f1"))[0], numbers.measured(scores.get("accuracy"))[0])
        for scores in models.values()
    ]
    return all(micro is not None and micro == accuracy for micro, accuracy in pairs)


def heading(name: str) -> str:
    """The heading of a metric's column; an arrow says when less is better."""
    known = numbers.metric(name)
    return known.title if known.higher_is_better else f"{known.title}{numbers.GAP}↓"


def ranked(models: Scores, metric_name: str) -> list[str]:
    """Names of the models, best first; models without the metric last."""
    sign = 1 if numbers.metric(metric_name).higher_is_better else -1

    def rank(model: str) -> tuple[bool, float, str]:
        value = numbers.measured(models[model].get(metric_name))[0]
        return (value is None, -sign * (value or 0.0), model)

    return sorted(models, key=rank)


def _best(models: Scores, metric_name: str) -> float | None:
    values = [numbers.measured(scores.get(metric_name))[0] for scores in models.values()]
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:  # alone, or all equal: nothing to point out
        return None
    return max(known) if numbers.metric(metric_name).higher_is_better else min(known)


def comparisons_table(caption: str, comparisons: list[dict[str, Any]], rows_word: str = "rows") -> Table:
    """The paired comparisons on the same rows.

    :param rows_word: what the rows are: "rows", "questions".
    """
    columns = [
        Column("Candidate"),
        Column("Against"),
        Column("Difference", True, f"Candidate minus the other, on the same {rows_word}; shares in percentage points."),
        Column("p", True, "How often a difference this large would appear if the two were equally good."),
        Column("p, Holm", True, "The same after correcting for the number of comparisons."),
        Column("Won", True, f"{rows_word.capitalize()} that the candidate decides better."),
        Column("Lost", True, f"{rows_word.capitalize()} that the other decides better."),
        Column("Test"),
    ]
    rows = []
    for one in comparisons:
        name = str(one.get("metric", "accuracy"))
        gap = one.get("difference")
        rows.append(
            Row(
                [
                    words(one.get("candidate", numbers.ABSENT)),
                    words(one.get("against", numbers.ABSENT), heading(name)),
                    number(gap, numbers.difference(gap, name), numbers.interval(one.get("low"), one.get("high"), name)),
                    number(one.get("p"), numbers.probability(one.get("p"))),
                    number(one.get("p_holm"), numbers.probability(one.get("p_holm"))),
                    number(one.get("won"), numbers.count(one.get("won"))),
                    number(one.get("lost"), numbers.count(one.get("lost"))),
                    words(one.get("test", "")),
                ]
            )
        )
    return Table(caption, columns, rows)


def classes_table(
    caption: str, classes: list[dict[str, Any]], train_counts: Mapping[str, int], kind: str = "classes"
) -> Table:
    """Support, precision, recall with its interval, and F1 of every class, or type of entity."""
    name, counted, precision, recall = CLASS_WORDS[kind]
    columns = [Column(name)]
    if train_counts:
        columns.append(Column(f"Train {counted}", True))
    columns += [
        Column(f"Test {counted}", True),
        Column("Precision", True, precision),
        Column("Recall", True, recall),
        Column("Recall, 95 % interval", True, "In percent."),
        Column("F1", True, "Harmonic mean of precision and recall."),
    ]
    rows = []
    for one in classes:
        cells = [words(one["label"])]
        if train_counts:
            rows_in_train = train_counts.get(one["label"])
            cells.append(number(rows_in_train, numbers.count(rows_in_train)))
        if one.get("support") == 0:  # nothing to find: a recall of it says nothing
            one = {key: value for key, value in one.items() if key not in ("recall", "low", "high", "f1")}
        interval = numbers.interval(one.get("low"), one.get("high"), "accuracy")
        cells += [
            number(one.get("support"), numbers.count(one.get("support"))),
            number(one.get("precision"), numbers.percent(one.get("precision"))),
            number(one.get("recall"), numbers.percent(one.get("recall"))),
            number(one.get("low"), interval or numbers.ABSENT),
            number(one.get("f1"), numbers.percent(one.get("f1"))),
        ]
        rows.append(Row(cells))
    return Table(caption, columns, rows, sortable=True)


def weakest(classes: list[dict[str, Any]], at_most: int) -> list[dict[str, Any]]:
    """The classes with the lowest F1, worst first; classes that do not occur in the split are left out."""
    occurring = [one for one in classes if one.get("support") and numbers.is_number(one.get("f1"))]
    return sorted(occurring, key=lambda one: (one["f1"], str(one["label"])))[:at_most]


def pairs_table(caption: str, pairs: list[tuple[str, str, int, float]], counted: str = "Rows") -> Table:
    """Confused pairs: truth, prediction, how often, and as a share of the truth's rows or entities."""
    columns = [Column("Truth"), Column("Predicted"), Column(counted, True), Column("Share of the truth", True)]
    rows = [
        Row(
            [words(truth), words(predicted), number(times, numbers.count(times)), number(share, numbers.percent(share))]
        )
        for truth, predicted, times, share in pairs
    ]
    return Table(caption, columns, rows, sortable=True)


def matrix_table(caption: str, labels: list[str], matrix: list[list[int]]) -> Table:
    """The confusion matrix in numbers: a row per true class, a column per predicted class."""
    columns = [Column("Truth")] + [Column(label, True) for label in labels]
    rows = [
        Row([words(label)] + [Cell(numbers.count(value)) for value in counts])
        for label, counts in zip(labels, matrix, strict=True)
    ]
    return Table(caption, columns, rows, shape="matrix")
