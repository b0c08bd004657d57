"""What ``whet sweep`` says before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

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
