"""What requests cost, held against a limit before each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition

MILLION = 1_000_000


class LimitReached(Exception):
    """One more request could cost more than is left."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens that are read, and of as many that are written, in any one currency."""

    input: float
    output: float

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """The price of so many tokens."""
        return (tokens_in * self.input + tokens_out * self.output) / MILLION


class Budget:
    """What was paid, and what may be; for any number of threads.

    - ``paid``: for requests that were answered.
    - ``unsure``: upper estimates of requests that were sent and never answered. They may have been charged, so they
      count against the limit.
    """

    def __init__(
        self,
        limit: float | None,
        paid: float = 0.0,
        unsure: float = 0.0,
        others: float = 0.0,
        note: Callable[[float, float], None] | None = None,
    ) -> None:
        """Go on from what was spent before.

        :param others: what somebody else has spent of the same limit.
        :param note: told what is paid and what may have been, before each request where there is a limit: a process
            that is killed leaves nothing that was sent and not noted.
        """
        self.limit = limit
        self.paid = paid
        self.unsure = unsure
        self.others = others
        self._note = note
        self._held: list[float] = []
        self._full = False
        self._changed = Condition()

    def hold(self, estimate: float) -> None:
        """Set ``estimate`` aside for a request; waits for others while theirs may turn out cheaper.

        :raises LimitReached: it does not fit, nor does anything after it.
        """
        with self._changed:
            while self.limit is not None and self._most + estimate > self.limit:
                if self._full or not self._held:
                    self._full = True
                    self._changed.notify_all()
                    raise LimitReached
                self._changed.wait()
            if self._full:
                raise LimitReached
            self._held.append(estimate)
            if self.limit is not None:
                try:
                    self._tell()
                except BaseException:  # it is not sent
                    self._held.remove(estimate)
                    self._changed.notify_all()
                    raise

    def settle(self, estimate: float, paid: float = 0.0, unsure: float = 0.0) -> None:
        """Give back what was set aside: the request is answered, refused or lost."""
        with self._changed:
            self._held.remove(estimate)
            self.paid += paid
            self.unsure += unsure
            self._changed.notify_all()

    def tell(self) -> None:
        """Have it noted now."""
        with self._changed:
            self._tell()

    @property
    def _most(self) -> float:
        return self.others + self.paid + self.unsure + sum(self._held)

    def _tell(self) -> None:
        if self._note is not None:
            self._note(self.paid, self.unsure + sum(self._held))
