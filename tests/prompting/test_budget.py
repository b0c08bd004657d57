from __future__ import annotations

import threading

import pytest

from whet.prompting.budget import Budget, LimitReached, Prices


def test_prices_are_of_a_million_tokens():
    assert Prices(3.0, 15.0).of(1_000_000, 0) == 3.0
    assert Prices(3.0, 15.0).of(200, 100) == pytest.approx(0.0021)


def test_without_a_limit_everything_fits():
    budget = Budget(None)
    for _ in range(3):
        budget.hold(1e9)
    budget.settle(1e9, 5.0)
    assert budget.paid == 5.0


def test_nothing_fits_after_what_did_not():
    budget = Budget(1.0)
    budget.hold(0.6)
    budget.settle(0.6, paid=0.5)
    with pytest.raises(LimitReached):
        budget.hold(0.6)
    with pytest.raises(LimitReached):
        budget.hold(0.1)


def test_the_whole_limit_may_be_spent():
    budget = Budget(1.0)
    budget.hold(0.5)
    budget.hold(0.5)
    budget.settle(0.5, paid=0.5)
    budget.settle(0.5, unsure=0.5)
    assert (budget.paid, budget.unsure) == (0.5, 0.5)
    budget.hold(0.0)


def test_one_waits_for_another_that_may_turn_out_cheaper():
    budget, fits = Budget(1.0), threading.Event()

    def wait() -> None:
        budget.hold(0.8)
        fits.set()

    budget.hold(0.9)
    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not fits.wait(0.05)
    budget.settle(0.9, paid=0.1)
    waiting.join(5)
    assert fits.is_set()


def test_all_who_wait_are_told_that_the_limit_is_reached():
    budget, refused = Budget(1.0), []

    def wait() -> None:
        try:
            budget.hold(0.8)
        except LimitReached:
            refused.append(1)

    budget.hold(0.9)
    waiting = [threading.Thread(target=wait) for _ in range(3)]
    for one in waiting:
        one.start()
    budget.settle(0.9, paid=0.9)
    for one in waiting:
        one.join(5)
    assert refused == [1, 1, 1]


def test_what_was_spent_before_counts():
    budget = Budget(1.0, paid=0.2, unsure=0.1, others=0.3)
    budget.hold(0.4)
    budget.settle(0.4, paid=0.3)
    assert (budget.paid, budget.unsure) == (0.5, 0.1)
    with pytest.raises(LimitReached):
        budget.hold(0.2)


def test_what_is_about_to_be_sent_is_noted_first():
    told: list[tuple[float, float]] = []
    budget = Budget(1.0, paid=0.25, note=lambda paid, unsure: told.append((paid, unsure)))
    budget.hold(0.5)
    assert told == [(0.25, 0.5)]
    budget.settle(0.5, paid=0.125)
    budget.tell()
    assert told[1:] == [(0.375, 0.0)]


def test_what_cannot_be_noted_is_not_sent():
    def fail(paid: float, unsure: float) -> None:
        raise OSError

    budget = Budget(1.0, note=fail)
    for _ in range(3):
        with pytest.raises(OSError):
            budget.hold(0.9)
