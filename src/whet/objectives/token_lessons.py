"""What a teacher says of tokens: its likeliest words, kept, or asked for anew where what is hidden changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import token_numbers
from whet.batches.flat import FlatBatch
from whet.kernels import top_k
from whet.objectives.distillation import Distances


@dataclass(frozen=True, slots=True)
class OfTokens:
    """The distance over the teacher's ``k`` likeliest words and the rest, of every token that counts.

    ``words`` (n, k) and ``logs`` (n, k) of n tokens; ``places`` (N,) the row of each token, -1 for none.
    """

    words: NDArray[np.int32]
    logs: NDArray[np.float32]
    places: NDArray[np.int64]
    temperature: float

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """In nats; ``said``: (k, F) features of the tokens that are wanted, ``known`` which they are."""
        numbers = token_numbers(batch.encoded.offsets, batch.sequences)[known.said.numpy()]
        rows = self.places[numbers]
        words = torch.from_numpy(np.asarray(self.words[rows]).astype(np.int64))
        logs = torch.from_numpy(np.asarray(self.logs[rows], dtype=np.float32))
        return distances(model, known, said, batch, words, logs, self.temperature)

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Everything: a text is its own truth."""
        return known, said


@dataclass(frozen=True, slots=True)
class AskedAnew:
    """The same of a teacher that reads every batch as it stands, what is hidden in it included.

    ``size``: tokens of the vocabulary that both share.
    """

    teacher: Any
    k: int
    temperature: float
    size: int

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """In nats."""
        with torch.no_grad():
            words, logs = likeliest_of(self.teacher, known, self.k, self.temperature, self.size)
        return distances(model, known, said, batch, words, logs, self.temperature)

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Everything: a text is its own truth."""
        return known, said


@dataclass(frozen=True, slots=True)
class Unasked:
    """Of a teacher that nobody asks about tokens: no distance, of tokens that count as ever."""

    def apart(self, model: Any, known: Any, said: Tensor, batch: FlatBatch) -> Distances:
        """Nothing, so that what happens within the models is weighed by the tokens of each text."""
        return Distances(said.new_zeros(len(known.said), dtype=torch.float32), _units(known, batch), known.weights)

    def labelled(self, known: Any, said: Tensor, batch: FlatBatch, there: NDArray[np.bool_]) -> tuple[Any, Any]:
        """Everything: a text is its own truth."""
        return known, said


def likeliest_of(teacher: Any, wanted: Any, k: int, temperature: float, size: int) -> tuple[Tensor, Tensor]:
    """(n, k) words and logarithms of their probabilities, of the tokens that are wanted, among the first ``size``."""
    features = wanted.features(teacher)
    weight, bias, cap = teacher.linear_head.weight, teacher.logit_bias, teacher.logit_cap
    return top_k.likeliest(features, weight, bias, cap, k, temperature, size)


def distances(
    model: Any, wanted: Any, features: Tensor, batch: FlatBatch, words: Tensor, logs: Tensor, temperature: float
) -> Distances:
    """Of (n, F) features to what a teacher said of the same tokens."""
    weight, bias, cap = model.linear_head.weight, model.logit_bias, model.logit_cap
    each = top_k.apart(features, weight, bias, words, logs, cap, temperature)
    return Distances(each, _units(wanted, batch), wanted.weights)


def _units(wanted: Any, batch: FlatBatch) -> Tensor:
    """(n,) the place in ``batch`` of the unit that each wanted token is of."""
    where = wanted.batch.where
    sequences = torch.repeat_interleave(torch.arange(where.num_sequences), where.lengths)[wanted.said]
    found: Tensor = sequences // max(1, where.num_sequences // max(1, len(batch.rows)))
    return found
