from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from whet.store.index import Store, open_store


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reaches the index of whoever runs it."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("WHET_STORE", raising=False)
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="the extra whet[postgres] is not installed")
    from .postgres import Missing, server

    try:
        with server() as url:
            yield url
    except Missing as missing:
        pytest.skip(f"no PostgreSQL server: {missing}")


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The URL of an empty database."""
    from sqlalchemy import create_engine, pool

    engine = create_engine(postgres_server.replace("postgresql:", "postgresql+psycopg:"), poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    return postgres_server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/index/runs.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty index in each database."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened
