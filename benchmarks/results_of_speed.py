"""Section of RESULTS.md: ratios of speed.py, beside their targets; and the picture of them."""

import statistics
from pathlib import Path
from typing import Any

from results_of_growth import growth
from results_of_methods import read, table
from speed import ROWS

PICTURE = Path(__file__).parent / "speed.svg"
WORDS = """\
Command: `make bench`, or a row alone: `python benchmarks/speed.py ROW`. How many times as fast the first side is, in
turn in one sitting: the median of the rounds, the lowest and the highest. Real tokens; padding is not counted. Where
both sides state an accuracy, a target is reached only if ours is at least the peer's. whet trains without further
baselines, label noise and forgetting here, which the peers do not do either; a peer takes the best of the settings
that were tried for it. Memory: of the peer's process, and of whet's in training."""
WORDS_OF_OVERHEAD = """\
Command: `python benchmarks/speed.py overhead`; `whet fit` on banking77 with defaults, from start to end. Steps that
train and predict: those of models and baselines, the fits that look for label noise, the questions on what was
forgotten, the answers to validation and test rows. All else is overhead: start-up, reading, audit, tokenising,
decisions, proof of the fast path, plan, saving and loading anew, scores, verdict, report."""


def ratios() -> list[str]:
    """The table, and the picture drawn anew."""
    found = [one for row in ROWS if (one := read(f"speed_{row.name}"))]
    if not found:
        return [*overhead(), *growth()]
    rows = []
    for one in found:
        spread = f"{one['low']:.2f} to {one['high']:.2f}"
        cells = [one["words"], f"{one['target']:g}", f"**{one['median']:.2f}**", spread, _reached(one)]
        rows.append([*cells, _more(one["rounds"]), str(len(one["rounds"])), one["date"]])
    head = ["work", "target", "ratio", "rounds from, to", "reached", "beside", "rounds", "date"]
    lines = ["## Speed, row by row", "", WORDS, "", *_where(found[0]), *table(head, rows)]
    if draw(found):
        lines += [f"![How many times as fast, beside the targets]({PICTURE.name})", ""]
    return [*lines, *overhead(), *growth()]


def on_gpu() -> list[str]:
    """Training of decoders on a GPU, beside a loop of transformers and PEFT."""
    found = read("speed_gpu")
    if not found:
        return []
    head = ["job", "ratio", "rounds from, to", "whet, tokens/s", "peer, tokens/s", "MFU", "peak memory, GB: whet, peer"]
    rows = []
    for one in found["jobs"]:
        ours, theirs = ([both[side] for both in one["rounds"]] for side in ("whet", "transformers"))
        spread = f"{one['low']:.2f} to {one['high']:.2f}" if "median" in one else "-"
        rates = [_shown(side, "rate", 1.0, ",.0f") for side in (ours, theirs)]
        peaks = ", ".join(_shown(side, "peak_bytes", 1e9, ".1f") for side in (ours, theirs))
        ratio = f"**{one['median']:.2f}**" if "median" in one else "-"
        rows.append([one["job"], ratio, spread, *rates, _shown(ours, "mfu", 0.01, ".0f"), peaks])
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    words = f"Command: `make bench-gpu`; {found['device']}, {packages}, {found['date']}."
    return ["## Training on a GPU", "", words, "", *table(head, rows)]


def _shown(side: list[dict[str, Any]], name: str, unit: float, form: str) -> str:
    """The median of what the rounds of a side gave; why it failed where it did."""
    known = [one[name] for one in side if one.get(name)]
    if known:
        return f"{statistics.median(known) / unit:{form}}"
    return next((str(one["failed"]) for one in side if "failed" in one), "-")


def _where(one: dict[str, Any]) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in one["packages"].items())
    return [f"{one['cpu']}, {one['cores']} cores; {packages}.", ""]


def _reached(one: dict[str, Any]) -> str:
    """Whether it is fast enough, and as good as the peer where both say how good they are."""
    if one["median"] < one["target"]:
        return "no"
    ours, theirs = ([each[side] for each in one["rounds"]] for side in ("ours", "theirs"))
    stated = all("accuracy" in one for one in (*ours, *theirs))
    return "no: less accurate" if stated and _median(ours, "accuracy") < _median(theirs, "accuracy") else "yes"


