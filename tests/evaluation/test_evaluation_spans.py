from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import UserError
from whet.evaluation import spans as kind
from whet.evaluation.calibration import ece, reliability
from whet.evaluation.flips import flips, flips_by_part
from whet.evaluation.kinds import sums, values_of
from whet.evaluation.rows import checked, same_rows
from whet.evaluation.shares import wilson

from .made_kinds import TYPES, Rows, drawn_spans, nearly, spans

DRUG, ORGAN, PLACE = range(3)


def test_values_computed_by_hand():
    gold = [[(0, 4, DRUG), (6, 9, ORGAN)], [(0, 2, DRUG)], []]
    said = [[(0, 4, DRUG), (6, 9, PLACE)], [(0, 3, DRUG)], [(1, 2, ORGAN)]]
    found = values_of(spans(gold, said))
    assert found["entity_precision"] == pytest.approx(1 / 4)
    assert found["entity_recall"] == pytest.approx(1 / 3)
    assert found["entity_f1"] == pytest.approx(2 / 7)
    # drug: 1 hit, 2 true, 2 said; organ: no hit; place stands in no truth and does not count
    assert found["macro_f1"] == pytest.approx((1 / 2 + 0) / 2)
    assert found["boundary_f1"] == pytest.approx(2 * 2 / 7)


def tags(rows: Rows, length: int) -> list[list[str]]:
    """Words of one character as BIO."""
    found = []
    for row in rows:
        line = ["O"] * length
        for start, end, number in row:
            line[start:end] = [f"B-{TYPES[number]}"] + [f"I-{TYPES[number]}"] * (end - start - 1)
        found.append(line)
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 10**6))
def test_seqeval_says_the_same(n, right, seed):
    from seqeval.metrics import f1_score, precision_score, recall_score
    from seqeval.metrics.v1 import precision_recall_fscore_support
    from seqeval.scheme import IOB2

    rng = np.random.default_rng(seed)
    gold = [drawn_spans(rng) for _ in range(n)]
    said = nearly(rng, gold, right) if right < 0.9 else [drawn_spans(rng) for _ in range(n)]
    one = spans(gold, said)
    found = values_of(one)
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    given_tags = tags(gold, 20), tags(said, 20)
    assert found["entity_f1"] == pytest.approx(f1_score(*given_tags, **strict))
    assert found["entity_precision"] == pytest.approx(precision_score(*given_tags, **strict))
    assert found["entity_recall"] == pytest.approx(recall_score(*given_tags, **strict))
    names = sorted({TYPES[span[2]] for rows in (gold, said) for row in rows for span in row})
    columns = precision_recall_fscore_support(*given_tags, average=None, scheme=IOB2, zero_division=0)
    theirs = {name: [float(column[at]) for column in columns] for at, name in enumerate(names)}
    by_type = {row["label"]: row for row in kind.per_type(one)}
    for name, (precision, recall, f1, support) in theirs.items():
        row = by_type[name]
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx((precision, recall, f1))
        assert row["support"] == support
    present = [values[2] for values in theirs.values() if values[3]]
    assert found["macro_f1"] == pytest.approx(np.mean(present) if present else 0.0)


def test_boundary_f1_is_strict_f1_of_spans_of_one_type():
    rng = np.random.default_rng(0)
    gold = [drawn_spans(rng) for _ in range(40)]
    one = spans(gold, nearly(rng, gold, 0.5))
    plain = replace(
        one,
        gold=replace(one.gold, types=one.gold.types * 0),
        said=replace(one.said, types=one.said.types * 0),
    )
    assert values_of(one)["boundary_f1"] == values_of(plain)["entity_f1"] > values_of(one)["entity_f1"]


def test_no_spans_at_all_are_no_error():
    one = spans([[], []], [[], []])
    assert set(values_of(one).values()) == {0.0}
    assert one.correct.all()
    assert ece(one, seed=0) is None and reliability(one) == []


def test_every_wrong_span_is_counted_once():
    gold = [(0, 4, DRUG), (6, 9, ORGAN), (12, 15, DRUG), (20, 25, PLACE), (30, 35, DRUG)]
    said = [(0, 4, ORGAN), (6, 8, ORGAN), (11, 15, PLACE), (21, 22, PLACE), (23, 25, PLACE), (40, 41, DRUG)]
    found = kind.row_errors(gold, said)
    by_kind = {what: (true, guess) for true, guess, what in found if what != "spurious"}
    assert by_kind == {
        "type": ((0, 4, DRUG), (0, 4, ORGAN)),
        "boundary": ((20, 25, PLACE), (23, 25, PLACE)),  # the longer overlap of the two
        "type_and_boundary": ((12, 15, DRUG), (11, 15, PLACE)),
        "missed": ((30, 35, DRUG), None),
    }
    counts = kind.errors(spans([gold], [said]))
    assert counts == {"type": 1, "boundary": 2, "type_and_boundary": 1, "missed": 1, "spurious": 2}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_errors_and_hits_make_up_all_spans(seed):
    rng = np.random.default_rng(seed)
    gold, said = [drawn_spans(rng) for _ in range(4)], [drawn_spans(rng) for _ in range(4)]
    counts = kind.errors(spans(gold, said))
    hits = sum(len(set(one) & set(other)) for one, other in zip(gold, said, strict=True))
    pairs = counts["type"] + counts["boundary"] + counts["type_and_boundary"]
    assert hits + pairs + counts["missed"] == sum(map(len, gold))
    assert hits + pairs + counts["spurious"] == sum(map(len, said))


