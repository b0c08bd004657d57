"""Rows of a query with the passages that are relevant and those that are not, as a row for each passage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from whet.data.row_form import Choice, named
from whet.data.rows import Block, Opened
from whet.data.scored_columns import POSITIVES, QUERIES, RELEVANCES, Look, negative_column
from whet.data.scored_values import texts_of
from whet.errors import Problem, Problems, UserError

RELEVANCE = "relevance"
"""The column that such rows get: 1 for a passage that was listed as relevant, 0 for one that was not."""


def as_rows(opened: Opened, choice: Choice, name: str, problems: Problems) -> Opened:
    """``opened`` with a row for each passage, where it lists them; any other file as it is.

    A file lists passages if it has no column of relevances and one of positives, or lists of texts in
    the column that was named for passages.

    :raises UserError: D020, a named column is absent; D021, the layout is not clear.
    """
    look = Look(name, opened.columns, opened.sample, choice)
    positive = _positive(look)
    if positive is None:
        return opened
    query = look.one("text", "query", QUERIES, {positive})
    if query is None:
        raise look.unclear("text", "query", look.texts({positive}))
    lists = _Lists(query, positive, negative_column(look, {query, positive}), name)
    others = [column for column in opened.columns if column not in (lists.negative, RELEVANCE)]
    # what the sample gets wrong is told when its rows are read
    size = len(opened.sample[positive])
    sample = lists.spread(Block(range(1, size + 1), opened.sample.__getitem__), others, Problems())

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        plain = [column for column in wanted if column != RELEVANCE]
        needed = [*plain, query, positive, *([lists.negative] if lists.negative else [])]
        for block in opened.blocks(list(dict.fromkeys(needed))):
            yield lists.block(block, plain, problems)

    return Opened([*others, RELEVANCE], sample, blocks, opened.notes)


def _positive(look: Look) -> str | None:
    """The column of relevant passages, if the file lists them."""
    choice = look.choice
    label, passage = named(choice.label), named(choice.text_pair)
    if label is not None and label in look.columns:
        if named(choice.negative) is not None:
            what = f"column {label!r} says how relevant passages are, so that none is negative."
            raise UserError(Problem("D021", look.where, what, "Name either --label or data.negative."))
        return None
    if label not in (None, RELEVANCE) or (label is None and look.known(RELEVANCES, set())):
        return None
    if passage is not None:
        there = passage in look.columns
        listed = there and (
            named(choice.negative) is not None
            or passage in look.known(POSITIVES, set())
            or any(isinstance(value, list) for value in look.sample[passage])
        )
        return passage if listed else None
    return look.one("text_pair", "relevant passages", POSITIVES, set())


@dataclass(frozen=True, slots=True)
class _Lists:
    query: str
    positive: str
    negative: str | None
    file: str

    def block(self, block: Block, wanted: Sequence[str], problems: Problems) -> Block:
        """A block with a row for each passage; all rows of a query have its line."""
        columns = self.spread(block, wanted, problems)
        return Block(columns.pop(""), columns.__getitem__)

    def spread(self, block: Block, wanted: Sequence[str], problems: Problems) -> dict[str, list[Any]]:
        """The columns of such a block by name; its lines under the empty name."""
        listed = [(self.positive, 1.0), *([(self.negative, 0.0)] if self.negative else [])]
        values = {name: block.column(name) for name in {*wanted, self.query, self.positive}}
        found: dict[str, list[Any]] = {name: [] for name in values} | {RELEVANCE: [], "": []}
        passages = {name: block.column(name) for name, _ in listed}
        for row, line in enumerate(block.lines):
            for name, relevance in listed:
                for text in self._texts(passages[name][row], name, line, problems):
                    self._add(found, values, row, text)
                    found[RELEVANCE].append(relevance)
                    found[""].append(line)
        return found

    def _add(self, found: dict[str, list[Any]], values: Mapping[str, list[Any]], row: int, text: str) -> None:
        for name, column in values.items():
            found[name].append(text if name == self.positive else column[row])

    def _texts(self, value: Any, name: str, line: int, problems: Problems) -> list[str]:
        found = texts_of(value)
        if found is None:
            what = f"{name!r} is {value!r:.60}, neither a text nor a list of texts."
            problems.add("D076", f"{self.file}:{line}", what, "Give one text, or a list of texts.")
        # an empty passage becomes a row, so that the ledger says where one is missing
        return found or ([""] if name == self.positive else [])
