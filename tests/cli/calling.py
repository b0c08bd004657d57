"""The command in this process: words in, exit code and both outputs out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from whet.cli.app import main


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


Whet = Callable[[Sequence[str]], Answer]


def caller(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Whet:
    """A function that runs ``whet WORDS``."""

    def call(words: Sequence[str]) -> Answer:
        monkeypatch.setattr(sys, "argv", ["whet", *words])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
