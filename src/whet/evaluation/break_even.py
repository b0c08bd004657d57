"""Fine-tune or prompt: after how many requests a tuned model has cost less than one that is asked in words.

A tuned model costs once, to be trained and to have its rows labelled, and little with each request; a prompted one
costs nothing at first and more with each. They are even after N* = (C_train + C_label) / (c_prompt - c_tuned) requests.
Prompts differ in length, so N* is a range: from where every request is one of the dearer ones (as the dearest tenth
begins) to where every request is one of the cheaper ones. It says what is paid for, not what is better.

It is told in seconds, which count training but no labels, and in money where the prices are known: of an hour of the
machine that trains and answers, of a label, and of a request where it is paid for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Unit = Literal["seconds", "money"]
HOUR = 3600.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What is known of prices, in one currency: of an hour of the machine, and of labelling a row."""

    machine: float | None = None
    label: float | None = None


@dataclass(frozen=True, slots=True)
class Even:
    """When the two have cost the same, in requests.

    - ``low``: where requests are the dearer ones; None: never, since even those cost no more than the tuned model.
    - ``high``: where they are the cheaper ones; None: never.
    - ``once``, ``a_request``, ``tuned``: what fine-tuning costs once, a prompted request (cheaper, dearer) and a
      request of the tuned model, in seconds or in the currency of the prices.
    """

    unit: Unit
    low: float | None
    high: float | None
    once: float
    a_request: tuple[float, float]
    tuned: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self) | {"a_request": list(self.a_request)}


def even(unit: Unit, once: float, a_request: tuple[float, float], tuned: float) -> Even:
    """N* as a range.

    :param once: what fine-tuning costs before the first request.
    :param a_request: what a prompted request costs, a cheaper and a dearer one.
    :param tuned: what a request of the tuned model costs.
    :raises ValueError: a cost is negative or not finite, or the cheaper request is the dearer one.
    """
    cheap, dear = a_request
    if not all(math.isfinite(cost) and cost >= 0 for cost in (once, cheap, dear, tuned)) or cheap > dear:
        raise ValueError(f"costs {once}, {a_request} and {tuned} cannot be")
    return Even(unit, _requests(once, dear - tuned), _requests(once, cheap - tuned), once, a_request, tuned)


def _requests(once: float, saved: float) -> float | None:
    """Requests until what each of them saves has paid for ``once``; None where that is never."""
    return once / saved if saved > 0 else None


def in_seconds(train_seconds: float, a_request: tuple[float, float], rows_per_second: float) -> Even:
    """By the time that is waited: for training, and for each answer."""
    return even("seconds", train_seconds, a_request, 1 / rows_per_second)


def in_money(
    train_seconds: float,
    a_request: tuple[float, float],
    rows_per_second: float,
    num_labels: int,
    prices: Prices,
    paid: tuple[float, float] | None = None,
) -> Even | None:
    """By what is paid; None where the price of the machine is not known.

    :param a_request: seconds of a prompted request, cheaper and dearer, on the same machine.
    :param num_labels: rows that only fine-tuning needs labelled; without their price they count as free.
    :param paid: the price of a request, where it is not answered by that machine.
    """
    if prices.machine is None:
        return None
    a_second = prices.machine / HOUR
    asked = paid if paid is not None else (a_request[0] * a_second, a_request[1] * a_second)
    once = train_seconds * a_second + num_labels * (prices.label or 0.0)
    return even("money", once, asked, a_second / rows_per_second)


def standing(
    ways: Mapping[str, Mapping[str, Any]],
    tuned: str,
    facts: Mapping[str, Any],
    num_train: int,
    prices: Prices,
) -> dict[str, Any]:
    """The content of prompting.json: each way of prompting held against the tuned model, by what both cost.

    :param ways: name of a prompted baseline -> its facts, as :mod:`whet.baselines.prompted` leaves them.
    :param tuned: the model that was trained; ``facts``: what is known of it (``train_seconds``,
        ``predict_rows_per_second``).
    :param num_train: labelled rows that it was trained on.
    """
    found = {name: _way(dict(one.get("prompting") or {}), facts, num_train, prices) for name, one in ways.items()}
    return {
        "tuned": tuned,
        "num_train": num_train,
        "train_seconds": _number(facts.get("train_seconds")),
        "rows_per_second": _number(facts.get("predict_rows_per_second")),
        "prices": asdict(prices),
        "ways": found,
    }


def _way(about: dict[str, Any], facts: Mapping[str, Any], num_train: int, prices: Prices) -> dict[str, Any]:
    labels = _number(about.get("labels"))
    saved = None if labels is None else max(0, num_train - int(labels))
    train, speed = (_number(facts.get(name)) for name in ("train_seconds", "predict_rows_per_second"))
    costs = about.get("a_request") or {}
    seconds, paid = _ends(costs.get("seconds")), _ends(costs.get("price"))
    evens: dict[str, Any] = {"seconds": None, "money": None}
    if train is not None and speed:
        if seconds is not None:
            evens["seconds"] = in_seconds(train, seconds, speed)
        here = seconds is not None and bool(about.get("here", True))  # what answers elsewhere has its own price or none
        if here or paid is not None:
            evens["money"] = in_money(train, seconds or (0.0, 0.0), speed, saved or 0, prices, paid)
    told = evens["money"] or evens["seconds"]
    return {
        **about,
        "labels_saved": saved,
        "break_even": {unit: None if one is None else one.to_json() for unit, one in evens.items()},
        "words": "" if told is None else words(told),
    }


def _number(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _ends(spread: Any) -> tuple[float, float] | None:
    """Low and high of a spread over rows."""
    if not isinstance(spread, Mapping):
        return None
    low, high = _number(spread.get("low")), _number(spread.get("high"))
    return None if low is None or high is None or low > high else (low, high)


def words(found: Even) -> str:
    """The range in a sentence."""
    by = "the time spent" if found.unit == "seconds" else "the price"
    if found.low is None:
        return f"By {by}, a prompted request costs no more than one of the tuned model: fine-tuning never pays."
    first = rounded(found.low)
    if found.high is None:
        return (
            f"By {by}, fine-tuning pays after about {requests(first)} where requests are the dearer ones, and never "
            "where they are the cheaper ones."
        )
    last = rounded(found.high)
    if first == last:
        return f"By {by}, fine-tuning pays after about {requests(first)}."
    return f"By {by}, fine-tuning pays after about {first:,} to {last:,} requests."


def requests(number: int) -> str:
    """``1 request``, ``1,200 requests``."""
    return f"{number:,} request" + ("" if number == 1 else "s")


def rounded(number: float) -> int:
    """Requests to two digits, and at least one: no more is known."""
    if number < 10:
        return max(1, math.ceil(number - 1e-9))
    unit = int(10 ** (math.floor(math.log10(number)) - 1))
    return round(number / unit) * unit
