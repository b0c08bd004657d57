"""What went wrong, said so that somebody can act on it: what, where, got, and what to do.

A :class:`Problem` is one such sentence with a code. A :class:`UserError` carries every problem
that was found, not only the first one, and ends the program with exit code 2. Anything else that
escapes is our own fault and ends it with exit code 1.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

EXIT_USER = 2
EXIT_OURS = 1

SHOWN_AT_ONCE = 20
"""How many problems of one file are spelled out; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: a code, the place, what is there, and what to do about it.

    ``option``: of the recipe, that the mistake comes of, where the place does not say so itself.
    """

    code: str
    where: str
    what: str
    remedy: str = ""
    option: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.where}: {self.what}" + (f" {self.remedy}" if self.remedy else "")


class UserError(Exception):
    """The user's mistake, with all of its problems; exit code 2.

    ``num_problems`` counts those that are not spelled out too.
    """

    def __init__(self, problems: Problem | Iterable[Problem], num_problems: int | None = None) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.num_problems = len(self.problems) if num_problems is None else num_problems
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        hidden = self.num_problems - len(self.problems)
        if hidden > 0:
            lines.append(f"... and {hidden:,} more problems of this kind")
        return "\n".join(lines)


@contextlib.contextmanager
def concerning(option: str) -> Iterator[None]:
    """What is refused inside comes of ``option``, unless something nearer says of which."""
    try:
        yield
    except UserError as error:
        problems = [one if one.option else replace(one, option=option) for one in error.problems]
        raise UserError(problems, error.num_problems) from error.__cause__


class Interrupted(Exception):
    """The run was asked to stop; its state is saved and ``whet resume`` goes on from there."""


class ModelTooLarge(Exception):
    """The machine ran out of memory with the smallest micro-batch there is."""


@dataclass(slots=True)
class Problems:
    """Collects problems while a file is read: the first few in full, the rest as a count."""

    shown_at_once: int = SHOWN_AT_ONCE
    kept: list[Problem] = field(default_factory=list)
    count: int = 0

    def add(self, code: str, where: str, what: str, remedy: str = "") -> None:
        """Note one problem."""
        self.count += 1
        if len(self.kept) < self.shown_at_once:
            self.kept.append(Problem(code, where, what, remedy))

    def raise_if_any(self) -> None:
        """Raise one :class:`UserError` with everything noted so far, if there is anything."""
        if self.count:
            raise UserError(self.kept, self.count)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"Did you mean 'intent'?"`` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def one_of(words: Sequence[str]) -> str:
    """``'a', 'b' or 'c'``: the choices of a message."""
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
