"""Where the index lies, as far as that can be told without loading SQLAlchemy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from whet.errors import Problem
from whet.store.unavailable import StoreUnavailable

VARIABLE = "WHET_STORE"
REMEDY = f"Set {VARIABLE} to 'sqlite:////folder/runs.sqlite' or 'postgresql://user@host/database'."


def chosen_url(url: str | None) -> str | None:
    """``url``, else what ``WHET_STORE`` says, else None for the file in the user's data folder."""
    return url if url is not None else os.environ.get(VARIABLE) or None


def default_path() -> Path:
    """``whet/runs.sqlite`` in the folder that the system gives to a user's data.

    :raises StoreUnavailable: S002, the system names no home folder.
    """
    try:
        return _data_folder() / "whet" / "runs.sqlite"
    except RuntimeError:
        raise StoreUnavailable(Problem("S002", VARIABLE, "this user has no home folder.", REMEDY)) from None


def file_named(database: str) -> Path:
    """The file that the last part of a SQLite URL names.

    :raises RuntimeError: ``~somebody`` who is not there.
    """
    return Path(database).expanduser().absolute()


def plain_file(url: str | None) -> Path | None:
    """The SQLite file of ``url`` where that is plain to see; None: ask ``whet.store.location``.

    :raises StoreUnavailable: S002, the system names no home folder.
    """
    url = chosen_url(url)
    if url is None:
        return default_path()
    database = url.removeprefix("sqlite:///")
    if database in (url, "", ":memory:") or "?" in database or database.startswith(("file:", "~")):
        return None
    return file_named(database)


def _data_folder() -> Path:
    if sys.platform == "win32":
        given = os.environ.get("LOCALAPPDATA")
        return Path(given) if given else Path.home() / "AppData" / "Local"
    given = os.environ.get("XDG_DATA_HOME")
    if given and Path(given).is_absolute():  # the XDG specification has relative paths ignored
        return Path(given)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path.home() / ".local" / "share"
