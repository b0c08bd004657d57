"""What sentence similarity and ranking share: they pick a way to learn and hand everything on to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.batches.tokenising import Reader
from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.data.saying import say_values
from whet.engine.protocols import Objective
from whet.errors import Problem, UserError
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.tasks import pair_rows
from whet.tasks.pair_answers import Scale, apart_cosines, apart_ranks, together_values
from whet.tasks.pair_encoding import encode_apart, encode_together
from whet.tasks.pair_rows import Mining
from whet.tasks.pair_ways import Way
from whet.tasks.reranking import reranked
from whet.tasks.task import Columns, Embed, Setting, Task, Told

TEMPERATURE = 0.05
DEPTH = 50


class PairTask(Task):
    """Pairs of texts, by a bi-encoder (``similarity.encoder`` 'bi') or a cross-encoder ('cross')."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        known = setting.settled
        self.scale = Scale(float(known.get("low", 0.0)), float(known.get("high", 1.0)))

    # --- options --------------------------------------------------------------------------------------

    def option(self, name: str, otherwise: Any) -> Any:
        """A value of the recipe below ``similarity``; ``otherwise`` where it is not decided."""
        found = self.setting.options.get(f"similarity.{name}", "auto")
        return otherwise if found in ("auto", None) else found

    @property
    def together(self) -> bool:
        """Whether both texts are read at once."""
        return bool(self.option("encoder", "bi") == "cross")

    @property
    def temperature(self) -> float:
        """What cosines are divided by."""
        return float(self.option("temperature", TEMPERATURE))

    @property
    def depth(self) -> int:
        """Passages that a cross-encoder puts in order for each query."""
        return int(self.option("depth", DEPTH))

    @property
    def num_hard(self) -> int:
        """Hard negatives mined for each row."""
        return int(self.option("hard_negatives", 0))

    # --- the way --------------------------------------------------------------------------------------

    @cached_property
    def way(self) -> Way:
        """How it learns."""
        return self._way()

    @abstractmethod
    def _way(self) -> Way: ...

    @abstractmethod
    def _are_ranks(self, examples: Examples) -> bool:
        """Whether ``examples`` ask for passages in order, not for a number a row."""

    @property
    def score(self) -> str:  # type: ignore[override]
        """Spearman's correlation of scores, nDCG@10 of what belongs together."""
        return self.way.score

    @property
    def coupled(self) -> bool:  # type: ignore[override]
        """Whether the loss compares the rows of a batch."""
        return self.way.coupled

    @property
    def head_kind(self) -> HeadKind:
        """Vectors, or a value of both texts."""
        return "value" if self.together else "vectors"

    def head(self, pooling: Pooling | None) -> Head:
        """Unit vectors, pooled by the mean where nothing else was decided; or one output."""
        return Head("value", pooling=pooling) if self.together else Head("vectors", pooling=pooling or "mean")

    # --- rows to tensors ------------------------------------------------------------------------------

    def blocks(self, examples: Examples, embed: Embed | None = None, seed: int = 0) -> Iterable[Columns]:
        """The rows as :meth:`encode` takes them: training rows with negatives, others with what is to be ranked.

        :param embed: texts to unit vectors of the untouched base; needed where hard negatives are mined.
        """
        if examples.split == "train":
            return self.way.blocks(examples, Mining(self.num_hard, embed, seed))
        if self.together and self._are_ranks(examples):
            return pair_rows.to_rank(examples, self.depth)
        return pair_rows.plain(examples)

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """Each text by itself, or both in one sequence."""
        how = encode_together if self.together else encode_apart
        return how(Reader(tokenizer, limit, self.fast), blocks, into, progress)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """See the way."""
        return self.way.targets(examples, encoded)

    def objective(self) -> Objective[Any]:
        """See the way."""
        return self.way.objective()

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """See the way."""
        return self.way.look(outputs, encoded, examples)

    def floor(self, examples: Examples) -> float:
        """See the way."""
        return self.way.floor(examples)

    # --- tensors to answers ---------------------------------------------------------------------------

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> Predictions:
        """A number for each pair, or passages in order for each query.

        A cosine or a sigmoid of 0 to 1 is spread over the range of the training scores, where there were any.
        """
        size = len(examples)
        if self._are_ranks(examples):
            if self.together:
                return reranked(model, outputs, encoded, examples, self.depth)
            return apart_ranks(model, outputs, encoded, examples, np.ones(size, dtype=np.int64))
        compute = together_values if self.together else apart_cosines
        return say_values(model, examples, self.scale.spread(compute(outputs, encoded, size)), "similarity")


def unfit(option: str, what: str, remedy: str) -> UserError:
    """D078: an option does not fit the rows."""
    return UserError(Problem("D078", f"similarity.{option}", what, remedy))
