"""The form of a prediction: one row per example, one Parquet file per split and model.

Baselines and trained models write the same form, so that everything after them (scores, tests,
verdict, report) needs no model and can be done again years later. The kinds are in
``prediction_kinds``; here they become files and come back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whet.data import preference_predictions
from whet.data.prediction_kinds import (
    COUNTED,
    AnswerPredictions,
    ClassPredictions,
    Predictions,
    Purpose,
    RankPredictions,
    SpanPredictions,
    TextPredictions,
    TextPurpose,
    ValuePredictions,
)
from whet.data.preference_predictions import PreferencePredictions
from whet.data.ragged import Lists, Spans
from whet.errors import Problem, UserError
from whet.files import beside

__all__ = [
    "AnswerPredictions",
    "ClassPredictions",
    "Lists",
    "Predictions",
    "PreferencePredictions",
    "Purpose",
    "RankPredictions",
    "SpanPredictions",
    "Spans",
    "TextPredictions",
    "TextPurpose",
    "ValuePredictions",
    "load",
    "save",
]

Columns = dict[str, Any]
About = dict[str, Any]

ANSWER = pa.struct([("text", pa.string()), ("start", pa.int32()), ("probability", pa.float32())])


def save(predictions: Predictions, path: Path) -> None:
    """Write one Parquet file: id, input_hash, group, gold, prediction and what its kind adds; names in its metadata."""
    columns: Columns = {"id": pa.array(predictions.ids), "input_hash": pa.array(predictions.hashes)}
    if predictions.groups is not None:
        columns["group"] = pa.array(predictions.groups)
    about: About = {
        "kind": predictions.kind,
        "model": predictions.model,
        "split": predictions.split,
        "has_gold": predictions.has_gold,
    }
    more, names = WRITERS[predictions.kind](predictions)
    if not predictions.has_gold:
        more["gold"] = pa.nulls(len(predictions), more["prediction"].type)
    table = pa.table(columns | more).replace_schema_metadata({"whet": json.dumps(about | names)})
    with beside(path) as file:
        pq.write_table(table, file)


def load(path: Path) -> Predictions:
    """Read what :func:`save` wrote.

    :raises UserError: P001, the file is missing, damaged or was not written by this program.
    """
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[b"whet"])
        read = READERS[about.get("kind", "classes")]
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise UserError(Problem("P001", str(path), f"is not a file of predictions: {error}.")) from None
    shared = {
        "model": about["model"],
        "split": about["split"],
        "ids": table["id"].to_numpy().astype(np.int64),
        "hashes": table["input_hash"].to_numpy().astype(np.uint64),
        "groups": table["group"].to_numpy().astype(np.uint64) if "group" in table.column_names else None,
    }
    return read(shared, {name: table[name].combine_chunks() for name in table.column_names}, about)


def _write_classes(predictions: ClassPredictions) -> tuple[Columns, About]:
    names = np.asarray(predictions.labels, dtype=object)

    def named(values: NDArray[Any]) -> pa.Array:
        if values.ndim == 1:
            return pa.array(names[values], pa.string())
        return pa.array([list(names[row]) for row in values], pa.list_(pa.string()))

    scores = pa.array(np.ascontiguousarray(predictions.scores, dtype=np.float32).ravel())
    columns = {
        "gold": None if predictions.gold is None else named(predictions.gold),
        "prediction": named(predictions.predicted),
        "scores": pa.FixedSizeListArray.from_arrays(scores, len(predictions.labels)),
    }
    thresholds = None if predictions.thresholds is None else [float(value) for value in predictions.thresholds]
    return columns, {"labels": list(predictions.labels), "thresholds": thresholds}


def _read_classes(shared: Mapping[str, Any], columns: Columns, about: About) -> ClassPredictions:
    labels = tuple(about["labels"])
    index = {label: number for number, label in enumerate(labels)}
    gold: NDArray[Any] | None = None
    if about["has_gold"]:
        rows = columns["gold"].to_pylist()
        if about["thresholds"] is None:
            gold = np.asarray([index[label] for label in rows], dtype=np.int64)
        else:
            gold = np.zeros((len(rows), len(labels)), dtype=bool)
            for number, row in enumerate(rows):
                gold[number, [index[label] for label in row]] = True
    return ClassPredictions(
        **shared,
        labels=labels,
        gold=gold,
        scores=columns["scores"].flatten().to_numpy().reshape(-1, len(labels)).astype(np.float32),
        thresholds=None if about["thresholds"] is None else np.asarray(about["thresholds"], dtype=np.float32),
    )


def _write_spans(predictions: SpanPredictions) -> tuple[Columns, About]:
    labels = pa.array(predictions.labels, pa.string())

    def fields(spans: Spans) -> dict[str, pa.Array]:
        named = labels.take(pa.array(spans.types, pa.int32()))
        return {"start": pa.array(spans.starts), "end": pa.array(spans.ends), "label": named}

    said, gold = predictions.said, predictions.gold
    columns = {
        "gold": None if gold is None else _lists(gold.offsets, fields(gold)),
        "prediction": _lists(said.offsets, fields(said)),
        "confidence": pa.ListArray.from_arrays(_int32(said.offsets), _float32(predictions.confidence)),
    }
    if gold is not None and predictions.seen is not None:
        columns["seen"] = pa.ListArray.from_arrays(_int32(gold.offsets), pa.array(predictions.seen, pa.bool_()))
    return columns, {"labels": list(predictions.labels)}


def _read_spans(shared: Mapping[str, Any], columns: Columns, about: About) -> SpanPredictions:
    labels = pa.array(about["labels"], pa.string())

    def spans(column: pa.ListArray) -> Spans:
        offsets, (starts, ends, names) = _flat(column)
        types = _numbers(pc.index_in(names, value_set=labels), np.int32)
        return Spans(offsets, _numbers(starts, np.int32), _numbers(ends, np.int32), types)

    seen = columns["seen"].flatten() if "seen" in columns else None
    return SpanPredictions(
        **shared,
        labels=tuple(about["labels"]),
        gold=spans(columns["gold"]) if about["has_gold"] else None,
        said=spans(columns["prediction"]),
        confidence=_numbers(columns["confidence"].flatten(), np.float32),
        seen=None if seen is None else np.asarray(seen.to_numpy(zero_copy_only=False), dtype=bool),
    )


def _write_answers(predictions: AnswerPredictions) -> tuple[Columns, About]:
    nbest = [
        [{"text": text, "start": start, "probability": probability} for text, start, probability in row]
        for row in predictions.nbest
    ]
    gold = predictions.gold
    return {
        "gold": None if gold is None else pa.array([list(row) for row in gold], pa.list_(pa.string())),
        "prediction": pa.array(predictions.said, pa.string()),
        "start": pa.array(predictions.starts, pa.int32()),
        "confidence": _float32(predictions.confidence),
        "no_answer": _float32(predictions.no_answer),
        "nbest": pa.array(nbest, pa.list_(ANSWER)),
    }, {}


def _read_answers(shared: Mapping[str, Any], columns: Columns, about: About) -> AnswerPredictions:
    gold = tuple(tuple(row) for row in columns["gold"].to_pylist()) if about["has_gold"] else None
    return AnswerPredictions(
        **shared,
        gold=gold,
        said=tuple(columns["prediction"].to_pylist()),
        starts=_numbers(columns["start"], np.int32),
        confidence=_numbers(columns["confidence"], np.float32),
        no_answer=_numbers(columns["no_answer"], np.float32),
        nbest=tuple(
            tuple((one["text"], one["start"], one["probability"]) for one in row)
            for row in columns["nbest"].to_pylist()
        ),
    )


def _write_values(predictions: ValuePredictions) -> tuple[Columns, About]:
    gold = None if predictions.gold is None else pa.array(predictions.gold, pa.float64())
    columns = {"gold": gold, "prediction": pa.array(predictions.said, pa.float64())}
    return columns, {"purpose": predictions.purpose}


def _read_values(shared: Mapping[str, Any], columns: Columns, about: About) -> ValuePredictions:
    gold = _numbers(columns["gold"], np.float64) if about["has_gold"] else None
    purpose = cast(Purpose, about["purpose"])
    return ValuePredictions(**shared, gold=gold, said=_numbers(columns["prediction"], np.float64), purpose=purpose)


def _write_ranks(predictions: RankPredictions) -> tuple[Columns, About]:
    def listed(lists: Lists, value: str) -> pa.ListArray:
        return _lists(lists.offsets, {"passage": pa.array(lists.keys, pa.uint64()), value: _float32(lists.values)})

    gold = None if predictions.gold is None else listed(predictions.gold, "relevance")
    return {"gold": gold, "prediction": listed(predictions.said, "score")}, {}


def _read_ranks(shared: Mapping[str, Any], columns: Columns, about: About) -> RankPredictions:
    def lists(column: pa.ListArray) -> Lists:
        offsets, (keys, values) = _flat(column)
        return Lists(offsets, _numbers(keys, np.uint64), _numbers(values, np.float32))

    gold = lists(columns["gold"]) if about["has_gold"] else None
    return RankPredictions(**shared, gold=gold, said=lists(columns["prediction"]))


TEXTS = pa.list_(pa.string())
COUNTS = {"num_bytes": "bytes", "num_right": "right", "num_said": "said_tokens"}
"""What columns of numbers are called, where not as the field of :class:`TextPredictions`."""


def _write_texts(predictions: TextPredictions) -> tuple[Columns, About]:
    n, gold, said = len(predictions), predictions.gold, predictions.said
    columns = {
        "gold": pa.nulls(n, TEXTS) if gold is None else pa.array([list(row) for row in gold], TEXTS),
        "prediction": pa.nulls(n, pa.string()) if said is None else pa.array(said, pa.string()),
    }
    for name, kind in COUNTED.items():
        values = getattr(predictions, name)
        if values is not None:
            columns[COUNTS.get(name, name)] = pa.array(np.asarray(values, dtype=kind))
    if predictions.chosen is not None:
        columns["chosen"] = pa.array(predictions.chosen, pa.string())
    about = {"purpose": predictions.purpose, "has_texts": gold is not None, "has_said": said is not None}
    return columns, about


def _read_texts(shared: Mapping[str, Any], columns: Columns, about: About) -> TextPredictions:
    counted: dict[str, Any] = {}
    for name, kind in COUNTED.items():
        column = columns.get(COUNTS.get(name, name))
        counted[name] = None if column is None else _numbers(column, kind)
    return TextPredictions(
        **shared,
        gold=tuple(tuple(row) for row in columns["gold"].to_pylist()) if about["has_texts"] else None,
        said=tuple(columns["prediction"].to_pylist()) if about["has_said"] else None,
        purpose=about["purpose"],
        chosen=tuple(columns["chosen"].to_pylist()) if "chosen" in columns else None,
        **counted,
    )


def _lists(offsets: NDArray[np.int64], fields: Mapping[str, pa.Array]) -> pa.ListArray:
    """A list of structs a row."""
    inside = pa.StructArray.from_arrays(list(fields.values()), list(fields))
    return pa.ListArray.from_arrays(_int32(offsets), inside)


def _flat(column: pa.ListArray) -> tuple[NDArray[np.int64], list[pa.Array]]:
    """Offsets that begin at 0, and the fields of the structs inside."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), column.flatten().flatten()


def _int32(values: NDArray[Any]) -> pa.Array:
    return pa.array(values.astype(np.int32))


def _float32(values: NDArray[Any]) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.float32))


def _numbers(column: pa.Array, kind: Any) -> NDArray[Any]:
    """A column as an array of its own: what Arrow lends may not be written to."""
    return np.array(column.to_numpy(zero_copy_only=False), dtype=kind)


WRITERS: dict[str, Callable[[Any], tuple[Columns, About]]] = {
    "classes": _write_classes,
    "spans": _write_spans,
    "answers": _write_answers,
    "values": _write_values,
    "ranks": _write_ranks,
    "texts": _write_texts,
    "preferences": preference_predictions.write,
}
READERS: dict[str, Callable[[Mapping[str, Any], Columns, About], Predictions]] = {
    "classes": _read_classes,
    "spans": _read_spans,
    "answers": _read_answers,
    "values": _read_values,
    "ranks": _read_ranks,
    "texts": _read_texts,
    "preferences": preference_predictions.read,
}
