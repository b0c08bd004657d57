"""``whet bench`` as people and programs see it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.made_runs import Runs
from whet.engine.profile import PARTS
from whet.errors import ModelTooLarge
from whet.workflows import bench_turns, bench_ways, benching

from .calling import Whet


def test_what_is_measured_and_said(whet: Whet, runs: Runs):
    words = ["bench", str(runs.data()), "--base", str(runs.base()), "--method", "full", "--seconds", "1"]
    found = json.loads(whet([*words, "--json"]).out)
    assert found["subject"]["method"] == "full"
    training = found["training"]
    assert 0 < training["low"] <= training["tokens_per_second"] <= training["high"]
    assert found["mfu"] > 0
    assert found["shares"].keys() == set(PARTS)
    assert sum(found["shares"].values()) == pytest.approx(1.0)
    assert min(found["shares"]["products"], found["shares"]["optimiser"], found["shares"]["attention"]) > 0
    names = [way["name"] for way in found["ways"]]
    assert "plain padded batches" in names and any(name.startswith("products in") for name in names)
    for way in found["ways"]:
        assert way["ratio"]["low"] <= way["ratio"]["value"] <= way["ratio"]["high"]
    assert found["left_out"] == []
    assert found["subject"]["turns"] == 3
    assert found["reading"]["rows_per_second"] > 0


def test_a_probe_stands_for_all_weights_and_nothing_is_kept(
    whet: Whet, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    answer = whet(["bench", str(runs.data()), "--base", str(runs.base()), "--method", "probe", "--seconds", "1"])
    assert answer.code == 0, answer.err
    assert "method full" in answer.out
    assert "part of a step" in answer.out
    assert not list(tmp_path.iterdir())


def test_ways_without_room_are_named(whet: Whet, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    known = bench_ways.Trained.take

    def slow(self: bench_ways.Trained, steps: int, untimed: int = 1) -> tuple[int, float]:
        time.sleep(0.5 * (steps + untimed))
        tokens, took = known(self, steps, untimed)
        return tokens, took + 0.5 * steps

    monkeypatch.setattr(bench_ways.Trained, "take", slow)
    monkeypatch.setattr(bench_turns, "COLD", 0.0)
    words = ["bench", str(runs.data()), "--base", str(runs.base()), "--method", "full", "--seconds", "1"]
    answer = whet([*words, "--json"])
    found = json.loads(answer.out)
    assert found["ways"] == []
    assert found["training"]["low"] > 0
    names = [way["name"] for way in found["left_out"]]
    assert "plain padded batches" in names and any(name.startswith("products in") for name in names)
    line = f"Not compared in 1 seconds: {', '.join(names)}; --seconds 10 has room for them."
    assert {way["seconds"] for way in found["left_out"]} == {10}
    assert line in found["advice"] and line in answer.err
    assert found["advice"][0].startswith("No turn had room in 1 seconds: ")


def test_a_base_that_does_not_fit_is_refused_in_words(whet: Whet, runs: Runs, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise ModelTooLarge

    monkeypatch.setattr(bench_ways.Trained, "take", full)
    answer = whet(["bench", str(runs.data()), "--base", str(runs.base()), "--method", "full", "--seconds", "1"])
    assert answer.code == 2
    assert "T001" in answer.err and "memory runs out" in answer.err and "Traceback" not in answer.err


def test_advice_rests_on_what_was_measured():
    def way(name: str, low: float, value: float, high: float) -> dict[str, object]:
        return {"name": name, "ratio": {"low": low, "value": value, "high": high}}

    found = {
        "subject": {"padded": "its family is not listed", "seconds": 60.0, "turns": 3},
        "ways": [
            way("steps of 2,000 tokens", 1.2, 1.3, 1.5),
            way("a slower one", 0.4, 0.5, 0.6),
            way("?", 0.9, 1.2, 1.3),
        ],
        "left_out": [
            {"name": "products in fp32", "lacks": "time", "seconds": 240},
            {"name": "a larger one", "lacks": "memory", "seconds": None},
        ],
        "shares": {"attention": 0.5, "optimiser": 0.1, "data": 0.2},
    }
    told = list(benching.advice(found))
    assert told[0] == "Batches are padded: its family is not listed."
    assert told[1] == "With steps of 2,000 tokens it is 1.30 times as fast (1.20 to 1.50 in turns)."
    assert told[2] == "It is 2.00 times as fast as with a slower one."
    assert told[3] == "Not compared in 60 seconds: products in fp32; --seconds 240 has room for it."
    assert told[4] == "Not compared, for memory ran out: a larger one."
    assert [line.split(":")[0] for line in told[5:]] == ["Attention", "Data"]
