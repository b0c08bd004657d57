"""Numbers as people read them: sensible digits, units, real minus signs.

Spaces between a number and its unit do not break.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard

from whet.evaluation.measures import MEASURES

ABSENT = "–"
GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


class Metric(NamedTuple):
    """How a metric is named and written; ``share``: in percent, its differences in points."""

    title: str
    share: bool
    higher_is_better: bool
    meaning: str


SHORT = {
    "brier": "Brier",
    "chrf": "chrF",
    "entity_precision": "Precision",
    "answerable_f1": "F1, answerable",
    "answerable_exact": "Exact, answerable",
    "mae": "MAE",
    "mse": "MSE",
    "ndcg_at_10": "nDCG@10",
}
"""Headings where a sentence's own words are too long for a column."""


OF_THE_TRUTH = ("mae", "mse")
"""Metrics in the unit of the true values, where a tiny number may be all there is."""


def _metric(name: str) -> Metric:
    known = MEASURES[name]
    title = SHORT.get(name) or known.words[:1].upper() + known.words[1:]
    return Metric(title, known.shown == "points", not known.lower_is_better, known.meaning)


METRICS: dict[str, Metric] = {name: _metric(name) for name in sorted(MEASURES, key=lambda name: name == "ece")}
"""Every known metric in the order of the page: as evaluation lists them, calibration last."""


def metric(name: str) -> Metric:
    """The way to write a metric; one that is not known is written as a plain number."""
    return METRICS.get(name) or Metric(name.replace("_", " "), False, True, "")


def spoken(name: str) -> str:
    """A metric's name inside a sentence: ``token cross-entropy``, ``MAE``."""
    known = MEASURES.get(name)
    return SHORT.get(name) or (known.words if known else name.replace("_", " "))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether ``value`` is a finite number (and not a truth value)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: Any, digits: int = 1) -> str:
    """0.934 becomes ``93.4 %``."""
    return f"{_signed(value * 100, digits)}{GAP}%" if is_number(value) else ABSENT


def decimal(value: Any, digits: int = 3) -> str:
    """0.93412 becomes ``0.934``."""
    return _signed(value, digits) if is_number(value) else ABSENT


def figure(value: Any) -> str:
    """A number in a unit of its own: ``0.934``, ``12,500.0``, ``2.5e−06``; no row of digits that nobody reads."""
    if not is_number(value):
        return ABSENT
    size = abs(value)
    if size and (size < 0.001 or size >= 1e9):
        return f"{value:.3g}".replace("-", MINUS)
    return f"{value:,.1f}".replace("-", MINUS) if size >= 1000 else decimal(value)


def count(value: Any) -> str:
    """12345 becomes ``12,345``."""
    return f"{round(value):,}".replace("-", MINUS) if is_number(value) else ABSENT


def plural(value: Any, one: str, many: str = "") -> str:
    """``1 row``, ``12 rows``."""
    return f"{count(value)}{GAP}{one if value == 1 else many or one + 's'}"


def points(value: Any, digits: int = 1) -> str:
    """A difference of shares in percentage points: 0.006 becomes ``+0.6``."""
    if not is_number(value):
        return ABSENT
    shown = round(value * 100, digits)
    return ("+" if shown > 0 else "") + _signed(shown, digits)


def difference(value: Any, metric_name: str) -> str:
    """A difference with its sign: points for shares, a plain number otherwise."""
    if metric(metric_name).share:
        return points(value)
    return ("+" if is_number(value) and value > 0 else "") + figure(value)


def amount(value: Any, metric_name: str) -> str:
    """A size of a difference with its unit and without sign: ``1.0 points``, ``0.012``; "" for none."""
    if not is_number(value):
        return ""
    return difference(abs(value), metric_name).lstrip("+") + unit(metric_name)


def unit(metric_name: str) -> str:
    """What stands behind a difference of this metric: points for shares."""
    return f"{GAP}points" if metric(metric_name).share else ""


def probability(value: Any) -> str:
    """A p-value: ``0.083``, ``< 0.001``."""
    if not is_number(value):
        return ABSENT
    return f"<{GAP}0.001" if value < 0.001 else f"{value:.3f}"


def seconds(value: Any) -> str:
    """A duration: ``0.42 s``, ``38.2 s``, ``3 min 12 s``, ``2 h 20 min``."""
    if not is_number(value):
        return ABSENT
    if value < 99.95:
        return f"{value:.2f}{GAP}s" if value < 1 else f"{value:.1f}{GAP}s"
    whole = round(value)
    if whole < 2 * 3600:
        return f"{whole // 60}{GAP}min {whole % 60}{GAP}s"
    return f"{whole // 3600}{GAP}h {whole % 3600 // 60}{GAP}min"


def size(value: Any) -> str:
    """Bytes in decimal units: 90900000 becomes ``90.9 MB``."""
    return _scaled(value, [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")], "B")


def magnitude(value: Any) -> str:
    """A large count in short: 22713216 becomes ``22.7 M``."""
    return _scaled(value, [(1e9, "B"), (1e6, "M"), (1e3, "k")], "")


def written(value: Any, metric_name: str) -> str:
    """A metric's value in its own way of writing."""
    return percent(value) if metric(metric_name).share else _plain(value, metric_name)


def interval(low: Any, high: Any, metric_name: str) -> str:
    """``92.5 to 94.2`` in the unit of the metric, without repeating the unit."""
    if not (is_number(low) and is_number(high)):
        return ""
    if not metric(metric_name).share:
        return f"{_plain(low, metric_name)} to {_plain(high, metric_name)}"
    return f"{_signed(low * 100, 1)} to {_signed(high * 100, 1)}"


def _plain(value: Any, metric_name: str) -> str:
    """A value of a metric without a unit; what is nothing on its scale is 0, unless its scale is that of the truth."""
    on_own_scale = metric_name in METRICS and metric_name not in OF_THE_TRUTH
    return decimal(value) if on_own_scale and is_number(value) and abs(value) < 0.001 else figure(value)


def measured(value: Any) -> tuple[float | None, float | None, float | None]:
    """(value, low, high) of a score, whether it was written with an interval or as a plain number."""
    if isinstance(value, Mapping):
        numbers = (value.get("value"), value.get("low"), value.get("high"))
        return tuple(number if is_number(number) else None for number in numbers)  # type: ignore[return-value]
    return (value if is_number(value) else None, None, None)


def _signed(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0:  # never "-0.0"
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def _scaled(value: Any, steps: list[tuple[float, str]], unit: str) -> str:
    if not is_number(value):
        return ABSENT
    for factor, name in steps:
        if value >= factor:
            return f"{value / factor:.1f}{GAP}{name}"
    return f"{round(value):,}{GAP}{unit}".rstrip(GAP)
