"""W007: labels that rows around them speak against, by confident learning (Northcutt et al., arXiv 1911.00068).

Every row is judged by a classifier that did not see it. cleanlab estimates from its probabilities how often a label
stands for another, and picks so many of the least likely ones. A weak classifier takes its own mistakes for wrong
labels: the estimate is then too high, and what is picked is to be looked at by people, never changed by itself.
"""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.findings import Finding
from whet.seeds import generator

PACKAGE = "whet[labels]"
FEWEST = 5
"""Rows of a class below which none of it is judged: with folds, next to nothing is known of it."""
WEAK = 0.8
"""Agreement below which what a classifier doubts says more of it than of the labels."""
RESAMPLES = 200
LEVEL = 0.95
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Doubted:
    """Rows whose label is doubtful, the worst first; k of n.

    - ``rows`` (k,): their numbers; ``quality`` (k,): 0 to 1, how well the label fits, by the classifier.
    - ``suggested`` (k,) int64, or (k, C) bool: what it would say; ``confidence`` (k,): how likely that is to it.
    - ``rate``: estimated share of labels that are wrong (several labels a row: of yes-or-no decisions), with its
      interval over rows; ``accuracy``: share of judged rows where the classifier says the label given.
    """

    rows: NDArray[np.int64]
    quality: NDArray[np.float64]
    suggested: NDArray[Any]
    confidence: NDArray[np.float64]
    rate: tuple[float, float, float]
    num_judged: int
    accuracy: float


def can_look() -> bool:
    """Whether cleanlab is installed."""
    return importlib.util.find_spec("cleanlab") is not None


def doubted(gold: NDArray[Any], probabilities: NDArray[Any], *, seed: int) -> Doubted | None:
    """Which labels are doubtful; None where no class has rows enough.

    :param gold: (n,) int64, or (n, C) bool with several labels a row.
    :param probabilities: (n, C) of each row by a classifier that did not see it.
    """
    several = gold.ndim == 2
    counts = gold.sum(0) if several else np.bincount(gold, minlength=probabilities.shape[1])
    known = np.flatnonzero(counts >= FEWEST)
    if len(known) < (1 if several else 2):
        return None
    probabilities = np.asarray(probabilities, dtype=np.float64)[:, known]
    judged = np.arange(len(gold)) if several else np.flatnonzero(np.isin(gold, known))
    probabilities = probabilities[judged]
    if several:
        picked, quality = _several(gold[:, known], probabilities)
        said = probabilities > 0.5
        truth: NDArray[Any] = gold[:, known]
        agrees = (said == truth).all(1)
        sure = np.where(said, probabilities, 1 - probabilities).min(1)
    else:
        probabilities = probabilities / probabilities.sum(1, keepdims=True)
        truth = np.searchsorted(known, gold[judged])
        picked, quality = _single(truth, probabilities)
        said = probabilities.argmax(1)
        agrees = said == truth
        sure = probabilities.max(1)
    picked = picked[~agrees[picked]]  # nothing else to suggest
    picked = picked[np.lexsort((judged[picked], quality[picked]))]
    suggested: NDArray[Any] = known[said[picked]] if not several else gold[judged[picked]].copy()
    if several:
        suggested[:, known] = said[picked]
    rate = _rate(truth, probabilities, generator(seed, "label noise", len(gold)))
    return Doubted(judged[picked], quality[picked], suggested, sure[picked], rate, len(judged), float(agrees.mean()))


