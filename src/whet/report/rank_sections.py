"""A closer look at one model that ranks: how deep one must read, and the lists themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from whet.report import numbers
from whet.report.pictures import Picture, drawn
from whet.report.ranked_lists import Places, chosen, places, ranked_lists
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import plain
from whet.report.task_charts import bars, by_depth

if TYPE_CHECKING:
    from whet.data.predictions import RankPredictions

DEPTHS = (1, 2, 3, 5, 10, 20, 50, 100)
STEPS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 100))
"""From and to of the ranks that are counted together."""


def _ranked(run: RunFiles) -> tuple[RankPredictions, Places] | str:
    """The saved lists of the shown model and where the relevant passages stand in them, or why there are none."""
    from whet.data.predictions import RankPredictions

    predictions = run.judged(RankPredictions, "It is not known which passages are relevant.")
    if isinstance(predictions, str):
        return predictions
    if not len(predictions):
        return "There are no queries."
    return predictions, places(predictions)


def depth(run: RunFiles) -> Section:
    """Where the first relevant passage stands, and what is found by reading deeper."""
    made = _ranked(run)
    if isinstance(made, str):
        return Section("depth", "How deep one must read", absent=made)
    _, where = made
    total, without = len(where.first), int((where.num_relevant == 0).sum())
    content = {
        "model": run.shown_model,
        "pictures": [_first_ranks(run, where), _by_depth(run, where)],
        "total": numbers.plural(total, "query", "queries"),
        "without": numbers.plural(without, "query has", "queries have") if without else "",
    }
    return Section("depth", "How deep one must read", content)


def first_ranks(where: Places) -> list[tuple[str, int]]:
    """(ranks in words, queries whose first relevant passage stands there) as deep as there are any; last, not found."""
    there = where.num_relevant > 0
    found = [
        (str(low) if low == high else f"{low}–{high}", int(((where.first >= low) & (where.first <= high)).sum()))
        for low, high in STEPS
    ]
    last = max((index for index, (_, count) in enumerate(found) if count), default=0)
    return [*found[: last + 1], ("none", int(((where.first == 0) & there).sum()))]


def _first_ranks(run: RunFiles, where: Places) -> Picture:
    counts = first_ranks(where)
    total = max(1, sum(count for _, count in counts))
    spoken = "; ".join(f"rank {name}: {count}" for name, count in counts[:-1] if count)
    spoken = f"{spoken}; not found: {counts[-1][1]}" if counts[-1][1] else spoken
    alternative = f"Queries by the rank of their first relevant passage with {run.shown_model}: {spoken or 'none'}."
    caption = f"{run.shown_model}: queries by the rank of their first relevant passage; “none”: it is not among those "
    caption += "that were ranked."
    rows: list[list[Any]] = [[name, numbers.count(count), numbers.percent(count / total)] for name, count in counts]
    data = plain("The numbers of the picture", ["First relevant rank", "Queries", "Share"], rows)
    shown = [(name, count, name == "none") for name, count in counts]
    charts = {"any": lambda: bars(shown, "Rank of the first relevant passage", "Queries")}
    return Picture(caption, alternative, data, drawn("first-ranks", alternative, charts))


def recall_by_depth(where: Places) -> dict[str, list[tuple[int, float]]]:
    """Shares by depth, averaged over all queries: of the relevant passages found, and of queries with at least one.

    As in evaluation, a query for which nothing relevant is known counts 0.
    """
    deepest = max(1, where.deepest - 1)
    depths = [depth for depth in DEPTHS if depth < deepest] + [next((d for d in DEPTHS if d >= deepest), DEPTHS[-1])]
    total = np.maximum(where.num_relevant, 1)
    recall, some = [], []
    for depth in depths:
        hits = np.asarray([sum(rank <= depth for rank in ranks) for ranks in where.found])
        recall.append((depth, float((hits / total).mean())))
        some.append((depth, float((hits > 0).mean())))
    return {"Recall": recall, "At least one": some}


def _by_depth(run: RunFiles, where: Places) -> Picture:
    series = recall_by_depth(where)
    if int(where.num_relevant.max()) <= 1:  # then both are the same
        series = {"Recall": series["Recall"]}
    spoken = "; ".join(
        f"{name}: " + ", ".join(f"{numbers.percent(share)} in the first {depth}" for depth, share in points)
        for name, points in series.items()
    )
    alternative = f"Recall of {run.shown_model} by depth. {spoken}."
    caption = f"{run.shown_model}: share of the relevant passages found by reading so deep"
    caption += "; dashed: share of queries with at least one." if len(series) > 1 else "."
    rows: list[list[Any]] = [
        [numbers.count(points[0][0]), *(numbers.percent(point[1]) for point in points)]
        for points in zip(*series.values(), strict=True)
    ]
    data = plain("The numbers of the picture", ["Passages read", *series], rows)
    charts = {"any": lambda: by_depth(series, "Percent found")}
    return Picture(caption, alternative, data, drawn("by-depth", alternative, charts))


def lists(run: RunFiles) -> Section:
    """The lists of the worst queries and of some in the middle."""
    made = _ranked(run)
    if isinstance(made, str):
        return Section("lists", "Ranked lists", absent=made)
    predictions, where = made
    worst, middle = chosen(predictions, where)
    if not worst and not middle:
        return Section("lists", "Ranked lists", absent="For no query a relevant passage is known.")
    content = {
        "model": run.shown_model,
        "total": numbers.plural(len(predictions), "query", "queries"),
        "groups": [
            (title, ranked_lists(run, predictions, rows, where))
            for title, rows in (("The worst", worst), ("In the middle", middle))
            if rows
        ],
    }
    return Section("lists", "Ranked lists", content)
