"""``whet fit`` with defaults for every task of encoders; one JSON file a job. Usage: tasks.py [NAME ...]"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sets import BASES, JOBS, ROOT, Job

OUT = Path(__file__).parent / "results"


def command(job: Job, out: str) -> list[str]:
    """The one command of a job."""
    made = (BASES / job.data).exists()
    data, base = (BASES if made else ROOT) / job.data, BASES / job.base
    started = ["--base", str(base) if base.exists() else job.base] if job.base else []
    return ["whet", "fit", str(data), "--task", job.task, *started, *job.options, "--out", out, "--json"]


def fit(job: Job, run: Path) -> dict[str, Any]:
    """Run the command of ``job``, which leaves the folder ``run``; what it found."""
    start = time.monotonic()
    done = subprocess.run(command(job, str(run)), stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["total_seconds"] = round(time.monotonic() - start, 1)
    found["run"] = job.name
    found["environment"] = json.loads((run / "environment.json").read_text())
    splits = json.loads((run / "data" / "audit.json").read_text())["splits"]
    found["num_train_rows"] = splits["train"]["rows"]
    found["details"] = json.loads((run / "scores.json").read_text()).get("details", {})
    return found


def keep(found: dict[str, Any]) -> None:
    """Write what a job found, and print it in a line."""
    OUT.mkdir(exist_ok=True)
    (OUT / f"{found['run']}.json").write_text(json.dumps(found, indent=1))
    verdict = found["verdict"]
    metric = verdict["metric"]
    scores = {name: round(one[metric]["value"], 4) for name, one in found["scores"].items() if metric in one}
    print(found["run"], metric, scores, verdict["code"], verdict["ship"], found["total_seconds"], flush=True)


def main(names: list[str]) -> None:
    for job in JOBS:
        if names and job.name not in names:
            continue
        with tempfile.TemporaryDirectory() as work:
            keep(fit(job, Path(work, "run")))


if __name__ == "__main__":
    main(sys.argv[1:])
