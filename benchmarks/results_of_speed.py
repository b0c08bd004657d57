"""Section of RESULTS.md: ratios of speed.py, beside their targets; and the picture of them."""

from pathlib import Path
from typing import Any

from results_of_methods import read, table
from speed import ROWS

PICTURE = Path(__file__).parent / "speed.svg"
WORDS = """\
Command: `make bench`, or a row alone: `python benchmarks/speed.py ROW`. How many times as fast the first side is, in
turn in one sitting: the median of the rounds, the lowest and the highest. Real tokens; padding is not counted."""


def ratios() -> list[str]:
    """The table, and the picture drawn anew."""
    found = [one for row in ROWS if (one := read(f"speed_{row.name}"))]
    if not found:
        return []
    rows = []
    for one in found:
        reached = "yes" if one["median"] >= one["target"] else "no"
        spread = f"{one['low']:.2f} to {one['high']:.2f}"
        cells = [one["words"], f"{one['target']:g}", f"**{one['median']:.2f}**", spread, reached, _more(one["rounds"])]
        rows.append([*cells, str(len(one["rounds"])), one["date"]])
    head = ["work", "target", "ratio", "rounds from, to", "reached", "beside", "rounds", "date"]
    first = found[0]
    packages = ", ".join(f"{name} {version}" for name, version in first["packages"].items())
    lines = ["## Speed, row by row", "", WORDS, "", f"{first['cpu']}, {first['cores']} cores; {packages}.", ""]
    lines += table(head, rows)
    if draw(found):
        lines += [f"![How many times as fast, beside the targets]({PICTURE.name})", ""]
    return lines


def _more(rounds: list[dict[str, Any]]) -> str:
    """What else was measured: shares of the ceiling, memory, losses and scores of both sides."""
    ours, theirs = ([one[side] for one in rounds] for side in ("ours", "theirs"))
    told = []
    if shares := [one["mfu"] for one in ours if one.get("mfu")]:
        told.append(f"{max(shares):.0%} of the product ceiling at best")
    both = [[one["peak_bytes"] for one in side if one.get("peak_bytes")] for side in (ours, theirs)]
    if all(both):
        told.append(f"peak memory {min(both[0]) / 1e9:.1f} against {min(both[1]) / 1e9:.1f} GB")
    for name in ("loss", "score"):
        if name in ours[0] and name in theirs[0]:
            told.append(f"{name} {ours[0][name]:.4f} and {theirs[0][name]:.4f}")
    return "; ".join(told)


def draw(found: list[dict[str, Any]]) -> bool:
    """Bars of the ratios with their spread, a tick at each target, on a scale of powers; False where nothing draws."""
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
    scale = alt.Scale(type="log", domainMin=min(0.5, *(one["low"] for one in found)))
    bars = base.mark_bar(color="#4c78a8").encode(x=alt.X("ratio:Q", scale=scale, title="times as fast"))
    spread = base.mark_rule(color="#222").encode(x=alt.X("low:Q", scale=scale), x2="high:Q")
    targets = base.mark_tick(color="#e45756", thickness=3, size=18).encode(x=alt.X("target:Q", scale=scale))
    chart = (bars + spread + targets).properties(width=560, title="Ratios and targets (red)")
    PICTURE.write_text(vl_convert.vegalite_to_svg(chart.to_json()), encoding="utf-8")
    return True
