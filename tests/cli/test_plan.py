"""``whet plan`` as people and programs see it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.made_runs import Runs

from .calling import Whet


def test_for_people(whet: Whet, runs: Runs):
    base, data = str(runs.base()), str(runs.data())
    answer = whet(["plan", data, "--base", base, "--method", "full", "--no-trial", "--price", "2", "--watts", "50"])
    assert answer.code == 0, answer.err
    for word in ("text-classification", "lora", "full", "kWh", "price", "configuration", "full fits into"):
        assert word in answer.out
    assert "…" not in answer.out


def test_for_programs(whet: Whet, runs: Runs):
    answer = whet(["plan", str(runs.data()), "--base", str(runs.base()), "--no-trial", "--json"])
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert set(found) == {"subject", "machine", "methods", "advice"}


def test_a_shape(whet: Whet, tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2}))
    answer = whet(["plan", "--shape", str(tmp_path), "--device", "t4", "--length", "32"])
    assert answer.code == 0, answer.err
    assert "t4" in answer.out


def test_what_is_refused(whet: Whet, runs: Runs):
    data, base = str(runs.data()), str(runs.base())
    for words, code in (
        (["--shape", "opt-17b"], "L001"),
        ([data, "--shape", "opt-175b"], "L003"),
        ([data, "--base", base, "--length", "64", "--no-trial"], "L003"),
        ([data, "--base", base, "--device", "h1000", "--no-trial"], "L004"),
        ([data, "--base", base, "--memory", "0.01", "--no-trial"], "L005"),
        ([data, "--base", base, "--accelerators", "2", "--no-trial"], "L006"),
    ):
        answer = whet(["plan", *words])
        assert answer.code == 2, (words, answer.out, answer.err)
        assert code in answer.err
