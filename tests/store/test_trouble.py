from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from sqlalchemy import event

import whet.store.connection as connection_room
from whet.store.index import note_run, open_store
from whet.store.unavailable import StoreUnavailable

from .runfolders import make_run


def code_of(caught: pytest.ExceptionInfo[StoreUnavailable]) -> str:
    (problem,) = caught.value.problems
    assert problem.remedy
    return problem.code


def printed(caught: pytest.ExceptionInfo[StoreUnavailable]) -> str:
    """The whole traceback as Python prints it, without the source lines of this file."""
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    return "\n".join(line for line in lines if "open_store(" not in line)


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def filled(url: str, tmp_path: Path) -> Path:
    """An index of 40 runs, so that it has pages enough to damage; its file."""
    with open_store(url) as store:
        for number in range(40):
            store.record(make_run(tmp_path / "runs" / str(number), f"id{number:02}"))
    return file_of(url)


def no_file(path: Path) -> None:
    path.write_bytes(b"These are notes, not a database.\n" * 200)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scrambled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def without_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE scores")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [no_file, cut_short, scrambled, without_a_table])
def test_a_damaged_file_is_named_with_the_remedy_and_a_repair_moves_it_aside(
    sqlite_url: str, tmp_path: Path, damage: object
) -> None:
    path = filled(sqlite_url, tmp_path)
    damage(path)  # type: ignore[operator]
    content = path.read_bytes()
    with pytest.raises(StoreUnavailable) as caught, open_store(sqlite_url) as store:
        store.runs()
    assert code_of(caught) == "S003"
    assert "whet runs --rebuild" in str(caught.value)
    assert str(path) in str(caught.value)
    assert note_run(tmp_path / "runs" / "0", sqlite_url)[0].code == "S003"

    with open_store(sqlite_url, repair=True) as store:
        assert store.set_aside is not None
        assert store.set_aside.parent == path.parent
        assert store.set_aside.read_bytes()[:4096] == content[:4096]
        assert store.runs() == []
        assert store.rebuild([tmp_path / "runs"]).recorded == 40
        assert len(store.runs()) == 40
    with open_store(sqlite_url, repair=True) as store:
        assert store.set_aside is None
        assert len(store.runs()) == 40


def test_files_set_aside_within_a_second_have_names_of_their_own(sqlite_url: str) -> None:
    names = set()
    for _ in range(3):
        file_of(sqlite_url).parent.mkdir(exist_ok=True)
        no_file(file_of(sqlite_url))
        with open_store(sqlite_url, repair=True) as store:
            names.add(store.set_aside)
    assert len(names) == 3
    assert all(name is not None and name.read_bytes().startswith(b"These are notes") for name in names)


def test_an_empty_file_is_a_new_index(sqlite_url: str) -> None:
    file_of(sqlite_url).parent.mkdir()
    file_of(sqlite_url).touch()
    with open_store(sqlite_url) as store:
        assert store.runs() == []


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.sqlite").mkdir()
    for place in ("/proc/whet/runs.sqlite", f"{tmp_path}/file/runs.sqlite", f"{tmp_path}/folder.sqlite"):
        with pytest.raises(StoreUnavailable) as caught:
            open_store(f"sqlite:///{place}")
        assert code_of(caught) == "S002", place
        assert place in str(caught.value)


READ_ONLY = """
import os, sqlite3, sys
from pathlib import Path
import alembic.command, sqlalchemy.dialects.sqlite, yaml  # the other user may not read where Python lies
from whet.store.index import note_run
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
print(note_run(Path(sys.argv[1]), sys.argv[2])[0].code)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs the permissions of Unix")
def test_a_home_that_is_read_only_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other users
        folder = make_run(Path(name) / "run")
        Path(name, "locked").mkdir()
        Path(name, "locked").chmod(0o555)
        Path(name).chmod(0o755)
        for place in ("locked/runs.sqlite", "locked/whet/runs.sqlite"):
            url = f"sqlite:///{name}/{place}"
            done = subprocess.run(
                [sys.executable, "-c", READ_ONLY, folder, url], capture_output=True, text=True, check=False
            )
            assert done.stdout == "S002\n", done.stderr


def test_a_full_disk_is_told_and_the_index_stays_whole(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(sqlite_url, tmp_path)
    last = make_run(tmp_path / "last", "last", name="x" * 10_000)
    with open_store(sqlite_url) as store:

        @event.listens_for(store._engine, "connect")
        def no_more_pages(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the pages there are

        with pytest.raises(StoreUnavailable) as caught:
            store.record(last)
        assert code_of(caught) == "S007"
        assert len(store.runs()) == 40


def test_a_writer_waits_for_its_turn_and_then_says_so(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_room, "WAIT_SECONDS", 0.3)
    folder = make_run(tmp_path / "run")
    with open_store(url) as store, open_store(url) as other:
        with connection_room.writing(store._engine):
            assert other.runs() == []  # reading never waits
            with pytest.raises(StoreUnavailable) as caught:
                other.record(folder)
            assert code_of(caught) == "S008"
        other.record(folder)
        assert len(store.runs()) == 1


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable) as caught:
        open_store(f"postgresql://me:hush@/runs?host={tmp_path}")
    assert code_of(caught) == "S006"
    assert "hush" not in printed(caught)


def test_a_wrong_password_is_not_repeated(postgres_url: str) -> None:
    wrong = postgres_url.replace("open%20sesame", "hush")
    for url in (wrong, wrong.replace(":hush@", "@") + "&password=hush"):
        with pytest.raises(StoreUnavailable, match="password authentication failed") as caught:
            open_store(url)
        assert code_of(caught) == "S006"
        assert "hush" not in printed(caught)


def test_an_unknown_database_and_missing_rights(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        open_store(postgres_url.replace("/postgres?", "/nowhere?"))
    assert code_of(caught) == "S006"
    open_store(postgres_url).close()
    read_only = postgres_url + "&options=-c%20default_transaction_read_only%3Don"
    assert [problem.code for problem in note_run(make_run(tmp_path), read_only)] == ["S002"]


def test_a_server_without_a_table_says_what_to_drop(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        with connection_room.writing(store._engine) as connection:
            connection.exec_driver_sql("DROP TABLE scores")
        with pytest.raises(StoreUnavailable, match="Drop the tables") as caught:
            store.runs()
        assert code_of(caught) == "S003"


def test_the_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnavailable, match=r"whet\[postgres\]") as caught:
        open_store("postgresql://me:hush@server/runs")
    assert code_of(caught) == "S005"
    assert "hush" not in printed(caught)
