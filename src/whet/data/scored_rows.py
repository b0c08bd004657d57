"""Blocks of a file into rows with scores or negatives: what the forms of :mod:`whet.data.scored` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from whet.data.row_form import Taken, Taking
from whet.data.rows import Block
from whet.data.scored_values import texts_of
from whet.data.values import Place, texts
from whet.errors import Problems

Reader = Callable[[Sequence[Any], Place, Problems], list[float | None]]
"""Values to numbers, None where one is missing."""


def pair_texts(block: Block, taking: Taking) -> dict[str, list[Any]]:
    """One text or both, as they stand."""
    chosen = taking.columns
    names = {"text": chosen.text} | ({"text_pair": chosen.text_pair} if chosen.text_pair is not None else {})
    return {part: texts(block.column(name), taking.place(block, name), taking.problems) for part, name in names.items()}


def with_numbers(rows: dict[str, list[Any]], block: Block, taking: Taking, read: Reader) -> Taken:
    """``rows`` with their scores, where the file has some."""
    column = taking.columns.label
    if column is None:
        return Taken(rows)
    rows["score"] = read(block.column(column), taking.place(block, column), taking.problems)
    return Taken(rows, [row for row, value in enumerate(rows["score"]) if value is None])


def with_negatives(rows: dict[str, list[Any]], block: Block, taking: Taking, column: str) -> Taken:
    """``rows`` with their negatives, less those that are blank or the row's own text."""
    place = taking.place(block, column)
    found: list[list[str]] = []
    own, blank = list[int](), list[int]()
    for row, value in enumerate(block.column(column)):
        several = texts_of(value)
        if several is None:
            what = f"{column!r} is {value!r:.60}, neither a text nor a list of texts."
            taking.problems.add("D076", place.at(row), what, "Give one text, or a list of texts.")
            several = []
        full = [text for text in dict.fromkeys(several) if text and not text.isspace()]
        kept = [text for text in full if text not in (rows["text"][row], rows["text_pair"][row])]
        blank += [row] * any(not text or text.isspace() for text in several)
        own += [row] * (len(kept) < len(full))
        found.append(kept)
    _refuse_half_characters(found, place, taking.problems)
    rows["negative"] = found
    notes = (("an empty negative, left out", blank), ("a negative that is the row's own text, left out", own))
    return Taken(rows, changed=[("A013", reason, where) for reason, where in notes if where])


def _refuse_half_characters(rows: list[list[str]], place: Place, problems: Problems) -> None:
    """D018, by the line of the row that holds them."""
    lines = [line for line, several in zip(place.lines, rows, strict=True) for _ in several]
    flat = [text for several in rows for text in several]
    whole = iter(texts(flat, Place(place.file, lines, place.column), problems))
    rows[:] = [[next(whole) for _ in several] for several in rows]
