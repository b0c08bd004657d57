"""What requests cost, held against a limit before each of them."""

from __future__ import annotations

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

    def __init__(self, limit: float | None) -> None:
        self.limit = limit
        self.paid = 0.0
        self.unsure = 0.0
        self._held: list[float] = []
        self._full = False
        self._changed = Condition()

    def hold(self, estimate: float) -> None:
        """Set ``estimate`` aside for a request; waits for others while theirs may turn out cheaper.

        :raises LimitReached: it does not fit, nor does anything after it.
        """
        with self._changed:
            while self.limit is not None and self.paid + self.unsure + sum(self._held) + estimate > self.limit:
                if self._full or not self._held:
                    self._full = True
                    self._changed.notify_all()
                    raise LimitReached
                self._changed.wait()
            if self._full:
                raise LimitReached
            self._held.append(estimate)

    def settle(self, estimate: float, paid: float = 0.0, unsure: float = 0.0) -> None:
        """Give back what was set aside: the request is answered, refused or lost."""
        with self._changed:
            self._held.remove(estimate)
            self.paid += paid
            self.unsure += unsure
            self._changed.notify_all()
