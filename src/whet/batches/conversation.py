"""The messages of a conversation to one text, with the place of every answer in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from whet.batches.control import CLOSES, MARK, OPENS, Control, Held, Written, control_of, written
from whet.batches.messages import Mark, around, around_what_is_said, for_template, says
from whet.batches.templates import ANSWERS, COMPLETED, NAMED, laid_out, template_of
from whet.errors import Problem, UserError

_PLAIN_ROLES = {"function": "tool", "prompt": "user", "completion": "assistant"}
"""Roles that templates of chats do not know, and what they are to them."""


@dataclass(frozen=True, slots=True)
class Place:
    """The answer of message ``number``: characters ``start`` to ``end``, the token that ends it included."""

    start: int
    end: int
    number: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as text, for :meth:`whet.batches.control.Control.encode`.

    - ``prompt``, ``answer``: what is given and what is to be said; the text is one behind the other.
    - ``places``: every answer that is in the text, in its order, the last one in any case.
    - ``stop``: the token that ends the last answer; None where the template puts none there.
    - ``grafted``: the template does not lay an answer out behind what asks for it, so it was put there.
    - ``unplaced``: there are earlier answers, and the template changes them so that none can be found.
    """

    prompt: str
    answer: str
    places: tuple[Place, ...]
    stop: str | None
    grafted: bool
    unplaced: bool = False

    @property
    def text(self) -> str:
        """The whole."""
        return self.prompt + self.answer


