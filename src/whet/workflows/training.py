"""Training the models of a run: the probe, and a fine-tuned one that starts from it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from whet import seeds
from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.engine import memory
from whet.engine.checkpoint import FolderKeeper
from whet.engine.events import Ended, Event, Noted
from whet.engine.loop import Plan, train
from whet.engine.optimisation import Group
from whet.engine.precision import Weights
from whet.engine.protocols import Batches, Evaluation
from whet.errors import ModelTooLarge, Problem, UserError
from whet.evaluation.measures import MEASURES
from whet.evaluation.wording import number
from whet.files import read_json, write_json
from whet.kernels import ceiling, dropout
from whet.models import (
    adaptations,
    fast_parts,
    interpolation,
    quantising,
    soft_prompts,
    soft_starts,
    starting,
)
from whet.models.kept_trunk import quiet_below
from whet.models.task_model import TaskModel
from whet.models.work import flops_per_token
from whet.recipe.names import WHOLE
from whet.tasks.task import FittedHead
from whet.workflows import (
    contrasting,
    distilling,
    interpolations,
    keeping_trunk,
    learning,
    regularising,
    replaying,
    rounding,
)
from whet.workflows.events import OfModel, Said
from whet.workflows.running import Running
from whet.workflows.task_words import task_words

TRAIN_SAMPLE = 512
"""Training rows looked at in every evaluation, to see over- and underfitting."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model of this run, in fp32 and dense, ready to be saved.

    ``adapter``: the PeftModel behind it, or None.
    """

    name: str
    model: TaskModel
    adapter: Any
    facts: dict[str, Any]


def probe_head(run: Running) -> FittedHead:
    """The best linear head on the frozen base's vectors, by loss on validation."""
    train, validation = ((run.features(split), run.targets(split)) for split in ("train", "validation"))
    intercept = run.frozen.linear_head.bias is not None
    found = run.task.fit_head(train, validation, intercept, lambda n, total: run.tell("probe", n, total))
    assert found is not None
    return found


def probe(run: Running) -> Iterator[Event]:
    """Fit the probe and keep its head; the base stays as it is."""
    watch, start = memory.Watch(), time.monotonic()
    head = probe_head(run)
    path = run.folder.checkpoints / "probe"
    state = {"weight": head.weight, **({} if head.bias is None else {"bias": head.bias})}
    facts = {
        "train_seconds": time.monotonic() - start,
        "strength": head.strength,
        "trainable_parameters": sum(part.numel() for part in state.values()),
        **watch.used(),
    }
    FolderKeeper(path).save("best", state, facts)
    yield Said(f"probe: strength {head.strength:g}, {head.iterations} iterations")


def set_probe_head(run: Running, model: TaskModel, spare: Sequence[str] = ()) -> None:
    """Start the head of ``model`` from the run's probe.

    :param spare: labels whose rows stay as they are.
    """
    kept = FolderKeeper(run.folder.checkpoints / "probe").load("best")
    assert kept is not None
    head = model.linear_head
    rows = torch.tensor([label not in spare for label in model.kind.output_names])
    with torch.no_grad():
        head.weight[rows] = kept[0]["weight"][rows].to(head.weight.dtype)
        if head.bias is not None and "bias" in kept[0]:
            head.bias[rows] = kept[0]["bias"][rows].to(head.bias.dtype)


def fine_tune(run: Running, name: str) -> Iterator[Event]:
    """Train the model ``name`` by its method, with another seed if the result is not above majority."""
    for attempt in range(run.recipe.training.restarts + 1):
        failed = yield from _tried(run, name, attempt)
        if not failed:
            break


def as_long(run: Running, name: str) -> Iterator[Event]:
    """Train the control ``name`` once more, as many steps as its self-trained variant; the better one is kept."""
    begun = int(best_outcome(run, learning.SELF_TRAINED)["attempt"])
    yield from _tried(run, name, learning.AS_LONG + begun)


