"""A run in which a faster form of a part answers otherwise than the plain one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.made_runs import Runs
from whet.kernels.low_rank import low_rank
from whet.models import fused_lora


@pytest.mark.parametrize("allowed", [True, False])
def test_a_run_says_so(runs: Runs, tmp_path: Path, monkeypatch: Any, allowed: bool):
    monkeypatch.setattr(fused_lora, "low_rank", lambda *parts: 2 * low_rank(*parts))
    run = runs.fit("probe", tmp_path / "run", method="lora", training__epochs=1.0, training__fast_paths=allowed)
    findings = {one["code"]: one for one in json.loads((run / "findings.json").read_text())}
    if not allowed:
        assert "E006" not in findings
        return
    assert findings["E006"]["bin"] == "issue" and findings["E006"]["place"] == "lora"
    assert "PEFT's are used" in findings["E006"]["message"]
