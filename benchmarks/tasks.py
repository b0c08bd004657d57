"""``whet fit`` with defaults for every task of encoders; one JSON file a job. Usage: tasks.py [NAME ...]"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sets import JOBS, ROOT, Job

OUT = Path(__file__).parent / "results"


def command(job: Job, out: str) -> list[str]:
    """The one command of a job."""
    return ["whet", "fit", str(ROOT / job.data), "--task", job.task, *job.options, "--out", out, "--json"]


def main(names: list[str]) -> None:
    OUT.mkdir(exist_ok=True)
    for job in JOBS:
        if names and job.name not in names:
            continue
        with tempfile.TemporaryDirectory() as work:
            start = time.monotonic()
            done = subprocess.run(command(job, f"{work}/run"), stdout=subprocess.PIPE, check=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            found["total_seconds"] = round(time.monotonic() - start, 1)
            found["run"] = job.name
            found["environment"] = json.loads(Path(work, "run", "environment.json").read_text())
            splits = json.loads(Path(work, "run", "data", "audit.json").read_text())["splits"]
            found["num_train_rows"] = splits["train"]["rows"]
            found["details"] = json.loads(Path(work, "run", "scores.json").read_text()).get("details", {})
        (OUT / f"{job.name}.json").write_text(json.dumps(found, indent=1))
        metric = found["verdict"]["metric"]
        scores = {name: round(one[metric]["value"], 4) for name, one in found["scores"].items()}
        print(job.name, metric, scores, found["verdict"]["code"], found["verdict"]["ship"], found["total_seconds"])


if __name__ == "__main__":
    main(sys.argv[1:])
