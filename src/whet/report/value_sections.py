"""A closer look at one model that gives numbers: said against true, how far off, and which rows most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.report import numbers
from whet.report.charts import ticks
from whet.report.mistakes import shortened
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Table, plain
from whet.report.task_charts import cloud, histogram

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import ValuePredictions

    Floats = NDArray[np.float64]

POINTS_DRAWN = 800
"""More rows are thinned out evenly along the truth, so that the page stays small."""
NUM_PARTS = 10
NUM_BARS = 24
NUM_FURTHEST = 16
TITLES = {"scatter": "Said against true", "residuals": "How far off", "furthest": "Furthest off"}


@dataclass(frozen=True, slots=True)
class Far:
    """One row that is far off; ``gap`` in the words of :func:`_gap_words`."""

    text: str
    text_pair: str
    true: str
    said: str
    gap: str
    line: int | None


def _known(run: RunFiles) -> tuple[ValuePredictions, Floats, Floats] | str:
    """The saved values of the shown model, true and said, or why there are none."""
    from whet.data.predictions import ValuePredictions

    predictions = run.judged(ValuePredictions)
    if isinstance(predictions, str):
        return predictions
    assert predictions.gold is not None
    finite = np.isfinite(predictions.gold) & np.isfinite(predictions.said)
    predictions = predictions.take(finite)
    if not len(predictions) or predictions.gold is None:
        return "No row has both a true and a said value."
    return predictions, predictions.gold, predictions.said


def ranks_of(values: Floats) -> Floats:
    """(n,) share of the rows below each value, equal ones counted half, so that equal values share a place."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - counts / 2)[inverse.ravel()] / len(values), dtype=np.float64)


def gaps(predictions: ValuePredictions) -> Floats:
    """(n,) how far each row is off: said - true; for similarity, whose scales may differ, in places of the order.

    A place of 0.25 means: a quarter of all rows stands between where the row is and where it belongs.
    """
    assert predictions.gold is not None
    if predictions.purpose == "similarity":
        return ranks_of(predictions.said) - ranks_of(predictions.gold)
    return predictions.said - predictions.gold


def parts(true: Floats, said: Floats, num_parts: int = NUM_PARTS) -> list[tuple[float, float, float, float, int]]:
    """Rows in parts of about equal size along the truth: (from, to, mean truth, mean said, rows).

    Rows of equal truth stay in one part.
    """
    edges = np.unique(np.quantile(true, np.linspace(0, 1, num_parts + 1)[1:-1]))
    index = np.searchsorted(edges, true, side="left")
    found = []
    for number in np.unique(index):
        inside = index == number
        here = true[inside]
        found.append(
            (float(here.min()), float(here.max()), float(here.mean()), float(said[inside].mean()), int(inside.sum()))
        )
    return found


