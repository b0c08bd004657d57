"""Tables of ways of adapting, of plans and of label noise for RESULTS.md."""

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from adaptations import SETS, WAYS
from sets import DECODER_JOBS

from whet.evaluation.measures import MEASURES

FOLDER = Path(__file__).parent / "results"
MIB = 2**20
SEEDS = 3
WORDS_OF_METHODS = """\
Command: `python benchmarks/adaptations.py FOLDER`, then `adaptations_table.py FOLDER`; base `minilm`,
defaults but for what is named. Quality: mean over seeds on test, with its 95 % interval over seeds and
rows where there is more than one seed. Forgotten: points of accuracy that probes on three unrelated sets
lost, mean (smallest to largest seed); below zero they gained. Memory: peak of the process in training.
Time: of a training step on trec, as a multiple of full tuning's, by `method_speed.py`, in turn."""
WORDS_OF_DECODERS = """\
Command: `python benchmarks/decoders.py`, seed 0; llama135m has random weights, so that
its rows are about memory and speed alone. Other work ran beside them: tokens a second tell little."""
WORDS_OF_PLANS = """\
Command: `python benchmarks/planning.py --json results/planning.json`; what was foreseen,
from the configuration and by a trial, as a difference to what `whet fit` used."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of Markdown, with an empty one behind them."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]


def read(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def methods() -> list[str]:
    """Encoders, a table a set; decoders below."""
    found = read("adaptations")
    if found is None:
        return []
    rows = [row for rows in found["sets"].values() for name, row in rows.items() if name != "probe"]
    there, wanted = sum(len(row.get("each", ())) for row in rows), SEEDS * len(SETS) * len(WAYS)
    lines = ["## Ways of adapting", "", WORDS_OF_METHODS, ""]
    if there < wanted:
        lines += [f"Of {wanted:,} trainings ({SEEDS} seeds of every way on every set) {there:,} have been run.", ""]
    for data, ways in found["sets"].items():
        if ways:
            lines += [f"### {data}", "", *_of_set(ways, found["total_parameters"])]
    return [*lines, *decoders()]


def _of_set(ways: dict[str, Any], total: int) -> list[str]:
    head = ["way", "quality", "seeds", "forgotten", "weights that move", "memory, MiB", "time", "to ship, MB"]
    rates = (read("method_speed") or {}).get("trec", {})
    rows = []
    for way, row in ways.items():
        if "refused" in row:
            rows.append([way, f"refused: {row['refused']}", *[""] * (len(head) - 2)])
            continue
        rate = None if row["options"] else rates.get(row["method"])  # plans know a method, not each of its ways
        time = f"{rates['full'] / rate:.2f}" if rate else "-"
        share = f"{row['trainable_parameters'] / total:.3%}"
        known = [way, _quality(row), str(len(row["each"])), _lost(row["forgotten"]), share]
        rows.append([*known, _size(row["peak_bytes"], MIB), time, _size(row["size_bytes"], 1e6, 1)])
    metric = next((MEASURES[row["metric"]].words for row in ways.values() if "metric" in row), "")
    return [f"Metric: {metric}.", "", *table(head, rows)]


def _quality(row: dict[str, Any]) -> str:
    value = f"{100 * row['value']:.1f}"
    return f"{value} ({100 * row['low']:.1f}-{100 * row['high']:.1f})" if "low" in row else value


def _lost(values: list[float]) -> str:
    if not values:
        return "-"
    mean = f"{100 * statistics.mean(values):.1f}"
    return f"{mean} ({100 * min(values):.1f} to {100 * max(values):.1f})" if len(values) > 1 else mean


def _size(value: float | None, unit: float, digits: int = 0) -> str:
    return "-" if value is None else f"{value / unit:,.{digits}f}"


def decoders() -> list[str]:
    """Full tuning, LoRA and QLoRA of decoders."""
    found = [(job, result) for job in DECODER_JOBS if (result := read(job.name)) is not None]
    if not found:
        return []
    head = [
        "base, method",
        "nats a token (base)",
        "forgotten, nats",
        "moving",
        "memory, MiB",
        "tokens/s",
        "to ship, MB",
    ]
    rows = []
    for job, row in found:
        base, _, method = job.name.rpartition("_")
        metric = row["verdict"]["metric"]
        values = {name: one[metric]["value"] for name, one in row["scores"].items() if metric in one}
        facts = row["facts"]
        known = ((row["forgetting"] or {}).get("models", {}).get(method) or {}).get("forgotten")
        lost = f"{known['value']:.3f} ({known['low']:.3f} to {known['high']:.3f})" if known else "-"
        cells = [f"{base}, {method}", f"{values[method]:.3f} ({values.get('base', float('nan')):.3f})", lost]
        cells += [f"{facts['trainable_parameters']:,}", _size(facts.get("peak_bytes"), MIB)]
        cells += [f"{row['median_tokens_per_second']:,.0f}", _size(facts["size_bytes"], 1e6, 1)]
        rows.append(cells)
    return ["### Decoders", "", WORDS_OF_DECODERS, "", *table(head, rows)]


def plans() -> list[str]:
    """What was foreseen, against what was used."""
    found = read("planning")
    if not found:
        return []
    head = ["family", "method", "memory used, MiB", "configuration", "trial"]
    rows = []
    for row in found:
        cells = [row["family"], row["method"]]
        for part in (row["peak"], row["seconds"]):
            used = part["used"]
            gaps = [f"{part[way] / used - 1:+.0%}" if used else "-" for way in ("configuration", "trial")]
            cells += [f"{used:,.0f}" if used else "-", *gaps]
        rows.append(cells)
    return ["## Plans", "", WORDS_OF_PLANS, "", *table([*head, "training, s", *head[-2:]], rows)]


def label_noise() -> list[str]:
    """Labels turned on purpose."""
    found = read("label_noise")
    if not found:
        return []
    rows = [[f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()] for row in found]
    head = [name.replace("_", " ") for name in found[0]]
    words = "Command: `python benchmarks/label_noise.py`; labels turned on purpose."
    return ["## Doubtful labels", "", words, "", *table(head, rows)]
