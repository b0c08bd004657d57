"""Tasks one after the other on one trunk: what is left of the earlier ones."""

from __future__ import annotations

from pathlib import Path

import pytest

import whet
from tests import made_rows, made_tasks
from tests.made_models import make_base
from whet.findings import Finding


@pytest.fixture(autouse=True)
def drawn_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of single runs have tests of their own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def found(folder: Path, method: str, base: str = "") -> list[Finding]:
    """What is said of a first task after a second one, trained by ``method``."""
    make_base(folder / "base", "bert")
    made_rows.single(folder, 90)
    made_tasks.entities(folder, 60)
    more = "evaluation: {resamples: 100, baselines: [probe]}, forgetting: {measure: false}"
    training = "" if method == "probe" else ", training: {epochs: 6, learning_rate: 0.05, patience: 9}"
    recipe = folder / "both.yaml"
    recipe.write_text(
        f"base: {folder / 'base'}\n"
        "stages:\n"
        "  - {name: first, task: text-classification, method: full, "
        f"data: {{source: {folder / 'messages.csv'}}}, training: {{epochs: 2, learning_rate: 0.01}}, {more}}}\n"
        "  - {name: second, task: token-classification, "
        f"method: {method}, data: {{source: {folder / 'entities.jsonl'}}}{training}, {base}{more}}}\n"
    )
    return [one for one in whet.fit(recipe, out=folder / "run").findings if one.code == "X026"]


def test_a_trunk_that_stayed_answers_as_before(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "probe")
    assert (one.bin, one.place) == ("passed", "first")
    assert one.evidence["alike"] and one.evidence["difference"] == 0
    assert one.evidence["candidate"] == "after second" and one.evidence["against"] == "full"


def test_a_trunk_that_moved_is_measured(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "full")
    assert one.place == "first" and one.evidence["num_rows"] == 18
    assert one.bin == ("issue" if one.evidence["p_holm"] < 0.05 and one.evidence["difference"] < 0 else "passed")


def test_stages_that_begin_anew_take_nothing_from_each_other(tmp_path: Path) -> None:
    assert found(tmp_path, "probe", f"base: {tmp_path / 'base'}, ") == []
