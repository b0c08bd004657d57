"""What a run will need, from configuration and rows alone: memory and time of each method."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.batches import flat
from whet.batches.flat import FlatBatch, TrainingBatches
from whet.engine.protocols import Objective
from whet.errors import UserError
from whet.files import write_json
from whet.kernels import dropout
from whet.models import adaptations, fast_parts, loading, networks, sequences
from whet.models.footprint import STEP_BYTES, Footprint, Read, bytes_of, footprint, smallest
from whet.models.pooling import Pooling
from whet.models.shapes import without_weights
from whet.models.task_model import TaskModel
from whet.recipe.names import ADAPTERS, PROBED, WHOLE
from whet.tasks.language_modeling import BEGINS
from whet.tasks.task import BATCH_TOKENS
from whet.workflows import learning, regularising
from whet.workflows.machines import ADAPTING, MIB, Machine, this_machine
from whet.workflows.running import Running

EVALUATING = 160 * MIB
"""What baselines load beside training: scikit-learn, SciPy and their tables; where they are loaded, their tables."""
LOADED = 40 * MIB
KEPT = 0.2
"""Of the activations of a step, what the allocator of a CPU holds beyond them, in pieces too small for others."""
EVERY = ("prompt", "p-tuning", "ia3", "bitfit", "prefix", "lora", "qlora", "top-layers", "full")
"""Methods by how much of the model moves; the probe is before them where a task has one."""


# --- what -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done, whatever the method.

    - ``model``: makes it, without weights; ``adapt``: sets it free for a method with its options.
    - ``objective``: what a method minimises.
    - ``longest``, ``usual``: batches of the first pass, the one that needs most and the one in the middle;
      ``look``: the largest that is read at once.
    - ``per_epoch``: batches; ``epoch_tokens``: tokens of an epoch; ``look_tokens``: of one look at validation;
      ``once_tokens``: of what a probe reads.
    - ``beside``: bytes that a run holds while a method of so many weights is trained.
    """

    model: Callable[[], TaskModel]
    adapt: Callable[[str, Mapping[str, Any], TaskModel], None]
    objective: Callable[[str], Objective[Any]]
    read: Read
    dtype: torch.dtype
    longest: FlatBatch
    usual: FlatBatch
    look: FlatBatch
    per_epoch: int
    epoch_tokens: int
    look_tokens: int
    once_tokens: int
    beside: Callable[[str, int], int]

    def rehearsed(self, method: str, options: Mapping[str, Any], batch: FlatBatch) -> Footprint:
        """The footprint of a method on ``batch`` as one micro-batch."""
        beside = 0

        def adapt(model: TaskModel) -> None:
            nonlocal beside
            self.adapt(method, options, model)
            beside = regularising.held(model, options, self.dtype)

        found = footprint(
            self.model(),
            adapt,
            self.objective(method),
            batch,
            self.look,
            self.read,
            self.dtype,
            micro_batch_tokens=batch.num_tokens,
            optimiser=str(options.get("training.optimiser", "adamw")),
            quantised=bytes_of(options) if method == "qlora" else None,
        )
        if options.get("regularisation.average", "none") != "none":
            beside += found.gradients  # as large: a copy in fp32 of all that moves
        return replace(found, masters=found.masters + beside)


def work_of(run: Running) -> Work:
    """That of a run whose options are decided."""
    batches = regularising.plain_batches(run, run.recipe.seed)
    train, validation = run.encoded["train"], run.encoded["validation"]
    sample = train.num_tokens * min(1.0, 512 / max(1, len(train)))
    return Work(
        partial(_model, run),
        partial(_adapt, run),
        partial(regularising.objective, run),
        run.task.read,
        run.dtype,
        ordered(batches, 1.0),
        ordered(batches, 0.5),
        next(iter(flat.for_prediction(validation, BATCH_TOKENS))),
        batches.per_epoch,
        int(sum(batches.encoded.lengths[rows].sum() for rows in batches.rows_of(0))),
        validation.num_tokens + round(sample),
        train.num_tokens + validation.num_tokens,
        partial(_beside, run),
    )


def ordered(batches: TrainingBatches, share: float) -> FlatBatch:
    """The batch of the first pass that needs more memory than ``share`` of the others."""
    lengths = batches.encoded.lengths
    rows = sorted(batches.rows_of(0), key=lambda one: _cost(lengths[one]))
    chosen = rows[min(len(rows) - 1, int(share * len(rows)))]
    return flat.make(batches.encoded, chosen, batches.targets, batches.whole)


