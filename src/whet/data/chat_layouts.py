"""How a file lays conversations out: lists of messages, two columns of texts, Alpaca's, or a turn on each row.

Told by names and then by content, with the reason in words; whatever the layout, a row becomes a
:class:`whet.data.chat_messages.Raw` in the column of its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data.chat_logs import LogColumns, gathered
from whet.data.chat_messages import CONTENT_KEYS, ROLE_KEYS, Raw, holds_turns, listed
from whet.data.columns import refuse_absent
from whet.data.row_form import Choice, named
from whet.data.rows import ABSENT, Block, Opened
from whet.data.scored_columns import Look, Names, plain
from whet.errors import Problem, Problems, UserError

MESSAGES: Names = (("messages",), ("conversations", "conversation"), ("dialogue", "dialog", "chat", "turns"))
CONVERSATIONS: Names = (
    ("conversation_id", "conversationid", "conv_id", "conversation"),
    ("dialogue_id", "dialog_id", "chat_id", "thread_id", "session_id"),
    ("ticket_id", "case_id", "ticket", "thread", "session"),
)
"""Ids of conversations."""
SPEAKERS: Names = (("role",), ("speaker", "speaker_role"), ("from", "sender", "author", "author_role", "participant"))
TURNS: Names = (("text", "content"), ("message", "utterance", "value", "body", "turn"))
TOOLS: Names = (("tools", "functions"),)

PAIRS = (
    *(("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"), ("prompt", "output")),
    *(("question", "answer"), ("question", "answers"), ("question", "response"), ("query", "response")),
    *(("query", "answer"), ("input", "output"), ("instruction", "response"), ("instruction", "completion")),
    *(("prompt", "chosen"), ("question", "chosen")),
)
"""Names of a prompt and of what it is completed with."""
ANSWERS: Names = (
    ("completion", "completions", "response", "responses"),
    ("answer", "answers", "output"),
    ("label", "target"),
)
INSTRUCTION, INPUTS, OUTPUTS = "instruction", ("input", "context"), ("output", "response")

LOOKED_AT = 50
"""Rows whose values tell whether a column holds conversations."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a file are the conversation.

    :param kind: "messages", "pair", "alpaca" or "log".
    :param text: the column that the rows are found in afterwards; of a pair the prompt's, of Alpaca's the
        instruction's, of a log that of turns.
    :param answer: the column of answers, where they stand apart.
    :param more: further columns by what they are: "input", "system", "history", "tools", "conversation", "speaker".
    :param group: the column of what rows have in common.
    """

    kind: str
    text: str
    answer: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def arranged(self, opened: Opened, name: str, problems: Problems) -> Opened:
        """``opened`` with conversations in the column :attr:`text`, as they stand in the file."""
        if self.kind == "log":
            more = self.more
            log = LogColumns(more["conversation"], more["speaker"], self.text, more.get("tools"))
            return gathered(opened, name, log, problems)

        def blocks(wanted: Sequence[str]) -> Iterator[Block]:
            needed = [*wanted, self.text, *([self.answer] if self.answer else []), *self.more.values()]
            for block in opened.blocks(list(dict.fromkeys(needed))):
                yield Block(block.lines, self._column_of(block))

        sample = dict(opened.sample)
        if self.text in sample:
            sample[self.text] = self._rows(opened.sample.__getitem__)
        return Opened(opened.columns, sample, blocks, opened.notes)

    def _column_of(self, block: Block) -> Any:
        return lambda name: self._rows(block.column) if name == self.text else block.column(name)

    def _rows(self, column: Any) -> list[Raw]:
        values = column(self.text)
        answers = column(self.answer) if self.answer else [ABSENT] * len(values)
        more = {part: column(name) for part, name in self.more.items()}
        make = {"messages": _of_messages, "pair": _of_pair, "alpaca": _of_alpaca}[self.kind]
        return [
            make(value, answer, {part: column[row] for part, column in more.items()})
            for row, (value, answer) in enumerate(zip(values, answers, strict=True))
        ]


def _of_messages(value: Any, answer: Any, more: Mapping[str, Any]) -> Raw:
    turns = listed(value)
    system = _system(more)
    return Raw(value if turns is None else [*system, *turns], more.get("tools", ABSENT))


def _system(more: Mapping[str, Any]) -> list[dict[str, Any]]:
    value = more.get("system", ABSENT)
    return [{"role": "system", "content": value}] if _is_there(value) else []


def _is_there(value: Any) -> bool:
    return value is not None and value is not ABSENT and value != ""


def _of_pair(value: Any, answer: Any, more: Mapping[str, Any]) -> Raw:
    """A text and its completion; or messages and those that follow them.

    With a system message or tools it is a chat, whatever its columns are called.
    """
    before = listed(value) if holds_turns(value) else None
    behind = listed(answer) if holds_turns(answer) else None
    if before is not None or behind is not None:
        first = [{"role": "user", "content": value}] if before is None else before
        last = [{"role": "assistant", "content": answer}] if behind is None else behind
        if behind is not None:  # some write the whole conversation behind as well
            last = _behind(first, last)
        return Raw([*_system(more), *first, *(last if behind is not None or _is_there(answer) else [])], _tools(more))
    asks, answers = ("user", "assistant") if _system(more) or _is_there(_tools(more)) else ("prompt", "completion")
    return _with_answer([{"role": asks, "content": value}], answers, answer, more)


def _behind(first: list[Any], last: list[Any]) -> list[Any]:
    """``last`` without the messages of ``first``, where it begins with them."""
    same = [*map(_spoken, last[: len(first)])] == [*map(_spoken, first)]
    return last[len(first) :] if same else last


def _spoken(turn: Any) -> Any:
    """Who says what in a turn; a turn that is none as it is."""
    if not isinstance(turn, Mapping):
        return turn
    found = [next((turn[key] for key in keys if key in turn), None) for keys in (ROLE_KEYS, CONTENT_KEYS)]
    return tuple(str(one).lower() if place == 0 else one for place, one in enumerate(found))


def _tools(more: Mapping[str, Any]) -> Any:
    return more.get("tools", ABSENT)


def _with_answer(turns: list[Any], role: str, answer: Any, more: Mapping[str, Any]) -> Raw:
    """``turns`` with the first of the answers behind them; a list holds all that would do."""
    several = answer if isinstance(answer, list) else [answer]
    last = [] if not several or several[0] is ABSENT else [{"role": role, "content": several[0]}]
    return Raw([*_system(more), *turns, *last], _tools(more), several[1:])


def _of_alpaca(value: Any, answer: Any, more: Mapping[str, Any]) -> Raw:
    """Earlier turns, the instruction with its input below it, the answer."""
    earlier = more.get("history")
    turns: list[Any] = []
    for pair in earlier if isinstance(earlier, list) else [earlier] if _is_there(earlier) else []:
        if isinstance(pair, list) and len(pair) == 2:
            turns += [{"role": role, "content": text} for role, text in zip(("user", "assistant"), pair, strict=True)]
        else:
            turns.append(pair)  # told as what it is: no message
    below = more.get("input")
    if _is_there(below) and isinstance(below, str) and isinstance(value, str) and below.strip():
        value = f"{value}\n\n{below}" if value.strip() else below
    return _with_answer([*turns, {"role": "user", "content": value}], "assistant", answer, more)


def layout_of(opened: Opened, name: str, choice: Choice) -> Layout:
    """How the file ``name`` lays its conversations out.

    :raises UserError: D020 a named column does not exist, D021 it is not clear.
    """
    look = Look(name, opened.columns, opened.sample, choice)
    for part in ("text", "label", "text_pair"):
        column = named(getattr(choice, part))
        if column is not None:
            refuse_absent(f"data.{part}", column, opened.columns, name)
    found = _messages(look) or _log(look) or _alpaca(look) or _pair(look) or _lines(look)
    if found is None:
        raise _unknown(look)
    return found


def _messages(look: Look) -> Layout | None:
    given, answer = named(look.choice.text), named(look.choice.label)
    if given is not None and not _holds_conversations(look, given):
        return None
    holding = [one for one in look.columns if _holds_conversations(look, one)]
    known = [one for one in look.known(MESSAGES, set()) if one in holding]
    names = [given] if given is not None else known or [one for one in holding if _is_free(one)]
    if len(names) > 1:
        raise look.unclear("text", "conversation", names)
    # beside messages, a column that was named for answers holds those that follow
    if not names or (answer is not None and answer != names[0]):
        return None
    reason = "named by the user" if given else "it holds lists of messages"
    look.reasons["text"] = f"column {names[0]!r}: {reason}"
    look.reasons["label"] = "the last answer of each conversation"
    return Layout("messages", names[0], more=_more(look, "system", "tools"), group=_group(look), reasons=look.reasons)


def _is_free(column: str) -> bool:
    """Whether a column of messages is a conversation by itself, and not a part of one."""
    return plain(column) not in {name for pair in PAIRS for name in pair} | {"rejected", "history"}


def _holds_conversations(look: Look, column: str) -> bool:
    there = [value for value in look.sample.get(column, ()) if _is_there(value)][:LOOKED_AT]
    return bool(there) and sum(map(holds_turns, there)) * 2 >= len(there)


def _more(look: Look, *parts: str) -> dict[str, str]:
    """Columns of these names that are there."""
    names: dict[str, Names] = {"system": (("system", "system_prompt"),), "history": (("history",),), "tools": TOOLS}
    found = {part: look.known(names[part], set()) for part in parts}
    return {part: columns[0] for part, columns in found.items() if columns}


def _group(look: Look) -> str | None:
    """The column of conversations by its name; None where the user named one or wants none."""
    if look.choice.group not in (None, "auto") or not look.choice.labelled:
        return None
    for column in look.known(CONVERSATIONS, set()):
        values = [value for value in look.sample.get(column, ()) if _is_there(value)]
        if values and not any(isinstance(value, list | Mapping) for value in values):
            look.reasons["group"] = f"column {column!r}: its name is a known one for the conversation"
            return column
    return None


def _log(look: Look) -> Layout | None:
    """A turn on each row: a speaker, a text, and the conversation that both belong to."""
    speakers = look.known(SPEAKERS, {named(look.choice.text) or ""})
    given = look.given("speaker")
    if given is None and (not speakers or named(look.choice.label) not in (None, *speakers)):
        return None
    speaker = given or speakers[0]
    talks = look.known(CONVERSATIONS, {speaker})
    by_name = talks[0] if talks else None
    talk = by_name or named(look.choice.group)
    text = look.one("text", "text of a turn", TURNS, {speaker, talk or ""})
    if text is None:
        if given is None and talk is None:
            return None
        raise look.unclear("text", "text of a turn", look.texts({speaker, talk or ""}))
    if talk is None:
        what = f"has a speaker ({speaker!r}) and a text on each row, and no column that tells conversations apart."
        raise UserError(Problem("D021", look.where, what, "Name it with --set data.group=COLUMN."))
    refuse_absent("data.group", talk, look.columns, look.where)
    look.reasons.setdefault("text", f"column {text!r}: the text of a turn")
    look.reasons["label"] = f"the last answer of each conversation; column {speaker!r} says who speaks"
    look.reasons["group"] = f"column {talk!r}: turns with the same value are one conversation"
    group = talk if look.choice.group in (None, "auto") and look.choice.labelled else None
    more = {"conversation": talk, "speaker": speaker, **_more(look, "tools")}
    return Layout("log", text, more=more, group=group, reasons=look.reasons)


def _alpaca(look: Look) -> Layout | None:
    choice = look.choice
    by_name = {plain(column): column for column in look.columns}
    below = named(choice.text_pair)
    if named(choice.text) is None and INSTRUCTION not in by_name:
        return None
    text = named(choice.text) or by_name[INSTRUCTION]
    if below is None and choice.text_pair != "none" and plain(text) == INSTRUCTION:
        below = next((by_name[one] for one in INPUTS if one in by_name), None)
    answer = named(choice.label) or next((by_name[one] for one in OUTPUTS if one in by_name), None)
    if below is None and (plain(text) != INSTRUCTION or answer is None or plain(answer) != OUTPUTS[0]):
        return None
    if choice.labelled and answer is None:
        return None
    look.reasons["text"] = f"column {text!r}: the instruction"
    look.reasons["label"] = f"column {answer!r}: the answer"
    if below is not None:
        look.reasons["text_pair"] = f"column {below!r}: stands below the instruction"
    more = _more(look, "system", "history", "tools") | ({"input": below} if below else {})
    answer = answer if choice.labelled else None
    return Layout("alpaca", text, answer, more, _group(look), look.reasons)


def _pair(look: Look) -> Layout | None:
    """A prompt and what it is completed with."""
    choice = look.choice
    text, answer = named(choice.text), named(choice.label)
    by_name = {plain(column): column for column in look.columns}
    if text is None and answer is None:
        known = next((pair for pair in PAIRS if pair[0] in by_name and pair[1] in by_name), None)
        text, answer = (by_name[known[0]], by_name[known[1]]) if known else (None, None)
    if text is None:
        firsts = [by_name[one] for one in dict.fromkeys(first for first, _ in PAIRS) if one in by_name]
        text = next((one for one in firsts if one != answer), None)
    if text is not None and answer is None and choice.labelled:
        answer = look.one("label", "answer", ANSWERS, {text})
    if text is None or (answer is None and choice.labelled):
        return None
    for part, column in (("text", text), ("label", answer)):
        by_user = named(getattr(choice, part)) is not None
        words = "named by the user" if by_user else "its name is a known one for a prompt or its completion"
        look.reasons[part] = f"column {column!r}: {words}"
    if answer is not None and plain(answer) == "chosen":
        look.reasons["label"] += "; rejected answers are not used"
    if text == answer:
        what = f"one column cannot be prompt and answer: {text!r}."
        raise UserError(Problem("D021", look.where, what, "Name them with --text and --label."))
    more = _more(look, "system", "tools")
    return Layout("pair", text, answer if choice.labelled else None, more, _group(look), look.reasons)


def _lines(look: Look) -> Layout | None:
    """Of rows that only want an answer: the one column there is."""
    if look.choice.labelled or len(look.columns) != 1:
        return None
    look.reasons["text"] = f"column {look.columns[0]!r}: the only one, a prompt on each row"
    return Layout("pair", look.columns[0], reasons=look.reasons)


def _unknown(look: Look) -> UserError:
    chosen, rejected = (
        next((one for one in look.columns if plain(one) == name), None) for name in ("chosen", "rejected")
    )
    if chosen is not None and rejected is not None:
        return _preferences(look, chosen)
    what = f"holds no conversations that are laid out in a known way (columns: {', '.join(look.columns)})."
    remedy = (
        "Give a column of messages, a prompt and a completion, or a turn on each row with its conversation and "
        "speaker; or name the prompt with --text and the answer with --label."
    )
    return UserError(Problem("D021", look.where, what, remedy))


def _preferences(look: Look, chosen: str) -> UserError:
    """Of rows that hold a better and a worse conversation, and nothing that both answer."""
    what = f"is a file of preferences: {chosen!r} and its rival hold whole conversations, without a column of prompts."
    if _holds_conversations(look, chosen):
        remedy = f"To train on the better ones, name them: --text {chosen}. The others are not used."
    else:
        remedy = f"To train on the better ones, make each a list of messages, and name it: --text {chosen}."
    return UserError(Problem("D021", look.where, what, remedy))
