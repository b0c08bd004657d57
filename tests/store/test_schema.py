from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import whet.store
from whet.store.connection import make_engine, writing
from whet.store.index import Store, open_store
from whet.store.location import locate
from whet.store.schema import look, migrate
from whet.store.tables import metadata
from whet.store.unavailable import StoreUnavailable
from whet.store.versions import SCHEMA, VERSIONS

from .runfolders import make_run


def test_the_versions_are_those_of_the_migrations() -> None:
    script = ScriptDirectory(str(Path(whet.store.__file__).parent / "migrations"))
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == VERSIONS
    assert script.get_heads() == [SCHEMA]


def test_migrations_make_what_the_tables_describe(store: Store) -> None:
    with store._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert look(connection).versions == (SCHEMA,)


def test_every_version_can_be_gone_back_and_forth(url: str) -> None:
    location = locate(url)
    engine = make_engine(location)
    for to in (*VERSIONS, *reversed(VERSIONS), "base", "head", "base"):
        with writing(engine) as connection:
            migrate(connection, to)
        with engine.connect() as connection:
            expected = {"base": (), "head": (SCHEMA,)}.get(to, (to,))
            assert look(connection).versions == expected
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    with open_store(url) as store:  # a database that was emptied this way is made again
        assert store.runs() == []


def test_a_failed_migration_leaves_nothing(url: str) -> None:
    engine = make_engine(locate(url))
    with pytest.raises(RuntimeError, match="cut"), writing(engine) as connection:
        migrate(connection, "head")
        raise RuntimeError("cut")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == []


def test_an_index_of_a_newer_whet_is_left_alone(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.record(make_run(tmp_path / "run"))
        with writing(store._engine) as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    for repair in (False, True):
        with pytest.raises(StoreUnavailable, match="newer whet") as caught:
            open_store(url, repair=repair)
        assert caught.value.problems[0].code == "S004"
    with writing(store._engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{SCHEMA}'")
    assert len(store.runs()) == 1


@pytest.mark.parametrize("version", [None, "7b1c8f2a9d10"])
def test_the_database_of_another_program_is_left_alone(url: str, version: str | None) -> None:
    engine = make_engine(locate(url))
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE runs (run_uuid VARCHAR(32))")
        if version:
            connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
            connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{version}')")
    for repair in (False, True):
        with pytest.raises(StoreUnavailable, match="another program") as caught:
            open_store(url, repair=repair)
        assert caught.value.problems[0].code == "S009"


def test_other_tables_in_the_same_database_do_not_matter(url: str, tmp_path: Path) -> None:
    with writing(make_engine(locate(url))) as connection:
        connection.exec_driver_sql("CREATE TABLE customers (id INTEGER)")
    with open_store(url) as store:
        store.record(make_run(tmp_path / "run"))
        assert len(store.runs()) == 1


def test_sqlite_keeps_a_write_ahead_log(sqlite_url: str, tmp_path: Path) -> None:
    with open_store(sqlite_url):
        pass
    connection = sqlite3.connect(tmp_path / "index" / "runs.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
