from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whet.store.index import open_store

from .runfolders import make_run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")


def crowd(url: str, what: str, folder: Path) -> None:
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("crowd.py")), url, what, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_ten_processes_start_on_an_empty_database(url: str, tmp_path: Path) -> None:
    crowd(url, "open", tmp_path)
    with open_store(url) as store:
        assert store.runs() == []


def test_ten_processes_record_and_rebuild_at_once(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for number in range(10):
        for turn in range(3):
            make_run(folder / f"{number}-{turn}", f"id-{number}-{turn}", name=f"{number}-{turn}")
    make_run(folder / "shared", "shared")
    crowd(url, "record", folder)
    with open_store(url) as store:
        assert {row.id for row in store.runs()} == {f"id-{a}-{b}" for a in range(10) for b in range(3)} | {"shared"}
        assert all(len(store.scores(row.id)) == 6 for row in store.runs())


def test_a_process_killed_while_it_migrates_leaves_an_index_that_opens(url: str, tmp_path: Path) -> None:
    crowd(url, "kill", tmp_path)