def _tried(run: Running, name: str, attempt: int) -> Generator[Event, None, bool]:
    """One attempt, unless it is done already; returns whether it failed."""
    keeper = FolderKeeper(run.folder.checkpoints / name / str(attempt))
    outcome = keeper.folder / "outcome.json"
    if not outcome.exists():
        floor = run.task.floor(run.examples("validation"))
        watch = memory.Watch(run.device)  # of this process: one that goes on from a checkpoint begins anew
        ended = yield from _attempt(run, name, attempt, keeper)
        ended |= watch.used()
        if ended["best_score"] <= floor:
            yield OfModel(name, Noted("E003", not_better(attempt, run.task.score, floor), 0), attempt)
        write_json(outcome, {**ended, "attempt": attempt, "failed": ended["best_score"] <= floor})
    return bool(read_json(outcome)["failed"])


def not_better(attempt: int, metric: str, floor: float) -> str:
    """E003 in words: what always saying the same gets, as the metric is written."""
    level = f"{MEASURES[metric].words} {number(floor, metric)}"
    return f"attempt {attempt % learning.AS_LONG + 1} was not better than always saying the same ({level})"


def seed_of(run: Running, name: str, attempt: int) -> int:
    """Where an attempt of model ``name`` begins; models of one method begin alike, so that they may be compared."""
    return seeds.derive(run.recipe.seed, run.method_of(name), attempt % learning.AS_LONG)


def _attempt(run: Running, name: str, attempt: int, keeper: FolderKeeper) -> Generator[Event, None, dict[str, Any]]:
    """One training from start to end; returns how it ended and how fast it was."""
    seed, method = seed_of(run, name, attempt), run.method_of(name)
    model, _ = prepared(run, method, seed)
    distilling.equip(run, name, model, seed)
    weights = Weights(model, run.dtype, exact=adaptations.exact_names(model))
    batches = regularising.noisy(run, regularising.plain_batches(run, seed, name))
    plan = _paced(run, name, attempt, batches, seed)
    look: Look | contrasting.Look = Look(run, model)
    if contrasting.wanted(run, name):
        plan, look = contrasting.paced(run, plan), contrasting.Look(run, model, name, keeper.load("last") is None)
    for words in (*_adapted(run, model, method), *regularising.numbers(run, model, plan.num_steps)):
        yield Said(words)
    for note in declined(model):
        yield OfModel(name, note, attempt)
    model.train()
    try:
        with keeping_trunk.kept(run, name, model, plan, keeper.folder, _looked(look)) as words:
            if words:
                yield Said(words)
            events = train(
                weights,
                groups(run, model, weights.masters),
                regularising.objective(run, name),
                batches,
                replace(plan, influences=regularising.influences(run, model, weights, plan.num_steps, seed)),
                look,
                keeper,
                model.reseed,
                run.should_stop,
            )
            for event in events:
                if isinstance(event, Ended):
                    yield OfModel(name, event, attempt)
                    return event.to_json() | _speed(run, model, event)
                yield OfModel(name, event, attempt)
    except ModelTooLarge:
        raise too_large(name) from None
    raise AssertionError("training ended without saying so")


def too_large(name: str) -> UserError:
    """What is said where model ``name`` does not fit into memory."""
    remedy = "Lower data.max_length, choose --method probe or lora, or a smaller base."
    return UserError(Problem("T001", name, "memory runs out even with one row at a time.", remedy))


def _looked(look: Look | contrasting.Look) -> Encoded | None:
    """Training rows that every look reads."""
    return look.known[0] if isinstance(look, Look) else None


def _adapted(run: Running, model: TaskModel, method: str) -> Iterator[str]:
    """What moves, and how far quantised layers are from what they were."""
    yield adaptations.described(model, method, run.options)
    if model.quantised is not None:
        found = quantising.finding(model.quantised.to_json(), method)
        yield f"  {found.message}"
        worst = ", ".join(f"{one.name} {one.relative:.1%}" for one in model.quantised.worst)
        yield f"  furthest from what they were: {worst}"


def declined(model: TaskModel) -> Iterator[Noted]:
    """E006 of every fast part that answered otherwise than the plain one, which is used."""
    for words in model.declined:
        yield Noted("E006", words, 0)


