"""Passages in order: how high the relevant ones stand, query by query, averaged over queries.

As in TREC: the gain of a passage is its relevance as it is, discounted by log2(rank + 1), and the best
possible order is taken over all judged passages. Relevant is what has a relevance above 0; recall and
average precision divide by all relevant passages of a query. A query without one counts 0 everywhere,
and ``details`` says how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, mean_of

if TYPE_CHECKING:
    from whet.data.predictions import Lists, RankPredictions

METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_1", "recall_at_10", "map_at_100")
DEEPEST = 100
"""Ranks that are looked at."""


def metrics(predictions: RankPredictions) -> tuple[str, ...]:
    """All of :data:`METRICS`."""
    return METRICS


def primary(predictions: RankPredictions) -> str:
    """nDCG@10."""
    return "ndcg_at_10"


def check(predictions: RankPredictions) -> tuple[str, str] | None:
    """V105: a score or relevance that is no number; V112: a passage twice, or not best first."""
    said, gold = predictions.said, truth(predictions)
    if not (np.isfinite(said.values).all() and np.isfinite(gold.values).all() and (gold.values >= 0).all()):
        return "V105", "some scores are not finite numbers, or some relevances not numbers of 0 or more."
    inside = said.rows[1:] == said.rows[:-1]
    if (inside & (said.values[1:] > said.values[:-1])).any():
        return "V112", "some passages do not stand in the order of their scores, best first."
    if _twice(said) or _twice(gold):
        return "V112", "a passage stands twice under one query."
    return None


def _twice(lists: Lists) -> bool:
    order = np.lexsort((lists.keys, lists.rows))
    rows, keys = lists.rows[order], lists.keys[order]
    return bool(((rows[1:] == rows[:-1]) & (keys[1:] == keys[:-1])).any())


def comparable(first: RankPredictions, second: RankPredictions) -> bool:
    """Rankings have no labels that could differ."""
    return True


def aligned(predictions: RankPredictions, like: RankPredictions) -> RankPredictions:
    """As they are."""
    return predictions


def same_truth(first: RankPredictions, second: RankPredictions) -> bool:
    """The same passages are judged alike, in any order."""
    one, other = truth(first), truth(second)
    if not np.array_equal(one.offsets, other.offsets):
        return False
    orders = [np.lexsort((lists.keys, lists.rows)) for lists in (one, other)]
    return np.array_equal(one.keys[orders[0]], other.keys[orders[1]]) and np.array_equal(
        one.values[orders[0]], other.values[orders[1]]
    )


def truth(predictions: RankPredictions) -> Lists:
    """The judged passages, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def row_metrics(predictions: RankPredictions) -> dict[str, Floats]:
    """(n,) the value of each metric for each query."""
    said, gold, n = predictions.said, truth(predictions), len(predictions)
    rank = _rank(said)
    relevance = said.found_in(gold).astype(np.float64)
    hit = (relevance > 0) & (rank <= DEEPEST)
    hits_so_far = _running(hit, said)
    relevant = np.bincount(gold.rows[gold.values > 0], minlength=n)

    def per_query(values: Floats) -> Floats:
        return np.bincount(said.rows, weights=values, minlength=n).astype(np.float64)

    def shared(values: Floats, over: NDArray[Any]) -> Floats:
        return np.asarray(np.divide(values, over, out=np.zeros(n), where=over > 0))

    first = hit & (hits_so_far == 1) & (rank <= 10)
    return {
        "ndcg_at_10": shared(per_query(np.where(rank <= 10, relevance / np.log2(rank + 1), 0)), _ideal(gold, n)),
        "mrr_at_10": per_query(first / rank),
        "recall_at_1": shared(per_query((hit & (rank <= 1)).astype(np.float64)), relevant),
        "recall_at_10": shared(per_query((hit & (rank <= 10)).astype(np.float64)), relevant),
        "map_at_100": shared(per_query(hit * hits_so_far / rank), relevant),
    }


def _rank(lists: Lists) -> NDArray[np.int64]:
    """(m,) the place of each entry in its list, from 1."""
    return np.arange(len(lists.keys)) - np.repeat(lists.offsets[:-1], np.diff(lists.offsets)) + 1


def _running(hit: NDArray[np.bool_], lists: Lists) -> NDArray[np.int64]:
    """(m,) how many hits there are in a list up to and with each entry."""
    before = np.concatenate([[0], np.cumsum(hit)])
    return np.asarray(before[1:] - np.repeat(before[lists.offsets[:-1]], np.diff(lists.offsets)))


def _ideal(gold: Lists, num_rows: int) -> Floats:
    """(n,) the discounted gain of the ten best judged passages in the best order."""
    order = np.lexsort((-gold.values, gold.rows))
    rank = _rank(gold)  # rows keep their lengths, so the place in the sorted list is the same
    gains = np.where(rank <= 10, gold.values[order] / np.log2(rank + 1), 0)
    return np.bincount(gold.rows, weights=gains, minlength=num_rows).astype(np.float64)


def sums(predictions: RankPredictions, *, soft: bool = True) -> Sums:
    """Rows, and each metric of each query."""
    columns = {"rows": np.ones(len(predictions))} | row_metrics(predictions)
    return assembled(len(predictions), {name: dense(values) for name, values in columns.items()}, FORMULAS)


FORMULAS: dict[str, Formula] = {name: mean_of(name) for name in METRICS}


def points(predictions: RankPredictions) -> dict[str, float]:
    """Means are exact as they are."""
    return {}


def population(predictions: RankPredictions, metric: str) -> NDArray[np.bool_] | None:
    """Every metric speaks of all queries."""
    return None


def decisions(predictions: RankPredictions) -> None:
    """A place in a list comes without a probability."""


def right(predictions: RankPredictions, part: str | None = None) -> NDArray[np.bool_]:
    """Whether the first passage is relevant."""
    return predictions.correct


def mistakes(predictions: RankPredictions, metric: str | None = None) -> Floats:
    """(n,) 1 - nDCG@10."""
    return 1.0 - row_metrics(predictions)["ndcg_at_10"]


def slices(predictions: RankPredictions) -> dict[str, NDArray[np.bool_]]:
    """None."""
    return {}


def details(predictions: RankPredictions) -> dict[str, Any]:
    """How many queries there are, with how many passages, and for how many nothing relevant is known."""
    gold = truth(predictions)
    relevant = np.bincount(gold.rows[gold.values > 0], minlength=len(predictions))
    return {
        "queries": len(predictions),
        "without_relevant": int((relevant == 0).sum()),
        "relevant_per_query": float(relevant.mean()),
        "first_is_relevant": int(predictions.correct.sum()),
    }
