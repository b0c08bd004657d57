"""Runs on a device that is not the processor: nothing is left behind, and the same comes out.

The device is a pretended one, which refuses what CUDA refuses; see tests/pretend_device.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests import forked, made_rows, made_sources, made_tasks, pretend_device
from tests.made_models import make_base
from whet.engine import devices
from whet.errors import UserError
from whet.recipe import from_options

pytestmark = pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch knows no devices written in Python",
)
QUICK = {
    "training.epochs": 1,
    "training.learning_rate": 0.01,
    "training.restarts": 0,
    "training.precision": "fp32",
    "evaluation.resamples": 100,
    "evaluation.label_noise": False,
    "forgetting.measure": False,
}
TRANSLATION = {"data.text": "en", "data.label": "de"}
CASES: dict[str, tuple[str, bool, Callable[[Path], Path], str, str, dict[str, Any]]] = {
    "classes": ("bert", False, made_rows.single, "text-classification", "full", {"training.precision": "bf16"}),
    "lower layers kept": ("bert", False, made_rows.pairs, "text-classification", "top-layers", {}),
    "adapter": ("roberta", False, made_tasks.entities, "token-classification", "lora", {}),
    "preferences": ("llama", True, made_tasks.preferences, "preference", "lora", {}),
    "padded": ("t5", True, made_sources.translations, "translation", "full", TRANSLATION),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_on_another_device(case: str, tmp_path: Path):
    family, language, rows, task, method, more = CASES[case]
    base, source = make_base(tmp_path / "base", family, language=language), rows(tmp_path)
    found = {}
    for name, patches in {"device": [pretend_device.take_over], "processor": []}.items():
        out = tmp_path / name
        words = ["fit", str(source), "--base", str(base), "--task", task, "--method", method, "--out", str(out)]
        words += [word for option, value in {**QUICK, **more}.items() for word in ("--set", f"{option}={value}")]
        child = forked.run(words, tmp_path / f"said-{name}", patches)
        assert child.code() == 0, child.out + child.err
        looks = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
        found[name] = next(one for one in looks if one["kind"] == "evaluation" and one.get("model") == method)
    resolved = yaml.safe_load((tmp_path / "device" / "resolved.yaml").read_text())
    assert "a GPU is there" in resolved["training.device"]["reason"]
    ours, theirs = found["device"], found["processor"]
    near = 1e-2 if "training.precision" in more else 1e-4
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=near), "before a step was taken, but for rounding"


def test_which_device_is_chosen(monkeypatch: pytest.MonkeyPatch):
    there = torch.device("meta")
    monkeypatch.setattr(devices, "accelerator", lambda: None)
    assert devices.chosen("auto") == (devices.CPU, "no CUDA device is there") and devices.best() == devices.CPU
    assert devices.chosen("cpu")[0] == devices.CPU
    with pytest.raises(UserError, match="T044"):
        devices.chosen("cuda")
    monkeypatch.setattr(devices, "accelerator", lambda: there)
    assert devices.chosen("auto")[0] == devices.chosen("cuda")[0] == devices.best() == there
    assert devices.chosen("cpu")[0] == devices.CPU, "the recipe has the last word"
    with pytest.raises(UserError, match="R011"):
        from_options({"data.source": "x", "training.device": "tpu"})


def test_a_model_is_brought_and_taken_back():
    layer = torch.nn.Linear(2, 2)
    with devices.brought(layer, devices.CPU):
        assert devices.of(layer) == devices.CPU
    assert devices.of(torch.nn.Identity()) == devices.CPU
