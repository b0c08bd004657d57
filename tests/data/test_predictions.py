from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.data.predictions import (
    AnswerPredictions,
    ClassPredictions,
    Lists,
    Predictions,
    RankPredictions,
    SpanPredictions,
    Spans,
    TextPredictions,
    ValuePredictions,
    load,
    save,
)
from whet.errors import UserError

ODD = "  Zoë 👩‍🔬\n\tΣ "


def shared(n: int) -> dict[str, Any]:
    hashes = np.arange(n, dtype=np.uint64) + np.uint64(2**64 - n - 1)
    return {"model": "run1/full", "split": "test", "ids": np.arange(n) * 3, "hashes": hashes}


def classes(n: int = 3) -> ClassPredictions:
    scores = np.tile(np.array([[0.25, 0.75]], dtype=np.float32), (n, 1))
    return ClassPredictions(**shared(n), labels=("a", ODD), gold=np.arange(n) % 2, scores=scores)


def several(n: int = 3) -> ClassPredictions:
    one = classes(n)
    gold = np.arange(2 * n).reshape(n, 2) % 3 == 0
    return replace(one, gold=gold, thresholds=np.array([0.5, 0.7], dtype=np.float32))


def spans(n: int = 3) -> SpanPredictions:
    gold = [[(0, 2, 1), (5, 9, 0)], [], [(1, 4, 0)]][:n]
    said = [[], [(0, 1, 0)], [(1, 4, 0), (4, 6, 1)]][:n]
    found = Spans.of(said)
    return SpanPredictions(
        **shared(n),
        labels=("drug", ODD),
        gold=Spans.of(gold),
        said=found,
        confidence=np.linspace(0.2, 0.9, len(found.starts)).astype(np.float32),
        seen=np.array([True, False, True])[: sum(map(len, gold))],
    )


def answers(n: int = 3) -> AnswerPredictions:
    return AnswerPredictions(
        **shared(n),
        gold=(("Paris", ODD), (), ("a", "b", "c"))[:n],
        said=(ODD, "", "b")[:n],
        starts=np.array([4, -1, 0], dtype=np.int32)[:n],
        confidence=np.array([0.5, 0.9, 0.1], dtype=np.float32)[:n],
        no_answer=np.array([0.25, 0.9, 0.0], dtype=np.float32)[:n],
        nbest=(((ODD, 4, 0.5), ("Paris", 0, 0.25)), (), (("b", 0, 0.125),))[:n],
    )


def values(n: int = 3) -> ValuePredictions:
    said = np.array([0.1, -2.5e300, 3.0])[:n]
    return ValuePredictions(**shared(n), gold=np.array([1 / 3, 0.0, 5.0])[:n], said=said, purpose="similarity")


def ranks(n: int = 3) -> RankPredictions:
    gold = [[(2**64 - 1, 2.0), (7, 0.0)], [(8, 1.0)], []][:n]
    said = [[(7, 0.75), (2**64 - 1, 0.5)], [], [(1, -3.0)]][:n]
    return RankPredictions(**shared(n), gold=Lists.of(gold), said=Lists.of(said))


def texts(n: int = 3) -> TextPredictions:
    return TextPredictions(
        **shared(n),
        gold=(("Paris", ODD), ("",), ("a", "b", "c"))[:n],
        said=(f"\n{ODD}", "x", "B")[:n],
        purpose="generation",
        nats=np.array([0.5, 1e-300, 1e6])[:n],
        tokens=np.array([2, 0, 2**40])[:n],
        num_bytes=np.array([20, 0, 1])[:n],
        num_right=np.array([2, 0, 1])[:n],
        finished=np.array([True, False, True])[:n],
        num_said=np.array([4, 1, 1])[:n],
        valid=np.array([True, False, False])[:n],
        chosen=("Paris", "", ODD)[:n],
    )


def no_numbers(n: int = 3) -> TextPredictions:
    nothing = dict.fromkeys(("nats", "tokens", "num_bytes", "num_right", "finished", "num_said", "valid", "chosen"))
    return replace(texts(n), purpose="summarization", **nothing)  # type: ignore[arg-type]


