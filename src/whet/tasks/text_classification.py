"""Text classification: one label a row, or several; single texts or pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import FlatBatch, Targets
from whet.data.forms import Examples
from whet.data.predictions import ClassPredictions
from whet.data.saying import say_classes
from whet.engine.protocols import Objective, StepLoss
from whet.kernels import logistic
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.objectives.classes import Weighing, positive_weights, weights_of
from whet.objectives.logit_loss import LogitLoss
from whet.objectives.two_passes import class_divergence, label_divergence
from whet.tasks.task import Columns, FittedHead, Setting, Task, Told

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Of the probe's regularisation (the C of scikit-learn); validation chooses."""


@dataclass(frozen=True, slots=True)
class ClassificationLoss(LogitLoss):
    """Cross-entropy over labels; with several labels a row, binary cross-entropy summed over labels."""

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over the rows, in nats; rows count as their classes weigh."""
        targets = known[1]
        if not self.weighing:
            return StepLoss(self.of(said, targets), len(targets))
        if targets.ndim == 1:
            nats = self.weighing.single(said, targets, self.label_smoothing)
            return StepLoss(nats.sum(), float(self.weighing.counts(targets).sum()))
        return StepLoss(self.weighing.several(said, targets, self.label_smoothing).sum(), len(targets))

    def divergence(self, model: nn.Module, known: tuple[FlatBatch, Tensor], one: Tensor, other: Tensor) -> Tensor:
        """Of two answers, summed over rows as the loss is."""
        targets = known[1]
        if targets.ndim == 2:
            return label_divergence(one, other).sum()
        return (class_divergence(one, other) * self.weighing.counts(targets)).sum()

    def of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of ``logits`` (B, C) against ``targets`` (B,) or (B, C)."""
        if targets.ndim == 1:
            return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=self.label_smoothing)
        soft = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, soft, reduction="sum")