def _more(rounds: list[dict[str, Any]]) -> str:
    """What else was measured: shares of the ceiling, memory, seconds, accuracy, losses and scores of both sides."""
    ours, theirs = ([one[side] for one in rounds] for side in ("ours", "theirs"))
    told = []
    if shares := [one["mfu"] for one in ours if one.get("mfu")]:
        told.append(f"{max(shares):.0%} of the product ceiling at best")
    both = [[one["peak_bytes"] for one in side if one.get("peak_bytes")] for side in (ours, theirs)]
    if all(both):
        told.append(f"peak memory {min(both[0]) / 1e9:.1f} against {min(both[1]) / 1e9:.1f} GB")
    if "accuracy" in ours[0] and "accuracy" in theirs[0]:
        told.append("accuracy {:.1f} and {:.1f}".format(*(100 * _median(side, "accuracy") for side in (ours, theirs))))
        told.append("{:.0f} and {:.0f} s".format(*(_median(side, "seconds") for side in (ours, theirs))))
    for name in ("loss", "score"):
        if name in ours[0] and name in theirs[0]:
            told.append(f"{name} {ours[0][name]:.4f} and {theirs[0][name]:.4f}")
    if "grown_mib" in ours[0]:
        told.append(f"our memory grew by {max(one['grown_mib'] for one in ours):.0f} MiB")
    if "note" in ours[0]:
        told.append(str(ours[0]["note"]))
    return "; ".join(told)


def _median(side: list[dict[str, Any]], name: str) -> float:
    return statistics.median(one[name] for one in side)


def overhead() -> list[str]:
    """What a whole command takes beside training and prediction, and where it goes."""
    one = read("speed_overhead")
    if one is None:
        return []
    typical = min(one["rounds"], key=lambda each: abs(each["share"] - one["median"]))
    ours = f"{typical['seconds']:.0f} and {typical['steps']:.0f} s"
    spread = f"{one['low']:.1%} to {one['high']:.1%}"
    reached = "yes" if one["median"] <= one["target"] else "no"
    cells = [f"at most {one['target']:.0%}", f"**{one['median']:.1%}**", spread, ours, reached, one["date"]]
    head = ["target", "overhead", "rounds from, to", "whole command and steps", "reached", "date"]
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in typical["stages"].items())
    lines = ["### Overhead of a whole command", "", WORDS_OF_OVERHEAD, "", *_where(one), *table(head, [cells])]
    return [*lines, f"Seconds of the stages of the median round (answers are part of keep): {stages}.", ""]


def draw(found: list[dict[str, Any]]) -> bool:
    """The ratios with their spread, a tick at each target, on a scale of powers; False where nothing draws."""
    try:
        import altair as alt
        import vl_convert
    except ImportError:
        return False
    rows = [
        {"row": one["row"], "ratio": one["median"], "low": one["low"], "high": one["high"], "target": one["target"]}
        for one in found
    ]
    order = [one["row"] for one in found]
    base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("row:N", sort=order, title=None))
    ends = [min(0.5, *(one["low"] for one in found)), 1.2 * max(one["high"] for one in found)]
    scale, axis = alt.Scale(type="log", domain=ends), alt.Axis(values=[0.5, 1, 2, 3, 5, 10, 20, 50, 100])
    medians = base.mark_point(color="#4c78a8", filled=True, size=90).encode(
        x=alt.X("ratio:Q", scale=scale, axis=axis, title="times as fast")
    )
    spread = base.mark_rule(color="#222").encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    targets = base.mark_tick(color="#e45756", thickness=3, size=18).encode(x=alt.X("target:Q", scale=scale))
    chart = (spread + targets + medians).properties(width=560, padding=16, title="Ratios and targets (red)")
    PICTURE.write_text(vl_convert.vegalite_to_svg(chart.to_json()), encoding="utf-8")
    return True
