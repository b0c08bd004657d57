"""Seconds of commands that should answer at once: the best of 9. Writes results/startup.json."""

import json
import subprocess
import time
from pathlib import Path

OUT = Path(__file__).parent / "results"


def best(command: list[str]) -> float:
    found = []
    for _ in range(9):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        found.append(time.perf_counter() - start)
    return round(min(found), 3)


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    result = {"whet --help": best(["whet", "--help"]), "whet runs": best(["whet", "runs"])}
    (OUT / "startup.json").write_text(json.dumps(result, indent=1))
    print(result)
