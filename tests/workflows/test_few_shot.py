"""Method contrastive through whole runs: trained, resumed, saved as any classifier; when auto takes it; refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import whet
from tests import made_rows
from tests.made_runs import Runs, quiet_machine
from whet.data.predictions import load
from whet.errors import Interrupted, UserError
from whet.folder import RunFolder
from whet.models import saving
from whet.recipe import Recipe
from whet.workflows import contrasting
from whet.workflows.fit import fit

from .contents import contents

SHORT: dict[str, Any] = {
    "evaluation__resamples": 100,
    "evaluation__baselines": ["majority"],
    "evaluation__label_noise": False,
    "forgetting__measure": False,
    "training__learning_rate": 0.003,
    "training__epochs": 3.0,
    "training__restarts": 0,
}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def fitted(runs: Runs, out: Path, **more: Any) -> Path:
    options = {"method": "contrastive", "base": str(runs.base("mean")), **SHORT, **more}
    with quiet_machine(runs.root / "few.sqlite"):
        return whet.fit(options.pop("source", runs.data()), out=out, **options).path


def resolved(run: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((run / "resolved.yaml").read_text()))


def findings(run: Path) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in json.loads((run / "findings.json").read_text())}


@pytest.mark.parametrize("base", ["mean", "plain"])
def test_what_is_trained_is_a_classifier_like_any_other(runs: Runs, tmp_path: Path, base: str):
    run = fitted(runs, tmp_path / "run", base=str(runs.base(base)))
    folder = RunFolder(run)
    facts = json.loads(folder.facts("contrastive").read_text())
    assert facts["parity"]["bin"] == "passed"
    assert facts["strength"] > 0
    about = saving.load_about(place_of(run))
    assert (about.kind, about.head_kind) == ("own", "classes")
    assert findings(run)["W001"]["bin"] == "not_applicable"
    assert facts["trainable_parameters"] == facts["total_parameters"]
    looks = [json.loads(line) for line in folder.events.read_text().splitlines()]
    looks = [row for row in looks if row["kind"] == "evaluation"]
    assert len(looks) == 2, "validation is too small to choose by: one look before, one at the end"
    assert facts["best_step"] == looks[-1]["step"] > 0


def test_few_rows_a_class_are_contrasted_by_themselves(runs: Runs, tmp_path: Path):
    run = fitted(runs, tmp_path / "run", method="auto")
    found = resolved(run)
    assert found["method"]["value"] == "contrastive"
    assert "rows a class" in found["method"]["reason"]
    assert found["contrastive.loss"]["value"] == "cosine"
    assert found["training.label_smoothing"]["value"] == 0.0
    assert set(json.loads((run / "scores.json").read_text())["models"]) >= {"probe", "contrastive"}


def place_of(run: Path) -> Path:
    """Where the files of the contrastive model lie."""
    folder = RunFolder(run)
    return (
        folder.model
        if json.loads(folder.shipped.read_text())["model"] == "contrastive"
        else folder.models / "contrastive"
    )


def carried_out(runs: Runs, recipe: Recipe, folder: RunFolder, limit: int | None) -> None:
    """Go on with a run; it is asked ``limit`` times, before stages and after steps, until it has to stop."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return limit is not None and asked[0] > limit

    with quiet_machine(runs.root / "few.sqlite"):
        for _ in fit(recipe, folder, lambda *_: None, stop):
            pass


def test_a_stopped_run_goes_on_bit_for_bit(runs: Runs, tmp_path: Path):
    whole = fitted(runs, tmp_path / "whole")
    recipe, folder = Recipe(**yaml.safe_load((whole / "recipe.yaml").read_text())), RunFolder(tmp_path / "stopped")
    for limit in (11, 2):
        with pytest.raises(Interrupted):
            carried_out(runs, recipe, folder, limit)
        assert list(folder.checkpoints.glob("contrastive/0/last*")), "it was stopped while it trained"
        assert not list(folder.checkpoints.glob("contrastive/0/outcome.json"))
    carried_out(runs, recipe, folder, None)
    one, other = (load(RunFolder(run).predictions("contrastive", "test")) for run in (whole, folder.path))
    assert (one.scores == other.scores).all()
    assert contents(place_of(whole)) == contents(place_of(folder.path))


def test_a_validation_large_enough_chooses_the_state(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(contrasting, "STEADY", 10)
    run = fitted(runs, tmp_path / "run")
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert 3 <= len([row for row in rows if row["kind"] == "evaluation"]) <= 2 + contrasting.LOOKS


@pytest.mark.parametrize(
    ("rows", "more", "code"),
    [
        (made_rows.several_jsonl, {}, "T041"),
        (made_rows.single, {"training__label_smoothing": 0.2}, "R071"),
        (made_rows.single, {"regularisation__r_drop": 1.0}, "R071"),
        (made_rows.single, {"contrastive__temperature": 0.3, "contrastive__loss": "cosine"}, "R071"),
        (made_rows.single, {"task": "regression"}, "R070"),
        (made_rows.single, {"training__batch_tokens": 16}, "T043"),
        (made_rows.single, {"method": "full", "contrastive__together": 3}, "R021"),
        (made_rows.single, {"forgetting__interpolate": True}, "R021"),
    ],
)
def test_what_cannot_be_is_refused(runs: Runs, tmp_path: Path, rows: Any, more: dict[str, Any], code: str):
    with pytest.raises(UserError) as caught:
        fitted(runs, tmp_path / "run", source=runs.data(rows), **more)
    assert code in [problem.code for problem in caught.value.problems]
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_class_of_one_row_is_refused_by_name(runs: Runs, tmp_path: Path):
    lines = [f"{text},{label}" for text, label in made_rows.texts(60)]
    splits = {"train": [*lines[:40], "why is it late,rare"], "validation": lines[40:50], "test": lines[50:]}
    for split, some in splits.items():
        (tmp_path / f"{split}.csv").write_text("\n".join(["message,intent", *some]) + "\n")
    with pytest.raises(UserError) as caught:
        fitted(runs, tmp_path / "run", source=tmp_path)
    problem = caught.value.problems[0]
    assert problem.code == "T040"
    assert "'rare'" in problem.what


def test_two_texts_a_row_are_read_as_one(runs: Runs, tmp_path: Path):
    run = fitted(runs, tmp_path / "run", source=runs.data(made_rows.pairs), training__epochs=1.0)
    assert json.loads(RunFolder(run).facts("contrastive").read_text())["parity"]["bin"] == "passed"
