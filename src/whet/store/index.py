"""The index itself: record run folders, list them, find one, make the index again.

::

    with open_store() as store:
        store.record(folder)
        row = store.find("tickets")

A run calls :func:`note_run`, which gives trouble back instead of raising it. To list runs only,
``whet.store.listing`` is faster.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import or_, select, true
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.sql import ColumnElement

from whet.errors import Problem, UserError, did_you_mean
from whet.store.aside import set_aside
from whet.store.connection import make_engine, writing
from whet.store.folder import (
    STATE_FILE,
    FolderRecord,
    is_gone,
    is_storable,
    read_folder,
    stamp_of,
    whole_path,
)
from whet.store.location import Location, locate
from whet.store.rows import RebuildResult, ReplyRow, RunRow, ScoreRow, to_run
from whet.store.schema import check_soundness, ensure_schema
from whet.store.statements import drop, put, put_reply, replies_with, select_runs
from whet.store.tables import runs, scores
from whet.store.trouble import told_clearly
from whet.store.unavailable import StoreUnavailable
from whet.store.walk import find_folders


class Store:
    """An open index; :func:`open_store` makes one.

    Every method that speaks to the database raises :class:`StoreUnavailable` (S002, S003, S006,
    S007, S008 or S010) when it does not answer. Safe with any number of processes at once.

    ``set_aside`` is the new name of a damaged file that was moved out of the way, None otherwise.
    """

    def __init__(self, location: Location, engine: Engine, set_aside: Path | None = None) -> None:
        self.location = location
        self.set_aside = set_aside
        self._engine = engine
        self._machine = platform.node() or "unknown"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def record(self, folder: Path) -> tuple[Problem, ...]:
        """Insert or replace the run in ``folder`` from its files; the same again changes nothing.

        What was known of the same id (a moved or copied folder) or of the same folder (a new run
        in an old place) is replaced.

        :return: files that could not be read; their columns stay empty.
        :raises UserError: S020, S021, S022 or S024: not a run folder, or one that cannot be read.
        """
        with self._writing() as connection:
            record = read_folder(folder)  # inside, so that a rebuild cannot put an older reading over it
            put(connection, record, self._machine, self._mine)
        return record.problems

    def runs(
        self,
        limit: int | None = None,
        *,
        task: str | None = None,
        base: str | None = None,
        method: str | None = None,
        data: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """The newest ``limit`` runs (all without it) that are equal to what is given."""
        wanted = {"task": task, "base": base, "method": method, "data": data, "state": state}
        query = select_runs().limit(limit)
        for name, value in wanted.items():
            if value is not None:
                query = query.where(runs.c[name] == value)
        with self._reading() as connection:
            return [to_run(dict(row._mapping)) for row in connection.execute(query)]

    def scores(self, run: str) -> list[ScoreRow]:
        """Every score of the run with this id, sorted by split, model and metric."""
        columns = [column for column in scores.columns if column is not scores.c.run]
        with self._reading() as connection:
            rows = connection.execute(select(*columns).where(scores.c.run == run)).all()
        return sorted((ScoreRow(*row) for row in rows), key=lambda row: (row.split, row.model, row.metric))

    def find(self, word: str) -> RunRow:
        """The run that ``word`` means: its id, its folder, its name or the beginning of its id.

        The first of these that fits decides; the newest comes first in what is listed.

        :raises UserError: S030 no run fits, S031 several do.
        """
        if not word or not is_storable(word):
            raise self._unknown(word)
        folder = _folder_of(word)
        fits = or_(runs.c.id.startswith(word, autoescape=True), runs.c.name == word, runs.c.folder == folder)
        with self._reading() as connection:
            rows = [to_run(dict(row._mapping)) for row in connection.execute(select_runs().where(fits))]
        for meant in (
            [row for row in rows if row.id == word],
            [row for row in rows if str(row.folder) == folder],
            [row for row in rows if row.name == word],
            [row for row in rows if row.id.startswith(word)],
        ):
            if len(meant) == 1:
                return meant[0]
            if meant:
                raise _ambiguous(word, meant)
        raise self._unknown(word)

    def forget(self, folder: Path) -> bool:
        """Drop the row of ``folder``; the folder itself is not touched. Whether there was one."""
        path = str(whole_path(folder))
        with self._writing() as connection:
            return drop(connection, self._mine & (runs.c.folder == path)) > 0

    def rebuild(self, roots: Iterable[Path]) -> RebuildResult:
        """Make the index again from the run folders below ``roots`` and from those it knows already.

        Rows of this machine whose folder is gone are dropped. One transaction: readers see the old
        index until the new one is whole. A folder that cannot be read is a problem, never an error;
        what the index knew of it stays.
        """
        folders, problems = find_folders(roots)
        with self._reading() as connection:
            known = self._known(connection)
        wanted = sorted({*folders, *(folder for folder in known if not is_gone(folder))})
        records, unread = _read_all(wanted)  # slow, so before the turn; looked at again below
        with self._writing() as connection:
            known = self._known(connection)
            stale = [folder for folder, record in records.items() if stamp_of(folder) != record.stamp]
            again, unread_again = _read_all(stale)
            records = {folder: record for folder, record in records.items() if folder not in stale} | again
            chosen, copies = _one_each(records.values(), known)
            gone = [folder for folder in known if is_gone(folder)]
            for folder in gone:
                drop(connection, self._mine & (runs.c.folder == str(folder)))
            for record in chosen:
                put(connection, record, self._machine, self._mine)
        problems += [*unread, *unread_again, *copies]
        for record in chosen:
            problems += record.problems
        return RebuildResult(len(wanted), len(chosen), len(gone), tuple(problems))

    def keep_reply(self, row: ReplyRow) -> None:
        """Keep what an endpoint said; the first that was said to a hash stays."""
        with self._writing() as connection:
            put_reply(connection, row)

    def replies(self, hashes: Sequence[str]) -> dict[str, ReplyRow]:
        """What was said to those of ``hashes`` that were asked before, by hash."""
        with self._reading() as connection:
            return {row.hash: row for row in replies_with(connection, hashes)}

    @property
    def _mine(self) -> ColumnElement[bool]:
        """Rows that speak of folders on this machine: in a SQLite file all, whatever its name is today."""
        return runs.c.machine == self._machine if self.location.is_server else true()

    def _known(self, connection: Connection) -> dict[Path, str]:
        """``{folder: id}`` of this machine."""
        rows = connection.execute(select(runs.c.folder, runs.c.id).where(self._mine))
        return {Path(folder): id for folder, id in rows}

    def _unknown(self, word: str) -> UserError:
        rows = self.runs(1000)
        remedy = did_you_mean(word, {row.name for row in rows}) or "'whet runs' lists those there are."
        return UserError(Problem("S030", repr(word), "is no run in the index.", remedy))

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with told_clearly(self.location), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with told_clearly(self.location), writing(self._engine) as connection:
            yield connection


def open_store(url: str | None = None, *, repair: bool = False) -> Store:
    """Open the index, making or migrating it where needed.

    :param url: an SQLAlchemy URL of SQLite or PostgreSQL; None: ``WHET_STORE``, or the file in the
        user's data folder.
    :param repair: read a SQLite file through and through, and if it is damaged move it aside
        (``Store.set_aside`` then has its new name) and begin a new one. Call ``rebuild`` next.
    :raises StoreUnavailable: S001 to S010, see the package.
    """
    location = locate(url)
    try:
        return Store(location, _opened(location, thoroughly=repair))
    except StoreUnavailable as error:
        if not (repair and error.is_damage and location.path is not None):
            raise
        name = set_aside(location.path)
        return Store(location, _opened(location), name)


def note_run(folder: Path, url: str | None = None) -> tuple[Problem, ...]:
    """Record ``folder``; whatever stands in the way is given back, to be shown, and never raised.

    A run goes on without the index: its folder is the truth, and a rebuild finds it. A run that lies in the folder of
    another one belongs to it, as a rebuild has it, and is not listed by itself.
    """
    if any((place / STATE_FILE).is_file() for place in whole_path(folder).parents):
        return ()
    try:
        with open_store(url) as store:
            return store.record(folder)
    except UserError as error:
        return error.problems


def forget_run(folder: Path, url: str | None = None) -> None:
    """Drop the row of a run that left nothing behind; whatever stands in the way is left for a rebuild."""
    with contextlib.suppress(UserError), open_store(url) as store:
        store.forget(folder)


def _opened(location: Location, *, thoroughly: bool = False) -> Engine:
    with told_clearly(location):
        engine = make_engine(location)
        ensure_schema(engine, location)
        if thoroughly:
            with engine.connect() as connection:
                check_soundness(connection, location)
    return engine


def _read_all(folders: Iterable[Path]) -> tuple[dict[Path, FolderRecord], list[Problem]]:
    records: dict[Path, FolderRecord] = {}
    problems: list[Problem] = []
    for folder in folders:
        try:
            records[folder] = read_folder(folder)
        except UserError as error:
            problems += error.problems
    return records, problems


def _one_each(records: Collection[FolderRecord], known: dict[Path, str]) -> tuple[list[FolderRecord], list[Problem]]:
    """One folder for each id: the one that is listed already, else the first; copies are problems."""
    chosen: dict[str, FolderRecord] = {}
    for record in records:
        run = record.run
        if run.id not in chosen or known.get(run.folder) == run.id:
            chosen[run.id] = record
    problems = [
        Problem(
            "S023",
            str(record.run.folder),
            f"is a copy of {chosen[record.run.id].run.folder} (the same id); only that one is listed.",
            "Delete one of them, or leave it so.",
        )
        for record in records
        if chosen[record.run.id] is not record
    ]
    return list(chosen.values()), problems


def _folder_of(word: str) -> str:
    try:
        return str(whole_path(Path(word).expanduser()))
    except (UserError, RuntimeError):  # no such path, or '~somebody' who is not there
        return word


def _ambiguous(word: str, rows: list[RunRow]) -> UserError:
    listed = ", ".join(f"{row.id[:12]} ({row.folder})" for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return UserError(
        Problem("S031", repr(word), f"means {len(rows)} runs: {listed}{more}.", "Give more of the id, or the folder.")
    )
