"""What a judge said: a language model that was shown the texts of two models, in both orders. Out of ``judge.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.files import read_json
from whet.report import numbers
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, words

TITLE = "What a judge says"
FILE = "judge.json"
SHOWN = 6
"""Rows that are shown, those that the model lost first."""
LEVEL = 0.05
"""From which p on the sign test proves nothing."""
RULINGS = {
    "loss": "worse",
    "win": "better",
    "flip": "the place decided: neither",
    "tie": "neither",
    "unreadable": "no verdict could be read",
}
"""In the order in which rows are shown."""
Facts = Mapping[str, Any]


def judged(run: RunFiles) -> bool:
    """Whether a judge was asked in this run."""
    return (run.folder / FILE).is_file()


def judge(run: RunFiles) -> Section:
    """Counts, the share of wins with its interval, and some rows."""
    told = read_json(run.folder / FILE)
    model, against = str(told["model"]), str(told["against"])
    return Section(
        "judge",
        TITLE,
        {
            "judge": told["judge"],
            "model": model,
            "against": against,
            "words": _words(told, model, against),
            "counts": _counts(told, model, against),
            "rows": _rows(run, told, model, against),
            "price": (told.get("spent") or {}).get("price"),
        },
    )


def _words(told: Facts, model: str, against: str) -> str:
    """The outcome in a sentence; the sign test decides whether it is called a difference."""
    if told.get("share") is None:
        return "No verdict could be read."
    share, low, high = (100 * float(told[name]) for name in ("share", "low", "high"))
    said = f"{model} gets {share:.0f} % of the points against {against} (95 % interval {low:.0f} to {high:.0f}"
    p = float(told["p"])
    said += f"; sign test p = {p:.2g})" if p >= 0.001 else "; sign test p < 0.001)"
    return f"{said}: {'a difference' if p < LEVEL else 'this is no proof that either is better'}."


def _counts(told: Facts, model: str, against: str) -> Table:
    columns = [
        Column("Of two texts"),
        Column("Rows", True),
        Column("Counted"),
    ]
    named = (
        (f"{model} is better", "wins", "in both orders"),
        (f"{against} is better", "losses", "in both orders"),
        ("neither is better", "ties", "half a point each"),
        ("of these: the place decided", "flips", "the text shown first, or the one shown second, won both times"),
        ("no verdict could be read", "unreadable", "left out of the share"),
    )
    rows = [
        Row([words(name), number(told.get(key), numbers.count(told.get(key))), words(why)]) for name, key, why in named
    ]
    return Table("How often", columns, rows)


def _rows(run: RunFiles, told: Facts, model: str, against: str) -> Table | None:
    """Some of the judged rows with both texts."""
    from whet.data.predictions import TextPredictions

    ours, theirs = (run.predictions(name, TextPredictions) for name in (model, against))
    if ours is None or theirs is None or ours.said is None or theirs.said is None:
        return None
    order = list(RULINGS)
    ruled = [(order.index(str(one["ruling"])), int(row)) for row, one in zip(told["ids"], told["rows"], strict=True)]
    chosen = [(order[place], row) for place, row in sorted(ruled)[:SHOWN] if row < len(ours)]
    asked = run.sources(ours, [row for _, row in chosen], ["text"])
    columns = [
        Column("Asked", prose=True),
        Column(model, prose=True),
        Column(against, prose=True),
        Column(f"{model} is"),
    ]
    rows = [
        Row(
            [
                Cell(str(asked.get(row, {}).get("text", ""))),
                Cell(ours.said[row]),
                Cell(theirs.said[row]),
                words(RULINGS[one]),
            ]
        )
        for one, row in chosen
    ]
    return Table("Some of them, lost ones first", columns, rows, shape="stacked")
