"""Rows as a model sees them, token by token: their form, and the page that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.files import write_text
from whet.findings import Finding
from whet.report.visible import visible

LINE_END = "\u21b5"
"""Stands before a line break that is part of a token."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its id, how it reads behind those before it, how much it carries of the loss (0: it is only read).

    ``tag``: what it is to become, or the token that stands behind a hidden one; "" for neither.
    """

    id: int
    text: str
    loss: float = 0.0
    special: bool = False
    tag: str = ""

    @property
    def shown(self) -> str:
        """The text without anything that commands a screen."""
        return visible(self.text).replace("\n", f"{LINE_END}\n")

    def to_json(self) -> dict[str, Any]:
        """With what is not as usual."""
        told = {"id": self.id, "text": self.text, "loss": round(self.loss, 6)}
        return told | ({"special": True} if self.special else {}) | ({"tag": self.tag} if self.tag else {})


@dataclass(frozen=True, slots=True)
class Gap:
    """``tokens`` of the row are missing before token number ``at``."""

    at: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Strip:
    """A sequence that is read at once; ``title`` says which where a row has several."""

    title: str
    tokens: Sequence[Token]
    gaps: Sequence[Gap] = ()

    @property
    def pieces(self) -> list[Token | Gap]:
        """Tokens, and between them what is missing."""
        found: list[Token | Gap] = []
        for number in range(len(self.tokens) + 1):
            found += [gap for gap in self.gaps if gap.at == number]
            found += self.tokens[number : number + 1]
        return found

    def to_json(self) -> dict[str, Any]:
        """Tokens and gaps."""
        gaps = [{"before": one.at, "tokens": one.tokens} for one in self.gaps]
        return {"title": self.title, "tokens": [one.to_json() for one in self.tokens], "cut": gaps}


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row: file and line, what is true of it as (name, value), its sequences, and how many tokens were cut."""

    place: str
    facts: Sequence[tuple[str, str]]
    strips: Sequence[Strip]
    num_cut: int = 0

    @property
    def num_tokens(self) -> int:
        """Of all its sequences."""
        return sum(len(strip.tokens) for strip in self.strips)

    @property
    def num_counted(self) -> int:
        """Tokens that carry loss."""
        return sum(token.loss > 0 for strip in self.strips for token in strip.tokens)

    @property
    def summary(self) -> str:
        """Its numbers in words."""
        cut = f", {self.num_cut:,} more cut" if self.num_cut else ""
        return f"{counted(self.num_tokens)}{cut}; {self.num_counted:,} with loss"

    def to_json(self) -> dict[str, Any]:
        """A row of ``whet show --json``."""
        sequences = [strip.to_json() for strip in self.strips]
        return {"place": self.place, "truth": dict(self.facts), "tokens_cut": self.num_cut, "sequences": sequences}


@dataclass(frozen=True, slots=True)
class Shown:
    """Some rows of a split; ``notes`` say what is to be known of how they were made."""

    source: str
    task: str
    base: str
    split: str
    limit: int
    num_rows: int
    rows: Sequence[ShownRow]
    notes: Sequence[str] = ()
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def most(self) -> float:
        """The largest loss that a token carries, 1 at least."""
        return max([1.0, *(token.loss for row in self.rows for strip in row.strips for token in strip.tokens)])

    def to_json(self) -> dict[str, Any]:
        """As ``whet show --json`` prints it."""
        return {
            "source": self.source,
            "task": self.task,
            "base": self.base,
            "split": self.split,
            "max_length": self.limit,
            "num_rows": self.num_rows,
            "notes": list(self.notes),
            "rows": [row.to_json() for row in self.rows],
            "findings": [finding.to_json() for finding in self.findings],
        }


def counted(number: int) -> str:
    """``"1 token"``, ``"2,000 tokens"``."""
    return "1 token" if number == 1 else f"{number:,} tokens"


def write_tokens(path: Path, shown: Shown) -> Path:
    """Write the page to ``path``, whole or not at all; return it.

    :raises UserError: F001, F002, F003 it cannot be written.
    """
    write_text(path, tokens_page(shown))
    return path


def tokens_page(shown: Shown) -> str:
    """The page as text: everything escaped, nothing loaded from anywhere."""
    from importlib import resources

    from jinja2 import Environment, PackageLoader, StrictUndefined

    surroundings = Environment(
        loader=PackageLoader("whet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    surroundings.filters |= {"visible": visible, "counted": counted}
    surroundings.tests["gap"] = lambda piece: isinstance(piece, Gap)
    style = (resources.files("whet.report") / "templates" / "page.css").read_text(encoding="utf-8")
    return surroundings.get_template("tokens.html").render(shown=shown, style=style)
