"""Preferences: how often the better answer has the larger reward, and whether that is more than counting letters.

Pairs are right or wrong, so that exact methods for shares hold; two of their metrics look at the pairs whose better
answer is the longer, or the shorter, one. Of thumbs it is the area under the curve: each row contributes its
pseudo-value, the area plus the row's influence on it, of which the mean is the area again and whose spread is that of
the area, ties counted half (DeLong, DeLong and Clarke-Pearson 1988).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, mean_of

if TYPE_CHECKING:
    from whet.data.predictions import PreferencePredictions

PAIRS = ("pair_accuracy", "longer_accuracy", "shorter_accuracy")
THUMBS = ("reward_auc",)


def metrics(predictions: PreferencePredictions) -> tuple[str, ...]:
    """Of pairs accuracies, those of a part where there is one; of thumbs the area under the curve."""
    if not predictions.paired:
        return THUMBS
    there = {name: bool(rows.any()) for name, rows in _by_length(predictions).items()}
    return tuple(name for name in PAIRS if there.get(name, True))


def primary(predictions: PreferencePredictions) -> str:
    """Pair accuracy, or the area under the curve."""
    return metrics(predictions)[0]


def check(predictions: PreferencePredictions) -> tuple[str, str] | None:
    """V105: a reward that is no finite number."""
    finite = np.isfinite(predictions.rewards).all(1)
    return (
        None if finite.all() else ("V105", f"{int((~finite).sum()):,} rows hold rewards that are not finite numbers.")
    )


def comparable(first: PreferencePredictions, second: PreferencePredictions) -> bool:
    """Both judge pairs, or both single answers."""
    return first.paired == second.paired


def aligned(predictions: PreferencePredictions, like: PreferencePredictions) -> PreferencePredictions:
    """As they are."""
    return predictions


def same_truth(first: PreferencePredictions, second: PreferencePredictions) -> bool:
    """The same answers are better, or liked."""
    return np.array_equal(truth(first), truth(second)) and np.array_equal(first.lengths, second.lengths)


def truth(predictions: PreferencePredictions) -> NDArray[np.bool_]:
    """What is true of each row, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def _by_length(predictions: PreferencePredictions) -> dict[str, NDArray[np.bool_]]:
    """(n,) pairs that the metrics of a part speak of."""
    ahead = predictions.lengths[:, 0] - predictions.lengths[:, 1]
    ahead = np.where(truth(predictions), ahead, -ahead)
    return {"longer_accuracy": ahead > 0, "shorter_accuracy": ahead < 0}


def sums(predictions: PreferencePredictions, *, soft: bool = True) -> Sums:
    """Rows, which of them are right, those of each part; of thumbs pseudo-values."""
    n = len(predictions)
    columns: dict[str, NDArray[Any]] = {"rows": np.ones(n)}
    if predictions.paired:
        columns["right"] = predictions.correct
        for name, rows in _by_length(predictions).items():
            columns[f"rows_{name}"] = rows
            columns[f"right_{name}"] = rows & predictions.correct
    else:
        columns["area"] = pseudo_values(predictions.rewards[:, 0], truth(predictions))
    return assembled(n, {name: dense(values) for name, values in columns.items()}, FORMULAS)


def pseudo_values(rewards: Floats, liked: NDArray[np.bool_]) -> Floats:
    """(n,) the area under the curve plus each row's influence on it; a half everywhere where one kind is missing."""
    share = float(liked.mean()) if len(liked) else 0.0
    if share in (0.0, 1.0):
        return np.full(len(liked), 0.5)
    above = _share_below(rewards, rewards[~liked])  # of a liked answer: disliked ones below it
    below = 1.0 - _share_below(rewards, rewards[liked])  # of a disliked one: liked ones above it
    area = float(above[liked].mean())
    influence = np.where(liked, (above - area) / share, (below - area) / (1 - share))
    return np.asarray(area + influence, dtype=np.float64)


def _share_below(values: Floats, others: Floats) -> Floats:
    """(n,) share of ``others`` that are smaller than each value, equal ones counted half."""
    ordered = np.sort(others)
    low, high = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((low + high) / 2 / len(others), dtype=np.float64)


FORMULAS: dict[str, Formula] = {
    "pair_accuracy": mean_of("right"),
    "longer_accuracy": mean_of("right_longer_accuracy", "rows_longer_accuracy"),
    "shorter_accuracy": mean_of("right_shorter_accuracy", "rows_shorter_accuracy"),
    "reward_auc": mean_of("area"),
}


def points(predictions: PreferencePredictions) -> dict[str, float]:
    """Shares are exact as they are; the area by scikit-learn where both kinds are there."""
    if predictions.paired or len(np.unique(truth(predictions))) < 2:
        return {}
    from sklearn.metrics import roc_auc_score

    return {"reward_auc": float(roc_auc_score(truth(predictions), predictions.rewards[:, 0]))}


def population(predictions: PreferencePredictions, metric: str) -> NDArray[np.bool_] | None:
    """The pairs of a part for its metric."""
    return _by_length(predictions).get(metric) if predictions.paired else None


def decisions(predictions: PreferencePredictions) -> None:
    """A reward comes without a probability of being right."""


def right(predictions: PreferencePredictions, part: str | None = None) -> NDArray[np.bool_] | None:
    """Whether the better answer has the larger reward; None of thumbs, whose rewards have no zero."""
    return predictions.correct if predictions.paired else None


def mistakes(predictions: PreferencePredictions, metric: str | None = None) -> Floats:
    """(n,) 1 for a pair the wrong way round; of a thumb the share of the others that it stands on the wrong side of."""
    if predictions.paired:
        return np.asarray(1.0 - predictions.correct, dtype=np.float64)
    rewards, liked = predictions.rewards[:, 0], truth(predictions)
    if liked.all() or not liked.any():
        return np.zeros(len(liked))
    wrong = np.where(liked, 1.0 - _share_below(rewards, rewards[~liked]), _share_below(rewards, rewards[liked]))
    return np.asarray(wrong, dtype=np.float64)


def slices(predictions: PreferencePredictions) -> dict[str, NDArray[np.bool_]]:
    """None."""
    return {}


def details(predictions: PreferencePredictions) -> dict[str, Any]:
    """Counts, how often the better answer is longer, and what training did to the likelihood of either answer."""
    found: dict[str, Any] = {"counts": {"rows": len(predictions)}, "paired": predictions.paired}
    if predictions.paired:
        parts = _by_length(predictions)
        longer, shorter = (int(parts[name].sum()) for name in PAIRS[1:])
        found["counts"] |= {"longer_better": longer, "shorter_better": shorter}
        found["ties"] = int((predictions.rewards[:, 0] == predictions.rewards[:, 1]).sum())
    if predictions.policy is not None and predictions.reference is not None and predictions.tokens is not None:
        moved = predictions.policy - predictions.reference
        better = truth(predictions)
        rows = np.arange(len(predictions))
        place = np.where(better, 0, 1) if predictions.paired else np.zeros(len(predictions), np.int64)
        sides = {"better": (rows, place), "worse": (rows, 1 - place)}
        if not predictions.paired:
            sides = {"better": (rows[better], place[better]), "worse": (rows[~better], place[~better])}
        found["moved"] = {
            name: {
                "nats": float(moved[some].mean()),
                "nats_per_token": float(moved[some].sum() / max(1, predictions.tokens[some].sum())),
            }
            for name, some in sides.items()
            if len(some[0])
        }
    return found
