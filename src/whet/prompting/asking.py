"""One request to an endpoint: tried again where that may help, what comes back read, what goes wrong explained."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from whet.errors import Problem, UserError
from whet.prompting.budget import Budget, Prices
from whet.prompting.speaker import MESSAGE_TOKENS, Prompt, estimated_tokens, text_tokens
from whet.store.rows import ReplyRow

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the first new try; each wait is twice the one before, up to the longest."""
PATIENCE = 120.0
"""Seconds that a service may ask to be left alone for; where it asks for more, the run ends."""
AGAIN = (408, 409, 425, 429)
"""States of a service that pass, beside its own failures (500 and above)."""
NO_MONEY = "insufficient_quota"
"""What OpenAI calls an account without money: status 429, but waiting does not help."""
AT_MOST_STOPS = 4
"""Stop texts that services take; others are found in what came back."""
SECRET_LENGTH = 8
"""Characters of the shortest key that is taken out of what a server says; shorter ones stand in ordinary words."""
_SENT = ("role", "content", "name", "tool_calls", "tool_call_id")


class Halted(Exception):
    """Another request went wrong, so this one is not made."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt to be answered.

    - ``number``: which it is, from 0.
    - ``hash``: see :func:`whet.prompting.replies.fingerprint`.
    """

    number: int
    hash: str
    messages: list[dict[str, Any]]
    max_tokens: int
    stop: tuple[str, ...]

    def most(self, prices: Prices | None) -> float:
        """What it costs at most: no token stands for less than a byte, and templates add some to each message."""
        if prices is None:
            return 0.0
        written = json.dumps(self.messages, ensure_ascii=False).encode(errors="replace")
        return prices.of(len(written) + MESSAGE_TOKENS * (1 + len(self.messages)), self.max_tokens)


