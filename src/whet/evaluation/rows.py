"""Which rows a prediction speaks of: checked, put in one order, and proven equal between models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation.kinds import kind_of

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

    P = TypeVar("P", bound=Predictions)
else:
    P = TypeVar("P")


def checked(predictions: P) -> P:
    """The same predictions in the order of their ids, so that no number depends on the order of the file.

    :raises UserError: V103 no rows, V104 no truth, V105 a number that is none or out of range, V106 an
        id that occurs twice, V112 spans or passages that cannot be (see ``check`` of each kind).
    """
    where = f"predictions of {predictions.model} on {predictions.split}"
    if len(predictions) == 0:
        raise UserError(Problem("V103", where, "hold no rows.", "Give at least one labelled row."))
    if not predictions.has_gold:
        raise UserError(Problem("V104", where, "hold no true labels.", "Evaluate on data with a label column."))
    if (found := kind_of(predictions).check(predictions)) is not None:
        raise UserError(Problem(found[0], where, found[1], "Predict anew."))
    order = np.argsort(predictions.ids, kind="stable")
    ids = predictions.ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise UserError(Problem("V106", where, "the same id stands in more than one row.", "Predict anew."))
    return predictions.take(order)


def without(predictions: P, ids: Iterable[int]) -> P:
    """All rows but those with the given ids."""
    dropped = np.fromiter((int(number) for number in ids), dtype=np.int64)
    return predictions.take(~np.isin(predictions.ids, dropped))


def same_rows(first: P, second: P) -> tuple[P, P]:
    """Both in one order of rows and of labels, after proof that they speak of the same rows.

    Where only one of them knows the groups of the rows, both do afterwards.

    :raises UserError: V101 other rows (ids or hashes differ), V102 other labels or another kind of task,
        V107 other truth for the same rows, V111 other groups, and what :func:`checked` raises.
    """
    first, second = checked(first), checked(second)
    where = f"{first.model} against {second.model}"
    kind = kind_of(first)
    if first.kind != second.kind or not kind.comparable(first, second):
        raise UserError(Problem("V102", where, *_other_answers(first, second)))
    if not (np.array_equal(first.ids, second.ids) and np.array_equal(first.hashes, second.hashes)):
        raise UserError(
            Problem(
                "V101",
                where,
                f"the predictions speak of different rows ({_difference(first, second)}).",
                "Let both models predict the same data, then compare again.",
            )
        )
    second = kind.aligned(second, first)
    if not kind.same_truth(first, second):
        raise UserError(
            Problem("V107", where, "the same rows carry different true labels.", "Evaluate both on the same data.")
        )
    groups = second.groups if first.groups is None else first.groups
    if groups is not None and second.groups is not None and not np.array_equal(second.groups, groups):
        what = "the same rows belong to different groups."
        raise UserError(Problem("V111", where, what, "Evaluate both on the same data."))
    return replace(first, groups=groups), replace(second, groups=groups)


SHOWN = 5
"""Labels that a message lists."""


def _other_answers(first: Predictions, second: Predictions) -> tuple[str, str]:
    """In what the answers of two models differ by their sort, and what to do."""
    labels = [dict.fromkeys(getattr(one, "labels", ())) for one in (first, second)]
    if first.kind != second.kind or set(labels[0]) == set(labels[1]):
        return "the two models answer in different ways.", "Compare models of one task."
    alone = [[one for one in some if one not in others] for some, others in (labels, labels[::-1])]
    told = [f"only {one.model} has {_listed(some)}" for one, some in zip((first, second), alone, strict=True) if some]
    return f"they answer with different labels: {'; '.join(told)}.", "Compare models of the same labels."


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN:,} more" if len(labels) > SHOWN else ""
    return f"{', '.join(map(repr, labels[:SHOWN]))}{more}"


def _difference(first: Predictions, second: Predictions) -> str:
    common = np.intersect1d(first.ids, second.ids)
    if len(common) < max(len(first), len(second)):
        return f"{len(first):,} and {len(second):,} rows, {len(common):,} ids in both"
    return f"{int((first.hashes != second.hashes).sum()):,} of {len(first):,} rows have another text"


def ordered(names: NDArray[Any] | None, predictions: Predictions) -> NDArray[Any] | None:
    """A name for each row, in the order of the ids that :func:`checked` puts rows in.

    :param names: (n,) in the order in which ``predictions`` hold the rows.
    :raises UserError: V108, another number of names than of rows.
    """
    if names is None:
        return None
    if len(names) != len(predictions):
        what = f"{len(names):,} names of groups for {len(predictions):,} rows."
        raise UserError(Problem("V108", "groups", what, "Give one group a row, in the order of the rows."))
    return np.asarray(names)[np.argsort(predictions.ids, kind="stable")]


def clusters(groups: NDArray[Any] | None, *predictions: Predictions) -> NDArray[Any] | None:
    """What is drawn and swapped as one: the given groups, else those that one of the predictions knows.

    :param groups: (n,) the group of each row, in the order of the first predictions.
    :returns: (n,) in the order of the ids; None where every row stands alone.
    :raises UserError: V108, another number of groups than of rows.
    """
    if groups is not None:
        return ordered(groups, predictions[0])
    return next((ordered(one.groups, one) for one in predictions if one.groups is not None), None)
