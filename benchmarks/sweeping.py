"""A search over methods, rates and ranks, killed half-way and resumed: does it keep its time, and lose nothing?

'whet sweep' tries 20 settings on tweet_irony within 10 minutes, further seeds of the best included. Half-way the
process is killed (SIGKILL, with all its helpers) and the sweep is resumed. What is told: how many trials there were,
whether any was counted twice or lost, how long all of it took, what the search gained over the recipe as it stands on
test rows, and which choices mattered.

    python benchmarks/sweeping.py [--trials 20] [--minutes 10] [--workers 1] [--set-of tweet_irony] [--whole]

``--whole`` leaves the killing out. Writes results/sweeping.json.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sets import ROOT

OUT = Path(__file__).parent / "results"
END_SECONDS = 300
"""Beyond its minutes a sweep may take so long for its closing: predictions, saved models, baselines, pages."""


def states(folder: Path) -> dict:
    """What lies in the trials of a sweep: which are there, and which of them have begun to train."""
    places = sorted((folder / "trials").glob("[0-9]*")) if (folder / "trials").exists() else []
    return {place.name: (place / "events.jsonl").exists() for place in places}


def begin(words: list[str], log: Path) -> subprocess.Popen:
    with log.open("ab") as file:
        line = [sys.executable, "-m", "whet.cli.app", "sweep", *words]
        return subprocess.Popen(line, stdout=file, stderr=file, start_new_session=True)


def killed_half_way(words: list[str], folder: Path, log: Path, seconds: float, trials: int) -> dict:
    """Begin, and kill once half of the time has gone or half of the trials were begun, in the middle of one."""
    start = time.monotonic()
    process = begin(words, log)
    while time.monotonic() - start < seconds / 2 and len(states(folder)) <= trials // 2:
        if process.poll() is not None:
            raise SystemExit(f"the sweep ended too early, see {log}")
        time.sleep(0.2)
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return {"seconds": time.monotonic() - start, "begun": len(states(folder))}


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--trials", type=int, default=20)
    asked.add_argument("--minutes", type=float, default=10.0)
    asked.add_argument("--workers", type=int, default=1)
    asked.add_argument("--set-of", default="tweet_irony")
    asked.add_argument("--whole", action="store_true")
    asked.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        os.environ["WHET_STORE"] = f"sqlite:///{work}/runs.sqlite"
        folder, log = work / "sweep", work / "log"
        words = [str(ROOT / wanted.set_of), "--out", str(folder)]
        numbers = {"trials": wanted.trials, "minutes": wanted.minutes, "workers": wanted.workers}
        words += [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
        words += [word for one in wanted.set for word in ("--set", one)]
        kill = None
        start = time.monotonic()
        if not wanted.whole:
            kill = killed_half_way(words, folder, log, 60 * wanted.minutes, wanted.trials)
            words = ["--resume", str(folder)]
        process = begin(words, log)
        if process.wait(60 * wanted.minutes + END_SECONDS):
            raise SystemExit(f"the sweep failed:\n{log.read_text()[-3000:]}")
        seconds = time.monotonic() - start
        found = json.loads((folder / "sweep.json").read_text())
    numbers_of_trials = [one["number"] for one in found["trials"]]
    result = {
        "set": wanted.set_of,
        "wanted": numbers,
        "options": wanted.set,
        "killed": kill,
        "seconds": seconds,
        "spent": found["seconds"],
        "counts": found["counts"],
        "each_once": numbers_of_trials == list(range(1, len(numbers_of_trials) + 1)),
        "metric": found["metric"],
        "table": found["table"],
        "over_own": found["over_own"],
        "verdict": found["verdict"]["reason"],
        "findings": {one["code"]: one["message"] for one in found["findings"]},
        "trials": [
            {name: one[name] for name in ("number", "state", "setting", "value", "seconds", "ended")}
            for one in found["trials"]
        ],
    }
    OUT.mkdir(exist_ok=True)
    (OUT / "sweeping.json").write_text(json.dumps(result, indent=1))
    print(f"{len(numbers_of_trials)} trials, each once: {result['each_once']}; {found['counts']}; {seconds:.0f} s")
    print("| model | quality | seeds | training, s | size, MB |")
    print("|---|---|---|---|---|")
    for row in found["table"]:
        value, costs = row["value"], row["costs"]
        shown = (
            "-" if not value else f"{100 * value['value']:.1f} ({100 * value['low']:.1f} - {100 * value['high']:.1f})"
        )
        size = costs.get("size_bytes", 0) / 1e6
        print(f"| {row['words']} | {shown} | {row['num_seeds']} | {costs.get('train_seconds', 0):.0f} | {size:.1f} |")
    print(result["verdict"])
    for code, message in result["findings"].items():
        print(f"{code} {message}")


if __name__ == "__main__":
    main()
