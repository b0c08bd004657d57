"""``whet fit`` with defaults on every set; one JSON file a set. Usage: classification.py [SET ...]"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sets import ROOT, SETS

OUT = Path(__file__).parent / "results"


def main(names: list[str]) -> None:
    OUT.mkdir(exist_ok=True)
    for known in SETS:
        if names and known.name not in names:
            continue
        with tempfile.TemporaryDirectory() as work:
            start = time.monotonic()
            command = ["whet", "fit", str(ROOT / known.name), "--out", f"{work}/run", "--json"]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            found["total_seconds"] = round(time.monotonic() - start, 1)
            found["run"] = known.name
            found["environment"] = json.loads(Path(work, "run", "environment.json").read_text())
            found["num_train_rows"] = json.loads(Path(work, "run", "data", "audit.json").read_text())["splits"][
                "train"
            ]["rows"]
        (OUT / f"{known.name}.json").write_text(json.dumps(found, indent=1))
        scores = {name: round(100 * one["accuracy"]["value"], 2) for name, one in found["scores"].items()}
        print(
            known.name, scores, found["verdict"]["code"], found["verdict"]["ship"], found["total_seconds"], flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
