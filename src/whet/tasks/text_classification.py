"""Text classification: one label a row, or several; single texts or pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine.protocols import StepLoss

NAME = "text-classification"


@dataclass(frozen=True, slots=True)
class ClassificationLoss:
    """Cross-entropy over labels; with several labels a row, binary cross-entropy summed over labels."""

    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over the rows of ``batch``, in nats."""
        targets = batch.targets
        assert targets is not None
        return StepLoss(self.of(model(batch), targets), len(targets))

    def of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of ``logits`` (B, C) against ``targets`` (B,) or (B, C)."""
        if targets.ndim == 1:
            return F.cross_entropy(logits, targets, reduction="sum", label_smoothing=self.label_smoothing)
        soft = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, soft, reduction="sum")


def targets_tensor(gold: NDArray[Any]) -> Tensor:
    """Targets for training: (n,) int64, or (n, C) float32 with several labels a row."""
    return torch.from_numpy(gold.astype(np.int64) if gold.ndim == 1 else gold.astype(np.float32))


def probabilities(logits: Tensor, multi_label: bool) -> NDArray[np.float32]:
    """(n, C) probabilities: softmax over labels, or one sigmoid each."""
    found = logits.double().sigmoid() if multi_label else logits.double().softmax(-1)
    return found.numpy().astype(np.float32)


def forward_all(
    compute: Callable[[FlatBatch], Tensor],
    batches: Iterable[FlatBatch],
    num_rows: int,
    width: int,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """Collect ``compute(batch)`` (B, width) of all batches in the order of rows: (num_rows, width)."""
    result = torch.empty(num_rows, width)
    done = 0
    with torch.inference_mode():
        for batch in batches:
            result[torch.from_numpy(batch.rows)] = compute(batch).float()
            done += len(batch.rows)
            if progress:
                progress(done)
    return result


def words_of(label: str) -> str:
    """A label's name as somebody would say it: 'card_arrival' is 'card arrival'."""
    return " ".join(label.replace("_", " ").replace("-", " ").replace("/", " ").split())


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


def label_texts(labels: Sequence[str]) -> list[str]:
    """What the label-name baseline embeds."""
    return [words_of(label) for label in labels]
