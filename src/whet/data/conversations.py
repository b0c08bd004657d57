"""The form of conversations: what was said, and the answer that comes last.

Columns: ``text`` (everything before the last answer, for people), ``answers`` (texts that would do for the
last answer; the first is the one that is trained on), ``messages`` (the whole conversation, the last answer
included, see :data:`whet.data.chat_messages.MESSAGES`), ``tools`` (JSON) where the data has such a column,
``group``: the conversation where a column names it. Rows that only want an answer have no ``answers``, and
their messages end where the answer is to begin. A prompt and its completion that stand in two columns of
texts are messages of the roles ``prompt`` and ``completion``: nothing stands between or around them.

What users are told when something is wrong with their conversations:

- D080 no list of messages, D081 a speaker of no known role, D082 a message that is no text, D083 a system
  message behind others, D084 the result of a tool that was not called, D085 a call without its result,
  D086 a weight that is no number of 0 or more, D087 calls or tools that cannot be read,
  D088 turns that cannot be put together, D089 references that do not fit their sources
  (:mod:`whet.data.referenced`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.answer_findings import Answers
from whet.data.chat_findings import findings, trained_on
from whet.data.chat_layouts import Layout, layout_of
from whet.data.chat_messages import ANSWERING, MESSAGES, Message, MessageReader, Raw, readable, said, speakers_of
from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import Block, Opened
from whet.data.values import Place
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

ANSWERS = ("answers", pa.list_(pa.string()))

NO_ANSWER = "no answer"
NO_PROMPT = "an answer that nothing stands before"
BEHIND = "messages behind the last answer, left out"
ANSWERED = "the last answer, left out: it is asked for"


class Conversations(RowForm):
    """Rows of :mod:`whet.data.conversations`. One object reads one data set: it remembers how a file is laid out."""

    name = "conversations"
    truth = "answers"
    truth_words = "answer"
    truths_words = "answers"

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """Whatever the layout, a conversation a row."""
        layout = layout_of(opened, name, choice)
        self._layouts[name] = layout
        return layout.arranged(opened, name, problems)

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """The columns of the layout that :meth:`arranged` found."""
        found = self._layouts[where]
        return Columns(found.text, found.answer, found.more.get("input"), found.reasons, group=found.group)

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """``answers`` unless rows only want one; ``tools`` where the file has a column of them."""
        tools = any("tools" in layout.more for layout in self._layouts.values())
        more = [*([ANSWERS] if choice.labelled else []), ("messages", MESSAGES)]
        return Shape((*more, *([("tools", pa.string())] if tools else [])))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Messages as they stand, checked; what is left out of one is on record."""
        rows = _Rows(taking)
        for line, raw in zip(block.lines, block.column(taking.columns.text), strict=True):
            rows.add(line, raw)
        return rows.taken()

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D031, no answer of training has a weight."""
        if not trained_on(given["train"]).any():
            what = "no answer of training is to be learnt: all have weight 0."
            raise UserError(Problem("D031", where, what, "Give answers a weight above 0, or none."))

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """One: conversations are drawn alike."""
        return np.zeros(len(examples), dtype=np.int64)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The first of the answers."""
        return Answers.of(examples).hashes

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A030 to A034, and A036."""
        return findings(splits)


class _Rows:
    """The rows of one block while they are taken."""

    def __init__(self, taking: Taking) -> None:
        self.taking = taking
        self.speakers = speakers_of(taking.choice.roles)
        self.columns: dict[str, list[Any]] = {"text": [], "messages": []}
        self.columns |= {name: [] for name in ("answers", "tools") if taking.shape.has(name)}
        self.dropped: dict[str, list[int]] = {}
        self.changed: dict[str, list[int]] = {}

    def add(self, line: int, raw: Raw) -> None:
        """One conversation."""
        taking, row = self.taking, len(self.columns["text"])
        place = Place(taking.file, [line], taking.columns.text)
        reader = MessageReader(place, taking.problems, self.speakers)
        found = reader.read(raw)
        changes = reader.changes
        if "answers" in self.columns:
            found, answer, reason = _answered(found, changes)
            accepted = reader.others(raw.accepted)
            self.columns["answers"].append(list(dict.fromkeys([answer, *accepted])) if answer else [])
            if reason:
                self.dropped.setdefault(reason, []).append(row)
            # rows that are dropped need a text, or they would count as empty ones
            self.columns["text"].append(reason or readable(found[:-1]))
        else:
            found = _unanswered(found, changes)
            self.columns["text"].append(readable(found))
        self.columns["messages"].append(found)
        self._tools(reader.tools(raw.tools), place)
        for change in dict.fromkeys(changes):
            self.changed.setdefault(change, []).append(row)

    def _tools(self, tools: str | None, place: Place) -> None:
        if "tools" in self.columns:
            self.columns["tools"].append(tools)
        elif tools is not None:
            what = "has tools, and the first rows of the first file have none."
            self.taking.problems.add("D022", place.at(0), what, 'Give the first row "tools" too: null will do.')

    def taken(self) -> Taken:
        """All of them."""
        dropped = [("A013", reason, rows) for reason, rows in self.dropped.items()]
        return Taken(self.columns, dropped=dropped, changed=[("A013", why, rows) for why, rows in self.changed.items()])


def _answered(messages: list[Message], changes: list[str]) -> tuple[list[Message], str, str]:
    """The conversation up to its last answer, that answer, and why the row cannot be used, if it cannot."""
    last = next((place for place in reversed(range(len(messages))) if messages[place]["role"] in ANSWERING), None)
    if last is None:
        return messages, "", NO_ANSWER
    if last == 0:
        return messages, "", NO_PROMPT
    if last < len(messages) - 1:
        changes.append(BEHIND)
    return messages[: last + 1], said(messages[last]), ""


def _unanswered(messages: list[Message], changes: list[str]) -> list[Message]:
    """The conversation without the answer at its end, if there is one."""
    if len(messages) < 2 or messages[-1]["role"] not in ANSWERING:
        return messages
    changes.append(ANSWERED)
    return messages[:-1]