class TextClassification(Task):
    """Texts, single or in pairs, to C labels."""

    name = "text-classification"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._weighing = Weighing(None, focal_of(setting))

    def learn(self, train: Examples) -> None:
        """How much each class weighs, where classes are weighed."""
        wanted, labels = class_weights_of(self.setting), self.setting.labels
        if wanted == "none":
            return
        gold = train.label_ids(labels)
        if self.setting.multi_label:
            found = positive_weights(wanted, labels, gold)
        else:
            found = weights_of(wanted, labels, np.bincount(gold, minlength=len(labels)).tolist())
        self._weighing = Weighing(found, focal_of(self.setting))

    @property
    def class_weights(self) -> dict[str, float]:
        """Weights of classes in the loss, by name; empty where all count alike."""
        return dict(zip(self.setting.labels, self._weighing.classes or (), strict=False))

    @property
    def head_kind(self) -> HeadKind:
        """Of classes."""
        return "classes"

    @property
    def score(self) -> str:  # type: ignore[override]
        """Accuracy, or micro F1 with several labels a row."""
        return "micro_f1" if self.setting.multi_label else "accuracy"

    def head(self, pooling: Pooling | None) -> Head:
        """One output a label."""
        return Head("classes", self.setting.labels, self.setting.multi_label, pooling)

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A sequence a row."""
        return encoding.encode(tokenizer, texts_and_pairs(blocks), limit, into, progress, self.fast)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(n,) int64, or (n, C) float32 with several labels a row."""
        return targets_of(examples.label_ids(self.setting.labels))

    def objective(self) -> Objective[Any]:
        """Cross-entropy."""
        return ClassificationLoss(float(self.setting.options.get("training.label_smoothing", 0.0)), self._weighing)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per row) and accuracy or micro F1."""
        return quick_numbers(outputs, self.targets(examples, encoded).values)

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> ClassPredictions:
        """Softmax over labels, or one sigmoid each; temperature and thresholds come later."""
        setting = self.setting
        scores = probabilities(outputs, setting.multi_label)
        return say_classes(model, examples, setting.labels, setting.multi_label, scores)

    def floor(self, examples: Examples) -> float:
        """What always saying the commonest label gets."""
        return majority(examples.label_ids(self.setting.labels))

    def fit_head(
        self,
        train: tuple[Tensor, Targets],
        validation: tuple[Tensor, Targets],
        intercept: bool,
        tell: Callable[[int, int], None],
    ) -> FittedHead:
        """Logistic regression along a path of strengths; the best by loss on validation."""
        labels = len(self.setting.labels)
        return best_logistic(train, validation, labels, intercept, tell, ClassificationLoss().of)

    def folded(self, head: nn.Linear | None, settled: Mapping[str, Any]) -> nn.Linear | None:
        """The temperature divides the logits."""
        if head is not None:
            divide(head, float(settled.get("temperature", 1.0)))
        return head


def class_weights_of(setting: Setting) -> str | Mapping[str, float]:
    """What the recipe says of weights of classes."""
    found: str | Mapping[str, float] = setting.options.get("regularisation.class_weights", "none")
    return found


def focal_of(setting: Setting) -> float:
    """Gamma of the focal loss; 0 for none."""
    return float(setting.options.get("regularisation.focal", 0.0))


def texts_and_pairs(blocks: Iterable[Columns]) -> Iterator[tuple[Sequence[str], Sequence[str] | None]]:
    """The texts of each block, and their second texts where rows have them."""
    for block in blocks:
        yield block["text"], block.get("text_pair")


def best_logistic(
    train: tuple[Tensor, Targets],
    validation: tuple[Tensor, Targets],
    num_labels: int,
    intercept: bool,
    tell: Callable[[int, int], None],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> FittedHead:
    """The linear classifier of the strength with the lowest loss on validation."""
    best, lowest = None, float("inf")
    for number, fit in enumerate(logistic.path(train[0], train[1].values, num_labels, STRENGTHS, intercept=intercept)):
        tell(number + 1, len(STRENGTHS))
        value = float(loss(fit.logits(validation[0]), validation[1].values))
        if best is None or value < lowest:
            best, lowest = fit, value
    assert best is not None
    return FittedHead(best.weight, best.bias if intercept else None, best.strength, best.iterations)


@torch.no_grad()
def divide(head: nn.Linear, temperature: float) -> None:
    """Divide the outputs of ``head`` by ``temperature``, in its weights."""
    head.weight.div_(temperature)
    if head.bias is not None:
        head.bias.div_(temperature)


def targets_of(gold: NDArray[Any]) -> Targets:
    """Truths (n,) or (n, C) for training: int64, or float32 with several labels a row."""
    return Targets(torch.from_numpy(gold.astype(np.int64) if gold.ndim == 1 else gold.astype(np.float32)))


def probabilities(logits: Tensor, multi_label: bool) -> NDArray[np.float32]:
    """(n, C) probabilities: softmax over labels, or one sigmoid each."""
    found = logits.double().sigmoid() if multi_label else logits.double().softmax(-1)
    return found.numpy().astype(np.float32)


def words_of(label: str) -> str:
    """A label's name as somebody would say it: 'card_arrival' is 'card arrival'."""
    return " ".join(label.replace("_", " ").replace("-", " ").replace("/", " ").split())


def label_texts(labels: Sequence[str]) -> list[str]:
    """What the label-name baseline embeds."""
    return [words_of(label) for label in labels]


def quick_numbers(logits: Tensor, targets: Tensor) -> dict[str, float]:
    """Loss (nats per row) and accuracy or micro F1, for looking at during training."""
    loss = float(ClassificationLoss().of(logits, targets)) / max(1, len(targets))
    if targets.ndim == 1:
        return {"loss": loss, "accuracy": float((logits.argmax(1) == targets).float().mean())}
    said, true = logits > 0, targets > 0.5
    hits = float((said & true).sum())
    return {"loss": loss, "micro_f1": 2 * hits / max(1.0, float(said.sum() + true.sum()))}


def majority(gold: NDArray[Any]) -> float:
    """The quick number (accuracy or micro F1) that always saying the commonest label gets."""
    if gold.ndim == 1:
        return float(np.bincount(gold).max() / len(gold))
    best = gold[:, gold.sum(0).argmax()]
    return 2.0 * float(best.sum()) / float(len(gold) + gold.sum())
