"""What is fitted on validation alone before a model is scored: a temperature, thresholds, when not to answer.

The same for baselines and trained models. What was fitted is a JSON object of the names in
:data:`SETTLED`; kinds of predictions that leave nothing to settle give an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.data.answer_text import f1
from whet.data.prediction_kinds import AnswerPredictions, ClassPredictions, decided
from whet.evaluation.calibration import apply_temperature, choose_thresholds, fit_temperature

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

SETTLED = ("temperature", "thresholds", "no_answer_from")
"""``no_answer_from``: a question is left unanswered where the probability of "no answer" reaches it."""

NEVER = 2.0
"""A threshold that no probability reaches."""


def settle(validation: Predictions) -> dict[str, Any]:
    """Fit on the rows of validation what these predictions leave open."""
    ways = WAYS.get(validation.kind)
    return ways[0](validation) if ways else {}


def settled(predictions: Predictions, fitted: Mapping[str, Any]) -> Predictions:
    """The same predictions with what was fitted applied to them."""
    ways = WAYS.get(predictions.kind)
    return ways[1](predictions, fitted) if ways else predictions


def _settle_classes(validation: ClassPredictions) -> dict[str, Any]:
    temperature = fit_temperature(validation)
    if not validation.multi_label:
        return {"temperature": temperature}
    assert validation.gold is not None
    scores = apply_temperature(validation, temperature).scores
    return {"temperature": temperature, "thresholds": choose_thresholds(scores, validation.gold).tolist()}


def _settled_classes(predictions: ClassPredictions, fitted: Mapping[str, Any]) -> ClassPredictions:
    temperature, thresholds = float(fitted.get("temperature", 1.0)), fitted.get("thresholds")
    found = predictions if temperature == 1.0 else apply_temperature(predictions, temperature)
    return found if thresholds is None else replace(found, thresholds=np.asarray(thresholds, np.float32))


def _settle_answers(validation: AnswerPredictions) -> dict[str, Any]:
    return {"no_answer_from": no_answer_threshold(validation)}


def _settled_answers(predictions: AnswerPredictions, fitted: Mapping[str, Any]) -> AnswerPredictions:
    found = fitted.get("no_answer_from")
    return predictions if found is None else answered(predictions, float(found))


def answered(predictions: AnswerPredictions, no_answer_from: float) -> AnswerPredictions:
    """The best answer of each question, or none where "no answer" is as probable as ``no_answer_from``."""
    return replace(predictions, **decided(predictions.nbest, predictions.no_answer, no_answer_from))


def no_answer_threshold(validation: AnswerPredictions) -> float:
    """The threshold with the best mean F1 on validation; never to be reached where every question has an answer.

    Of thresholds that do equally well the middle of the widest range is taken.
    """
    assert validation.gold is not None
    empty = np.asarray([not gold for gold in validation.gold], bool)
    if not empty.any():
        return NEVER
    loud = np.asarray(
        [f1(best[0][0] if best else "", gold) for best, gold in zip(validation.nbest, validation.gold, strict=True)]
    )
    order = np.argsort(validation.no_answer, kind="stable")
    gain: NDArray[np.float64] = np.concatenate([np.zeros(1), np.cumsum(loud[order])])  # the first k are answered
    quiet = np.concatenate([np.cumsum(empty[order][::-1].astype(float))[::-1], np.zeros(1)])
    edges = np.concatenate([[-1.0], validation.no_answer[order].astype(float), [NEVER]])
    total = np.where(np.diff(edges) > 0, gain + quiet, -1.0)
    best = np.flatnonzero(total >= total.max() - 1e-9)
    inside = np.clip(edges, 0.0, 1.0)
    widest = int(best[np.diff(inside)[best].argmax()])
    low, high = inside[widest], inside[widest + 1]
    if low < high:
        return float((low + high) / 2)
    return NEVER if widest == len(order) else 0.0


WAYS: dict[str, tuple[Callable[[Any], dict[str, Any]], Callable[[Any, Mapping[str, Any]], Any]]] = {
    "classes": (_settle_classes, _settled_classes),
    "answers": (_settle_answers, _settled_answers),
}
"""Kind of predictions -> how what it leaves open is fitted, and how it is applied."""
