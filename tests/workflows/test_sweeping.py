"""A search over the options of a recipe on tiny models: to its end, killed and gone on with, refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import whet
from tests import forked, made_rows, made_runs
from tests.made_models import WORDS, make_base
from tests.made_runs import Runs
from whet.errors import Interrupted, UserError
from whet.folder import RunFolder, create
from whet.recipe import from_options, load
from whet.workflows import checking, preparing, sweep_passes, sweep_stages, sweep_starting, sweeping, using
from whet.workflows.running import Running

from .mishaps import KilledIn

pytest.importorskip("optuna", reason="the extra whet[sweep] is not installed")

SPACE = {
    "method": ["full", "lora"],
    "training.learning_rate": {"low": 0.001, "high": 0.03, "log": True},
    "lora.rank": [1, 2],
}
WANTED: dict[str, Any] = {
    "search.space": SPACE,
    "search.trials": 3,
    "search.seeds": 2,
    "search.finalists": 2,
    "method": "full",
    "training.epochs": 2.0,
    "training.restarts": 0,
    "evaluation.resamples": 100,
    "evaluation.label_noise": False,
    "evaluation.baselines": ["majority", "probe"],
    "forgetting.measure": False,
    "training.checkpoint_seconds": 1e-6,
}


def options(runs: Runs, rows: Path, **more: Any) -> dict[str, Any]:
    return {"data.source": str(rows), "base": str(runs.base("plain")), **WANTED, **more}


def silent(*_: object) -> None:
    return None


def carried_out(wanted: dict[str, Any], out: Path, stop: Any = lambda: False) -> list[str]:
    said = []
    for event in sweeping.carry_out(*sweep_starting.start(from_options(wanted), out), silent, stop):
        if event.kind == "said":
            said.append(event.to_json()["message"])
    return said


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_rows.single(tmp_path_factory.mktemp("rows"), 150)


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Pages of the runs below have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
        yield


@pytest.fixture(scope="module")
def swept(runs: Runs, rows: Path, quick: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that nobody touched."""
    folder = tmp_path_factory.mktemp("swept")
    with made_runs.quiet_machine(folder / "runs.sqlite"):
        carried_out(options(runs, rows), folder / "sweep")
    return folder / "sweep"


def test_what_a_search_leaves(swept: Path):
    found = read(swept / "sweep.json")
    trials = found["trials"]
    assert [one["number"] for one in trials] == [1, 2, 3] and trials[0]["setting"] == {}
    assert all(one["setting"]["method"] in ("full", "lora") for one in trials[1:])
    for one in trials[1:]:
        assert 0.001 <= one["setting"]["training.learning_rate"] <= 0.03
        assert ("lora.rank" in one["setting"]) == (one["setting"]["method"] == "lora")
    finalists = [row for row in found["table"] if not row["is_baseline"]]
    assert len(finalists) == 2 and 1 in [row["trial"] for row in finalists]
    best = max(trials[1:], key=lambda one: one["value"] if one["value"] is not None else -1)
    assert best["number"] in [row["trial"] for row in finalists]
    for row in finalists:
        assert row["num_seeds"] == 2 and row["failed"] == [] and len(row["value"]["each"]) == 2
        assert [one["value"] for one in row["seeds"]] == pytest.approx(row["value"]["each"])
        assert [(one["seed"], one["judges"], one["cut"]) for one in row["seeds"]] == [
            (0, True, False),
            (1, True, False),
        ]
        assert [one["run"] for one in row["seeds"]] == row["runs"]
        assert row["value"]["low"] <= row["value"]["value"] <= row["value"]["high"]
        assert row["costs"]["trainable_parameters"] and row["costs"]["size_bytes"]
        assert row["costs"]["predict_rows_per_second"] and row["costs"]["train_seconds"]
        assert ("base_bytes" in row["costs"]) == (row["kind"] == "lora"), "an adapter is shipped with its base"
        recipes = [(swept / place / "recipe.yaml").read_text() for place in row["runs"]]
        assert [text.count("seed: 1\n") for text in recipes] == [0, 1]
    assert [row["name"] for row in found["table"] if row["is_baseline"]] == ["majority", "probe"]
    assert found["verdict"]["ship"] in [row["name"] for row in found["table"]]
    scores, metric = read(swept / "scores.json")["models"], found["metric"]
    for name, value in found["verdict"]["values"].items():
        assert scores[name][metric] == {part: value[part] for part in ("value", "low", "high")}, "one figure everywhere"
    assert found["validation_metric"] == "accuracy"
    assert [one["code"] for one in found["findings"]] == ["X030", "X031", "X032", "X033"]
    page = (swept / "sweep.html").read_text()
    assert found["verdict"]["reason"].replace("'", "&#39;") in page and "<svg" in page
    assert read(swept / "state.json")["state"] == "finished"


