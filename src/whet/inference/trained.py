"""A saved model answers: texts in, labels with probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Encoded, encode
from whet.batches.flat import for_prediction
from whet.errors import Problem, UserError
from whet.inference.answers import Answer, answers
from whet.models import saving
from whet.models.classifier import TextClassifier
from whet.models.saving import About
from whet.tasks import text_classification as task

BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model loaded from a folder of a run, in fp32."""

    model: TextClassifier
    tokenizer: Any
    about: About

    @staticmethod
    def load(folder: Path) -> TrainedModel:
        """Open ``folder`` (run/model, or one below run/models).

        :raises UserError: as :func:`whet.models.saving.load`.
        """
        model, tokenizer, about = saving.load(folder)
        model.use_flat_batches()
        model.eval()
        return TrainedModel(model, tokenizer, about)

    def probabilities(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """(n, C) probabilities of ``texts``.

        :raises UserError: M041, the model wants pairs and got single texts, or the other way round.
        """
        self._refuse_other_form(pairs is not None)
        encoded = encode(self.tokenizer, _blocks(texts, pairs), self.about.max_length, into=None)
        return task.probabilities(logits(self.model, encoded, progress), self.about.multi_label)

    def _refuse_other_form(self, given_pairs: bool) -> None:
        if given_pairs == self.about.pairs:
            return
        wants, got = ("pairs of texts", "single texts") if self.about.pairs else ("single texts", "pairs")
        remedy = "Name the column of the second text with --text-pair." if self.about.pairs else "Give one text a row."
        raise UserError(Problem("M041", "the model", f"was trained on {wants} and got {got}.", remedy))

    def answers(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Answer]:
        """One answer per text, in their order."""
        return answers(self, texts, pairs)

    @property
    def labels(self) -> Sequence[str]:
        """C names, in the order of the columns."""
        return self.about.labels

    @property
    def thresholds(self) -> Sequence[float] | None:
        """Per label, only with several labels a row."""
        return self.about.thresholds

    @property
    def multi_label(self) -> bool:
        """Whether a text may carry several labels."""
        return self.about.multi_label


def logits(model: TextClassifier, encoded: Encoded, progress: Callable[[int], None] | None = None) -> Tensor:
    """(n, C) logits of all rows, in their order."""
    batches = for_prediction(encoded, BATCH_TOKENS)
    return task.forward_all(model, batches, len(encoded), model.head.out_features, progress)


def features(model: TextClassifier, encoded: Encoded, progress: Callable[[int], None] | None = None) -> Tensor:
    """(n, F) what the last linear layer sees, for all rows, in their order."""
    batches = for_prediction(encoded, BATCH_TOKENS)
    return task.forward_all(model.features, batches, len(encoded), model.head.in_features, progress)


def _blocks(texts: Sequence[str], pairs: Sequence[str] | None) -> Any:
    size = 8192
    for start in range(0, len(texts), size):
        yield texts[start : start + size], None if pairs is None else pairs[start : start + size]
