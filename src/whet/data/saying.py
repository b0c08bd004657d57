"""What a model says, put beside the rows it says it of: with their ids, and with the truth where they hold it.

Tasks and baselines end here, so that their predictions are made alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.prediction_kinds import (
    COUNTED,
    AnswerPredictions,
    ClassPredictions,
    Purpose,
    SpanPredictions,
    TextPredictions,
    TextPurpose,
    ValuePredictions,
    decided,
)
from whet.data.ragged import Spans

UNSURE = 0.5
"""From this probability of "no answer" on nothing is said, until evaluation has fitted a threshold."""

LIKELY = 0.5
"""From this probability on one of several labels is said, until evaluation has fitted thresholds."""

NBest = Sequence[tuple[str, int, float]]
"""Answers to one question as (text, first character, probability), best first."""


def heading(model: str, examples: Examples) -> dict[str, Any]:
    """The fields that predictions of all kinds share, where every row has one."""
    return {
        "model": model,
        "split": examples.split,
        "ids": examples.numbers("id"),
        "hashes": examples.hashes,
        "groups": examples.groups,
    }


def say_classes(
    model: str, examples: Examples, labels: Sequence[str], multi_label: bool, scores: NDArray[np.float32]
) -> ClassPredictions:
    """``scores`` (n, C): probabilities."""
    return ClassPredictions(
        **heading(model, examples),
        labels=tuple(labels),
        gold=examples.label_ids(labels) if examples.shape.labelled else None,
        scores=scores,
        thresholds=np.full(len(labels), LIKELY, np.float32) if multi_label else None,
    )


def say_spans(
    model: str,
    examples: Examples,
    labels: Sequence[str],
    said: Spans,
    confidence: NDArray[np.float32],
    gold: Spans | None,
    seen: NDArray[np.bool_] | None,
) -> SpanPredictions:
    """``said`` m spans with ``confidence`` (m,); ``seen`` (g,) of the true ones."""
    return SpanPredictions(
        **heading(model, examples), labels=tuple(labels), gold=gold, said=said, confidence=confidence, seen=seen
    )


def say_answers(
    model: str, examples: Examples, nbest: Sequence[NBest], no_answer: NDArray[np.float64]
) -> AnswerPredictions:
    """The best of each question's ``nbest``, or nothing where ``no_answer`` (n,) reaches :data:`UNSURE`."""
    gold = None
    if examples.shape.has("answers"):
        gold = tuple(accepted(row) for row in examples.column("answers"))
    silent = no_answer.astype(np.float32)
    return AnswerPredictions(
        **heading(model, examples),
        gold=gold,
        **decided(nbest, silent, UNSURE),
        no_answer=silent,
        nbest=tuple(tuple(spans) for spans in nbest),
    )


def accepted(answers: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """The distinct texts of a row's true answers, in their order."""
    return tuple(dict.fromkeys(one["text"] for one in answers))


def say_values(model: str, examples: Examples, said: NDArray[np.float64], purpose: Purpose) -> ValuePredictions:
    """``said`` (n,): a number a row."""
    gold = examples.scores if examples.shape.has("score") else None
    return ValuePredictions(**heading(model, examples), gold=gold, said=said, purpose=purpose)


def say_texts(
    model: str, examples: Examples, purpose: TextPurpose, said: Sequence[str] | None, **numbers: NDArray[Any] | None
) -> TextPredictions:
    """``said``: a text a row, None where nothing was generated; ``numbers``: as of :class:`TextPredictions`."""
    gold = None
    if purpose != "language" and examples.shape.has("answers"):
        gold = tuple(tuple(dict.fromkeys(row)) for row in examples.column("answers"))
    counted: dict[str, Any] = {
        name: None if values is None else np.asarray(values, dtype=COUNTED[name]) for name, values in numbers.items()
    }
    texts = None if said is None else tuple(said)
    return TextPredictions(**heading(model, examples), gold=gold, said=texts, purpose=purpose, **counted)
