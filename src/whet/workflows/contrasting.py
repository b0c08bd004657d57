"""Method contrastive in a run: what it learns from, and the head that is fitted on its vectors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.batches.by_class import PAIR, ClassBatches, fitting
from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.engine.loop import Plan
from whet.engine.protocols import Evaluation, Objective
from whet.errors import Problem, UserError
from whet.inference import trained
from whet.models.task_model import TaskModel
from whet.objectives.contrast import ClassContrast
from whet.tasks.task import FittedHead
from whet.workflows import learning
from whet.workflows.running import Running

CONTRASTIVE = "contrastive"
FEWEST = 2
"""Rows of a class without which it has no pair of its own."""
STEADY = 100
"""Validation rows without which the best of several states is the luckiest of them."""
LOOKS = 5
"""At most in a training."""
NAMED = 5
"""Classes that a message lists."""


def wanted(run: Running, name: str | None = None) -> bool:
    """Whether model ``name`` is trained by this method; None: the one of the run's method."""
    return run.method_of(str(run.value("method")) if name is None else name) == CONTRASTIVE


def refuse(run: Running, name: str | None = None) -> None:
    """Refuse rows of which ``name`` cannot learn by this method; None: the model of the run's method.

    :raises UserError: as :func:`refuse_rows`; T043, small batches.
    """
    if not wanted(run, name):
        return
    refuse_rows(run)
    if not _together(run, run.encoded["train"]):
        tokens, four = run.value("training.batch_tokens"), 4 * float(np.mean(run.encoded["train"].lengths))
        what = f"is {tokens:,}, and two texts of each of two classes have about {four:,.0f}."
        remedy = "Raise it: contrastive learns from texts of several classes that stand in one batch."
        raise UserError(Problem("T043", "training.batch_tokens", what, remedy))


def refuse_rows(run: Running) -> None:
    """:raises UserError: T040, fewer than two examples of a class; T041, rows with several labels, or with none."""
    if run.multi_label or not run.gold:
        they = "may carry several labels" if run.multi_label else "have none"
        what = f"contrastive wants one class a row, and these rows {they}."
        raise UserError(Problem("T041", "method", what, "Set method to full or lora."))
    counts = np.bincount(run.gold["train"], minlength=len(run.labels))
    few = [name for name, count in zip(run.labels, counts, strict=True) if count < FEWEST]
    if few:
        more = f" and {len(few) - NAMED} more" if len(few) > NAMED else ""
        what = f"fewer than two training rows have the label {', '.join(map(repr, few[:NAMED]))}{more}"
        remedy = (
            "Contrastive learns from pairs of one class: add rows of it, give validation and test as files of their "
            "own so that none is set aside, or use method probe or full."
        )
        raise UserError(Problem("T040", "method", f"{what}.", remedy))


def objective(run: Running) -> Objective[Any]:
    """On pairs of the texts of a batch."""
    return ClassContrast(str(run.value("contrastive.loss")), run.recipe.contrastive.temperature)


def batches(run: Running, seed: int, name: str | None = None) -> ClassBatches:
    """Several rows of each of several classes in a batch, which is never cut."""
    known = learning.rows(run, name)
    tokens, together = run.value("training.batch_tokens"), max(PAIR, _together(run, known.encoded))
    return ClassBatches(known.encoded, known.targets, tokens, seed, whole=True, together=together)


def _together(run: Running, encoded: Encoded) -> int:
    """Rows of a class side by side, fewer than the recipe's so that two classes stand in a batch; 0: they cannot."""
    wanted, tokens = run.recipe.contrastive.together, int(run.value("training.batch_tokens"))
    return fitting(wanted, float(np.mean(encoded.lengths)), tokens)


# --- the head -------------------------------------------------------------------------------------------


def fitted(run: Running, model: TaskModel, name: str) -> tuple[FittedHead, dict[str, Tensor]]:
    """The best linear head on the vectors of ``model``, by loss on validation; and the vectors, by split."""
    known = learning.rows(run, name)
    of_train = trained.features(model, known.encoded)
    of_validation = trained.features(model, run.encoded["validation"])
    intercept = model.linear_head.bias is not None
    train, validation = (of_train, known.targets), (of_validation, run.targets("validation"))
    head = run.task.fit_head(train, validation, intercept, lambda *_: None)
    assert head is not None
    return head, {"train": of_train, "validation": of_validation}


def set_head(run: Running, model: TaskModel, name: str) -> FittedHead:
    """Fit the head of a model whose training is over, and put it in."""
    found, _ = fitted(run, model, name)
    head = model.linear_head
    with torch.no_grad():
        head.weight.copy_(found.weight)
        if head.bias is not None and found.bias is not None:
            head.bias.copy_(found.bias)
    return found


def paced(run: Running, plan: Plan) -> Plan:
    """``plan`` with few looks, since each fits a head; with a single one at the end where none can be chosen by."""
    if not _steady(run):
        return replace(plan, evaluate_every=plan.num_steps)
    return replace(plan, evaluate_every=max(plan.evaluate_every, -(-plan.num_steps // LOOKS)))


def _steady(run: Running) -> bool:
    return len(run.examples("validation")) >= STEADY


class Look:
    """Looks at validation while a model trains, by a head that is fitted each time on the vectors as they are.

    Training rows are told apart by such a head as soon as it has any chance to; of them nothing is said. Where
    validation is too small to choose by, training goes to its end and what it ends in is kept.

    :param untrained: the first look is at a model that no step has moved yet.
    """

    def __init__(self, run: Running, model: TaskModel, name: str, untrained: bool) -> None:
        self.run, self.model, self.name = run, model, name
        self._passed_over = untrained and not _steady(run)

    def __call__(self) -> Evaluation:
        """Score by the task's quick score, ties by loss."""
        run = self.run
        head, vectors = fitted(run, self.model, self.name)
        seen = self._numbers(head, vectors["validation"], run.encoded["validation"], run.examples("validation"))
        if self._passed_over:
            self._passed_over = False
            return Evaluation(-1.0, 0.0, seen)
        return Evaluation(seen[run.task.score], -seen["loss"], seen)

    def _numbers(self, head: FittedHead, vectors: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        outputs = vectors @ head.weight.T + (0.0 if head.bias is None else head.bias)
        return self.run.task.look(outputs, encoded, examples)
