"""Runs of every way to move weights: refused before rows are read, gone on with, merged, and what is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import whet
from tests.made_models import make_base
from tests.made_runs import MEAN, TRAINED, Runs
from whet.errors import UserError
from whet.folder import RunFolder
from whet.models import saving
from whet.workflows import adapters


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base as wide as a block of quantised weights."""
    return make_base(tmp_path_factory.mktemp("wide") / "base", "bert", MEAN, width=64)


FEW: dict[str, Any] = {**TRAINED, "training.epochs": 1.0, "training.learning_rate": 0.003, "forgetting.measure": False}


def fit(runs: Runs, base: Path, out: Path, method: str, **more: Any) -> Path:
    options = {**FEW, "evaluation.baselines": ["majority"], "evaluation.label_noise": False, **more}
    named = {name.replace(".", "__"): value for name, value in options.items()}
    return whet.fit(runs.data(), base=str(base), method=method, out=out, **named).path


def findings(run: Path) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in json.loads((run / "findings.json").read_text())}


@pytest.mark.parametrize(
    ("method", "family", "more", "code"),
    [
        ("bitfit", "llama", {}, "M060"),
        ("top-layers", "albert", {}, "M061"),
        ("top-layers", "bert", {"layers.top": 9}, "M061"),
        ("lora", "bert", {"lora.rank": 400}, "M062"),
        ("lora", "bert", {"lora.target_modules": ["nothing"]}, "M020"),
        ("qlora", "bert", {}, "M066"),
    ],
)
def test_refused_before_rows_are_read(
    runs: Runs, tmp_path: Path, method: str, family: str, more: dict[str, Any], code: str
):
    base = make_base(tmp_path / "base", family, MEAN)
    with pytest.raises(UserError) as caught:
        fit(runs, base, tmp_path / "run", method, **more)
    assert caught.value.problems[0].code == code
    assert not (tmp_path / "run").exists()


def test_a_base_whose_files_are_quantised_by_another_library_is_refused(runs: Runs, tmp_path: Path):
    base = make_base(tmp_path / "base", "bert", MEAN)
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError) as caught:
        fit(runs, base, tmp_path / "run", "full")
    assert caught.value.problems[0].code == "M063"


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("merged", [False, True])
def test_a_quantised_run_says_how_far_its_layers_are(runs: Runs, wide: Path, tmp_path: Path, merged: bool):
    run = fit(runs, wide, tmp_path / "run", "qlora", **{"lora.rank": 4, "lora.merge": merged})
    found = findings(run)
    assert found["E009"]["evidence"]["worst"]
    assert found["E008"]["bin"] == "passed", found["E008"]["message"]
    place = next(
        p for p in (run / "model", run / "models" / "qlora") if saving.load_about(p).task_facts and _is(p, run)
    )
    about = saving.load_about(place)
    if merged:
        assert found["E010"]["evidence"]["dtype"] == "bf16"
        assert (about.kind, about.quantisation) == ("own", None)
        return
    assert about.kind == "adapter"
    assert about.quantisation is not None
    held = adapters.held(run)
    assert held.to_json()["quantised"] == "4 bits (NF4, scales in 8 bits)"
    assert adapters.merge(run, tmp_path / "whole")["kind"] == "own"


def _is(place: Path, run: Path) -> bool:
    """Whether the model of method qlora lies in ``place``."""
    if not (place / "whet.json").exists():
        return False
    shipped = json.loads(RunFolder(run).shipped.read_text())["model"]
    return (place.name == "model") == (shipped == "qlora")


@pytest.mark.usefixtures("no_report")
def test_pissa_is_kept_as_a_plain_adapter_of_the_base(runs: Runs, wide: Path, tmp_path: Path):
    run = fit(runs, wide, tmp_path / "run", "lora", **{"lora.rank": 4, "lora.start": "pissa"})
    assert findings(run)["E008"]["bin"] == "passed"
    held = adapters.held(run)
    assert held.rank == 8
    assert held.config["init_lora_weights"] is True
