"""Rows that were chosen from a pool: how many, whether they are nearer to the target, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whet.files import read_json
from whet.report import numbers
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, plain, words

FILE = "selection.json"
WAYS = {
    "dsir": "by importance resampling of hashed words (DSIR)",
    "nearest": "as the nearest by the vectors of the base",
}


def was_chosen(run: RunFiles) -> bool:
    """Whether the run chose its training rows."""
    return (run.folder / "data" / FILE).is_file()


def selection(run: RunFiles) -> Section:
    """Counts, distances, examples."""
    told = read_json(run.folder / "data" / FILE)
    rows = [
        ["the whole pool", numbers.count(told["pool"]), numbers.decimal(told["divergence_pool"])],
        ["chosen", numbers.count(told["chosen"]), numbers.decimal(told["divergence_chosen"])],
    ]
    share = numbers.percent(told["chosen"] / max(1, told["pool"]))
    content = {
        "words": f"{share} of the pool's training rows were chosen {WAYS.get(told['way'], told['way'])}, by their "
        f"likeness to {numbers.plural(told['target_rows'], 'text')} of the target.",
        "table": plain("Distance of their words to those of the target", ["Rows", "Count", "Nats"], rows),
        "most": _examples("Most like the target", told["most_like"]),
        "least": _examples("Least like the target", told["least_like"]),
    }
    return Section("selection", "Rows chosen from the pool", content)


def _examples(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [Column("Text", prose=True), Column("Weight", True)]
    found = [Row([words(one["text"]), number(one["weight"], numbers.figure(one["weight"]))]) for one in rows]
    return Table(caption, columns, found, shape="stacked")
