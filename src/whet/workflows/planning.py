"""``whet plan``: will it fit, how long will it take, and what will it cost?

First from the configuration and the rows alone; then, where the base is at hand, by a few real steps on the longest
batch in a process of their own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from whet.engine import devices
from whet.errors import Problem, UserError
from whet.files import read_json, write_text
from whet.models.shapes import Shape, named
from whet.recipe import Recipe, dump
from whet.recipe.names import ADAPTERS, PROBED
from whet.recipe.resolve import candidates, resolve
from whet.workflows import before_training, preparing, rates
from whet.workflows.accelerators import GIB, accelerator
from whet.workflows.advising import advice
from whet.workflows.estimating import EVERY, UNKNOWN, Need, Work, need, said, work_of
from whet.workflows.estimating_shapes import OPTIONS, work_of_shape
from whet.workflows.machines import ADAPTING, Machine, machine_of, this_machine
from whet.workflows.rows import Tell
from whet.workflows.running import Running, fastest
from whet.workflows.trial import summed, tried

UNSURE = 1.6
"""A time that was worked out, not measured, may be so many times longer or shorter."""
TRIAL_SECONDS = 300.0
JOULES = 3.6e6
"""A kilowatt-hour."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked beside the recipe.

    ``memory``: GiB that may be used on each device; ``price``: of an hour of one device; ``watts``: that one draws;
    ``length``, ``batch_tokens``, ``tokens``: of texts, of a step and of the whole training, for a shape alone.
    """

    accelerators: int = 1
    device: str | None = None
    memory: float | None = None
    price: float | None = None
    watts: float | None = None
    trial: bool = True
    every: bool = False
    length: int | None = None
    batch_tokens: int | None = None
    tokens: int | None = None


def plan(recipe: Recipe, wish: Wish, tell: Tell) -> dict[str, Any]:
    """What a recipe needs with each method that its task knows.

    :raises UserError: whatever the run itself would stop at before training; L004, L006, the machine that was
        asked for is not known.
    """
    _refuse_lonely(wish)
    with tempfile.TemporaryDirectory(prefix="whet-plan-") as work:
        run, facts = before_training.prepared(recipe, Path(work), tell)
        method = str(run.value("method"))
        methods = [*(["probe"] if recipe.task in PROBED else []), *EVERY]
        methods += [method] if method not in methods else []
        rows = {}
        machine, what = _machine(wish, run.dtype, run.device), work_of(run)
        for number, one in enumerate(methods):
            tell("methods", number, len(methods))
            options = resolve(recipe.model_copy(update={"method": one}), facts)
            rows[one] = _row(what, machine, one, {name: choice.value for name, choice in options.items()}, wish)
        if wish.trial and machine.cpu:
            wanted = methods if wish.every else [one for one in candidates(method, recipe) if one in rows]
            _try(run, recipe, rows, [one for one in wanted if "reason" not in rows[one]], machine, wish, tell)
        train = run.encoded["train"]
        subject = {
            "base": recipe.base,
            "task": recipe.task,
            "method": method,
            "rows": len(run.examples("train")),
            "tokens": train.num_tokens,
            "longest": facts.longest,
            "epochs": run.value("training.epochs"),
            "batch_tokens": run.value("training.batch_tokens"),
            "precision": run.value("training.precision"),
        }
        return _answer(subject, machine, rows, method)


def plan_shape(name: str, wish: Wish, methods: Sequence[str] = EVERY, method: str = "full") -> dict[str, Any]:
    """What an architecture needs, without weights, tokenizer or rows.

    :raises UserError: L001 and on, see :func:`whet.models.shapes.named`.
    """
    _refuse_lonely(wish)
    shape: Shape = named(name)
    dtype = torch.bfloat16 if wish.device or fastest()[0] == "bf16" else torch.float32
    machine = _machine(wish, dtype)
    length = min(wish.length or 2048, shape.positions)
    work = work_of_shape(shape, dtype, length, wish.batch_tokens or length, wish.tokens or 1_000_000)
    rows = {one: _row(work, machine, one, OPTIONS, wish) for one in methods}
    subject = {
        "base": name,
        "task": "language-modeling" if work.longest.encoded.weights is not None else "text-classification",
        "method": method,
        "rows": None,
        "tokens": wish.tokens or 1_000_000,
        "longest": length,
        "epochs": 1.0,
        "batch_tokens": wish.batch_tokens or length,
        "precision": "bf16" if dtype == torch.bfloat16 else "fp32",
    }
    return _answer(subject, machine, rows, method)


def _refuse_lonely(wish: Wish) -> None:
    if wish.device is None and wish.accelerators > 1:
        what = f"is {wish.accelerators}, and this machine is one."
        raise UserError(Problem("L006", "--accelerators", what, "Name what they are with --device, such as h100."))


def _machine(wish: Wish, dtype: torch.dtype, here: torch.device = devices.CPU) -> Machine:
    device = wish.device
    found = this_machine(dtype, here) if device is None else machine_of(accelerator(device), wish.accelerators)
    limit = found.memory if wish.memory is None else wish.memory * GIB
    return replace(found, memory=limit, watts=found.watts if wish.watts is None else wish.watts)


# --- a method -------------------------------------------------------------------------------------------


def _row(work: Work, machine: Machine, method: str, options: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """What is known of one method from the configuration; with a ``reason`` alone where it cannot be taken."""
    try:
        found = need(work, machine, method, options)
    except UNKNOWN as error:
        return {"method": method, "reason": said(error)}
    whole = found.whole
    seconds = found.train_seconds + found.look_seconds
    return {
        "method": method,
        "total_parameters": whole.total,
        "trainable_parameters": whole.trainable,
        "bytes": {
            "weights": whole.weights,
            "masters": whole.masters,
            "gradients": whole.gradients,
            "moments": whole.moments,
            "activations": whole.activations,
            "of them logits": whole.logits,
            "reading the base": whole.loading,
            "a look at validation": whole.looking,
            "libraries": machine.fixed,
            "rest of the run": found.beside,
        },
        **_room(found),
        "steps": found.steps,
        "tokens": found.tokens,
        "read_tokens": found.read_tokens,
        "flops": whole.flops / max(1, whole.num_tokens) * found.tokens,
        "tokens_per_second": found.tokens / found.train_seconds if found.steps else None,
        **_cost(seconds, (seconds / UNSURE, seconds * UNSURE), machine, wish),
        "from": "configuration",
    }


def _room(found: Need) -> dict[str, Any]:
    by_tokens = found.by_tokens()
    return {
        "peak_bytes": found.peak,
        "fits": found.fits,
        "by_micro_batch": [[tokens, size] for tokens, size in by_tokens],
        "fitting_micro_batch_tokens": found.fitting,
        "devices": found.devices,
    }


def _cost(seconds: float, interval: tuple[float, float], machine: Machine, wish: Wish) -> dict[str, Any]:
    hours = seconds / 3600 * machine.number
    energy = None if machine.watts is None else seconds * machine.watts * machine.number / JOULES
    return {
        "seconds": {"value": seconds, "low": interval[0], "high": interval[1]},
        "device_hours": hours,
        "kilowatt_hours": energy,
        "price": None if wish.price is None else hours * wish.price,
    }


# --- the trial ------------------------------------------------------------------------------------------


def _try(
    run: Running,
    recipe: Recipe,
    rows: dict[str, dict[str, Any]],
    methods: Sequence[str],
    machine: Machine,
    wish: Wish,
    tell: Tell,
) -> None:
    """Set what a few real steps took in the place of what was worked out."""
    write_text(run.folder.recipe, dump(recipe))
    facts, untried = preparing.facts_of(run), rates.untried(recipe)  # any rate takes as long
    for number, method in enumerate(methods):
        tell("trials", number, len(methods))
        run.write_resolved(resolve(untried.model_copy(update={"method": method}), facts))
        row = rows[method]
        command = [sys.executable, "-m", "whet.workflows.trial", str(run.folder.path), method]
        try:
            done = subprocess.run(
                [*command, str(torch.get_num_threads())], capture_output=True, text=True, timeout=TRIAL_SECONDS
            )
        except subprocess.TimeoutExpired:
            row["trial"] = {"failed": f"a few steps took more than {TRIAL_SECONDS:.0f} seconds"}
            continue
        path = tried(run.folder, method)
        if done.returncode or not path.exists():
            killed = done.returncode < 0
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            row["trial"] = {"failed": "its process was killed, as it is when memory runs out" if killed else last}
            continue
        _take_in(row, read_json(path), machine, wish)


def _take_in(row: dict[str, Any], found: Mapping[str, Any], machine: Machine, wish: Wish) -> None:
    """A trial's outcome into the row of its method."""
    row["trial"] = dict(found)
    if "peak_bytes" not in found or found["peak_bytes"] is None:
        row["fits"] = row["fits"] and "out_of_memory" not in found
        return
    libraries = ADAPTING if row["method"] in ADAPTERS else 0  # which are in the trial's own peak
    beside = row["bytes"]["rest of the run"] - libraries
    worked_out, measured = row["peak_bytes"], found["peak_bytes"] + beside
    gap = measured - worked_out
    row["worked_out_peak_bytes"] = worked_out
    row["peak_bytes"] = measured
    row["by_micro_batch"] = [[tokens, size + gap] for tokens, size in row["by_micro_batch"]]
    row["fits"] = measured <= machine.memory and "out_of_memory" not in found
    fitting = [tokens for tokens, size in row["by_micro_batch"] if size <= machine.memory]
    row["fitting_micro_batch_tokens"] = max(fitting) if fitting else None
    times = summed(found, row["tokens"], row["read_tokens"])
    row |= _cost(times["value"], (times["low"], times["high"]), machine, wish)
    row["tokens_per_second"] = times["tokens_per_second"]
    row["from"] = "trial"


# --- the answer -----------------------------------------------------------------------------------------


def _answer(
    subject: dict[str, Any], machine: Machine, rows: Mapping[str, dict[str, Any]], method: str
) -> dict[str, Any]:
    return {
        "subject": subject,
        "machine": {key: value for key, value in asdict(machine).items() if key != "cpu"}
        | {"spread": _spread(machine)},
        "methods": list(rows.values()),
        "advice": advice(rows, method, machine),
    }


def _spread(machine: Machine) -> str:
    if machine.number == 1:
        return "everything on one"
    return f"weights, gradients and moments spread over {machine.number}, each with batches of its own"
