"""Texts to token ids, in parallel, into flat memory-mapped arrays; what was cut is on record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.files import folder_beside

BLOCK_ROWS = 8192
"""Rows tokenised at once: enough to keep every core busy, little enough to stay small."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What the length limit took."""

    limit: int
    rows: int
    tokens_cut: int
    tokens_total: int

    def to_json(self) -> dict[str, int]:
        """As in data/ledger.json."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of n rows, one after the other.

    - ``ids`` (N,) uint32: all tokens; row i is ``ids[offsets[i]:offsets[i + 1]]``.
    - ``offsets`` (n + 1,) int64.
    - ``second`` (n,) int32: where the second text of a pair starts within the row; -1 for none.
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    second: NDArray[np.int32]
    cut: Cut

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(n,) tokens per row."""
        return np.diff(self.offsets)

    @property
    def num_tokens(self) -> int:
        """All tokens of all rows."""
        return int(self.offsets[-1])

    def row(self, number: int) -> NDArray[np.uint32]:
        """The token ids of one row."""
        return self.ids[self.offsets[number] : self.offsets[number + 1]]

    def used(self, vocabulary_size: int) -> NDArray[np.int64]:
        """Distinct token ids that occur, ascending."""
        seen = np.zeros(vocabulary_size, dtype=bool)
        for start in range(0, len(self.ids), 1 << 20):
            seen[self.ids[start : start + (1 << 20)]] = True
        return np.flatnonzero(seen)


TextBlocks = Iterable[tuple[Sequence[str], Sequence[str] | None]]
"""Blocks of texts, and of their second texts where rows are pairs."""


def encode(
    tokenizer: Any, blocks: TextBlocks, limit: int, into: Path | None, progress: Callable[[int], None] | None = None
) -> Encoded:
    """Tokenise ``blocks`` with the special tokens of ``tokenizer``; cut rows to ``limit`` tokens.

    A single text is cut at its end; a pair loses tokens from its longer text first.

    :param tokenizer: a fast tokenizer of transformers.
    :param into: a folder to write memory-mapped arrays to; None keeps them in memory.
    :param progress: receives the number of rows done.
    """
    if into is None:
        return _encode_in_memory(tokenizer, blocks, limit, progress)
    with folder_beside(into) as inside, (inside / "ids.bin").open("wb") as ids:
        offsets, second, cut = _write(tokenizer, blocks, limit, lambda block: ids.write(block.tobytes()), progress)
        np.save(inside / "offsets.npy", offsets, allow_pickle=False)
        np.save(inside / "second.npy", second, allow_pickle=False)
        (inside / "cut.json").write_text(json.dumps(cut.to_json()), encoding="utf-8")
    return load(into)


def load(folder: Path) -> Encoded:
    """Open what :func:`encode` wrote, memory-mapped."""
    offsets = np.load(folder / "offsets.npy", mmap_mode="r", allow_pickle=False)
    path = folder / "ids.bin"
    ids = np.memmap(path, dtype=np.uint32, mode="r") if path.stat().st_size else np.zeros(0, np.uint32)
    cut = Cut(**json.loads((folder / "cut.json").read_text(encoding="utf-8")))
    return Encoded(ids, offsets, np.load(folder / "second.npy", mmap_mode="r", allow_pickle=False), cut)


def _encode_in_memory(
    tokenizer: Any, blocks: TextBlocks, limit: int, progress: Callable[[int], None] | None
) -> Encoded:
    kept: list[NDArray[np.uint32]] = []
    offsets, second, cut = _write(tokenizer, blocks, limit, kept.append, progress)
    ids = np.concatenate(kept) if kept else np.zeros(0, np.uint32)
    return Encoded(ids, offsets, second, cut)


def _write(
    tokenizer: Any,
    blocks: TextBlocks,
    limit: int,
    keep: Callable[[NDArray[np.uint32]], object],
    progress: Callable[[int], None] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int32], Cut]:
    backend = _uncut_backend(tokenizer)
    lengths: list[NDArray[np.int64]] = []
    seconds: list[NDArray[np.int32]] = []
    rows_cut = tokens_cut = tokens_total = done = 0
    for texts, pairs in blocks:
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encodings = backend.encode_batch_fast(inputs)
        full = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        for number in np.flatnonzero(full == 0):  # nothing frames a text, and this one is empty
            encodings[number] = backend.encode(_blank(tokenizer))
            full[number] = len(encodings[number])
        over = np.flatnonzero(full > limit)
        if len(over):
            rows_cut += len(over)
            for number in over:
                encodings[number] = _shortened(backend, inputs[number], limit)
        lengths.append(np.fromiter((len(e) for e in encodings), np.int64, len(encodings)))
        seconds.append(
            np.full(len(encodings), -1, np.int32)
            if pairs is None
            else np.fromiter((_second_start(e) for e in encodings), np.int32, len(encodings))
        )
        tokens_total += int(full.sum())
        tokens_cut += int(full.sum() - lengths[-1].sum())
        keep(np.fromiter((i for e in encodings for i in e.ids), np.uint32, int(lengths[-1].sum())))
        done += len(encodings)
        if progress:
            progress(done)
    whole = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(whole)])
    second = np.concatenate(seconds) if seconds else np.zeros(0, np.int32)
    return offsets, second, Cut(limit, rows_cut, tokens_cut, tokens_total)


def _uncut_backend(tokenizer: Any) -> Any:
    """The Rust tokenizer behind ``tokenizer``, without its own cutting and padding."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def _blank(tokenizer: Any) -> str:
    """What stands for a text without any token."""
    return str(tokenizer.eos_token or tokenizer.pad_token or tokenizer.unk_token or ".")


def _shortened(backend: Any, text: Any, limit: int) -> Any:
    backend.enable_truncation(max_length=limit, strategy="longest_first")
    try:
        return backend.encode(*text) if isinstance(text, tuple) else backend.encode(text)
    finally:
        backend.no_truncation()


def _second_start(encoding: Any) -> int:
    types = encoding.type_ids
    if 1 in types:
        return int(types.index(1))
    return next((i for i, s in enumerate(encoding.sequence_ids) if s == 1), -1)
