"""Whether more labels would help: on tiny models, from rows to a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import made_rows
from tests.made_models import make_base
from tests.made_runs import Runs
from tests.made_tasks import JOBS
from whet.errors import UserError
from whet.folder import create
from whet.recipe import dump, from_options
from whet.workflows import curve as module
from whet.workflows import preparing
from whet.workflows.curve import Wanted, curve
from whet.workflows.running import Running

from .test_language_tasks import rows_of


def silent(*_: object) -> None:
    return None


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_rows.single(tmp_path_factory.mktemp("rows"), 400)


def options(runs: Runs, **more: Any) -> dict[str, Any]:
    return {"base": str(runs.base("plain")), "evaluation.resamples": 100, **more}


def test_a_curve_and_the_same_without_anything_computed(
    runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found, folder = curve(str(rows), options(runs), Wanted(sizes=6, draws=4), tmp_path / "out", silent)
    assert found["sizes"][0] == 24 and len(found["sizes"]) == 6 and len(found["errors"]) == 4
    assert found["mean"][0] > found["mean"][-1]
    assert (folder / "curve.svg").read_text().startswith("<svg xmlns=")
    assert "var(--" not in (folder / "curve.svg").read_text()
    assert found["words"] and json.loads((folder / "curve.json").read_text()) == json.loads(json.dumps(found))
    assert not (folder / "tokens").exists()
    monkeypatch.setattr(module, "_probed", None)
    again = curve(str(rows), options(runs), Wanted(sizes=6, draws=4), tmp_path / "out", silent)[0]
    assert again == found


def test_stopped_in_between_and_gone_on_with(runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = Wanted(sizes=5, draws=3)
    whole, _ = curve(str(rows), options(runs), wanted, tmp_path / "whole", silent)
    real, count = module._probed, 0

    def cut_short(*given: Any) -> Any:
        nonlocal count
        count += 1
        if count == 7:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(module, "_probed", cut_short)
    with pytest.raises(KeyboardInterrupt):
        curve(str(rows), options(runs), wanted, tmp_path / "cut", silent)
    resumed, _ = curve(str(rows), options(runs), wanted, tmp_path / "cut", silent)
    assert resumed == whole and count == 7 + 13 - 6  # at full size all draws are one


def test_samples_are_nested_and_of_whole_groups(runs: Runs, rows: Path, tmp_path: Path):
    class Examples:
        groups: Any = None

        def __len__(self) -> int:
            return 60

    class Run:
        recipe = type("Recipe", (), {"seed": 3})
        kept = Examples()

        def examples(self, split: str) -> Examples:
            return self.kept

    run: Any = Run()
    small, large = module._sample(run, 0, 10), module._sample(run, 0, 40)
    assert len(small) == 10 and set(small) < set(large) and (np.diff(large) > 0).all()
    assert set(module._sample(run, 1, 10)) != set(small)
    run.kept.groups = np.repeat(np.arange(6, dtype=np.uint64), 10)
    found = module._sample(run, 0, 20)
    assert sorted(np.unique(run.kept.groups[found], return_counts=True)[1].tolist()) == [10, 10]


def test_of_a_run_and_in_its_report(runs: Runs, tmp_path: Path):
    from whet.report import write_report

    run = runs.copied("full", tmp_path / "run")
    with pytest.raises(UserError, match="K001"):
        curve(str(run), {}, Wanted(), None, silent)
    assert not (run / "curve" / "curve.json").exists()
    found = json.loads(json.dumps(_made()))
    (run / "curve").mkdir(exist_ok=True)
    (run / "curve" / "curve.json").write_text(json.dumps(found))
    write_report(run)
    page = (run / "report.html").read_text()
    assert "Would more labels help?" in page and found["words"][0] in page


def _made() -> dict[str, Any]:
    sizes = [50, 100, 200, 400, 800]
    mean = [0.3, 0.25, 0.2, 0.18, 0.17]
    return {
        "metric": "accuracy",
        "sizes": sizes,
        "mean": mean,
        "low": [one - 0.02 for one in mean],
        "high": [one + 0.02 for one in mean],
        "line": [[size, one, one - 0.02, one + 0.02] for size, one in zip([*sizes, 8000], [*mean, 0.15], strict=True)],
        "words": ["Twice the labels would gain a little."],
        "method": "probe",
        "draws": 3,
        "num_test_rows": 100,
    }


@pytest.mark.parametrize("task", ["token-classification", "regression"])
def test_other_tasks_with_a_probe(runs: Runs, tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SMALLEST", 6)
    monkeypatch.setattr(module, "RANGE", 4)
    job = next(one for one in JOBS.values() if one.task == task)
    named = {**job.options, "base": str(runs.base("mean")), "task": task, "evaluation.resamples": 100}
    named = {key: value for key, value in named.items() if not key.startswith("training.")}
    found, _ = curve(str(job.rows(tmp_path)), named, Wanted(sizes=5, draws=3), tmp_path / "out", silent)
    assert len(found["mean"]) == 5 and np.isfinite(found["mean"]).all()


def test_a_method_that_trains_anew(runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two samples by trainings of their own; the others by the probe, for the sake of time."""
    real, trained = module._trained, []

    def now_and_then(run: Any, method: str, draw: int, size: int) -> Any:
        if size > 60 or draw == 2:
            return module._probed(run, method, draw, size)
        trained.append((draw, size))
        return real(run, method, draw, size)

    monkeypatch.setattr(module, "_trained", now_and_then)
    named = options(runs, **{"training.epochs": 1.0, "training.learning_rate": 0.01, "training.restarts": 0})
    found, folder = curve(str(rows), named, Wanted("full", 3, 5), tmp_path / "out", silent)
    assert len(trained) == 4 and found["method"] == "full"
    assert [path.name for path in (folder / "points").iterdir() if path.is_dir()] == []
    assert len(list((folder / "points").glob("*.parquet"))) == 15


