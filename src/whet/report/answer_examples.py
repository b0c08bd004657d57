"""Answers in their contexts: what was said in a box, accepted answers underlined, by what became of the question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from whet.report import numbers
from whet.report.answer_outcomes import WORDS, WRONG, Answered, Outcome
from whet.report.marking import Example, Group, Mark, Piece, marked_text, pieces
from whet.report.mistakes import shortened

if TYPE_CHECKING:
    from whet.data.predictions import AnswerPredictions
    from whet.report.run_files import RunFiles

EXAMPLES_A_GROUP = 6
OF_RIGHT = 3
ACCEPTED_SHOWN = 4
LONGEST_ANSWER = 160
TONES: dict[Outcome, str] = {
    "exact": "right",
    "left_open": "right",
    "partial": "boundary",
    "elsewhere": "spurious",
    "invented": "spurious",
    "missed": "missed",
}
"""How what was said looks, by outcome."""


def _legend() -> list[tuple[list[Piece], str]]:
    exact = (Mark(0, 10, "said", "right"), Mark(0, 10, "true", "right", "✓ said"))
    part = (Mark(4, 10, "said", "boundary", "↔ said"), Mark(0, 10, "true", "boundary", "accepted"))
    place = (Mark(0, 10, "said", "spurious", "✗ said"),)
    missed = (Mark(0, 10, "true", "missed", "accepted"),)
    return [
        (pieces("the answer", exact), "said and accepted"),
        (pieces("the answer", part), "box: said; line: accepted; where both, the words are shared"),
        (pieces("the answer", place), "said, and not accepted"),
        (pieces("the answer", missed), "accepted, and not said"),
    ]


LEGEND = _legend()


def groups(run: RunFiles, predictions: AnswerPredictions, found: Sequence[Answered]) -> list[Group]:
    """The surest examples of every kind of mistake, and a few that are right."""
    made = []
    for outcome, (sign, name, _) in WORDS.items():
        mine = [one for one in found if one.outcome == outcome]
        most = EXAMPLES_A_GROUP if outcome in WRONG else OF_RIGHT
        order = sorted(mine, key=lambda one: (-float(predictions.confidence[one.row]), one.row))[:most]
        texts = run.sources(predictions, [one.row for one in order])
        examples = [_example(predictions, one, texts[one.row]) for one in order if one.row in texts]
        if examples:
            made.append(Group(sign, name, len(mine), examples))
    return sorted(made, key=lambda one: one.sign == "✓")  # mistakes first


def _example(predictions: AnswerPredictions, one: Answered, source: Mapping[str, Any]) -> Example:
    row, context = one.row, str(source.get("text_pair") or "")
    assert predictions.gold is not None
    said, accepted = predictions.said[row], list(dict.fromkeys(predictions.gold[row]))
    mine, true = _said_mark(context, said, int(predictions.starts[row]), one.outcome), _true_marks(context, source, one)
    focus = ([mine] if mine else []) + _nearest(true, mine)
    listed = " | ".join(shortened(text, LONGEST_ANSWER) for text in accepted[:ACCEPTED_SHOWN]) or "(no answer)"
    if len(accepted) > ACCEPTED_SHOWN:
        listed += f" | and {len(accepted) - ACCEPTED_SHOWN} more"
    confidence = numbers.percent(float(predictions.confidence[row]), 0)
    facts = [
        ("Said", shortened(said, LONGEST_ANSWER) or "(no answer)"),
        ("Confidence", confidence),
        ("Accepted", listed),
    ]
    if one.outcome == "partial":
        facts.append(("F1", numbers.percent(one.f1, 0)))
    marks = ([mine] if mine else []) + true
    return Example(
        marked_text(context, marks, focus) if context else [],
        facts,
        source.get("line"),
        question=shortened(str(source.get("text") or "")),
        nbest=_others(predictions, row) if one.outcome in WRONG else [],
    )


def _said_mark(context: str, said: str, start: int, outcome: Outcome) -> Mark | None:
    """The mark of what was said; searched for where it does not stand at ``start``."""
    if not said.strip():
        return None
    if start < 0 or context[start : start + len(said)] != said:
        start = context.find(said)
    if start < 0:
        return None
    return Mark(start, start + len(said), "said", TONES[outcome], f"{WORDS[outcome][0]} said")


def _true_marks(context: str, source: Mapping[str, Any], one: Answered) -> list[Mark]:
    """The places of the accepted answers, joined where they touch."""
    places: list[tuple[int, int]] = []
    for answer in source.get("answers") or []:
        start, end = int(answer["start"]), int(answer["start"]) + len(str(answer["text"]))
        if 0 <= start < end <= len(context):
            places.append((start, end))
    joined: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    tone = "missed" if one.outcome in ("missed", "elsewhere") else TONES[one.outcome]
    tag = "" if one.outcome == "exact" else "accepted"
    return [Mark(start, end, "true", tone, tag) for start, end in joined]


def _nearest(true: Sequence[Mark], mine: Mark | None) -> list[Mark]:
    """The accepted answer that stands nearest to what was said; the first where nothing was."""
    if mine is None:
        return list(true[:1])
    return sorted(true, key=lambda mark: (abs(mark.start - mine.start), mark.start))[:1]


def _others(predictions: AnswerPredictions, row: int) -> list[tuple[str, str]]:
    """The n best answers with their probabilities, and that of giving none."""
    found = [(shortened(text, LONGEST_ANSWER) or "(no answer)", share) for text, _, share in predictions.nbest[row]]
    if all(text.strip() for text, _, _ in predictions.nbest[row]):
        found.append(("(no answer)", float(predictions.no_answer[row])))
    order = sorted(found, key=lambda one: -one[1])
    return [(text, numbers.percent(float(share))) for text, share in order]
