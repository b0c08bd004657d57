"""The problems of one file's values, told as one where nearly every row has the same.

A wrong column, or tags that are numbers, break a rule in every row: one sentence that names the column and
counts the rows says more than twenty that differ in their line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from whet.errors import SHOWN_AT_ONCE, Problem, Problems

NEARLY_ALL = {"D023": 0.9, "D033": 0.9, "D050": 0.3, "D053": 0.9, "D057": 0.9, "D070": 0.9, "D071": 0.9}
"""Share of a file's rows from which a problem, by its code, is one of the whole column. Many rows have no
entity, so that their tags are right in any way of writing."""

FEWEST = 5
SHOWN = 5


@dataclass(slots=True)
class Kind:
    """All problems of one code: the first of them, how many, and in how many places one after the other."""

    first: list[Problem] = field(default_factory=list)
    count: int = 0
    places: int = 0
    last: str = ""


@dataclass(slots=True)
class FileProblems(Problems):
    """Problems of the values of one file, in file order, kept by their code as well."""

    kinds: dict[str, Kind] = field(default_factory=dict)

    def add(self, code: str, where: str, what: str, remedy: str = "") -> None:
        """Note one problem."""
        Problems.add(self, code, where, what, remedy)
        kind = self.kinds.setdefault(code, Kind())
        kind.count += 1
        if where != kind.last:
            kind.places += 1
            kind.last = where
        if len(kind.first) < SHOWN_AT_ONCE:
            kind.first.append(Problem(code, where, what, remedy))

    def hand_over(self, to: Problems, num_rows: int) -> None:
        """Add them to those of all files; what nearly all of ``num_rows`` rows have as a single one."""
        common = {code for code, kind in self.kinds.items() if _is_common(code, kind, num_rows)}
        for code in common:
            to.add(code, *_as_one(self.kinds[code], num_rows))
        kept = [problem for problem in self.kept if problem.code not in common]
        for problem in kept:
            to.add(problem.code, problem.where, problem.what, problem.remedy)
        to.count += self.count - sum(self.kinds[code].count for code in common) - len(kept)


def _is_common(code: str, kind: Kind, num_rows: int) -> bool:
    return code in NEARLY_ALL and kind.places >= max(FEWEST, NEARLY_ALL[code] * num_rows)


def _as_one(kind: Kind, num_rows: int) -> tuple[str, str, str]:
    """Where, what and remedy of the problem that stands for all."""
    wheres = list(dict.fromkeys(problem.where for problem in kind.first))[:SHOWN]
    file = wheres[0].rpartition(":")[0]
    lines = ", ".join(where.rpartition(":")[2] for where in wheres)
    first = kind.first[0]
    rows = f"{num_rows:,} rows"
    much = f"{kind.places:,} of {rows}" if kind.places < num_rows else f"{kind.places:,} places in {rows}"
    much = f"all {rows}" if kind.places == num_rows else much
    what = f"{first.what} It is the same in {much} (lines {lines}{', ...' if kind.places > SHOWN else ''})."
    return file or wheres[0], what, first.remedy
