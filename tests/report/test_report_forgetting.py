from __future__ import annotations

from typing import Any

from whet.report.forgetting_section import contents

LEARNED = {"value": 0.1, "low": 0.05, "high": 0.15, "against": "majority"}
LOST = {"way": "probes", "base": 0.8, "tuned": 0.78, "value": 0.02, "low": 0.0, "high": 0.04, "sets": []}


def told(method: str, gain: float) -> dict[str, Any]:
    still = {"forgotten": None, "moves": False, "learned": LEARNED}
    moved = {"forgotten": LOST, "moves": True, "learned": LEARNED | {"value": gain}}
    return {
        "way": "probes",
        "asked": [{"name": "topics", "rows": 400}],
        "learned": {"metric": "accuracy", "against": "majority", "value": 0.5},
        "models": {"probe": still, method: moved},
        "findings": [],
    }


def test_runs_that_share_their_probe_show_it_once():
    found = contents([("a", told("full", 0.2)), ("b", told("lora", 0.18))])
    assert found is not None
    spoken = str(found["picture"])
    assert "a: full" in spoken and "b: lora" in spoken
    assert "a: probe" not in spoken and "b: probe" not in spoken and "probe learned 10" in spoken


def test_one_run_keeps_its_names():
    found = contents([("", told("full", 0.2))])
    assert found is not None and "full learned 20" in str(found["picture"])
