"""Rows of entities for baselines, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from tests.data.made_entities import examples_of
from whet.baselines.material import Material
from whet.data.predictions import SpanPredictions

Row = tuple[str, Sequence[tuple[int, int, str]]]


def marked(text: str) -> Row:
    """``"[Ann Lee]PER in [Oslo]LOC"`` as a text and its spans."""
    plain, spans = "", []
    for number, part in enumerate(text.split("[")):
        if number:
            inside, _, behind = part.partition("]")
            label, blank, rest = behind.partition(" ")
            spans.append((len(plain), len(plain) + len(inside), label))
            part = inside + blank + rest
        plain += part
    return plain, spans


def material(train: Sequence[str], validation: Sequence[str], test: Sequence[str]) -> Material:
    """Splits of marked texts."""
    named = {"train": train, "validation": validation, "test": test}
    splits = {split: examples_of([marked(text) for text in texts], split) for split, texts in named.items()}
    labels = tuple(sorted({label for text in train for _, _, label in marked(text)[1]}))
    unasked = _unasked
    return Material("token-classification", splits, labels, False, {}, unasked, unasked)


def _unasked(_: object) -> None:  # type: ignore[misc]
    raise AssertionError("these baselines need no base")


def said(found: SpanPredictions, row: int) -> list[tuple[int, int, str]]:
    """The entities of a row with the names of their types."""
    return [(a, b, found.labels[kind]) for a, b, kind in found.said.row(row)]
