"""Tokens a second of every method in training, taken one after the other by ``whet plan --try-all``.

Usage: method_speed.py [SET ...]; writes results/method_speed.json. On a shared machine the methods of one set are
measured several times in turn, and the median counts.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from adaptations import SETS
from sets import ROOT

OUT = Path(__file__).parent / "results" / "method_speed.json"
ROUNDS = 2


def planned(name: str) -> dict[str, Any]:
    """The rows of a plan by method, each of which took real steps."""
    source, task = SETS[name]
    words = ["whet", "plan", str(ROOT / source), "--task", task, "--try-all", "--json"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return {row["method"]: row for row in found["methods"]}


def rate(row: dict[str, Any]) -> float | None:
    """Tokens a second of its steps; None where it took none."""
    stepped = row.get("from") == "trial" and row["method"] != "probe"
    return float(row["tokens_per_second"]) if stepped else None


def main(names: list[str]) -> None:
    table: dict[str, dict[str, float]] = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in names or ["trec"]:
        rounds = [planned(name) for _ in range(ROUNDS)]
        rates = {method: [rate(one[method]) for one in rounds] for method in rounds[0]}
        table[name] = {
            method: statistics.median(known)
            for method, some in rates.items()
            if (known := [value for value in some if value])
        }
        print(name, {method: round(value) for method, value in table[name].items()}, flush=True)
        OUT.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