def sent_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as the protocol has it: no fields of our own, none that are empty, tool calls as objects."""
    roles = {"prompt": "user", "completion": "assistant"}
    found = []
    for message in prompt:
        sent = {name: message[name] for name in _SENT if message.get(name) is not None}
        sent["role"] = roles.get(sent["role"], sent["role"])
        if isinstance(sent.get("tool_calls"), str):
            sent["tool_calls"] = json.loads(sent["tool_calls"])
        found.append({name: value for name, value in sent.items() if name != "tool_calls" or value})
    return found


@dataclass(slots=True)
class Asker:
    """Asks one model at one endpoint; for any number of threads.

    - ``client``: of the package openai, without tries of its own.
    - ``name``: who is asked, for people.
    - ``key``: taken out of whatever the server says.
    - ``plain_limit``: the limit is called ``max_tokens``; models that think want ``max_completion_tokens``.
    - ``tempered``: temperature 0 is asked for; some models take none.
    """

    client: Any
    model: str
    name: str
    variable: str
    key: str = field(repr=False)
    retries: int
    prices: Prices | None
    budget: Budget
    plain_limit: bool = True
    tempered: bool = True
    halted: Event = field(default_factory=Event)

    def ask(self, question: Question) -> ReplyRow:
        """The reply to ``question``.

        :raises UserError: P023, the service refuses; P024, it does not answer; P027, what it says is no reply.
        :raises LimitReached: it might cost more than is left.
        :raises Halted: :attr:`halted` is set.
        """
        tries = 0
        while True:
            try:
                return self._once(question)
            except _Passing as trouble:
                tries += 1
                if tries > self.retries or (trouble.wait or 0.0) > PATIENCE:
                    raise UserError(self._gave_up(question, trouble, tries)) from None
                wait = trouble.wait or pause(tries)
            if self.halted.wait(wait):
                raise Halted

    def _once(self, question: Question) -> ReplyRow:
        """One try, or a second at once where the model wants its settings by other names."""
        most = question.most(self.prices)
        self.budget.hold(most)
        paid = unsure = 0.0
        try:
            if self.halted.is_set():
                raise Halted
            started = time.monotonic()
            with self._explained(question):
                answer = self._sent(question)
            unsure = most if getattr(answer, "usage", None) else 0.0  # charged, whether it can be read or not
            row = self._read(answer, question, time.monotonic() - started)
            unsure = 0.0
            paid = 0.0 if self.prices is None else self.prices.of(row.tokens_in, row.tokens_out)
            return row
        except _Passing as trouble:
            unsure = most if trouble.maybe_charged else 0.0
            raise
        finally:
            self.budget.settle(most, paid, unsure)

    def _sent(self, question: Question) -> Any:
        import openai

        while True:
            plain, tempered = self.plain_limit, self.tempered
            given: dict[str, Any] = {"max_tokens" if plain else "max_completion_tokens": question.max_tokens}
            given |= {"temperature": 0.0} if tempered else {}
            given |= {"stop": list(question.stop[:AT_MOST_STOPS])} if question.stop else {}
            try:
                return self.client.chat.completions.create(model=self.model, messages=question.messages, **given)
            except openai.BadRequestError as error:  # refused before it was read, so nothing is charged
                said = self._words(error).lower()
                if plain and "max_completion_tokens" in said:
                    self.plain_limit = False
                elif tempered and "temperature" in said and ("support" in said or "deprecated" in said):
                    self.tempered = False
                else:
                    raise

    def _read(self, answer: Any, question: Question, seconds: float) -> ReplyRow:
        try:
            choice = answer.choices[0]
            message = choice.message
            text = message.content or getattr(message, "refusal", None) or ""
            finish = str(choice.finish_reason or "")
            if not isinstance(text, str):
                raise TypeError
        except (AttributeError, IndexError, KeyError, TypeError):
            what = f"prompt {question.number + 1:,}: what came back is not a reply of a chat: {str(answer)[:120]!r}."
            remedy = "Does the address end where /chat/completions is to follow, as in .../v1?"
            raise UserError(Problem("P027", self.name, self._scrubbed(what), remedy)) from None
        text = self._scrubbed(text).replace("\0", "").encode(errors="replace").decode()
        usage = getattr(answer, "usage", None)
        tokens_in = getattr(usage, "prompt_tokens", None)
        tokens_out = getattr(usage, "completion_tokens", None)
        return ReplyRow(
            question.hash,
            text,
            int(estimated_tokens(question.messages) if tokens_in is None else tokens_in),
            int(text_tokens(text) if tokens_out is None else tokens_out),
            finish,
            seconds,
        )

    @contextmanager
    def _explained(self, question: Question) -> Iterator[None]:
        """What the package raises, as a trouble that may pass or as a problem for the user."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            status, said = error.status_code, self._words(error)
            if (status in AGAIN or status >= 500) and error.code != NO_MONEY:
                raise _Passing(f"status {status}: {said}", _wait(error.response.headers)) from None
            what = _ended(f"prompt {question.number + 1:,}: status {status}: {said}")
            raise UserError(Problem("P023", self.name, what, self._remedy(status))) from None
        except openai.APIConnectionError as error:
            late = isinstance(error, openai.APITimeoutError)
            cause = type(error.__cause__).__name__
            reached = cause not in ("ConnectError", "ConnectTimeout")
            words = (
                "no answer in time" if late and reached else f"no connection ({self._scrubbed(str(error.__cause__))})"
            )
            raise _Passing(words, None, maybe_charged=reached) from None
        except (openai.OpenAIError, ValueError) as error:  # such as a body that is no JSON
            what = _ended(f"prompt {question.number + 1:,}: {self._scrubbed(str(error))[:300]}")
            raise UserError(Problem("P027", self.name, what, "Is there an OpenAI-compatible service?")) from None

    def _words(self, error: Any) -> str:
        """What the server says, in its words."""
        body = error.body
        said = body.get("message") or body.get("detail") or body.get("error") if isinstance(body, Mapping) else body
        if said is None or isinstance(said, (Mapping, list)):
            said = json.dumps(said if said is not None else body, ensure_ascii=False)
        return self._scrubbed(" ".join(str(said).split()))[:300] or "it does not say why"

    def _scrubbed(self, text: str) -> str:
        return text.replace(self.key, "***") if len(self.key) >= SECRET_LENGTH else text

    def _remedy(self, status: int) -> str:
        if status in (401, 403) and not self.key:
            state = "is empty" if self.variable in os.environ else "is not set"
            return f"The environment variable {self.variable} {state}, so that no key was sent: put the key into it."
        if status == 401:
            return f"Look at the key in the environment variable {self.variable}."
        if status == 403:
            return f"Look at the key in the environment variable {self.variable}, and at what it may be used for."
        if status == 404:
            return f"Look at the address, and whether it has a model {self.model!r}."
        return "Replies so far are kept, and are not asked for again."

    def _gave_up(self, question: Question, trouble: _Passing, tries: int) -> Problem:
        again = f"after {tries:,} tries" if tries > 1 else "at the first try"
        asks = f"; it asks to wait {trouble.wait:,.0f} seconds" if (trouble.wait or 0.0) > PATIENCE else ""
        what = _ended(f"prompt {question.number + 1:,} has no answer {again}: {trouble}{asks}")
        remedy = "Replies so far are kept, and are not asked for again; fewer requests at once may help."
        return Problem("P024", self.name, what, remedy)


def pause(tries: int) -> float:
    """Seconds to wait after so many tries, where the service does not say how long."""
    return min(FIRST_WAIT * 2.0 ** (tries - 1), LONGEST_WAIT)


def _ended(words: str) -> str:
    """With a full stop, unless they end a sentence already."""
    return words if words.endswith((".", "!", "?")) else f"{words}."


class _Passing(Exception):
    """Trouble that may pass; ``wait``: seconds that the service asks for; ``maybe_charged``: it got the request."""

    def __init__(self, words: str, wait: float | None, maybe_charged: bool = False) -> None:
        super().__init__(words)
        self.wait = wait
        self.maybe_charged = maybe_charged


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that a service asks to be left alone for; RFC 9110, section 10.2.3, and OpenAI's own in milliseconds."""
    from email.utils import parsedate_to_datetime

    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            found = float(headers.get(name) or "nan") / unit
        except ValueError:
            continue
        if 0.0 <= found < float("inf"):
            return found
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after") or "").timestamp() - time.time())
    except (TypeError, ValueError):
        return None