def scatter(run: RunFiles) -> Section:
    """Every row as a dot, the truth across, what was said upwards."""
    made = _known(run)
    if isinstance(made, str):
        return Section("scatter", TITLES["scatter"], absent=made)
    predictions, true, said = made
    model, same = run.shown_model, predictions.purpose == "regression"
    order = np.argsort(true, kind="stable")
    every = -(-len(order) // POINTS_DRAWN)
    points = [(float(true[row]), float(said[row])) for row in order[::every]]
    along = parts(true, said)
    means = [(one[2], one[3]) for one in along]
    spoken = "; ".join(f"at {one[2]:.3g} it says {one[3]:.3g}" for one in along)
    alternative = f"Said against true values of {model}. On average: {spoken}."
    caption = f"{model}: every dot is a row, the truth across, what was said upwards; the squares are means along "
    caption += "the truth."
    caption += " On the dotted diagonal said and true agree." if same else " The scales may differ: only order counts."
    if every > 1:
        caption += f" Drawn is one row in {every}."
    titles = ("True", "Said")
    svg = drawn("scatter", alternative, {"any": lambda: cloud(points, means, titles, same)})
    picture = Picture(caption, alternative, _parts_table(along), svg)
    return Section("scatter", TITLES["scatter"], {"picture": picture, "model": model, "parts": _parts_table(along)})


def _parts_table(along: list[tuple[float, float, float, float, int]]) -> Table:
    rows: list[list[Any]] = []
    for low, high, true, said, count in along:
        span = f"{numbers.figure(low)} to {numbers.figure(high)}" if high > low else numbers.figure(low)
        rows.append([span, numbers.count(count), numbers.figure(true), numbers.figure(said)])
    return plain("Means along the truth", ["True value", "Rows", "Mean true", "Mean said"], rows)


def residuals(run: RunFiles) -> Section:
    """How the distances from the truth are spread."""
    made = _known(run)
    if isinstance(made, str):
        return Section("residuals", TITLES["residuals"], absent=made)
    predictions, _, _ = made
    found, by_place = gaps(predictions), predictions.purpose == "similarity"
    scale = 100.0 if by_place else 1.0
    counts = bars_of(found * scale)
    title = "Places too high, percent of all rows" if by_place else "Said minus true"
    size = np.abs(found) * scale
    shown = [
        (f"{share} % are within", _gap_words(float(np.quantile(size, share / 100)), by_place)) for share in (50, 90)
    ]
    shown.append(("Mean, with sign", _signed_gap(float(found.mean() * scale), by_place)))
    spoken = "; ".join(f"{name} {value}" for name, value in shown)
    alternative = f"{title} of {run.shown_model}: {spoken}."
    caption = f"{run.shown_model}: {'how many places of the order' if by_place else 'how far'} rows are off; left of "
    caption += "the dashed line too low, right of it too high."
    rows = [[f"{numbers.figure(low)} to {numbers.figure(high)}", numbers.count(count)] for low, high, count in counts]
    data = plain("The numbers of the picture", [title, "Rows"], rows)
    svg = drawn("residuals", alternative, {"any": lambda: histogram(counts, title)})
    content = {"picture": Picture(caption, alternative, data, svg), "facts": shown, "by_place": by_place}
    return Section("residuals", TITLES["residuals"], content)


def bars_of(values: Floats, about: int = NUM_BARS) -> list[tuple[float, float, int]]:
    """(from, to, rows) in steps of 1, 2 or 5 times a power of ten; zero is an edge."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    marks = ticks(low, high if high > low else low + 1, about)
    step = marks[1] - marks[0] if len(marks) > 1 else 1.0
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    last = max(last, first + 1)
    places = np.clip(np.floor(values / step + 1e-9).astype(np.int64), first, last - 1)
    counts = np.bincount(places - first, minlength=last - first)
    return [
        (round((first + number) * step, 10), round((first + number + 1) * step, 10), int(count))
        for number, count in enumerate(counts)
    ]


def _gap_words(size: float, by_place: bool) -> str:
    return f"{numbers.decimal(size, 1)}{numbers.GAP}% of the places" if by_place else numbers.figure(size)


def _signed_gap(value: float, by_place: bool) -> str:
    return ("+" if value > 0 else "") + _gap_words(value, by_place)


def furthest(run: RunFiles) -> Section:
    """The rows that are furthest off, with their texts."""
    made = _known(run)
    if isinstance(made, str):
        return Section("furthest", TITLES["furthest"], absent=made)
    predictions, true, said = made
    found, by_place = gaps(predictions), predictions.purpose == "similarity"
    order = np.argsort(-np.abs(found), kind="stable")[:NUM_FURTHEST]
    texts = run.sources(predictions, order, ["text", "text_pair", "line"])
    rows = []
    for row in (int(row) for row in order if found[row] != 0):
        source = texts.get(row) or {}
        rows.append(
            Far(
                shortened(str(source.get("text") or "")),
                shortened(str(source.get("text_pair") or "")),
                numbers.figure(true[row]),
                numbers.figure(said[row]),
                _signed_gap(float(found[row]) * (100.0 if by_place else 1.0), by_place),
                source.get("line"),
            )
        )
    if not rows:
        return Section("furthest", TITLES["furthest"], absent=f"{run.shown_model} is nowhere off.")
    content = {
        "model": run.shown_model,
        "rows": rows,
        "total": numbers.plural(len(predictions), "row"),
        "has_texts": bool(texts),
        "by_place": by_place,
    }
    return Section("furthest", TITLES["furthest"], content)
