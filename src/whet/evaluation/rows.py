"""Which rows a prediction speaks of: checked, put in one order, and proven equal between models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


def checked(predictions: Predictions) -> Predictions:
    """The same predictions in the order of their ids, so that no number depends on the order of the file.

    :raises UserError: V103 no rows, V104 no truth, V105 a probability that is no number or not in 0..1,
        V106 an id that occurs twice.
    """
    where = f"predictions of {predictions.model} on {predictions.split}"
    if len(predictions) == 0:
        raise UserError(Problem("V103", where, "hold no rows.", "Give at least one labelled row."))
    if predictions.gold is None:
        raise UserError(Problem("V104", where, "hold no true labels.", "Evaluate on data with a label column."))
    inside = (predictions.scores >= -1e-6) & (predictions.scores <= 1 + 1e-6)  # false for NaN too
    if not inside.all():
        count = int((~inside.all(axis=1)).sum())
        raise UserError(
            Problem("V105", where, f"{count:,} rows hold probabilities that are not numbers in 0..1.", "Predict anew.")
        )
    order = np.argsort(predictions.ids, kind="stable")
    ids = predictions.ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise UserError(Problem("V106", where, "the same id stands in more than one row.", "Predict anew."))
    return take(predictions, order)


def take(predictions: Predictions, rows: NDArray[Any]) -> Predictions:
    """The rows at ``rows`` (positions or a mask), in that order."""
    return replace(
        predictions,
        ids=predictions.ids[rows],
        hashes=predictions.hashes[rows],
        gold=None if predictions.gold is None else predictions.gold[rows],
        scores=predictions.scores[rows],
    )


def without(predictions: Predictions, ids: Iterable[int]) -> Predictions:
    """All rows but those with the given ids."""
    dropped = np.fromiter((int(number) for number in ids), dtype=np.int64)
    return take(predictions, ~np.isin(predictions.ids, dropped))


def truth(predictions: Predictions) -> NDArray[Any]:
    """The true labels; the caller has been through :func:`checked`."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def same_rows(first: Predictions, second: Predictions) -> tuple[Predictions, Predictions]:
    """Both in one order of rows and of labels, after proof that they speak of the same rows.

    :raises UserError: V101 other rows (ids or hashes differ), V102 other labels or another kind of task,
        V107 other truth for the same rows, and what :func:`checked` raises.
    """
    first, second = checked(first), checked(second)
    where = f"{first.model} against {second.model}"
    if set(first.labels) != set(second.labels) or first.multi_label != second.multi_label:
        raise UserError(
            Problem("V102", where, "the two models answer with different labels.", "Compare models of one task.")
        )
    if not (np.array_equal(first.ids, second.ids) and np.array_equal(first.hashes, second.hashes)):
        raise UserError(
            Problem(
                "V101",
                where,
                f"the predictions speak of different rows ({_difference(first, second)}).",
                "Let both models predict the same data, then compare again.",
            )
        )
    second = relabelled(second, first.labels)
    if not np.array_equal(truth(first), truth(second)):
        raise UserError(
            Problem("V107", where, "the same rows carry different true labels.", "Evaluate both on the same data.")
        )
    return first, second


def _difference(first: Predictions, second: Predictions) -> str:
    common = np.intersect1d(first.ids, second.ids)
    if len(common) < max(len(first), len(second)):
        return f"{len(first):,} and {len(second):,} rows, {len(common):,} ids in both"
    return f"{int((first.hashes != second.hashes).sum()):,} of {len(first):,} rows have another text"


def relabelled(predictions: Predictions, labels: tuple[str, ...]) -> Predictions:
    """The same predictions with the columns in the order of ``labels`` (a permutation of their own)."""
    if predictions.labels == labels:
        return predictions
    columns = np.asarray([predictions.labels.index(label) for label in labels])
    gold = truth(predictions)
    position = np.empty(len(labels), dtype=np.int64)
    position[columns] = np.arange(len(labels))
    return replace(
        predictions,
        labels=labels,
        scores=predictions.scores[:, columns],
        gold=gold[:, columns] if predictions.multi_label else position[gold],
        thresholds=None if predictions.thresholds is None else predictions.thresholds[columns],
    )


def ordered_groups(groups: NDArray[Any] | None, predictions: Predictions) -> NDArray[Any] | None:
    """The group of each row, in the order of the ids that :func:`checked` puts rows in.

    :param groups: (n,) names, in the order in which ``predictions`` hold the rows.
    :raises UserError: V108, another number of groups than of rows.
    """
    if groups is None:
        return None
    if len(groups) != len(predictions):
        what = f"{len(groups):,} names of groups for {len(predictions):,} rows."
        raise UserError(Problem("V108", "groups", what, "Give one group a row, in the order of the rows."))
    return np.asarray(groups)[np.argsort(predictions.ids, kind="stable")]
