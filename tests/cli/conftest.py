from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import made_runs
from tests.made_runs import Runs

from .calling import Whet, caller


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
def whet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Whet:
    """Runs the command in this process."""
    return caller(capsys, monkeypatch)