def test_only_finalists_keep_models_and_rows_are_read_once(swept: Path):
    found = read(swept / "sweep.json")
    kept = {row["trial"] for row in found["table"] if not row["is_baseline"]}
    for number in (1, 2, 3):
        place = swept / "trials" / f"{number:04d}"
        assert (place / "model").is_dir() == (number in kept)
        assert read(place / "state.json")["state"] == ("finished" if number in kept else "interrupted")
        assert not (place / "checkpoints").exists()
        assert (place / "data" / "train.arrow").stat().st_ino == (swept / "data" / "train.arrow").stat().st_ino
    vectors = list((swept / "vectors").glob("*.npy"))
    assert len(vectors) == 2  # of training and validation, for all trials and seeds
    assert len({len(np.load(path)) for path in vectors}) <= 2


def test_it_answers(swept: Path):
    model = using.open_model(swept)
    assert model.task == "text-classification"


def test_its_rows_are_shown_as_the_model_that_it_ships_reads_them(swept: Path):
    from whet.workflows import showing

    shown = showing.show(str(swept), {}, "train", 2, silent)
    assert shown.task == "text-classification" and len(shown.rows) == 2


def test_from_python(runs: Runs, rows: Path, quick: None, tmp_path: Path):
    """Gone on with more trials through the same door as a run."""
    wanted = {name.replace(".", "__"): value for name, value in WANTED.items() if name != "method"}
    wanted |= {"search__trials": 2, "search__seeds": 1, "search__finalists": 1}
    with made_runs.quiet_machine(tmp_path / "runs.sqlite"):
        found = whet.sweep(rows, base=str(runs.base("plain")), method="full", out=tmp_path / "sweep", **wanted)
        with pytest.raises(UserError, match="F014"):
            whet.resume(found.path)
        with pytest.raises(UserError, match=r"F013.*sweep --resume.*another folder with out=") as caught:
            whet.fit(rows, base=str(runs.base("plain")), out=found.path)
        assert "--out" not in str(caught.value)
    assert len(found.search["trials"]) == 2 and found.report.name == "sweep.html"
    assert found.predict(["one text"])[0].label in made_rows.TOPICS
    with pytest.raises(UserError, match="F015"):
        _ = whet.Run(found.path / "trials" / "0001").search


def test_it_is_no_run_to_resume(swept: Path):
    from whet.workflows.starting import reopen
    from whet.workflows.summary import summary

    with pytest.raises(UserError, match="O012"):
        reopen(swept)
    with pytest.raises(UserError, match="O010"):
        sweep_starting.reopen(swept / "trials" / "0001", {})
    found = summary(RunFolder(swept))
    assert set(found["scores"]) == set(read(swept / "sweep.json")["verdict"]["values"])


def test_only_the_sweep_is_listed(runs: Runs, swept: Path):
    from whet.store.index import open_store

    with open_store(f"sqlite:///{swept.parent}/runs.sqlite") as store:
        assert [Path(row.folder).name for row in store.runs()] == ["sweep"]


MOMENTS = {
    "a trial is asked for": KilledIn("optuna.study.Study.ask", 1, "after"),
    "a trial is drawn": KilledIn("optuna.trial.Trial.suggest_float", 1, "after"),
    "weights move": KilledIn("whet.engine.step._norm", 4, "before"),
    "a trial has ended, which is not yet told": KilledIn("whet.workflows.sweep_study.Study.tell", 1, "before"),
    "a trial is told, and not yet tidied up": KilledIn("whet.workflows.sweeping._tidy", 1, "before"),
    "a finalist predicts": KilledIn("whet.workflows.evaluating.predict", 2, "before"),
    "the verdict is written": KilledIn("whet.report.sweep_page.write", 1, "before"),
}


