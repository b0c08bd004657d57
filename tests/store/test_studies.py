"""Studies beside the index, in a file and on a server: kept, told apart, gone on with, shared by processes."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from whet.errors import UserError
from whet.store import studies
from whet.store.index import open_store
from whet.store.unavailable import StoreUnavailable

optuna = pytest.importorskip("optuna", reason="the extra whet[sweep] is not installed")


@pytest.fixture(autouse=True)
def no_studies_of_other_tests(request: pytest.FixtureRequest) -> None:
    """The server is shared by the tests, and only its public schema is emptied between them."""
    if "postgres_url" in request.fixturenames or getattr(request.node, "callspec", None) is not None:
        address = request.getfixturevalue("url" if "url" in request.fixturenames else "postgres_url")
        if address.startswith("postgresql"):
            import psycopg

            with psycopg.connect(address) as connection:
                connection.execute("DROP SCHEMA IF EXISTS optuna CASCADE")


def ask(study: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return study.ask()


def test_kept_and_found_again(url: str) -> None:
    study = studies.open_study("a", "recipe one", new=True, url=url)
    trial = ask(study)
    trial.suggest_float("x", 0.0, 1.0)
    study.tell(trial, 0.5)
    again = studies.open_study("a", "recipe one", new=False, url=url)
    assert [one.value for one in again.get_trials()] == [0.5] and again.direction.name == "MAXIMIZE"
    with open_store(url) as store:  # the index beside it is none the wiser
        assert store.runs() == []


def test_the_index_first_and_the_study_then(url: str) -> None:
    with open_store(url) as store:
        assert store.runs() == []
    studies.open_study("a", "recipe one", new=True, url=url)
    with open_store(url) as store:
        assert store.runs() == []


def test_of_another_recipe_or_not_there(url: str) -> None:
    studies.open_study("a", "recipe one", new=True, url=url)
    with pytest.raises(UserError, match="O002"):
        studies.open_study("a", "recipe two", new=True, url=url)
    with pytest.raises(UserError, match="O003") as caught:
        studies.open_study("b", "recipe one", new=False, url=url)
    assert "sesame" not in str(caught.value)


def test_trials_of_several_processes_have_numbers_of_their_own(url: str) -> None:
    studies.open_study("a", "recipe one", new=True, url=url)
    numbers: list[int] = []

    def work() -> None:
        study = studies.open_study("a", "recipe one", new=False, url=url)
        for _ in range(4):
            numbers.append(ask(study).number)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(12))


def test_a_heart_that_beats(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "STALE_SECONDS", 1)
    monkeypatch.setattr(studies, "BEAT_SECONDS", 1)
    study = studies.open_study("a", "recipe one", new=True, url=url)
    trial = ask(study)
    with studies.beating(study, trial._trial_id):
        time.sleep(0.2)
        assert studies.stale(study) == set()
    time.sleep(2.5)  # a database counts whole seconds
    assert studies.stale(study) == {trial._trial_id}


def test_in_a_schema_of_its_own(postgres_url: str) -> None:
    import psycopg

    studies.open_study("a", "recipe one", new=True, url=postgres_url)
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'studies'").fetchall()
        assert found == [("optuna",)]
        connection.execute("DROP SCHEMA optuna CASCADE")


def test_in_a_file_beside_the_index(sqlite_url: str) -> None:
    studies.open_study("a", "recipe one", new=True, url=sqlite_url)
    assert Path(sqlite_url.removeprefix("sqlite:///")).with_name("studies.sqlite").exists()


def test_where_no_study_can_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="O004"):
        studies.open_study("a", "recipe one", new=True, url="sqlite://")
    (tmp_path / "studies.sqlite").write_bytes(b"no database" * 200)
    with pytest.raises(StoreUnavailable, match="S003"):
        studies.open_study("a", "recipe one", new=True, url=f"sqlite:///{tmp_path}/runs.sqlite")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="O001") as caught:
        studies.refuse_without_optuna()
    assert "whet[sweep]" in str(caught.value)
