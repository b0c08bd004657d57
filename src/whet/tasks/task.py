"""What a task is to the rest of the house: one class in one file of this room, its form and its metrics elsewhere.

- its rows: a form in :mod:`whet.data` (``ROW_FORMS``), read before a task is asked anything;
- its answers: a form of predictions in :mod:`whet.data.predictions`, measured in :mod:`whet.evaluation`;
- what lies between, rows to tensors and tensors to answers, is a :class:`Task`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.encoding import Encoded
from whet.batches.flat import FlatBatch, Targets, collect
from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.engine.protocols import Objective
from whet.findings import Finding
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.models.task_model import TaskModel

Columns = Mapping[str, Sequence[Any]]
"""A block of rows by column, as :meth:`whet.data.forms.Examples.column_blocks` gives them."""
Told = Callable[[int], None]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to (n, H) unit vectors."""
BATCH_TOKENS = 2048
"""Tokens that are read at once where nothing is trained: a tenth faster than twice as many, which caches no longer hold
(docs/log.md)."""
READ = ("text", "text_pair", "words")
"""Arrow columns that models read; what is true of a row is not among them."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a task knows of its run, and a saved model of itself.

    - ``labels``: C names of classes or types of entities; () where rows have none.
    - ``multi_label``: whether a row may carry several labels; ``pairs``: whether rows have two texts.
    - ``columns``: the Arrow columns of the training rows.
    - ``options``: values of the recipe by dotted name, such as ``training.label_smoothing``; resolved.
    - ``settled``: what was fitted on validation (temperature, thresholds), as the evaluation wrote it.
    """

    labels: Sequence[str] = ()
    multi_label: bool = False
    pairs: bool = False
    columns: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    settled: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A head fitted on the frozen base's features: weight (C, F), bias (C,) or None, and how."""

    weight: Tensor
    bias: Tensor | None
    strength: float
    iterations: int


class Task(ABC):
    """Rows to tensors, tensors to answers.

    Shapes: n rows, S sequences (units times ``encoded.parts``), T tokens of all sequences.

    - ``name``: as the hub's pipeline tags.
    - ``score``: key of :meth:`look` by which the best state is kept, larger is better.
    - ``coupled``: whether the loss of a row depends on the others of its batch, which is then never cut.
    """

    name: ClassVar[str]
    score: ClassVar[str]
    coupled: ClassVar[bool] = False

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @property
    @abstractmethod
    def head_kind(self) -> HeadKind:
        """The kind of :meth:`head`; known before any row is read."""

    @property
    def fast(self) -> bool:
        """Whether ways may be taken that are held against plain ones: ``training.fast_paths``."""
        return bool(self.setting.options.get("training.fast_paths", True))

    def learn(self, train: Examples) -> None:  # noqa: B027  (most tasks need nothing)
        """Take from the training rows what a task needs of them later: the scale of scores, forms of entities.

        Called once, before anything else but :meth:`encode`.
        """

    @property
    def carried(self) -> dict[str, Any]:
        """What of :meth:`learn` goes with a saved model, as JSON; handed back in ``setting.settled``."""
        return {}

    @abstractmethod
    def head(self, pooling: Pooling | None) -> Head:
        """What stands on top of the base; ``pooling`` is what ``head.pooling`` became."""

    def blocks(self, examples: Examples, embed: Embed | None = None, seed: int = 0) -> Iterable[Columns]:
        """The rows as :meth:`encode` takes them.

        :param embed: texts to unit vectors of the untouched base; given where a run prepares its rows.
        """
        return examples.column_blocks(READ)

    @abstractmethod
    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """Token ids of all rows, in sequences of at most ``limit`` tokens."""

    def findings(self, tokenizer: Any, examples: Examples, limit: int) -> list[Finding]:
        """What is to be said of rows as a model sees them, before it is trained on them."""
        return []

    @abstractmethod
    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """The truth for training."""

    @abstractmethod
    def objective(self) -> Objective[Any]:
        """What is minimised."""

    def read(self, model: TaskModel, batch: FlatBatch) -> Tensor:
        """What is kept of a batch for :meth:`look` and :meth:`predictions`: (B * parts, W) or (T, W)."""
        found: Tensor = model(batch)
        return found

    def outputs(self, model: TaskModel, encoded: Encoded, progress: Told | None = None) -> Tensor:
        """:meth:`read` of all sequences or tokens, in their order: (S, W) or (N, W)."""
        return collect(partial(self.read, model), encoded, BATCH_TOKENS, model.level == "token", progress)

    def answer(
        self, name: str, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> Predictions:
        """The answers of ``model``, called ``name``, to all rows; with the truth where ``examples`` hold it."""
        return self.predictions(name, self.outputs(model, encoded, progress), encoded, examples)

    @abstractmethod
    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """``loss`` (nats or squared units per counted item) and the quick score, for looking at while training.

        :param outputs: of the model: (S, C), (T, K) or (S, H).
        """

    @abstractmethod
    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> Predictions:
        """The answers to all rows, with the truth beside them where ``examples`` hold it."""

    def floor(self, examples: Examples) -> float:
        """The quick score that saying always the same gets; at or below it a training has failed."""
        return float("-inf")

    def fit_head(
        self,
        train: tuple[Tensor, Targets],
        validation: tuple[Tensor, Targets],
        intercept: bool,
        tell: Callable[[int, int], None],
    ) -> FittedHead | None:
        """The best linear head on features (S, F) or (T, F) of the frozen base.

        None for tasks without a probe; ``recipe.names.PROBED`` names those with one.
        """
        return None

    def folded(self, head: nn.Linear | None, settled: Mapping[str, Any]) -> nn.Linear | None:
        """``head`` with what was fitted on validation worked into its weights, as far as weights can say it."""
        return head
