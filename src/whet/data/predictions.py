"""The form of a prediction: one row per example, one Parquet file per split and model.

Baselines and trained models write the same form, so that everything after them (scores, tests,
verdict, report) needs no model and can be done again years later.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.files import beside


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one model says about the rows of one split, beside what is true.

    Shapes: n rows, C labels.

    - ``ids`` (n,) int64: the row's position in the split it came from; equal ids = same example.
    - ``hashes`` (n,) uint64: hash of the input text, to prove that two files speak of the same rows.
    - ``labels``: C names, in the order of the columns of ``scores``.
    - ``gold``: single label: (n,) int64 index into ``labels``; several labels: (n, C) bool.
      None where the truth is not known.
    - ``scores`` (n, C) float32: probabilities; single label: rows sum to 1; several: each by itself.
    - ``thresholds`` (C,) float32: only with several labels; a label is predicted from there on.
    """

    model: str
    split: str
    labels: tuple[str, ...]
    ids: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    gold: NDArray[Any] | None
    scores: NDArray[np.float32]
    thresholds: NDArray[np.float32] | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels, or none."""
        return self.thresholds is not None

    @property
    def predicted(self) -> NDArray[Any]:
        """The decision: single label (n,) int64, several labels (n, C) bool."""
        if self.thresholds is not None:
            return np.asarray(self.scores >= self.thresholds)
        return np.asarray(self.scores.argmax(axis=1), dtype=np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the whole decision of a row is right."""
        assert self.gold is not None
        right = self.predicted == self.gold
        return np.asarray(right.all(axis=1) if self.multi_label else right)

    def __len__(self) -> int:
        return len(self.ids)


def save(predictions: Predictions, path: Path) -> None:
    """Write one Parquet file: id, input_hash, gold, prediction, scores; names in its metadata."""
    names = np.asarray(predictions.labels, dtype=object)

    def named(values: NDArray[Any]) -> pa.Array:
        if values.ndim == 1:
            return pa.array(names[values], pa.string())
        return pa.array([list(names[row]) for row in values], pa.list_(pa.string()))

    num_rows, num_labels = predictions.scores.shape
    scores = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(predictions.scores, dtype=np.float32).ravel()), num_labels
    )
    kind = pa.list_(pa.string()) if predictions.multi_label else pa.string()
    columns = {
        "id": pa.array(predictions.ids),
        "input_hash": pa.array(predictions.hashes),
        "gold": pa.nulls(num_rows, kind) if predictions.gold is None else named(predictions.gold),
        "prediction": named(predictions.predicted),
        "scores": scores,
    }
    about = {
        "model": predictions.model,
        "split": predictions.split,
        "labels": list(predictions.labels),
        "thresholds": None if predictions.thresholds is None else [float(t) for t in predictions.thresholds],
        "has_gold": predictions.gold is not None,
    }
    table = pa.table(columns).replace_schema_metadata({"whet": json.dumps(about)})
    with beside(path) as file:
        pq.write_table(table, file)


def load(path: Path) -> Predictions:
    """Read what :func:`save` wrote.

    :raises UserError: P001, the file is missing, damaged or was not written by this program.
    """
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[b"whet"])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise UserError(Problem("P001", str(path), f"is not a file of predictions: {error}.")) from None
    labels = tuple(about["labels"])
    index = {label: number for number, label in enumerate(labels)}
    num_labels = len(labels)
    scores = table["scores"].combine_chunks().flatten().to_numpy().reshape(-1, num_labels).astype(np.float32)
    gold: NDArray[Any] | None = None
    if about["has_gold"]:
        rows = table["gold"].to_pylist()
        if about["thresholds"] is None:
            gold = np.asarray([index[label] for label in rows], dtype=np.int64)
        else:
            gold = np.zeros((len(rows), num_labels), dtype=bool)
            for number, row in enumerate(rows):
                gold[number, [index[label] for label in row]] = True
    return Predictions(
        model=about["model"],
        split=about["split"],
        labels=labels,
        ids=table["id"].to_numpy().astype(np.int64),
        hashes=table["input_hash"].to_numpy().astype(np.uint64),
        gold=gold,
        scores=scores,
        thresholds=None if about["thresholds"] is None else np.asarray(about["thresholds"], dtype=np.float32),
    )
