"""The doors open at once: what costs seconds to import is imported when a command needs it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.made_runs import Runs

WANTED = 0.3
"""Seconds of a processor from the command to its last line, on a quiet machine."""
ON_A_BUSY_MACHINE = 0.6
HEAVY = ("torch", "transformers", "sklearn", "scipy", "pandas", "datasets", "altair", "pyarrow", "sqlalchemy")


def whet(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whet.cli.app", *words], capture_output=True, text=True, check=True, timeout=60
    )


def fastest(words: Sequence[str], times: int = 5) -> float:
    """The best of several, in time of the processor: it says most about the code and least about the machine."""
    best = float("inf")
    for _ in range(times):
        start = spent_by_children()
        whet(words)
        best = min(best, spent_by_children() - start)
        if best <= WANTED:
            break
    return best


def spent_by_children() -> float:
    """Seconds of a processor that programs begun from here have taken so far."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


@pytest.fixture
def index(runs: Runs) -> None:
    """An index with a run in it."""
    from whet.store.index import note_run

    assert note_run(runs.finished("probe")) == ()


def test_help(runs: Runs):
    assert fastest(["--help"]) <= ON_A_BUSY_MACHINE


def test_runs(index: None):
    assert "finished" in whet(["runs"]).stdout
    assert fastest(["runs"]) <= ON_A_BUSY_MACHINE


@pytest.mark.parametrize("words", [["--help"], ["runs"], ["fit", "--help"]])
def test_nothing_heavy_is_imported(index: None, words: list[str]):
    program = (
        "import sys\n"
        f"sys.argv = ['whet', *{words!r}]\n"
        "from whet.cli.app import main\n"
        "try:\n    main()\nfinally:\n"
        f"    print('imported', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "imported"


def test_help_names_every_command():
    shown = whet(["--help"]).stdout
    for command in ("fit", "resume", "predict", "evaluate", "compare", "report", "audit", "runs", "check"):
        assert f"  {command} " in shown


def test_the_installed_command():
    """``whet`` itself, as pip puts it beside Python."""
    command = Path(sys.executable).with_name("whet")
    if not command.exists():
        pytest.skip("whet is not installed in this environment, only importable")
    done = subprocess.run([command, "resume", "nowhere"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("F012 nowhere: is not a run folder")
