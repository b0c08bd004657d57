"""``whet show`` and ``whet chat``: what they print, with colours and without."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests import made_talks
from tests.made_runs import Runs, quiet_machine
from tests.report.reading import read
from whet.cli import chat as chat_command
from whet.cli import show as show_command
from whet.report.shown_tokens import Gap, Shown, ShownRow, Strip, Token, tokens_page
from whet.report.visible import visible

from .calling import Whet

STRIP = Strip(
    "",
    [
        Token(0, "<s>", special=True),
        Token(1, "Hi"),
        Token(2, " you\n"),
        Token(3, " It", 1.0),
        Token(4, " is", 0.5),
        Token(5, "<b>&\x1b[31m", tag="O"),
        Token(6, "</s>", 1.0, special=True),
    ],
    [Gap(1, 3)],
)
SHOWN = Shown(
    "a<i>.jsonl", "text-generation", "base", "train", 9, 7, [ShownRow("a.jsonl:2", [("label", "<x>")], [STRIP], 3)]
)


@pytest.fixture(scope="module")
def run(runs: Runs) -> Path:
    with quiet_machine(runs.root / "talks.sqlite"):
        return made_talks.tuned(runs.root / "talks")


def printed(**settings: object) -> str:
    file = io.StringIO()
    show_command.print_rows(Console(file=file, width=200, highlight=False, **settings), SHOWN)  # type: ignore[arg-type]
    return file.getvalue()


# --- show -----------------------------------------------------------------------------------------


def test_brackets_without_a_terminal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    text = printed()
    assert "{<s>} (... 3 tokens cut ...) Hi| you\u21b5\n[ It][ is|0.5]<<b>&\u241b[31m=O>[{</s>}]" in text
    assert "a.jsonl:2: 7 tokens, 3 more cut; 3 with loss; label: <x>" in text
    assert "1 of 7 rows of train; at most 9 tokens at once" in text
    assert "\x1b" not in text, "nothing in a text commands the terminal"


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard"])
def test_colours_on_a_terminal(monkeypatch: pytest.MonkeyPatch, colours: str):
    """The three looks differ whatever a terminal can show; without colours it is brackets again."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = printed(force_terminal=True, color_system=colours)
    assert "[ It]" not in text and "\x1b[31m" not in text

    def look(words: str) -> str:
        return text[: text.index(words)].rpartition("\x1b")[2]

    row = text[text.index("<s>") :]
    assert look(" It") != look(" you")
    assert "3 tokens cut" in row
    monkeypatch.setenv("NO_COLOR", "1")
    assert "[ It][ is|0.5]" in printed(force_terminal=True, color_system=colours)


def test_more_loss_is_stronger():
    assert len({show_command._green(share) for share in (0.2, 0.5, 1.0)}) == 3


def test_the_page_escapes_everything():
    page = tokens_page(SHOWN)
    assert "<b>" not in page and "<i>" not in page and "\x1b" not in page
    tree = read(page)
    tokens = tree.all("span", class_="token")[3:]  # behind the legend
    assert [one.attributes["class"] for one in tokens] == [
        "token special",
        "token",
        "token",
        "token counts",
        "token counts",
        "token",
        "token counts special",
    ]
    assert tokens[4].attributes["style"] == "--loss: 0.500"
    assert tokens[4].attributes["title"] == "id 4, loss 0.5"
    assert tokens[5].words[0] == "<b>&\u241b[31m"
    assert [one.text for one in tree.all("span", class_="gap")][1:] == ["\u2026 3 tokens cut \u2026"]
    assert not tree.all("script") and "http://" not in page and "https://" not in page


def test_visible():
    assert visible("a\tb\n") == "a\tb\n"
    assert visible("\x00\x1b\x7f\x9b\u202e") == "\u2400\u241b\u2421\ufffd\ufffd"


