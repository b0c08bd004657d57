from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whet.data.predictions import SpanPredictions, Spans
from whet.evaluation import spans as measured
from whet.report.span_errors import ERRORS, events, matched, taken_for
from whet.report.span_examples import marks_of

LABELS = ("a", "b", "c")
Row = list[tuple[int, int, int]]


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Spans one after the other, none across another."""
    found, at = [], 0
    for _ in range(draw(st.integers(0, 4))):
        start = at + draw(st.integers(0, 3))
        at = start + draw(st.integers(1, 4))
        found.append((start, at, draw(st.integers(0, 2))))
    return found


def made(gold: list[Row], said: list[Row]) -> SpanPredictions:
    flat, ids = Spans.of(said), np.arange(len(gold))
    sure = np.linspace(0.1, 0.9, len(flat.starts)).astype(np.float32)
    seen = np.arange(sum(map(len, gold))) % 2 == 0
    return SpanPredictions("m", "test", ids, ids.astype(np.uint64), LABELS, Spans.of(gold), flat, sure, seen)


@given(st.lists(st.tuples(rows(), rows()), min_size=1, max_size=5))
def test_events_agree_with_the_scores_and_hold_every_span_once(pairs: list[tuple[Row, Row]]) -> None:
    predictions = made([gold for gold, _ in pairs], [said for _, said in pairs])
    found = list(events(predictions))
    counts = Counter(one.outcome for one in found)
    assert {name: counts[name] for name in ERRORS} == measured.errors(predictions)
    for row, (gold, said) in enumerate(pairs):
        assert sorted(one.true for one in found if one.row == row and one.true) == gold
        assert sorted(one.said for one in found if one.row == row and one.said) == said
    assert sum(map(sum, taken_for(found, len(LABELS)))) == len(found)


def test_every_kind_of_error_by_hand() -> None:
    gold = [(0, 4, 0), (5, 9, 0), (10, 14, 1), (15, 19, 2), (30, 34, 0)]
    said = [(0, 4, 0), (5, 9, 1), (10, 13, 1), (16, 22, 0), (40, 44, 2)]
    assert {outcome: (true, other) for outcome, true, other in matched(gold, said)} == {
        "right": ((0, 4, 0), (0, 4, 0)),
        "type": ((5, 9, 0), (5, 9, 1)),
        "boundary": ((10, 14, 1), (10, 13, 1)),
        "type_and_boundary": ((15, 19, 2), (16, 22, 0)),
        "missed": ((30, 34, 0), None),
        "spurious": (None, (40, 44, 2)),
    }


def test_confidence_and_seen_belong_to_their_spans() -> None:
    predictions = made([[], [(0, 2, 0), (4, 6, 1)]], [[(1, 3, 2)], [(4, 6, 1)]])
    found = {one.outcome: one for one in events(predictions)}
    assert found["spurious"].row == 0 and found["spurious"].seen is None
    assert found["right"].confidence == np.float32(0.9) and found["right"].seen is False
    assert found["missed"].confidence is None and found["missed"].seen is True


def test_what_is_taken_for_what() -> None:
    predictions = made([[(0, 2, 0), (3, 5, 1)]], [[(0, 2, 1), (8, 9, 2)]])
    assert taken_for(list(events(predictions)), 3) == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_a_tag_says_in_words_what_the_marks_show() -> None:
    predictions = made([[(0, 4, 0), (10, 14, 1), (20, 24, 2)]], [[(0, 4, 1), (10, 16, 1), (30, 31, 0)]])
    tags = {one.outcome: [mark.tag for mark in marks_of(one, LABELS) if mark.tag] for one in events(predictions)}
    assert tags == {
        "type": ["⇄ b for a"],
        "boundary": ["↔ b"],
        "missed": ["✗ missed c"],
        "spurious": ["+ false a"],
    }
    wide = next(marks_of(one, LABELS) for one in events(predictions) if one.outcome == "boundary")
    assert [(mark.channel, mark.end, bool(mark.tag)) for mark in wide] == [("said", 16, True), ("true", 14, False)]
