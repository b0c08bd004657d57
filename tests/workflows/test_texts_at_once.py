"""A run whose tokenizer does not read words as it seemed to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_runs import Runs
from whet.batches import tokenising, words_at_once
from whet.batches.frames import Frame
from whet.batches.words_at_once import Sequences


class _Liar:
    """Gives every text the token 1."""

    frame, reads_pairs = Frame(*np.array([[2], [3], [3]], np.uint32), 0), True

    def singles(self, texts: list[str]) -> Sequences:
        return Sequences(np.ones(len(texts), np.uint32), np.ones(len(texts), np.int64))


@pytest.mark.parametrize("allowed", [True, False])
def test_a_run_says_so(runs: Runs, tmp_path: Path, monkeypatch: Any, allowed: bool):
    monkeypatch.setattr(tokenising, "FEW", 0)
    monkeypatch.setattr(words_at_once.WordsAtOnce, "of", lambda _: _Liar())
    run = runs.fit("probe", tmp_path / "run", training__fast_paths=allowed)
    findings = {one["code"]: one["message"] for one in json.loads((run / "findings.json").read_text())}
    assert ("texts are read one by one" in findings.get("E006", "")) == allowed
    if allowed:  # else batches are padded too, whose sums round otherwise
        sound, written = runs.finished("probe"), "predictions/probe.test.parquet"
        assert (run / written).read_bytes() == (sound / written).read_bytes()
