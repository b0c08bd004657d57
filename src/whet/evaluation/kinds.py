"""How each kind of predictions is measured: one file a kind, all with the functions of :class:`Kind`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whet.evaluation import answers, classes, preferences, ranks, spans, texts, values
from whet.evaluation.measures import MEASURES
from whet.evaluation.sums import Floats, Sums

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Decisions = tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]


class Kind(Protocol):
    """What a file of a kind offers; ``predictions`` have been through :func:`whet.evaluation.rows.checked`."""

    def metrics(self, predictions: Any) -> tuple[str, ...]:
        """Names in the order in which they are shown; only those that these rows can speak of."""

    def primary(self, predictions: Any) -> str:
        """The metric that the verdict is about."""

    def check(self, predictions: Any) -> tuple[str, str] | None:
        """Code and words of what makes unchecked predictions unusable; None where nothing does."""

    def comparable(self, first: Any, second: Any) -> bool:
        """Whether two models answer with the same labels and in the same way."""

    def aligned(self, predictions: Any, like: Any) -> Any:
        """The same predictions with their labels in the order of another comparable model's."""

    def same_truth(self, first: Any, second: Any) -> bool:
        """Whether two models on the same rows, labels aligned, have the same truth."""

    def sums(self, predictions: Any, *, soft: bool = True) -> Sums:
        """The per-row contributions. Without ``soft`` no losses: then rows decided alike contribute alike."""

    def points(self, predictions: Any) -> dict[str, float]:
        """Point values of metrics by a library that has them; the others are taken from the sums."""

    def population(self, predictions: Any, metric: str) -> NDArray[np.bool_] | None:
        """(n,) the rows that a metric speaks of; None for all."""

    def decisions(self, predictions: Any) -> Decisions | None:
        """(k,) confidence of each decision, (k,) whether it is right, (k,) its row; None without probabilities."""

    def right(self, predictions: Any, part: str | None = None) -> NDArray[np.bool_] | None:
        """(n,) whether a row, or what of it belongs to one of ``slices``, is right; None where nothing is."""

    def mistakes(self, predictions: Any, metric: str | None = None) -> Floats:
        """(n,) how wrong a row is, to say of two models which one decides it better.

        ``metric`` is the one that they are compared by, for kinds whose metrics look at different things.
        """

    def slices(self, predictions: Any) -> dict[str, NDArray[np.bool_]]:
        """(n,) rows of each part of the data that may be weak by itself, by name; none empty."""

    def details(self, predictions: Any) -> dict[str, Any]:
        """What scores.json holds of a model beside its metrics."""


KINDS: dict[str, Kind] = {
    "classes": classes,
    "spans": spans,
    "answers": answers,
    "values": values,
    "ranks": ranks,
    "texts": texts,
    "preferences": preferences,
}
SHARED: dict[str, Callable[[Any, Any], tuple[str, ...]]] = {"texts": texts.shared}
"""Kinds whose models need not all be measurable by the same metrics -> those that two of them share."""
RIGHT_BY: dict[str, Callable[[Any, str], NDArray[np.bool_] | None]] = {"texts": texts.right_by}
"""Kinds whose shares do not all count the same rows as right -> which are, by a metric."""


def kind_of(predictions: Predictions) -> Kind:
    """The functions for these predictions."""
    return KINDS[predictions.kind]


def shared_metrics(first: Predictions, second: Predictions) -> tuple[str, ...]:
    """The metrics by which two comparable models can be compared, in the order in which they are shown."""
    return SHARED.get(first.kind, lambda one, _: kind_of(one).metrics(one))(first, second)


def primary_of(models: Sequence[Predictions], baselines: Collection[str] = ()) -> str:
    """The metric that a verdict on these models is about, comparable as they are and on the same rows.

    The primary one of the kind; where that cannot measure every candidate and one baseline at least, the
    first in the order of showing that can. Without baselines every model counts as a candidate.
    """
    candidates = [one for one in models if one.model not in baselines] or list(models)
    rivals = [one for one in models if one.model in baselines]
    first = candidates[0]
    names = dict.fromkeys([kind_of(first).primary(first), *kind_of(first).metrics(first)])
    for name in names:
        if not all(name in shared_metrics(first, one) for one in candidates):
            continue
        if not rivals or any(name in shared_metrics(first, one) for one in rivals):
            return name
    return next(iter(names))


def sums(predictions: Predictions, *, soft: bool = True) -> Sums:
    """The per-row contributions of a model."""
    return kind_of(predictions).sums(predictions, soft=soft)


def values_of(predictions: Predictions) -> dict[str, float]:
    """The point value of every metric that is shown, ECE aside."""
    kind = kind_of(predictions)
    names = kind.metrics(predictions)
    part = kind.sums(predictions)
    found = {name: float(value[0]) for name, value in part.metrics(names, part.total).items()}
    return found | kind.points(predictions)


def right_by(predictions: Predictions, metric: str | None = None) -> NDArray[np.bool_] | None:
    """(n,) whether each row is right, in the sense of ``metric`` where it is a share; None where nothing is right."""
    way = RIGHT_BY.get(predictions.kind)
    return kind_of(predictions).right(predictions) if way is None or metric is None else way(predictions, metric)


def is_share(predictions: Predictions, metric: str) -> bool:
    """Whether the metric is the share of rows that are right, among those it speaks of.

    With a single label a row, micro F1 is accuracy.
    """
    if metric == "micro_f1" and predictions.kind == "classes":
        return not getattr(predictions, "multi_label", True)
    return MEASURES[metric].proportion


def is_share_of_all(predictions: Predictions, metric: str) -> bool:
    """Whether the metric is the share of all rows that are right: then paired methods for shares hold."""
    return is_share(predictions, metric) and kind_of(predictions).population(predictions, metric) is None
