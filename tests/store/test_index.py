from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from whet.errors import UserError
from whet.store.folder import read_folder
from whet.store.index import Store, note_run, open_store
from whet.store.rows import ScoreRow

from .runfolders import VERDICT, make_run, score, write


def codes(error: pytest.ExceptionInfo[UserError]) -> list[str]:
    return [problem.code for problem in error.value.problems]


def test_a_recorded_run_is_listed_as_its_folder_tells_it(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert store.record(folder) == ()
    (row,) = store.runs()
    want = read_folder(folder).run
    for name in want.__slots__:
        if name not in ("machine", "score"):
            assert getattr(row, name) == getattr(want, name), name
    assert row.started_at is not None
    assert row.started_at.tzinfo is UTC
    assert row.score == ScoreRow("test", "probe", "accuracy", **score(0.5))  # of the model to ship
    assert set(store.scores(row.id)) == set(read_folder(folder).scores)
    assert store.scores("another") == []


def test_recording_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    store.record(folder)
    before = store.runs(), store.scores("00c0ffee")
    store.record(folder)
    store.record(tmp_path / "." / "run" / ".." / "run")
    assert (store.runs(), store.scores("00c0ffee")) == before


def test_recording_replaces_what_was_known(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", state="running", finished_at=None)
    for name in ("scores.json", "verdict.json"):
        (folder / name).unlink()
    store.record(folder)
    (row,) = store.runs()
    assert (row.state, row.finished_at, row.verdict, row.score) == ("running", None, None, None)
    make_run(folder)
    store.record(folder)
    (row,) = store.runs()
    assert (row.state, row.verdict) == ("finished", "ship")
    assert len(store.scores(row.id)) == 6


def test_a_moved_run_and_a_new_run_in_an_old_place_have_one_row(store: Store, tmp_path: Path) -> None:
    store.record(make_run(tmp_path / "a", "a1"))
    (tmp_path / "a").rename(tmp_path / "b")
    store.record(tmp_path / "b")
    assert [(row.id, row.folder.name) for row in store.runs()] == [("a1", "b")]
    store.record(make_run(tmp_path / "b", "b2"))
    assert [(row.id, row.folder.name) for row in store.runs()] == [("b2", "b")]
    assert store.scores("a1") == []


def test_runs_are_sorted_filtered_and_limited(store: Store, tmp_path: Path) -> None:
    for number in range(5):
        make_run(tmp_path / str(number), f"id{number}", started_at=f"2026-03-0{number + 1}T00:00:00Z")
    make_run(tmp_path / "never", "id9", started_at=None, state="failed")
    write(tmp_path / "2" / "recipe.yaml", "task: fill-mask\nbase: other\nmethod: lora\ndata: {source: org/set}\n")
    for folder in ("3", "never", "0", "4", "2", "1"):
        store.record(tmp_path / folder)
    assert [row.id for row in store.runs()] == ["id4", "id3", "id2", "id1", "id0", "id9"]
    assert [row.id for row in store.runs(2)] == ["id4", "id3"]
    assert store.runs(0) == []
    for wanted in ({"task": "fill-mask"}, {"base": "other"}, {"method": "lora"}, {"data": "set"}):
        assert [row.id for row in store.runs(**wanted)] == ["id2"]  # type: ignore[arg-type]
    assert [row.id for row in store.runs(state="failed")] == ["id9"]
    assert store.runs(task="fill-mask", state="failed") == []


def test_times_are_utc_wherever_the_session_lives(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    store.record(make_run(tmp_path, started_at="2026-03-01T23:30:00-05:00"))
    (row,) = store.runs()
    assert row.started_at == datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    assert row.started_at is not None
    assert row.started_at.utcoffset() == row.started_at.astimezone(UTC).utcoffset()


def test_values_at_the_edge_of_the_columns(store: Store, tmp_path: Path) -> None:
    make_run(tmp_path, name="a\0b", whet="\ud800", started_at="0001-01-01T00:00:00+00:00")
    write(tmp_path / "recipe.yaml", f'seed: {2**63 - 1}\ntask: 3\nbase: "{"x" * 5000}"\n')
    write(tmp_path / "data" / "ledger.json", {"splits": {"train": {"kept": 2**70}}})
    (tmp_path / "resolved.yaml").unlink()
    store.record(tmp_path)
    (row,) = store.runs()
    assert (row.name, row.whet, row.task, row.num_train_rows) == (tmp_path.name, None, None, None)
    assert (row.seed, len(row.base or "")) == (2**63 - 1, 5000)


def test_a_folder_that_is_no_run_leaves_the_index_as_it_was(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    store.record(folder)
    write(folder / "state.json", "{")
    with pytest.raises(UserError) as caught:
        store.record(folder)
    assert codes(caught) == ["S021"]
    assert [row.state for row in store.runs()] == ["finished"]
    store.record(make_run(tmp_path / "next", "next"))  # the turn was given back
    assert len(store.runs()) == 2


def test_forget_drops_the_row_and_leaves_the_folder(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    store.record(folder)
    assert store.forget(folder)
    assert not store.forget(folder)
    assert store.runs() == []
    assert store.scores("00c0ffee") == []
    assert (folder / "state.json").is_file()


def test_find_by_id_folder_name_and_the_beginning_of_an_id(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id, name in (("abc1", "spam"), ("abc2", "abc1"), ("a%c3", "spam"), ("fff", "tone")):
        store.record(make_run(tmp_path / id, id, name=name))
    assert store.find("abc1").id == "abc1"  # an id comes before a name
    assert store.find("tone").id == "fff"
    assert store.find("f").id == "fff"
    assert store.find("a%").id == "a%c3"  # no wildcard
    monkeypatch.chdir(tmp_path / "abc2")
    assert store.find(".").id == "abc2"
    assert store.find(str(tmp_path / "fff")).id == "fff"


def test_find_says_what_is_ambiguous_and_what_is_near(store: Store, tmp_path: Path) -> None:
    for id, name in (("abc1", "spam"), ("abc2", "spam"), ("def", "tickets")):
        store.record(make_run(tmp_path / id, id, name=name))
    for word in ("spam", "abc"):
        with pytest.raises(UserError, match=r"abc1.*abc2") as caught:
            store.find(word)
        assert codes(caught) == ["S031"]
    with pytest.raises(UserError, match="Did you mean 'tickets'") as caught:
        store.find("ticket")
    assert codes(caught) == ["S030"]
    with pytest.raises(UserError):
        store.runs(task="\ud800")
    for word in ("", "zzz", "%", "~no-such-user", "a\0b", "\ud800"):
        with pytest.raises(UserError) as caught:
            store.find(word)
        assert codes(caught) == ["S030"], word


def test_note_run_gives_trouble_back(url: str, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    assert note_run(folder, url) == ()
    with open_store(url) as store:
        assert [row.id for row in store.runs()] == ["00c0ffee"]
    write(folder / "verdict.json", "{")
    assert [problem.code for problem in note_run(folder, url)] == ["S021"]
    assert [problem.code for problem in note_run(tmp_path, url)] == ["S020"]
    (problem,) = note_run(folder, "sqlite:////proc/none/runs.sqlite")
    assert problem.code == "S002"
    assert "WHET_STORE" in problem.remedy


def test_the_headline_is_empty_where_the_verdict_ships_nothing_known(store: Store, tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    write(folder / "verdict.json", VERDICT | {"code": "cannot_tell", "ship": "unheard-of"})
    store.record(folder)
    (row,) = store.runs()
    assert (row.verdict, row.ship, row.score) == ("cannot_tell", "unheard-of", None)


def test_an_index_in_memory_works(tmp_path: Path) -> None:
    with open_store("sqlite://") as store:
        store.record(make_run(tmp_path))
        assert len(store.runs()) == 1


def test_a_copied_index_needs_only_its_file(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url) as store:
        store.record(make_run(tmp_path / "run"))
    assert [path.name for path in (tmp_path / "index").iterdir()] == [
        "runs.sqlite"
    ]  # the last connection folds the journal in
    shutil.copy(tmp_path / "index" / "runs.sqlite", tmp_path / "copy.sqlite")
    with open_store(f"sqlite:///{tmp_path}/copy.sqlite") as store:
        assert len(store.runs()) == 1
