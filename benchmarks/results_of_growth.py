"""Section of RESULTS.md: how training grows with rows, their length, classes and the share that moves."""

import math
from pathlib import Path
from typing import Any

from results_of_methods import MIB, read, table

PICTURE = Path(__file__).parent / "growth.svg"
WORDS = """\
Command: `python benchmarks/speed.py growth`; `minilm`, one pass over texts of banking77, each training in a process of
its own. Seconds within optimiser steps, and peak memory of the process in training. Exponent: of the curve between its
first and its last point (1: twice the work takes twice as long; 0: it takes no longer). The target is 1 at most; a
tenth more passes as noise. Every step reads the same number of tokens, so that memory should hardly grow. Attention
grows with the square of a text's length, and is a small part of what is measured here."""
AXES = {
    "rows": "rows",
    "length": "length of texts",
    "classes": "classes",
    "weights": "weights that move",
}
MOST = 1.1
"""An exponent that is still linear."""


def growth() -> list[str]:
    """A row of the table for each axis, and the picture."""
    found = read("speed_growth")
    if found is None:
        return []
    axes = {axis: [case for case in found["cases"] if case["axis"] == axis] for axis in AXES}
    head = ["what grows", "from, to", "seconds", "exponent", "peak memory, MiB", "exponent", "reached"]
    lines = ["### Growth", "", WORDS, "", *table(head, [_row(AXES[axis], cases) for axis, cases in axes.items()])]
    if draw(axes):
        lines += [f"![Seconds and memory against the size of the work, both as multiples]({PICTURE.name})", ""]
    return lines


def _row(words: str, cases: list[dict[str, Any]]) -> list[str]:
    seconds, memory = ([case[name] for case in cases] for name in ("seconds", "peak_bytes"))
    exponents = [exponent(cases, name) for name in ("seconds", "peak_bytes")]
    sizes = [f"{case['size']:,}" + (f" ({case['method']})" if words == AXES["weights"] else "") for case in cases]
    return [
        words,
        ", ".join(sizes),
        ", ".join(f"{one:.1f}" for one in seconds),
        f"**{exponents[0]:.2f}**",
        ", ".join(f"{one / MIB:,.0f}" for one in memory),
        f"**{exponents[1]:.2f}**",
        "yes" if max(exponents) <= MOST else "no",
    ]


def exponent(cases: list[dict[str, Any]], name: str) -> float:
    """Of the line between the first and the last point, both axes on a scale of powers."""
    first, last = cases[0], cases[-1]
    return math.log(last[name] / first[name]) / math.log(last["size"] / first["size"])


def draw(axes: dict[str, list[dict[str, Any]]]) -> bool:
    """Seconds and memory as multiples of those of the smallest; dashed: linear. False where nothing draws."""
    try:
        import altair as alt
        import vl_convert
    except ImportError:
        return False
    rows = [
        {
            "axis": AXES[axis],
            "work": case["size"] / cases[0]["size"],
            "seconds": case["seconds"] / cases[0]["seconds"],
            "memory": case["peak_bytes"] / cases[0]["peak_bytes"],
        }
        for axis, cases in axes.items()
        for case in cases
    ]
    scale, most = alt.Scale(type="log"), max(row["work"] for row in rows)
    ends = alt.Data(values=[{"work": one, "linear": one} for one in (1, most)])
    axis = alt.Axis(values=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    work = alt.X("work:Q", scale=scale, axis=axis, title="work, as a multiple of the smallest")
    linear = alt.Chart(ends).mark_line(strokeDash=[4, 4], color="#888", clip=True).encode(x=work)
    both = []
    for name in ("seconds", "memory"):
        curve = alt.Chart(alt.Data(values=rows)).mark_line(point=True, clip=True)
        # weights span three powers of ten, at which a line of slope 1 would press all others flat
        fitting = alt.Scale(type="log", domain=[0.3, 1.2 * max(10.0, *(row[name] for row in rows))])
        side = alt.Y(f"{name}:Q", scale=fitting, title=f"{name}, as a multiple")
        shown = curve.encode(x=work, y=side, color=alt.Color("axis:N", title=None, sort=list(AXES.values())))
        both.append((linear.encode(y=alt.Y("linear:Q", scale=fitting)) + shown).properties(width=300, height=300))
    chart = alt.hconcat(*both, title="Growth (dashed: linear)", padding=16).configure_legend(labelLimit=200)
    PICTURE.write_text(vl_convert.vegalite_to_svg(chart.to_json()), encoding="utf-8")
    return True