@dataclass(frozen=True, slots=True)
class Layout:
    """A tokenizer and a template."""

    tokenizer: Any
    template: str
    control: Control

    @staticmethod
    def of(tokenizer: Any, template: str | None, messages: Sequence[Mapping[str, Any]]) -> Layout:
        """The layout of ``messages`` by ``template``, as :func:`whet.batches.templates.template_of` takes it.

        None and 'auto': the tokenizer's own, else 'plain', but nothing around what is no conversation.

        :raises UserError: C001, there is no such template.
        """
        undecided = template is None or template == "auto"
        completed = undecided and any(one["role"] in COMPLETED for one in messages)
        chosen = NAMED["completion"] if completed else template_of(tokenizer, template or "auto")[0]
        return Layout(tokenizer, chosen, control_of(tokenizer, chosen))

    def prompt(self, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> Written:
        """What a model is given that is to answer ``messages``.

        :raises UserError: C002, the template fails.
        """
        held = Held(self.control)
        return written(self.control, self._laid(messages, tools, held, asking=True), held)

    def whole(self, messages: Sequence[Mapping[str, Any]], tools: Any = None) -> Conversation:
        """``messages``, the last of which is an answer.

        :raises UserError: C002, the template fails; C003, the last message is no answer.
        """
        if not messages or messages[-1]["role"] not in ANSWERS:
            remedy = "Leave out what comes behind the last answer, or the row."
            raise UserError(Problem("C003", "the conversation", "does not end with an answer.", remedy))
        held = Held(self.control)
        asked = self._laid(messages[:-1], tools, held, asking=True)
        marked = self._marked(messages, tools, held)
        before = written(self.control, asked, held)
        found = written(self.control, marked, held)
        last = len(messages) - 1
        opened = found.marks.get(f"{OPENS}{last}")
        grafted = not found.text.startswith(before.text)
        if grafted and (opened is None or messages[-1].get("tool_calls")):
            what = "the template changes the last answer so that its place cannot be told."
            raise UserError(Problem("C004", "chat.template", what, _OTHER_TEMPLATE))
        start = len(before.text)
        told = opened if grafted and opened is not None else start
        tail = found.text[told:]
        stop = _stop(found, found.marks.get(f"{CLOSES}{last}", told), self.control)
        end = start + (stop[1] - told if stop else found.marks.get(f"{CLOSES}{last}", len(found.text)) - told)
        lead = "" if grafted or opened is None else found.text[start:opened]
        earlier, unplaced = self._earlier(messages, tools, held, before, found, stop, lead, grafted)
        places = (*earlier, Place(start, end, last))
        return Conversation(before.text, tail, places, stop[2] if stop else None, grafted, unplaced)

    def _earlier(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Any,
        held: Held,
        before: Written,
        found: Written,
        stop: tuple[int, int, str] | None,
        lead: str,
        grafted: bool,
    ) -> tuple[list[Place], bool]:
        """Places of the answers that the prompt holds, and whether some could not be found."""
        numbers = [number for number, one in enumerate(messages[:-1]) if one["role"] in ANSWERS]
        if not numbers:
            return [], False
        if grafted:  # the prompt is laid out otherwise than the same turns within the whole
            marked = self._marked(messages[:-1], tools, held, asking=True)
            found = written(self.control, marked, held)
        if found.text[: len(before.text)] != before.text:
            return [], True
        places: list[Place] = []
        unplaced = False
        for number in numbers:
            opened, closed = (found.marks.get(f"{mark}{number}") for mark in (OPENS, CLOSES))
            if opened is None or closed is None:
                unplaced = unplaced or says(messages[number])
                continue
            after = places[-1].end if places else 0
            start = _start(found.text, after, opened, self._header(), lead)
            later = (found.marks.get(f"{OPENS}{one}") for one in range(number + 1, len(messages)))
            limit = next((one for one in later if one is not None), len(before.text))
            calls = bool(messages[number].get("tool_calls"))
            places.append(Place(start, _end(found, closed, limit, stop, calls), number))
        return places, unplaced

    def _marked(self, messages: Sequence[Mapping[str, Any]], tools: Any, held: Held, asking: bool = False) -> str:
        """Laid out with marks around answers; without them where they change anything else."""
        best = plain = self._laid(messages, tools, held, asking)
        wanted = 2 * sum(says(one) for one in messages if one["role"] in ANSWERS)  # each opens and closes
        for mark in (around, around_what_is_said):
            marked = self._laid(messages, tools, held, asking, mark)
            if MARK.sub("", marked) == plain and len(MARK.findall(marked)) > len(MARK.findall(best)):
                best = marked
            if len(MARK.findall(best)) == wanted:
                break
        return best

    def _laid(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Any,
        held: Held,
        asking: bool = False,
        mark: Mark | None = None,
    ) -> str:
        wanted = json.loads(tools) if isinstance(tools, str) else tools
        completes = self.template == NAMED["completion"]
        roles = {} if completes else dict(_PLAIN_ROLES)
        if "developer" not in self.template:
            roles["developer"] = "system"
        try:
            return self._tried(messages, held.take(wanted), held, asking, mark, roles, False)
        except _FAILURES as failure:
            if any(one.get("tool_calls") for one in messages):  # some templates join arguments as text
                try:
                    return self._tried(messages, held.take(wanted), held, asking, mark, roles, True)
                except _FAILURES:
                    pass
            what = (
                f"the template fails on roles {', '.join(one['role'] for one in messages)}: {str(failure).rstrip('.')}."
            )
            raise UserError(Problem("C002", "chat.template", what, _OTHER_TEMPLATE)) from failure

    def _tried(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Any,
        held: Held,
        asking: bool,
        mark: Mark | None,
        roles: Mapping[str, str],
        as_text: bool,
    ) -> str:
        shown = [
            for_template(one, roles, held, as_text, None if mark is None else partial(mark, number))
            for number, one in enumerate(messages)
        ]
        try:
            return laid_out(self.tokenizer, self.template, shown, tools, asking)
        except Exception as failure:
            if not _of_jinja(failure):
                raise
            raise ValueError(str(failure)) from failure

    def _header(self) -> str:
        """What the template writes to ask for an answer."""
        known = _HEADERS.setdefault(self.tokenizer, {})
        if self.template not in known:
            held = Held(self.control)
            sample = [{"role": "user", "content": "a"}]
            try:
                plain, asked = (self._laid(sample, None, held, asking) for asking in (False, True))
            except UserError:
                plain = asked = ""
            header = asked[len(plain) :] if asked.startswith(plain) else ""
            known[self.template] = written(self.control, header, held).text
        return known[self.template]


_HEADERS: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
_FAILURES = (TypeError, ValueError, KeyError, AttributeError, IndexError)
"""What a template raises that does not fit its messages, once the errors of Jinja are made one of them."""
_OTHER_TEMPLATE = "Name another template with chat.template, such as 'plain', or leave such rows out."


def _of_jinja(failure: Exception) -> bool:
    from jinja2 import TemplateError

    return isinstance(failure, TemplateError)


def _stop(found: Written, after: int, control: Control) -> tuple[int, int, str] | None:
    """The special token that comes first behind character ``after``: what ends the answer."""
    return next((one for one in found.tokens if one[0] >= after and one[2] in control.special), None)


def _start(text: str, after: int, opened: int, header: str, lead: str) -> int:
    """Where an earlier answer begins: where a model that is asked for it would go on."""
    gap = text[after:opened]
    place = gap.rfind(header) if header else -1
    if place >= 0:
        return after + place + len(header)
    return opened - len(lead) if lead and gap.endswith(lead) else opened


def _end(found: Written, closed: int, limit: int, stop: tuple[int, int, str] | None, calls: bool) -> int:
    """Where an earlier answer ends: behind the same token that ends the last one, if it stands there."""
    if stop is None:
        return closed
    for start, end, name in found.tokens:
        if closed <= start and end <= limit and name == stop[2]:
            return end if calls or not found.text[closed:start].strip() else closed
    return closed
