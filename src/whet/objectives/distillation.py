"""Learning from a teacher beside the labels (arXiv 1503.02531): the frame, and the distances of answers of each kind.

A row with a label costs ``(1 - weight)`` times its own loss and ``weight`` times its distance to what the teacher says
of it; a row without one costs that distance alone. Logits of both are divided by a temperature t, and the distance is
multiplied by t^2, so that its slope does not depend on t. What a teacher said is looked up by the numbers of units or
tokens in their split: it was asked once, before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.encoding import token_numbers
from whet.batches.flat import FlatBatch
from whet.engine.devices import beside
from whet.engine.protocols import StepLoss
from whet.kernels.flat import pad


@dataclass(frozen=True, slots=True)
class Distances:
    """How far a batch is from what the teacher said of it.

    - ``each`` (r,): of every counted item: a row, a word, a window, a token.
    - ``units`` (r,): the place of each item's unit in the batch.
    - ``counts`` (r,): how much each counts beside others.
    """

    each: Tensor
    units: Tensor
    counts: Tensor


class Lesson(Protocol):
    """What a teacher said of the rows of training, as answers of one kind."""

    def apart(self, model: Any, known: Any, said: Any, batch: FlatBatch) -> Distances:
        """How far ``said`` is from it."""
        ...

    def labelled(self, known: Any, said: Any, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """What the task's own loss is of: units that are ``there`` (B,) have a label, the others do not."""
        ...


class Beside(Protocol):
    """A distance of what happens within the two models."""

    def __call__(self, model: Any, batch: FlatBatch) -> Tensor:
        """(B,) of the pass that ended last, one number a unit."""
        ...

    def watched(self, model: Any) -> Any:
        """A context in which a pass of ``model`` is watched."""
        ...


@dataclass(frozen=True, slots=True)
class Distilled:
    """The task's own loss and the distance to a teacher.

    - ``objective``: the task's own, in parts as :class:`whet.objectives.two_passes.Distributed`.
    - ``weight``: share of a row's loss that is the distance; ``num_labelled``: the first so many units have labels.
    - ``beside``: further distances, each with its weight.
    """

    objective: Any
    lesson: Lesson
    weight: float
    num_labelled: int
    beside: Sequence[tuple[Beside, float]] = ()

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """As the objective counts, and one for each item without a label."""
        known = self.known(model, batch)
        return self.loss(model, known, self.said(model, known))

    def known(self, model: nn.Module, batch: FlatBatch) -> tuple[Any, FlatBatch]:
        """What the objective knows, and the batch."""
        return self.objective.known(model, batch), batch

    def said(self, model: nn.Module, known: tuple[Any, FlatBatch]) -> tuple[Any, list[Tensor]]:
        """One pass: what the objective takes of it, and (B,) distances beside."""
        with contextlib.ExitStack() as watching:
            for one, _ in self.beside:
                watching.enter_context(one.watched(model))
            found = self.objective.said(model, known[0])
        return found, [one(model, known[1]) for one, _ in self.beside]

    def loss(self, model: nn.Module, known: tuple[Any, FlatBatch], said: tuple[Any, list[Tensor]]) -> StepLoss:
        """Of a pass."""
        inner, batch = known
        there = batch.rows < self.num_labelled
        apart = self.lesson.apart(model, inner, said[0], batch)
        found, counted = apart.each.new_zeros(()), 0.0
        if there.any():
            own = self.objective.loss(model, *self.lesson.labelled(inner, said[0], batch, there))
            found, counted = (1 - self.weight) * own.total, float(own.num_counted)
        units, counts = beside(apart.units, apart.each), beside(apart.counts, apart.each)
        has = beside(torch.from_numpy(there), apart.each)[units]
        share = torch.where(has, self.weight * counts, torch.ones_like(counts))
        total = found + (apart.each * share).sum()
        items = counts.new_zeros(len(batch.rows)).index_add_(0, units, torch.where(has, counts, 1.0))
        for (_, weight), each in zip(self.beside, said[1], strict=True):
            total = total + weight * (each * items).sum()
        return StepLoss(total, counted + float((~has).sum()))

    def divergence(self, model: nn.Module, known: tuple[Any, FlatBatch], one: Any, other: Any) -> Tensor:
        """Of two passes, as the objective has it."""
        found: Tensor = self.objective.divergence(model, known[0], one[0], other[0])
        return found


# --- answers of each kind -----------------------------------------------------------------------------


