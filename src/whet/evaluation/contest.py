"""The models that a verdict is about: on rows in one order, with one metric, cheapest first."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation.intervals import Estimate, paired_difference
from whet.evaluation.kinds import primary_of, shared_metrics, sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.paired import Comparison, compare, known, measured_alike, with_holm
from whet.evaluation.rows import checked, clusters, same_rows

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

COST_ORDER = (
    "majority",
    "mean",
    "unigram",
    "copy_source",
    "lead3",
    "first_sentence",
    "dictionary",
    "bm25",
    "nearest_answer",
    "tfidf_cosine",
    "tfidf_sentence",
    "tfidf_linear",
    "tfidf_ridge",
    "token_linear",
    "label_names",
    "base_cosine",
    "longer",
    "quantised",
    "base",
    "zero_shot",
    "few_shot",
    "nearest_shots",
    "probe",
    "prompt",
    "p-tuning",
    "ia3",
    "bitfit",
    "prefix",
    "lora",
    "qlora",
    "top-layers",
    "contrastive",
    "full",
    "together",
    "self-trained",
    "distilled",
)
"""Cheapest first, by what it takes to train and to run each kind of model."""

PRICES = {"predict_rows_per_second": -1.0, "size_bytes": 1 / 2, "train_seconds": 1 / 4}
"""What a model costs beside others of its kind, as powers of one product: twice the time for a row weighs as much as
four times the size, or sixteen times the training, which is done once."""

LEAST = 1e-3
"""Seconds, bytes or rows a second: less than this is counted as this, since nothing is for free."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Models by name, cheapest first, and how to compare two of them.

    ``values`` holds the metric of each; ``groups`` is in the order of the models' rows. ``aside`` are the
    baselines that the metric cannot measure: they are in nothing else.
    """

    models: dict[str, Predictions]
    values: dict[str, float]
    baselines: tuple[str, ...]
    candidates: tuple[str, ...]
    metric: str
    alpha: float
    seed: int
    groups: NDArray[Any] | None
    num_resamples: int
    num_rounds: int
    aside: tuple[Predictions, ...] = ()

    def best(self, names: Sequence[str]) -> str:
        """The best value; the cheapest among equals, as ``max`` keeps the first."""
        sign = -1 if lower_is_better(self.metric) else 1
        return max((name for name in self.models if name in names), key=lambda name: sign * self.values[name])

    def gain(self, name: str, over: str) -> Estimate:
        """The paired difference of two models with its interval, turned so that more is better."""
        estimate = paired_difference(
            self.models[name],
            self.models[over],
            self.metric,
            seed=self.seed,
            groups=self.groups,
            num_resamples=self.num_resamples,
            level=1 - self.alpha,
        )
        if not lower_is_better(self.metric):
            return estimate
        return Estimate(-estimate.value, -estimate.high, -estimate.low, estimate.standard_error)

    def near(self, name: str, other: str, margin: float) -> bool:
        """Whether ``name`` is surely not worse than ``other`` by more than ``margin``."""
        return name == other or self.gain(name, other).low > -margin

    def comparisons(self, baseline: str) -> list[Comparison]:
        """Every candidate against ``baseline``, Holm over all of them."""
        return with_holm(
            [
                compare(
                    self.models[name],
                    self.models[baseline],
                    self.metric,
                    seed=self.seed,
                    groups=self.groups,
                    num_resamples=self.num_resamples,
                    num_rounds=self.num_rounds,
                    level=1 - self.alpha,
                )
                for name in self.candidates
            ]
        )

    def beside(self, name: str) -> list[Comparison]:
        """One model against every baseline that stands aside, by the first metric that measures both; Holm over all."""
        shared = {one.model: shared_metrics(self.models[name], one) for one in self.aside}
        return with_holm(
            [
                compare(
                    self.models[name],
                    one,
                    shared[one.model][0],
                    seed=self.seed,
                    groups=self.groups,
                    num_resamples=self.num_resamples,
                    num_rounds=self.num_rounds,
                    level=1 - self.alpha,
                )
                for one in self.aside
                if shared[one.model]
            ]
        )


def cost_rank(model: str, costs: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[float, ...]:
    """A key that sorts models cheapest first: kind of model, then speed, size and training time, as far as known.

    The kind is the last part of the name, so that "run7/full" counts as "full"; unknown kinds come last, and within a
    kind what is not known. Models with equal keys stay in the order that they are given in.

    Speed is timed, and no two timings agree: were it looked at first, a per mille of it would outweigh a hundredfold
    size. Nor is it put in bands, since whatever lies about an edge is then told apart by noise again. The three are
    multiplied (:data:`PRICES`), so that noise decides only between models that cost the same.
    """
    kind = model.rsplit("/", 1)[-1]
    rank = COST_ORDER.index(kind) if kind in COST_ORDER else len(COST_ORDER)
    about = (costs or {}).get(model, {})
    paid = [None if about.get(name) is None else float(about[name]) for name in PRICES]
    price = sum(
        power * math.log(max(one, LEAST)) for one, power in zip(paid, PRICES.values(), strict=True) if one is not None
    )
    return (rank, *(float(one is None) for one in paid), price)


def arrange(
    candidates: Sequence[Predictions],
    baselines: Sequence[Predictions],
    *,
    metric: str | None,
    alpha: float,
    costs: Mapping[str, Mapping[str, Any]] | None,
    seed: int,
    groups: NDArray[Any] | None,
    num_resamples: int,
    num_rounds: int,
) -> Contest:
    """Check and order the models.

    A model given as candidate and as baseline counts as baseline, unless no candidate is left then.
    Without baselines the cheapest candidate takes their part. Baselines that the metric cannot measure
    (texts without probabilities, or by another tokenizer, where it is the cross-entropy of tokens) stand aside.

    :raises UserError: V103 no predictions, V109 one name twice, G001 unknown metric, V113 a metric that
        cannot measure all candidates and one baseline, and as ``same_rows``.
    """
    given = [*baselines, *candidates]
    if not given:
        raise UserError(Problem("V103", "verdict", "there are no predictions to decide between.", "Evaluate a model."))
    _once_each(candidates)
    _once_each(baselines)
    first = checked(given[0])
    models = {one.model: same_rows(first, one)[1] for one in given}
    groups = clusters(groups, *given)
    models = dict(sorted(models.items(), key=lambda item: cost_rank(item[0], costs)))
    asked = {one.model for one in candidates}
    held = {one.model for one in baselines}
    held = held if asked - held else held - asked
    if not held:
        held = {next(iter(models))}
    metric = metric or primary_of(list(models.values()), held)
    models, aside = _measured(metric, models, held)
    parts = {name: sums(one) for name, one in models.items()}
    return Contest(
        models=models,
        values={name: float(part.metrics([metric], part.total)[metric][0]) for name, part in parts.items()},
        baselines=tuple(name for name in models if name in held),
        candidates=tuple(name for name in models if name not in held),
        metric=metric,
        alpha=alpha,
        seed=seed,
        groups=groups,
        num_resamples=num_resamples,
        num_rounds=num_rounds,
        aside=aside,
    )


def _measured(
    metric: str, models: Mapping[str, Predictions], held: Collection[str]
) -> tuple[dict[str, Predictions], tuple[Predictions, ...]]:
    """The models that the metric measures, and the baselines among ``held`` that it does not."""
    leading = next((one for name, one in models.items() if name not in held), next(iter(models.values())))
    known(metric, leading)
    aside = [name for name in models if name in held and metric not in shared_metrics(leading, models[name])]
    if aside and set(aside) == set(held):
        what = f"no baseline can be measured by {MEASURES[metric].words} as the candidates are."
        other = primary_of(list(models.values()), held)
        raise UserError(Problem("V113", "verdict", what, f"Judge by {other}, or add a baseline that states it."))
    kept = {name: one for name, one in models.items() if name not in aside}
    for one in kept.values():
        measured_alike(metric, leading, one)
    return kept, tuple(models[name] for name in aside)


def _once_each(predictions: Sequence[Predictions]) -> None:
    """:raises UserError: V109, two models of one name, of which one would be lost."""
    names = [one.model for one in predictions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        what = f"more than one model is called {', '.join(map(repr, twice))}."
        raise UserError(Problem("V109", "verdict", what, "Give each its own name, as in 'run2/full'."))