CHOSEN = {"training.learning_rate": "range-test", "forgetting.interpolate": True, "forgetting.measure": False}


@pytest.mark.parametrize(
    ("task", "more", "stages"),
    [
        ("text-classification", CHOSEN, ["train probe", "try rates full", "train full", "interpolate full"]),
        ("text-generation", {"forgetting.replay": 0.3, "forgetting.measure": False}, ["replay", "train full"]),
    ],
)
def test_a_point_is_trained_as_a_run_is(
    runs: Runs,
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    more: dict[str, Any],
    stages: list[str],
):
    given, base = rows, runs.base("plain")
    if task == "text-generation":
        given, base = rows_of(task, tmp_path), make_base(tmp_path / "gpt2", "gpt2", language=True)
    named = {"data.source": str(given), "base": str(base), "task": task, "method": "full", "training.epochs": 1.0}
    recipe = from_options({**named, "training.restarts": 0, **more})
    run = Running(recipe, create(tmp_path / "curve", "0"), silent, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode, preparing.decide, preparing.prove):
        list(stage(run))
    plain, done = Running.stage, []

    def noted(self: Running, name: str, work: Any) -> Any:
        done.append(name)
        return plain(self, name, work)

    monkeypatch.setattr(Running, "stage", noted)
    found = module._trained(run, "full", 0, 30)
    assert [name for name in done if name not in ("encode", "decide", "prove")] == stages
    assert len(found) == len(run.examples("test"))


def test_refusals(runs: Runs, rows: Path, tmp_path: Path):
    with pytest.raises(UserError, match="K004"):
        curve(str(rows), options(runs), Wanted(sizes=4), tmp_path / "a", silent)
    with pytest.raises(UserError, match="K004"):
        curve(str(rows), options(runs), Wanted(draws=2), tmp_path / "a", silent)
    with pytest.raises(UserError, match="R025"):
        curve(str(rows), options(runs, task="summarization"), Wanted(), tmp_path / "a", silent)
    assert not (tmp_path / "a").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="K003"):
        curve(str(rows), options(runs), Wanted(), tmp_path / "full", silent)
    few = made_rows.single(tmp_path, 100, name="few")
    with pytest.raises(UserError, match="K001"):
        curve(str(few), options(runs), Wanted(), tmp_path / "few", silent)
    with pytest.raises(UserError, match="K003"):
        curve(str(few), options(runs), Wanted(draws=4), tmp_path / "few", silent)


@pytest.mark.parametrize("method", ["probe", "full"])
@pytest.mark.parametrize(
    "beside",
    [{"distillation.teacher": "somebody", "distillation.weight": 0.7}, {"self_training.source": "texts.txt"}],
)
def test_nothing_is_trained_beside_the_method(tmp_path: Path, method: str, beside: dict[str, Any]):
    run = create(tmp_path / "run", "0")
    run.recipe.write_text(dump(from_options({"data.source": "rows.csv", "method": "full", **beside})))
    found = module._recipe("", run, {}, method)
    assert found.method == method and found.distillation.teacher is None and found.self_training.source is None
