from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.evaluation.shares import tango
from whet.prompting.judge import INSTRUCTION, Judged, Judgement, RowJudgement, choice_in, judge, question, ruling_of
from whet.prompting.speaker import Prompt, Reply


class Scripted:
    """Answers a prompt by a function of its text."""

    name, weighs, longest = "a judge", False, None

    def __init__(self, says: Callable[[str], str]) -> None:
        self.says = says
        self.asked: list[str] = []

    def say(self, prompts: Sequence[Prompt], *, max_tokens: int, stop: Sequence[str] = (), progress=None):
        self.asked += [prompt[-1]["content"] for prompt in prompts]
        if progress:
            for done in range(1, len(prompts) + 1):
                progress(done)
        return [Reply(self.says(prompt[-1]["content"]), True, 1, 1, 0.0) for prompt in prompts]


def shown(text: str, which: str) -> str:
    return text.partition(f"<<<{which} REPLY>>>\n")[2].partition(f"\n<<<END OF {which} REPLY>>>")[0]


def longer(text: str) -> str:
    first, second = len(shown(text, "FIRST")), len(shown(text, "SECOND"))
    return "TIE" if first == second else "FIRST" if first > second else "SECOND"


def rows(*pairs: tuple[str, str]) -> list[Judged]:
    return [Judged("say something", None, a, b) for a, b in pairs]


def test_a_judge_that_keeps_to_the_texts():
    speaker = Scripted(longer)
    found = judge(speaker, rows(("long", "s"), ("s", "long"), ("four", "more"), ("same", " same "), ("longer", "x")))
    assert [row.ruling for row in found.rows] == ["win", "loss", "tie", "tie", "win"]
    assert (found.wins, found.losses, found.ties, found.flips, found.unreadable) == (2, 1, 2, 0, 0)
    assert found.share == pytest.approx(3 / 5) and (found.low, found.high) == tuple(
        (1 + one) / 2 for one in tango(2, 1, 5)
    )
    assert found.p == pytest.approx(1.0)  # 2 of 3
    assert len(speaker.asked) == 8  # equal texts are not asked about
    assert (found.rows[0].a_first, found.rows[0].b_first) == ("FIRST", "SECOND")
    assert found.judge == "a judge"


def test_a_judge_that_always_takes_the_first():
    found = judge(Scripted(lambda _: "FIRST"), rows(("a", "b"), ("c", "d")))
    assert (found.wins, found.losses, found.ties, found.flips) == (0, 0, 2, 2)
    assert found.p == 1.0 and found.share == 0.5


def test_a_judge_that_says_something_else():
    found = judge(
        Scripted(lambda text: "well" if "ramble" in text else longer(text)), rows(("aa", "b"), ("ramble", "b"))
    )
    assert (found.wins, found.ties, found.unreadable) == (1, 0, 1)
    assert found.share == 1.0  # of those that could be read
    nothing = judge(Scripted(lambda _: "hm"), rows(("a", "b")))
    assert nothing.share is None and (nothing.low, nothing.high) == (0.0, 1.0) and nothing.p == 1.0


def test_what_a_judge_is_asked():
    row = Judged("What is 2 + 2?", "4", "four", "five")
    plain, swapped = (question("Which is right?", row, turned)[0]["content"] for turned in (False, True))
    assert plain.startswith("Which is right? ") and "FIRST, SECOND, or TIE" in plain
    assert "<<<TASK>>>\nWhat is 2 + 2?\n<<<END OF TASK>>>" in plain
    assert "<<<REFERENCE>>>\n4\n" in plain
    assert (shown(plain, "FIRST"), shown(plain, "SECOND")) == ("four", "five")
    assert (shown(swapped, "FIRST"), shown(swapped, "SECOND")) == ("five", "four")
    assert "REFERENCE" not in question("x", Judged("a", None, "b", "c"), False)[0]["content"]


@pytest.mark.parametrize(
    ("given_words", "used"), [(None, INSTRUCTION), ("auto", INSTRUCTION), ("Be kind.", "Be kind.")]
)
def test_the_instruction_can_be_another(given_words: str | None, used: str):
    speaker = Scripted(longer)
    judge(speaker, rows(("a", "bb")), given_words)
    assert all(text.startswith(used) for text in speaker.asked)


def test_progress_counts_rows():
    told: list[int] = []
    judge(Scripted(longer), rows(("a", "bb"), ("c", "c"), ("d", "ee")), progress=told.append)
    assert told[-1] == 3 and told == sorted(told)


@pytest.mark.parametrize(
    ("reply", "choice"),
    [
        ("FIRST", "first"),
        ("second.", "second"),
        ("**TIE**", "tie"),
        ("[[A]]", "first"),
        ("Reply 2", "second"),
        ("The first reply is better.", "first"),
        ("The second is longer than the first.\n\nVerdict: FIRST", "first"),
        ("SECOND\nThe first one repeats itself.", "second"),
        ("The first is right, the second is not.", None),
        ("A good question", None),
        ("", None),
        ("secondary", None),
        ("Neither", "tie"),
    ],
)
def test_reading_a_verdict(reply: str, choice: str | None):
    assert choice_in(reply) == choice


def test_both_orders_must_agree():
    words = ("first", "second", "tie")
    found = {(a, b): ruling_of(a, b) for a, b in product(words, words)}
    assert found[("first", "second")] == "win" and found[("second", "first")] == "loss"
    assert found[("first", "first")] == found[("second", "second")] == "flip"
    assert all(ruling == "tie" for both, ruling in found.items() if "tie" in both)
    assert ruling_of(None, "first") == ruling_of("tie", None) == "unreadable"


rulings = st.lists(st.sampled_from(["win", "loss", "tie", "flip", "unreadable"]), max_size=40)


@given(rulings)
def test_the_sums_and_the_tests_over_rows(found: list[str]):
    summed = Judgement.of("j", [RowJudgement(one) for one in found])
    assert summed.wins + summed.losses + summed.ties + summed.unreadable == len(found)
    assert summed.flips <= summed.ties
    n, fewer = summed.wins + summed.losses, min(summed.wins, summed.losses)
    assert summed.p == pytest.approx(min(1.0, 2 * sum(comb(n, i) for i in range(fewer + 1)) / 2**n))
    if summed.share is not None:
        assert summed.low <= summed.share <= summed.high
    assert Judgement.from_json(json.loads(json.dumps(summed.to_json()))) == summed


@given(rulings)
def test_the_other_side_sees_the_opposite(found: list[str]):
    turned = {"win": "loss", "loss": "win"}
    ours, theirs = (
        Judgement.of("j", [RowJudgement(one) for one in rows])
        for rows in (found, [turned.get(one, one) for one in found])
    )
    assert ours.p == theirs.p
    if ours.share is not None and theirs.share is not None:
        assert ours.share + theirs.share == pytest.approx(1.0)
        assert ours.low == pytest.approx(1.0 - theirs.high)
