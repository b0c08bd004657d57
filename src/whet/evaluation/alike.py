"""Whether two models say the same of every row, so that no number of such rows can tell them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from whet.data.ragged import Lists, Spans
from whet.evaluation.measures import CHOICE

if TYPE_CHECKING:
    from whet.data.predictions import Predictions, TextPredictions

NOISE = 1e-5
"""Two numbers are the same up to this share of their spread: sums in another order differ by less."""


def say_the_same(first: Predictions, second: Predictions, metric: str | None = None) -> bool:
    """Whether both decide every row alike: classes, spans, answers, numbers, the order of passages, texts.

    How sure they are may differ, but for texts, whose likelihood is what is asked. False for kinds that are not
    compared here.

    :param second: of the same kind and rows, in the same order.
    :param metric: what they are compared by; texts that are a choice from a closed set are alike where that is.
    """
    if first.kind == "texts":
        one_text, other_text = cast("TextPredictions", first), cast("TextPredictions", second)
        if metric == CHOICE:
            return one_text.chosen == other_text.chosen
        return _alike(one_text, other_text)
    if first.kind == "classes":
        return np.array_equal(cast("Any", first).predicted, cast("Any", second).predicted)
    if first.kind == "preferences":
        return np.array_equal(cast("Any", first).order, cast("Any", second).order)
    one, other = cast("Any", first).said, cast("Any", second).said
    if isinstance(one, Spans):
        return len(one.starts) == len(other.starts) and bool(one.stand_in(other).all())
    if isinstance(one, Lists):
        return np.array_equal(one.offsets, other.offsets) and np.array_equal(one.keys, other.keys)
    if first.kind == "values":
        return bool((np.abs(one - other) <= NOISE * float(np.ptp(one))).all())
    return first.kind == "answers" and one == other


def _alike(first: TextPredictions, second: TextPredictions) -> bool:
    if (first.said, first.chosen) != (second.said, second.chosen) or (first.nats is None) != (second.nats is None):
        return False
    if first.nats is None or second.nats is None:
        return True
    return bool((np.abs(first.nats - second.nats) <= NOISE * np.maximum(1.0, np.abs(first.nats))).all())
