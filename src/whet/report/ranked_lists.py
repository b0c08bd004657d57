"""Ranked lists with their texts: where the relevant passages stand, query by query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.report import numbers
from whet.report.mistakes import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import RankPredictions
    from whet.report.run_files import RunFiles

NUM_WORST, NUM_MEDIAN = 8, 4
SHOWN_RANKS = 5
RELEVANT_SHOWN = 3
"""Relevant passages that stand deeper than the list is shown."""
LONGEST_PASSAGE = 220
NO_TEXT = "(its text is not in this run folder)"


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage of a list; ``rank`` in words, ``relevance`` "" where it is not relevant."""

    rank: str
    text: str
    relevance: str
    score: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One query: its first passages, the relevant ones further down, and how it did in a sentence."""

    query: str
    told: str
    first: list[Passage]
    deeper: list[Passage]
    more_relevant: int
    line: int | None


@dataclass(frozen=True, slots=True)
class Places:
    """Where relevant passages stand. n queries.

    ``first`` (n,) rank of the first relevant passage, 0 where none was found; ``num_relevant`` (n,) how
    many there are; ``found``: of each query the ranks of the relevant passages that were found, ascending.
    """

    first: NDArray[np.int64]
    num_relevant: NDArray[np.int64]
    found: list[list[int]]

    @property
    def deepest(self) -> int:
        """The rank that stands for "not found"."""
        return max((ranks[-1] for ranks in self.found if ranks), default=0) + 1


def places(predictions: RankPredictions) -> Places:
    """Ranks of the relevant passages; relevant is what is judged above 0."""
    said, gold = predictions.said, predictions.gold
    assert gold is not None
    relevant = said.found_in(gold) > 0
    found = [
        [int(rank) + 1 for rank in np.flatnonzero(relevant[said.offsets[row] : said.offsets[row + 1]])]
        for row in range(len(predictions))
    ]
    first = np.asarray([ranks[0] if ranks else 0 for ranks in found], dtype=np.int64)
    num_relevant = np.bincount(gold.rows[gold.values > 0], minlength=len(predictions))
    return Places(first, num_relevant, found)


def chosen(predictions: RankPredictions, where: Places) -> tuple[list[int], list[int]]:
    """The worst queries and some in the middle, by the rank of the first relevant passage; others have none to find."""
    known = np.flatnonzero(where.num_relevant > 0)
    depth = np.where(where.first > 0, where.first, np.iinfo(np.int64).max)[known]
    order = known[np.lexsort((-where.num_relevant[known], -depth))]
    worst = [int(row) for row in order[:NUM_WORST] if where.first[row] != 1]
    start = max(len(worst), (len(order) - NUM_MEDIAN) // 2)
    return worst, [int(row) for row in order[start : start + NUM_MEDIAN]]


def texts_of_passages(run: RunFiles, keys: Iterable[int], split: str) -> dict[int, str]:
    """``{key: text}`` of passages, by the hash of their texts as they stand, out of a split, block by block."""
    path, missing = run.folder / "data" / f"{split}.arrow", set(keys)
    if not path.is_file() or not missing:
        return {}

    def look(path: Any) -> dict[int, str]:
        import pyarrow as pa

        found: dict[int, str] = {}
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            for number in range(reader.num_record_batches):
                _note(found, reader.get_batch(number), missing)
                if not missing:
                    break
        return found

    return run._patiently(look, path) or {}


def _note(found: dict[int, str], batch: Any, missing: set[int]) -> None:
    from whet.data.normal import raw_hashes

    texts = batch["text_pair"].to_pylist() if "text_pair" in batch.schema.names else []
    for text, key in zip(texts, raw_hashes(texts).tolist(), strict=True):
        if key in missing:
            found[key] = text
            missing.discard(key)


def _queries(run: RunFiles, predictions: RankPredictions, rows: Sequence[int]) -> dict[int, dict[str, Any]]:
    """``{position: its first row}``; where that holds another query than the one that was asked, it is left out."""
    from whet.data.normal import hashes

    found = run.texts((int(predictions.ids[row]) for row in rows), predictions.split, ["text", "line"])
    pairs = ((row, found.get(int(predictions.ids[row]))) for row in rows)
    return {
        row: one
        for row, one in pairs
        if one is not None and int(hashes([str(one["text"])])[0]) == int(predictions.hashes[row])
    }


def ranked_lists(run: RunFiles, predictions: RankPredictions, rows: Sequence[int], where: Places) -> list[Ranked]:
    """The lists of ``rows`` with their texts, as far as these are in the run folder."""
    gold, said = predictions.gold, predictions.said
    assert gold is not None
    queries = _queries(run, predictions, rows)
    keys = {key for row in rows for key, _ in said.row(row)[:SHOWN_RANKS]}
    keys |= {key for row in rows for key, relevance in gold.row(row) if relevance > 0}
    texts = texts_of_passages(run, keys, predictions.split)
    made = []
    for row in rows:
        source = queries.get(row) or {}
        relevance = dict(gold.row(row))
        listed = [
            Passage(
                numbers.count(rank),
                _text(texts, key),
                _relevance(relevance.get(key, 0.0)),
                numbers.decimal(score),
            )
            for rank, (key, score) in enumerate(said.row(row), 1)
            if rank <= SHOWN_RANKS
        ]
        deeper = _deeper(said.row(row), relevance, texts)
        query = shortened(str(source.get("text") or "")) or "(the text of the query is not in this run folder)"
        more = len(deeper) - RELEVANT_SHOWN
        made.append(Ranked(query, _told(where, row), listed, deeper[:RELEVANT_SHOWN], max(0, more), source.get("line")))
    return made


def _deeper(said: Sequence[tuple[int, float]], relevance: dict[int, float], texts: dict[int, str]) -> list[Passage]:
    """The relevant passages that do not stand among those shown, the highest first; last those not found at all."""
    rank_of = {key: (rank, score) for rank, (key, score) in enumerate(said, 1)}
    found = []
    for key, value in relevance.items():
        rank, score = rank_of.get(key, (0, None))
        if value > 0 and not 0 < rank <= SHOWN_RANKS:
            word = numbers.count(rank) if rank else f"not in {len(said)}"
            passage = Passage(word, _text(texts, key), _relevance(value), numbers.decimal(score))
            found.append((rank or len(said) + 1, -value, key, passage))
    return [passage for *_, passage in sorted(found, key=lambda one: one[:3])]


def _text(texts: dict[int, str], key: int) -> str:
    return shortened(texts[key], LONGEST_PASSAGE) if key in texts else NO_TEXT


def _relevance(value: float) -> str:
    if value <= 0:
        return ""
    return "✓ relevant" if value == 1 else f"✓ relevant ({value:g})"


def _told(where: Places, row: int) -> str:
    first, total = int(where.first[row]), int(where.num_relevant[row])
    known = f"{numbers.plural(total, 'relevant passage')} known"
    if not first:
        return f"None found; {known}."
    return f"The first relevant one stands at rank {first}; {known}."
