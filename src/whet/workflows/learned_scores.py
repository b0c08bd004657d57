"""Scores of translations by a learned model: COMET (arXiv 2009.09025), where its package is installed.

The package unbabel-comet is no dependency: it holds back versions of other libraries, and its models are large.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.predictions import Predictions, TextPredictions
from whet.errors import Problem, UserError
from whet.evaluation.shares import LEVEL
from whet.seeds import generator

_PACKAGE, _LIBRARY = "unbabel-comet", "comet"
_OPTION = "evaluation.comet"
AT_ONCE = 16
"""Rows that the learned model reads at once."""


def refuse_missing(wanted: str | None, task: str) -> None:
    """Raise at the start of a run that could not be scored at its end.

    :param wanted: the value of ``evaluation.comet``.
    :raises UserError: V114, the package is not installed, or the task has no sources and references.
    """
    if wanted is None:
        return
    if task != "translation":
        what = f"COMET scores translations, and the task is {task}."
        raise UserError(Problem("V114", _OPTION, what, "Leave it out."))
    if importlib.util.find_spec(_LIBRARY) is None:
        what = f"{wanted!r} is read by the package {_PACKAGE}, which is not installed."
        raise UserError(Problem("V114", _OPTION, what, f"Install it: pip install {_PACKAGE}; or leave this out."))


def comet(
    wanted: str, models: Sequence[Predictions], sources: Sequence[str], *, seed: int, num_resamples: int
) -> dict[str, dict[str, Any]]:
    """By model the mean of its rows with an interval, and which COMET it is; for ``details`` of scores.json.

    The reference is the first accepted text of a row. Models that said nothing are left out.

    :param wanted: a name that the package knows, or the file of a checkpoint.
    :param models: on the same rows, in the same order; :param sources: (n,) what was to be translated.
    :raises UserError: V114, there is no such model.
    """
    written = [one for one in models if isinstance(one, TextPredictions) and one.said is not None and one.gold]
    if not written:
        return {}
    model, found = _opened(wanted), {}
    for one in written:
        assert one.said is not None and one.gold is not None
        texts = zip(sources, one.said, one.gold, strict=True)
        rows = [{"src": source, "mt": said, "ref": gold[0]} for source, said, gold in texts]
        scores = model.predict(rows, batch_size=AT_ONCE, gpus=0, progress_bar=False).scores
        value, low, high = interval(np.asarray(scores, np.float64), one.groups, seed, num_resamples)
        found[one.model] = {"value": value, "low": low, "high": high, "model": wanted}
    return found


def _opened(wanted: str) -> Any:
    library = importlib.import_module(_LIBRARY)
    try:
        path = wanted if Path(wanted).is_file() else library.download_model(wanted)
        return library.load_from_checkpoint(path)
    except (OSError, KeyError, ValueError) as error:
        what = f"{wanted!r} cannot be opened as a model of COMET: {error}."
        raise UserError(Problem("V114", _OPTION, what, "Give a name that COMET knows, or a checkpoint.")) from error


def interval(
    scores: NDArray[np.float64], groups: NDArray[np.uint64] | None, seed: int, num_resamples: int
) -> tuple[float, float, float]:
    """Mean of ``scores`` (n,), and its percentile bootstrap; rows of one group are drawn together."""
    units = np.arange(len(scores)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(units, scores), np.bincount(units)
    rng = generator(seed, "comet", len(scores))
    drawn = np.empty(num_resamples)
    for number in range(num_resamples):
        chosen = rng.integers(0, len(sums), len(sums))
        drawn[number] = sums[chosen].sum() / sizes[chosen].sum()
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(scores.mean()), float(low), float(high)
