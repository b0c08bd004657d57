"""A learning rate found by trial, where the recipe says range-test: once for each method, before it is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from whet import seeds
from whet.engine import rising
from whet.engine.events import Event
from whet.engine.precision import Weights
from whet.engine.rising import Tried
from whet.errors import Interrupted
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.models.adaptations import exact_names
from whet.recipe import Recipe
from whet.recipe.resolve import Choice, resolve
from whet.workflows import distilling, preparing, regularising, training
from whet.workflows.events import Said
from whet.workflows.running import Running

RATE, HEAD_RATE = "training.learning_rate", "training.head_learning_rate"


def wanted(run: Running, name: str) -> bool:
    """Whether a trial is made for model ``name``; a variant learns at the rate of its control, where one is trained."""
    method = run.method_of(name)
    return run.recipe.training.learning_rate == "range-test" and (name == method or method not in run.models)


def find(run: Running, name: str) -> Iterator[Event]:
    """Try rates on a model of its own, and settle what training takes: rates/<name>.json, resolved.yaml."""
    usual = _usual(run)
    _settle(run, usual)
    rate, head = float(usual[RATE].value), float(usual[HEAD_RATE].value)
    found = _try(run, name)
    taken = rate * found.factor
    reason = f"by trial of {len(found.losses)} steps: {_WHY[found.reason]}"
    choices = {RATE: Choice(taken, reason)}
    if run.recipe.training.head_learning_rate == "auto":
        choices[HEAD_RATE] = Choice(head * found.factor, f"{head / rate:g} times the rate below it")
    curve = {
        "method": run.method_of(name),
        "learning_rate": taken,
        "usual": rate,
        "reason": found.reason,
        "diverged": None if found.diverged is None else found.diverged * rate,
        "rates": [rate * factor for factor in found.factors],
        "losses": [loss if math.isfinite(loss) else None for loss in found.losses],
        "losses_at_start": list(found.starts),
        "smooth": list(found.smooth),
    }
    write_json(_path(run.folder, name), curve)
    _settle(run, choices)
    for name, choice in choices.items():
        yield Said(f"{name} = {choice.value:.3g}: {choice.reason}")


_WHY = {
    "steepest": "where the loss fell steepest",
    "diverged": "a tenth of the rate at which the loss was lost",
    "flat": "no rate made the loss fall, so it is what would be taken without",
}


def finding(folder: RunFolder, name: str) -> Finding | None:
    """E011; None where no rate was tried for model ``name``."""
    path = _path(folder, name)
    if not path.exists():
        return None
    known: Mapping[str, Any] = read_json(path)
    lost = known["diverged"]
    message = (
        f"A trial of {len(known['losses'])} steps with rates from {known['rates'][0]:.2g} to {known['rates'][-1]:.2g} "
        f"gave {known['learning_rate']:.2g}: {_WHY[known['reason']]}"
        f"{'' if lost is None else f' (it was lost at {lost:.2g})'}; without it {known['usual']:.2g} would be taken."
    )
    remedy = "" if known["reason"] != "flat" else "Set training.learning_rate to a number, or leave it at auto."
    return Finding("E011", "tip" if remedy else "passed", message, name, remedy, dict(known))


def _path(folder: RunFolder, name: str) -> Any:
    return folder.path / "rates" / f"{name}.json"


def _usual(run: Running) -> dict[str, Choice]:
    """The rates that would be taken without a trial."""
    recipe = untried(run.recipe).model_copy(update={"method": run.value("method")})
    derived = resolve(recipe, preparing.facts_of(run))
    return {name: derived[name] for name in (RATE, HEAD_RATE)}


def untried(recipe: Recipe) -> Recipe:
    """The recipe with the usual rate in the place of one that is found by trial."""
    if recipe.training.learning_rate != "range-test":
        return recipe
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"learning_rate": "auto"})})


def _settle(run: Running, choices: Mapping[str, Choice]) -> None:
    """Write rates into resolved.yaml, in the place of what stood there."""
    known = {name: Choice(entry["value"], entry["reason"]) for name, entry in run.resolved.items()}
    run.write_resolved({**known, **choices})
    for name in ("resolved", "task"):  # which carries its options into what is saved
        run.__dict__.pop(name, None)


def _try(run: Running, name: str) -> Tried:
    """The trial; on a model that nothing else uses."""
    method = run.method_of(name)
    seed = seeds.derive(run.recipe.seed, method, "rates")
    model, _ = training.prepared(run, method, seed)
    distilling.equip(run, name, model, seed)
    weights = Weights(model, run.dtype, exact=exact_names(model))
    model.train()
    factors, losses, starts = [], [], []
    steps = rising.trial(
        weights,
        training.groups(run, model, weights.masters),
        regularising.objective(run, name),
        regularising.noisy(run, regularising.plain_batches(run, seed, name)),
        model.reseed,
        seed,
        run.value("training.micro_batch_tokens"),
        run.recipe.training.clip_norm,
        run.recipe.training.optimiser,
    )
    for factor, loss, start in steps:
        factors.append(factor)
        losses.append(loss)
        starts.append(start)
        run.tell("trial of rates", len(losses), rising.STEPS)
        if run.should_stop():
            raise Interrupted
    return rising.choose(factors, losses, starts)