@pytest.mark.slow
def test_killed_again_and_again(runs: Runs, rows: Path, swept: Path, tmp_path: Path):
    """Each process dies a little further on; what comes out is what an untouched search says."""
    from whet.recipe import dump

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump(from_options(options(runs, rows))))
    words = ["sweep", str(recipe), "--out", str(tmp_path / "sweep")]
    for moment, mishap in MOMENTS.items():
        child = forked.run(words, tmp_path / "output", [mishap])
        assert child.code() == -signal.SIGKILL, f"{moment}: {child.out}{child.err}"
        words = ["sweep", "--resume", str(tmp_path / "sweep")]
    child = forked.run(words, tmp_path / "output")
    assert child.code() == 0, child.err
    found, whole = read(tmp_path / "sweep" / "sweep.json"), read(swept / "sweep.json")
    assert found["counts"] == whole["counts"]
    for one, other in zip(found["trials"], whole["trials"], strict=True):
        for name in ("number", "state", "setting", "value", "curve"):
            assert one[name] == other[name], (one["number"], name)
    for one, other in zip(found["table"], whole["table"], strict=True):
        assert one["name"] == other["name"] and one["value"] == other["value"]


def test_stopped_and_gone_on_with(runs: Runs, rows: Path, swept: Path, quick: None, tmp_path: Path):
    """A signal in the middle of a trial; then more trials than at first."""
    from whet.errors import Interrupted

    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 60

    with pytest.raises(Interrupted):
        carried_out(options(runs, rows), tmp_path / "sweep", stop)
    assert read(tmp_path / "sweep" / "state.json")["state"] == "interrupted"
    recipe, folder = sweep_starting.reopen(tmp_path / "sweep", {"search.seeds": 1})
    list(sweeping.carry_out(recipe, folder, silent, lambda: False))
    found, whole = read(folder.path / "sweep.json"), read(swept / "sweep.json")
    assert [one["setting"] for one in found["trials"]] == [one["setting"] for one in whole["trials"]]
    assert [one["value"] for one in found["trials"]] == [one["value"] for one in whole["trials"]]
    with pytest.raises(UserError, match="F014"):
        sweep_starting.reopen(folder.path, {})
    with pytest.raises(UserError, match="O002"):
        sweep_starting.reopen(folder.path, {"training.epochs": 1.0})


