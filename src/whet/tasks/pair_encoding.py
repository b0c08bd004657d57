"""Pairs of texts as token ids: each text by itself for a bi-encoder, both in one sequence for a cross-encoder.

Blocks of rows may have, beside ``text`` and ``text_pair``:

- ``negative``: of each row a list of texts that do not belong to the first. A bi-encoder then reads
  units of three texts, one for each negative; a row without any has a third text that stands for none
  (:data:`ABSENT`). A cross-encoder reads the first text with each negative, after the row itself.
- ``row``: the row of the examples that each entry came from, ascending; counted from 0 where it is missing.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Counted, Encoded, Piece, gather, token_numbers
from whet.batches.tokenising import Read, Reader
from whet.tasks.task import Columns, Told

ABSENT = 0
"""Value of ``Encoded.second`` that marks a sequence of one token as standing for no text: nothing comes before its
second text, which elsewhere has a frame or a first text before it."""


def encode_apart(reader: Reader, blocks: Iterable[Columns], into: Path | None, progress: Told | None = None) -> Encoded:
    """Units of two texts, or of three where the blocks have negatives."""
    blocks = iter(blocks)
    first = next(blocks, None)
    parts = 3 if first is not None and "negative" in first else 2
    counted = Counted(reader.limit)
    whole = itertools.chain([] if first is None else [first], blocks)
    return gather(_apart(_Texts(reader, counted), whole, parts, progress), counted, into, parts)


def _apart(different: _Texts, blocks: Iterable[Columns], parts: int, progress: Told | None) -> Iterator[Piece]:
    done = 0
    for block in blocks:
        size = len(block["text"])
        rows = np.asarray(block.get("row", range(done, done + size)), dtype=np.int64)
        negatives = block.get("negative") or [()] * size
        texts: list[str | None] = []
        times: list[int] = []
        for one, other, several in zip(block["text"], block["text_pair"], negatives, strict=True):
            units = [[one, other]] if parts == 2 else [[one, other, text] for text in several or (None,)]
            texts += [text for unit in units for text in unit]
            times.append(len(units))
        piece = different.read(texts, parts)
        mapped = parts == 3 or "row" in block
        yield replace(piece, rows=np.repeat(np.repeat(rows, times), parts)) if mapped else piece
        done += size
        if progress:
            progress(done)


class _Texts:
    """Cuts and counts texts; tokenises each different text of a block once."""

    def __init__(self, reader: Reader, counted: Counted) -> None:
        self.reader, self.counted = reader, counted
        self.stand_in = np.asarray(self.reader.backend.encode(self.reader.blank).ids[:1], np.uint32)

    def read(self, texts: Sequence[str | None], parts: int) -> Piece:
        """One sequence a text; for None the one token that stands for no text. Texts are cut at their end."""
        places: dict[str | None, int] = {None: 0}
        for text in texts:
            places.setdefault(text, len(places))
        read = self.reader.read([text for text in places if text is not None])
        which = np.fromiter((places[text] for text in texts), np.int64, len(texts))
        whole, lengths = np.append(1, read.whole)[which], np.append(1, read.lengths)
        ids, offsets = np.append(self.stand_in, read.ids), np.append(0, np.cumsum(lengths))
        second = np.where(which == 0, ABSENT, -1).astype(np.int32)
        found = Read(ids[token_numbers(offsets, which)], lengths[which], whole, second)
        self.counted.add(found, self.reader, parts)
        return Piece(found.ids, found.lengths, second)


def encode_together(
    reader: Reader, blocks: Iterable[Columns], into: Path | None, progress: Told | None = None
) -> Encoded:
    """A sequence of both texts for each row, and after it one for each of its negatives."""
    counted = Counted(reader.limit)
    return gather(_together(reader, blocks, counted, progress), counted, into)


def _together(reader: Reader, blocks: Iterable[Columns], counted: Counted, progress: Told | None) -> Iterator[Piece]:
    done = 0
    for block in blocks:
        size = len(block["text"])
        rows = np.asarray(block.get("row", range(done, done + size)), dtype=np.int64)
        negatives = block.get("negative") or [()] * size
        pairs = [
            (one, other)
            for one, belongs, several in zip(block["text"], block["text_pair"], negatives, strict=True)
            for other in (belongs, *(several or ()))
        ]
        read = reader.read([one for one, _ in pairs], [other for _, other in pairs])
        counted.add(read, reader)
        mapped = "row" in block or "negative" in block
        times = [1 + len(several or ()) for several in negatives]
        yield Piece(read.ids, read.lengths, read.second, np.repeat(rows, times) if mapped else None)
        done += size
        if progress:
            progress(done)


def text_keys(encoded: Encoded) -> NDArray[np.int64]:
    """(S,) a number for the tokens of each sequence, equal for equal tokens; 0 for a text that is absent."""
    found = np.zeros(encoded.num_sequences, dtype=np.int64)
    ids, offsets = np.asarray(encoded.ids), np.asarray(encoded.offsets)
    for number in np.flatnonzero(np.asarray(encoded.second) != ABSENT).tolist():
        digest = hashlib.blake2b(ids[offsets[number] : offsets[number + 1]].tobytes(), digest_size=8).digest()
        found[number] = int.from_bytes(digest, "little", signed=True) or 1
    return found


def rows_of(encoded: Encoded) -> NDArray[np.int64]:
    """(U,) the row that each unit came from."""
    return np.arange(len(encoded)) if encoded.rows is None else np.asarray(encoded.rows[:: encoded.parts])
