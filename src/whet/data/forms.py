"""The rows of one split in a memory-mapped Arrow file.

Columns of every form: ``id`` int64 (0..n-1 in this split), ``line`` int64 (in the source file, from 1),
``hash`` uint64 (of the normalised input), ``text``; ``text_pair`` where a row has two texts; ``group``
where the user named what rows have in common. What is true of a row is the form's own
(:mod:`whet.data.row_form`): ``label`` (a string, or a list of strings where a row may carry several),
``spans``, ``answers``, ``score``; absent in rows that only want a prediction. Each record batch carries
the name of the file its rows came from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whet.data.normal import hashes, raw_hashes
from whet.errors import Problem, UserError
from whet.files import beside

SPLIT_NAMES = ("train", "validation", "test")


SHARED = (("id", pa.int64()), ("line", pa.int64()), ("hash", pa.uint64()), ("text", pa.string()))
"""Columns of every form."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which columns the rows have beside those of :data:`SHARED`: names and Arrow types, in order."""

    more: tuple[tuple[str, pa.DataType], ...] = (("label", pa.string()),)

    @staticmethod
    def labelled_rows(pairs: bool = False, labelled: bool = True, multi_label: bool = False) -> Shape:
        """Texts or pairs, with one label or several."""
        label = (("label", pa.list_(pa.string()) if multi_label else pa.string()),) if labelled else ()
        return Shape(((("text_pair", pa.string()),) if pairs else ()) + label)

    @staticmethod
    def of(schema: pa.Schema) -> Shape:
        """The shape of a file that was written here."""
        shared = {name for name, _ in SHARED}
        return Shape(tuple((field.name, field.type) for field in schema if field.name not in shared))

    def having(self, name: str, kind: pa.DataType) -> Shape:
        """The same with one more column."""
        return Shape((*self.more, (name, kind)))

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return any(name == column for column, _ in self.more)

    @property
    def pairs(self) -> bool:
        """Whether each row has two texts."""
        return self.has("text_pair")

    @property
    def labelled(self) -> bool:
        """Whether rows have a label column."""
        return self.has("label")

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels, or none."""
        return any(name == "label" and pa.types.is_list(kind) for name, kind in self.more)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the file."""
        return pa.schema([*SHARED, *self.more])


