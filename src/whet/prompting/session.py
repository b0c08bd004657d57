"""One call of an endpoint: what is known already is taken from the store, the rest is asked for, some at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whet.prompting.asking import Asker, Question
from whet.prompting.speaker import Progress
from whet.store.rows import ReplyRow

if TYPE_CHECKING:
    from whet.store.index import Store

PULSE = 0.5
"""Seconds after which progress is told again where no reply has come: whoever hears of it may want to stop."""


@dataclass(slots=True)
class Session:
    """One call: what was known already, what is asked, what was answered.

    - ``known``: every answer so far, by hash; ``answered``: those of them that were asked for in this call.
    - ``count``: given each answer that was asked for.
    """

    store: Store
    questions: Sequence[Question]
    progress: Progress | None
    count: Callable[[ReplyRow], None]
    known: dict[str, ReplyRow]
    answered: dict[str, ReplyRow]
    prompts: Counter[str]
    num_done: int

    def __init__(
        self,
        store: Store,
        questions: Sequence[Question],
        progress: Progress | None,
        count: Callable[[ReplyRow], None],
    ) -> None:
        self.store, self.questions, self.progress, self.count = store, questions, progress, count
        self.prompts = Counter(question.hash for question in questions)
        self.known = store.replies(list(self.prompts))
        self.answered = {}
        self.num_done = sum(self.prompts[one] for one in self.known)
        self._tell()

    @property
    def open(self) -> list[Question]:
        """Questions without an answer; those that are asked twice stand here twice."""
        return [question for question in self.questions if question.hash not in self.known]

    def ask(self, asker: Asker, at_once: int) -> None:
        """Ask all that is open; where something goes wrong, what was under way is waited for and kept."""
        first = {question.hash: question for question in reversed(self.open)}
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="whet-endpoint")
        waiting = [pool.submit(asker.ask, one) for one in sorted(first.values(), key=lambda one: one.number)]
        try:
            left = set(waiting)
            while left:
                done, left = wait(left, PULSE, FIRST_COMPLETED)
                if not done:
                    self._tell()
                for one in done:
                    self._keep(one.result())
                    self._tell()
        except BaseException:
            asker.halted.set()
            pool.shutdown(cancel_futures=True)
            for one in waiting:
                self._keep_if_any(one)
            raise
        finally:
            pool.shutdown()

    def _keep(self, row: ReplyRow) -> None:
        if row.hash not in self.answered:
            self.known[row.hash] = self.answered[row.hash] = row
            self.num_done += self.prompts[row.hash]
            self.count(row)
            self.store.keep_reply(row)

    def _keep_if_any(self, done: Future[ReplyRow]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._keep(done.result())

    def _tell(self) -> None:
        if self.progress:
            self.progress(self.num_done)
