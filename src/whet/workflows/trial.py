"""A few real steps in a fresh process: how much memory they take, and how long.

``python -m whet.workflows.trial FOLDER METHOD`` goes on from a folder that :mod:`whet.workflows.planning` has
prepared as a run prepares its own, up to the decisions, and leaves ``trials/METHOD.json`` there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.batches import flat
from whet.batches.flat import FlatBatch, TrainingBatches
from whet.engine import memory
from whet.engine.loop import Plan, train
from whet.engine.precision import Weights
from whet.engine.protocols import Evaluation
from whet.errors import ModelTooLarge, UserError
from whet.files import write_json
from whet.folder import RunFolder
from whet.models.adaptations import exact_names
from whet.recipe import load
from whet.tasks.task import BATCH_TOKENS
from whet.workflows import regularising, training
from whet.workflows.estimating import ordered
from whet.workflows.running import Running

LONGEST, USUAL = 2, 12
"""Steps on the batch that needs most, and on others; the first step of all is not timed."""
MOST_SECONDS = 60.0
"""After so many seconds no further step is begun."""
DRIFT = 1.1
"""A machine is not as fast tomorrow as it is now: no interval is narrower than this factor to both sides."""


def tried(folder: RunFolder, method: str) -> Path:
    """Where the outcome of a trial is left."""
    return folder.path / "trials" / f"{method}.json"


def attempt(run: Running, method: str) -> dict[str, Any]:
    """Train ``method`` for some steps.

    :returns: ``resident_bytes`` before, ``peak_bytes`` of the process, ``step_seconds`` and ``step_tokens`` of the
        steps that were timed, ``look_seconds`` of ``look_tokens`` tokens read.
    """
    memory.count_anew()
    before = memory.resident()
    found: dict[str, Any] = {"resident_bytes": before}
    found |= _probe(run) if method == "probe" else _train(run, method)
    return found | {"peak_bytes": memory.peak(), "threads": torch.get_num_threads()}


def _probe(run: Running) -> dict[str, Any]:
    model = run.frozen
    return look(run, model)


def look(run: Running, model: Any) -> dict[str, Any]:
    """Read some batches of validation, longest first, as a look does."""
    batches = flat.for_prediction(run.encoded["validation"], BATCH_TOKENS)
    seconds, tokens = [], []
    end = time.perf_counter() + MOST_SECONDS / 4
    with torch.inference_mode():
        for number, batch in enumerate(batches):
            start = time.perf_counter()
            run.task.read(model, batch)
            seconds.append(time.perf_counter() - start)
            tokens.append(batch.num_tokens)
            if time.perf_counter() > end or number > USUAL:
                break
    some = slice(1 if len(seconds) > 1 else 0, None)  # the first makes room and code
    return {"look_seconds": sum(seconds[some]), "look_tokens": sum(tokens[some])}


@dataclass
class _Timed:
    """The batch that needs most, then others as they come; notes when each was asked for."""

    batches: TrainingBatches
    asked: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def per_epoch(self) -> int:
        return LONGEST + USUAL

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        longest = ordered(self.batches, 1.0)
        begun = time.perf_counter()
        for one in self._all(longest):
            self.asked.append(time.perf_counter())
            if self.asked[-1] - begun > MOST_SECONDS:
                return
            self.tokens.append(one.num_tokens)
            yield one

    def _all(self, longest: FlatBatch) -> Iterator[FlatBatch]:
        yield from [longest] * LONGEST
        order = self.batches.rows_of(0)
        for number in range(USUAL):
            rows = order[number % len(order)]
            yield flat.make(self.batches.encoded, rows, self.batches.targets, self.batches.whole)


class Nowhere:
    """Keeps no state: a trial is not gone on with."""

    def save(self, name: str, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Nothing is written."""

    def load(self, name: str) -> None:
        """Nothing was kept."""


def short(plan: Plan, steps: int) -> Plan:
    """So many steps without a look."""
    return replace(plan, num_steps=steps, evaluate_every=10**9, max_seconds=None, patience=99)


def _train(run: Running, method: str) -> dict[str, Any]:
    seed = run.recipe.seed
    model, _ = training.prepared(run, method, seed)
    weights = Weights(model, run.dtype, exact=exact_names(model))
    real = regularising.plain_batches(run, seed, method)
    timed = _Timed(real)
    plan = replace(
        short(training.plan_of(run, real, seed), LONGEST + USUAL),
        influences=regularising.influences(run, model, weights, LONGEST + USUAL, seed),
    )
    looked: dict[str, Any] = {}

    def looks() -> Evaluation:
        if not looked:
            looked.update(look(run, model))
        return Evaluation(0.0, 0.0, {})

    model.train()
    for event in train(
        weights,
        training.groups(run, model, weights.masters),
        regularising.objective(run, method),
        timed,
        plan,
        looks,
        Nowhere(),
        model.reseed,
    ):
        if event.to_json().get("code") == "E004":
            return looked | {"out_of_memory": True}
    ends = [*timed.asked[1:], time.perf_counter()]
    seconds = np.subtract(ends, timed.asked)[: len(timed.tokens)]
    return looked | {"step_seconds": seconds[1:].tolist(), "step_tokens": timed.tokens[1:]}


def summed(found: Mapping[str, Any], tokens: int, read_tokens: int) -> dict[str, float]:
    """Seconds of a whole training, from those of a few steps, with an interval of 95 %.

    :param tokens: of the whole training; :param read_tokens: of all looks at validation.
    """
    rate = found["look_seconds"] / max(1, found["look_tokens"])
    looks = rate * read_tokens
    if not tokens:
        return {"value": looks, "low": looks / DRIFT, "high": looks * DRIFT, "tokens_per_second": 1 / max(rate, 1e-12)}
    seconds = np.asarray(found["step_seconds"][LONGEST - 1 :] or found["step_seconds"], np.float64)
    sizes = np.asarray(found["step_tokens"][LONGEST - 1 :] or found["step_tokens"], np.float64)
    each = seconds / sizes
    mean = float(seconds.sum() / sizes.sum())
    # of a mean of n: Student's t with n - 1 degrees of freedom; beyond a dozen steps it hardly moves
    error = 2.2 * float(each.std(ddof=1)) / len(each) ** 0.5 if len(each) > 1 else mean
    whole = mean * tokens
    low, high = (max(0.0, (mean + sign * error) * tokens) for sign in (-1, 1))
    return {
        "value": whole + looks,
        "low": min(low + looks, (whole + looks) / DRIFT),
        "high": max(high + looks, (whole + looks) * DRIFT),
        "tokens_per_second": 1 / mean,
    }


def main() -> int:
    """Run as a program: FOLDER METHOD."""
    folder, method = RunFolder(Path(sys.argv[1])), sys.argv[2]
    torch.set_num_threads(int(sys.argv[3]))
    run = Running(load(folder.recipe), folder, lambda *_: None, lambda: False)
    run.resolved["head.start"]["value"] = "random"  # no probe was fitted to start from; it would take no more room
    try:
        found = attempt(run, method)
    except ModelTooLarge:
        found = {"out_of_memory": True}
    except UserError as error:
        found = {"refused": str(error)}
    tried(folder, method).parent.mkdir(exist_ok=True)
    write_json(tried(folder, method), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
