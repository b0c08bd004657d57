"""Rows of texts that belong together as a pair model reads them: with negatives to train on, candidates to rank."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.relevance import pool_of, relevance_of
from whet.tasks import reranking
from whet.tasks.hard_negatives import mine
from whet.tasks.task import Columns, Embed

PAIR = ("text", "text_pair")


@dataclass(frozen=True, slots=True)
class Mining:
    """How negatives are found where rows have none: ``number`` for each row, 0 for none."""

    number: int
    embed: Embed | None
    seed: int


def plain(examples: Examples) -> Iterator[Columns]:
    """Both texts of every row."""
    yield from examples.column_blocks(PAIR)


def to_rank(examples: Examples, depth: int) -> Iterator[Columns]:
    """Both texts of every row, and at the first row of a query those passages that are ranked and stand in no row."""
    for block, more in zip(plain(examples), reranking.to_rank(examples, depth), strict=True):
        yield {**block, "negative": more}


def belonging(examples: Examples, mining: Mining) -> Iterator[Columns]:
    """Rows of an anchor and its positive, with the negatives they have, or else mined ones."""
    given = examples.shape.has("negative")
    mined = _mined(examples, np.arange(len(examples)), mining) if mining.number else None
    done = 0
    for block in examples.column_blocks((*PAIR, "negative")):
        size = len(block["text"])
        several = block["negative"] if given else [[] for _ in range(size)]
        if mined is not None:
            several = [own or mined[done + row] for row, own in enumerate(several)]
        yield {**block, "negative": several} if given or mined is not None else block
        done += size


def judged(examples: Examples, mining: Mining) -> Iterator[Columns]:
    """A unit for every judged passage: a relevant one as its query's positive, one that is not as a negative.

    Beside a negative stands one of its query's relevant passages, each in turn. A query without any
    keeps its own passage there, which then is no positive (:meth:`RelatedApart.targets`).
    """
    relevant = relevance_of(examples) > 0
    partners = _partners(examples, relevant)
    mined = _mined_for_lonely(examples, relevant, mining) if mining.number else {}
    if relevant.all() and not mined:
        yield from plain(examples)
        return
    done = 0
    for block in examples.column_blocks(PAIR):
        rows = np.arange(done, done + len(block["text"]))
        positives = examples.rows(np.where(partners[rows] < 0, rows, partners[rows]), "text_pair")
        negatives: list[list[str]] = []
        for row, text in zip(rows.tolist(), block["text_pair"], strict=True):
            negatives.append([text] if not relevant[row] and partners[row] >= 0 else mined.get(row, []))
        yield {"text": block["text"], "text_pair": positives, "negative": negatives}
        done += len(rows)


def judged_and_mined(examples: Examples, mining: Mining) -> Iterator[Columns]:
    """Every judged passage as it stands, and beside a query's relevant ones mined negatives where it has none."""
    mined = _mined_for_lonely(examples, relevance_of(examples) > 0, mining) if mining.number else {}
    done = 0
    for block in examples.column_blocks(PAIR):
        size = len(block["text"])
        yield {**block, "negative": [mined.get(row, []) for row in range(done, done + size)]} if mined else block
        done += size


def _partners(examples: Examples, relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) a row with a relevant passage of the query: a relevant one itself, for others each in turn; -1: none."""
    pool = pool_of(examples)
    found = np.where(relevant, np.arange(len(examples)), -1)
    own: dict[int, list[int]] = {}
    for row in np.flatnonzero(relevant).tolist():
        own.setdefault(int(pool.query_of[row]), []).append(row)
    turns: dict[int, int] = {}
    for row in np.flatnonzero(~relevant).tolist():
        query = int(pool.query_of[row])
        if query in own:
            turns[query] = turns.get(query, -1) + 1
            found[row] = own[query][turns[query] % len(own[query])]
    return np.asarray(found)


def _mined_for_lonely(examples: Examples, relevant: NDArray[np.bool_], mining: Mining) -> dict[int, list[str]]:
    """Negatives for the relevant rows of queries that have no passage judged as not relevant."""
    pool = pool_of(examples)
    has_negative = np.zeros(len(pool.queries), dtype=bool)
    has_negative[pool.query_of[~relevant]] = True
    rows = np.flatnonzero(relevant & ~has_negative[pool.query_of])
    return dict(zip(rows.tolist(), _mined(examples, rows, mining), strict=True)) if len(rows) else {}


def _mined(examples: Examples, rows: NDArray[np.int64], mining: Mining) -> list[list[str]]:
    if mining.embed is None:
        raise ValueError("hard negatives are mined with the vectors of a base")
    return mine(examples.texts(rows), examples.rows(rows, "text_pair"), mining.embed, mining.number, mining.seed)
