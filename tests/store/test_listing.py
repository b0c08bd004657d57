from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from whet.errors import UserError
from whet.store import listing
from whet.store.index import Store, open_store
from whet.store.listing import list_runs
from whet.store.place import default_path, plain_file
from whet.store.unavailable import StoreUnavailable

from .runfolders import make_run, write

START = """
import sys
from whet.store.listing import list_runs
assert len(list_runs(20, url=sys.argv[1])) == 1
heavy = {"alembic", "sqlalchemy", "yaml", "torch", "transformers", "numpy", "psycopg", "mako"}
print(sorted(heavy & set(sys.modules)))
"""
LONG_WAY = """
import sys
from whet.store.index import open_store
with open_store(sys.argv[1]) as store:
    assert len(store.runs(20)) == 1
heavy = {"alembic", "sqlalchemy.orm", "yaml", "torch", "transformers", "numpy", "psycopg", "mako"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("program", [START, LONG_WAY])
def test_a_listing_loads_only_what_it_needs(sqlite_url: str, tmp_path: Path, program: str) -> None:
    with open_store(sqlite_url) as store:
        store.record(make_run(tmp_path / "run"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, sqlite_url], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"limit": 2},
        {"limit": 0},
        {"task": "fill-mask"},
        {"base": "other"},
        {"method": "lora"},
        {"data": "set"},
        {"state": "failed"},
        {"state": "finished", "task": "text-classification", "limit": 1},
        {"task": "' OR 1 = 1 --"},
    ],
)
def test_both_ways_answer_the_same(store: Store, url: str, tmp_path: Path, wanted: dict[str, Any]) -> None:
    for number in range(4):
        make_run(tmp_path / str(number), f"id{number}", started_at=f"2026-03-0{number + 1}T00:00:00.5+03:00")
    make_run(tmp_path / "x", "id9", started_at=None, finished_at=None, state="failed")
    make_run(tmp_path / "y", "id8", started_at=None)
    write(tmp_path / "2" / "recipe.yaml", "task: fill-mask\nbase: other\nmethod: lora\ndata: {source: org/set}\n")
    (tmp_path / "3" / "verdict.json").unlink()
    assert store.rebuild([tmp_path]).recorded == 6
    assert list_runs(url=url, **wanted) == store.runs(**wanted)


def test_the_short_way_is_taken_for_a_present_file_and_no_other(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plain_file(sqlite_url)
    assert path is not None
    anything = dict.fromkeys(("task", "base", "method", "data", "state")) | {"limit": -1}
    assert listing._quickly(path, anything) is None
    assert not path.exists()
    assert list_runs(url=sqlite_url) == []  # the long way made it
    assert listing._quickly(path, anything) == []
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///a?b=c", "postgresql://me@server/runs", "nonsense"):
        assert plain_file(url) is None
    monkeypatch.setenv("WHET_STORE", sqlite_url)
    assert plain_file(None) == path
    monkeypatch.delenv("WHET_STORE")
    assert plain_file(None) == default_path()


def test_a_path_with_signs_of_its_own(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/50% of #1 & más/runs.sqlite"
    with open_store(url) as store:
        store.record(make_run(tmp_path / "run"))
    assert (tmp_path / "50% of #1 & más" / "runs.sqlite").is_file()
    path = plain_file(url)
    assert path is not None
    assert (
        len(
            listing._quickly(path, dict.fromkeys(("task", "base", "method", "data", "state"), None) | {"limit": -1})
            or []
        )
        == 1
    )


@pytest.mark.parametrize("content", [b"no database", b"\0" * 5000])
def test_trouble_is_explained_by_the_long_way(sqlite_url: str, content: bytes) -> None:
    path = plain_file(sqlite_url)
    assert path is not None
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable) as caught:
        list_runs(url=sqlite_url)
    assert caught.value.problems[0].code == "S003"


def test_an_address_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHET_STORE", "/home/me/runs.sqlite")
    with pytest.raises(UserError) as caught:
        list_runs()
    assert caught.value.problems[0].code == "S001"