def kept_apart(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """(r,) t^2 KL(teacher, student) of logits (r, C) of one class an item, in nats."""
    said = (student.float() / temperature).log_softmax(-1)
    true = (teacher.float() / temperature).log_softmax(-1)
    return temperature**2 * (true.exp() * (true - said)).sum(-1)


def labels_apart(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """(r,) the same of logits (r, C) of labels that are there or not, each by itself, summed over labels."""
    said, true = student.float() / temperature, teacher.float() / temperature
    chance = true.sigmoid()
    apart = chance * (F.logsigmoid(true) - F.logsigmoid(said)) + (1 - chance) * (
        F.logsigmoid(-true) - F.logsigmoid(-said)
    )
    return temperature**2 * apart.sum(-1)


def _counted(counts: Any, targets: Tensor) -> Tensor:
    """(n,) how much each of ``targets`` counts beside others; below 0 stands none, and it counts once."""
    return torch.where(targets >= 0, counts(targets.clamp_min(0)), 1.0)


@dataclass(frozen=True, slots=True)
class OfRows:
    """Of one text or pair a unit: 'classes' (one each, (U, C) logits), 'labels' (several, (U, C)), 'value' (U, 1).

    ``counts``: how much targets (B, ...) count beside one another; None: all alike.
    """

    table: NDArray[np.float32]
    kind: str
    temperature: float
    counts: Any = None

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """Of classes in nats, of values squared."""
        teacher = beside(torch.from_numpy(np.asarray(self.table[batch.rows])), said)
        if self.kind == "value":
            each = (said[:, 0].float() - teacher[:, 0]).square()
        elif self.kind == "labels":
            each = labels_apart(said, teacher, self.temperature)
        else:
            each = kept_apart(said, teacher, self.temperature)
        counts = torch.ones(len(each)) if self.counts is None else _counted(self.counts, known[1])
        return Distances(each, torch.arange(len(each)), counts)

    def labelled(
        self, known: tuple[FlatBatch, Tensor], said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]
    ) -> tuple[Any, Any]:
        """The rows that have a target."""
        if there.all():
            return known, said
        rows = beside(torch.from_numpy(there), said)
        return (known[0], known[1][rows]), said[rows]


@dataclass(frozen=True, slots=True)
class OfWords:
    """Of tags: ``table`` (W, K) logits of the token that stands for each word; ``places`` (N,) its row, or -1."""

    table: NDArray[np.float32]
    places: NDArray[np.int64]
    temperature: float
    counts: Any = None

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """In nats, a number a word."""
        rows = torch.from_numpy(self.places[token_numbers(batch.encoded.offsets, batch.sequences)])
        standing = (rows >= 0).nonzero()[:, 0]
        teacher = beside(torch.from_numpy(np.asarray(self.table[rows[standing].numpy()])), said)
        each = kept_apart(said[standing], teacher, self.temperature)
        units = torch.repeat_interleave(torch.arange(batch.where.num_sequences), batch.where.lengths)[standing]
        counts = torch.ones(len(each)) if self.counts is None else _counted(self.counts, known[1][standing])
        return Distances(each, units, counts)

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Words without a tag carry no loss by themselves."""
        return known, said


@dataclass(frozen=True, slots=True)
class OfVectors:
    """Of vectors: ``table`` (S, H) of length 1; the distance is that of unit vectors, squared: 2 - 2 cosine.

    Where widths differ, ``project`` names the layer of the model that brings its vectors to the teacher's width.
    """

    table: NDArray[np.float32]
    project: str | None = None

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """A number a text, the mean of those of a unit."""
        teacher = beside(torch.from_numpy(np.asarray(self.table[batch.sequences])), said)
        student = said.float() if self.project is None else model.get_submodule(self.project)(said.float())
        each = 2 - 2 * (F.normalize(student, dim=-1) * teacher).sum(-1)
        of_units = each.view(-1, batch.parts).mean(1)
        return Distances(of_units, torch.arange(len(of_units)), torch.ones(len(of_units)))

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Everything: such rows are never without a truth."""
        return known, said


@dataclass(frozen=True, slots=True)
class OfSpans:
    """Of answers in a text: ``table`` (N, 2) logits of start and end of every token; among those that may be chosen."""

    table: NDArray[np.float32]
    temperature: float

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """In nats, the mean of start and end, a number a window that carries loss."""
        choices, targets = known[1], known[2]
        numbers, where = token_numbers(batch.encoded.offsets, batch.sequences), batch.where.to(said.device)
        teacher = beside(torch.from_numpy(np.asarray(self.table[numbers])), said)
        allowed = pad(beside(choices[:, None].float(), said), where)[..., 0] > 0
        both = []
        for logits in (said.float(), teacher):
            table = pad(logits, where) / self.temperature
            both.append(table.masked_fill(~allowed[..., None], -1e9).log_softmax(1))
        apart = (both[1].exp() * (both[1] - both[0])).masked_fill(~allowed[..., None], 0.0).sum((1, 2)) / 2
        counted = (targets[:, 0] >= 0).nonzero()[:, 0]
        return Distances(self.temperature**2 * apart[beside(counted, apart)], counted, torch.ones(len(counted)))

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Everything: such rows are never without a truth."""
        return known, said
