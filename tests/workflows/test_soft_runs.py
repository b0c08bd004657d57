"""Runs that learn what is read before every text: proven, resumed to the bit, used, or refused before rows are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import whet
from tests import made_models
from tests.made_runs import TRAINED, Runs
from whet.errors import Interrupted, UserError
from whet.models import soft_prompts
from whet.workflows import fit as fitting
from whet.workflows import starting

from .contents import contents

METHODS = tuple(soft_prompts.ADAPT)
FEW: dict[str, Any] = {
    **TRAINED,
    "soft.tokens": 3,
    "evaluation.baselines": ["majority"],
    "evaluation.label_noise": False,
    "forgetting.measure": False,
    "training.checkpoint_seconds": 1e-6,
}


def recipe(runs: Runs, method: str, **changes: Any) -> Any:
    named = {"data.source": str(runs.data()), "base": str(runs.base("mean")), "method": method, **FEW}
    return starting.recipe_of({**named, **changes}, None)


def carry_out(wanted: Any, folder: Any, stop_after: int | None = None) -> None:
    """To the end, or until so many times was looked at validation."""
    looked = 0

    def should_stop() -> bool:
        return stop_after is not None and looked >= stop_after

    for event in fitting.fit(wanted, folder, lambda *_: None, should_stop):
        looked += event.to_json().get("kind") == "evaluation"


@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_proven_used_and_resumed_to_the_bit(runs: Runs, tmp_path: Path, no_report: None, method: str) -> None:
    whole, stopped = tmp_path / "whole" / "run", tmp_path / "stopped" / "run"
    carry_out(*starting.start(recipe(runs, method), whole))
    begun = starting.start(recipe(runs, method), stopped)
    with pytest.raises(Interrupted):
        carry_out(*begun, stop_after=3)
    assert (stopped / "checkpoints" / method / "0" / "last").is_dir()
    carry_out(*starting.reopen(stopped))
    ours, theirs = learnt(stopped), learnt(whole)
    assert ours == theirs
    assert any(name.endswith("adapter_model.safetensors") for name in ours)

    run = whet.open_run(whole)
    parity = [one for one in run.findings if one.code == "E008" and one.place == method]
    assert [one.bin for one in parity] == ["passed"]
    folder = whole / "model" if (whole / "model" / "adapter_config.json").exists() else whole / "models" / method
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["num_virtual_tokens"] == 3
    resolved = yaml.safe_load((whole / "resolved.yaml").read_text())
    assert "3 vectors before each text" in resolved["data.max_length"]["reason"]
    assert resolved["data.max_length"]["value"] <= made_models.POSITIONS - 3
    assert run.predict(["where is my card"])[0].label in run_labels(whole)


def learnt(run: Path) -> dict[str, Any]:
    """Models and what they say: everything but measurements of time and memory."""
    return {
        name: found
        for name, found in contents(run).items()
        if name.startswith(("model", "predictions")) and not name.endswith(".md")
    }


def run_labels(run: Path) -> tuple[str, ...]:
    return tuple(json.loads((run / "model" / "whet.json").read_text())["labels"])


@pytest.mark.parametrize(
    ("method", "changes", "code"),
    [
        ("prompt", {"soft.tokens": 39}, "M072"),
        ("prompt", {"data.max_length": 38, "soft.tokens": 3}, "M072"),
        ("p-tuning", {"vocabulary.add": ["refundable"]}, "M073"),
    ],
)
def test_what_cannot_be_saved_or_has_no_place_is_refused_before_rows_are_read(
    runs: Runs, tmp_path: Path, method: str, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(UserError, match=code):
        carry_out(*starting.start(recipe(runs, method, **changes), tmp_path / "run"))
    assert not (tmp_path / "run" / "data").exists()


def test_a_prefix_is_refused_for_a_base_that_takes_none(runs: Runs, tmp_path: Path) -> None:
    base = made_models.make_base(tmp_path / "base", "distilbert")
    with pytest.raises(UserError, match="M070"):
        carry_out(*starting.start(recipe(runs, "prefix", base=str(base)), tmp_path / "run"))
