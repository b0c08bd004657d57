from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from whet import folder
from whet.errors import UserError
from whet.folder import FINISHED, INTERRUPTED, RUNNING, RunFolder


def test_a_new_run_has_an_identity_and_a_state(tmp_path: Path):
    run = folder.create(tmp_path / "runs" / "mine", "0.1.0")
    state = run.read_state()
    assert (state["state"], state["name"], state["whet"]) == (RUNNING, "mine", "0.1.0")
    assert state["finished_at"] is None
    assert len(state["id"]) == 32
    assert datetime.datetime.fromisoformat(state["started_at"]).utcoffset() == datetime.timedelta(0)
    assert folder.create(tmp_path / "other", "0.1.0").read_state()["id"] != state["id"]


def test_a_state_changes_and_the_rest_is_kept(tmp_path: Path):
    run = folder.create(tmp_path / "mine", "0.1.0")
    identity = run.read_state()["id"]
    run.write_state(INTERRUPTED)
    run.write_state(FINISHED, finished_at="then")
    assert run.read_state()["id"] == identity
    assert (run.read_state()["state"], run.read_state()["finished_at"]) == (FINISHED, "then")


def test_an_empty_folder_may_be_used_with_its_lock(tmp_path: Path):
    (tmp_path / ".lock").touch()
    assert folder.create(tmp_path, "0.1.0").state.exists()


@pytest.mark.parametrize("there", ["a run", "a file", "something else"])
def test_a_folder_that_holds_something_is_refused(tmp_path: Path, there: str):
    place = tmp_path / "out"
    if there == "a run":
        folder.create(place, "0.1.0")
    elif there == "a file":
        place.write_text("x")
    else:
        place.mkdir()
        (place / "thesis.tex").touch()
    before = place.read_text() if place.is_file() else sorted(place.iterdir())
    with pytest.raises(UserError) as caught:
        folder.create(place, "0.1.0")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("F013", str(place))
    assert ("holds a run already" in problem.what) == (there == "a run")
    assert ("whet resume" in problem.remedy) == (there == "a run"), "only a run can be continued"
    assert before == (place.read_text() if place.is_file() else sorted(place.iterdir()))


def test_what_is_no_run_folder_is_said(tmp_path: Path):
    with pytest.raises(UserError, match="F012"):
        RunFolder(tmp_path).read_state()
    (tmp_path / "state.json").write_text('{"state": "runn')
    with pytest.raises(UserError, match="F011"):
        RunFolder(tmp_path).read_state()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{}", "'state' is missing"),
        ("[1]", "it holds list, and no object"),
        ('"finished"', "it holds str"),
        ('{"id": 7, "state": "finished"}', "'id' is no text"),
        ('{"state": null}', "'state' is None"),
        ('{"id": "x", "state": ["finished"]}', "'state' is ['finished']"),
        ('{"id": "x", "state": "finished", "answers": [1]}', "'answers' is no path"),
        ("\x00", "is damaged"),
    ],
)
def test_a_damaged_state_is_said(tmp_path: Path, content: str, what: str):
    (tmp_path / "state.json").write_text(content)
    readers: list[Callable[[], object]] = [
        RunFolder(tmp_path).read_state,
        lambda: RunFolder(tmp_path).write_state(FINISHED),
        lambda: folder.answering_run(tmp_path),
        lambda: folder.create(tmp_path, "0.1.0"),
    ]
    for read in readers:
        with pytest.raises(UserError) as caught:
            read()
        (problem,) = caught.value.problems
        assert (problem.code, problem.where) == ("F011", str(tmp_path / "state.json"))
        assert what in problem.what and "whet resume" not in problem.remedy, "which reads the same file"


def test_an_identity_is_asked_for_where_it_is_needed(tmp_path: Path):
    assert folder.create(tmp_path / "run", "0.1.0").identity == RunFolder(tmp_path / "run").read_state()["id"]
    (tmp_path / "state.json").write_text('{"state": "finished"}')
    with pytest.raises(UserError, match=r"F011.*'id' is missing"):
        _ = RunFolder(tmp_path).identity


@pytest.mark.parametrize("content", ["{}", "[1]", '{"ship": null, "model": 3}'])
def test_a_damaged_verdict_is_said(tmp_path: Path, content: str):
    run = RunFolder(tmp_path)
    run.verdict.write_text(content)
    run.shipped.write_text(content)
    for read in (lambda: run.ships, lambda: run.saved):
        with pytest.raises(UserError, match="F011"):
            read()


def test_a_saved_data_set_is_no_run(tmp_path: Path):
    (tmp_path / "state.json").write_text('{"_data_files": []}')
    assert RunFolder(tmp_path).is_run
    (tmp_path / "dataset_info.json").write_text("{}")
    assert not RunFolder(tmp_path).is_run and folder.answering_run(tmp_path) == tmp_path


def test_how_to_go_on(tmp_path: Path):
    run, search = folder.create(tmp_path / "run", "0.1.0"), folder.create(tmp_path / "search", "0.1.0")
    search.write_state(RUNNING, sweep=True)
    assert run.going_on == f"whet resume {run.path}"
    assert search.going_on == f"whet sweep --resume {search.path}"
    with pytest.raises(UserError, match=rf"F013.*'whet sweep --resume {search.path}'"):
        folder.create(search.path, "0.1.0")


@pytest.mark.parametrize("model", ["model", "models/probe"])
def test_the_run_behind_a_search(tmp_path: Path, model: str):
    search = folder.create(tmp_path / "search", "0.1.0")
    trial = folder.create(search.path / "trials" / "0002", "0.1.0")
    (trial.path / model).mkdir(parents=True)
    assert folder.run_behind(search.path) == search.path
    search.write_state(FINISHED, sweep=True, answers=f"trials/0002/{model}")
    assert folder.answering_run(search.path) == trial.path / model
    assert folder.run_behind(search.path) == trial.path
    assert folder.run_behind(tmp_path / "rows.csv") == tmp_path / "rows.csv"


def test_every_path_lies_inside_and_none_is_another(tmp_path: Path):
    run = RunFolder(tmp_path)
    facts = ("is_run", "going_on", "identity", "ships", "saved")
    names = [n for n, value in vars(RunFolder).items() if isinstance(value, property) and n not in facts]
    paths = [getattr(run, name) for name in names] + [run.predictions("full", "test")]
    assert len(set(paths)) == len(paths) == 22
    assert all(path.is_relative_to(tmp_path) and path != tmp_path for path in paths)
    assert run.predictions("full", "test") == tmp_path / "predictions" / "full.test.parquet"


def test_a_folder_can_be_moved(tmp_path: Path):
    folder.create(tmp_path / "here", "0.1.0")
    (tmp_path / "here").rename(tmp_path / "there")
    assert RunFolder(tmp_path / "there").read_state()["name"] == "here"
    assert str(tmp_path) not in json.dumps(RunFolder(tmp_path / "there").read_state())
