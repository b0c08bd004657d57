"""``whet bench``: how fast a base trains on these rows here, where the time goes, and what would make it faster.

A few dozen real steps of the model as the recipe decides it, in turn with the same model trained otherwise: with plain
padded batches, in other numbers, in larger steps. What is said rests on those steps alone; nothing is kept.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from whet.batches import flat
from whet.batches.flat import FlatBatch, TrainingBatches
from whet.engine import loop, profile, step
from whet.engine.loop import train
from whet.engine.precision import Weights
from whet.engine.protocols import Evaluation
from whet.kernels import ceiling
from whet.kernels import dropout as byte_dropout
from whet.models import flat_attention
from whet.models.adaptations import exact_names
from whet.models.work import flops_per_token
from whet.recipe import Recipe
from whet.recipe.names import STILL
from whet.workflows import before_training, regularising, training
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.trial import Nowhere, look, short

ROUNDS = 3
"""Turns in which each way is timed once."""
WARM, FEWEST = 2, 3
"""Steps that make room and code before anything is timed; steps of a turn at least."""
MARKS: Mapping[str, tuple[profile.Place, ...]] = {
    profile.ATTENTION: ((flat_attention, "attend"), (flat_attention, "attend_behind")),
    profile.MASKS: ((byte_dropout, "keep_scale"), (byte_dropout, "kept_bits")),
    profile.OPTIMISER: ((loop._Session, "apply"), (step, "_norm"), (Weights, "scale_gradients")),
    profile.DATA: ((flat, "make"),),
}


@dataclass(frozen=True, slots=True)
class Way:
    """A way to train the same model: the name it has in the answer, what is other in it, and why it is tried."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fast: bool = True


AS_DECIDED = Way("as decided")


def bench(recipe: Recipe, seconds: float, tell: Tell) -> dict[str, Any]:
    """Measure for about ``seconds``.

    :raises UserError: whatever the run itself would stop at before training.
    """
    with tempfile.TemporaryDirectory(prefix="whet-bench-") as work:
        run, _ = before_training.prepared(recipe, Path(work), tell)
        run.resolved["head.start"]["value"] = "random"  # no probe was fitted to start from
        method = _moving(str(run.value("method")))
        most = ceiling.measure(run.dtype, run.device)
        ways = list(_ways(run))
        trained = {way.name: _Trained(run, way, method) for way in ways}
        rates = _in_turn(trained, seconds, tell)
        shares = trained[AS_DECIDED.name].shares()
        first = trained[AS_DECIDED.name]
        work_of_token = flops_per_token(first.model, run.encoded["train"].num_tokens / len(run.encoded["train"]))
        reading = _reading(run, first)
        found: dict[str, Any] = {
            "subject": {
                "base": recipe.base,
                "task": recipe.task,
                "method": method,
                "rows": len(run.examples("train")),
                "tokens": run.encoded["train"].num_tokens,
                "batch_tokens": run.value("training.batch_tokens"),
                "precision": run.value("training.precision"),
                "padded": first.model.why_padded if not first.model.flat else "",
                "threads": torch.get_num_threads(),
            },
            "ceiling_flops": most,
            "training": _told(rates[AS_DECIDED.name]),
            "reading": reading,
            "mfu": statistics.median(rates[AS_DECIDED.name]) * work_of_token / most,
            "shares": shares,
            "ways": [
                {"name": way.name, **_told(rates[way.name]), "ratio": _ratio(rates, way.name)}
                for way in ways
                if way is not AS_DECIDED
            ],
        }
        return {**found, "advice": list(advice(found))}


def _moving(method: str) -> str:
    """What is trained step by step: the probe is fitted at once, and stands for all weights here."""
    return "full" if method in STILL else method


def _ways(run: Running) -> Iterator[Way]:
    """The model as decided first."""
    yield AS_DECIDED
    if run.recipe.training.fast_paths:
        yield Way("plain padded batches", fast=False)
    tokens = int(run.value("training.batch_tokens"))
    if 4 * tokens <= run.encoded["train"].num_tokens:
        options = {"training.batch_tokens": 4 * tokens, "training.micro_batch_tokens": 4 * tokens}
        yield Way(f"steps of {4 * tokens:,} tokens", options)
    other = {"bf16": "fp32", "fp32": "bf16"}[str(run.value("training.precision"))]
    yield Way(f"products in {other}", {"training.precision": other})


# --- steps ----------------------------------------------------------------------------------------------


