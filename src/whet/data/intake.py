"""Blocks of a file into rows of the labelled form: checked, counted, written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data.columns import Columns
from whet.data.forms import ExamplesWriter
from whet.data.ledger import SplitLedger
from whet.data.rows import Block
from whet.data.values import Place, several_labels, single_labels, texts
from whet.errors import Problems

SHOWN_LINES = 20


@dataclass(slots=True)
class Unlabelled:
    """Rows of one file whose label is missing: the first lines, and how many."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, lines: Sequence[int]) -> None:
        """Note some more."""
        self.count += len(lines)
        self.lines += lines[: SHOWN_LINES - len(self.lines)]


@dataclass(slots=True)
class Intake:
    """Takes in the blocks of one file of one split. ``keep_empty``: rows only want a prediction."""

    file: str
    columns: Columns
    writer: ExamplesWriter
    ledger: SplitLedger
    problems: Problems
    multi_label: bool = False
    label_separator: str | None = None
    drop_unlabelled: bool = False
    keep_empty: bool = False
    rows: int = 0

    def take(self, blocks: Any) -> None:
        """Take in all blocks; problems are collected, rows are written as long as there are none."""
        unlabelled = Unlabelled()
        for block in blocks:
            self._take(block, unlabelled)
        if unlabelled.count and not self.drop_unlabelled:
            self._refuse(unlabelled)

    def _take(self, block: Block, unlabelled: Unlabelled) -> None:
        first = texts(block.column(self.columns.text), self._place(block, self.columns.text), self.problems)
        pair = self.columns.text_pair
        second = texts(block.column(pair), self._place(block, pair), self.problems) if pair else None
        labels = self._labels(block)
        kept = list(range(len(first)))
        if not self.keep_empty:
            kept = self._without_empty(block, kept, first, "empty text")
            kept = self._without_empty(block, kept, second, f"empty {pair}") if second is not None else kept
        if labels is not None:
            kept = self._without_unlabelled(block, kept, labels, unlabelled)
        self.rows += len(first)
        self.ledger.read += len(first)
        self.ledger.kept += len(kept)
        if not self.problems.count:
            self._write(block, kept, first, second, labels)

    def _place(self, block: Block, column: str) -> Place:
        return Place(self.file, block.lines, column)

    def _labels(self, block: Block) -> list[Any] | None:
        name = self.columns.label
        if name is None:
            return None
        values, place = block.column(name), self._place(block, name)
        if self.multi_label:
            return list(several_labels(values, self.label_separator, place, self.problems))
        return list(single_labels(values, place, self.problems))

    def _without_empty(self, block: Block, kept: list[int], values: list[str], reason: str) -> list[int]:
        full = [row for row in kept if values[row] and not values[row].isspace()]
        if len(full) < len(kept):
            gone = sorted(set(kept) - set(full))
            self.ledger.drop("A001", reason, self.file, [block.lines[row] for row in gone])
        return full

    def _without_unlabelled(
        self, block: Block, kept: list[int], labels: list[Any], unlabelled: Unlabelled
    ) -> list[int]:
        if None not in labels:
            return kept
        gone = [block.lines[row] for row in kept if labels[row] is None]
        unlabelled.add(gone)
        if self.drop_unlabelled:
            self.ledger.drop("A013", "no label", self.file, gone)
        return [row for row in kept if labels[row] is not None]

    def _write(
        self, block: Block, kept: list[int], first: list[str], second: list[str] | None, labels: list[Any] | None
    ) -> None:
        if len(kept) == len(first):
            self.writer.write(self.file, block.lines, first, second, labels)
            return
        self.writer.write(
            self.file,
            [block.lines[row] for row in kept],
            [first[row] for row in kept],
            None if second is None else [second[row] for row in kept],
            None if labels is None else [labels[row] for row in kept],
        )

    def _refuse(self, unlabelled: Unlabelled) -> None:
        lines = ", ".join(f"{line:,}" for line in unlabelled.lines)
        more = ", ..." if unlabelled.count > len(unlabelled.lines) else ""
        rows = "1 row has" if unlabelled.count == 1 else f"{unlabelled.count:,} rows have"
        what = f"{rows} no label in column {self.columns.label!r} (line {lines}{more})."
        remedy = "Fill them in, or drop these rows with --set data.drop_unlabelled=true."
        self.problems.add("D030", self.file, what, remedy)
