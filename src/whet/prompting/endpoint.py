"""A language model at an OpenAI-compatible endpoint, asked through the package ``openai``.

The key is read from the environment when requests are made, and held nowhere else: not in an attribute, a file, a
log or a reply that is kept.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.prompting.address import is_here, read_address
from whet.prompting.asking import Asker, Question, sent_messages
from whet.prompting.budget import Budget, LimitReached, Prices
from whet.prompting.ledger import Ledger, priced
from whet.prompting.replies import fingerprint, reply_of
from whet.prompting.session import Session
from whet.prompting.speaker import Progress, Prompt, Reply, Spent, estimated_tokens
from whet.store.rows import ReplyRow

KEY_VARIABLE = "OPENAI_API_KEY"
NO_KEY = "none"
"""What is sent where a service on this machine needs no key: the protocol wants some word."""
NOTED_EVERY = 1.0
"""Seconds between two notes of what is spent where there is no limit; where there is one, each request is noted."""


class Endpoint:
    """A :class:`~whet.prompting.speaker.Speaker` elsewhere.

    - ``remarks``: what is to be known of its answers, in words; such as that it takes no temperature.
    """

    weighs = False
    longest: int | None = None

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str = KEY_VARIABLE,
        *,
        prices: Prices | None = None,
        max_cost: float | None = None,
        requests_at_once: int = 4,
        timeout_seconds: float = 60.0,
        retries: int = 5,
        store_url: str | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Check what can be checked without a request.

        :param url: where ``/chat/completions`` follows, such as ``http://localhost:8000/v1``.
        :param model: its name there.
        :param max_cost: no request is made that could take the sum beyond it, in the currency of ``prices``.
        :param retries: new tries of one request where the service is busy, fails or is late.
        :param store_url: where replies are kept, see :func:`whet.store.index.open_store`.
        :param ledger: where it is kept what was spent; the limit holds for all that stands there.
        :raises UserError: P020, this is no address; P021, there is no key; P022, the package is missing; P026, a
            limit without prices.
        """
        self.url, self._host = read_address(url)
        self.model = model
        self.name = f"{model} at {self._host}"
        self.remarks: list[str] = []
        self._variable = key_variable
        self._prices = prices
        self._at_once = requests_at_once
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._store_url = store_url
        self._ledger = ledger
        self._spent, self._budget = self._begun(max_cost)
        self._counting = Lock()
        self._noted_at = 0.0
        self._own = 0
        self._plain_limit = self._tempered = True
        if max_cost is not None and prices is None:
            what = "a spending limit needs the prices of a million tokens that are read and written."
            raise UserError(Problem("P026", self.name, what, "Give both prices (0 where it is free), or no limit."))
        self._key()
        _package()

    @staticmethod
    def of(asked: Any, model: str, store_url: str | None = None, ledger: Ledger | None = None) -> Endpoint:
        """The endpoint that a part of the recipe (``prompting`` or ``judge``) names.

        :param model: its name there.
        :raises UserError: as the class; P026 also where one of the prices is given without the other.
        """
        given = (asked.price_input, asked.price_output)
        if (given[0] is None) != (given[1] is None):
            _, host = read_address(asked.endpoint)  # the address may hold what nobody should read
            what = "one price is given without the other, so that nothing can be counted."
            raise UserError(Problem("P026", host, what, "Give both prices, 0 where it is free."))
        return Endpoint(
            asked.endpoint,
            model,
            asked.key_variable,
            prices=None if given[0] is None else Prices(*given),
            max_cost=asked.max_cost,
            requests_at_once=asked.requests_at_once,
            timeout_seconds=asked.timeout_seconds,
            retries=asked.retries,
            store_url=store_url,
            ledger=ledger,
        )

    def count(self, prompt: Prompt) -> int:
        """About how many tokens a prompt has, on the high side."""
        return estimated_tokens(prompt)

    def say(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Reply]:
        """Answer ``prompts``, in their order; what was asked before, here or in an earlier run, is not asked again.

        :raises UserError: P021, the key is gone; P023, the service refuses; P024, it does not answer; P025, the
            spending limit; P027, what it says is no reply. All replies so far are kept.
        :raises StoreUnavailable: replies cannot be kept.
        """
        from whet.store.index import open_store

        questions = [self._question(number, prompt, max_tokens, tuple(stop)) for number, prompt in enumerate(prompts)]
        with self._noted():
            with open_store(self._store_url) as store:
                session = Session(store, questions, progress, self._count)
                try:
                    if session.open:
                        with self._asker() as asker:
                            session.ask(asker, self._at_once)
                except LimitReached:
                    raise UserError(self._limit_reached(len(session.open), len(questions))) from None
            replies = self._replies(questions, session, tuple(stop))
            self._count_known(sum(reply.cached for reply in replies))
        return replies

    def weigh(
        self, prompts: Sequence[Prompt], answers: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """Not offered: the protocol has no way to ask how likely a given answer is.

        :raises UserError: P031.
        """
        remedy = "Ask it to say the answer."
        raise UserError(Problem("P031", self.name, "cannot be asked how likely given answers are.", remedy))

    def spent(self) -> Spent:
        """What it has cost so far, with what stood in the ledger when it was opened."""
        with self._counting:
            known = self._spent.price is not None
            return replace(self._spent, price=self._budget.paid if known else None)

    def _begun(self, limit: float | None) -> tuple[Spent, Budget]:
        """What was spent before, and what is left of the limit."""
        spent, unsure = (Spent(), 0.0) if self._ledger is None else self._ledger.spent(self.name)
        others = 0.0
        if self._prices is not None:
            spent.price = priced(spent, 0.0, self._prices)
            others = 0.0 if self._ledger is None else self._ledger.others(self.name, self._prices)
        return spent, Budget(limit, spent.price or 0.0, unsure, others, self._note)

    def _note(self, paid: float, unsure: float) -> None:
        if self._ledger is not None:
            with self._counting:
                spent = replace(self._spent, price=None if self._spent.price is None else paid)
            self._ledger.note(self.name, spent, unsure)
            self._noted_at = time.monotonic()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """What is spent inside stands in the ledger, however it ends."""
        try:
            yield
        finally:
            self._budget.tell()

    def go_on(self, finished: Spent) -> None:
        """Begin again with what was cut short: what was paid for it is known now, and yet no gift from elsewhere.

        :param finished: what was spent on all that will not be asked again.
        """
        self._own = max(0, self._spent.requests - finished.requests)
        self._spent.cached = finished.cached

    def _question(self, number: int, prompt: Prompt, max_tokens: int, stop: tuple[str, ...]) -> Question:
        messages = sent_messages(prompt)
        settings = {"max_tokens": max_tokens, "stop": list(stop), "temperature": 0}
        return Question(number, fingerprint(self.url, self.model, messages, settings), messages, max_tokens, stop)

    @contextmanager
    def _asker(self) -> Iterator[Asker]:
        openai = _package()
        key = self._key()
        here = is_here(self._host)
        with openai.OpenAI(
            api_key=key or NO_KEY,
            base_url=self.url,
            timeout=self._timeout_seconds,
            max_retries=0,
            # what the environment says of proxies is about other machines
            http_client=openai.DefaultHttpxClient(trust_env=False) if here else None,
        ) as client:
            asker = Asker(client, self.model, self.name, self._variable, key, self._retries, self._prices, self._budget)
            asker.plain_limit, asker.tempered = self._plain_limit, self._tempered
            try:
                yield asker
            finally:
                self._plain_limit = asker.plain_limit
                if self._tempered and not asker.tempered:
                    self._tempered = False
                    self.remarks.append("takes no temperature, so that its answers may differ when it is asked again")

    def _key(self) -> str:
        """The key; "" for a service on this machine that needs none.

        :raises UserError: P021.
        """
        key = os.environ.get(self._variable, "").strip()
        if not key and not is_here(self._host):
            what = f"the environment variable {self._variable} holds no key."
            remedy = "Set it, or name another one with key_variable; any word will do where no key is asked for."
            raise UserError(Problem("P021", self.name, what, remedy))
        if not (key.isascii() and key.isprintable() and " " not in key):
            what = f"the environment variable {self._variable} holds what cannot be a key."
            raise UserError(Problem("P021", self.name, what, "A key is one word of plain letters, digits and signs."))
        return key

    def _count(self, row: ReplyRow) -> None:
        with self._counting:
            self._spent.add(reply_of(row, (), cached=False))
        if self._budget.limit is None and time.monotonic() - self._noted_at > NOTED_EVERY:
            self._budget.tell()

    def _count_known(self, number: int) -> None:
        with self._counting:
            own = min(number, self._own)
            self._own -= own
            self._spent.cached += number - own

    def _replies(self, questions: Sequence[Question], session: Session, stop: tuple[str, ...]) -> list[Reply]:
        """In the order of the prompts; of equal ones the first was asked, and the others knew."""
        paid = set(session.answered)
        found = []
        for question in questions:
            found.append(reply_of(session.known[question.hash], stop, question.hash not in paid))
            paid.discard(question.hash)
        return found

    def _limit_reached(self, num_open: int, num_prompts: int) -> Problem:
        budget = self._budget
        unsure = f", and up to {budget.unsure:.4g} for requests without a reply" if budget.unsure else ""
        paid = budget.others + budget.paid
        what = f"one more request could go beyond max_cost={budget.limit:g}: {paid:.4g} is spent{unsure}; "
        what += f"{num_open:,} of {num_prompts:,} prompts are not answered yet."
        remedy = "Raise max_cost; replies so far are kept and cost nothing again."
        return Problem("P025", self.name, what, remedy)


def _package() -> Any:
    try:
        import openai
    except ImportError:
        remedy = "Run: pip install 'whet[endpoint]'"
        raise UserError(Problem("P022", "endpoints", "need the package openai, which is missing.", remedy)) from None
    return openai
