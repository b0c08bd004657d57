from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import UserError
from whet.evaluation import answers as kind
from whet.evaluation.kinds import is_share, is_share_of_all, values_of
from whet.evaluation.paired import compare
from whet.evaluation.rows import checked, same_rows
from whet.evaluation.scoring import score_all
from whet.evaluation.shares import wilson

from .made_kinds import answers


def test_values_computed_by_hand():
    gold = [["the red fox", "fox"], ["two words"], [], [], ["Paris"]]
    said = ["Red fox!", "words and more", "", "something", ""]
    found = values_of(answers(gold, said))
    assert found["exact_match"] == pytest.approx(2 / 5)
    assert found["answer_f1"] == pytest.approx((1 + 2 * 1 / 5 + 1 + 0 + 0) / 5)
    assert found["answerable_exact"] == pytest.approx(1 / 3)
    assert found["answerable_f1"] == pytest.approx((1 + 2 / 5) / 3)
    assert found["no_answer_accuracy"] == pytest.approx(1 / 2)


def scored(gold: Sequence[Sequence[str]], said: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of SQuAD, written down a second time from its definition."""

    def words(text: str) -> list[str]:
        kept = "".join(letter for letter in text.lower() if letter not in string.punctuation)
        return re.sub(r"\b(?:an?|the)\b", " ", kept).split()

    exact, overlap = [], []
    for accepted, text in zip(gold, said, strict=True):
        choices = [words(one) for one in accepted if words(one)] or [[]]
        mine = words(text)
        exact.append(max(float(mine == choice) for choice in choices))
        best = 0.0
        for choice in choices:
            left, shared = list(choice), 0
            for word in mine:
                if word in left:
                    left.remove(word)
                    shared += 1
            if not mine or not choice:
                best = max(best, float(mine == choice))
            elif shared:
                precision, recall = shared / len(mine), shared / len(choice)
                best = max(best, 2 * precision * recall / (precision + recall))
        overlap.append(best)
    return float(np.mean(exact)), float(np.mean(overlap))


texts = st.text(alphabet="aAn the.X,é ?", max_size=12)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(texts, max_size=3), texts), min_size=1, max_size=8))
def test_the_definition_written_down_twice_gives_the_same(rows):
    gold, said = [row[0] for row in rows], [row[1] for row in rows]
    found = values_of(answers(gold, said))
    assert (found["exact_match"], found["answer_f1"]) == pytest.approx(scored(gold, said))
    has = np.array([bool(row) for row in gold])
    if has.any() and not has.all():
        part = scored([row for row in gold if row], [text for row, text in rows if row])
        assert (found["answerable_exact"], found["answerable_f1"]) == pytest.approx(part)
        silent = scored([[] for row in gold if not row], [text for row, text in rows if not row])
        assert found["no_answer_accuracy"] == pytest.approx(silent[0])
    else:
        assert set(found) == {"answer_f1", "exact_match"}


def test_either_sort_of_question_is_shown_only_where_both_occur():
    assert kind.metrics(answers([["a b"]], ["b"])) == ("answer_f1", "exact_match")
    assert kind.metrics(answers([[]], ["b"])) == ("answer_f1", "exact_match")
    assert len(kind.metrics(answers([[], ["b"]], ["b", "b"]))) == 5


def test_shares_have_wilsons_interval_over_the_rows_they_speak_of():
    gold = [["fox"]] * 40 + [[]] * 10
    one = answers(gold, ["fox"] * 30 + ["dog"] * 10 + [""] * 9 + ["dog"])
    scores = score_all([one], seed=0, task="question-answering", num_resamples=100)["models"]["full"]
    for name, ends in (("exact_match", (39, 50)), ("answerable_exact", (30, 40)), ("no_answer_accuracy", (9, 10))):
        assert (scores[name]["low"], scores[name]["high"]) == wilson(*ends)
        assert is_share(one, name) and is_share_of_all(one, name) == (name == "exact_match")
    assert scores["answer_f1"]["low"] < 39 / 50 < scores["answer_f1"]["high"]


def test_exact_match_is_compared_by_mcnemar_and_f1_by_randomisation():
    gold = [["fox"]] * 100
    one, other = answers(gold, ["fox"] * 80 + ["dog"] * 20), answers(gold, ["fox"] * 60 + ["dog"] * 40, model="probe")
    assert compare(one, other, "exact_match", seed=0).test == "McNemar exact"
    found = compare(one, other, "answer_f1", seed=0, num_rounds=199)
    assert found.test.startswith("approximate randomisation")
    assert (found.won, found.lost, found.positive_flips) == (20, 0, 20)
    with pytest.raises(UserError, match="G001"):
        compare(one, other, "answerable_f1", seed=0)  # there is no question without an answer
    with pytest.raises(UserError, match="G001"):
        compare(one, other, "accuracy", seed=0)


def test_details_count_both_sorts_of_question():
    gold = [["red fox"], ["red fox"], ["red fox"], [], []]
    one = answers(gold, ["red fox", "red", "", "", "fox"])
    found = kind.details(one)
    assert found["counts"] == {
        "answerable": 3, "unanswerable": 2, "answered": 3, "answered_without_answer": 1, "left_unanswered": 1,
        "exact": 2, "partly": 1, "wrong": 2,
    }  # fmt: skip
    answerable, unanswerable = found["per_slice"]
    assert (answerable["label"], answerable["support"], unanswerable["support"]) == ("answerable", 3, 2)
    assert answerable["f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert unanswerable["f1"] == unanswerable["exact_match"] == 0.5
    assert answerable["low"] < answerable["f1"] < answerable["high"]


def test_what_cannot_be_evaluated():
    with pytest.raises(UserError, match="V105"):
        checked(answers([["a"]], ["a"], sure=1.5))
    one = answers([["a", "b"], []], ["a", ""])
    with pytest.raises(UserError, match="V107"):
        same_rows(one, answers([["a"], []], ["a", ""], model="probe"))
    assert len(same_rows(one, answers([["b", "a"], []], ["b", ""], model="probe"))) == 2
