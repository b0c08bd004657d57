"""The list of runs, fast.

Importing SQLAlchemy costs 0.15 to 0.2 s, more than half of what ``whet runs`` may take in all. So
a SQLite file of the present schema is read with the driver alone, by one statement; a test holds
that it answers as ``Store.runs`` does. A server, another schema or any trouble goes the long way,
which also knows how to explain it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from whet.store.place import plain_file
from whet.store.rows import RunRow, to_run
from whet.store.versions import SCHEMA

WAIT_SECONDS = 30
NEWEST_FIRST = """
SELECT runs.*, scores.value AS score_value, scores.low AS score_low, scores.high AS score_high
FROM runs LEFT JOIN scores
  ON scores.run = runs.id AND scores.split = runs.split
 AND scores.model = runs.ship AND scores.metric = runs.metric
WHERE (:task IS NULL OR runs.task = :task)
  AND (:base IS NULL OR runs.base = :base)
  AND (:method IS NULL OR runs.method = :method)
  AND (:data IS NULL OR runs.data = :data)
  AND (:state IS NULL OR runs.state = :state)
ORDER BY runs.started_at DESC NULLS LAST, runs.id
LIMIT :limit
"""


def list_runs(
    limit: int | None = None,
    *,
    url: str | None = None,
    task: str | None = None,
    base: str | None = None,
    method: str | None = None,
    data: str | None = None,
    state: str | None = None,
) -> list[RunRow]:
    """What ``Store.runs`` answers, without the cost of opening a store where that can be had.

    :param url: see ``whet.store.index.open_store``.
    :raises StoreUnavailable: S001 to S010, see the package.
    """
    wanted = {"task": task, "base": base, "method": method, "data": data, "state": state}
    path = plain_file(url)
    rows = None if path is None else _quickly(path, wanted | {"limit": -1 if limit is None else limit})
    if rows is not None:
        return rows
    from whet.store.index import open_store

    with open_store(url) as store:
        return store.runs(limit, task=task, base=base, method=method, data=data, state=state)


def _quickly(path: Path, values: dict[str, str | int | None]) -> list[RunRow] | None:
    """The answer, or None where the long way has to be gone."""
    try:
        # "rw": a missing file is not made here
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=WAIT_SECONDS)
    except (sqlite3.Error, ValueError):
        return None
    try:
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(SCHEMA,)]:
            return None
        answer = connection.execute(NEWEST_FIRST, values)
        names = [column[0] for column in answer.description]
        return [to_run(dict(zip(names, row, strict=True))) for row in answer]
    except (sqlite3.Error, ValueError):
        return None
    finally:
        connection.close()
