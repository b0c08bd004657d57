"""Tables of ways of adapting, of plans and of label noise for RESULTS.md."""

import json
import statistics
from pathlib import Path
from typing import Any

from sets import DECODER_JOBS

from whet.evaluation.measures import MEASURES

FOLDER = Path(__file__).parent / "results"
MIB = 2**20


def read(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def methods() -> list[str]:
    """Encoders, a table a set; decoders below."""
    found = read("adaptations")
    if found is None:
        return []
    total = found["total_parameters"]
    lines = ["## Ways of adapting", ""]
    lines += ["Command: `python benchmarks/adaptations.py FOLDER`, then `adaptations_table.py FOLDER`; base `minilm`,"]
    lines += ["defaults but for what is named. Quality: mean over seeds on test, with its 95 % interval over seeds and"]
    lines += [
        "rows where there is more than one seed. Forgotten: points of accuracy that probes on three unrelated sets"
    ]
    lines += ["lost, mean (smallest to largest seed); below zero they gained. Memory: peak of the process in training."]
    lines += ["Time: of a training step on trec, as a multiple of full tuning's, by `method_speed.py`, in turn.", ""]
    fewest, wanted = min(_seeds(found)), 3
    if fewest < wanted:
        lines += [
            f"Not all has been run yet: rows rest on {fewest} to {max(_seeds(found))} seeds, and ways are missing.",
            "",
        ]
    for data, rows in found["sets"].items():
        if rows:
            lines += [f"### {data}", "", *_table(rows, total), ""]
    return [*lines, *decoders()]


def _seeds(found: dict[str, Any]) -> list[int]:
    return [len(row["each"]) for rows in found["sets"].values() for row in rows.values() if "each" in row]


def _table(rows: dict[str, Any], total: int) -> list[str]:
    lines = [
        "| way | quality | seeds | forgotten | weights that move | memory, MiB | time | to ship, MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rates = (read("method_speed") or {}).get("trec", {})
    for way, row in rows.items():
        if "refused" in row:
            lines.append(f"| {way} | refused: {row['refused']} | | | | | | |")
            continue
        rate = None if row["options"] else rates.get(row["method"])  # plans know a method, not each of its ways
        time = f"{rates['full'] / rate:.2f}" if rate else "-"
        cells = [way, _quality(row), str(len(row["each"])), _lost(row["forgotten"])]
        cells += [f"{row['trainable_parameters'] / total:.3%}", _size(row["peak_bytes"], MIB), time]
        lines.append("| " + " | ".join([*cells, _size(row["size_bytes"], 1e6, 1)]) + " |")
    metric = next((MEASURES[row["metric"]].words for row in rows.values() if "metric" in row), "")
    return [f"Metric: {metric}.", "", *lines]


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
    lines = [
        "### Decoders",
        "",
        "Command: `python benchmarks/decoders.py`, seed 0; llama135m has random weights, so that",
    ]
    lines += ["its rows are about memory and speed alone. Other work ran beside them: tokens a second tell little.", ""]
    lines += [
        "| base, method | nats a token (base) | forgotten, nats | moving | memory, MiB | tokens/s | to ship, MB |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
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
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def plans() -> list[str]:
    """What was foreseen, against what was used."""
    found = read("planning")
    if not found:
        return []
    lines = [
        "## Plans",
        "",
        "Command: `python benchmarks/planning.py --json results/planning.json`; what was foreseen,",
    ]
    lines += ["from the configuration and by a trial, as a difference to what `whet fit` used.", ""]
    lines += ["| family | method | memory used, MiB | configuration | trial | training, s | configuration | trial |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for row in found:
        cells = [row["family"], row["method"]]
        for part in (row["peak"], row["seconds"]):
            used = part["used"]
            gaps = [f"{part[way] / used - 1:+.0%}" if used else "-" for way in ("configuration", "trial")]
            cells += [f"{used:,.0f}" if used else "-", *gaps]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def label_noise() -> list[str]:
    """Labels turned on purpose."""
    found = read("label_noise")
    if not found:
        return []
    names = list(found[0])
    lines = ["## Doubtful labels", "", "Command: `python benchmarks/label_noise.py`; labels turned on purpose.", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|" + "---|" * len(names)]
    for row in found:
        lines.append("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    return [*lines, ""]
