"""Run folders as a workflow leaves them, with what the index reads and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECIPE = """\
task: text-classification
base: minilm
method: auto
seed: 7
data:
  source: /data/tickets.csv.gz
"""
RESOLVED = RECIPE.replace("auto", "probe+full")


def score(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.01}


SCORES: dict[str, Any] = {
    "task": "text-classification",
    "split": "test",
    "num_rows": 3080,
    "primary": "accuracy",
    "models": {
        "majority": {"accuracy": score(0.25)},
        "probe": {"accuracy": score(0.5), "macro_f1": score(0.75)},
        "full": {"accuracy": score(0.875)},
    },
    "without_leaks": {"num_rows": 3055, "models": {"full": {"accuracy": score(0.75)}}},
    "validation": {"full": {"accuracy": score(0.625)}},
}
VERDICT = {"code": "ship", "ship": "probe", "reason": "It is as good.", "metric": "accuracy"}
LEDGER = {"splits": {"train": {"read": 5000, "kept": 4990, "dropped": []}}}


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def state(id: str = "00c0ffee", **changes: Any) -> dict[str, Any]:
    return {
        "id": id,
        "name": "tickets",
        "state": "finished",
        "started_at": "2026-03-01T12:00:00+02:00",
        "finished_at": "2026-03-01T10:05:30.250000+00:00",
        "whet": "0.1.0",
    } | changes


def make_run(folder: Path, id: str = "00c0ffee", **changes: Any) -> Path:
    """A finished run; ``changes`` go into its state.json."""
    write(folder / "recipe.yaml", RECIPE)
    write(folder / "resolved.yaml", RESOLVED)
    write(folder / "scores.json", SCORES)
    write(folder / "verdict.json", VERDICT)
    write(folder / "data" / "ledger.json", LEDGER)
    write(folder / "state.json", state(id, **changes))
    return folder
