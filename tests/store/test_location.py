from __future__ import annotations

import sys
from pathlib import Path

import pytest

from whet.store.location import locate
from whet.store.unavailable import StoreUnavailable

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the folders of Linux")


@linux
def test_the_users_data_folder_is_the_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate().path == home / ".local" / "share" / "whet" / "runs.sqlite"
    monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
    assert locate().path == Path("/elsewhere/whet/runs.sqlite")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")  # the XDG specification has it ignored
    assert locate().path == home / ".local" / "share" / "whet" / "runs.sqlite"


def test_the_variable_decides_and_an_argument_decides_over_it(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHET_STORE", f"sqlite:///{tmp_path}/a.sqlite")
    assert locate().path == tmp_path / "a.sqlite"
    assert locate(f"sqlite:///{tmp_path}/b.sqlite").path == tmp_path / "b.sqlite"
    monkeypatch.setenv("WHET_STORE", "sqlite:///~/c.sqlite")
    assert locate().path == home / "c.sqlite"
    monkeypatch.chdir(tmp_path)
    assert locate("sqlite:///d.sqlite").path == tmp_path / "d.sqlite"
    monkeypatch.setenv("WHET_STORE", "")
    assert locate().path not in (None, tmp_path / "a.sqlite")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_served_by_psycopg_3(scheme: str) -> None:
    location = locate(f"{scheme}://me:hush@server/runs")
    assert location.is_server
    assert location.path is None
    assert location.url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "text",
    [
        "/home/me/runs.sqlite",
        "mysql://me:hush@server/runs",
        "me:hush@server/runs",
        "me:hush://server",
        "postgresql://me:hu/sh@server:port/runs",
        "postgresql://me:x@server:hush/runs",
        "sqlite:///file:hush?uri=true",
        "sqlite:///~nobody-of-this-name/hush",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        locate(text)
    assert [problem.code for problem in caught.value.problems] == ["S001"]
    assert "hush" not in str(caught.value)
    assert "postgresql://" in str(caught.value)  # the remedy shows the form
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_passwords_are_neither_shown_nor_repeated() -> None:
    location = locate("postgresql://me:hush@server:5433/runs?password=whisper&sslmode=require")
    assert location.shown == "postgresql://me:***@server:5433/runs"
    assert location.scrubbed("hush was wrong, whisper too") == "*** was wrong, *** too"
