"""Saved texts, row by row: how near each is to an accepted one, and how unlikely each true one was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from whet.report.run_files import RunFiles
from whet.report.score_tables import ranked

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import TextPredictions

    Floats = NDArray[np.float64]

SHOWN_BESIDE = ("base", "few_shot", "nearest_answer", "copy_source", "lead3")
"""Models whose texts help to read those of another, in this order."""


def models_of(run: RunFiles) -> list[str]:
    """The models with saved test predictions: the scored ones best first, then others by name."""
    scored = (run.scores or {}).get("models") or {}
    order = ranked(scores_of(run), str((run.scores or {}).get("primary", "")))
    paths = sorted((run.folder / "predictions").glob("*.test.parquet"))
    saved = [path.name.removesuffix(".test.parquet") for path in paths]
    return [name for name in order if name in saved] + [name for name in saved if name not in scored]


def scores_of(run: RunFiles) -> dict[str, dict[str, object]]:
    """``{model: {metric: value}}`` as scored; empty where nothing was."""
    models = (run.scores or {}).get("models")
    return models if isinstance(models, dict) else {}


def wrote(run: RunFiles) -> tuple[str, TextPredictions] | str:
    """The shown model and its texts; of the best other that wrote any, where it wrote none; else the reason."""
    from whet.data.predictions import TextPredictions

    shown = run.judged(TextPredictions)
    if isinstance(shown, str):
        return shown
    for model in (run.shown_model, *models_of(run)):
        found = run.predictions(model, TextPredictions)
        if model is not None and found is not None and found.said is not None and found.gold is not None and len(found):
            return model, found
    return "No model of this run wrote any text."


def beside(run: RunFiles, model: str, predictions: TextPredictions) -> dict[str, TextPredictions]:
    """``{model: its texts}`` of those that may stand beside, as far as they speak of the very same rows."""
    from whet.data.predictions import TextPredictions

    found = {}
    for name in SHOWN_BESIDE:
        other = run.predictions(name, TextPredictions) if name != model else None
        if other is not None and other.said is not None and _same_rows(predictions, other):
            found[name] = other
    return found


def _same_rows(first: TextPredictions, second: TextPredictions) -> bool:
    return np.array_equal(first.ids, second.ids) and np.array_equal(first.hashes, second.hashes)


def nearness(predictions: TextPredictions) -> Floats:
    """(n,) chrF of each row by itself, in 0..1."""
    from whet.evaluation.overlap import chrf_counts, chrf_of

    assert predictions.said is not None and predictions.gold is not None
    pairs = zip(predictions.said, predictions.gold, strict=True)
    counts = [chrf_counts(said, accepted) if accepted else (0,) * 18 for said, accepted in pairs]
    return np.asarray(chrf_of(np.asarray(counts, dtype=np.float64).reshape(len(counts), 18)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Unit:
    """One row, or the rows of one document: ``rows`` in the order of the predictions; nats and counts together."""

    rows: tuple[int, ...]
    nats: float
    tokens: int
    num_right: int | None

    @property
    def rate(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens


def by_document(predictions: TextPredictions) -> bool:
    """Whether the loss is looked at by document: where rows are pieces of one."""
    return predictions.purpose == "language" and predictions.groups is not None


def units(predictions: TextPredictions) -> list[Unit]:
    """Every row, or every document, of which tokens were counted; none where there are no probabilities."""
    nats, tokens = predictions.nats, predictions.tokens
    if nats is None or tokens is None:
        return []
    places: list[Sequence[int]] = [(row,) for row in range(len(predictions))]
    if by_document(predictions):
        assert predictions.groups is not None
        gathered: dict[int, list[int]] = {}
        for row, group in enumerate(predictions.groups):
            gathered.setdefault(int(group), []).append(row)
        places = list(gathered.values())
    right = predictions.num_right
    made = []
    for rows in places:
        some = np.asarray(rows)
        count, total = int(tokens[some].sum()), float(nats[some].sum())
        if count > 0 and np.isfinite(total):
            made.append(Unit(tuple(rows), total, count, None if right is None else int(right[some].sum())))
    return made
