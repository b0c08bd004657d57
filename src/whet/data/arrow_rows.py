"""Parquet and Arrow files by record batch; also the names behind the numbers of a label column."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from whet.data.csv_rows import refuse_repeated
from whet.data.rows import ROWS_PER_BLOCK, Block, Opened, Told
from whet.data.sources import SourceFile
from whet.errors import Problem, UserError

Batches = Callable[[Sequence[str] | None], Iterator[pa.RecordBatch]]
"""Starts a pass over a file's record batches, with only some columns where names are given."""

_TROUBLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises on a damaged file."""


def open_parquet(file: SourceFile, told: Told) -> Opened:
    """A Parquet file.

    :raises UserError: D003 no rows, D014 two columns of one name, D017 cut short or damaged.
    """
    import pyarrow.parquet as pq

    _refuse_cut_short(file, b"PAR1", 4)
    with _explained(file):
        opened = pq.ParquetFile(file.path, pre_buffer=False)
        schema, num_rows = opened.schema_arrow, opened.metadata.num_rows

    def batches(wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        done = 0
        for batch in opened.iter_batches(batch_size=ROWS_PER_BLOCK, columns=wanted):
            yield batch
            done += batch.num_rows
            told(f"reading {file.name}", done, num_rows)

    return open_batches(file, schema, batches)


def open_arrow(file: SourceFile, told: Told) -> Opened:
    """An Arrow file (also Feather version 2) or an Arrow stream, as ``datasets`` saves them.

    :raises UserError: D003 no rows, D014 two columns of one name, D017 cut short or damaged.
    """
    with file.path.open("rb") as raw:
        is_stream = raw.read(6) != b"ARROW1"
    if not is_stream:
        _refuse_cut_short(file, b"ARROW1", 6)
    with _explained(file), pa.OSFile(str(file.path)) as raw:
        schema = (pa.ipc.open_stream(raw) if is_stream else pa.ipc.open_file(raw)).schema

    def batches(wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        done = 0
        # No memory map: if somebody cuts a mapped file short, the whole process dies with SIGBUS.
        with pa.OSFile(str(file.path)) as raw:
            reader = pa.ipc.open_stream(raw) if is_stream else pa.ipc.open_file(raw)
            every = reader if is_stream else (reader.get_batch(i) for i in range(reader.num_record_batches))
            for batch in every:
                yield batch if wanted is None else batch.select(wanted)
                done += batch.num_rows
                told(f"reading {file.name}", done, None)

    return open_batches(file, schema, batches)


def _refuse_cut_short(file: SourceFile, magic: bytes, num_bytes: int) -> None:
    with file.path.open("rb") as raw:
        begins = raw.read(num_bytes) == magic
        raw.seek(max(0, file.path.stat().st_size - num_bytes))
        ends = raw.read(num_bytes) == magic
    if not begins:
        raise UserError(Problem("D017", str(file.path), f"is not a {file.format} file by its content."))
    if not ends or file.path.stat().st_size < 2 * num_bytes + 4:
        what = f"is a {file.format} file that was cut short: its last part is missing."
        raise UserError(Problem("D017", str(file.path), what, "Copy or download it again."))


@contextlib.contextmanager
def _explained(file: SourceFile) -> Iterator[None]:
    """Turn what pyarrow says about a damaged file into D017."""
    try:
        yield
    except _TROUBLE as error:
        raise damaged(file.path, error) from None


def damaged(path: object, error: BaseException) -> UserError:
    """The error for a binary file that cannot be read on."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
    return UserError(Problem("D017", str(path), f"is damaged: {first}.", "Write, copy or download it again."))


def open_batches(file: SourceFile, schema: pa.Schema, batches: Batches) -> Opened:
    """The common way from record batches to blocks.

    :raises UserError: D003 no rows, D014 two columns of one name, D017 damaged.
    """
    with _explained(file):
        columns = [str(name) for name in schema.names]
        refuse_repeated(columns, file.name)
        names = class_names(schema)
        first = next((batch for batch in batches(None) if batch.num_rows), None)
        if first is None:
            raise UserError(Problem("D003", file.name, "has no rows.", "Give one row per text."))
        first.validate(full=True)
        sample = {name: _values(first.slice(0, ROWS_PER_BLOCK), name, names) for name in columns}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        begin = 1
        passed = batches(wanted)
        while True:
            with _explained(file):
                batch = next(passed, None)
                if batch is None:
                    return
                # Corrupt offsets would otherwise be followed blindly.
                batch.validate(full=True)
            for offset in range(0, batch.num_rows, ROWS_PER_BLOCK):
                yield _block(file, batch.slice(offset, ROWS_PER_BLOCK), begin + offset, names)
            begin += batch.num_rows

    return Opened(columns, sample, blocks)


def _block(file: SourceFile, batch: pa.RecordBatch, begin: int, names: dict[str, list[str]]) -> Block:
    def column(name: str) -> list[Any]:
        with _explained(file):
            return _values(batch, name, names)

    return Block(range(begin, begin + batch.num_rows), column)


def _values(batch: pa.RecordBatch, name: str, names: dict[str, list[str]]) -> list[Any]:
    """A column as Python values; one of a kind that no form uses becomes a column of empty mappings."""
    column = batch.column(batch.schema.names.index(name))
    if not _readable(column.type):
        return [{}] * len(column)
    values: list[Any] = column.to_pylist()
    if name in names:
        return [_named(value, names[name]) for value in values]
    return values


def _readable(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _readable(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _readable(kind.value_type)
    if types.is_struct(kind):
        return all(_readable(kind.field(number).type) for number in range(kind.num_fields))
    string = types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view"
    return bool(
        string or types.is_integer(kind) or types.is_boolean(kind) or types.is_floating(kind) or types.is_null(kind)
    )


def _named(value: Any, names: list[str]) -> Any:
    """The name behind a number; -1 is how hub data sets say that the label is not known."""
    if isinstance(value, list):
        return [_named(part, names) for part in value]
    if value is None or value == -1:
        return None
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else value


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Label names by column, from the description that ``datasets`` leaves in a schema; else empty."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: _class_label(feature) for column, feature in features.items()}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {column: names for column, names in found.items() if names}


def _class_label(feature: Any) -> list[str] | None:
    if isinstance(feature, list) and len(feature) == 1:
        return _class_label(feature[0])
    if not isinstance(feature, dict):
        return None
    if feature.get("_type") in ("Sequence", "List", "LargeList"):
        return _class_label(feature.get("feature"))
    names = feature.get("names")
    return [str(name) for name in names] if feature.get("_type") == "ClassLabel" and isinstance(names, list) else None