def test_show_data_and_run(whet: Whet, run: Path, tmp_path: Path):
    data, base = run.parent / "talks.jsonl", run.parent / "decoder"
    words = ["show", str(data), "--task", "text-generation", "--base", str(base), "--rows", "2"]
    answer = whet([*words, "--json"])
    assert answer.code == 0, answer.err
    (line,) = answer.out.splitlines()
    found = json.loads(line)
    assert len(found["rows"]) == 2 and found["max_length"] == 38 and found["html"] is None
    of_run = json.loads(whet(["show", str(run), "--rows", "2", "--json"]).out)
    assert of_run["rows"] == found["rows"], "the run's rows are the data's"
    shown = whet([*words, "--set", "chat.train=last"])
    assert shown.code == 0 and "{<s>}" in shown.out and "[{</s>}]" in shown.out
    page = tmp_path / "rows.html"
    answer = whet([*words, "--html", str(page)])
    assert (answer.code, answer.out) == (0, f"{page}\n")
    assert len(read(page.read_text(encoding="utf-8")).all("section")) >= 3


def test_show_of_nothing(whet: Whet, run: Path, tmp_path: Path):
    answer = whet(["show", str(tmp_path / "nowhere.csv")])
    assert answer.code == 2 and "nowhere.csv" in answer.err
    answer = whet(["show", str(run), "--task", "regression"])
    assert answer.code == 2 and answer.err.startswith("F018 task")


# --- chat -----------------------------------------------------------------------------------------


def fed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_a_question_a_line(whet: Whet, run: Path, monkeypatch: pytest.MonkeyPatch):
    """Answers alone on standard output; after /reset the same question has the same answer; /quit ends."""
    fed(monkeypatch, "where is my card\n\n/reset\nwhere is my card\n/quit\ncancel\n")
    answer = whet(["chat", str(run)])
    assert answer.code == 0, answer.err
    first, second = answer.out.splitlines()
    assert first == second
    assert answer.err == "Begun anew.\n"


def test_the_end_of_the_input_ends(whet: Whet, run: Path, monkeypatch: pytest.MonkeyPatch):
    fed(monkeypatch, "where is my card")
    answer = whet(["chat", str(run), "--beside", "base", "--system", "thank you"])
    assert answer.code == 0, answer.err
    assert [line.partition(": ")[0] for line in answer.out.splitlines()] == ["tuned", "base"]


def test_what_is_left_out_is_said(whet: Whet, run: Path, monkeypatch: pytest.MonkeyPatch):
    fed(monkeypatch, f"{made_talks.LONG}\n")
    answer = whet(["chat", str(run), "--set", "generation.temperature=1.0"])
    assert answer.code == 0
    assert "tokens of the conversation were left out, of at most 38" in answer.err
    assert len(answer.out.splitlines()) <= 1 or answer.out


def test_chat_refuses(whet: Whet, runs: Runs, run: Path):
    answer = whet(["chat", str(runs.finished("probe"))])
    assert answer.code == 2 and answer.err.startswith("M042")
    answer = whet(["chat", str(run), "--set", "training.epochs=2"])
    assert answer.code == 2 and answer.err.startswith("R006")


def test_by_hand(monkeypatch: pytest.MonkeyPatch):
    """Ctrl-D and Ctrl-C at the prompt end; blanks are no questions."""
    lines = iter(["", " a ", EOFError])

    def typed() -> str:
        line = next(lines)
        if isinstance(line, str):
            return line + "\n"
        raise line

    monkeypatch.setattr(chat_command, "_typed", typed)
    assert list(chat_command.questions(by_hand=True)) == ["a"]


class Spoken:
    """Says its words, as a voice does."""

    num_left_out = 0

    def __init__(self, name: str, words: list[str]) -> None:
        self.name, self.words = name, words

    def ask(self, question: str) -> object:
        yield from self.words


def test_side_by_side():
    file = io.StringIO()
    screen = Console(file=file, force_terminal=True, width=60, color_system=None)
    voices = [Spoken("tuned", ["one", " two"]), Spoken("base", ["three\x1b[2J"])]
    chat_command.answer(screen, voices, "?")  # type: ignore[arg-type]
    last = file.getvalue().splitlines()[-1]
    assert "one two" in file.getvalue() and "three\u241b[2J" in file.getvalue()
    assert "\x1b[2J" not in file.getvalue(), last
