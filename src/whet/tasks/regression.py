"""Regression: a number for a text, or for two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.data.forms import Examples
from whet.data.predictions import ValuePredictions
from whet.data.saying import say_values
from whet.engine.protocols import Objective
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.tasks.pair_losses import ScoreLoss, squared_loss
from whet.tasks.task import Columns, FittedHead, Setting, Task, Told

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Of the ridge: the penalty on a squared weight, as a share of the number of rows; validation chooses."""


class Regression(Task):
    """Texts, single or in pairs, to a number.

    The model learns scores less their mean, over their deviation; :meth:`folded` works both into its
    head, so that a saved model says scores as they are. A head without a bias cannot hold the mean: it is
    then carried beside the model.
    """

    name = "regression"
    score = "r2"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.mean = float(setting.settled.get("mean", 0.0))
        self.deviation = float(setting.settled.get("deviation", 1.0))
        self._kept_mean = self.mean

    @property
    def head_kind(self) -> HeadKind:
        """One value."""
        return "value"

    def learn(self, train: Examples) -> None:
        """Mean and deviation of the scores."""
        scores = train.scores
        self.mean, self.deviation = float(scores.mean()), float(scores.std()) or 1.0
        self._kept_mean = 0.0

    @property
    def carried(self) -> dict[str, Any]:
        """What the folded head could not hold; to be asked after :meth:`folded`."""
        return {"mean": self._kept_mean} if self._kept_mean else {}

    def head(self, pooling: Pooling | None) -> Head:
        """One output."""
        return Head("value", pooling=pooling)

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A sequence a row, of one text or both."""
        texts = ((block["text"], block.get("text_pair")) for block in blocks)
        return encoding.encode(tokenizer, texts, limit, into, progress, self.fast)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(n,) float32: standardised scores."""
        return Targets(torch.from_numpy(((examples.scores - self.mean) / self.deviation).astype(np.float32)))

    def objective(self) -> Objective[Any]:
        """Squared error."""
        return ScoreLoss(squared_loss)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Squared error of standardised scores, and r2: the share of their variance that is explained."""
        targets = self.targets(examples, encoded).values.double()
        loss = float(squared_loss(outputs, targets.float())) / max(1, len(targets))
        spread = float((targets - targets.mean()).pow(2).mean())
        return {"loss": loss, "r2": 1.0 - loss / spread if spread else 0.0}

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> ValuePredictions:
        """Scores as they are in the files."""
        said = outputs[:, 0].double().numpy() * self.deviation + self.mean
        return say_values(model, examples, said, "regression")

    def floor(self, examples: Examples) -> float:
        """The mean explains nothing."""
        return 0.0

    def fit_head(
        self,
        train: tuple[Tensor, Targets],
        validation: tuple[Tensor, Targets],
        intercept: bool,
        tell: Callable[[int, int], None],
    ) -> FittedHead:
        """Ridge regression along a path of strengths; the best by squared error on validation."""
        best, lowest = None, float("inf")
        for number, fit in enumerate(_ridge_path(train[0], train[1].values, intercept)):
            tell(number + 1, len(STRENGTHS))
            said = validation[0].double() @ fit.weight[0].double() + (0.0 if fit.bias is None else fit.bias.double())
            loss = float((said - validation[1].values).pow(2).sum())
            if best is None or loss < lowest:
                best, lowest = fit, loss
        assert best is not None
        return best

    @torch.no_grad()
    def folded(self, head: nn.Linear | None, settled: Mapping[str, Any]) -> nn.Linear | None:
        """``head`` saying scores as they are; its mean too, if it has a bias."""
        assert head is not None
        head.weight.mul_(self.deviation)
        self._kept_mean = self.mean
        if head.bias is not None:
            head.bias.mul_(self.deviation).add_(self.mean)
            self._kept_mean = 0.0
        return head


def _ridge_path(features: Tensor, targets: Tensor, intercept: bool) -> Iterable[FittedHead]:
    """The least squared error plus strength * n * the squared weights, of standardised (n, F) features.

    One decomposition serves all strengths. Without an intercept features are scaled, not centred.
    """
    table, truth = features.double(), targets.double()
    centre = table.mean(0) if intercept else torch.zeros(table.shape[1], dtype=torch.float64)
    level = truth.mean() if intercept else truth.new_zeros(())
    scale = (table - centre).pow(2).mean(0).sqrt().clamp(min=1e-6)
    standard = (table - centre) / scale
    values, vectors = torch.linalg.eigh(standard.T @ standard / len(table))
    projected = vectors.T @ (standard.T @ (truth - level)) / len(table)
    for strength in STRENGTHS:
        weight = vectors @ (projected / (values.clamp(min=0.0) + strength)) / scale
        bias = (level - weight @ centre).float().reshape(1) if intercept else None
        yield FittedHead(weight.float().unsqueeze(0), bias, strength, 1)