def _cost(lengths: NDArray[np.int64]) -> float:
    """Tokens, and a share of the padded table of attention: 128 tokens of it weigh as much as one token's vectors."""
    return float(lengths.sum() + len(lengths) * int(lengths.max()) ** 2 / 128)


def _model(run: Running) -> TaskModel:
    """As ``Running.new_model``, without weights."""
    wanted = run.value("head.pooling")
    pooling: Pooling | None = None if wanted == "native" else wanted
    head = run.task.head(pooling)
    config = loading.labelled(networks.read_config(run.place), head, run.tokenizer)
    model = without_weights(config, head, run.place, int(run.tokenizer.pad_token_id or 0))
    if model.guesses == "target":
        sequences.declare(model.network, run.known_of_base[BEGINS])
    model.whole_logits = not run.recipe.training.fast_paths
    if run.recipe.training.fast_paths:
        model.use_flat_batches()
    regularising.prepare(run, model)
    return model


def _adapt(run: Running, method: str, options: Mapping[str, Any], model: TaskModel) -> None:
    """As ``prepared`` of :mod:`whet.workflows.training`; starts that are worked out from weights are left out."""
    set_free(method, options, run.place.known_as, run.recipe.seed, model)
    if run.fast:
        fast_parts.take(model, method == "lora")
    if method in WHOLE and run.recipe.training.fast_paths:
        size = model.trunk.get_input_embeddings().weight.shape[0]
        model.compact_embedding(torch.from_numpy(learning.used(run, size)))


def set_free(method: str, options: Mapping[str, Any], known_as: str, seed: int, model: TaskModel) -> None:
    """Which weights of a model without weights move, and what is new in it."""
    plain = {**options, "lora.start": "zeros", "soft.start": "random"}
    if method == "probe":
        adaptations.freeze(model)
    else:
        adaptations.adapt(model, "lora" if method == "qlora" else method, plain, known_as, seed)
    if model.flat:
        dropout.install(model, model.stream)


def _beside(run: Running, method: str, total: int) -> int:
    """Of evaluation's libraries, the frozen base, and its vectors of all rows."""
    libraries = LOADED if "sklearn" in sys.modules else EVALUATING
    if run.recipe.task not in PROBED:
        return libraries
    size = 4 if run.dtype == torch.float32 else 2
    by_token = run.head_kind in ("tokens", "span", "language")
    both = (run.encoded["train"], run.encoded["validation"])
    rows = sum(one.num_tokens if by_token else one.num_sequences for one in both)
    config = networks.read_config(run.place)
    vectors = 4 * rows * int(getattr(config, "hidden_size", 0) or 0)
    return libraries + vectors + (0 if method == "probe" else total * size)


