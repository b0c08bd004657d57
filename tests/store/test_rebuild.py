from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import whet.store.index as index
from whet.store.index import Store
from whet.store.rows import RebuildResult
from whet.store.walk import find_folders

from .runfolders import make_run, state, write


def test_runs_are_found_at_any_depth_and_not_inside_runs(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b" / "c" / "d")]
    write(runs[0] / "checkpoints" / "step-7" / "state.json", {"step": 7})
    make_run(tmp_path / ".partial-x")
    make_run(tmp_path / "node_modules" / "y")
    (tmp_path / "b" / "ring").symlink_to(tmp_path)
    (tmp_path / "door").symlink_to(tmp_path / "b")
    assert find_folders([tmp_path]) == (runs, [])
    assert find_folders([tmp_path, tmp_path / "a", tmp_path / "door"]) == (runs, [])
    folders, problems = find_folders([tmp_path / "missing"])
    assert folders == []
    assert [problem.code for problem in problems] == ["S021"]


def test_a_rebuild_makes_the_same_index_from_the_folders_alone(store: Store, tmp_path: Path) -> None:
    for number in range(4):
        store.record(make_run(tmp_path / "runs" / str(number), f"id{number}"))
    before = store.runs(), [store.scores(f"id{number}") for number in range(4)]
    for number in range(4):
        store.forget(tmp_path / "runs" / str(number))
    assert store.runs() == []
    assert store.rebuild([tmp_path / "runs"]) == RebuildResult(4, 4, 0, ())
    assert (store.runs(), [store.scores(f"id{number}") for number in range(4)]) == before
    assert store.rebuild([tmp_path / "runs"]) == RebuildResult(4, 4, 0, ())


def test_a_rebuild_drops_what_is_gone_and_refreshes_what_lies_elsewhere(store: Store, tmp_path: Path) -> None:
    for name in ("gone", "elsewhere", "here"):
        store.record(make_run(tmp_path / name / "run", name))
    shutil.rmtree(tmp_path / "gone")
    write(tmp_path / "elsewhere" / "run" / "state.json", state("elsewhere", state="failed"))
    assert store.rebuild([tmp_path / "here"]) == RebuildResult(2, 2, 1, ())
    assert {row.id: row.state for row in store.runs()} == {"elsewhere": "failed", "here": "finished"}


def test_damaged_and_foreign_folders_are_reported_and_the_rest_is_recorded(store: Store, tmp_path: Path) -> None:
    good = make_run(tmp_path / "good", "good")
    torn = make_run(tmp_path / "torn", "torn")
    store.record(torn)
    write(torn / "state.json", "{")
    write(tmp_path / "foreign" / "state.json", {"version": 4, "terraform": True})
    write(good / "verdict.json", "oops")
    result = store.rebuild([tmp_path])
    assert (result.found, result.recorded, result.dropped) == (3, 1, 0)
    assert sorted((problem.code, Path(problem.where).parent.name) for problem in result.problems) == [
        ("S021", "good"),
        ("S021", "torn"),
        ("S022", "foreign"),
    ]
    assert {row.id for row in store.runs()} == {"good", "torn"}  # what was known of the torn one stays


def test_of_copies_the_listed_one_stays(store: Store, tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    store.record(make_run(tmp_path / "b"))
    make_run(tmp_path / "c")
    result = store.rebuild([tmp_path])
    assert [row.folder.name for row in store.runs()] == ["b"]
    assert [(problem.code, Path(problem.where).name) for problem in result.problems] == [("S023", "a"), ("S023", "c")]
    store.forget(tmp_path / "b")
    store.rebuild([tmp_path])
    assert [row.folder.name for row in store.runs()] == ["a"]


def test_runs_that_changed_places_keep_their_ids(store: Store, tmp_path: Path) -> None:
    store.record(make_run(tmp_path / "a", "one"))
    store.record(make_run(tmp_path / "b", "two"))
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "b").rename(tmp_path / "a")
    (tmp_path / "c").rename(tmp_path / "b")
    assert store.rebuild([]) == RebuildResult(2, 2, 0, ())
    assert {row.id: row.folder.name for row in store.runs()} == {"one": "b", "two": "a"}


def test_a_rebuild_does_not_put_an_older_reading_over_a_newer_row(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run ends, or vanishes, while the rebuild is between reading folders and writing rows."""
    ending = make_run(tmp_path / "ending", "ending", state="running", finished_at=None)
    vanishing = make_run(tmp_path / "vanishing", "vanishing")
    store.record(vanishing)
    read_all = index._read_all
    calls = []

    def meanwhile(folders: list[Path]) -> object:
        answer = read_all(folders)
        if not calls:
            (tmp_path / "new.json").write_text((tmp_path / "ending" / "state.json").read_text())
            make_run(tmp_path / "other", "ending")
            os.replace(tmp_path / "other" / "state.json", ending / "state.json")
            store.record(ending)
            shutil.rmtree(vanishing)
        calls.append(folders)
        return answer

    monkeypatch.setattr(index, "_read_all", meanwhile)
    result = store.rebuild([ending, vanishing])
    assert calls == [[ending, vanishing], [ending, vanishing]]
    assert (result.recorded, result.dropped) == (1, 1)
    assert [(row.id, row.state) for row in store.runs()] == [("ending", "finished")]


def test_a_server_keeps_what_other_machines_recorded(postgres_url: str, tmp_path: Path) -> None:
    with index.open_store(postgres_url) as here, index.open_store(postgres_url) as there:
        there._machine = "another machine"
        there.record(make_run(tmp_path / "run", "theirs"))
        make_run(tmp_path / "run", "ours")  # the same path means another folder on another machine
        here.record(tmp_path / "run")
        assert {row.id for row in here.runs()} == {"theirs", "ours"}
        shutil.rmtree(tmp_path / "run")
        assert here.rebuild([tmp_path]).dropped == 1
        assert [row.id for row in here.runs()] == ["theirs"]
        assert there.rebuild([tmp_path]).dropped == 1
        assert here.runs() == []


def test_a_sqlite_file_belongs_to_its_machine_whatever_that_is_called(sqlite_url: str, tmp_path: Path) -> None:
    with index.open_store(sqlite_url) as store:
        store._machine = "before"
        store.record(make_run(tmp_path / "run"))
        store._machine = "after"
        shutil.rmtree(tmp_path / "run")
        assert store.rebuild([]).dropped == 1
