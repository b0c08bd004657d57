"""Engines, and transactions that take turns.

A connection lives as long as one transaction: a run of many hours then neither holds a server's
connection nor stumbles over one that was cut meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import create_engine, event, pool
from sqlalchemy.engine import Connection, Engine

from whet.errors import Problem
from whet.store.location import Location
from whet.store.unavailable import ELSEWHERE, StoreUnavailable

WAIT_SECONDS = 30
"""How long a writer waits for the others; each holds the turn for milliseconds."""

CONNECT_SECONDS = 5
TURN = 0x77686574
"""Number of the advisory lock under which writers of a PostgreSQL index take turns."""


def make_engine(location: Location) -> Engine:
    """An engine for ``location``; a missing folder for a SQLite file is made.

    :raises StoreUnavailable: S002 the folder cannot be made, S005 the PostgreSQL driver is missing.
    """
    return _postgres(location) if location.is_server else _sqlite(location)


def _postgres(location: Location) -> Engine:
    # No prepared statements: they fail behind a pooler that hands each transaction another session.
    settings: dict[str, Any] = {"prepare_threshold": None, "application_name": "whet"}
    if "connect_timeout" not in location.url.query:
        settings["connect_timeout"] = CONNECT_SECONDS
    try:
        return create_engine(
            location.url, poolclass=pool.NullPool, connect_args=settings, isolation_level="READ COMMITTED"
        )
    except ImportError:
        remedy = "Run: pip install 'whet[postgres]'"
        raise StoreUnavailable(Problem("S005", location.shown, "needs the driver psycopg 3.", remedy)) from None


def _sqlite(location: Location) -> Engine:
    if location.path is not None:
        try:
            location.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"the folder of the run index cannot be made: {error.strerror}."
            raise StoreUnavailable(Problem("S002", location.shown, what, ELSEWHERE)) from None
    engine = create_engine(
        location.url,
        poolclass=pool.StaticPool if location.path is None else pool.NullPool,
        connect_args={"timeout": WAIT_SECONDS},  # seconds; SQLite's busy_timeout
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    """Readers beside a writer (WAL), and transactions that begin where we say so."""
    connection.isolation_level = None  # the driver would begin by itself, and late
    try:
        with contextlib.suppress(connection.OperationalError):
            # Kept by the file. Fails while somebody else makes the file; the next connection sets it.
            connection.execute("PRAGMA journal_mode = WAL")
        # Safe against a killed process; a power cut may lose the last rows, which a rebuild finds again.
        connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        connection.close()  # the pool does not, when it never got the connection
        raise


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another got ahead of it:
    # no waiting helps there. So writers take their turn at the beginning.
    writes = connection.get_execution_options().get("whet_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is alone in writing; committed at the end, undone on an error."""
    with engine.connect().execution_options(whet_writes=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")
        yield connection
