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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Counted, Encoded, Piece, blank, encode, gather, uncut_backend
from whet.tasks.task import Columns, Told

ABSENT = 0
"""Value of ``Encoded.second`` that marks a sequence of one token as standing for no text: nothing comes before its
second text, which elsewhere has a frame or a first text before it."""


def encode_apart(
    tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
) -> Encoded:
    """Units of two texts, or of three where the blocks have negatives."""
    blocks = iter(blocks)
    first = next(blocks, None)
    parts = 3 if first is not None and "negative" in first else 2
    counted = Counted(limit)
    whole = itertools.chain([] if first is None else [first], blocks)
    return gather(_apart(tokenizer, whole, parts, counted, progress), counted, into, parts)


def _apart(
    tokenizer: Any, blocks: Iterable[Columns], parts: int, counted: Counted, progress: Told | None
) -> Iterator[Piece]:
    reader = _Reader(tokenizer, counted)
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
        piece = reader.read(texts, parts)
        mapped = parts == 3 or "row" in block
        yield replace(piece, rows=np.repeat(np.repeat(rows, times), parts)) if mapped else piece
        done += size
        if progress:
            progress(done)


class _Reader:
    """Cuts and counts texts; tokenises each different text of a block once."""

    def __init__(self, tokenizer: Any, counted: Counted) -> None:
        self.backend, self.counted, self.blank = uncut_backend(tokenizer), counted, blank(tokenizer)
        self.stand_in = np.asarray(self.backend.encode(self.blank).ids[:1], np.uint32)

    def read(self, texts: Sequence[str | None], parts: int) -> Piece:
        """One sequence a text; for None the one token that stands for no text. Texts are cut at their end."""
        different = list(dict.fromkeys(text for text in texts if text is not None))
        known: dict[str | None, tuple[NDArray[np.uint32], int]] = {}
        for text, found in zip(different, self.backend.encode_batch_fast(different), strict=True):
            known[text] = self._ids(text, found)
        known[None] = self.stand_in, 1
        read = [known[text] for text in texts]
        full = np.fromiter((size for _, size in read), np.int64, len(read))
        lengths = np.fromiter((len(ids) for ids, _ in read), np.int64, len(read))
        self.counted.rows += int((full > lengths).reshape(-1, parts).any(axis=1).sum())
        self.counted.tokens_total += int(full.sum())
        self.counted.tokens_cut += int((full - lengths).sum())
        ids = np.concatenate([ids for ids, _ in read]) if read else np.zeros(0, np.uint32)
        second = np.fromiter((ABSENT if text is None else -1 for text in texts), np.int32, len(texts))
        return Piece(ids, lengths, second)

    def _ids(self, text: str, found: Any) -> tuple[NDArray[np.uint32], int]:
        size = len(found)
        if not size:  # nothing frames a text, and this one is empty
            found = self.backend.encode(self.blank)
            size = len(found)
        if size > self.counted.limit:
            self.backend.enable_truncation(max_length=self.counted.limit)
            try:
                found = self.backend.encode(text)
            finally:
                self.backend.no_truncation()
        return np.asarray(found.ids, np.uint32), size


def encode_together(
    tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
) -> Encoded:
    """A sequence of both texts for each row, and after it one for each of its negatives."""
    counted = Counted(limit)
    return gather(_together(tokenizer, blocks, counted, progress), counted, into)


def _together(tokenizer: Any, blocks: Iterable[Columns], counted: Counted, progress: Told | None) -> Iterator[Piece]:
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
        firsts, seconds = [one for one, _ in pairs], [other for _, other in pairs]
        found = encode(tokenizer, [(firsts, seconds)], counted.limit, into=None)
        counted.rows += found.cut.rows
        counted.tokens_cut += found.cut.tokens_cut
        counted.tokens_total += found.cut.tokens_total
        mapped = "row" in block or "negative" in block
        times = [1 + len(several or ()) for several in negatives]
        yield Piece(found.ids, np.diff(found.offsets), found.second, np.repeat(rows, times) if mapped else None)
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
