"""Answers taken from a context, or none, measured as SQuAD is (:mod:`whet.data.answer_text`).

A question that cannot be answered is right exactly when nothing is said. Metrics that speak of
answerable or of unanswerable questions only are shown where both occur.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.data.answer_text import f1
from whet.evaluation.shares import share_interval
from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, mean_of

if TYPE_CHECKING:
    from whet.data.predictions import AnswerPredictions

ANSWERABLE, UNANSWERABLE = "answerable", "unanswerable"


def metrics(predictions: AnswerPredictions) -> tuple[str, ...]:
    """F1 and exact match; where some questions have an answer and some have not, of either sort by itself."""
    has = answerable(predictions)
    if has.all() or not has.any():
        return ("answer_f1", "exact_match")
    return ("answer_f1", "exact_match", "answerable_f1", "answerable_exact", "no_answer_accuracy")


def primary(predictions: AnswerPredictions) -> str:
    """F1 over all questions."""
    return "answer_f1"


def check(predictions: AnswerPredictions) -> tuple[str, str] | None:
    """V105: a probability that is no number or not in 0..1."""
    stated = np.stack([predictions.confidence, predictions.no_answer])
    inside = ((stated >= -1e-6) & (stated <= 1 + 1e-6)).all(axis=0)  # false for NaN too
    if inside.all():
        return None
    return "V105", f"{int((~inside).sum()):,} rows hold probabilities that are not numbers in 0..1."


def comparable(first: AnswerPredictions, second: AnswerPredictions) -> bool:
    """Answers have no labels that could differ."""
    return True


def aligned(predictions: AnswerPredictions, like: AnswerPredictions) -> AnswerPredictions:
    """As they are."""
    return predictions


def same_truth(first: AnswerPredictions, second: AnswerPredictions) -> bool:
    """The same answers are accepted, in any order."""
    return [set(row) for row in truth(first)] == [set(row) for row in truth(second)]


def truth(predictions: AnswerPredictions) -> tuple[tuple[str, ...], ...]:
    """The accepted answers, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def answerable(predictions: AnswerPredictions) -> NDArray[np.bool_]:
    """(n,) whether a question has an answer."""
    return np.asarray([bool(row) for row in truth(predictions)], dtype=bool)


def row_f1(predictions: AnswerPredictions) -> Floats:
    """(n,) the best F1 of words over the accepted answers."""
    pairs = zip(predictions.said, truth(predictions), strict=True)
    return np.asarray([f1(said, gold) for said, gold in pairs], dtype=np.float64)


def sums(predictions: AnswerPredictions, *, soft: bool = True) -> Sums:
    """Rows, F1 and exact matches: of all questions, of the answerable and of the unanswerable ones."""
    shared, exact, has = row_f1(predictions), predictions.correct, answerable(predictions)
    blocks = {
        "rows": dense(np.ones(len(has))),
        "f1": dense(shared),
        "exact": dense(exact),
        "with": dense(has),
        "with_f1": dense(shared * has),
        "with_exact": dense(exact & has),
        "without": dense(~has),
        "without_exact": dense(exact & ~has),
    }
    return assembled(len(has), blocks, FORMULAS)


FORMULAS: dict[str, Formula] = {
    "answer_f1": mean_of("f1"),
    "exact_match": mean_of("exact"),
    "answerable_f1": mean_of("with_f1", "with"),
    "answerable_exact": mean_of("with_exact", "with"),
    "no_answer_accuracy": mean_of("without_exact", "without"),
}


def points(predictions: AnswerPredictions) -> dict[str, float]:
    """Means are exact as they are."""
    return {}


def population(predictions: AnswerPredictions, metric: str) -> NDArray[np.bool_] | None:
    """The answerable or the unanswerable questions, for the metrics that speak of them."""
    if metric.startswith("answerable"):
        return answerable(predictions)
    return ~answerable(predictions) if metric == "no_answer_accuracy" else None


def decisions(predictions: AnswerPredictions) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Each row: confidence in what is said, whether it matches exactly."""
    return predictions.confidence.astype(np.float64), predictions.correct, np.arange(len(predictions))


def right(predictions: AnswerPredictions, part: str | None = None) -> NDArray[np.bool_]:
    """Whether the answer matches exactly."""
    return predictions.correct


def mistakes(predictions: AnswerPredictions, metric: str | None = None) -> Floats:
    """(n,) 1 - F1."""
    return 1.0 - row_f1(predictions)


def slices(predictions: AnswerPredictions) -> dict[str, NDArray[np.bool_]]:
    """The answerable and the unanswerable questions."""
    has = answerable(predictions)
    return {name: inside for name, inside in ((ANSWERABLE, has), (UNANSWERABLE, ~has)) if inside.any()}


def details(predictions: AnswerPredictions) -> dict[str, Any]:
    """Counts, and either sort of question by itself with the interval of its F1."""
    shared, has = row_f1(predictions), answerable(predictions)
    said = np.asarray([bool(text) for text in predictions.said], dtype=bool)
    parts = []
    for name, inside in slices(predictions).items():
        low, high = share_interval(shared[inside], None if predictions.groups is None else predictions.groups[inside])
        exact = float(predictions.correct[inside].mean())
        row = {"label": name, "support": int(inside.sum()), "f1": float(shared[inside].mean()), "exact_match": exact}
        parts.append(row | {"low": low, "high": high})
    return {
        "counts": {
            "answerable": int(has.sum()),
            "unanswerable": int((~has).sum()),
            "answered": int(said.sum()),
            "answered_without_answer": int((said & ~has).sum()),
            "left_unanswered": int((~said & has).sum()),
            "exact": int(predictions.correct.sum()),
            "partly": int(((shared > 0) & ~predictions.correct).sum()),
            "wrong": int((shared == 0).sum()),
        },
        "per_slice": parts,
    }