class Examples:
    """The rows of one split. Nothing of them is held but a map of the file; n rows, C labels."""

    def __init__(
        self, split: str, path: Path, schema: pa.Schema, batches: Sequence[pa.RecordBatch], files: Sequence[str]
    ) -> None:
        self.split = split
        self.path = path
        self._batches = list(batches)
        self._files = list(files)
        self._starts = np.cumsum([0, *(batch.num_rows for batch in batches)])
        self.shape = Shape.of(schema)

    @staticmethod
    def open(path: Path, split: str | None = None) -> Examples:
        """Map a file that was written here.

        :param split: its name; the file's own without ending if not given.
        :raises UserError: F010 missing, F011 damaged.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            found = [reader.get_batch_with_custom_metadata(number) for number in range(reader.num_record_batches)]
        except FileNotFoundError:
            raise UserError(Problem("F010", str(path), "is missing.", "Run 'whet resume' on the run folder.")) from None
        except (pa.ArrowException, OSError) as error:
            raise UserError(Problem("F011", str(path), f"is damaged: {error}.", "Delete it and run again.")) from None
        files = [(about or {}).get(b"file", b"").decode() for _, about in found]
        return Examples(split or path.stem, path, reader.schema, [batch for batch, _ in found], files)

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def has_pairs(self) -> bool:
        """Whether each row has two texts."""
        return self.shape.pairs

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels, or none."""
        return self.shape.multi_label

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, at most some thousands at once."""
        yield from self._batches

    def column_blocks(self, names: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
        """The rows in order, block by block, by column; of ``names``, those that the rows have."""
        known = [name for name in names if name == "text" or self.shape.has(name)]
        for batch in self._batches:
            yield {name: batch[name].to_pylist() for name in known}

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Examples:
        """Only ``rows``, in the order asked for; they keep their ids, lines and hashes."""
        columns = [*(name for name, _ in SHARED), *(name for name, _ in self.shape.more)]
        values = [
            pa.array(self.rows(rows, name), kind) for name, kind in zip(columns, self.shape.schema.types, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(values, schema=self.shape.schema)
        return Examples(self.split, self.path, self.shape.schema, [batch], [self._files[0] if self._files else ""])

    @staticmethod
    def of(columns: dict[str, list[Any]], shape: Shape, split: str = "predict") -> Examples:
        """Rows in memory, by column: ``text`` and the shape's own columns."""
        number = len(columns["text"])
        shared = {
            "id": np.arange(number),
            "line": np.arange(1, number + 1),
            "hash": hashes(columns["text"], columns.get("text_pair")),
        }
        values = {**shared, **columns}
        arrays = [_array(values[field.name], field.type) for field in shape.schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=shape.schema)
        return Examples(split, Path(), shape.schema, [batch], [""])

    def files(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The same with the name of the source file of each block."""
        yield from zip(self._files, self._batches, strict=True)

    def rows(self, indices: Sequence[int] | NDArray[np.int64], column: str) -> list[Any]:
        """The values of one column at ``indices``, in the order asked for."""
        wanted = np.asarray(indices, dtype=np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows 0 to {len(self) - 1} exist")
        order = np.argsort(wanted, kind="stable")
        numbers = np.searchsorted(self._starts, wanted[order], side="right") - 1
        values: list[Any] = [None] * len(wanted)
        for number in np.unique(numbers):
            here = order[numbers == number]
            taken = self._batches[number][column].take(pa.array(wanted[here] - self._starts[number]))
            for place, value in zip(here, taken.to_pylist(), strict=True):
                values[place] = value
        return values

    def texts(self, indices: Sequence[int] | NDArray[np.int64]) -> list[str]:
        """First texts at ``indices``."""
        return self.rows(indices, "text")

    def pairs(self, indices: Sequence[int] | NDArray[np.int64]) -> list[str] | None:
        """Second texts at ``indices``; None where rows have one text."""
        return self.rows(indices, "text_pair") if self.has_pairs else None

    def numbers(self, column: str) -> NDArray[Any]:
        """A whole numeric column, (n,): ``id`` or ``line`` as int64, ``hash`` as uint64."""
        kind = np.uint64 if column == "hash" else np.int64
        parts = [batch[column].to_numpy() for batch in self._batches]
        return np.concatenate(parts).astype(kind, copy=False) if parts else np.zeros(0, dtype=kind)

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """(n,) hash of each row's normalised input."""
        return self.numbers("hash")

    @property
    def groups(self) -> NDArray[np.uint64] | None:
        """(n,) hash of what each row's group is called; None where rows have no groups."""
        if not self.shape.has("group"):
            return None
        # as they stand: customers 12 and 34 are two
        return np.concatenate([raw_hashes(batch["group"].to_pylist()) for batch in self._batches] or [self.hashes])

    def column(self, name: str) -> list[Any]:
        """A whole column as Python values, (n,); for forms whose truth is small."""
        return [value for batch in self._batches for value in batch[name].to_pylist()]

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n,) the number that is true of each row."""
        return np.asarray(self.column("score"), dtype=np.float64)

    def joined_blocks(self) -> Iterator[list[str]]:
        """The texts of each block; those of a pair joined by a line break."""
        for block in self.column_blocks(["text", "text_pair"]):
            if "text_pair" not in block:
                yield block["text"]
            else:
                yield [f"{one}\n{other}" for one, other in zip(block["text"], block["text_pair"], strict=True)]

    def place(self, index: int) -> str:
        """``"tickets.csv:17"``: file and line of a row."""
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        line = self._batches[number]["line"][int(index - self._starts[number])].as_py()
        return f"{self._files[number]}:{line}"

    def vocabulary(self) -> tuple[str, ...]:
        """All labels that occur: numbers by value, anything else in the order of its code points."""
        found: set[str] = set()
        for batch in self._batches:
            found.update(pc.unique(_flat(batch["label"])).to_pylist())
        return in_order(found)

    def label_ids(self, labels: Sequence[str]) -> NDArray[Any]:
        """Positions in ``labels``: (n,) int64, or (n, C) bool with several labels.

        A label that is not listed is -1, or no column.
        """
        known = pa.array(list(labels), pa.string())
        if self.multi_label:
            several = np.zeros((len(self), len(labels)), dtype=bool)
            for start, batch in zip(self._starts, self._batches, strict=False):
                rows = np.repeat(np.arange(batch.num_rows), pc.list_value_length(batch["label"]).to_numpy())
                ids = pc.index_in(_flat(batch["label"]), value_set=known).to_numpy(zero_copy_only=False)
                listed = ~np.isnan(ids.astype(float))
                several[start + rows[listed], ids[listed].astype(np.int64)] = True
            return several
        single = np.empty(len(self), dtype=np.int64)
        for start, batch in zip(self._starts, self._batches, strict=False):
            ids = pc.fill_null(pc.index_in(batch["label"], value_set=known), -1)
            single[start : start + batch.num_rows] = ids.to_numpy(zero_copy_only=False)
        return single

    def label_counts(self, labels: Sequence[str]) -> NDArray[np.int64]:
        """(C,) how many rows carry each of ``labels``."""
        ids = self.label_ids(labels)
        return ids.sum(axis=0) if self.multi_label else np.bincount(ids[ids >= 0], minlength=len(labels))


def _flat(column: pa.Array) -> pa.Array:
    return column.flatten() if pa.types.is_list(column.type) else column


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Labels in their stored order: by value if all are whole numbers, else by code point."""
    if all(label.removeprefix("-").isdecimal() and label.isascii() and len(label) < 19 for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


class ExamplesWriter:
    """Writes the file of one split, block by block; ids are counted here."""

    def __init__(self, sink: BinaryIO, shape: Shape) -> None:
        self.shape = shape
        self.rows = 0
        self._writer = pa.ipc.new_file(sink, shape.schema)

    def write_rows(self, file: str, lines: Sequence[int], columns: dict[str, list[Any]]) -> None:
        """Append the rows of one block, given by column; hashes are made here."""
        found = {"line": lines, "hash": hashes(columns["text"], columns.get("text_pair")), **columns}
        self.append(file, found)

    def append(self, file: str, columns: dict[str, Any]) -> None:
        """Append rows given by column; all of the shape's but ``id``."""
        count = len(columns["line"])
        if not count:
            return
        values = columns | {"id": np.arange(self.rows, self.rows + count)}
        arrays = [_array(values[field.name], field.type) for field in self.shape.schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.shape.schema)
        self._writer.write_batch(batch, custom_metadata={"file": file})
        self.rows += count

    def close(self) -> None:
        """Write the file's end; without it the file is not one."""
        self._writer.close()


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


@contextlib.contextmanager
def writing(path: Path, shape: Shape) -> Iterator[ExamplesWriter]:
    """A writer whose file appears whole when the block ends well."""
    with beside(path) as sink:
        writer = ExamplesWriter(sink, shape)
        yield writer
        writer.close()


def distribute(source: Examples, parts: NDArray[np.int8], targets: Sequence[Path]) -> None:
    """Copy each row to the file of its part, in order, with new ids.

    :param parts: (n,) position in ``targets`` of every row.
    """
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(writing(path, source.shape)) for path in targets]
        start = 0
        for file, batch in source.files():
            here = parts[start : start + batch.num_rows]
            for number, writer in enumerate(writers):
                chosen = batch.filter(pa.array(here == number))
                writer.append(file, {name: chosen[name] for name in batch.schema.names if name != "id"})
            start += batch.num_rows


def open_splits(folder: Path) -> dict[str, Examples]:
    """The splits that stand in the data folder of a run."""
    paths = [(name, folder / f"{name}.arrow") for name in SPLIT_NAMES]
    return {name: Examples.open(path, name) for name, path in paths if path.exists()}