class _Trained:
    """A model trained in one way, some steps at a time."""

    def __init__(self, run: Running, way: Way, method: str) -> None:
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

    def take(self, steps: int) -> tuple[int, float]:
        """Real tokens of so many further steps, and the seconds that they took; one before them is not timed."""
        counted = _Counted(self._batches, self._taken, steps + 1)
        self._taken += steps + 1
        self.model.train()
        groups = training.groups(self.run, self.model, self._weights.masters)
        plan = replace(short(self._plan, steps + 1), warmup_share=0.0)
        for _ in train(self._weights, groups, self._objective, counted, plan, _unseen, Nowhere(), self.model.reseed):
            pass
        return counted.tokens, time.perf_counter() - counted.begun

    def shares(self) -> dict[str, float]:
        """Of the time of some steps what each part takes, 1 in all; see :mod:`whet.engine.profile`."""
        with profile.watched(MARKS) as found:
            self.take(FEWEST)
        total = sum(found.seconds.values()) or 1.0
        return {part: seconds / total for part, seconds in found.seconds.items()}


def _plainly(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"fast_paths": False})})


def _unseen() -> Evaluation:
    return Evaluation(0.0, 0.0, {})


@dataclass
class _Counted:
    """``number`` batches of the first pass from the ``first`` on, over and over.

    ``begun``: when the second one was asked for; ``tokens``: of all but the first.
    """

    batches: TrainingBatches
    first: int
    number: int
    tokens: int = 0
    begun: float = 0.0

    @property
    def per_epoch(self) -> int:
        return self.number

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        order = self.batches.rows_of(0)
        for number in range(self.number):
            if number == 1:
                self.begun = time.perf_counter()
            rows = order[(self.first + number) % len(order)]
            found = flat.make(self.batches.encoded, rows, self.batches.targets, self.batches.whole)
            self.tokens += found.num_tokens if number else 0
            yield found


def _in_turn(trained: Mapping[str, _Trained], seconds: float, tell: Tell) -> dict[str, list[float]]:
    """Tokens a second of each way, of each turn; as many steps a turn as ``seconds`` leave room for."""
    each = {}
    for number, (name, one) in enumerate(trained.items()):
        tell("warming up", number, len(trained))
        one.take(WARM)
        each[name] = max(1e-6, one.take(1)[1])
    share = seconds / (len(trained) * ROUNDS)
    found: dict[str, list[float]] = {name: [] for name in trained}
    for number in range(ROUNDS):
        for place, (name, one) in enumerate(trained.items()):
            tell("turns", number * len(trained) + place, ROUNDS * len(trained))
            tokens, took = one.take(max(FEWEST, round(share / each[name])))
            found[name].append(tokens / took)
    return found


def _reading(run: Running, trained: _Trained) -> dict[str, float]:
    """Tokens and rows a second that the model reads of validation, without tokenising."""
    trained.model.eval()
    found, encoded = look(run, trained.model), run.encoded["validation"]
    tokens = found["look_tokens"] / found["look_seconds"]
    return {"tokens_per_second": tokens, "rows_per_second": tokens * len(encoded) / encoded.num_tokens}


# --- what it comes to -----------------------------------------------------------------------------------


def _told(rates: Sequence[float]) -> dict[str, float]:
    return {"tokens_per_second": statistics.median(rates), "low": min(rates), "high": max(rates)}


def _ratio(rates: Mapping[str, Sequence[float]], name: str) -> dict[str, float]:
    """How often as fast as the model as decided: each turn held against the same turn."""
    each = [one / own for one, own in zip(rates[name], rates[AS_DECIDED.name], strict=True)]
    return {"value": statistics.median(each), "low": min(each), "high": max(each)}


FELT = 1.05
"""A way that is not so many times as fast, in every turn, is not worth a word."""
MUCH = {profile.ATTENTION: 0.3, profile.OPTIMISER: 0.15, profile.DATA: 0.1, profile.MASKS: 0.1}
"""Shares of the time above which something may be done about a part."""
HELPS = {
    profile.ATTENTION: "It grows with the square of a text's length: data.max_length cuts it.",
    profile.OPTIMISER: "Larger training.batch_tokens spread it over more tokens, and method lora moves few weights.",
    profile.DATA: "Larger training.batch_tokens make fewer batches.",
    profile.MASKS: "regularisation.dropout=0 does without them.",
}


def advice(found: Mapping[str, Any]) -> Iterator[str]:
    """What would make training faster, and what does so already, as far as the steps show it."""
    subject = found["subject"]
    if subject["padded"]:
        yield f"Batches are padded: {subject['padded']}."
    for way in found["ways"]:
        ratio = way["ratio"]
        shown = f"{ratio['value']:.2f} times as fast ({ratio['low']:.2f} to {ratio['high']:.2f} in turns)"
        if ratio["low"] > FELT:
            yield f"With {way['name']} it is {shown}."
        elif ratio["high"] < 1 / FELT:
            gain = 1 / ratio["value"]
            yield f"It is {gain:.2f} times as fast as with {way['name']}."
    for part, most in MUCH.items():
        if (share := found["shares"].get(part, 0.0)) > most:
            yield f"{part.capitalize()}: {share:.0%} of the time. {HELPS[part]}"
