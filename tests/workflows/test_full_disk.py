"""A disk that fills up, and a folder that may not be written: said clearly, and gone on from."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.made_runs import Runs

from .contents import check_same, left_over, states

Mount = Callable[[str], Path]


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Mount]:
    """A small disk of its own; called again with other options, it is mounted anew with what it holds."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        again = ["-o", f"remount,{options}"] if place.is_mount() else ["-o", options]
        done = subprocess.run(["mount", "-t", "tmpfs", *again, "tmpfs", str(place)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk of its own can be mounted here: {done.stderr.strip()}")
        return place

    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    yield mount
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


def test_a_disk_that_fills_up_again_and_again(runs: Runs, mounted: Mount, tmp_path: Path):
    """Each time there is a little more room, and the run comes a little further."""
    run = mounted("size=64k") / "run"
    words = runs.line("full", run)
    for size in (64, 160, 224, 288, 352, 416, 480):
        mounted(f"size={size}k")
        child = forked.run(words, tmp_path)
        if child.code() == 0:
            break
        assert child.code() == 2, child.out + child.err
        lines = child.err.strip().splitlines()
        assert len(lines) == 1, child.err
        assert lines[0].startswith(f"F001 {run}")
        assert "the disk is full; nothing half-written was left. Free some space" in lines[0]
        assert not run.exists() or left_over(run) == []
        words = ["resume", str(run)] if run.exists() else words
    assert words[0] == "resume", "the disk was never full in the middle of the run"
    mounted("size=64m")
    if states(run) != "finished":
        child = forked.run(words, tmp_path)
        assert child.code() == 0, child.out + child.err
    check_same(run, runs.finished("full"))


def test_a_disk_without_any_room(runs: Runs, mounted: Mount, tmp_path: Path):
    disk = mounted("size=8k")
    (disk / "something").write_bytes(b"x" * 8192)
    child = forked.run(runs.line("probe", disk / "run"), tmp_path)
    assert child.code() == 2
    assert child.err.startswith("F001 ")
    assert len(child.err.strip().splitlines()) == 1
    assert [path.name for path in disk.iterdir()] == ["something"]


def test_a_disk_that_may_only_be_read(runs: Runs, mounted: Mount, tmp_path: Path):
    disk = mounted("size=1m,ro")
    child = forked.run(runs.line("probe", disk / "run"), tmp_path)
    assert child.code() == 2
    assert child.err == f"F002 {disk}/run/state.json: writing here is not allowed. Choose another folder with --out.\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(runs: Runs, tmp_path: Path):
    place = tmp_path / "closed"
    place.mkdir(mode=0o500)
    child = forked.run(runs.line("probe", place / "run"), tmp_path)
    assert child.code() == 2
    assert child.err.startswith(f"F002 {place}/run")
    assert list(place.iterdir()) == []
