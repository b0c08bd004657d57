from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import made_runs
from tests.made_runs import Runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Finished runs on tiny models."""
    return made_runs.shared(tmp_path_factory)


@pytest.fixture(autouse=True)
def quiet_machine(tmp_path: Path, own_store: None) -> Iterator[None]:
    """One thread, and the store of this test."""
    with made_runs.quiet_machine(tmp_path / "store.sqlite"):
        yield


@pytest.fixture
def no_report(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing it takes half of a tiny run's time, and it has tests of its own."""
    for kind in ("probe", "full"):  # the shared ones have theirs
        runs.finished(kind)
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
