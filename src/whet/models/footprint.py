"""What a method needs of memory and arithmetic, worked out before any weight is read.

The parts are those that the engine really keeps: the model in the precision of its products, fp32 masters of what
moves, their gradients, two moments, and what one micro-batch leaves for its backward pass. The step itself is
rehearsed (:mod:`whet.models.rehearsal`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine.precision import Weights
from whet.engine.protocols import Objective
from whet.engine.step import gradients
from whet.kernels.token_loss import CELLS_AT_ONCE
from whet.models import adaptations
from whet.models.adaptations import linear_layers
from whet.models.rehearsal import META, Rehearsal
from whet.models.task_model import TaskModel

MOMENTS_BYTES = {"adamw": 8.0, "adamw_8bit": 2.0 + 2 * 4 / 256, "paged_adamw_8bit": 2.0 + 2 * 4 / 256}
"""Of the optimiser for each weight that moves: two moments in fp32, or in a byte with a scale for each 256."""
SMALL = 4096
"""Weights below which an 8-bit optimiser keeps its moments in fp32 (bitsandbytes)."""
STEP_BYTES = 46.0
"""An AdamW step reads and writes for each weight: gradient, its norm and scale, two moments, master, copy."""
Adapt = Callable[[TaskModel], None]
"""Sets free which weights of a model move, and puts in what is new."""
Read = Callable[[TaskModel, FlatBatch], Tensor]
"""What is kept of a batch where nothing is trained."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes, weights and operations of a method.

    - ``total``, ``trainable``: weights; of a table of which only some rows can move, all count.
    - ``weights``: of the model as it computes; ``masters``: of fp32 copies where it computes in bf16.
    - ``gradients``, ``moments``: of what moves. ``activations``: most of anything else during a step.
    - ``logits``: of ``activations``, the table of what the last layer gives, as much of it as is there at once.
    - ``loading``: most while the base is read and made ready; ``looking``: beyond what stays, while it is looked
      at validation.
    - ``flops``, ``moved``: operations and bytes of a step of ``num_tokens`` tokens; ``look_flops``,
      ``look_moved``: of reading ``look_tokens`` tokens.
    """

    total: int
    trainable: int
    weights: int
    masters: int
    gradients: int
    moments: int
    activations: int
    logits: int
    loading: int
    looking: int
    flops: int
    moved: int
    num_tokens: int
    look_flops: int
    look_moved: int
    look_tokens: int

    @property
    def lasting(self) -> int:
        """Bytes that stay from step to step."""
        return self.weights + self.masters + self.gradients + self.moments

    @property
    def peak(self) -> int:
        """Most bytes at one time."""
        return max(self.loading, self.lasting + max(self.activations, self.looking))

    def to_json(self) -> dict[str, int]:
        """A JSON object."""
        return asdict(self) | {"peak": self.peak}


def footprint(
    model: TaskModel,
    adapt: Adapt,
    objective: Objective[Any],
    batch: FlatBatch,
    look: FlatBatch,
    read: Read,
    dtype: torch.dtype,
    *,
    micro_batch_tokens: int,
    optimiser: str = "adamw",
    quantised: float | None = None,
) -> Footprint:
    """Rehearse a step of ``batch`` and a look at ``look``.

    :param model: without weights (:func:`whet.models.shapes.without_weights`); it is used up.
    :param quantised: bytes of a weight of the trunk's linear layers, where they are frozen in so many.
    """
    with Rehearsal() as rehearsal:
        rehearsal.hold([*model.parameters(), *model.buffers()])
        if quantised is not None:
            stand_in(model, quantised, dtype)
        adapt(model)
        total, trainable = counted(model)
        weights = Weights(model, dtype, exact=[] if model.head_name is None else [model.head_name])
        loading = rehearsal.peak
        in_model, apart = _sizes(model), dtype != torch.float32
        moving = [p.numel() for p in weights.masters.values()]
        copies = 4 * sum(moving) if apart else 0
        lasting = rehearsal.held
        model.train()
        rehearsal.start_anew()
        gradients(weights, objective, batch, micro_batch_tokens, model.reseed, 1.0)
        step = (rehearsal.peak - lasting, rehearsal.flops, rehearsal.moved)
        weights.clear_gradients()
        model.eval()
        rehearsal.start_anew()
        before = rehearsal.held
        with torch.no_grad():
            read(model, look)
        seen = (rehearsal.peak - before, rehearsal.flops, rehearsal.moved)
    own = 0 if apart else 4 * sum(moving)  # in fp32 gradients come and go with each step
    return Footprint(
        total=total,
        trainable=trainable,
        weights=in_model,
        masters=copies,
        gradients=4 * sum(moving),
        moments=round(sum(size * (8.0 if size < SMALL else MOMENTS_BYTES[optimiser]) for size in moving)),
        activations=max(0, step[0] - own),
        logits=_logits(model, batch, dtype),
        loading=loading,
        looking=seen[0],
        flops=step[1],
        moved=step[2] + round(STEP_BYTES * sum(moving)),
        num_tokens=batch.num_tokens,
        look_flops=seen[1],
        look_moved=seen[2],
        look_tokens=look.num_tokens,
    )


def counted(model: TaskModel) -> tuple[int, int]:
    """All weights of the base with its head, and those that move."""
    from whet.kernels.embedding import CompactEmbedding

    whole, moving = 0, adaptations.count_trainable(model)
    for module in model.modules():
        if isinstance(module, CompactEmbedding):
            whole -= module.rows.numel()
            moving += module.table.numel() - module.rows.numel()
        if isinstance(module, _Quantised):
            whole += module.in_features * module.out_features - module.weight.numel()
    return whole + sum(p.numel() for p in model.parameters()), moving


def _sizes(model: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())


def _logits(model: TaskModel, batch: FlatBatch, dtype: torch.dtype) -> int:
    if model.kind.kind == "language":
        if model.whole_logits:
            return 4 * batch.num_tokens * model.width
        rows = min(batch.num_tokens, max(1, CELLS_AT_ONCE // model.width))
        return dtype.itemsize * rows * model.width
    rows = batch.num_tokens if model.level == "token" else batch.where.num_sequences
    return 4 * rows * model.width


# --- quantised layers -----------------------------------------------------------------------------------


class _Dequantised(torch.autograd.Function):
    """x W^T with W made anew for the moment of each product."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, layer: _Quantised) -> Tensor:
        ctx.layer = layer
        return given @ layer.whole(given).t()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0] @ ctx.layer.whole(grads[0]), None


