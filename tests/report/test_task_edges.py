"""Pages of very little, or of strange things: no rows, one row, no truth, all the same, nothing found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from whet.data.normal import hashes
from whet.data.predictions import (
    AnswerPredictions,
    Lists,
    Predictions,
    RankPredictions,
    SpanPredictions,
    Spans,
    TextPredictions,
    ValuePredictions,
    save,
)
from whet.report import write_report

from .reading import Element
from .test_page import tree_of

TEXTS = ["Ana met Bo. " * 40, "", "x"]
PAIRS = ["In Cork.", "", "نص طويل " * 200]


def page_about(folder: Path, one: Predictions, texts: list[str]) -> Element:
    """The page of a run that holds nothing but these predictions, the rows, and a verdict."""
    (folder / "predictions").mkdir(parents=True)
    (folder / "data").mkdir()
    save(one, folder / "predictions" / "m.test.parquet")
    (folder / "verdict.json").write_text(json.dumps({"ship": "m", "code": "ship", "reason": "so"}))
    pairs = PAIRS[: len(texts)]
    table = pa.table(
        {"id": pa.array(range(len(texts)), pa.int64()), "line": pa.array(range(len(texts)), pa.int64())}
        | {"text": pa.array(texts, pa.string()), "text_pair": pa.array(pairs, pa.string())}
    )
    with pa.OSFile(str(folder / "data" / "test.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    write_report(folder)
    return tree_of(folder)


def spans(gold: list[list[tuple[int, int, int]]] | None, said: list[list[tuple[int, int, int]]]) -> SpanPredictions:
    n, flat = len(said), Spans.of(said)
    truth = None if gold is None else Spans.of(gold)
    sure = np.ones(len(flat.starts), np.float32)
    return SpanPredictions("m", "test", np.arange(n), np.zeros(n, np.uint64), ("A", "B"), truth, flat, sure)


def answers(gold: list[tuple[str, ...]] | None, said: list[str]) -> AnswerPredictions:
    n = len(said)
    some = np.ones(n, np.float32)
    truth = None if gold is None else tuple(gold)
    starts = np.zeros(n, np.int32)
    ids = np.arange(n)
    return AnswerPredictions(
        "m", "test", ids, np.zeros(n, np.uint64), truth, tuple(said), starts, some, some, ((),) * n
    )


def values(gold: list[float] | None, said: list[float], purpose: str) -> ValuePredictions:
    ids = np.arange(len(said))
    truth = None if gold is None else np.asarray(gold, dtype=np.float64)
    made = np.asarray(said, dtype=np.float64)
    return ValuePredictions("m", "test", ids, np.zeros(len(said), np.uint64), truth, made, purpose)  # type: ignore[arg-type]


def ranks(gold: list[list[tuple[int, float]]] | None, said: list[list[tuple[int, float]]]) -> RankPredictions:
    keys = hashes(TEXTS[: len(said)])
    truth = None if gold is None else Lists.of(gold)
    return RankPredictions("m", "test", np.arange(len(said)), keys, truth, Lists.of(said))


def texts(gold: list[tuple[str, ...]] | None, said: list[str] | None, rate: float | None, size: int) -> TextPredictions:
    ids, tokens = np.arange(size), np.arange(size) * 3
    truth, spoken = None if gold is None else tuple(gold), None if said is None else tuple(said)
    counted = {} if rate is None else {"nats": tokens * rate, "tokens": tokens}
    purpose = "generation" if said is not None or gold is not None else "language"
    return TextPredictions("m", "test", ids, np.zeros(size, np.uint64), truth, spoken, purpose, **counted)  # type: ignore[arg-type]


CASES: dict[str, Predictions] = {
    "no rows with spans": spans([], []),
    "no spans at all": spans([[], []], [[], []]),
    "nothing said": spans([[(0, 3, 0)], []], [[], []]),
    "only what is said": spans([[], []], [[(0, 3, 0)], []]),
    "all right": spans([[(0, 3, 0)], []], [[(0, 3, 0)], []]),
    "beyond the text": spans([[(470, 900, 0)], [(3, 9, 1)]], [[(500, 600, 1)], [(0, 99, 1)]]),
    "no true spans known": spans(None, [[(0, 3, 0)]]),
    "no questions": answers([], []),
    "one question": answers([("Cork",)], ["Cork"]),
    "only unanswerable": answers([(), ()], ["", "Cork"]),
    "an answer that is not there": answers([("Dublin",), ()], ["Dublin and Cork", ""]),
    "no answers known": answers(None, ["Cork"]),
    "no values": values([], [], "regression"),
    "one value": values([1.0], [3.0], "regression"),
    "constant values": values([2.0, 2.0], [2.0, 2.0], "regression"),
    "constant order": values([2.0, 2.0], [1.0, 2.0], "similarity"),
    "no numbers": values([1.0, float("nan")], [float("inf"), 2.0], "regression"),
    "huge values": values([1e300, -1e300, 0.0], [1e300, 1.0, 1e-300], "regression"),
    "tiny values": values([1e-12, 2e-12, 0.0], [0.0, 3e-12, 1e-13], "regression"),
    "no true values known": values(None, [1.0], "regression"),
    "no queries": ranks([], []),
    "nothing found": ranks([[(1, 1.0)]], [[]]),
    "nothing relevant": ranks([[(1, 0.0)], []], [[(1, 1.0)], [(2, 1.0)]]),
    "all first": ranks([[(1, 1.0)], [(1, 1.0)]], [[(1, 1.0)], [(1, 1.0)]]),
    "no relevance known": ranks(None, [[(1, 1.0)]]),
    "no texts": texts([], [], 1.0, 0),
    "one text without nats": texts([("Cork",)], ["Cork"], None, 1),
    "empty texts": texts([("",), ("x",), ("x", "y")], ["", "", ""], 2.0, 3),
    "nothing written": texts([("Cork",), ("x",)], None, 2.0, 2),
    "sure of everything": texts(None, None, 0.0, 3),
    "one row with a token": texts(None, None, 4.0, 2),
    "no row with a token": texts(None, None, 4.0, 1),
    "no accepted texts known": texts(None, ["Cork"], None, 1),
}


@pytest.mark.parametrize("case", list(CASES))
def test_the_page_stands(tmp_path: Path, case: str) -> None:
    one = CASES[case]
    hashless = TEXTS[: len(one)] if len(one) else []
    tree = page_about(tmp_path / "run", one, hashless)
    assert "unexpected form" not in tree.text
    assert not tree.all("div", class_="notice")
    if not one.has_gold:
        known = [text.text for text in tree.all("p", class_="absent") if "not known" in text.text]
        assert len(known) >= 2
    assert "nan" not in tree.one("main").text.lower().split()


def test_a_class_without_rows_claims_no_recall() -> None:
    from whet.report.score_tables import classes_table

    one = {"label": "x", "support": 0, "precision": 0.0, "recall": 0.0, "f1": 0.0, "low": 0.0, "high": 1.0}
    row = classes_table("c", [one], {}, "spans").rows[0]
    assert [cell.text for cell in row.cells] == ["x", "0", "0.0\u00a0%", "–", "–", "–"]
