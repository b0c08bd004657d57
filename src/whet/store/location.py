"""The address of the index as SQLAlchemy takes it, and how to name it without its password."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from whet.errors import Problem
from whet.store.place import REMEDY, VARIABLE, chosen_url, default_path, file_named
from whet.store.unavailable import StoreUnavailable

DIALECTS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""What a URL may begin with, and the dialect and driver that then serve it."""


@dataclass(frozen=True, slots=True)
class Location:
    """An address: ``path`` is the SQLite file, None for a server or for memory."""

    url: URL
    path: Path | None

    @property
    def is_server(self) -> bool:
        """Whether several machines may share this index."""
        return self.url.get_backend_name() == "postgresql"

    @property
    def shown(self) -> str:
        """The address as messages name it: no password, and no query, which may hold one too."""
        if self.path is not None:
            return str(self.path)
        return self.url.set(drivername=self.url.get_backend_name(), query={}).render_as_string(hide_password=True)

    def scrubbed(self, text: str) -> str:
        """``text`` without the secrets of the address, for what a driver says in its own words."""
        secrets = [self.url.password, *(self.url.query.get(name) for name in ("password", "sslpassword", "passfile"))]
        for secret in secrets:
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "***")
        return text


def locate(url: str | None = None) -> Location:
    """The address to use: ``url``, else the variable ``WHET_STORE``, else the file of the user.

    :raises StoreUnavailable: S001 the address cannot be understood, S002 there is no home folder.
    """
    url = chosen_url(url)
    if url is None:
        path = default_path()
        return Location(URL.create("sqlite", database=str(path)), path)
    return _parsed(url)


def _parsed(text: str) -> Location:
    scheme, separator, _ = text.partition("://")
    if not separator:
        # Nothing of the text is repeated: a mistyped URL may carry its password anywhere.
        raise _unusable("is not a URL.")
    if scheme not in DIALECTS:
        plain = scheme.replace("+", "").isalnum()
        raise _unusable(f"begins with {scheme!r}, which is neither SQLite nor PostgreSQL." if plain else "")
    try:
        url = make_url(text).set(drivername=DIALECTS[scheme])
    except (ArgumentError, ValueError):
        raise _unusable(f"begins with '{scheme}://' but cannot be understood further.") from None
    if url.get_backend_name() != "sqlite":
        return Location(url, None)
    if not url.database or url.database == ":memory:":
        return Location(url, None)
    if url.database.startswith("file:"):
        raise _unusable("uses SQLite's 'file:' form; give a plain path.")
    try:
        path = file_named(url.database)
    except RuntimeError:
        raise _unusable("begins with '~', and there is no such user.") from None
    return Location(url.set(database=str(path)), path)


def _unusable(what: str) -> StoreUnavailable:
    return StoreUnavailable(
        Problem("S001", VARIABLE, f"the address of the run index {what or 'cannot be understood.'}", REMEDY)
    )
