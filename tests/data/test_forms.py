from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.made import column_of, problems_of, split_of
from whet.data.forms import Examples, Shape, distribute, in_order, open_splits, writing
from whet.data.normal import hashes

VALUES = [("a", "x"), ("b", "y"), ("c", "x"), ("d", "z"), ("e", "y"), ("f", "x"), ("g", "x")]


@pytest.fixture
def examples(tmp_path):
    return split_of(tmp_path, "train", VALUES)


def test_columns(examples):
    assert len(examples) == 7
    assert column_of(examples, "id") == list(range(7))
    assert examples.numbers("line").tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert examples.hashes.tolist() == hashes([text for text, _ in VALUES]).tolist()
    assert next(examples.blocks()).schema.names == ["id", "line", "hash", "text", "label"]


def test_rows_in_the_order_asked_for(examples):
    assert examples.texts([6, 0, 3, 3]) == ["g", "a", "d", "d"]
    assert examples.texts(np.array([], dtype=np.int64)) == []
    assert examples.pairs([0]) is None
    with pytest.raises(IndexError):
        examples.texts([7])


def test_places_and_labels(examples):
    assert examples.place(4) == "made.csv:6"
    assert examples.vocabulary() == ("x", "y", "z")
    assert examples.label_ids(("x", "y", "z")).tolist() == [0, 1, 0, 2, 1, 0, 0]
    assert examples.label_ids(("y",)).tolist() == [-1, 0, -1, -1, 0, -1, -1]
    assert examples.label_counts(("z", "y", "x")).tolist() == [1, 2, 4]


def test_several_labels(tmp_path):
    examples = split_of(tmp_path, "train", [("a", ["x", "y"]), ("b", []), ("c", ["y"]), ("d", ["z", "x"])])
    assert examples.multi_label
    assert examples.vocabulary() == ("x", "y", "z")
    expected = [[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert examples.label_ids(("x", "y", "z")).tolist() == [[bool(value) for value in row] for row in expected]
    assert examples.label_ids(("z",)).tolist() == [[False], [False], [False], [True]]
    assert examples.label_counts(("x", "y", "z")).tolist() == [2, 2, 1]


def test_pairs(tmp_path):
    examples = split_of(tmp_path, "train", VALUES[:2], pairs=["p", "q"])
    assert (examples.has_pairs, examples.pairs([1, 0])) == (True, ["q", "p"])


def test_rows_of_two_files_know_theirs(tmp_path):
    with writing(tmp_path / "a.arrow", Shape()) as writer:
        writer.write_rows("one.csv", [2, 3], {"text": ["a", "b"], "label": ["x", "y"]})
        writer.write_rows("two.csv", [2], {"text": ["c"], "label": ["x"]})
        writer.write_rows("two.csv", [], {"text": [], "label": []})
    examples = Examples.open(tmp_path / "a.arrow")
    assert [examples.place(row) for row in range(3)] == ["one.csv:2", "one.csv:3", "two.csv:2"]
    assert (examples.split, column_of(examples, "id")) == ("a", [0, 1, 2])


def test_no_rows_still_have_a_shape(tmp_path):
    with writing(tmp_path / "a.arrow", Shape.labelled_rows(pairs=True, multi_label=True)):
        pass
    examples = Examples.open(tmp_path / "a.arrow")
    assert (len(examples), examples.has_pairs, examples.multi_label) == (0, True, True)
    assert (examples.vocabulary(), len(examples.hashes), examples.label_ids(("x",)).shape) == ((), 0, (0, 1))


def test_missing_and_damaged_files(tmp_path):
    assert problems_of(Examples.open, tmp_path / "a.arrow")[0].code == "F010"
    (tmp_path / "a.arrow").write_bytes(b"ARROW1 and nothing")
    assert problems_of(Examples.open, tmp_path / "a.arrow")[0].code == "F011"


def test_nothing_is_left_when_writing_fails(tmp_path):
    with pytest.raises(RuntimeError), writing(tmp_path / "a.arrow", Shape()):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=25)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=20), st.integers(1, 5))
def test_distributing_keeps_every_row_and_their_order(tmp_path_factory, parts, step):
    folder = tmp_path_factory.mktemp("a")
    values = [(f"text {number}", f"label {number}") for number in range(len(parts))]
    source = split_of(folder, "all", values, step=step)
    targets = [folder / f"{name}.arrow" for name in ("train", "validation", "test")]
    distribute(source, np.array(parts, dtype=np.int8), targets)
    splits = open_splits(folder)
    assert list(splits) == ["train", "validation", "test"]
    for number, examples in enumerate(splits.values()):
        rows = [row for row, part in enumerate(parts) if part == number]
        assert column_of(examples, "text") == [values[row][0] for row in rows]
        assert column_of(examples, "label") == [values[row][1] for row in rows]
        assert column_of(examples, "line") == [row + 2 for row in rows]
        assert column_of(examples, "id") == list(range(len(rows)))
        assert examples.hashes.tolist() == source.hashes[rows].tolist()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"10", "9", "-1"}, ("-1", "9", "10")),
        ({"10", "9", "a"}, ("10", "9", "a")),
        ({"b", "B", "ä", "a"}, ("B", "a", "b", "ä")),
        ({"01", "1"}, ("01", "1")),
        ({"²", "1"}, ("1", "²")),
        (set(), ()),
    ],
)
def test_the_order_of_labels(labels, expected):
    assert in_order(labels) == expected
