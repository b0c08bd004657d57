"""What a model says of preferences: a reward for each answer, and the likelihoods that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.prediction_kinds import Predictions
from whet.data.preference_findings import lengths
from whet.data.saying import heading

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PreferencePredictions(Predictions):
    """Rewards of answers. Shapes: n rows of A answers: 2 of pairs, the better one first, or 1 with a thumb.

    - ``gold`` (n,) bool: of pairs whether the first answer is the better one, of thumbs whether the answer is liked;
      None where nobody knows.
    - ``rewards`` (n, A) float64: only their order counts between models.
    - ``lengths`` (n, A) int64: characters of the answers.
    - ``policy``, ``reference`` (n, A) float64: log-probabilities of the answers in nats by the model and by the one
      that it is held to; None where there is none. ``tokens`` (n, A) int64: tokens that they are sums over.
    """

    kind: ClassVar[str] = "preferences"

    gold: NDArray[np.bool_] | None
    rewards: Floats
    lengths: NDArray[np.int64]
    policy: Floats | None = None
    reference: Floats | None = None
    tokens: NDArray[np.int64] | None = None

    @property
    def paired(self) -> bool:
        """Whether each row has two answers."""
        return bool(self.rewards.shape[1] == 2)

    @property
    def order(self) -> NDArray[Any]:
        """(n,) of pairs whether the first answer has the larger reward, of thumbs the place of each in their order."""
        if self.paired:
            return np.asarray(self.rewards[:, 0] > self.rewards[:, 1])
        return np.unique(self.rewards[:, 0], return_inverse=True)[1].ravel()

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the better answer has the larger reward, a tie being wrong; of thumbs whether the sign fits."""
        assert self.gold is not None
        if not self.paired:
            return np.asarray((self.rewards[:, 0] > 0) == self.gold)
        return np.asarray(np.where(self.gold, self.order, self.rewards[:, 0] < self.rewards[:, 1]), bool)

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in ("gold", *NUMBERS)}
        return {name: None if values is None else values[chosen] for name, values in found.items()}


NUMBERS: dict[str, type[np.generic]] = {
    "rewards": np.float64,
    "lengths": np.int64,
    "policy": np.float64,
    "reference": np.float64,
    "tokens": np.int64,
}
"""The tables of :class:`PreferencePredictions`, each (n, A), and their types."""


def say_preferences(
    model: str,
    examples: Examples,
    rewards: Floats,
    policy: Floats | None = None,
    reference: Floats | None = None,
    tokens: NDArray[np.int64] | None = None,
) -> PreferencePredictions:
    """Rewards (n, A) beside the truth, where ``examples`` hold it: of pairs the first answer is the better one."""
    gold = None
    if examples.shape.has("chosen"):
        gold = np.ones(len(examples), bool)
    elif examples.shape.has("liked"):
        gold = np.asarray(examples.column("liked"), bool)
    return PreferencePredictions(
        **heading(model, examples),
        gold=gold,
        rewards=rewards,
        lengths=lengths(examples),
        policy=policy,
        reference=reference,
        tokens=tokens,
    )


def write(predictions: PreferencePredictions) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of the Parquet file, and what its metadata says: a list of numbers a row."""
    columns: dict[str, Any] = {
        "gold": None if predictions.gold is None else pa.array(predictions.gold, pa.bool_()),
        "prediction": pa.array(predictions.correct if predictions.gold is not None else predictions.rewards[:, 0] > 0),
    }
    if predictions.paired:
        columns["prediction"] = pa.array(predictions.order)
    for name in NUMBERS:
        values = getattr(predictions, name)
        if values is not None:
            flat = pa.array(np.ascontiguousarray(values).ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return columns, {"answers": predictions.rewards.shape[1]}


def read(shared: Mapping[str, Any], columns: Mapping[str, Any], about: Mapping[str, Any]) -> PreferencePredictions:
    """What :func:`write` gave."""
    found: dict[str, Any] = {}
    for name, kind in NUMBERS.items():
        column = columns.get(name)
        values = None if column is None else np.array(column.flatten().to_numpy(zero_copy_only=False), dtype=kind)
        found[name] = None if values is None else values.reshape(-1, about["answers"])
    gold = np.array(columns["gold"].to_numpy(zero_copy_only=False), bool) if about["has_gold"] else None
    return PreferencePredictions(**shared, gold=gold, **found)
