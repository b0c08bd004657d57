"""What ``whet sweep`` says before it begins."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.report.test_sweep_page import made
from whet.cli import sweep

from .calling import caller


def test_one_of_two(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    whet = caller(capsys, monkeypatch)
    for words in (["sweep"], ["sweep", "a.csv", "--resume", str(tmp_path)]):
        said = whet(words)
        assert said.code == 2 and "O011" in said.err
    said = whet(["sweep", "--resume", str(tmp_path)])
    assert said.code == 2 and "F012" in said.err


def test_mistakes_of_the_search(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    whet = caller(capsys, monkeypatch)
    out = tmp_path / "sweep"
    said = whet(["sweep", "a.csv", "--out", str(out), "--trials", "0", "--set", "search.space={nothing: [1]}"])
    assert said.code == 2 and "R011" in said.err and not out.exists()
    said = whet(["sweep", "a.csv", "--out", str(out), "--set", "search.space={nothing: [1]}"])
    assert said.code == 2 and "R085" in said.err and not out.exists()
    said = whet(["sweep", str(tmp_path / "a.csv"), "--out", str(out), "--method", "full"])
    assert said.code == 2 and not out.exists()  # there is no such file


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_shows_every_column_however_narrow_the_screen(width: int, tmp_path: Path):
    """Full tuning moves 100 % and not 1e+02 %, and an adapter is shipped with its base."""
    found = made()
    found["verdict"] |= {"code": "ship"}
    found["table"][2]["costs"] = {**found["table"][2]["costs"], "trainable_parameters": 2.3e7}
    screen = Console(file=StringIO(), width=width, highlight=False, soft_wrap=True)
    sweep._show(screen, tmp_path, found)
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "accuracy",
        "forgot",
        "moves",
        "memory added",
        "1100 MB",
        "training",
        "size",
        "ms a row",
        "100 %",
        "2.17 %",
        "94.4 MB",
        "1 min",
    ):
        assert part in text, part
    assert text.count("> trial 7, lora") == (2 if width == 80 else 1)
    assert max(map(len, text.split("  trial 7, lora: seed")[0].splitlines())) <= width
    each = "seed 0: 75.0 (chose the setting, does not judge), 1: 70.0, 2: 44.0 (cut short by the time), 3: failed: too"
    assert f"  trial 7, lora: {each} large" in text
    assert "by which the process grew while it trained" in text
    assert "of an adapter its base, too" in text and "e+02" not in text


def test_what_minutes_are_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "300")
    said = " ".join(caller(capsys, monkeypatch)(["sweep", "--help"]).out.split())
    assert "Time for trials and further seeds" in said and "come on top" in said
