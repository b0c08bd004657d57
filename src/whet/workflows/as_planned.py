"""E012: what a run took, set against what was expected of it before it began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from whet.files import read_json
from whet.findings import Finding
from whet.folder import RunFolder

MEMORY_MARGIN, TIME_MARGIN = 0.15, 0.20
"""Shares of what was measured that an estimate may be off."""
MIB = 2**20


def findings(folder: RunFolder, models: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """One for each trained model of which both are known.

    :param models: what is known of each, by name: ``peak_bytes``, ``train_seconds``, ``steps``.
    """
    planned = dict(read_json(folder.plan)) if folder.plan.exists() else {}
    for name, facts in models.items():
        expected = planned.get("models", {}).get(name)
        if expected is None or facts.get("peak_bytes") is None:
            continue
        if "peak_bytes" not in expected:
            why = f"What {name} would take could not be worked out beforehand ({expected['reason']})."
            yield Finding("E012", "not_applicable", why, name)
        else:
            yield finding(name, expected, facts)


def finding(name: str, expected: Mapping[str, Any], facts: Mapping[str, Any]) -> Finding:
    """How far the estimate of one model was off; passed within the margins, else a tip."""
    parts = [f"{_mib(expected['peak_bytes'])} of memory were expected and {_mib(facts['peak_bytes'])} used at most"]
    gaps = {"memory": expected["peak_bytes"] / facts["peak_bytes"] - 1}
    evidence = {"peak_bytes": {"expected": expected["peak_bytes"], "used": facts["peak_bytes"]}}
    if expected.get("train_seconds") and facts.get("train_seconds") and facts.get("steps"):
        seconds = expected["train_seconds"] * facts["steps"] / expected["steps"]  # training may have ended early
        gaps["time"] = seconds / facts["train_seconds"] - 1
        evidence["train_seconds"] = {"expected": seconds, "used": facts["train_seconds"]}
        parts.append(
            f"{seconds:.3g} s of training for {facts['steps']:,} steps, which took {facts['train_seconds']:.3g} s"
        )
    off = ", ".join(f"{what} {gap:+.0%}" for what, gap in gaps.items())
    near = abs(gaps["memory"]) <= MEMORY_MARGIN and abs(gaps.get("time", 0.0)) <= TIME_MARGIN
    remedy = "" if near else "'whet plan' takes a few real steps and knows better than the configuration alone."
    message = f"{name}: {'; '.join(parts)} ({off})."
    return Finding("E012", "passed" if near else "tip", message, name, remedy, evidence | {"gaps": gaps})


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"
