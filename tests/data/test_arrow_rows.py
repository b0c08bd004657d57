from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.labelled_reading import read
from tests.data.made import all_rows, csv_bytes, put, refused, rows

TEXTS = [text for text, _ in rows(40)]
LABELS = [label for _, label in rows(40)]


def write(path, table, batch_rows=7):
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=batch_rows)
    elif path.suffix == ".feather":
        import pyarrow.feather

        pyarrow.feather.write_feather(table, str(path))
    else:
        with pa.OSFile(str(path), "wb") as sink:
            opener = pa.ipc.new_stream if path.stem == "stream" else pa.ipc.new_file
            with opener(sink, table.schema) as writer:
                writer.write_table(table, max_chunksize=batch_rows)
    return path


def described(names, kind):
    """Metadata as the datasets library leaves it."""
    feature = {"names": names, "_type": "ClassLabel"}
    feature = feature if kind == "one" else {"feature": feature, "_type": "List"}
    return {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow", "a.feather"])
def test_rows_and_their_numbers(tmp_path, name):
    found = read(write(tmp_path / name, pa.table({"text": TEXTS, "label": LABELS})), into=tmp_path / "out")
    assert sorted(zip(all_rows(found, "line"), all_rows(found), all_rows(found, "label"), strict=True)) == [
        (number, text, label) for number, (text, label) in enumerate(rows(40), start=1)
    ]


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (pa.array(LABELS).dictionary_encode(), ("ham", "spam")),
        (pa.array(LABELS, pa.large_string()), ("ham", "spam")),
        (pa.array([n % 11 for n in range(40)], pa.int8()), tuple(map(str, range(11)))),
        (pa.array([n % 2 == 0 for n in range(40)]), ("false", "true")),
        (pa.array([float(n % 2) for n in range(40)]), ("0", "1")),
    ],
)
@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_kinds_of_label_columns(tmp_path, name, column, labels):
    found = read(write(tmp_path / name, pa.table({"text": TEXTS, "label": column})), into=tmp_path / "out")
    assert (found.labels, found.multi_label) == (labels, False)


def test_several_labels_a_row(tmp_path):
    column = pa.array([["b", "a"] if n % 3 else ([] if n % 2 else ["c"]) for n in range(40)])
    found = read(write(tmp_path / "a.parquet", pa.table({"text": TEXTS, "label": column})), into=tmp_path / "out")
    assert (found.labels, found.multi_label) == (("a", "b", "c"), True)
    ids = {name: examples.label_ids(found.labels) for name, examples in found.splits.items()}
    assert sum(part.sum() for part in ids.values()) == sum(map(len, column.to_pylist()))


def test_numbers_have_names_where_the_schema_gives_them(tmp_path):
    table = pa.table({"text": TEXTS, "label": [n % 2 for n in range(40)]}).replace_schema_metadata(
        described(["no", "yes"], "one")
    )
    assert read(write(tmp_path / "a.parquet", table), into=tmp_path / "one").labels == ("no", "yes")
    column = [[n % 2, 1] for n in range(40)]
    table = pa.table({"text": TEXTS, "label": column}).replace_schema_metadata(described(["no", "yes"], "several"))
    found = read(write(tmp_path / "b.arrow", table), into=tmp_path / "two")
    assert (found.labels, found.multi_label) == (("no", "yes"), True)


def test_minus_one_is_how_the_hub_says_unknown(tmp_path):
    table = pa.table({"text": TEXTS, "label": [-1 if n < 3 else n % 2 for n in range(40)]})
    table = table.replace_schema_metadata(described(["no", "yes"], "one"))
    (problem,) = refused(write(tmp_path / "a.parquet", table))
    assert (problem.code, "3 rows have no label" in problem.what, "(line 1, 2, 3)" in problem.what) == (
        "D030",
        True,
        True,
    )


def test_a_null_text_is_an_empty_one(tmp_path):
    table = pa.table({"text": [None, *TEXTS[1:]], "label": LABELS})
    found = read(write(tmp_path / "a.parquet", table), into=tmp_path / "out")
    (dropped,) = found.ledger["train"].dropped
    assert (dropped.code, dropped.count, dropped.places) == ("A001", 1, ["a.parquet:1"])


def test_a_text_column_of_numbers(tmp_path):
    table = pa.table({"text": list(range(40)), "label": LABELS})
    assert refused(write(tmp_path / "a.parquet", table))[0].code == "D023"


def test_columns_of_other_kinds_are_no_obstacle(tmp_path):
    other = pa.array([{"a": 1}] * 40)
    when = pa.array([2**40] * 40, pa.timestamp("s"))
    found = read(
        write(tmp_path / "a.parquet", pa.table({"x": other, "t": when, "text": TEXTS, "label": LABELS})),
        into=tmp_path / "o",
    )
    assert len(all_rows(found)) == 40


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "stream.arrow"])
def test_a_file_cut_short_anywhere(tmp_path, name):
    path = write(tmp_path / name, pa.table({"text": TEXTS, "label": LABELS}))
    whole = path.read_bytes()
    for size in (1, 5, 11, len(whole) // 3, len(whole) // 2, len(whole) - 300):
        path.write_bytes(whole[:size])
        (problem,) = refused(path)
        assert problem.code == "D017", size
    path.write_bytes(whole[: len(whole) // 2])
    if name != "stream.arrow":
        assert "cut short" in refused(path)[0].what


def test_something_else_under_the_name(tmp_path):
    assert refused(put(tmp_path, "a.parquet", csv_bytes(rows(20))))[0].code == "D017"
    assert refused(put(tmp_path, "a.arrow", csv_bytes(rows(20))))[0].code == "D017"
    assert refused(put(tmp_path, "b.parquet", b""))[0].code == "D002"


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_no_rows_and_repeated_names(tmp_path, name):
    empty = pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())})
    assert refused(write(tmp_path / name, empty))[0].code == "D003"
    twice = pa.Table.from_arrays([pa.array(TEXTS), pa.array(LABELS)], names=["text", "text"])
    assert refused(write(tmp_path / name, twice))[0].code == "D014"


def test_bytes_that_are_no_text(tmp_path):
    column = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    table = pa.table({"text": pa.chunked_array([column] * 40), "label": LABELS})
    assert refused(write(tmp_path / "a.arrow", table))[0].code == "D017"
