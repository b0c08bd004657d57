"""W006: whether validation, which steers training, is like test, which judges it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.intervals import RESAMPLES, Estimate, bootstrap
from whet.evaluation.kinds import is_share, kind_of, right_by
from whet.evaluation.measures import lower_is_better
from whet.evaluation.rows import checked
from whet.evaluation.shares import share_interval, z_of
from whet.evaluation.wording import amount, number
from whet.findings import Finding
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

MOST_ROWS = 2000
"""Of each split that are told apart, drawn at random."""
FEWEST_ROWS = 50
"""Of each split; with fewer nothing is told apart."""
MOST_CHARACTERS = 2000
"""Of a text that are looked at."""
FOLDS = 5
APART = 0.55
"""A share of pairs (one row of each split) put in the right order that is no accident counts from here on."""
LEVEL = 0.99
"""Of the interval of that share."""
WORDS_SHOWN = 8
WORD = r"(?u)\b\w+\b"

REMEDY = (
    "Draw validation and test from the same rows: give one file, or files that were divided at random (data.group "
    "keeps together what belongs together). Until then let the test rows be those that the model will be asked."
)


@dataclass(frozen=True, slots=True)
class Apart:
    """How well a linear classifier of words tells rows of two splits apart.

    ``auc``: share of pairs, one row of each, that it puts in the right order; 0.5 is chance. Each row is judged by a
    classifier that did not see it.
    """

    auc: float
    low: float
    high: float
    words: tuple[tuple[str, ...], tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        names = ("words_of_validation", "words_of_test")
        words = {name: list(some) for name, some in zip(names, self.words, strict=True)}
        return {"auc": self.auc, "low": self.low, "high": self.high, **words}


def gap(
    validation: Predictions,
    test: Predictions,
    metric: str,
    *,
    seed: int,
    level: float = 0.95,
    num_resamples: int = RESAMPLES,
) -> Estimate:
    """``metric`` on validation minus that on test, other rows, with its interval, turned so that more is better.

    From the intervals of both by the square root of summed squares (Newcombe 1998, Stat. Med. 17:873; Zou and Donner
    2008, Stat. Med. 27:1693).
    """
    one, other = (_estimate(split, metric, seed, level, num_resamples) for split in (validation, test))
    value = one.value - other.value
    low = value - hypot(one.value - one.low, other.high - other.value)
    high = value + hypot(one.high - one.value, other.value - other.low)
    return Estimate(-value, -high, -low) if lower_is_better(metric) else Estimate(value, low, high)


def _estimate(predictions: Predictions, metric: str, seed: int, level: float, num_resamples: int) -> Estimate:
    predictions = checked(predictions)
    if is_share(predictions, metric):
        right = right_by(predictions, metric)
        assert right is not None
        inside = kind_of(predictions).population(predictions, metric)
        rows = slice(None) if inside is None else inside
        groups = None if predictions.groups is None else predictions.groups[rows]
        low, high = share_interval(right[rows], groups, level)
        return Estimate(float(right[rows].mean()), low, high)
    return bootstrap(predictions, metric, seed=seed, level=level, num_resamples=num_resamples)


def told_apart(
    first: Sequence[str], second: Sequence[str], groups: NDArray[Any] | None = None, *, seed: int
) -> Apart | None:
    """Whether texts of two splits can be told apart by their words; None where there are too few to say.

    :param groups: the document of each text, first ones first; no document is in training and judged.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold

    draw = generator(seed, "told apart")
    chosen = [np.sort(draw.permutation(len(texts))[:MOST_ROWS]) for texts in (first, second)]
    texts = [first[row][:MOST_CHARACTERS] for row in chosen[0]] + [second[row][:MOST_CHARACTERS] for row in chosen[1]]
    truth = np.repeat([0, 1], [len(rows) for rows in chosen])
    places = np.concatenate([chosen[0], chosen[1] + len(first)])
    kept = np.arange(len(texts)) if groups is None else np.asarray(groups)[places]
    units = [len(np.unique(kept[truth == side])) for side in (0, 1)]
    if min(units) < (FEWEST_ROWS if groups is None else FOLDS):
        return None
    words = TfidfVectorizer(token_pattern=WORD, min_df=2, max_features=20_000, sublinear_tf=True)
    try:
        table = words.fit_transform(texts)
    except ValueError:  # no word stands in two texts
        return None
    found: list[float] = []
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=int(draw.integers(2**31)))
    for seen, judged in folds.split(table, truth, kept):
        if len(np.unique(truth[seen])) < 2 or len(np.unique(truth[judged])) < 2:
            continue
        model = LogisticRegression(class_weight="balanced", max_iter=200).fit(table[seen], truth[seen])
        found.append(float(roc_auc_score(truth[judged], model.decision_function(table[judged]))))
    if not found:
        return None
    auc = float(np.mean(found))
    half = z_of(LEVEL) * _auc_error(auc, *units)
    weights = LogisticRegression(class_weight="balanced", max_iter=200).fit(table, truth).coef_[0]
    names, order = words.get_feature_names_out(), np.argsort(weights, kind="stable")
    said = tuple(tuple(map(str, names[some])) for some in (order[:WORDS_SHOWN], order[::-1][:WORDS_SHOWN]))
    return Apart(auc, max(0.0, auc - half), min(1.0, auc + half), (said[0], said[1]))


def _auc_error(auc: float, n: int, m: int) -> float:
    """Its standard error (Hanley and McNeil 1982, Radiology 143:29)."""
    above, squared = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    return sqrt(max(0.0, auc * (1 - auc) + (n - 1) * (above - auc**2) + (m - 1) * (squared - auc**2)) / (n * m))


def unlike(found: Estimate, apart: Apart | None, model: str, metric: str, margin: float) -> Finding:
    """Finding W006 from :func:`gap` of one model and :func:`told_apart` of the rows."""
    evidence: dict[str, Any] = {"metric": metric, "gap": found.to_json()}
    evidence |= {} if apart is None else {"told_apart": apart.to_json()}
    size = f"{amount(abs(found.value), metric)} {'better' if found.value > 0 else 'worse'} on validation than on test"
    size = size if found.value else "as good on validation as on test"
    size += f" (interval of the difference {number(found.low, metric)} to {number(found.high, metric)})"
    by_words = ""
    if apart is not None:
        by_words = (
            f" Their rows {'can' if apart.low > APART else 'can hardly'} be told apart by their words (a classifier "
            f"puts {100 * apart.auc:.0f} % of pairs in the right order; 50 % is chance)."
        )
    shifted = apart is not None and apart.low > APART
    beyond = not found.low <= 0 <= found.high and abs(found.value) > margin
    if beyond:
        why = " Part of that is that the best state was chosen by validation." if found.value > 0 else ""
        message = f"{model} is {size}, more than chance.{why}{by_words}"
        return Finding("W006", "issue" if found.value > 0 else "tip", message, model, REMEDY, evidence)
    message = f"{model} is {size}: no more than chance or the margin.{by_words}"
    return Finding("W006", "tip" if shifted else "passed", message, model, REMEDY if shifted else "", evidence)
