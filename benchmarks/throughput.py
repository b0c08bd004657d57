"""Full tuning, whet against the tuned HF Trainer, in turn in one sitting; equal batches in tokens.

Usage: throughput.py [ROUNDS] [SET]. Writes results/throughput-SET.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sets import PEERS, ROOT

OUT = Path(__file__).parent / "results"


def peer(name: str) -> float:
    command = [
        sys.executable,
        str(PEERS / "hf_trainer.py"),
        "--data",
        str(ROOT / name),
        "--bf16",
        "--group",
        "--epochs",
        "1",
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1])["tokens_per_s"])


def ours(name: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as work:
        command = ["whet", "fit", str(ROOT / name), "--out", f"{work}/run", "--json", "--method", "full"]
        command += ["--set", "training.epochs=1", "--set", "evaluation.baselines=[majority]"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return float(found["tokens_per_second"]), float(found["mfu"])


def main(rounds: int, name: str) -> None:
    rows = []
    for number in range(rounds):
        theirs, (rate, mfu) = peer(name), ours(name)
        rows.append({"peer": theirs, "whet": rate, "ratio": rate / theirs, "mfu": mfu})
        print(number, rows[-1], flush=True)
    ratios = sorted(row["ratio"] for row in rows)
    result = {
        "set": name,
        "rounds": rows,
        "median_ratio": statistics.median(ratios),
        "lowest": ratios[0],
        "highest": ratios[-1],
    }
    OUT.mkdir(exist_ok=True)
    (OUT / f"throughput-{name}.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result["median_ratio"]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3, sys.argv[2] if len(sys.argv) > 2 else "banking77")