class _Quantised(nn.Linear):
    """Stands for a linear layer whose frozen weight is kept in few bits."""

    def __init__(self, layer: nn.Linear, bytes_each: float) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        packed = torch.empty(round(layer.weight.numel() * bytes_each), dtype=torch.int8, device=META)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = layer.bias

    def whole(self, like: Tensor) -> Tensor:
        """(out, in) in the precision of ``like``."""
        return torch.empty(self.out_features, self.in_features, dtype=like.dtype, device=META)

    def forward(self, given: Tensor) -> Tensor:
        """As a linear layer."""
        said: Tensor = _Dequantised.apply(given, self)  # type: ignore[no-untyped-call]
        return said if self.bias is None else said + self.bias


def stand_in(model: TaskModel, bytes_each: float, dtype: torch.dtype) -> None:
    """Put :class:`_Quantised` in the place of every linear layer of the trunk."""
    for name in linear_layers(model):
        parent, _, leaf = name.rpartition(".")
        layer = model.network.get_submodule(name)
        if isinstance(layer, nn.Linear) and layer is not model.head:
            setattr(model.network.get_submodule(parent), leaf, _Quantised(layer, bytes_each))


def bytes_of(options: Mapping[str, Any]) -> float:
    """Of a quantised weight, its scales included: blocks of 64 weights of 4 bits, rows of 8."""
    if options.get("quantisation.bits") == 8:
        return 1.0
    scale = (1 + 4 / 256) if options.get("quantisation.double", True) else 4.0
    return 0.5 + scale / 64


def smallest(batch: FlatBatch) -> FlatBatch:
    """The longest unit of ``batch`` alone: no micro-batch can be smaller."""
    pieces: Sequence[FlatBatch] = batch.split(1)
    return max(pieces, key=lambda piece: piece.num_tokens)