def _speed(run: Running, model: TaskModel, ended: Ended) -> dict[str, Any]:
    """Real tokens a second, and the share of the matrix-product ceiling that was reached."""
    if not ended.train_seconds:
        return {}
    encoded = run.encoded["train"]
    rate = ended.tokens / ended.train_seconds
    most = ceiling.measure(run.dtype, run.device)
    work = flops_per_token(model, encoded.num_tokens / len(encoded))
    return {"tokens_per_second": rate, "mfu": rate * work / most, "ceiling_flops": most}


def prepared(run: Running, method: str, seed: int, changed: Mapping[str, Any] | None = None) -> tuple[TaskModel, Any]:
    """A model with its head started and its weights set free for ``method``; and its PeftModel, if any.

    :param changed: options of the method, by their dotted names, in the place of those of the run.
    """
    model = run.new_model(seed)
    regularising.prepare(run, model)
    if run.value("head.start") == "probe":
        set_probe_head(run, model, model.origin.kept_labels)
    known = {**options_of(run, method), **(changed or {})}
    adapter = adaptations.adapt(model, method, known, run.place.known_as, seed)
    quiet_below(model)
    if adapter is not None and model.flat:
        dropout.install(model, model.stream)
    if run.fast:
        fast_parts.take(model, adapter is not None)
    if method in WHOLE and run.fast:
        size = model.trunk.get_input_embeddings().weight.shape[0]
        model.compact_embedding(torch.from_numpy(learning.used(run, size)))
    return model.to(run.device), adapter


def options_of(run: Running, method: str) -> dict[str, Any]:
    """What a method is told: every option, and of soft prompts words that name the task."""
    return {**run.options, **({soft_starts.WORDS: task_words(run)} if method in soft_prompts.ADAPT else {})}


def groups(run: Running, model: TaskModel, masters: Mapping[str, nn.Parameter]) -> list[Group]:
    """The weights that move, with their rates and decay.

    :param masters: what the optimiser moves, by the model's names.
    """
    rates = {False: run.value("training.learning_rate"), True: run.value("training.head_learning_rate")}
    decay = run.recipe.training.weight_decay
    return [
        Group(
            group.name,
            [(name, masters[name]) for name, _ in group.parameters],
            rates[group.is_head] * group.factor,
            decay if group.decays else 0.0,
        )
        for group in adaptations.rate_groups(model, run.recipe.layers.decay, run.recipe.lora.rate_ratio)
    ]


