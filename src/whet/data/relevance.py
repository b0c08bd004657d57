"""Queries and the passages among which theirs are to be found: what ranking, and pairs that belong together, share.

A row says that a passage (``text_pair``) was judged for a query (``text``): with ``score`` by how
relevant it is, without one as belonging to it. Rows of one query text are one query; the passages
of a split are all its different second texts, and each query is asked of all of them, so that what
nobody judged can be found wrongly. Texts are the same if they are equal character by character.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.normal import hashes, raw_hashes
from whet.data.predictions import Lists, RankPredictions
from whet.data.ragged import offsets_of

DEEPEST = 100
"""Passages kept for each query."""
QUERIES_AT_ONCE = 256
"""Rows of the matrix of scores that are held at once."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The queries and passages of one split: q different queries, p different passages.

    - ``queries`` (q,) int64: the first row of each query, ascending; ``query_keys`` (q,) uint64: its hash.
    - ``passages`` (p,) int64: the first row of each passage; ``passage_keys`` (p,) uint64, ascending.
    - ``judged``: the judged passages of each query with their relevance.
    - ``query_of``, ``passage_of`` (n,) int64: the query and the passage of every row, by their places here.
    """

    queries: NDArray[np.int64]
    query_keys: NDArray[np.uint64]
    passages: NDArray[np.int64]
    passage_keys: NDArray[np.uint64]
    judged: Lists
    query_of: NDArray[np.int64]
    passage_of: NDArray[np.int64]

    @property
    def has_relevant(self) -> NDArray[np.bool_]:
        """(q,) whether a query has a relevant passage."""
        found = np.zeros(len(self.queries), dtype=bool)
        found[self.judged.rows[self.judged.values > 0]] = True
        return found


def relevance_of(examples: Examples) -> NDArray[np.float64]:
    """(n,) how relevant the passage of a row is to its query: its score, or 1 where rows have none."""
    if not examples.shape.has("score"):
        return np.ones(len(examples))
    return examples.scores


def query_keys(examples: Examples) -> NDArray[np.uint64]:
    """(n,) hash of the first text of every row."""
    return raw_hashes(examples.column("text"))


def passage_keys(examples: Examples) -> NDArray[np.uint64]:
    """(n,) hash of the second text of every row."""
    return raw_hashes(examples.column("text_pair"))


def pool_of(examples: Examples) -> Pool:
    """The queries and passages of a split; a passage judged twice for a query counts once."""
    keys, others, relevance = query_keys(examples), passage_keys(examples), relevance_of(examples)
    names, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    place = np.empty(len(names), dtype=np.int64)
    place[np.argsort(first, kind="stable")] = np.arange(len(names))
    query_of = place[inverse]
    order = np.argsort(first, kind="stable")
    passages, where, passage_of = np.unique(others, return_index=True, return_inverse=True)
    pairs = np.unique(query_of * max(1, len(passages)) + passage_of, return_index=True)[1]
    counts = np.bincount(query_of[pairs], minlength=len(names))
    judged = Lists(offsets_of(counts), others[pairs], relevance[pairs].astype(np.float32))
    return Pool(first[order].astype(np.int64), names[order], where, passages, judged, query_of, passage_of)


def passages_by_key(examples: Examples) -> dict[int, int]:
    """Hash of each passage -> the first row it stands in, to show what predictions name by hashes."""
    pool = pool_of(examples)
    return dict(zip(pool.passage_keys.tolist(), pool.passages.tolist(), strict=True))


Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""(c,) places of queries in a pool to (c, p) scores of all its passages, larger is better."""


def ranked(pool: Pool, queries: NDArray[np.int64], scores: Scorer) -> Lists:
    """The best passages of ``queries`` (places in the pool), at most :data:`DEEPEST` each.

    Equal scores are in the order of the passages' hashes. A passage that is the query word for word is left
    out unless it was judged.
    """
    keys, values, lengths = [], [], []
    hidden = _own_text(pool)
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        some = queries[start : start + QUERIES_AT_ONCE]
        for query, row in zip(some.tolist(), np.asarray(scores(some), dtype=np.float32), strict=True):
            best = best_places(row, DEEPEST, hidden.get(query))
            keys.append(pool.passage_keys[best])
            values.append(row[best])
            lengths.append(len(best))
    return Lists(
        offsets_of(lengths),
        np.concatenate(keys) if keys else np.zeros(0, np.uint64),
        np.concatenate(values) if values else np.zeros(0, np.float32),
    )


def _own_text(pool: Pool) -> dict[int, int]:
    """Query -> the passage that has its very text, where that was not judged."""
    place = np.searchsorted(pool.passage_keys, pool.query_keys)
    found = np.flatnonzero(
        pool.passage_keys[np.minimum(place, len(pool.passage_keys) - 1)] == pool.query_keys
        if len(pool.passage_keys)
        else np.zeros(0, bool)
    )
    judged = set(zip(pool.query_of.tolist(), pool.passage_of.tolist(), strict=True)) if len(found) else set()
    return {int(query): int(place[query]) for query in found if (int(query), int(place[query])) not in judged}


def best_places(scores: NDArray[np.float32], number: int, without: int | None = None) -> NDArray[np.int64]:
    """Places of the ``number`` largest of ``scores`` (p,), largest first, equal ones in their order."""
    places = np.arange(len(scores)) if without is None else np.delete(np.arange(len(scores)), without)
    kept = scores[places]
    if len(kept) > number:
        least = np.partition(kept, len(kept) - number)[len(kept) - number]
        places, kept = places[kept >= least], kept[kept >= least]
    return np.asarray(places[np.argsort(-kept, kind="stable")][:number])


def rank_predictions(model: str, examples: Examples, pool: Pool, scores: Scorer) -> RankPredictions:
    """Every query that has a relevant passage asked of all passages; ids are those of its first row."""
    queries = np.flatnonzero(pool.has_relevant)
    return of_lists(model, examples, pool, queries, ranked(pool, queries, scores))


def of_lists(model: str, examples: Examples, pool: Pool, queries: NDArray[np.int64], said: Lists) -> RankPredictions:
    """Predictions from what was found for ``queries`` (places in the pool)."""
    rows = pool.queries[queries]
    groups = examples.groups
    return RankPredictions(
        model,
        examples.split,
        examples.numbers("id")[rows],
        hashes(examples.texts(rows)),
        gold=pool.judged.take(queries),
        said=said,
        groups=None if groups is None else groups[rows],
    )


def ndcg(predictions: RankPredictions, depth: int = 10) -> float:
    """nDCG at ``depth``, the mean over queries: relevance over log2(rank + 1), as a share of the best order's."""
    assert predictions.gold is not None
    said, gold = predictions.said, predictions.gold
    discount = 1 / np.log2(np.arange(2, depth + 2))
    relevance = said.found_in(gold)
    total = 0.0
    for row in range(len(predictions)):
        found = relevance[said.offsets[row] : said.offsets[row + 1]][:depth]
        best = -np.sort(-gold.values[gold.offsets[row] : gold.offsets[row + 1]])[:depth]
        ideal = float(best @ discount[: len(best)])
        total += float(found @ discount[: len(found)]) / ideal if ideal else 0.0
    return total / max(1, len(predictions))
