"""The SQL of the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.sql import ColumnElement, Select

from whet.store.folder import FolderRecord
from whet.store.rows import ReplyRow
from whet.store.tables import replies, runs, scores

AT_ONCE = 500
"""Hashes in one statement; SQLite takes a limited number of parameters."""


def put(connection: Connection, record: FolderRecord, machine: str, mine: ColumnElement[bool]) -> None:
    """Insert a run and its scores in place of what was known of this id or of this folder.

    :param mine: which rows speak of this machine's folders.
    """
    drop(connection, or_(runs.c.id == record.run.id, and_(mine, runs.c.folder == str(record.run.folder))))
    values: dict[str, Any] = {column.name: getattr(record.run, column.name) for column in runs.columns}
    connection.execute(insert(runs), values | {"folder": str(record.run.folder), "machine": machine})
    if record.scores:
        connection.execute(insert(scores), [{"run": record.run.id, **asdict(score)} for score in record.scores])


def drop(connection: Connection, which: ColumnElement[bool]) -> int:
    """Delete the runs for which ``which`` holds, and their scores; return how many runs."""
    connection.execute(delete(scores).where(scores.c.run.in_(select(runs.c.id).where(which))))
    return connection.execute(delete(runs).where(which)).rowcount


def select_runs() -> Select[Any]:
    """Every run, newest first, with the score that its verdict speaks of."""
    headline = and_(
        scores.c.run == runs.c.id,
        scores.c.split == runs.c.split,
        scores.c.model == runs.c.ship,
        scores.c.metric == runs.c.metric,
    )
    return (
        select(runs, *(scores.c[name].label(f"score_{name}") for name in ("value", "low", "high")))
        .select_from(runs.outerjoin(scores, headline))
        .order_by(runs.c.started_at.desc().nulls_last(), runs.c.id)
    )


def put_reply(connection: Connection, row: ReplyRow) -> None:
    """Insert a reply; one that is there already stays, as somebody may have seen it."""
    known = connection.execute(select(replies.c.hash).where(replies.c.hash == row.hash)).first()
    if known is None:
        connection.execute(insert(replies), {**asdict(row), "created_at": datetime.now(UTC)})


def replies_with(connection: Connection, hashes: Sequence[str]) -> Iterator[ReplyRow]:
    """Those of ``hashes`` that were answered."""
    columns = [column for column in replies.columns if column is not replies.c.created_at]
    for start in range(0, len(hashes), AT_ONCE):
        query = select(*columns).where(replies.c.hash.in_(hashes[start : start + AT_ONCE]))
        for row in connection.execute(query):
            yield ReplyRow(**row._mapping)
