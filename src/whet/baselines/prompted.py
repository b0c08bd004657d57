"""A language model that is asked in words: without examples, with some, or with those nearest to each row.

Examples are training rows with their true answers. How well they serve depends on which they are and in which order
they stand, so ``few_shot`` tries several draws on validation and answers with the best of them; how far the draws
lie apart goes on record, in the facts of the baseline under ``prompting``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Material, Said
from whet.baselines.prompt_rival import Answered, Rival, rival_of
from whet.baselines.prompt_shots import drawn, nearest
from whet.baselines.tfidf_cosine import Searched
from whet.data.predictions import Predictions
from whet.evaluation.kinds import primary_of, values_of
from whet.evaluation.measures import lower_is_better
from whet.seeds import generator

ZERO, FEW, NEAREST = "zero_shot", "few_shot", "nearest_shots"
CHOSEN_ON = 200
"""Validation rows on which draws are tried: enough to see what differs much, and each of them costs a request."""
CHEAP = 3000
"""Most test rows, times draws, that are asked about only to say how far the draws lie apart."""
Draw = tuple[int, ...]


def zero_shot(material: Material, seed: int) -> Said:
    """Only the instruction and the row.

    :raises UserError: P050, the task cannot be asked in words; P051, there is nobody to ask; P052, whoever is asked
        reads too few tokens; and what a speaker raises.
    """
    rival = rival_of(material)
    found = {split: _answer(rival, ZERO, material, split, ()) for split in ANSWERED}
    return _said(rival, material, found, 0, {"labels": 0, "train_seconds": 0.0})


def few_shot(material: Material, seed: int) -> Said:
    """The draw of training rows that is best on validation, before every row.

    :raises UserError: as :func:`zero_shot`.
    """
    rival = rival_of(material)
    draws = _draws(rival, material, seed)
    started = time.monotonic()
    tried = _Tried.of(rival, material, draws, seed)
    seconds = time.monotonic() - started
    best = draws[tried.best]
    found = {split: tried.whole(split) or _answer(rival, FEW, material, split, best) for split in ANSWERED}
    shown = sorted({row for draw in draws for row in draw})
    spread = tried.to_json() | {"test": _test_values(rival, material, draws, tried, found["test"])}
    about = {"labels": len(shown), "train_seconds": seconds, "spread": spread}
    return _said(rival, material, found, len(best), about)


def nearest_shots(material: Material, seed: int) -> Said:
    """The training rows that share most rare words with each row, the most alike last.

    What a model prefers for no reason is measured behind random rows: behind the nearest ones, what it prefers may
    well be what they say.

    :raises UserError: as :func:`zero_shot`.
    """
    rival = rival_of(material)
    fair = _draws(rival, material, seed, 1)[0]
    known = Searched.of(list(material.texts("train")))
    found: dict[str, Answered] = {}
    for split in ANSWERED:
        shown = nearest(known, list(material.texts(split)), len(fair), fair)
        found[split] = rival.answer(NEAREST, split, shown, fair, None)
    return _said(rival, material, found, len(fair), {"labels": len(material.splits["train"]), "train_seconds": 0.0})


def _draws(rival: Rival, material: Material, seed: int, number: int | None = None) -> list[Draw]:
    keys = rival.keys
    shots = int(material.options.get("prompting.shots", 4))
    orders = int(material.options.get("prompting.orders", 5)) if number is None else number
    return [drawn(keys, shots, generator(seed, "prompting", order)) for order in range(orders)]


def _answer(
    rival: Rival, name: str, material: Material, split: str, draw: Draw, rows: NDArray[Any] | None = None
) -> Answered:
    """Answers with the same rows shown before each."""
    number = len(material.splits[split]) if rows is None else len(rows)
    return rival.answer(name, split, [draw] * number, draw, rows)


class _Tried:
    """What each draw is worth on validation."""

    def __init__(self, answers: Sequence[Answered], draws: Sequence[Draw], whole: bool) -> None:
        self._answers, self._draws, self._whole = answers, draws, whole
        self.metric = primary_of([answers[0].said])
        self.values = [worth(one.said, self.metric) for one in answers]
        signed = np.asarray(self.values) * (-1 if lower_is_better(self.metric) else 1)
        self.best = int(np.nan_to_num(signed, nan=-np.inf).argmax())

    @staticmethod
    def of(rival: Rival, material: Material, draws: Sequence[Draw], seed: int) -> _Tried:
        """Ask about the same rows with each."""
        number = len(material.splits["validation"])
        rows = None
        if rival.samples and number > CHOSEN_ON:
            rows = np.sort(generator(seed, "prompting", "validation").choice(number, CHOSEN_ON, replace=False))
        answers = [_answer(rival, FEW, material, "validation", draw, rows) for draw in draws]
        return _Tried(answers, draws, rows is None)

    def whole(self, split: str) -> Answered | None:
        """The best answers, where all rows were asked about."""
        return self._answers[self.best] if split == "validation" and self._whole else None

    def to_json(self) -> dict[str, Any]:
        """Each draw with its value; rows of training by their numbers."""
        return {
            "metric": self.metric,
            "rows": len(self._answers[0].said),
            "validation": _plain(self.values),
            "draws": [list(draw) for draw in self._draws],
            "best": self.best,
        }


def _test_values(
    rival: Rival, material: Material, draws: Sequence[Draw], tried: _Tried, best: Answered
) -> list[float | None] | None:
    """What each draw is worth on test, where that is cheap to say; it decides nothing."""
    if not rival.cheap or len(material.splits["test"]) * len(draws) > CHEAP:
        return None
    said = [
        best if number == tried.best else _answer(rival, FEW, material, "test", draw)
        for number, draw in enumerate(draws)
    ]
    return _plain([worth(one.said, tried.metric) for one in said])


def worth(predictions: Predictions, metric: str) -> float:
    """The value of a metric; NaN where these rows cannot say it."""
    return float(values_of(predictions).get(metric, float("nan")))


def _plain(values: Sequence[float]) -> list[float | None]:
    """For JSON, which knows no NaN."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _said(
    rival: Rival, material: Material, found: Mapping[str, Answered], wanted: int, about: Mapping[str, Any]
) -> Said:
    """Predictions with what is to be known of them."""
    test = found["test"]
    seconds = (test.cost.get("seconds") or {}).get("mean")
    more: dict[str, int] = {}
    for one in found.values():
        for name, count in one.more.items():
            more[name] = more.get(name, 0) + count
    left = np.concatenate([one.left for one in found.values()])
    facts: dict[str, Any] = {
        **rival.about(),
        "shots": {"wanted": wanted, "mean": float(left.mean()), "rows_with_fewer": int((left < wanted).sum())},
        "rows": {split: len(one.said) for split, one in found.items()},
        "rows_cut": sum(one.num_cut for one in found.values()),
        "unparsable": {split: one.unparsable for split, one in found.items()},
        "counted": more,
        "a_request": dict(test.cost),
        "labels": about["labels"],
        "spread": about.get("spread"),
    }
    whole: dict[str, Any] = {"train_seconds": about["train_seconds"], "prompting": facts}
    if seconds:
        whole["predict_rows_per_second"] = 1 / seconds
    return Said({split: one.said for split, one in found.items()}, whole)
