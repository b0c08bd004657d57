"""New, older, newer, foreign and damaged databases.

Alembic is imported only when the schema has to change: the version is read by plain SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.engine import Connection, Engine

from whet.errors import Problem
from whet.store.connection import writing
from whet.store.location import Location
from whet.store.tables import replies, runs, scores
from whet.store.unavailable import ELSEWHERE, REBUILD, StoreUnavailable
from whet.store.versions import SCHEMA, VERSIONS

_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)"
    " AND relname IN ('alembic_version', 'runs', 'scores', 'replies')",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a database holds under our names: tables, and the versions noted by Alembic."""

    tables: frozenset[str]
    versions: tuple[str, ...]


def look(connection: Connection) -> Found:
    """Read which of our tables exist and their version, by plain SQL."""
    tables = frozenset(row[0] for row in connection.exec_driver_sql(_TABLES[connection.dialect.name]))
    if "alembic_version" not in tables:
        return Found(tables, ())
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    return Found(tables, tuple(row[0] for row in rows))


def ensure_schema(engine: Engine, location: Location) -> None:
    """Bring a new or older database to the newest schema; any number of processes may do so at once.

    :raises StoreUnavailable: S004 a newer whet made it, S009 it belongs to another program.
    """
    with engine.connect() as connection:
        found = look(connection)
    if found.versions == (SCHEMA,):
        return
    _refuse(found, location)
    with writing(engine) as connection:
        found = look(connection)  # another process may have been first
        if found.versions == (SCHEMA,):
            return
        _refuse(found, location)
        migrate(connection, "head")


def _refuse(found: Found, location: Location) -> None:
    if any(version in VERSIONS for version in found.versions):
        return
    if not found.versions and not found.tables & {"runs", "scores", "replies"}:
        return
    if any(len(version) == 4 and version.isdecimal() for version in found.versions):
        what = f"the run index was made by a newer whet (schema {found.versions[0]}, this one knows {SCHEMA})."
        remedy = f"Update whet: pip install --upgrade whet. Or: {ELSEWHERE}"
        raise StoreUnavailable(Problem("S004", location.shown, what, remedy))
    what = "holds tables of another program under the names that whet uses."
    remedy = "Give whet a database or a PostgreSQL schema of its own."
    raise StoreUnavailable(Problem("S009", location.shown, what, remedy))


def migrate(connection: Connection, to: str) -> None:
    """Carry the schema to version ``to`` (``head``, ``base`` or a number), in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))  # '%' is its escape
    config.attributes["connection"] = connection
    if to == "base":
        command.downgrade(config, "base")
    elif to == "head" or to > (look(connection).versions or ("",))[0]:
        command.upgrade(config, to)
    else:
        command.downgrade(config, to)


def check_soundness(connection: Connection, location: Location) -> None:
    """Read a SQLite file through and through, and touch every table.

    :raises StoreUnavailable: S003, a page is damaged. What the driver itself says is left to the caller.
    """
    if connection.dialect.name == "sqlite":
        said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if said != "ok":
            raise StoreUnavailable(Problem("S003", location.shown, f"the run index is damaged ({said}).", REBUILD))
    for table in (runs, scores, replies):
        connection.execute(select(table).limit(1)).all()