def test_few_minutes_mean_fewer_passes(
    runs: Runs, rows: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All trainings take as many, those of a search that is gone on with, too; it is said and found."""
    monkeypatch.setattr(sweep_passes, "_seconds_per_pass", lambda run, methods: 30.0)
    wanted = options(runs, rows, **{"search.minutes": 5.0, "training.epochs": "auto", "search.seeds": 1})
    said = carried_out(wanted, tmp_path / "sweep")
    assert any(line.startswith("passes over the rows: 3, since 5 minutes") for line in said), "(300 / 3 - 4) // 30"
    found = read(tmp_path / "sweep" / "sweep.json")
    (told,) = (one for one in found["findings"] if one["code"] == "X033")
    assert told["bin"] == "tip" and "each went 3 times over the rows" in told["message"]
    for one in found["trials"]:
        trial = load(tmp_path / "sweep" / "trials" / f"{one['number']:04d}" / "recipe.yaml")
        assert trial.training.epochs == 3.0
    monkeypatch.setattr(sweep_passes, "_seconds_per_pass", lambda run, methods: 1e-3)
    recipe, folder = sweep_starting.reopen(tmp_path / "sweep", {"search.trials": 4})
    assert sweeping._study(recipe, folder).recipe.training.epochs == 3.0


def test_passes_that_time_allows(runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = {**options(runs, rows), "training.epochs": "auto"}
    run = Running(from_options(wanted), create(tmp_path / "run", "0"), silent, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode, preparing.decide):
        list(stage(run))
    usual = {"full": 8.0, "lora": 8.0}
    alone = sweep_passes._seconds_per_pass(run, ["full"])
    assert alone is not None and 0 < alone < 60
    monkeypatch.setattr(sweep_passes, "_seconds_per_pass", lambda run, methods: 10.0)
    assert sweep_passes.affordable(run, usual, None) is None, "no limit"
    assert sweep_passes.affordable(run, usual, 1000.0) is None, "time for all of them"
    assert sweep_passes.affordable(run, usual, 34.5) == 3.0
    assert sweep_passes.affordable(run, usual, 2.0) == 1.0, "one at least"
    assert sweep_passes.affordable(run, {}, 2.0) is None, "a probe has none"
    for option, value in (("training.epochs", 2.0), ("search.space", {"training.epochs": [1.0, 8.0]})):
        run.recipe = from_options({**wanted, option: value})
        assert sweep_passes.affordable(run, usual, 2.0) is None, "the recipe says how many"
    monkeypatch.setattr(sweep_passes, "_seconds_per_pass", lambda run, methods: None)
    run.recipe = from_options(wanted)
    assert sweep_passes.affordable(run, usual, 2.0) is None, "nothing to tell by"


def test_the_time_is_over(runs: Runs, rows: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is under way ends with its best state, nothing else is begun, further seeds are left out and counted."""
    from whet.workflows.sweep_clock import Clock

    looks = 0

    def late(self: Clock, trials: Any) -> bool:
        nonlocal looks
        looks += 1
        return looks > 12

    monkeypatch.setattr(Clock, "is_late", late)
    monkeypatch.setattr(Clock, "has_room", lambda self, trials: looks <= 12)
    monkeypatch.setattr(Clock, "has_time_for", lambda self, seconds: False)
    wanted = options(runs, rows, **{"search.minutes": 5.0, "training.epochs": 30.0, "training.batch_tokens": 128})
    carried_out(wanted, tmp_path / "sweep")
    found = read(tmp_path / "sweep" / "sweep.json")
    assert len(found["trials"]) == 1 and found["trials"][0]["ended"] == "max_seconds"
    assert found["trials"][0]["value"] is not None
    assert found["counts"]["seeds"] == {"trained": 1, "judged": 1, "cut": 1, "failed": 0, "left_out": 1}
    assert next(one for one in found["findings"] if one["code"] == "X033")["bin"] == "tip"
    (row,) = (one for one in found["table"] if not one["is_baseline"])
    assert row["seeds"][1] == {"seed": 1, "run": None, "judges": False, "cut": False} | {
        "value": None,
        "note": "left out for time",
    }


def test_a_seed_that_is_under_way_when_the_time_is_over(
    runs: Runs, rows: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It ends with its best state, is told with its value, and does not judge."""
    from whet.workflows.sweep_clock import Clock

    looks = 0

    def over(self: Clock) -> bool:
        nonlocal looks
        looks += 1
        return looks > 12

    monkeypatch.setattr(Clock, "is_over", over)
    more = {"search.trials": 1, "search.seeds": 3, "search.finalists": 1, "training.epochs": 30.0}
    carried_out(options(runs, rows, **more, **{"training.batch_tokens": 128}), tmp_path / "sweep")
    found = read(tmp_path / "sweep" / "sweep.json")
    (row,) = (one for one in found["table"] if not one["is_baseline"])
    first, second, third = row["seeds"]
    assert (first["judges"], first["cut"], second["judges"], second["cut"]) == (True, False, False, True)
    assert 0 <= second["value"] <= 1 and second["note"] == "cut short by the time, does not judge"
    assert third["note"] == "left out for time", "nothing of it was trained when it had to end"
    assert row["num_seeds"] == 1 and row["value"]["value"] == pytest.approx(first["value"])
    assert found["counts"]["seeds"] == {"trained": 2, "judged": 1, "cut": 1, "failed": 0, "left_out": 1}
    assert (tmp_path / "sweep" / "seeds" / "0001-1" / "predictions").is_dir()


def test_what_breaks_at_the_end_is_counted(
    runs: Runs, rows: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A finalist that cannot be finished and a seed that breaks a library: the others are judged all the same."""
    from whet.workflows import sweep_finals, sweep_trial

    whole, carry_out = sweep_finals._complete, sweep_trial.carry_out

    def complete(closing: Any, one: Any) -> Any:
        if one.tried.is_own:
            raise RuntimeError("no convergence")
        yield from whole(closing, one)

    def carried(recipe: Any, folder: RunFolder, *rest: Any) -> Any:
        if folder.path.parent.name == "seeds":
            raise RuntimeError("broken")
        yield from carry_out(recipe, folder, *rest)

    monkeypatch.setattr(sweep_finals, "_complete", complete)
    monkeypatch.setattr(sweep_trial, "carry_out", carried)
    carried_out(options(runs, rows), tmp_path / "sweep")
    found = read(tmp_path / "sweep" / "sweep.json")
    (told,) = (one for one in found["findings"] if one["code"] == "X031")
    assert told["evidence"]["lost"] == {"trial 1": "RuntimeError: no convergence"} and told["bin"] == "issue"
    (row,) = (one for one in found["table"] if not one["is_baseline"])
    assert row["failed"] == ["RuntimeError: broken"] and row["num_seeds"] == 1
    assert found["counts"]["seeds"] == {"trained": 1, "judged": 1, "cut": 0, "failed": 1, "left_out": 0}


def test_an_end_that_ships_another_baseline_than_before(tmp_path: Path):
    from whet.folder import create
    from whet.workflows import sweep_end

    folder = create(tmp_path / "sweep", "0")
    for name in ("one", "other"):
        (folder.models / name).mkdir(parents=True)
        (folder.models / name / "file").write_text(name)

    class Verdict:
        ship = "one"

        def to_json(self) -> dict[str, Any]:
            return {"ship": self.ship}

    for ship in ("one", "other", "other"):
        verdict: Any = Verdict()
        verdict.ship = ship
        sweep_end._ship(folder, verdict, [])
        assert (folder.model / "file").read_text() == ship and folder.read_state()["answers"] is None
    assert (folder.models / "one" / "file").read_text() == "one"


def test_another_recipe_and_another_store(
    swept: Path, runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import shutil

    copy = Path(shutil.copytree(swept, tmp_path / "copy"))
    recipe, folder = sweep_starting.reopen(copy, {"search.trials": 4})
    with pytest.raises(UserError, match="O003"):  # the store of this test has no such study
        list(sweeping.carry_out(recipe, folder, silent, lambda: False))
    monkeypatch.setenv("WHET_STORE", f"sqlite:///{swept.parent}/runs.sqlite")
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("weight_decay: 0.01", "weight_decay: 0.02"))
    recipe, folder = sweep_starting.reopen(copy, {"search.trials": 4})
    with pytest.raises(UserError, match="O002"):
        list(sweeping.carry_out(recipe, folder, silent, lambda: False))


def test_a_copy_is_a_search_of_its_own(swept: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With more trials than the original, which is left as it is; and one of them gone."""
    import shutil

    monkeypatch.setenv("WHET_STORE", f"sqlite:///{swept.parent}/runs.sqlite")
    copy = Path(shutil.copytree(swept, tmp_path / "copy"))
    shutil.rmtree(copy / "trials" / "0002")
    wanted = {"search.trials": 4, "search.seeds": 1}
    list(sweeping.carry_out(*sweep_starting.reopen(copy, wanted), silent, lambda: False))
    found = read(copy / "sweep.json")
    assert [one["number"] for one in found["trials"]] == [1, 2, 3, 4]
    (told,) = (one for one in found["findings"] if one["code"] == "X031")
    assert told["bin"] == "issue" and set(told["evidence"]["lost"]) == {"trial 2"} and "is not there" in told["message"]
    assert 2 not in [row.get("trial") for row in found["table"]]
    assert read(copy / "state.json")["id"] != read(swept / "state.json")["id"]
    assert read(copy / "state.json")["name"] == "copy"
    recipe = load(swept / "recipe.yaml")
    assert len(sweeping._study(recipe, RunFolder(swept)).trials()) == 3
    assert not (swept / "trials" / "0004").exists()


def test_refused_before_anything_is_read(runs: Runs, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import whet

    with pytest.raises(UserError, match="O012"):
        whet.fit(rows, out=tmp_path / "run", search__trials=3)
    with pytest.raises(UserError, match="O006"):
        sweep_starting.start(from_options({"data.source": "x", "search.metric": "acuracy"}), tmp_path / "a")
    with pytest.raises(UserError, match="O008"):
        sweep_starting.start(from_options({"data.source": "x", "method": "probe"}), tmp_path / "b")
    monkeypatch.setattr("whet.store.studies.find_spec", lambda name: None)
    with pytest.raises(UserError, match="O001"):
        sweep_starting.start(from_options({"data.source": "x"}), tmp_path / "c")
    assert not any((tmp_path / name).exists() for name in ("run", "a", "b", "c"))


def test_a_method_that_the_base_does_not_take(runs: Runs, rows: Path, tmp_path: Path):
    wanted = options(runs, rows, **{"search.space": {"lora.target_modules": ["auto"], "method": ["lora"]}})
    wanted |= {"lora.target_modules": ["nowhere"]}
    with pytest.raises(UserError):
        carried_out({**wanted, "method": "lora"}, tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def with_a_lonely_class(folder: Path) -> Path:
    """Rows of which one alone has its class, in a file for each split."""
    lines = [f"{text},{label}" for text, label in made_rows.texts(60)]
    splits = {"train": [*lines[:40], "why is it late,rare"], "validation": lines[40:50], "test": lines[50:]}
    folder.mkdir()
    for split, some in splits.items():
        (folder / f"{split}.csv").write_text("\n".join(["message,intent", *some]) + "\n")
    return folder


def test_a_method_that_the_rows_do_not_take(runs: Runs, tmp_path: Path):
    """It is refused before any training, and not tried again and again."""
    few = with_a_lonely_class(tmp_path / "rows")
    wanted = options(runs, few, **{"search.space": {"method": ["full", "contrastive"]}})
    with pytest.raises(UserError) as caught:
        carried_out(wanted, tmp_path / "sweep")
    (problem,) = caught.value.problems
    assert problem.code == "T040" and "'rare'" in problem.what and not (tmp_path / "sweep").exists()


def test_a_setting_that_fails_is_counted(
    runs: Runs, rows: Path, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from whet.workflows import sweep_trial

    known = sweep_trial.prepare

    def prepare(recipe: Any, folder: Any, given: Any, setting: Any) -> None:
        known(recipe, folder, given, setting)
        if folder.path.name == "0002":
            raise RuntimeError("a library broke")

    monkeypatch.setattr(sweep_trial, "prepare", prepare)
    more = {"search.trials": 2, "search.seeds": 1, "training.epochs": 1.0}
    carried_out(options(runs, rows, **more), tmp_path / "sweep")
    found = read(tmp_path / "sweep" / "sweep.json")
    assert [one["state"] for one in found["trials"]] == ["complete", "failed"]
    assert "RuntimeError: a library broke" in found["trials"][1]["why"]
    assert next(one for one in found["findings"] if one["code"] == "X031")["bin"] == "issue"


@pytest.mark.slow
def test_two_processes_at_once(runs: Runs, rows: Path, quick: None, tmp_path: Path):
    more = {"search.workers": 2, "search.trials": 5, "search.seeds": 2, "training.epochs": 1.0}
    before = torch.get_num_threads()
    carried_out(options(runs, rows, **more), tmp_path / "sweep")
    assert torch.get_num_threads() == before and not (tmp_path / "sweep" / "finalists.json").exists()
    found = read(tmp_path / "sweep" / "sweep.json")
    assert found["counts"]["complete"] + found["counts"]["pruned"] == 5
    assert (tmp_path / "sweep" / "workers" / "2.log").exists()
    assert found["counts"]["seeds"] == {"trained": 4, "judged": 4, "cut": 0, "failed": 0, "left_out": 0}
    assert sorted(path.name for path in (tmp_path / "sweep" / "trials").glob("0*")) == [f"{n:04d}" for n in range(1, 6)]


# --- a search over the last stage --------------------------------------------------------------------


@pytest.fixture(scope="module")
def staged(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Texts of a domain are read, then a task is learnt: a search over the second."""
    place = tmp_path_factory.mktemp("staged")
    base = make_base(place / "base", "bert", language=True)
    path = base / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    texts = place / "texts.txt"
    texts.write_text("".join(f"{' '.join(WORDS[number : number + 9])}\n" for number in range(30)))
    around = {"evaluation": {"resamples": 100, "label_noise": False}, "forgetting": {"measure": False}}
    quick = {"epochs": 1.0, "restarts": 0, "learning_rate": 0.005}
    reading = {"name": "domain", "task": "fill-mask", "method": "full", "data": {"source": str(texts)}}
    sorting = {"name": "sort", "method": "full", "data": {"source": str(rows)}}
    baselines = {"evaluation": {**around["evaluation"], "baselines": ["majority"]}}
    return {
        "base": str(base),
        "stages": [{**reading, **around, "training": quick}, {**sorting, **around, **baselines, "training": quick}],
        "search": {"trials": 4, "seeds": 1, "finalists": 1, "sampler": "random"},
    }


def recipe_of(values: dict[str, Any], path: Path) -> Any:
    path.write_text(yaml.safe_dump(values))
    return load(path)


def test_stages_before_the_last_are_trained_once_and_searched_too(
    staged: dict[str, Any], quick: None, tmp_path: Path
) -> None:
    """Stopped after the first trial and gone on with: the first stage is not trained anew."""
    recipe = recipe_of(staged, tmp_path / "recipe.yaml")
    out, said = tmp_path / "sweep", list[str]()
    with made_runs.quiet_machine(tmp_path / "runs.sqlite"):
        with pytest.raises(Interrupted):
            wanted, folder = sweep_starting.start(recipe, out)
            for _ in sweeping.carry_out(wanted, folder, silent, (out / "trials" / "0002").exists):
                pass
        first = (out / "runs" / "domain" / "model" / "model.safetensors").stat().st_mtime_ns
        for event in sweeping.carry_out(*sweep_starting.reopen(out, {}), silent, lambda: False):
            said += [event.to_json()["message"]] if event.kind == "said" else []
    assert (out / "runs" / "domain" / "model" / "model.safetensors").stat().st_mtime_ns == first
    domain = str((out / "runs" / "domain" / "model").resolve())
    found = read(out / "sweep.json")
    assert load(out / "trials" / "0001" / "recipe.yaml").base == domain
    assert {one["setting"].get("base") for one in found["trials"][1:]} == {domain, staged["base"]}
    assert any("base runs/domain" in text for text in said) and "base runs/domain" in (out / "sweep.html").read_text()
    assert found["task"] == "text-classification" and not (out / "runs" / "sort").exists()


def test_stages_of_a_space_are_named(staged: dict[str, Any], tmp_path: Path) -> None:
    asked = {"trials": 2, "space": {"base": ["domain", staged["base"]]}}
    recipe = recipe_of({**staged, "search": asked}, tmp_path / "recipe.yaml")
    folder = RunFolder(tmp_path / "sweep")
    domain = str((folder.path / "runs" / "domain" / "model").resolve())
    assert sweep_stages.searched(recipe, folder).search.space == {"base": [domain, staged["base"]]}
    shown = checking.check_parts(recipe, silent)
    assert shown["sort"]["search.space"].value == asked["space"] and shown["domain"]["task"].value == "fill-mask"


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ({"controls": {"kinds": ["none"]}}, ["O005"]),
        ({"search": {"space": {"lora.rank": [1, 2]}}}, ["R089"]),
    ],
)
def test_searches_over_stages_that_cannot_be(
    staged: dict[str, Any], tmp_path: Path, more: dict[str, Any], codes: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        sweep_starting.start(recipe_of({**staged, **more}, tmp_path / "recipe.yaml"), tmp_path / "sweep")
    assert [problem.code for problem in caught.value.problems] == codes and not (tmp_path / "sweep").exists()


def test_a_method_that_the_rows_of_the_last_stage_do_not_take(staged: dict[str, Any], tmp_path: Path) -> None:
    """No earlier stage is trained before it is told."""
    staged = {**staged, "search": {"trials": 2, "space": {"method": ["full", "contrastive"]}}}
    last = {**staged["stages"][1], "data": {"source": str(with_a_lonely_class(tmp_path / "rows"))}}
    recipe = recipe_of({**staged, "stages": [staged["stages"][0], last]}, tmp_path / "recipe.yaml")
    with pytest.raises(UserError) as caught:
        list(sweeping.carry_out(*sweep_starting.start(recipe, tmp_path / "sweep"), silent, lambda: False))
    (problem,) = caught.value.problems
    assert problem.code == "T040" and problem.where.startswith("stage 'sort'")
    assert not (tmp_path / "sweep").exists()
