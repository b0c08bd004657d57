"""Blocks of a file into rows of a form: checked, counted, written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data.forms import ExamplesWriter
from whet.data.row_form import RowForm, Taking
from whet.data.rows import ABSENT, Block

SHOWN_LINES = 20


@dataclass(slots=True)
class Unlabelled:
    """Rows of one file whose label is missing: how many, and the first lines of each column that lacks some."""

    count: int = 0
    lines: dict[str, list[int]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, lines: Sequence[int], column: str) -> None:
        """Note some more."""
        self.count += len(lines)
        shown = self.lines.setdefault(column, [])
        shown += lines[: SHOWN_LINES - len(shown)]
        self.counts[column] = self.counts.get(column, 0) + len(lines)

    def __str__(self) -> str:
        """``in column 'chosen' (line 3, 6) and in column 'rejected' (line 7)``."""
        parts = []
        for column, lines in self.lines.items():
            more = ", ..." if self.counts[column] > len(lines) else ""
            parts.append(f"in column {column!r} (line {', '.join(f'{line:,}' for line in lines)}{more})")
        return " and ".join(parts)


@dataclass(slots=True)
class Intake:
    """Takes in the blocks of one file of one split. ``keep_empty``: rows only want a prediction."""

    form: RowForm
    taking: Taking
    writer: ExamplesWriter
    keep_empty: bool = False
    rows: int = 0

    def take(self, blocks: Any) -> None:
        """Take in all blocks; problems are collected, rows are written as long as there are none."""
        unlabelled = Unlabelled()
        for block in blocks:
            self._take(block, unlabelled)
        if unlabelled.count and not self.taking.choice.drop_unlabelled:
            self._refuse(unlabelled)

    def _take(self, block: Block, unlabelled: Unlabelled) -> None:
        taking, ledger = self.taking, self.taking.ledger
        taken = self.form.take(block, taking)
        if taking.columns.group is not None:
            taken.columns["group"] = group_names(block.column(taking.columns.group))
        number = len(taken.columns["text"])
        kept = list(range(number))
        if not self.keep_empty:
            for column, name in (("text", "text"), ("text_pair", str(taking.columns.text_pair))):
                if column in taken.columns:
                    kept = self._without_empty(block, kept, taken.columns[column], f"empty {name}")
        kept = self._without(block, kept, taken.dropped)
        kept = self._without_unlabelled(block, kept, taken.unlabelled, unlabelled)
        for code, reason, rows in taken.changed:
            ledger.change(code, reason, taking.file, [block.lines[row] for row in sorted({*rows} & {*kept})])
        self.rows += number
        ledger.read += number
        ledger.kept += len(kept)
        if not taking.problems.count:
            self._write(block, kept, taken.columns)

    def _without_empty(self, block: Block, kept: list[int], values: list[str], reason: str) -> list[int]:
        full = [row for row in kept if values[row] and not values[row].isspace()]
        if len(full) < len(kept):
            gone = sorted(set(kept) - set(full))
            self.taking.ledger.drop("A001", reason, self.taking.file, [block.lines[row] for row in gone])
        return full

    def _without(self, block: Block, kept: list[int], dropped: Sequence[tuple[str, str, Sequence[int]]]) -> list[int]:
        for code, reason, rows in dropped:
            gone = {*rows} & {*kept}
            self.taking.ledger.drop(code, reason, self.taking.file, [block.lines[row] for row in sorted(gone)])
            kept = [row for row in kept if row not in gone]
        return kept

    def _without_unlabelled(
        self, block: Block, kept: list[int], missing: Sequence[int] | Mapping[int, str], unlabelled: Unlabelled
    ) -> list[int]:
        if not missing:
            return kept
        gone = {*missing} & {*kept}
        lines = [block.lines[row] for row in sorted(gone)]
        truth = str(self.taking.columns.label)
        columns = {row: missing.get(row, truth) if isinstance(missing, Mapping) else truth for row in sorted(gone)}
        for column in sorted(set(columns.values()), key=lambda name: (name != truth, name)):
            unlabelled.add([block.lines[row] for row, name in columns.items() if name == column], column)
        if self.taking.choice.drop_unlabelled:
            self.taking.ledger.drop("A013", f"no {self.form.truth_words}", self.taking.file, lines)
        return [row for row in kept if row not in gone]

    def _write(self, block: Block, kept: list[int], columns: dict[str, list[Any]]) -> None:
        lines: Sequence[int] = block.lines
        if len(kept) < len(columns["text"]):
            lines = [block.lines[row] for row in kept]
            columns = {name: [values[row] for row in kept] for name, values in columns.items()}
        self.writer.write_rows(self.taking.file, lines, columns)

    def _refuse(self, unlabelled: Unlabelled) -> None:
        rows = "1 row has" if unlabelled.count == 1 else f"{unlabelled.count:,} rows have"
        what = f"{rows} no {self.form.truth_words} {unlabelled}."
        remedy = "Fill them in, or drop these rows with --set data.drop_unlabelled=true."
        self.taking.problems.add("D030", self.taking.file, what, remedy)


def group_names(values: Sequence[Any]) -> list[str]:
    """What the group of each row is called; a missing one is a group without a name."""
    return ["" if value is None or value is ABSENT else str(value) for value in values]
