"""Files that are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet import files
from whet.errors import Problem, UserError
from whet.files import Lock, append_jsonl, beside, folder_beside, read_json, read_jsonl, sweep, write_json, write_text

rows_of_logs = st.lists(
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=6), max_size=3), max_size=6
)


def only(error: pytest.ExceptionInfo[UserError]) -> Problem:
    (problem,) = error.value.problems
    return problem


# --- whole or absent -------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_complete(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "a.bin"
    with beside(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("failure", [ValueError("ours"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: BaseException):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(type(failure)), beside(path) as file:
        file.write(b"new")
        raise failure
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failure", [ValueError("ours"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path, failure: BaseException):
    path = tmp_path / "model"
    for content in ("old", "new"):
        with folder_beside(path) as inside:
            (inside / "deep").mkdir()
            (inside / "deep" / content).write_text(content)
    assert [p.name for p in path.rglob("*")] == ["deep", "new"], "what the old one held is gone"
    with pytest.raises(type(failure)), folder_beside(path) as inside:
        (inside / "other").touch()
        raise failure
    assert [p.name for p in path.rglob("*")] == ["deep", "new"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_whose_last_rename_fails_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()
    rename = os.replace

    def refuse(source: Any, target: Any) -> None:
        if str(source).startswith(str(tmp_path / files.BESIDE)):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input/output"), folder_beside(path) as inside:
        (inside / "new").touch()
    assert [p.name for p in path.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path):
    plain = tmp_path / "plain"
    plain.touch()
    write_text(tmp_path / "ours", "x")
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode
    (tmp_path / "plain folder").mkdir()
    with folder_beside(tmp_path / "our folder"):
        pass
    assert (tmp_path / "our folder").stat().st_mode == (tmp_path / "plain folder").stat().st_mode


WRITERS = {
    "file": """
        from whet.files import write_json
        number = 0
        while True:
            number += 1
            write_json(folder / "state.json", {"number": number, "filling": "x" * 200_000, "again": number})
    """,
    "folder": """
        from whet.files import folder_beside
        number = 0
        while True:
            number += 1
            with folder_beside(folder / "last") as inside:
                for name in "abcd":
                    (inside / name).write_text(str(number) * 1000)
    """,
}


@pytest.mark.parametrize("what", WRITERS)
@pytest.mark.parametrize("milliseconds", [40, 61, 87])
def test_killed_at_any_moment(tmp_path: Path, what: str, milliseconds: int):
    """Kill -9 while a process writes and writes: what is found is one complete state."""
    code = "import pathlib, sys\nfolder = pathlib.Path(sys.argv[1])\nprint(flush=True)\n" + textwrap.dedent(
        WRITERS[what]
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        process.stdout.readline()
        place = tmp_path / ("state.json" if what == "file" else "last")
        while not place.exists():
            assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
    sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [place.name]
    if what == "file":
        state = read_json(place)
        assert state["number"] == state["again"] > 0
    else:
        contents = {p.read_text() for p in place.iterdir()}
        assert len(contents) == 1
        assert sorted(p.name for p in place.iterdir()) == list("abcd")


def test_sweeping_deletes_what_was_half_written_and_nothing_else(tmp_path: Path):
    kept = tmp_path / "checkpoints" / "last" / "state.safetensors"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (tmp_path / f"{files.BESIDE}scores.json-abc").touch()
    half = tmp_path / "checkpoints" / f"{files.BESIDE}last-xyz"
    half.mkdir()
    (half / f"{files.BESIDE}inside").touch()
    sweep(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [kept]
    assert [p.name for p in kept.parent.parent.iterdir()] == ["last"]


@pytest.mark.parametrize("new_is_there", [True, False])
def test_sweeping_puts_back_what_was_moved_aside(tmp_path: Path, new_is_there: bool):
    """A process killed between the two renames of a replacement leaves the old state under another name."""
    aside = tmp_path / f"{files.REPLACED}last"
    aside.mkdir()
    (aside / "old").touch()
    if new_is_there:
        (tmp_path / "last").mkdir()
        (tmp_path / "last" / "new").touch()
    sweep(tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()] == [
        "last/new" if new_is_there else "last/old"
    ]


# --- JSON and logs ---------------------------------------------------------------------------------


def test_json_has_stable_bytes(tmp_path: Path):
    value = {"b": [1, 2.5, None], "a": "é 日"}
    write_json(tmp_path / "a.json", value)
    first = (tmp_path / "a.json").read_bytes()
    write_json(tmp_path / "a.json", read_json(tmp_path / "a.json"))
    assert (tmp_path / "a.json").read_bytes() == first
    assert "é 日".encode() in first
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("content", "code"), [(None, "F010"), (b"", "F011"), (b'{"a": ', "F011"), (b"\xff\xfe\x00", "F011")]
)
def test_missing_and_damaged_json_are_named(tmp_path: Path, content: bytes | None, code: str):
    path = tmp_path / "scores.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_json(path)
    assert (only(caught).code, only(caught).where) == (code, str(path))


@given(rows_of_logs, rows_of_logs, st.integers(0, 200))
def test_a_log_torn_anywhere_keeps_its_whole_lines_and_goes_on(first: list[Any], second: list[Any], tear: int):
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "events.jsonl"
        append_jsonl(path, first)
        content = path.read_bytes()
        ends = [0, *(i + 1 for i, byte in enumerate(content) if byte == 0x0A)]
        cut = min(tear, len(content))
        path.write_bytes(content[:cut])
        whole = sum(0 < end - 1 <= cut for end in ends)  # a line that lacks its newline only is whole
        assert read_jsonl(path) == first[:whole]
        append_jsonl(path, second)
        assert read_jsonl(path) == first[:whole] + second
        append_jsonl(path, [{"more": 1}])
        assert read_jsonl(path) == [*first[:whole], *second, {"more": 1}]


def test_a_log_damaged_in_the_middle_is_not_passed_over(tmp_path: Path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"a": 1}\n{"b"\n{"c": 3}\n')
    with pytest.raises(UserError) as caught:
        read_jsonl(path)
    assert (only(caught).code, only(caught).where) == ("F011", f"{path}:2")
    assert read_jsonl(tmp_path / "absent.jsonl") == []


def test_hashes_are_those_of_the_standard_library(tmp_path: Path):
    content = np.random.default_rng(0).bytes(3_000_000)
    (tmp_path / "a").write_bytes(content)
    heard: list[int] = []
    assert files.sha256(tmp_path / "a", heard.append) == hashlib.sha256(content).hexdigest()
    assert heard == [1 << 20, 2 << 20, 3_000_000]


# --- full disks and closed folders ------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of 64 KiB."""
    place = tmp_path_factory.mktemp("small")
    mounted = sys.platform.startswith("linux") and os.geteuid() == 0
    if mounted:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True, check=False
        )
        mounted = done.returncode == 0
    if not mounted:
        pytest.skip("mounting a small disk takes root on Linux")
    yield place
    subprocess.run(["umount", place], check=True)


