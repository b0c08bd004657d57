"""Studies of searches (Optuna), beside the index of runs: which settings were tried, and how each went.

SQLite: a file ``studies.sqlite`` beside that of the index. PostgreSQL: the same database, in a schema ``optuna`` of its
own, since its tables and ours share a name. Unlike the index, a study cannot be made again from run folders.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from whet.errors import Problem, UserError

SCHEMA = "optuna"
FILE = "studies.sqlite"
BEAT_SECONDS = 30
"""How often a trial that is under way says so."""
STALE_SECONDS = 300
"""A trial of another machine that has been silent for so long is taken for dead."""
RECIPE = "recipe"
"""The attribute of a study that holds the hash of its recipe."""


def refuse_without_optuna() -> None:
    """:raises UserError: O001, the package that searches is not installed."""
    if find_spec("optuna") is None:
        remedy = "Run: pip install 'whet[sweep]'"
        raise UserError(Problem("O001", "whet sweep", "needs the package optuna.", remedy))


def open_study(name: str, recipe: str, *, new: bool, url: str | None = None) -> Any:
    """The study ``name`` of the store; higher values are better.

    :param recipe: hash of the recipe and space that it belongs to.
    :param new: whether it may be begun; otherwise it has to be there.
    :raises UserError: O002 it is of another recipe, O003 it is not in this store, O004 the store is no file; and what
        the store raises (StoreUnavailable).
    """
    refuse_without_optuna()
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    from whet.store.location import locate
    from whet.store.trouble import told_clearly

    location = locate(url)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with told_clearly(location):
        try:
            study = _opened(name, new, location)
        except optuna.exceptions.StorageInternalError as error:
            if isinstance(error.__cause__, SQLAlchemyError):
                raise error.__cause__ from None
            raise
    known = study.user_attrs.get(RECIPE)
    if known is None and new:
        study.set_user_attr(RECIPE, recipe)
    elif known != recipe:
        what = "its study in the store is that of another recipe or space."
        remedy = "Put the recipe back as it was, or begin anew with another --out."
        raise UserError(Problem("O002", name, what, remedy))
    return study


def _opened(name: str, new: bool, location: Any) -> Any:
    import optuna

    storage = _storage(location)
    if new:
        return optuna.create_study(study_name=name, storage=storage, direction="maximize", load_if_exists=True)
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        what = f"the store {location.shown} has no study {name}."
        remedy = "Set WHET_STORE to the store in which this search began, or begin anew with another --out."
        raise UserError(Problem("O003", "WHET_STORE", what, remedy)) from None


def _storage(location: Any) -> Any:
    from optuna.exceptions import ExperimentalWarning
    from optuna.storages import RDBStorage

    url, settings = _server(location) if location.is_server else _file(location)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # that there is a heartbeat
        return RDBStorage(url, engine_kwargs=settings, heartbeat_interval=BEAT_SECONDS, grace_period=STALE_SECONDS)


def _file(location: Any) -> tuple[str, dict[str, Any]]:
    from sqlalchemy import pool

    from whet.store.connection import WAIT_SECONDS, make_engine

    if location.path is None:
        what = "is kept in memory, where no other process finds a study."
        raise UserError(Problem("O004", "WHET_STORE", what, "Set it to a file, or to a PostgreSQL server."))
    make_engine(location).dispose()  # makes its folder
    url = location.url.set(database=str(location.path.with_name(FILE)))
    settings = {"poolclass": pool.NullPool, "connect_args": {"timeout": WAIT_SECONDS}}
    return url.render_as_string(hide_password=False), settings


def _server(location: Any) -> tuple[str, dict[str, Any]]:
    from sqlalchemy import pool

    from whet.store.connection import CONNECT_SECONDS, make_engine, writing

    engine = make_engine(location)
    with writing(engine) as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    engine.dispose()
    connected: dict[str, Any] = {"prepare_threshold": None, "options": f"-csearch_path={SCHEMA}"}
    if "connect_timeout" not in location.url.query:
        connected["connect_timeout"] = CONNECT_SECONDS
    settings = {"poolclass": pool.NullPool, "connect_args": connected}
    return location.url.render_as_string(hide_password=False), settings


@contextlib.contextmanager
def beating(study: Any, trial_id: int) -> Iterator[None]:
    """Say that a trial is under way for as long as the block lasts, from a thread beside it."""
    import threading

    ended = threading.Event()
    storage = _plain(study)

    def beat() -> None:
        while True:
            with contextlib.suppress(Exception):  # a server that is away for a while: the lock still holds
                storage.record_heartbeat(trial_id)
            if ended.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)


def stale(study: Any) -> set[int]:
    """Ids of trials that are noted as under way and have been silent for too long."""
    return set(_plain(study)._get_stale_trial_ids(study._study_id))


def _plain(study: Any) -> Any:
    """The database behind a study, without the cache before it."""
    storage = study._storage
    return getattr(storage, "_backend", storage)
