from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import inspect

from whet.store.connection import make_engine, writing
from whet.store.index import Store, open_store
from whet.store.location import locate
from whet.store.rows import ReplyRow
from whet.store.schema import migrate
from whet.store.statements import AT_ONCE
from whet.store.unavailable import StoreUnavailable

from .runfolders import make_run

ROW = ReplyRow("ab" * 32, "Grüße, 世界 🙂\n", 12, 3, "stop", 0.25)


def test_a_reply_is_kept_and_found(store: Store) -> None:
    assert store.replies([ROW.hash]) == {}
    store.keep_reply(ROW)
    assert store.replies([ROW.hash, "cd" * 32]) == {ROW.hash: ROW}
    assert store.replies([]) == {}


def test_the_first_reply_stays(store: Store) -> None:
    store.keep_reply(ROW)
    store.keep_reply(ReplyRow(ROW.hash, "something else", 1, 1, "length", 1.0))
    assert store.replies([ROW.hash]) == {ROW.hash: ROW}


def test_more_than_fit_into_one_statement(sqlite_url: str) -> None:
    rows = [ReplyRow(f"{n:064x}", str(n), n, n, "stop", 0.0) for n in range(3)]
    with open_store(sqlite_url) as store:
        for row in rows:
            store.keep_reply(row)
        hashes = [f"{n:064x}" for n in range(3 * AT_ONCE)]
        assert store.replies([*reversed(hashes)]) == {row.hash: row for row in rows}


def test_a_rebuild_keeps_them(store: Store, tmp_path: Path) -> None:
    store.record(make_run(tmp_path / "run"))
    store.keep_reply(ROW)
    store.rebuild([tmp_path])
    assert len(store.runs()) == 1 and store.replies([ROW.hash]) == {ROW.hash: ROW}


def test_an_index_from_before_there_were_replies(url: str, tmp_path: Path) -> None:
    location = locate(url)
    with writing(make_engine(location)) as connection:
        migrate(connection, "0001")
        assert not inspect(connection).has_table("replies")
    with open_store(url) as store:
        store.record(make_run(tmp_path / "run"))
        store.keep_reply(ROW)
    with open_store(url) as store:
        assert len(store.runs()) == 1 and store.replies([ROW.hash]) == {ROW.hash: ROW}


def test_a_table_of_this_name_that_is_not_ours(url: str) -> None:
    with writing(make_engine(locate(url))) as connection:
        connection.exec_driver_sql("CREATE TABLE replies (id INTEGER)")
    with pytest.raises(StoreUnavailable, match="another program"):
        open_store(url)
