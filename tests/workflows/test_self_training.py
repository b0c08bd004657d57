"""Self-training through whole runs: rounds, soft labels, its control, resuming, refusals."""

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
from whet.recipe import Recipe
from whet.workflows.fit import fit

SHORT: dict[str, Any] = {
    "evaluation__resamples": 100,
    "evaluation__baselines": ["majority"],
    "evaluation__label_noise": False,
    "forgetting__measure": False,
    "training__learning_rate": 0.02,
    "training__epochs": 4.0,
    "training__restarts": 0,
}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


@pytest.fixture
def texts(tmp_path: Path, runs: Runs) -> Path:
    """New texts, one of the rows, and one twice."""
    found = [text for text, _ in made_rows.texts(50, seed=9)]
    known = made_rows.texts(120)[0][0]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join([*found, known, found[0]]) + "\n")
    return path


def fitted(runs: Runs, out: Path, texts: Path | str, **more: Any) -> Path:
    options = {"method": "full", "base": str(runs.base("mean")), **SHORT, "self_training__source": str(texts), **more}
    with quiet_machine(runs.root / "self.sqlite"):
        return whet.fit(options.pop("source", runs.data()), out=out, **options).path


def rounds(run: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((run / "data" / "self_training").glob("*.json"))]


def findings(run: Path) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in json.loads((run / "findings.json").read_text())}


def test_rounds_of_labels_of_its_own(runs: Runs, tmp_path: Path, texts: Path):
    run = fitted(runs, tmp_path / "run", texts, self_training__rounds=2, self_training__threshold=0.51)
    found = rounds(run)
    assert [one["round"] for one in found] == [1, 2]
    assert found[0]["texts"] == 50, "what is known or stands twice is left out"
    assert 0 < found[0]["taken"] <= 50
    assert sum(found[0]["of_class"].values()) == found[0]["taken"]
    assert {one["taken"] for one in found[0]["examples"]} <= {True, False}
    codes = findings(run)
    assert codes["X015"]["bin"] in ("passed", "tip", "issue", "not_applicable")
    assert codes["X016"]["evidence"]["rounds"][1]["round"] == 2
    scores = json.loads((run / "scores.json").read_text())
    assert {"full", "self-trained"} <= set(scores["models"])
    ended = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    ends = [row for row in ended if row["kind"] == "end"]
    assert [row["model"] for row in ends] == ["full", "self-trained 1", "self-trained", "full"]
    steps = json.loads((run / "data" / "self_training_steps.json").read_text())
    assert ends[0]["steps"] < ends[2]["steps"] == ends[3]["steps"] == steps["full"] == steps["self-trained"]
    facts = json.loads(RunFolder(run).facts("self-trained").read_text())
    assert facts["parity"]["bin"] == "passed"


def test_nothing_sure_is_the_control(runs: Runs, tmp_path: Path, texts: Path):
    run = fitted(runs, tmp_path / "run", texts, self_training__threshold=0.9999)
    assert rounds(run)[0]["taken"] == 0
    one, other = (load(RunFolder(run).predictions(name, "test")) for name in ("full", "self-trained"))
    assert (one.scores == other.scores).all()
    assert findings(run)["X015"]["bin"] == "not_applicable"


def test_soft_labels_resume_bit_for_bit(runs: Runs, tmp_path: Path, texts: Path):
    soft = {"self_training__labels": "soft", "self_training__threshold": 0.51}
    whole = fitted(runs, tmp_path / "whole", texts, **soft)
    recipe, folder = Recipe(**yaml.safe_load((whole / "recipe.yaml").read_text())), RunFolder(tmp_path / "stopped")
    trained = False
    while not folder.state.exists() or json.loads(folder.state.read_text())["state"] != "finished":
        asked = [0]

        def stop(asked: list[int] = asked) -> bool:
            asked[0] += 1
            return asked[0] > 9

        try:
            with quiet_machine(runs.root / "self.sqlite"):
                for _ in fit(recipe, folder, lambda *_: None, stop):
                    pass
        except Interrupted:
            trained = trained or bool(list(folder.checkpoints.glob("self-trained/0/last*")))
    assert trained, "it was stopped while it trained"
    one, other = (load(RunFolder(run).predictions("self-trained", "test")) for run in (whole, folder.path))
    assert (one.scores == other.scores).all()


def test_contrastive_learns_from_its_own_labels(runs: Runs, tmp_path: Path, texts: Path):
    run = fitted(
        runs, tmp_path / "run", texts, method="contrastive", self_training__threshold=0.51, self_training__balanced=True
    )
    assert json.loads(RunFolder(run).facts("self-trained").read_text())["parity"]["bin"] == "passed"


@pytest.mark.parametrize(
    ("rows", "more", "code"),
    [
        (made_rows.several_jsonl, {}, "T042"),
        (made_rows.single, {"method": "probe", "training__learning_rate": "auto"}, "R074"),
        (made_rows.single, {"method": "contrastive", "self_training__labels": "soft"}, "R074"),
        (made_rows.single, {"task": "regression"}, "R073"),
        (made_rows.single, {"self_training__source": None, "self_training__rounds": 2}, "R072"),
        (made_rows.pairs, {}, "T025"),
        (made_rows.single, {"distillation__teacher": "somebody"}, "R075"),
    ],
)
def test_what_cannot_be_is_refused(runs: Runs, tmp_path: Path, texts: Path, rows: Any, more: dict[str, Any], code: str):
    with pytest.raises(UserError) as caught:
        fitted(runs, tmp_path / "run", texts, source=runs.data(rows), **more)
    assert code in [problem.code for problem in caught.value.problems]
