"""Runs of ``adaptations.py`` to results/adaptations.json. Usage: adaptations_table.py FOLDER

Quality is the mean over seeds with its interval over seeds and test rows; forgetting is the mean over seeds of what
linear probes on unrelated sets lost, with the smallest and the largest; the rest are medians over seeds. What a way
was refused with stands in its place.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from adaptations import SETS, WAYS, place

from whet.data.predictions import load
from whet.evaluation.two_level import two_level
from whet.models.loading import count_parameters
from whet.models.places import find

OUT = Path(__file__).parent / "results" / "adaptations.json"


def runs(folder: Path, data: str, way: str) -> dict[int, Path]:
    """The finished runs of a way by seed."""
    places = {seed: place(folder, data, way, seed) for seed in range(10)}
    return {seed: run for seed, run in places.items() if (run / "report.html").exists()}


def summary(found: dict[int, Path], method: str) -> dict[str, Any]:
    """What is known of a way on a set; ``method`` as the models of its runs are called."""
    metric = json.loads((next(iter(found.values())) / "verdict.json").read_text())["metric"]
    said = [load(run / "predictions" / f"{method}.test.parquet") for run in found.values()]
    each = [json.loads((run / "verdict.json").read_text())["values"][method] for run in found.values()]
    result: dict[str, Any] = {"seeds": sorted(found), "metric": metric, "each": each, "value": statistics.mean(each)}
    if len(said) > 1:
        result |= two_level(said, metric, seed=0).to_json()
    facts = [json.loads((run / "stages" / "facts" / f"{method}.json").read_text()) for run in found.values()]
    names = ("trainable_parameters", "peak_bytes", "train_seconds", "tokens_per_second", "size_bytes")
    for name in names:
        known = [fact[name] for fact in facts if fact.get(name) is not None]
        result[name] = statistics.median(known) if known else None
    lost = [_forgotten(run, method) for run in found.values()]
    result["forgotten"] = [one for one in lost if one is not None]
    return result


def _forgotten(run: Path, method: str) -> float | None:
    path = run / "forgetting.json"
    if not path.exists():
        return None
    known = json.loads(path.read_text())["models"].get(method, {}).get("forgotten")
    return None if known is None else float(known["value"])


def main(folder: Path) -> None:
    table: dict[str, Any] = {"total_parameters": count_parameters(find("minilm")), "sets": {}}
    for data in SETS:
        rows: dict[str, Any] = {}
        for way, (method, options) in WAYS.items():
            found = runs(folder, data, way)
            refused = place(folder, data, way, 0) / "refused.txt"
            if found:
                rows[way] = summary(found, method) | {"options": list(options), "method": method}
            elif refused.exists():
                rows[way] = {"refused": refused.read_text().strip().splitlines()[-1], "method": method}
            if way == "full" and found:
                rows["probe"] = summary(found, "probe") | {"options": [], "method": "probe"}
        table["sets"][data] = rows
    OUT.write_text(json.dumps(table, indent=1))
    for data, rows in table["sets"].items():
        for way, row in rows.items():
            lost = row.get("forgotten")
            print(data, way, row.get("refused") or (round(row["value"], 4), len(row["each"]), lost), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
