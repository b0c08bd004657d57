"""The ways in which ``whet bench`` trains the same model, and real steps of a model trained in one of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from whet.batches import flat
from whet.batches.flat import FlatBatch, TrainingBatches
from whet.engine import loop, profile, step
from whet.engine.loop import train
from whet.engine.precision import Weights
from whet.engine.protocols import Evaluation
from whet.kernels import dropout as byte_dropout
from whet.models import flat_attention
from whet.models.adaptations import exact_names
from whet.recipe import Recipe
from whet.recipe.resolve import Facts, micro_batch
from whet.workflows import regularising, training
from whet.workflows.running import Running
from whet.workflows.trial import Nowhere, short

MARKS: Mapping[str, tuple[profile.Place, ...]] = {
    profile.ATTENTION: ((flat_attention, "attend"), (flat_attention, "attend_behind")),
    profile.MASKS: ((byte_dropout, "keep_scale"), (byte_dropout, "kept_ones")),
    profile.OPTIMISER: ((loop._Session, "apply"), (step, "_norm"), (Weights, "scale_gradients")),
    profile.DATA: ((flat, "make"),),
}
LARGER = 4
"""So many times as many tokens have the larger steps that are tried."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to train the same model: the name it has in the answer, and what is other in it.

    ``times``: about so many times as long as one as decided takes a step, before any was measured.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fast: bool = True
    times: float = 1.0


AS_DECIDED = Way("as decided")


def ways(run: Running, facts: Facts) -> Iterator[Way]:
    """The model as decided first, then what there is most to learn from."""
    yield AS_DECIDED
    if run.recipe.training.fast_paths:
        yield Way("plain padded batches", fast=False, times=1.5)
    tokens = LARGER * int(run.value("training.batch_tokens"))
    if tokens <= run.encoded["train"].num_tokens:
        options = {"training.batch_tokens": tokens, "training.micro_batch_tokens": _at_once(run.recipe, facts, tokens)}
        yield Way(f"steps of {tokens:,} tokens", options, times=LARGER)
    other = {"bf16": "fp32", "fp32": "bf16"}[str(run.value("training.precision"))]
    yield Way(f"products in {other}", {"training.precision": other}, times=2.0)


def _at_once(recipe: Recipe, facts: Facts, tokens: int) -> int:
    """Tokens computed at once in steps of ``tokens``, as a recipe would have it that asked for such steps."""
    asked = recipe.training.micro_batch_tokens
    return asked if isinstance(asked, int) else int(micro_batch(facts, tokens).value)


class Trained:
    """A model trained in one way, some steps at a time."""

    def __init__(self, run: Running, method: str, way: Way) -> None:
        recipe = run.recipe if way.fast else _plainly(run.recipe)
        self.run = Running(recipe, run.folder, run.tell, lambda: False)
        self.run.resolved = {**run.resolved, **{name: {"value": value} for name, value in way.options.items()}}
        seed = run.recipe.seed
        self.model, _ = training.prepared(self.run, method, seed)
        self._weights = Weights(self.model, self.run.dtype, exact=exact_names(self.model))
        self._objective = regularising.objective(self.run, method)
        self._batches = regularising.plain_batches(self.run, seed, method)
        self._plan = training.plan_of(self.run, self._batches, seed)
        self._taken = 0

    def take(self, steps: int, untimed: int = 1) -> tuple[int, float]:
        """Real tokens of so many further steps, and the seconds that they took; ``untimed`` ones go before them."""
        number = untimed + steps
        counted = _Counted(self._batches, self._taken, number, untimed)
        self._taken += number
        self.model.train()
        groups = training.groups(self.run, self.model, self._weights.masters)
        plan = replace(short(self._plan, number), warmup_share=0.0)
        for _ in train(self._weights, groups, self._objective, counted, plan, _unseen, Nowhere(), self.model.reseed):
            pass
        return counted.tokens, time.perf_counter() - counted.begun

    def shares(self, steps: int, untimed: int = 1) -> dict[str, float]:
        """Of the time of so many steps what each part takes, 1 in all; see :mod:`whet.engine.profile`."""
        with profile.watched(MARKS) as found:
            self.take(steps, untimed)
        total = sum(found.seconds.values()) or 1.0
        return {part: seconds / total for part, seconds in found.seconds.items()}


def _plainly(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"fast_paths": False})})


def _unseen() -> Evaluation:
    return Evaluation(0.0, 0.0, {})


@dataclass
class _Counted:
    """``number`` batches of the first pass from the ``first`` on, over and over.

    ``begun``: when the one behind the ``untimed`` first ones was asked for; ``tokens``: of it and those that follow.
    """

    batches: TrainingBatches
    first: int
    number: int
    untimed: int
    tokens: int = 0
    begun: float = 0.0

    @property
    def per_epoch(self) -> int:
        return self.number

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        order = self.batches.rows_of(0)
        for number in range(self.number):
            if number == self.untimed:
                self.begun = time.perf_counter()
            rows = order[(self.first + number) % len(order)]
            found = flat.make(self.batches.encoded, rows, self.batches.targets, self.batches.whole)
            self.tokens += found.num_tokens if number >= self.untimed else 0
            yield found
