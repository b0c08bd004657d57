"""Seconds from the command to the peer's final test accuracy on banking77, in turn in one sitting.

The peer is the tuned HF Trainer (bf16, length grouping, 5 epochs, rate 3e-4); whet answers with the probe, and
with one epoch of full tuning from it. All of a command counts: start-up, reading, training, prediction, report.
Usage: time_to_accuracy.py [ROUNDS]. Writes results/time_to_accuracy.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sets import PEERS, ROOT

OUT = Path(__file__).parent / "results"
DATA = str(ROOT / "banking77")
ALONE = ["--set", "evaluation.baselines=[majority]"]


def timed(command: list[str]) -> tuple[float, dict[str, Any]]:
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return time.monotonic() - start, json.loads(done.stdout.splitlines()[-1])


def peer() -> dict[str, float]:
    command = [sys.executable, str(PEERS / "hf_trainer.py"), "--data", DATA, "--bf16", "--group"]
    seconds, found = timed([*command, "--epochs", "5", "--lr", "3e-4"])
    return {"seconds": seconds, "accuracy": found["test_accuracy"]}


def ours(method: str, *more: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as work:
        seconds, found = timed(
            ["whet", "fit", DATA, "--out", f"{work}/run", "--json", "--method", method, *ALONE, *more]
        )
    before = sum(
        v for k, v in found["seconds"].items() if k in ("read", "audit", "encode", "decide", "prove", "train probe")
    )
    return {
        "seconds": seconds,
        "accuracy": found["scores"][method]["accuracy"]["value"],
        "stages_before_training": before,
    }


def main(rounds: int) -> None:
    rows = []
    for _ in range(rounds):
        row = {"peer": peer(), "probe": ours("probe"), "full": ours("full", "--set", "training.epochs=1")}
        rows.append(row)
        print(row, flush=True)
    shares = {
        name: statistics.median(row[name]["seconds"] / row["peer"]["seconds"] for row in rows)
        for name in ("probe", "full")
    }
    OUT.mkdir(exist_ok=True)
    (OUT / "time_to_accuracy.json").write_text(json.dumps({"rounds": rows, "median_share": shares}, indent=1))
    print(shares)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