def test_seen_and_unseen():
    one = spans([[(0, 1, 0), (2, 3, 0)], [(0, 1, 0)], [(4, 5, 1)]], [[(0, 1, 0)], [(0, 1, 0)], []])
    assert kind.details(one)["seen"] is None
    found = kind.details(replace(one, seen=np.array([True, False, True, False])))["seen"]
    assert (found["seen"]["support"], found["seen"]["recall"]) == (2, 1.0)
    assert (found["unseen"]["support"], found["unseen"]["recall"]) == (2, 0.0)
    assert found["unseen"]["low"] == 0.0 and found["unseen"]["high"] < 1.0
    nobody = kind.details(replace(one, seen=np.zeros(4, dtype=bool)))["seen"]["seen"]
    assert (nobody["support"], nobody["low"], nobody["high"]) == (0, 0.0, 1.0)


def test_the_interval_of_recall_counts_rows_where_spans_of_a_row_go_together():
    alone = spans([[(0, 1, 0)]] * 100, [[(0, 1, 0)]] * 70 + [[]] * 30)
    ten = [(at, at + 1, 0) for at in range(10)]
    together = spans([ten] * 10, [ten] * 7 + [[]] * 3)
    narrow, wide = kind.per_type(alone)[0], kind.per_type(together)[0]
    assert narrow["recall"] == wide["recall"] == 0.7
    assert (narrow["low"], narrow["high"]) == pytest.approx(wilson(70, 100), abs=0.01)
    assert wide["high"] - wide["low"] > 2.5 * (narrow["high"] - narrow["low"])


def test_what_a_model_may_not_say():
    row = [(0, 4, DRUG), (5, 7, ORGAN)]
    for said in ([(3, 3, 0)], [(0, 4, 0), (3, 5, 1)], [(0, 4, 0), (0, 4, 0)], [(-1, 2, 0)], [(0, 1, 3)]):
        with pytest.raises(UserError, match="V112"):
            checked(spans([row], [said]))
        with pytest.raises(UserError, match="1 true spans"):
            checked(spans([said], [row]))
    with pytest.raises(UserError, match="V105"):
        checked(spans([row], [row], sure=float("nan")))
    touching = [(4, 6, ORGAN), (0, 4, DRUG)]  # out of order, ends where the other begins
    assert checked(spans([row], [touching])).said.row(0) == touching


def test_another_order_of_types_is_put_right():
    rng = np.random.default_rng(0)
    gold = [drawn_spans(rng) for _ in range(20)]
    said = nearly(rng, gold, 0.6)
    one = spans(gold, said)
    place = (2, 0, 1)
    turned = [[[(a, b, place[c]) for a, b, c in row] for row in rows] for rows in (gold, said)]
    other = spans(*turned, model="probe", labels=(TYPES[1], TYPES[2], TYPES[0]))
    assert values_of(other) == values_of(one)
    first, second = same_rows(one, other)
    assert second.labels == first.labels and np.array_equal(second.said.types, first.said.types)
    with pytest.raises(UserError, match="V102"):
        same_rows(one, spans(gold, said, labels=(*TYPES, "date")))
    with pytest.raises(UserError, match="V107"):
        same_rows(one, spans([*gold[1:], gold[0]], said, model="probe"))


def test_flips_look_at_whole_rows_and_within_a_type_at_its_spans():
    gold = [[(0, 1, DRUG), (2, 3, ORGAN)], [(0, 1, DRUG)], []]
    new = spans(gold, [[(0, 1, DRUG)], [(0, 1, DRUG)], []])
    old = spans(gold, [[(2, 3, ORGAN)], [(0, 1, DRUG), (4, 5, ORGAN)], [(0, 1, DRUG)]], model="probe")
    assert (flips(new, old).positive, flips(new, old).negative) == (2, 0)
    parts = flips_by_part(new, old)
    assert set(parts) == {"drug", "organ"}
    assert (parts["drug"].num_rows, parts["drug"].positive, parts["drug"].negative) == (2, 1, 0)
    assert (parts["organ"].num_rows, parts["organ"].positive, parts["organ"].negative) == (1, 0, 1)


def test_reliability_is_of_said_spans():
    gold = [[(0, 1, DRUG)]] * 60
    said = [[(0, 1, DRUG)]] * 45 + [[(0, 1, ORGAN), (2, 3, ORGAN)]] * 15
    one = spans(gold, said, sure=0.7)
    (only,) = reliability(one)
    assert (
        only["count"] == 75 and only["accuracy"] == pytest.approx(45 / 75) and only["confidence"] == pytest.approx(0.7)
    )
    found = ece(one, seed=0)
    assert found is not None and found.value == pytest.approx(0.1, abs=1e-6)
    part = sums(one)
    assert part.one("rows", part.total)[0] == 60
