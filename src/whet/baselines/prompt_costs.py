"""What a question costs: tokens, seconds and price of each, and how they differ from row to row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from whet.prompting.speaker import Reply, Spent

LOW, HIGH = 10, 90
"""Percentiles of the rows: four in five questions cost something between."""
MILLION = 1_000_000


def spread(values: ArrayLike) -> dict[str, float] | None:
    """Mean, and what the cheapest and the dearest tenth begin with; None where nothing is known."""
    known = np.asarray(values, np.float64)
    if not len(known):
        return None
    low, high = np.percentile(known, [LOW, HIGH])
    return {"low": float(low), "mean": float(known.mean()), "high": float(high)}


def of_replies(replies: Sequence[Reply], prices: tuple[float, float] | None) -> dict[str, Any]:
    """Spreads over ``replies``, cached ones as they were when they were asked.

    :param prices: of a million tokens that are read and written.
    """
    tokens_in = np.asarray([one.tokens_in for one in replies], np.float64)
    tokens_out = np.asarray([one.tokens_out for one in replies], np.float64)
    price = () if prices is None else (tokens_in * prices[0] + tokens_out * prices[1]) / MILLION
    return {
        "seconds": spread([one.seconds for one in replies if one.seconds > 0]),
        "tokens_in": spread(tokens_in),
        "tokens_out": spread(tokens_out),
        "price": spread(price),
    }


def of_weighing(seconds: float, tokens: Sequence[int], num_rows: int) -> dict[str, Any]:
    """The same where answers were weighed: ``seconds`` for all rows, shared out by the ``tokens`` of some of them."""
    counted = np.asarray(tokens, np.float64)
    a_row = seconds / max(1, num_rows)
    shares = counted / counted.mean() if len(counted) else np.ones(0)
    return {"seconds": spread(a_row * shares), "tokens_in": spread(counted), "tokens_out": None, "price": None}


def evenly(seconds: float, num_rows: int) -> dict[str, Any]:
    """The same where nothing but the time of all rows is known."""
    return {"seconds": spread([seconds / max(1, num_rows)]), "tokens_in": None, "tokens_out": None, "price": None}


def since(before: Spent, after: Spent) -> dict[str, Any]:
    """What was spent in between."""
    old, new = asdict(before), asdict(after)
    return {name: None if new[name] is None else round(new[name] - (old[name] or 0), 9) for name in new}