# --- how much -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What a method needs on a machine.

    - ``whole``: its footprint on the largest micro-batch of the batch that needs most; ``least``: on the longest row
      alone; ``usual``: on the batch in the middle.
    - ``beside``: bytes that the run holds beside it.
    - ``steps``, ``tokens``: of the whole training; ``read_tokens``: of all looks at validation.
    """

    method: str
    machine: Machine
    whole: Footprint
    least: Footprint
    usual: Footprint
    beside: int
    steps: int
    tokens: int
    read_tokens: int

    def bytes_at(self, tokens: int) -> int:
        """Peak on each device with micro-batches of ``tokens`` tokens.

        Activations grow with tokens, all else stays. Over several devices weights, gradients and moments are
        spread; the layer that is gathered at a time is neglected.
        """
        low, high = self.least, self.whole
        span = high.num_tokens - low.num_tokens
        share = 1.0 if span <= 0 else max(0.0, (tokens - low.num_tokens) / span)
        activations = low.activations + share * (high.activations - low.activations)
        while_training = max(activations * (1 + KEPT if self.machine.cpu else 1), high.looking)
        peak = max(self._loading / self.machine.number, high.lasting / self.machine.number + while_training)
        return round(self.machine.fixed + self.beside + peak)

    @property
    def _loading(self) -> int:
        """Most bytes while the base is made ready, which is done in the memory of the processor."""
        return self.whole.loading if self.machine.cpu else 0

    @property
    def peak(self) -> int:
        """Bytes with the micro-batches of the recipe."""
        return self.bytes_at(self.whole.num_tokens)

    @property
    def fits(self) -> bool:
        """Whether it can be done as the recipe has it."""
        return self.peak <= self.machine.memory

    def by_tokens(self) -> list[tuple[int, int]]:
        """Tokens of a micro-batch and bytes, from the longest row alone upwards."""
        sizes, most = [self.least.num_tokens], self.whole.num_tokens
        while sizes[-1] < most:
            sizes.append(min(2 * sizes[-1], most))
        return [(size, self.bytes_at(size)) for size in sizes]

    @property
    def fitting(self) -> int | None:
        """The largest of these micro-batches that fits; None where not even the longest row does."""
        found = [tokens for tokens, size in self.by_tokens() if size <= self.machine.memory]
        return max(found) if found else None

    @property
    def devices(self) -> int:
        """The fewest devices of this kind among which it fits, spread evenly; 0 where no number does."""
        fixed = self.machine.fixed + self.beside + max(self.least.activations, self.whole.looking)
        room = self.machine.memory - fixed
        return 0 if room <= 0 else max(1, math.ceil(max(self.whole.lasting, self._loading) / room))

    @property
    def train_seconds(self) -> float:
        """Of all steps; looks and checkpoints not counted."""
        usual, step_bytes = self.usual, STEP_BYTES * self.usual.gradients / 4
        if not self.steps:
            return 0.0
        per_token = self.machine.seconds(usual.flops, usual.moved - step_bytes) / max(1, usual.num_tokens)
        return per_token * self.tokens + self.steps * self.machine.seconds(0, step_bytes)

    @property
    def look_seconds(self) -> float:
        """Of all looks at validation, or of what a probe reads."""
        each = self.machine.seconds(self.whole.look_flops, self.whole.look_moved) / max(1, self.whole.look_tokens)
        return each * self.read_tokens


def need(work: Work, machine: Machine, method: str, options: Mapping[str, Any], sizes: bool = True) -> Need:
    """What ``method`` needs with the resolved values of ``options``.

    :param sizes: look at smaller micro-batches, too.

    :raises UserError: the base cannot take the method.
    """
    pieces = work.longest.split(int(options["training.micro_batch_tokens"]))
    largest = max(pieces, key=lambda one: _cost(one.encoded.lengths[one.rows]))
    longest_row = smallest(work.longest)
    whole = work.rehearsed(method, options, largest)
    least = whole if not sizes or len(largest.rows) == 1 else work.rehearsed(method, options, longest_row)
    usual = whole if work.usual is work.longest else work.rehearsed(method, options, work.usual)
    beside = work.beside(method, whole.total) + (ADAPTING if machine.cpu and method in ADAPTERS else 0)
    if method == "probe":  # every text is read once
        return Need(method, machine, whole, least, usual, beside, 0, 0, work.once_tokens)
    steps = max(1, round(work.per_epoch * float(options["training.epochs"])))
    every = max(1, round(work.per_epoch / int(options["training.evaluations_per_epoch"])))
    tokens = round(work.epoch_tokens * steps / work.per_epoch)
    read = work.look_tokens * (1 + math.ceil(steps / every))
    return Need(method, machine, whole, least, usual, beside, steps, tokens, read)


UNKNOWN = (UserError, NotImplementedError, RuntimeError, ValueError, AttributeError, TypeError, KeyError)
"""What a rehearsal of a network of somebody else's may end in; the plan says so and goes on."""


UNSAID = "it could not be worked out"
"""Begins the reason where no rule of ours forbids a method: trying it would tell."""


def said(error: BaseException) -> str:
    """Why something could not be estimated, in a line."""
    if isinstance(error, UserError):
        problem = error.problems[0]
        return f"{problem.where}: {problem.what}"
    lines = str(error).splitlines()
    return f"{UNSAID} ({type(error).__name__}: {lines[0] if lines else 'no word'})"


# --- of a run -------------------------------------------------------------------------------------------


def foresee(run: Running, models: Sequence[str]) -> None:
    """Leave plan.json: what each model of a run is expected to take, before any is trained."""
    path = run.folder.plan
    if path.exists():
        return
    found: dict[str, Any] = {}
    try:
        work, machine = work_of(run), this_machine(run.dtype, run.device)
    except UNKNOWN as error:  # an estimate must not cost a run
        write_json(path, {"models": {name: {"reason": said(error)} for name in models}})
        return
    for name in models:
        try:
            one = need(work, machine, run.method_of(name), run.options, sizes=False)
        except UNKNOWN as error:
            found[name] = {"reason": said(error)}
            continue
        times = {"train_seconds": one.train_seconds} if one.steps else {}
        found[name] = {"peak_bytes": one.peak, **times, "steps": one.steps, "parts": one.whole.to_json()}
    write_json(
        path,
        {"models": found, "machine": {"flops": machine.flops, "bandwidth": machine.bandwidth, "fixed": machine.fixed}},
    )
