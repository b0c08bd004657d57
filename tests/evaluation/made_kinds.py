"""Predictions of every kind but classes, made on the spot, as right as told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.predictions import (
    AnswerPredictions,
    Lists,
    Predictions,
    PreferencePredictions,
    Purpose,
    RankPredictions,
    SpanPredictions,
    Spans,
    TextPredictions,
    TextPurpose,
    ValuePredictions,
)

TYPES = ("drug", "organ", "place")
Rows = Sequence[Sequence[tuple[int, int, int]]]


def shared(n: int, model: str, split: str) -> dict[str, Any]:
    """What all kinds hold."""
    hashes = np.arange(n, dtype=np.uint64) * np.uint64(11400714819323198485)
    return {"model": model, "split": split, "ids": np.arange(n), "hashes": hashes}


def spans(
    gold: Rows, said: Rows, *, model: str = "full", split: str = "test", sure: float = 0.8, labels: Any = TYPES
) -> SpanPredictions:
    """Spans given one by one, each with the confidence ``sure``."""
    found = Spans.of(said)
    confidence = np.full(len(found.starts), sure, dtype=np.float32)
    return SpanPredictions(
        **shared(len(gold), model, split), labels=labels, gold=Spans.of(gold), said=found, confidence=confidence
    )


def drawn_spans(rng: np.random.Generator, length: int = 20) -> list[tuple[int, int, int]]:
    """Spans of one row that do not cross; often next to each other."""
    found, at = [], int(rng.integers(0, 4))
    while at < length:
        end = min(length, at + int(rng.integers(1, 4)))
        found.append((at, end, int(rng.integers(0, len(TYPES)))))
        at = end + int(rng.integers(0, 6))
    return found


def nearly(rng: np.random.Generator, gold: Rows, right: float) -> Rows:
    """The same spans, each with the chance ``right``; else another type, another end, or none."""
    found = []
    for row in gold:
        said = []
        for start, end, kind in row:
            what = 3 if rng.random() < right else int(rng.integers(0, 3))
            if what == 0:
                continue
            if what == 1:
                kind = (kind + 1) % len(TYPES)
            elif what == 2:
                start, end = (start, end - 1) if end - start > 1 else (start, end)
                kind = kind if end - start > 1 else (kind + 1) % len(TYPES)
            said.append((start, end, kind))
        found.append(said)
    return found


def answers(
    gold: Sequence[Sequence[str]],
    said: Sequence[str],
    *,
    model: str = "full",
    split: str = "test",
    sure: float | NDArray[np.float64] = 0.8,
) -> AnswerPredictions:
    """Answers given one by one."""
    n = len(said)
    confidence = np.broadcast_to(np.asarray(sure, dtype=np.float32), (n,)).copy()
    silent = np.asarray([not text for text in said])
    return AnswerPredictions(
        **shared(n, model, split),
        gold=tuple(tuple(row) for row in gold),
        said=tuple(said),
        starts=np.where(silent, -1, 0).astype(np.int32),
        confidence=confidence,
        no_answer=np.where(silent, confidence, 1 - confidence).astype(np.float32),
        nbest=tuple(((text, 0, 0.5),) if text else () for text in said),
    )


def numbers(
    gold: Any, said: Any, *, purpose: Purpose = "regression", model: str = "full", split: str = "test"
) -> ValuePredictions:
    """Values given one by one."""
    gold, said = np.asarray(gold, dtype=np.float64), np.asarray(said, dtype=np.float64)
    return ValuePredictions(**shared(len(gold), model, split), gold=gold, said=said, purpose=purpose)


def ranks(
    gold: Sequence[Sequence[tuple[int, float]]],
    said: Sequence[Sequence[tuple[int, float]]],
    *,
    model: str = "full",
    split: str = "test",
) -> RankPredictions:
    """Passages given one by one; those said are put best first."""
    said = [sorted(row, key=lambda entry: -entry[1]) for row in said]
    return RankPredictions(**shared(len(gold), model, split), gold=Lists.of(gold), said=Lists.of(said))


def texts(
    gold: Sequence[Sequence[str]] | None,
    said: Sequence[str] | None,
    *,
    purpose: TextPurpose = "generation",
    model: str = "full",
    split: str = "test",
    **numbers: Any,
) -> TextPredictions:
    """Texts given one by one, and any of the numbers."""
    n = len(gold if gold is not None else said if said is not None else numbers["nats"])
    return TextPredictions(
        **shared(n, model, split),
        gold=None if gold is None else tuple(tuple(row) for row in gold),
        said=None if said is None else tuple(said),
        purpose=purpose,
        **{name: tuple(values) if name == "chosen" else np.asarray(values) for name, values in numbers.items()},
    )


WORDS = [f"{first}{second}{third}" for first in "bdkl" for second in "aeiou" for third in "nrst"]


def drawn_texts(
    purpose: TextPurpose, quality: float, n: int, truth: np.random.Generator, rng: np.random.Generator, about: Any
) -> TextPredictions:
    """Sentences of made words of which ``quality`` are kept, nats that fall with it; of "language", nats alone."""
    gold = [list(truth.choice(WORDS, truth.integers(5, 12))) for _ in range(n)]
    said = [[word if rng.random() < quality else str(rng.choice(WORDS)) for word in row] for row in gold]
    tokens = np.asarray([len(row) for row in gold])
    numbers = {
        "nats": tokens * np.clip(4 - 3 * quality + 0.5 * rng.normal(size=n), 0.01, None),
        "tokens": tokens,
        "num_bytes": np.asarray([len(" ".join(row)) for row in gold]),
        "num_right": rng.binomial(tokens, quality),
    }
    if purpose == "language":
        return texts(None, None, purpose=purpose, **about, **numbers)
    numbers |= {"finished": rng.random(n) < quality, "num_said": tokens}
    joined = [" ".join(row) for row in said]
    return texts([[" ".join(row)] for row in gold], joined, purpose=purpose, **about, **numbers)


TEXTS: tuple[TextPurpose, ...] = ("generation", "translation", "summarization", "language")
KINDS = ("spans", "answers", "similarity", "regression", "ranks", "preferences", *TEXTS)


def model(kind: str, quality: float, *, n: int = 300, name: str = "full", seed: int = 0, split: str = "test") -> Any:
    """A model of a kind, better with ``quality`` in 0..1; the same truth for equal ``n`` and ``seed``."""
    truth = np.random.default_rng(seed)
    rng = np.random.default_rng([seed, *name.encode()])
    about: dict[str, Any] = {"model": name, "split": split}
    if kind == "spans":
        gold = [drawn_spans(truth) for _ in range(n)]
        return spans(gold, nearly(rng, gold, quality), **about)
    if kind == "answers":
        gold_texts = [["the red fox"] if truth.random() < 0.7 else [] for _ in range(n)]
        right = rng.random(n) < quality
        said = [(row[0] if row else "") if ok else "red dog" for row, ok in zip(gold_texts, right, strict=True)]
        return answers(gold_texts, said, **about)
    if kind == "ranks":
        chosen = truth.integers(0, 30, n)
        made = [[(key, float(rng.random() + quality * (key == best))) for key in range(30)] for best in chosen]
        return ranks([[(int(best), 1.0)] for best in chosen], made, **about)
    if kind == "preferences":
        sizes = truth.integers(5, 90, (n, 2))
        rewards = rng.normal(size=(n, 2)) + np.asarray([2 * quality, 0.0])
        return PreferencePredictions(**shared(n, name, split), gold=np.ones(n, bool), rewards=rewards, lengths=sizes)
    if kind in TEXTS:
        return drawn_texts(kind, quality, n, truth, rng, about)
    gold_values = truth.normal(size=n)
    said_values = gold_values + (1 - quality) * rng.normal(size=n)
    return numbers(gold_values, said_values, purpose=kind, **about)  # type: ignore[arg-type]


def grouped(predictions: Predictions, size: int) -> Any:
    """The same rows in groups of neighbours."""
    from dataclasses import replace

    return replace(predictions, groups=(np.arange(len(predictions)) // size).astype(np.uint64))