def language(n: int = 3) -> TextPredictions:
    return replace(
        texts(n), purpose="language", gold=None, said=None, finished=None, num_said=None, valid=None, chosen=None
    )


MADE = {
    "classes": classes,
    "several": several,
    "spans": spans,
    "answers": answers,
    "values": values,
    "ranks": ranks,
    "texts": texts,
    "no_numbers": no_numbers,
}


def same(first: Any, second: Any) -> bool:
    """Equal in every field, types of the arrays included."""
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and first.dtype == second.dtype and np.array_equal(first, second)
    if isinstance(first, Predictions | Spans | Lists):
        names = [one.name for one in fields(first)]
        return type(first) is type(second) and all(same(getattr(first, name), getattr(second, name)) for name in names)
    return bool(first == second)


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("n", [3, 1, 0])
def test_what_is_saved_comes_back(tmp_path: Path, kind: str, n: int) -> None:
    one = MADE[kind](n)
    path = tmp_path / "full.test.parquet"
    save(one, path)
    assert same(load(path), one)
    grouped = replace(one, groups=np.arange(n, dtype=np.uint64) // np.uint64(2))
    save(grouped, path)
    assert same(load(path), grouped)
    without_truth: dict[str, Any] = {"gold": None} | ({"seen": None} if kind == "spans" else {})
    unknown = replace(one, **without_truth)
    save(unknown, path)
    found = load(path)
    assert same(found, unknown) and not found.has_gold and one.has_gold


@pytest.mark.parametrize("n", [3, 0])
def test_a_language_model_is_held_against_the_rows_themselves(tmp_path: Path, n: int) -> None:
    save(language(n), tmp_path / "x.parquet")
    found = load(tmp_path / "x.parquet")
    assert same(found, language(n)) and found.has_gold
    assert found.correct.tolist() == [True, True, False][:n]
    assert not replace(language(), nats=None).has_gold
    assert replace(language(), num_right=None).correct.tolist() == [False] * 3


def test_a_row_may_hold_nothing_at_all(tmp_path: Path) -> None:
    empty = replace(spans(), said=Spans.of([[], [], []]), confidence=np.zeros(0, dtype=np.float32))
    save(empty, tmp_path / "x.parquet")
    assert same(load(tmp_path / "x.parquet"), empty)
    silent = replace(ranks(), said=Lists.of([[], [], []]), gold=Lists.of([[], [], []]))
    save(silent, tmp_path / "x.parquet")
    assert same(load(tmp_path / "x.parquet"), silent)


def test_the_file_can_be_read_by_anybody(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    save(spans(), path)
    rows = pq.read_table(path).to_pylist()
    assert rows[0]["gold"] == [{"start": 0, "end": 2, "label": ODD}, {"start": 5, "end": 9, "label": "drug"}]
    assert rows[2]["prediction"][1] == {"start": 4, "end": 6, "label": ODD}
    save(ranks(), path)
    assert pq.read_table(path).to_pylist()[0]["prediction"][0] == {"passage": 7, "score": 0.75}
    save(classes(), path)
    assert pq.read_table(path).to_pylist()[1]["gold"] == ODD
    save(texts(), path)
    row = pq.read_table(path).to_pylist()[0]
    assert {name: row[name] for name in list(row)[2:]} == {
        "gold": ["Paris", ODD],
        "prediction": f"\n{ODD}",
        "nats": 0.5,
        "tokens": 2,
        "bytes": 20,
        "right": 2,
        "finished": True,
        "said_tokens": 4,
        "valid": True,
        "chosen": "Paris",
    }
    save(language(), path)
    assert pq.read_table(path).to_pylist()[0]["prediction"] is None


def test_files_of_before_there_were_kinds_are_classes(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    save(classes(), path)
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[b"whet"])
    del about["kind"]
    pq.write_table(table.replace_schema_metadata({"whet": json.dumps(about)}), path)
    assert same(load(path), classes())


def test_what_is_no_file_of_predictions_is_refused(tmp_path: Path) -> None:
    missing, text, other, new = (tmp_path / name for name in ("missing", "text", "other", "new"))
    text.write_text("id,gold\n")
    pq.write_table(pa.table({"a": [1]}), other)
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"whet": '{"kind": "poems"}'}), new)
    for path in (missing, text, other, new):
        with pytest.raises(UserError, match="P001"):
            load(path)


