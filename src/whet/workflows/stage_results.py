"""What came of each run of a series: a row of stages.json."""

from __future__ import annotations

import math
from typing import Any

import yaml

from whet.errors import Problem, UserError
from whet.files import read_json
from whet.folder import FINISHED, RunFolder
from whet.recipe.names import VARIANTS
from whet.workflows.nodes import Node

FILE = "stages.json"


def result(place: RunFolder, node: Node, why: str | None) -> dict[str, Any]:
    """What a node is, its state and why, and of a finished one its rows, score, verdict, time and size.

    ``model`` is that of :func:`model_of`, ``score`` its own; ``ships`` what the verdict says.
    """
    known: dict[str, Any] = {
        "name": node.name,
        "stage": node.stage,
        "branch": node.branch,
        "seed": node.recipe.seed,
        "task": node.recipe.task,
        "from": node.needs.get("base", node.recipe.base),
        "state": str(place.read_state()["state"]) if place.state.exists() else "not begun",
        "why": why,
    }
    if known["state"] != FINISHED:
        return known
    scores, verdict, ledger = (read_json(p) for p in (place.scores, place.verdict, place.data / "ledger.json"))
    metric = str(scores["primary"])
    model = model_of(place)
    facts = read_json(place.facts(model))
    return {
        **known,
        "method": str(resolved(place, "method")),
        "model": model,
        "metric": metric,
        "score": scores["models"][model].get(metric),
        "ships": verdict["ship"],
        "verdict": verdict["code"],
        "rows": {split: one["kept"] for split, one in ledger["splits"].items()},
        "epochs": 0.0 if model == "quantised" else float(resolved(place, "training.epochs")),
        "tokens": facts.get("tokens"),
        "seconds": round(sum(float(read_json(path)["seconds"]) for path in place.stages.glob("*.json")), 1),
        "size_bytes": facts.get("size_bytes"),
        "rows_per_second": facts.get("predict_rows_per_second"),
    }


def resolved(place: RunFolder, name: str) -> Any:
    """What an option was in a run."""
    return yaml.safe_load(place.resolved.read_text(encoding="utf-8"))[name]["value"]


def trained(place: RunFolder) -> str:
    """The model of a run's method."""
    return str(resolved(place, "method"))


def model_of(place: RunFolder) -> str:
    """The model that a finished run was carried out for: its last variant, or that of its method; never a baseline."""
    known = read_json(place.scores)["models"]
    return next((one for one in reversed(VARIANTS) if one in known), trained(place))


def tokens(place: RunFolder) -> int:
    """How many tokens the model of a run's method was trained on.

    :raises UserError: F033, it trained nothing.
    """
    found = read_json(place.facts(trained(place))).get("tokens")
    if not found:
        what = "trained on no tokens, so that no control can be as long."
        raise UserError(Problem("F033", str(place.path), what, "Choose a method that trains weights, or no controls."))
    return math.ceil(float(found))
