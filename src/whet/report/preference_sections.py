"""A closer look at a model that learnt from preferences: rewards of answers, pairs it gets wrong, its own answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.files import read_json
from whet.report import numbers
from whet.report.mistakes import shortened
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, plain, words
from whet.report.task_charts import histogram
from whet.report.value_sections import bars_of

if TYPE_CHECKING:
    from whet.data.predictions import PreferencePredictions

FILE = "preference.json"
NUM_WRONG = 12
TITLES = {
    "rewards": "Rewards of answers",
    "disagreements": "Pairs the wrong way round",
    "own_answers": "Its own answers",
}


def _known(run: RunFiles) -> PreferencePredictions | str:
    from whet.data.predictions import PreferencePredictions

    return run.judged(PreferencePredictions)


def rewards(run: RunFiles) -> Section:
    """How far apart rewards are, and what training did to the likelihood of either answer."""
    found = _known(run)
    if isinstance(found, str):
        return Section("rewards", TITLES["rewards"], absent=found)
    assert found.gold is not None
    if found.paired:
        gaps, title = found.rewards[:, 0] - found.rewards[:, 1], "Reward of the better answer less that of the worse"
        caption = f"{run.shown_model}: right of the dashed line the better answer has the larger reward."
    else:
        gaps, title = np.where(found.gold, 1.0, -1.0) * found.rewards[:, 0], "Reward, of disliked answers turned round"
        caption = f"{run.shown_model}: liked answers should lie right of disliked ones; those are drawn turned round."
    counts = bars_of(gaps)
    rows = [[f"{numbers.figure(low)} to {numbers.figure(high)}", numbers.count(count)] for low, high, count in counts]
    spoken = f"{title} of {run.shown_model}: mean {float(gaps.mean()):.3g}, median {float(np.median(gaps)):.3g}."
    svg = drawn("rewards", spoken, {"any": lambda: histogram(counts, title)})
    picture = Picture(caption, spoken, plain("The numbers of the picture", [title, "Rows"], rows), svg)
    return Section("rewards", TITLES["rewards"], {"picture": picture, "moved": _moved(run)})


def _moved(run: RunFiles) -> Table | None:
    details: Mapping[str, Any] = ((run.scores or {}).get("details") or {}).get(run.shown_model or "") or {}
    moved = details.get("moved")
    if not moved:
        return None
    rows = [[f"{name} answers", f"{one['nats']:+.2f}", f"{one['nats_per_token']:+.3f}"] for name, one in moved.items()]
    return plain("What training did to their likelihood", ["Of", "Nats an answer", "Nats a token"], rows)


def disagreements(run: RunFiles) -> Section:
    """The pairs that are wrong by most, with their texts."""
    title = TITLES["disagreements"]
    found = _known(run)
    if isinstance(found, str):
        return Section("disagreements", title, absent=found)
    if not found.paired:
        return Section("disagreements", title, absent="Rows are answers with a thumb, not pairs.")
    gaps = found.rewards[:, 0] - found.rewards[:, 1]
    wrong = [int(row) for row in np.argsort(gaps, kind="stable")[:NUM_WRONG] if not found.correct[row]]
    if not wrong:
        return Section("disagreements", title, absent=f"{run.shown_model} gets every pair right.")
    texts = run.sources(found, wrong, ["text", "chosen", "rejected", "line"])
    columns = [Column("Line", True), Column("Better", prose=True), Column("Worse", prose=True), Column("Gap", True)]
    rows = []
    for row in wrong:
        source = texts.get(row) or {}
        better, worse = (shortened(str(source.get(name) or "")) for name in ("chosen", "rejected"))
        line = source.get("line")
        gap = number(float(gaps[row]), numbers.figure(float(gaps[row])))
        rows.append(Row([number(line, numbers.count(line)), Cell(better), Cell(worse), gap]))
    return Section("disagreements", title, {"table": Table("Wrong by most", columns, rows, shape="stacked")})


def own_answers(run: RunFiles) -> Section:
    """What base and tuned model answered to prompts of the test rows, and how far apart they are."""
    path = run.folder / FILE
    told = (read_json(path) if path.is_file() else {}).get(run.shown_model or "")
    if not told:
        return Section("own_answers", TITLES["own_answers"], absent="No answers were written (preference.samples).")
    kl, tokens = told["kl"], told["tokens"]
    facts = [
        ("Answers", numbers.count(told["prompts"])),
        ("KL to the base, nats an answer", f"{kl['value']:.2f} ({kl['low']:.2f} to {kl['high']:.2f})"),
        ("KL to the base, nats a token", f"{told['kl_per_token']:.3f}"),
        ("Tokens an answer, base", f"{tokens['base']:.1f}"),
        ("Tokens an answer, tuned", f"{tokens['tuned']:.1f}"),
        ("Ended by themselves, base", f"{100 * told['finished']['base']:.0f} %"),
        ("Ended by themselves, tuned", f"{100 * told['finished']['tuned']:.0f} %"),
    ]
    columns = [Column("Asked", prose=True), Column("Base", prose=True), Column("Tuned", prose=True)]
    rows = [Row([words(shortened(str(one[name]))) for name in ("prompt", "base", "tuned")]) for one in told["examples"]]
    table = Table("Some of them, drawn from each model's own distribution", columns, rows, shape="stacked")
    return Section("own_answers", TITLES["own_answers"], {"facts": facts, "table": table})
