"""What a run left behind, without the times that it took and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TIMES = {
    "seconds",
    "train_seconds",
    "predict_rows_per_second",
    "tokens_per_second",
    "mfu",
    "peak_bytes",
    "added_bytes",
    "ceiling_flops",
    "started_at",
    "finished_at",
    "id",
}
"""Keys of JSON files whose values differ from run to run."""
OTHER = {".lock", "events.jsonl", "plan.json", "report.html"}
"""Files in which times, or what is free, stand in between the rest."""


def contents(run: Path) -> dict[str, Any]:
    """Every file of a run by its path: JSON without times, else the bytes."""
    found: dict[str, Any] = {}
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.is_file() and name not in OTHER:
            found[name] = _timeless(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in TIMES}
    if isinstance(value, list):  # E012 speaks of seconds and of memory alone
        return [_timeless(one) for one in value if not (isinstance(one, dict) and one.get("code") == "E012")]
    return value


def check_same(run: Path, other: Path) -> None:
    """Both runs hold the same files, bit for bit but for times."""
    ours, theirs = contents(run), contents(other)
    assert sorted(ours) == sorted(theirs)
    different = [name for name in ours if ours[name] != theirs[name]]
    shown = {name: (ours[name], theirs[name]) for name in different if name.endswith((".json", ".yaml", ".md"))}
    assert not different, f"{different}\n{shown}"


def left_over(run: Path) -> list[str]:
    """Names of what was being written when a process died."""
    return [str(path) for path in run.rglob("*") if path.name.startswith((".partial-", ".replaced-"))]


def states(run: Path) -> str:
    """running, interrupted, failed or finished."""
    return str(json.loads((run / "state.json").read_text())["state"])
