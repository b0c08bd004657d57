from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_runs
from tests.made_runs import TRAINED, Runs
from tests.made_tasks import JOBS


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Finished runs on tiny models."""
    return made_runs.shared(tmp_path_factory)


@pytest.fixture(scope="session")
def fitted(runs: Runs) -> Any:
    """Runs by name of their job, each fitted when first asked for."""
    found: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in found:
            job = JOBS[name]
            place = runs.root / "tasks" / name.replace(" ", "-").replace(",", "")
            place.mkdir(parents=True, exist_ok=True)
            options = {**TRAINED, **job.options, "task": job.task, "method": "full"}
            rows = job.rows(place)
            named = {key.replace(".", "__"): value for key, value in options.items() if "." in key}
            base = str(runs.base(job.base))
            run = whet.fit(rows, task=job.task, base=base, method="full", out=place / "run", **named)
            found[name] = run.path
        return found[name]

    return of


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
