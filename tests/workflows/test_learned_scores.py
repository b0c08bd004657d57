"""COMET, with a stand-in for its package: it is large, and no dependency."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from whet.data.predictions import TextPredictions
from whet.errors import UserError
from whet.workflows import learned_scores
from whet.workflows.learned_scores import comet, interval, refuse_missing


def said(model: str, texts: list[str] | None, gold: list[tuple[str, ...]]) -> TextPredictions:
    n = len(gold)
    hashes = np.arange(n).astype(np.uint64)
    return TextPredictions(
        model,
        "test",
        np.arange(n),
        hashes,
        gold=tuple(gold),
        said=None if texts is None else tuple(texts),
        purpose="translation",
    )


class Learned:
    """Says how much of the reference is in what was said, as the package answers."""

    def predict(self, rows: list[dict[str, str]], batch_size: int, gpus: int, progress_bar: bool) -> Any:
        assert gpus == 0 and not progress_bar and batch_size
        assert all(set(row) == {"src", "mt", "ref"} for row in rows)
        return SimpleNamespace(
            scores=[float(row["mt"] == row["ref"]) - 0.5 * (row["mt"] == row["src"]) for row in rows]
        )


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    stand_in: Any = ModuleType("comet")

    def load(path: str) -> Learned:
        if "gone" in path:
            raise KeyError("no such model")
        opened.append(path)
        return Learned()

    stand_in.download_model = lambda name: f"/models/{name}"
    stand_in.load_from_checkpoint = load
    stand_in.__spec__ = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "comet", stand_in)
    return opened


def test_it_is_refused_at_the_start_where_it_could_not_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learned_scores.importlib.util, "find_spec", lambda name: None)
    refuse_missing(None, "summarization")
    with pytest.raises(UserError, match=r"V114 evaluation\.comet: .*pip install unbabel-comet"):
        refuse_missing("Unbabel/wmt22-comet-da", "translation")
    with pytest.raises(UserError, match=r"V114.*the task is summarization"):
        refuse_missing("Unbabel/wmt22-comet-da", "summarization")


def test_every_model_that_wrote_is_scored(package: list[str], tmp_path: Path) -> None:
    refuse_missing("wmt", "translation")
    gold = [("a", "x"), ("b",), ("c",), ("d",)]
    models = [
        said("full", ["a", "b", "q", "x"], gold),
        said("copy", ["1", "2", "3", "4"], gold),
        said("mute", None, gold),
    ]
    found = comet("wmt", models, ["1", "2", "3", "4"], seed=0, num_resamples=200)
    assert set(found) == {"full", "copy"} and package == ["/models/wmt"]
    assert found["full"]["value"] == 0.5 and found["copy"]["value"] == -0.5
    assert found["full"]["low"] < 0.5 < found["full"]["high"] and found["full"]["model"] == "wmt"
    assert comet("wmt", models[2:], ["1", "2", "3", "4"], seed=0, num_resamples=200) == {}
    file = tmp_path / "own.ckpt"
    file.write_bytes(b"")
    comet(str(file), models, ["1", "2", "3", "4"], seed=0, num_resamples=10)
    assert package[-1] == str(file)
    with pytest.raises(UserError, match=r"V114.*cannot be opened"):
        comet("gone", models, ["1", "2", "3", "4"], seed=0, num_resamples=10)


def test_rows_of_a_group_are_drawn_together() -> None:
    scores = np.repeat([0.0, 1.0], 50)
    alone = interval(scores, None, 0, 1000)
    together = interval(scores, np.repeat([7, 9], 50).astype(np.uint64), 0, 1000)
    assert alone[0] == together[0] == 0.5
    assert alone[2] - alone[1] == pytest.approx(2 * 1.96 * 0.05, abs=0.03)
    assert together[1:] == (0.0, 1.0)