def _paced(run: Running, name: str, attempt: int, batches: Batches[Any], seed: int) -> Plan:
    """How an attempt of model ``name`` goes: of a control as its variant, to the last step."""
    longer = learning.as_long_as(run, name, attempt)
    if longer is None:
        return plan_of(run, batches, seed, name)
    plan = plan_of(run, regularising.plain_batches(run, seed, longer), seed, longer)
    steps = plan.num_steps if attempt < learning.AS_LONG else int(best_outcome(run, longer)["steps"])
    return replace(plan, num_steps=steps, patience=steps // plan.evaluate_every + 2)


def plan_of(run: Running, batches: Batches[Any], seed: int, name: str | None = None) -> Plan:
    """How training goes, every number decided; of model ``name``, or of the one of the method."""
    training = run.recipe.training
    per_epoch = batches.per_epoch
    num_steps = max(1, round(per_epoch * learning.epochs(run, name)))
    return Plan(
        num_steps=num_steps,
        evaluate_every=max(1, round(per_epoch / training.evaluations_per_epoch)),
        patience=training.patience,
        warmup_share=training.warmup_share,
        clip_norm=training.clip_norm,
        micro_batch_tokens=run.value("training.micro_batch_tokens"),
        checkpoint_seconds=training.checkpoint_seconds,
        max_seconds=training.max_seconds,
        seed=seed,
        optimiser=training.optimiser,
        average=run.recipe.regularisation.average,
        average_decay=run.recipe.regularisation.average_decay,
    )


class Look:
    """Looks at validation, and at some training rows, while a model trains."""

    def __init__(self, run: Running, model: TaskModel) -> None:
        self.run, self.model = run, model
        train = run.examples("train")
        size = min(TRAIN_SAMPLE, len(train))
        rows = np.sort(seeds.generator(run.recipe.seed, "train sample").choice(len(train), size, replace=False))
        self.known = run.encoded["train"].of_rows(rows), train.take(rows)

    def __call__(self) -> Evaluation:
        """Score by the task's quick score, ties by loss."""
        run = self.run
        seen = self._numbers(run.encoded["validation"], run.examples("validation"))
        known = self._numbers(*self.known)
        return Evaluation(seen[run.task.score], -seen["loss"], {**seen, **{f"train_{k}": v for k, v in known.items()}})

    def _numbers(self, encoded: Encoded, examples: Examples) -> dict[str, float]:
        return self.run.task.look(self.run.task.outputs(self.model, encoded), encoded, examples)


def finished(run: Running, name: str, share: float | None = None) -> Trained:
    """The trained model ``name`` in fp32 with its best weights, built anew from the base.

    :param share: of the tuned weights, for weights between base and tuned; None for the share that was chosen.
    """
    if name == "probe":
        model = run.new_model()
        set_probe_head(run, model)
        adaptations.freeze(model)
        kept = FolderKeeper(run.folder.checkpoints / "probe").load("best")
        assert kept is not None
        model.to(run.device).eval()
        return Trained(name, model, None, dict(kept[1]))
    if name == rounding.NAME:
        model, known = rounding.finished(run)
        return Trained(name, model, None, known)
    outcome = best_outcome(run, name)
    keeper = FolderKeeper(run.folder.checkpoints / name / str(outcome["attempt"]))
    seed, method = seed_of(run, name, int(outcome["attempt"])), run.method_of(name)
    model, adapter = prepared(run, method, seed)
    facts: dict[str, Any] = {
        "train_seconds": outcome["train_seconds"],
        "tokens": outcome["tokens"],
        "attempt": outcome["attempt"],
        "steps": outcome["steps"],
        "best_step": outcome["best_step"],
        "ended": outcome["reason"],
        **{key: outcome[key] for key in _COPIED if key in outcome},
        "trainable_parameters": adaptations.count_trainable(model, whole=adapter is None),
        "total_parameters": adaptations.count_weights(model),
        **({} if model.quantised is None else {"quantisation": model.quantised.to_json()}),
    }
    kept = keeper.load("best")
    assert kept is not None
    best: Mapping[str, torch.Tensor] = kept[0]
    if starting.takes_from_base(method, run.options):
        changed, best = starting.as_plain(run.options, Weights(model, torch.float32).state(), best)
        model, adapter = prepared(run, method, seed, changed)
    distilling.equip(run, name, model, seed)
    weights, of_tuned = Weights(model, torch.float32), interpolations.chosen(run, name) if share is None else share
    weights.load(best if of_tuned == 1 else interpolation.between(model, weights.state(), best, of_tuned))
    if (way := interpolations.way_of(run, name)) is not None:
        facts["interpolation"] = way
    if (replayed := replaying.record(run)) is not None:
        facts["replay"] = replayed
    model.dense_embedding()
    model.eval()
    if contrasting.wanted(run, name):
        facts["strength"] = contrasting.set_head(run, model, name).strength
        facts["trainable_parameters"] += sum(part.numel() for part in model.linear_head.parameters())
    return Trained(name, model, adapter, facts)


_COPIED = ("tokens_per_second", "mfu", "ceiling_flops", "peak_bytes", "added_bytes", "loss_weights")
"""Of how a training ended what is a fact of its model, where it is known."""


def best_outcome(run: Running, name: str) -> dict[str, Any]:
    """How the best attempt of model ``name`` ended."""
    return max(outcomes(run, name), key=lambda outcome: float(outcome["best_score"]))


def outcomes(run: Running, name: str) -> list[dict[str, Any]]:
    """How each attempt of model ``name`` ended that came to its end."""
    return [dict(read_json(path)) for path in sorted((run.folder.checkpoints / name).glob("*/outcome.json"))]


def forget_checkpoints(folder: Path) -> None:
    """Training states are only needed until the models are saved."""
    shutil.rmtree(folder, ignore_errors=True)
