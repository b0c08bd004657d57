"""What a database says, turned into a problem with a code and a remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from whet.errors import Problem
from whet.store.location import Location
from whet.store.unavailable import ELSEWHERE, REBUILD, REBUILD_SERVER, StoreUnavailable

# SQLite's primary result codes, https://sqlite.org/rescode.html
SQLITE_CODES = {
    3: "not_allowed",  # PERM
    5: "busy",  # BUSY
    6: "busy",  # LOCKED
    8: "not_allowed",  # READONLY
    10: "unreadable",  # IOERR
    11: "damaged",  # CORRUPT
    13: "full",  # FULL
    14: "not_allowed",  # CANTOPEN
    26: "damaged",  # NOTADB
}
# PostgreSQL's SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
POSTGRES_STATES = {
    "42501": "not_allowed",  # insufficient_privilege
    "25006": "not_allowed",  # read_only_sql_transaction
    "53100": "full",  # disk_full
    "55P03": "busy",  # lock_not_available
    "42P01": "damaged",  # undefined_table
    "42703": "damaged",  # undefined_column
}


@contextlib.contextmanager
def told_clearly(location: Location) -> Iterator[None]:
    """Turn everything a database may refuse into one :class:`StoreUnavailable`.

    :raises StoreUnavailable: S002 not allowed, S003 damaged, S006 no answer, S007 full, S008 busy,
        S010 anything else.
    """
    try:
        yield
    except DBAPIError as error:
        # Without the cause: its text and the frames below it may hold the password.
        raise StoreUnavailable(_problem(_kind(error), _said(error, location), location)) from None
    except (SQLAlchemyError, UnicodeEncodeError) as error:
        raise StoreUnavailable(_problem("other", location.scrubbed(str(error)), location)) from None


def _kind(error: DBAPIError) -> str:
    orig: Any = error.orig
    code = getattr(orig, "sqlite_errorcode", None)
    if code is not None:
        if code & 0xFF == 1 and str(orig).startswith(("no such table", "no such column")):
            return "damaged"
        return SQLITE_CODES.get(code & 0xFF, "other")
    state = getattr(orig, "sqlstate", None)
    if state in POSTGRES_STATES:
        return POSTGRES_STATES[state]
    # Classes: connection, authorisation, catalogue, operator's intervention; None: never connected.
    if type(error).__name__ == "OperationalError" and (state is None or state[:2] in ("08", "28", "3D", "53", "57")):
        return "no_answer"
    return "other"


def _said(error: DBAPIError, location: Location) -> str:
    lines = str(error.orig).strip().splitlines()
    return location.scrubbed(lines[0] if lines else type(error).__name__).rstrip(".")


def _problem(kind: str, said: str, location: Location) -> Problem:
    where = location.shown
    if kind == "damaged":
        remedy = REBUILD_SERVER if location.is_server else REBUILD
        return Problem("S003", where, f"the run index is damaged ({said}).", remedy)
    if kind == "full":
        return Problem("S007", where, f"no space is left for the run index ({said}).", "Free some space.")
    if kind == "busy":
        return Problem("S008", where, f"another process holds the run index ({said}).", "Try again in a moment.")
    if kind == "no_answer":
        remedy = "Look at the server, the user and the password in WHET_STORE."
        return Problem("S006", where, f"the database does not let us in ({said}).", remedy)
    if kind in ("not_allowed", "unreadable"):
        return Problem("S002", where, f"the run index cannot be opened or written ({said}).", ELSEWHERE)
    return Problem("S010", where, f"the database says: {said}.", ELSEWHERE)