@pytest.mark.parametrize("kind", MADE)
def test_taking_rows_by_position_or_mask(kind: str) -> None:
    one = replace(MADE[kind](), groups=np.array([5, 6, 7], dtype=np.uint64))
    turned = one.take(np.array([2, 0, 1]))
    assert turned.ids.tolist() == [6, 0, 3] and turned.groups is not None and turned.groups.tolist() == [7, 5, 6]
    assert same(turned.take(np.array([1, 2, 0])), one)
    assert same(one.take(np.array([True, False, True])), one.take(np.array([0, 2])))
    assert np.array_equal(turned.correct, one.correct[[2, 0, 1]])
    assert len(one.take(np.zeros(3, dtype=bool))) == 0


def test_taking_rows_takes_what_belongs_to_their_spans() -> None:
    part = spans().take(np.array([2]))
    assert part.said.row(0) == [(1, 4, 0), (4, 6, 1)]
    assert part.confidence == pytest.approx([0.55, 0.9]) and part.seen is not None and part.seen.tolist() == [True]


def test_what_is_right() -> None:
    assert classes().correct.tolist() == [False, True, False]
    assert several().correct.tolist() == [False, True, False]
    assert spans().correct.tolist() == [False, False, False]
    assert answers().correct.tolist() == [True, True, True]
    assert values().correct.tolist() == [False, False, False]
    assert ranks().correct.tolist() == [False, False, False]
    assert texts().correct.tolist() == [True, False, False]
    # the order counts nothing, the type does
    said = Spans.of([[(5, 9, 0), (0, 2, 1)], [], [(1, 4, 1)]])
    assert replace(spans(), said=said).correct.tolist() == [True, True, False]
    assert replace(ranks(), said=Lists.of([[(2**64 - 1, 1.0)], [(8, 1.0)], []])).correct.tolist() == [True, True, False]


rows_of_spans = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 2)), max_size=4), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(rows_of_spans, rows_of_spans)
def test_spans_are_found_as_sets_find_them(first: Any, second: Any) -> None:
    n = min(len(first), len(second))
    first, second = first[:n], second[:n]
    one, other = Spans.of(first), Spans.of(second)
    assert [one.row(number) for number in range(n)] == first and len(one) == n
    assert one.stand_in(other).tolist() == [
        span in set(second[number]) for number, row in enumerate(first) for span in row
    ]
    untyped = [{span[:2] for span in row} for row in second]
    assert one.stand_in(other, typed=False).tolist() == [
        span[:2] in untyped[number] for number, row in enumerate(first) for span in row
    ]


def test_positions_far_apart_do_not_mix_spans_up() -> None:
    far = 2**31 - 1
    one = Spans.of([[(0, far, 0), (far - 1, far, far - 1)], [(0, far, 1)]])
    other = Spans.of([[(0, far, 1), (far - 1, far, far - 1)], [(0, far, 1)]])
    assert one.stand_in(other).tolist() == [False, True, True]


keys = st.one_of(st.integers(0, 4), st.integers(2**64 - 3, 2**64 - 1))
rows_of_lists = st.lists(st.dictionaries(keys, st.integers(1, 9).map(float), max_size=4), max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows_of_lists, rows_of_lists)
def test_values_are_found_as_dictionaries_find_them(first: Any, second: Any) -> None:
    n = min(len(first), len(second))
    one, other = (Lists.of([list(row.items()) for row in rows[:n]]) for rows in (first, second))
    assert [dict(one.row(number)) for number in range(n)] == first[:n]
    expected = [second[number].get(key, 0.0) for number in range(n) for key in first[number]]
    assert one.found_in(other).tolist() == expected
