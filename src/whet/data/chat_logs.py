"""Logs with a turn on each row: the turns of a conversation, told by its id, become one row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data.chat_messages import Raw
from whet.data.rows import ABSENT, ROWS_PER_BLOCK, Block, Opened
from whet.errors import Problems


@dataclass(frozen=True, slots=True)
class LogColumns:
    """The columns of a log. Turns stand in the order of the file, those of one conversation behind one another."""

    conversation: str
    speaker: str
    text: str
    tools: str | None = None


@dataclass(slots=True)
class _Talk:
    """A conversation while its turns come in: ``first`` has the values of its first row by column."""

    key: str
    first: Mapping[str, Any]
    turns: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Gather:
    file: str
    log: LogColumns
    wanted: Sequence[str]
    problems: Problems
    turns: int = 0
    seen: set[int] = field(default_factory=set)

    def talks(self, blocks: Iterator[Block]) -> Iterator[_Talk]:
        """The conversations in the order of their first turns."""
        talk: _Talk | None = None
        log = self.log
        more = [] if log.tools is None else [log.tools]
        names = list(dict.fromkeys([log.conversation, log.speaker, log.text, *more, *self.wanted]))
        for block in blocks:
            columns = {name: block.column(name) for name in names}
            for row, line in enumerate(block.lines):
                key = self._key(columns[log.conversation][row], line)
                if talk is None or key != talk.key:
                    if talk is not None:
                        yield talk
                    self._refuse_again(key, line)
                    talk = _Talk(key, {name: columns[name][row] for name in names})
                talk.turns.append({"role": columns[log.speaker][row], "content": columns[log.text][row]})
                talk.lines.append(line)
                self.turns += 1
        if talk is not None:
            yield talk

    def _key(self, value: Any, line: int) -> str:
        if value is None or value is ABSENT or not str(value).strip():
            what = f"is a turn without a conversation in column {self.log.conversation!r}."
            self.problems.add("D088", f"{self.file}:{line}", what, "Fill the column in on every row.")
            return ""
        return str(value)

    def _refuse_again(self, key: str, line: int) -> None:
        """A conversation that was left once is not gone on with: its turns would have to be held to the end."""
        if key and hash(key) in self.seen:
            what = f"goes on with conversation {key!r:.60} after another one began."
            self.problems.add("D088", f"{self.file}:{line}", what, "Sort the rows by conversation, then by time.")
        self.seen.add(hash(key))


def gathered(opened: Opened, name: str, log: LogColumns, problems: Problems) -> Opened:
    """``opened`` with a row for each conversation, which stands in the column of texts; its line is the first turn's.

    Other columns have the value of the first turn.
    """

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        gather = _Gather(name, log, wanted, problems)
        needed = [*wanted, log.conversation, log.speaker, log.text, *([log.tools] if log.tools else [])]
        yield from _blocks(gather, opened.blocks(list(dict.fromkeys(needed))))
        rows = len(gather.seen)
        opened.notes.append(f"{name}: {gather.turns:,} turns were put together as {rows:,} conversations")

    size = max((len(values) for values in opened.sample.values()), default=0)
    first = Block(range(1, size + 1), opened.sample.__getitem__)
    # what the sample gets wrong is told when its rows are read
    found = list(_Gather(name, log, opened.columns, Problems()).talks(iter([first]))) if size else []
    sample = {column: [_value(talk, column, log) for talk in found] for column in opened.columns}
    return Opened(opened.columns, sample, blocks, opened.notes)


def _blocks(gather: _Gather, blocks: Iterator[Block]) -> Iterator[Block]:
    held: list[_Talk] = []
    for talk in gather.talks(blocks):
        held.append(talk)
        if len(held) >= ROWS_PER_BLOCK:
            yield _block(held, gather.log)
            held = []
    if held:
        yield _block(held, gather.log)


def _block(talks: list[_Talk], log: LogColumns) -> Block:
    return Block([talk.lines[0] for talk in talks], lambda name: [_value(talk, name, log) for talk in talks])


def _value(talk: _Talk, name: str, log: LogColumns) -> Any:
    if name != log.text:
        return talk.first[name]
    tools = ABSENT if log.tools is None else talk.first[log.tools]
    return Raw(talk.turns, tools, lines=tuple(talk.lines))
