"""What was chosen between the base and a tuned model, as its stage left it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from whet.evaluation.measures import MEASURES
from whet.evaluation.wording import number
from whet.files import read_json
from whet.findings import Finding
from whet.workflows.running import Running


def file_of(run: Running, name: str) -> Path:
    """Where the way from the base to model ``name`` is kept."""
    return run.folder.stages / "interpolations" / f"{name}.json"


def way_of(run: Running, name: str) -> dict[str, Any] | None:
    """``{metric, chosen, path: [{share, score, loss}]}``; None where nothing was interpolated."""
    path = file_of(run, name)
    return dict(read_json(path)) if path.exists() else None


def chosen(run: Running, name: str) -> float:
    """The share of the tuned weights that model ``name`` has: 1 where nothing was interpolated."""
    found = way_of(run, name)
    return 1.0 if found is None else float(found["chosen"])


def finding(model: str, found: Mapping[str, Any]) -> Finding:
    """E013: what was chosen, as :func:`way_of` gives it."""
    by_share = {one["share"]: one["score"] for one in found["path"]}
    message = in_words(found["metric"], found["chosen"], by_share[found["chosen"]], by_share[1.0])
    tip = found["chosen"] == 0
    remedy = "Training made the base no better: lower training.learning_rate, or take the probe." if tip else ""
    return Finding(
        "E013", "tip" if tip else "passed", f"{message[:1].upper()}{message[1:]}.", model, remedy, dict(found)
    )


def in_words(metric: str, share: float, best: float, end: float) -> str:
    """Which share was best, and what the score is there and at the end."""
    shown = partial(_shown, metric)
    name = MEASURES[metric].words if metric in MEASURES else metric
    if share == 1:
        return (
            f"on validation nothing between base and tuned model is better than the tuned model ({name} {shown(end)})"
        )
    return (
        f"{100 * share:.0f} % of the way from the base to the tuned weights is best on validation: "
        f"{name} {shown(best)}, against {shown(end)} at the end"
    )


def _shown(metric: str, value: float) -> str:
    return number(value, metric) if metric in MEASURES else f"{value:.3f}"
