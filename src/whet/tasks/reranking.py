"""A cross-encoder's rankings: BM25 finds passages, and the model puts the best of them in order.

As it is in use: a passage that BM25 does not find among its best ``depth`` keeps the place that BM25
gives it, be it relevant or not. That judged passages were encoded anyway gives them no advantage.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.data.predictions import Lists, RankPredictions
from whet.data.ragged import offsets_of
from whet.data.relevance import DEEPEST, Pool, best_places, of_lists, pool_of, ranked
from whet.data.relevance_words import Bm25
from whet.tasks.pair_answers import first_units
from whet.tasks.pair_encoding import text_keys

Places = NDArray[np.int64]


def found_by_words(examples: Examples, pool: Pool) -> dict[int, Places]:
    """Query -> passages (both by their places in the pool) in the order of BM25, best first, at most :data:`DEEPEST`.

    Of every query that has a relevant passage, in their order.
    """
    queries = np.flatnonzero(pool.has_relevant)
    search = Bm25.of(examples.rows(pool.passages, "text_pair"))
    texts = examples.texts(pool.queries)
    best = ranked(pool, queries, lambda some: search.scores([texts[one] for one in some]))
    places = np.searchsorted(pool.passage_keys, best.keys)
    return {int(query): places[best.offsets[number] : best.offsets[number + 1]] for number, query in enumerate(queries)}


def beside(pool: Pool, found: dict[int, Places], depth: int) -> dict[int, list[int]]:
    """First row of a query -> those of its ``depth`` best passages that no row holds: they are encoded beside it."""
    judged = set(zip(pool.query_of.tolist(), pool.passage_of.tolist(), strict=True))
    return {
        int(pool.queries[query]): [one for one in places[:depth].tolist() if (query, one) not in judged]
        for query, places in found.items()
    }


def reranked(model: str, logits: Tensor, encoded: Encoded, examples: Examples, depth: int) -> RankPredictions:
    """For each query BM25's best ``depth`` passages by their logits (S, 1), then its others in its own order.

    :raises ValueError: other passages were encoded than those that are to be ranked.
    """
    pool = pool_of(examples)
    found = found_by_words(examples, pool)
    more = beside(pool, found, depth)
    units = np.append(first_units(encoded, len(examples)), len(encoded))
    if len(encoded) != len(examples) + sum(map(len, more.values())):
        raise ValueError("other passages were encoded than those that are to be ranked")
    scores = logits[:, 0].float().numpy()
    known = dict(zip(zip(pool.query_of.tolist(), pool.passage_of.tolist(), strict=True), units.tolist(), strict=False))
    lists = []
    for query, places in found.items():
        first = int(pool.queries[query])
        known |= {(query, one): int(units[first]) + 1 + number for number, one in enumerate(more[first])}
        head = np.sort(places[:depth])  # equal logits in the order of the passages' hashes
        lists.append(_ordered(head, scores[[known[query, one] for one in head.tolist()]], places[depth:]))
    return of_lists(model, examples, pool, np.asarray(list(found), dtype=np.int64), _lists(pool, lists))


def _ordered(head: Places, scores: NDArray[np.float32], tail: Places) -> tuple[Places, NDArray[np.float32]]:
    """``head`` by its scores, then ``tail`` with scores below all of them."""
    best = best_places(scores, len(head))
    lowest = float(scores.min()) if len(scores) else 0.0
    below = lowest - np.arange(1, len(tail) + 1)
    return np.concatenate([head[best], tail]), np.concatenate([scores[best], below]).astype(np.float32)


def among_encoded(logits: Tensor, encoded: Encoded, examples: Examples) -> RankPredictions:
    """For each query the passages of its rows and what was encoded beside them, by their logits (S, 1).

    For a look at training rows: what stands beside them are negatives, known by their tokens.
    """
    pool = pool_of(examples)
    units = np.append(first_units(encoded, len(examples)), len(encoded))
    scores = logits[:, 0].float().numpy()
    own = np.zeros(len(encoded), dtype=bool)
    own[units[:-1]] = True
    names = text_keys(encoded).astype(np.uint64)
    names[own] = pool.passage_keys[pool.passage_of]
    queries = np.flatnonzero(pool.has_relevant)
    found: dict[int, list[Places]] = {int(query): [] for query in queries}
    for row, query in enumerate(pool.query_of.tolist()):
        if query in found:
            found[query].append(np.arange(units[row], units[row + 1]))
    keys, said, lengths = list[NDArray[np.uint64]](), list[NDArray[np.float32]](), list[int]()
    for several in found.values():
        some = np.concatenate(several)
        different, at = np.unique(names[some], return_index=True)
        best = best_places(scores[some][at], DEEPEST)
        keys.append(different[best])
        said.append(scores[some][at][best])
        lengths.append(len(best))
    lists = Lists(offsets_of(lengths), np.concatenate([np.zeros(0, np.uint64), *keys]), _joined(said))
    return of_lists("", examples, pool, queries, lists)


def _lists(pool: Pool, rows: list[tuple[Places, NDArray[np.float32]]]) -> Lists:
    places = np.concatenate([np.zeros(0, np.int64), *(places for places, _ in rows)])
    return Lists(
        offsets_of(len(places) for places, _ in rows), pool.passage_keys[places], _joined([said for _, said in rows])
    )


def _joined(rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(0, np.float32), *rows])


def to_rank(examples: Examples, depth: int) -> Iterator[list[list[str]]]:
    """For each row of each block the passages to be encoded beside it (:func:`beside`)."""
    pool = pool_of(examples)
    more = beside(pool, found_by_words(examples, pool), depth)
    done = 0
    for block in examples.blocks():
        rows = [more.get(row, []) for row in range(done, done + block.num_rows)]
        places = [place for several in rows for place in several]
        texts = iter(examples.rows(pool.passages[places], "text_pair") if places else ())
        yield [[next(texts) for _ in several] for several in rows]
        done += block.num_rows
