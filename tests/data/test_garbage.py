"""Whatever stands in a file: either a UserError, or every row is accounted for. Nothing else is raised."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.labelled_reading import read, read_unlabelled
from tests.data.made import csv_bytes, json_lines, rows
from whet.errors import UserError

TEXT_FORMATS = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.csv.gz", "a.jsonl.zst"]
few = settings(max_examples=40)


def taken(name, content, **named):
    """What reading gives: the rows kept and dropped, or None if it was refused with a reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            if name.endswith(".txt"):
                ledger = {"all": read_unlabelled(path, into=Path(folder) / "out").ledger}
            else:
                ledger = read(path, into=Path(folder) / "out", **named).ledger
        except UserError as error:
            assert error.num_problems >= len(error.problems) >= 1
            assert all(problem.code[0] in "DF" and problem.what and problem.where for problem in error.problems)
            return None
    for entry in ledger.values():
        assert entry.read == entry.kept + sum(dropped.count for dropped in entry.dropped)
    return sum(entry.read for entry in ledger.values())


@few
@given(st.sampled_from(TEXT_FORMATS), st.binary(max_size=200))
def test_any_bytes(name, content):
    taken(name, content)


@few
@given(st.sampled_from(TEXT_FORMATS[:5]), st.text(alphabet="ab,;\t\"\n\r'\\{}[]:é\ufeff 01", max_size=120))
def test_any_text(name, content):
    taken(name, content.encode())


@few
@given(st.binary(max_size=60), st.integers(0, 400), st.sampled_from(["a.csv", "a.jsonl", "a.json"]))
def test_good_files_with_something_thrown_in(junk, place, name):
    good = csv_bytes(rows(20)) if name == "a.csv" else json_lines([{"text": t, "label": x} for t, x in rows(20)])
    taken(name, good[:place] + junk + good[place:])


@few
@given(
    st.lists(
        st.lists(
            st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8), max_size=4
        ),
        max_size=30,
    )
)
def test_every_row_of_a_well_formed_csv_counts(values):
    sink = io.StringIO()
    csv.writer(sink).writerows([["text", "label"], *values])
    read_rows = taken("a.csv", sink.getvalue().encode())
    if any(len(row) not in (0, 2) for row in values):
        assert read_rows is None
    elif read_rows is not None:
        assert read_rows == sum(len(row) == 2 for row in values)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "data", "x"]), inner),
    max_leaves=12,
)


@few
@given(json_values, st.sampled_from(["a.json", "a.jsonl"]), st.sampled_from([None, ";"]))
def test_any_json(value, name, separator):
    taken(name, json.dumps(value).encode(), label_separator=separator)


@few
@given(st.lists(json_values, max_size=14), st.lists(json_values, min_size=14, max_size=14))
def test_any_values_under_the_right_keys(texts, labels):
    values = [{"text": text, "label": label} for text, label in zip(texts, labels, strict=False)]
    good = [{"text": text, "label": label} for text, label in rows(20)]
    read_rows = taken("a.jsonl", json_lines([*good, *values]))
    assert read_rows in (None, 20 + len(values))


@pytest.fixture(scope="module")
def binaries():
    table = pa.table({"text": [text for text, _ in rows(60)], "label": [label for _, label in rows(60)]})
    found = {}
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=20)
    found["a.parquet"] = sink.getvalue()
    for name, opener in (("a.arrow", pa.ipc.new_file), ("b.arrow", pa.ipc.new_stream)):
        sink = io.BytesIO()
        with opener(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=20)
        found[name] = sink.getvalue()
    return found


@settings(max_examples=100)
@given(
    st.sampled_from(["a.parquet", "a.arrow", "b.arrow"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=4),
    st.booleans(),
)
def test_damaged_binary_files(binaries, name, place, junk, cut):
    good = binaries[name]
    at = int(place * (len(good) - 1))
    taken(name, good[:at] if cut else good[:at] + junk + good[at + len(junk) :])