def _bytes(place: Path) -> None:
    with beside(place / "scores.bin") as file:
        file.write(b"0" * 200_000)


def _json(place: Path) -> None:
    write_json(place / "scores.json", ["0" * 200_000])


def _text_in_folder(place: Path) -> None:
    with folder_beside(place / "model") as inside:
        (inside / "a").write_text("0" * 200_000)


def _numpy(place: Path) -> None:
    with folder_beside(place / "tokens") as inside:
        np.save(inside / "offsets.npy", np.zeros(50_000))


def _checkpoint(place: Path) -> None:
    import torch

    from whet.engine.checkpoint import FolderKeeper

    FolderKeeper(place).save("last", {"weight": torch.zeros(50_000)}, {})


def _predictions(place: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with beside(place / "full.test.parquet") as file:
        pq.write_table(pa.table({"a": np.random.default_rng(0).random(50_000)}), file)


@pytest.mark.parametrize("write", [_bytes, _json, _text_in_folder, _numpy, _checkpoint, _predictions])
def test_a_full_disk_is_said_and_the_old_state_stays(small_disk: Path, write: Callable[[Path], None]):
    write_text(small_disk / "known.txt", "known")
    before = sorted(p.relative_to(small_disk) for p in small_disk.rglob("*"))
    with pytest.raises(UserError) as caught:
        write(small_disk)
    problem = only(caught)
    assert problem.code == "F001"
    assert "the disk is full" in problem.what
    assert "whet resume" in problem.remedy
    assert sorted(p.relative_to(small_disk) for p in small_disk.rglob("*")) == before
    assert (small_disk / "known.txt").read_text() == "known"


def test_a_log_on_a_full_disk_stays_readable(small_disk: Path):
    path = small_disk / "events.jsonl"
    append_jsonl(path, [{"step": 1}])
    with pytest.raises(UserError) as caught:
        append_jsonl(path, [{"step": 2, "filling": "0" * 200_000}])
    assert only(caught).code == "F001"
    assert read_jsonl(path) == [{"step": 1}]
    append_jsonl(path, [{"step": 2}])  # the torn line made room again
    assert read_jsonl(path) == [{"step": 1}, {"step": 2}]
    path.unlink()


@pytest.mark.parametrize(
    ("number", "code"),
    [(28, "F001"), (122, "F001"), (13, "F002"), (1, "F002"), (30, "F002"), (20, "F003"), (21, "F003")],
)
def test_refusals_of_the_system_are_explained(tmp_path: Path, number: int, code: str):
    with pytest.raises(UserError) as caught, files.explained(tmp_path):
        raise OSError(number, os.strerror(number))
    assert (only(caught).code, only(caught).where) == (code, str(tmp_path))


def test_other_errors_pass_through(tmp_path: Path):
    for error in (OSError(5, "Input/output error"), ValueError("ours"), UserError(Problem("X", "y", "z"))):
        with pytest.raises(type(error)) as caught, files.explained(tmp_path):
            raise error
        assert caught.value is error


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written to: read-only for root too, who may write into any other."""
    place = tmp_path / "closed"
    place.mkdir()
    if os.geteuid() != 0:
        place.chmod(0o500)
        yield place
        place.chmod(0o700)
        return
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("root may write anywhere, and nothing can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_folder_that_may_not_be_written_to_is_named(closed: Path):
    writers: list[Callable[[], object]] = [
        lambda: write_text(closed / "a", "x"),
        lambda: write_text(closed / "new" / "a", "x"),
        lambda: append_jsonl(closed / "log", [1]),
        lambda: Lock(closed).__enter__(),
        lambda: folder_beside(closed / "model").__enter__(),
    ]
    for write in writers:
        with pytest.raises(UserError) as caught:
            write()
        assert only(caught).code == "F002"
        assert only(caught).where.startswith(str(closed))
        assert "--out" in only(caught).remedy
    assert list(closed.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(UserError) as caught:
        write_text(tmp_path / "out" / "scores.json", "{}")
    assert only(caught).code == "F003"
    assert "Not a directory" in only(caught).what or "File exists" in only(caught).what


# --- locks ------------------------------------------------------------------------------------------

HOLD = """
import pathlib, sys, time
from whet.files import Lock
with Lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another real process that holds the lock of ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path: Path, holder: subprocess.Popen[str]):
    for _ in range(2):
        with pytest.raises(UserError) as caught, Lock(tmp_path):
            pytest.fail("two processes in one run folder")
        problem = only(caught)
        assert (problem.code, problem.where) == ("F020", str(tmp_path))
        assert f"process {holder.pid}" in problem.what
    holder.communicate("\n")
    with Lock(tmp_path):
        pass


def test_a_killed_process_gives_its_lock_back(tmp_path: Path, holder: subprocess.Popen[str]):
    holder.kill()
    holder.wait()
    with Lock(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"process {os.getpid()}"


def test_a_lock_can_be_taken_again_and_is_per_folder(tmp_path: Path):
    (tmp_path / "other").mkdir()
    for _ in range(2):
        with Lock(tmp_path), Lock(tmp_path / "other"), pytest.raises(UserError, match="F020"), Lock(tmp_path):
            pass
    assert json.dumps(sorted(p.name for p in tmp_path.iterdir())) == '[".lock", "other"]'