def _single(truth: NDArray[np.int64], probabilities: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    with _quietly():
        found = find_label_issues(truth, probabilities, n_jobs=1)
        quality = get_label_quality_scores(truth, probabilities, method="normalized_margin")
    return np.flatnonzero(found), np.asarray(quality)


def _several(truth: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    from cleanlab.multilabel_classification.filter import find_label_issues
    from cleanlab.multilabel_classification.rank import get_label_quality_scores

    lists = [np.flatnonzero(row).tolist() for row in truth]
    with _quietly():
        found = find_label_issues(lists, probabilities, n_jobs=1)
        quality = get_label_quality_scores(lists, probabilities)
    return np.flatnonzero(found), np.asarray(quality)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Of classes that a drawing leaves out, and of libraries' own affairs, nothing is to be said."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _rate(
    truth: NDArray[Any], probabilities: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """The estimated share of wrong labels, and its percentile interval over drawn rows."""
    n = len(truth)
    value = wrong_share(truth, probabilities)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, n, n)
        drawn.append(wrong_share(truth[rows], probabilities[rows]))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return value, min(float(low), value), max(float(high), value)


def wrong_share(truth: NDArray[Any], probabilities: NDArray[np.float64]) -> float:
    """What of the estimated joint distribution of given and true labels lies off its diagonal.

    The confident joint counts a row for the likeliest of the classes that are at least as probable as they are on
    average where they are given, then is scaled to the counts of given labels (section 3.1 of the paper, as cleanlab).
    """
    if truth.ndim == 2:
        columns = [
            wrong_share(truth[:, one].astype(np.int64), np.stack([1 - probabilities[:, one], probabilities[:, one]], 1))
            for one in range(truth.shape[1])
        ]
        return float(np.mean(columns))
    c = probabilities.shape[1]
    counts = np.bincount(truth, minlength=c)
    sums = np.bincount(truth, weights=probabilities[np.arange(len(truth)), truth], minlength=c)
    cut = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    above = np.where(probabilities >= cut - 1e-6, probabilities, -1.0)
    confident = above.max(1) >= 0
    pairs = truth[confident] * c + above[confident].argmax(1)
    joint = np.bincount(pairs, minlength=c * c).reshape(c, c).astype(np.float64)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    joint *= (counts / joint.sum(1))[:, None]
    return float(1 - joint.trace() / joint.sum())


def finding(found: Mapping[str, Any] | None) -> Finding:
    """W007 out of label_noise.json; None where nothing was looked for."""
    if found is None:
        message = "Not looked for: it is switched off, the task is another, or the run has no probe of its rows."
        return Finding("W007", "not_applicable", message)
    if found.get("missing"):
        remedy = f"Install it with pip install '{PACKAGE}'."
        return Finding("W007", "not_applicable", "Not looked for: cleanlab is not installed.", "", remedy)
    rows: Sequence[Mapping[str, Any]] = found["rows"]
    judged, count = int(found["num_judged"]), len(rows)
    if not judged:
        return Finding("W007", "not_applicable", f"No class has {FEWEST} rows, which judging its labels takes.")
    rate = found["rate"]
    evidence = {name: value for name, value in found.items() if name != "rows"} | {
        "count": count,
        "share": count / judged,
    }
    if found["accuracy"] < WEAK:
        message = (
            f"Cannot tell: a classifier on the untouched base agrees with {100 * found['accuracy']:.1f} % of the "
            f"labels that it did not see; that it doubts {count:,} of {judged:,} says more of it than of them."
        )
        remedy = "'whet suspects RUN' lists them all the same, the least likely first." if count else ""
        return Finding("W007", "not_applicable", message, "", remedy, evidence)
    known = (
        f"(estimated share of wrong labels {100 * rate['value']:.1f} %, {100 * LEVEL:.0f} % interval over rows "
        f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}; a classifier that did not see them agrees with "
        f"{100 * found['accuracy']:.1f} % of all labels, and takes some of its own mistakes for theirs)"
    )
    if not count:
        return Finding("W007", "passed", f"No label of {judged:,} rows is doubtful {known}.", "", "", evidence)
    message = f"{count:,} of {judged:,} labels are doubtful ({100 * count / judged:.1f} %) {known}."
    remedy = "Write them to a file with 'whet suspects RUN', correct what is wrong, and fit with data.corrections=FILE."
    return Finding("W007", "tip", message, "", remedy, evidence)  # never more: the classifier may be what is wrong
