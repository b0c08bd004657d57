"""Texts with their entities: what was said in a box, what is true underlined, by kind of error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from whet.report.marking import Example, Group, Mark, Piece, marked_text, pieces
from whet.report.span_errors import ERRORS, Event, Outcome

if TYPE_CHECKING:
    from whet.data.predictions import SpanPredictions
    from whet.report.run_files import RunFiles

EXAMPLES_A_GROUP = 6
CANDIDATES = 60
"""Rows whose texts are looked at for one group."""

SIGNS: dict[Outcome, str] = {
    "right": "✓",
    "missed": "✗",
    "spurious": "+",
    "type": "⇄",
    "boundary": "↔",
    "type_and_boundary": "⇄↔",
}
WORDS: dict[Outcome, tuple[str, str]] = {
    "right": ("Right", "said with the right borders and the right type"),
    "missed": ("Missed", "true, and nothing that was said belongs to it"),
    "spurious": ("False alarm", "said, and nothing that is true belongs to it"),
    "type": ("Wrong type", "the borders are right, the type is not"),
    "boundary": ("Wrong border", "the type is right, the borders are not: the box was said, the line is true"),
    "type_and_boundary": ("Wrong type and border", "it overlaps a true one, but neither type nor borders are right"),
}
"""Each outcome in a word, and what it means."""
TONES: dict[Outcome, str] = {outcome: outcome.replace("_", "-") for outcome in WORDS}


def _legend() -> list[tuple[list[Piece], str]]:
    """Each look on a sample, with what it means."""
    samples: dict[Outcome, tuple[Mark, ...]] = {
        "right": (Mark(0, 14, "said", "right"), Mark(0, 14, "true", "right", f"{SIGNS['right']} TYPE")),
        "missed": (Mark(0, 14, "true", "missed", f"{SIGNS['missed']} missed TYPE"),),
        "spurious": (Mark(0, 14, "said", "spurious", f"{SIGNS['spurious']} false TYPE"),),
        "type": (Mark(0, 14, "said", "type"), Mark(0, 14, "true", "type", f"{SIGNS['type']} SAID for TRUE")),
        "boundary": (Mark(0, 11, "said", "boundary"), Mark(4, 14, "true", "boundary", f"{SIGNS['boundary']} TYPE")),
        "type_and_boundary": (
            Mark(0, 11, "said", "type-and-boundary"),
            Mark(4, 14, "true", "type-and-boundary", f"{SIGNS['type_and_boundary']} SAID for TRUE"),
        ),
    }
    return [
        (pieces("the name of it", marks), f"{WORDS[outcome][0]}: {WORDS[outcome][1]}")
        for outcome, marks in samples.items()
    ]


LEGEND = _legend()


def marks_of(event: Event, labels: Sequence[str]) -> list[Mark]:
    """The marks of one entity; the tag stands behind its end."""
    tone, sign = TONES[event.outcome], SIGNS[event.outcome]
    true, said = event.true, event.said
    if true is None or said is None:
        span, channel, word = (said, "said", "false") if true is None else (true, "true", "missed")
        assert span is not None
        return [Mark(span[0], span[1], channel, tone, f"{sign} {word} {labels[span[2]]}")]  # type: ignore[arg-type]
    tag = f"{sign} {labels[true[2]]}" if said[2] == true[2] else f"{sign} {labels[said[2]]} for {labels[true[2]]}"
    last_is_said = said[1] > true[1]
    return [
        Mark(said[0], said[1], "said", tone, tag if last_is_said else ""),
        Mark(true[0], true[1], "true", tone, "" if last_is_said else tag),
    ]


def groups(run: RunFiles, predictions: SpanPredictions, found: Sequence[Event]) -> list[Group]:
    """Up to :data:`EXAMPLES_A_GROUP` texts of every kind of error; where there is none, of right entities."""
    of_row: dict[int, list[Event]] = {}
    for one in found:
        of_row.setdefault(one.row, []).append(one)
    made = [
        _group(run, predictions, outcome, [one for one in found if one.outcome == outcome], of_row)
        for outcome in ERRORS
    ]
    made = [one for one in made if one is not None] or [
        _group(run, predictions, "right", [one for one in found if one.outcome == "right"], of_row)
    ]
    return [one for one in made if one is not None]


def _group(
    run: RunFiles,
    predictions: SpanPredictions,
    outcome: Outcome,
    mine: Sequence[Event],
    of_row: dict[int, list[Event]],
) -> Group | None:
    if not mine:
        return None
    order = _mixed(mine)[:CANDIDATES]
    texts = run.sources(predictions, {one.row for one in order}, ["text", "line"])
    examples: list[Example] = []
    shown: set[Any] = set()
    for event in order:
        source = texts.get(event.row)
        if source is None:
            continue
        text = str(source["text"])
        start, end = event.place
        form = (text[start:end].casefold(), event.true and event.true[2], event.said and event.said[2])
        if form in shown:  # one example a form: the same mistake twice teaches nothing
            continue
        shown.add(form)
        examples.append(_example(event, of_row[event.row], text, predictions.labels, source.get("line")))
        if len(examples) == EXAMPLES_A_GROUP:
            break
    return Group(SIGNS[outcome], WORDS[outcome][0], len(mine), examples) if examples else None


def _mixed(mine: Sequence[Event]) -> list[Event]:
    """The surest of every type first, then the second of every type, and so on; frequent types before rare ones."""

    def kind(one: Event) -> int:
        return (one.true or one.said or (0, 0, 0))[2]

    often = Counter(kind(one) for one in mine)
    place: Counter[int] = Counter()
    keys: list[tuple[int, int, int, int, Event]] = []
    for one in sorted(mine, key=lambda one: -(one.confidence or 0.0)):
        keys.append((place[kind(one)], -often[kind(one)], kind(one), len(keys), one))
        place[kind(one)] += 1
    return [key[-1] for key in sorted(keys, key=lambda key: key[:-1])]


def _example(event: Event, others: Sequence[Event], text: str, labels: Sequence[str], line: int | None) -> Example:
    focus = marks_of(event, labels)
    marks = focus + [mark for other in others if other is not event for mark in marks_of(other, labels)]
    facts = [] if event.confidence is None else [("Confidence", f"{event.confidence:.0%}".replace("%", "\u00a0%"))]
    if event.seen is not None:
        facts.append(("Seen in training", "yes" if event.seen else "no"))
    return Example(marked_text(text, marks, focus), facts, line, what=_said(event, text, labels))


def _said(event: Event, text: str, labels: Sequence[str]) -> str:
    """The error in a sentence."""

    def quoted(span: tuple[int, int, int]) -> str:
        form = " ".join(text[span[0] : span[1]].split())
        return f"“{form if len(form) <= 60 else form[:60].rstrip() + ' …'}” {labels[span[2]]}"

    if event.true is None:
        return f"Said {quoted(event.said)}; nothing there is true." if event.said else ""
    if event.said is None:
        return f"True is {quoted(event.true)}; nothing was said."
    return f"Said {quoted(event.said)}; true is {quoted(event.true)}."
