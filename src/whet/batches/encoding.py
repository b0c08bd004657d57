"""Texts to token ids, in parallel, into flat memory-mapped arrays; what was cut is on record."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from whet.batches.spread import spread
from whet.batches.tokenising import Read, Reader
from whet.files import folder_beside

BLOCK_ROWS = 8192
"""Rows tokenised at once: enough to keep every core busy, little enough to stay small."""
BLOCK_NUMBERS = 1 << 18
"""Numbers that are moved from file to file at once."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What the length limit took; ``answer_tokens_cut``: of ``tokens_cut`` those of what a model is to say.

    ``one_by_one``: texts were read one by one, since their words, read at once, came out otherwise.
    """

    limit: int
    rows: int
    tokens_cut: int
    tokens_total: int
    answer_tokens_cut: int = 0
    one_by_one: bool = False

    def to_json(self) -> dict[str, int]:
        """As in data/ledger.json."""
        found = asdict(self)
        return found if found.pop("one_by_one") is False else {**found, "one_by_one": True}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some sequences that follow one another, as a task's tokenising yields them.

    - ``ids``: all their tokens; ``lengths`` (s,): tokens of each sequence.
    - ``second`` (s,): where a second text starts within each, -1 for none; None where no sequence has one.
    - ``rows`` (s,): the row each sequence came from, ascending; None where every sequence is the next row.
    - ``places`` (t, 2): characters of the row's text that each token stands for, start and end; -1 for
      tokens that stand for none. None where no task asks.
    - ``weights`` (t,): how much each token counts where it is what a language model is to say; 0 for what is
      only read. None where no task asks.
    - ``words`` (t,): the number of the word in its sequence that a token belongs to; -1 for none.
    """

    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    second: NDArray[np.int32] | None = None
    rows: NDArray[np.int64] | None = None
    places: NDArray[np.int32] | None = None
    weights: NDArray[np.float32] | None = None
    words: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of S sequences, one after the other.

    - ``ids`` (N,) uint32: all tokens; sequence i is ``ids[offsets[i]:offsets[i + 1]]``.
    - ``offsets`` (S + 1,) int64.
    - ``second`` (S,) int32: where the second text of a pair starts within the sequence; -1 for none.
    - ``parts``: sequences that belong together and are trained and batched as one *unit*: 1, or the texts
      of a row that a bi-encoder reads apart.
    - ``rows`` (S,) int64: the row of each sequence, where a long row has several; None where unit i is row i.
    - ``places`` (N, 2) int32, ``weights`` (N,) float32, ``words`` (N,) int32: see :class:`Piece`; None where
      no task asks.
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]
    second: NDArray[np.int32]
    cut: Cut
    parts: int = 1
    rows: NDArray[np.int64] | None = None
    places: NDArray[np.int32] | None = None
    weights: NDArray[np.float32] | None = None
    words: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        """Units."""
        return self.num_sequences // self.parts

    @property
    def num_sequences(self) -> int:
        """S."""
        return len(self.offsets) - 1

    @property
    def num_windowed(self) -> int:
        """Rows that several sequences hold."""
        if self.rows is None or self.parts > 1:
            return 0
        return int((np.unique(self.rows, return_counts=True)[1] > 1).sum())

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(U,) tokens per unit."""
        return np.diff(self.offsets[:: self.parts])

    @property
    def num_tokens(self) -> int:
        """All tokens of all sequences."""
        return int(self.offsets[-1])

    def row(self, number: int) -> NDArray[np.uint32]:
        """The token ids of one sequence."""
        return self.ids[self.offsets[number] : self.offsets[number + 1]]

    def sequences(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the sequences of ``units``, unit by unit."""
        if self.parts == 1:
            return units
        return (units[:, None] * self.parts + np.arange(self.parts)).ravel()

    def units_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the units that came from ``rows`` (ascending), in order."""
        if self.rows is None:
            return rows
        return np.flatnonzero(np.isin(self.rows[:: self.parts], rows))

    def of_rows(self, rows: NDArray[np.int64]) -> Encoded:
        """Only what came from ``rows`` (ascending), which are counted anew from 0; in memory."""
        sequences = self.sequences(self.units_of(rows))
        tokens = token_numbers(self.offsets, sequences)
        lengths = np.diff(self.offsets)[sequences]
        return Encoded(
            np.asarray(self.ids[tokens]),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            np.asarray(self.second[sequences]),
            self.cut,
            self.parts,
            None if self.rows is None else np.searchsorted(rows, self.rows[sequences]),
            **{name: np.asarray(column[tokens]) for name, column in self.by_token.items()},
        )

    @property
    def by_token(self) -> dict[str, NDArray[Any]]:
        """What a task asked to be kept of every token beside its id."""
        return {name: column for name in BY_TOKEN if (column := getattr(self, name)) is not None}

    def used(self, vocabulary_size: int) -> NDArray[np.int64]:
        """Distinct token ids that occur, ascending."""
        seen = np.zeros(vocabulary_size, dtype=bool)
        for start in range(0, len(self.ids), 1 << 20):
            seen[self.ids[start : start + (1 << 20)]] = True
        return np.flatnonzero(seen)


def token_numbers(offsets: NDArray[np.int64], sequences: NDArray[np.int64]) -> NDArray[np.int64]:
    """(t,) numbers of all tokens of ``sequences``, sequence by sequence."""
    return spread(offsets[sequences], np.diff(offsets)[sequences])


BY_TOKEN: dict[str, Any] = {"places": np.int32, "weights": np.float32, "words": np.int32}
"""Columns of :class:`Encoded` with an entry a token, and the kind of numbers in each."""

TextBlocks = Iterable[tuple[Sequence[str], Sequence[str] | None]]
"""Blocks of texts, and of their second texts where rows are pairs."""


def encode(
    tokenizer: Any,
    blocks: TextBlocks,
    limit: int,
    into: Path | None,
    progress: Callable[[int], None] | None = None,
    at_once: bool = True,
) -> Encoded:
    """Tokenise ``blocks`` with the special tokens of ``tokenizer``; cut rows to ``limit`` tokens.

    A single text is cut at its end; a pair loses tokens from its longer text first.

    :param tokenizer: a fast tokenizer of transformers.
    :param into: a folder to write memory-mapped arrays to; None keeps them in memory.
    :param progress: receives the number of rows done.
    :param at_once: as of :class:`whet.batches.tokenising.Reader`.
    """
    counted = Counted(limit)
    return gather(_pieces(Reader(tokenizer, limit, at_once), blocks, counted, progress), counted, into)


@dataclass(slots=True)
class Counted:
    """What the length limit took, counted while pieces are made."""

    limit: int
    rows: int = 0
    tokens_cut: int = 0
    tokens_total: int = 0
    answer_tokens_cut: int = 0
    one_by_one: bool = False

    def add(self, read: Read, reader: Reader, parts: int = 1) -> None:
        """Count sequences, of which so many are a row."""
        self.one_by_one = reader.differed
        self.rows += int((read.whole > read.lengths).reshape(-1, parts).any(axis=1).sum())
        self.tokens_total += int(read.whole.sum())
        self.tokens_cut += int((read.whole - read.lengths).sum())

    @property
    def cut(self) -> Cut:
        """The same, for the ledger."""
        return Cut(self.limit, self.rows, self.tokens_cut, self.tokens_total, self.answer_tokens_cut, self.one_by_one)


def gather(pieces: Iterable[Piece], counted: Counted, into: Path | None, parts: int = 1) -> Encoded:
    """Put ``pieces`` one after the other: in memory, or memory-mapped in the folder ``into``."""
    if into is None:
        kept: list[Piece] = list(pieces)
        ids = np.concatenate([piece.ids for piece in kept]) if kept else np.zeros(0, np.uint32)
        return Encoded(ids, _offsets(kept), _second(kept), counted.cut, parts, _rows(kept), **_by_token(kept))
    with folder_beside(into) as inside:
        _written(pieces, inside)
        about = {**counted.cut.to_json(), "parts": parts}
        (inside / "cut.json").write_text(json.dumps(about), encoding="utf-8")
    return load(into)


def _written(pieces: Iterable[Piece], inside: Path) -> None:
    """Every column of ``pieces`` as a file, whatever their number in little memory."""
    sinks: dict[str, BinaryIO] = {}
    with contextlib.ExitStack() as files:
        for piece in pieces:
            for name, column in _columns(piece):
                if name not in sinks:
                    sinks[name] = files.enter_context((inside / f"{name}.bin").open("wb"))
                sinks[name].write(column.tobytes())
    for name in ("ids", "lengths", "second"):
        (inside / f"{name}.bin").touch()  # there may be no row at all
    _as_npy(inside / "lengths.bin", inside / "offsets.npy", np.int64, summed=True)
    _as_npy(inside / "second.bin", inside / "second.npy", np.int32)
    if "rows" in sinks:
        _as_npy(inside / "rows.bin", inside / "rows.npy", np.int64)


def _columns(piece: Piece) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, kind in {"ids": np.uint32, "lengths": np.int64, "rows": np.int64, **BY_TOKEN}.items():
        column = getattr(piece, name)
        if column is not None:
            yield name, np.ascontiguousarray(column, kind)
    yield "second", _second([piece])


def _as_npy(source: Path, to: Path, kind: Any, summed: bool = False) -> None:
    """Move bare numbers into a file that NumPy opens; ``summed``: 0 and their sums so far."""
    number = source.stat().st_size // np.dtype(kind).itemsize
    with source.open("rb") as numbers, to.open("wb") as file:
        about = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False}
        np.lib.format.write_array_header_1_0(file, {**about, "shape": (number + summed,)})
        last = np.zeros(int(summed), kind)
        file.write(last.tobytes())
        while len(some := np.fromfile(numbers, kind, BLOCK_NUMBERS)):
            if summed:
                some = np.cumsum(some) + last
                last = some[-1:]
            file.write(some.tobytes())
    source.unlink()


def _by_token(pieces: Sequence[Piece]) -> dict[str, NDArray[Any]]:
    found = {name: [column for piece in pieces if (column := getattr(piece, name)) is not None] for name in BY_TOKEN}
    return {name: np.concatenate(columns) for name, columns in found.items() if columns}


def _offsets(pieces: Sequence[Piece]) -> NDArray[np.int64]:
    return np.cumsum(np.concatenate([np.zeros(1, np.int64), *(piece.lengths for piece in pieces)]))


def _second(pieces: Sequence[Piece]) -> NDArray[np.int32]:
    found = [np.full(len(p.lengths), -1, np.int32) if p.second is None else p.second for p in pieces]
    return np.concatenate(found) if found else np.zeros(0, np.int32)


def _rows(pieces: Sequence[Piece]) -> NDArray[np.int64] | None:
    found = [piece.rows for piece in pieces if piece.rows is not None]
    return np.concatenate(found) if found else None


def load(folder: Path) -> Encoded:
    """Open what :func:`encode` or :func:`gather` wrote, memory-mapped."""
    arrays = {
        name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("offsets", "second", "rows")
        if (folder / f"{name}.npy").exists()
    }
    about = json.loads((folder / "cut.json").read_text(encoding="utf-8"))
    parts = int(about.pop("parts", 1))
    columns = {name: _mapped(folder / f"{name}.bin", kind) for name, kind in BY_TOKEN.items()}
    if columns["places"] is not None:
        columns["places"] = columns["places"].reshape(-1, 2)
    return Encoded(
        _mapped(folder / "ids.bin", np.uint32),
        arrays["offsets"],
        arrays["second"],
        Cut(**about),
        parts,
        arrays.get("rows"),
        **columns,
    )


def _mapped(path: Path, kind: Any) -> Any:
    if not path.exists():
        return None
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.zeros(0, kind)


def _pieces(
    reader: Reader, blocks: TextBlocks, counted: Counted, progress: Callable[[int], None] | None
) -> Iterator[Piece]:
    done = 0
    for texts, pairs in blocks:
        read = reader.read(texts, pairs)
        counted.add(read, reader)
        yield Piece(read.ids, read.lengths, read.second)
        done += len(read.lengths)
        if progress:
            progress(done)
