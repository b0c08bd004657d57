"""Full tuning, LoRA and QLoRA of decoders: quality from a small pretrained one, memory and speed of a larger shape.

Usage: decoders.py [NAME ...]; one JSON file each way of both. What differs is ``method`` alone, so that ratios of
memory and speed stand for it; runs follow each other, way by way.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from bases import make
from sets import DECODER_JOBS
from tasks import OUT, fit


def kept(found: dict[str, Any], run: Path) -> dict[str, Any]:
    """What tables need of a run: scores and verdict, facts of the tuned model, what it forgot, its speed."""
    method = found["run"].rpartition("_")[2]
    facts = json.loads((run / "stages" / "facts" / f"{method}.json").read_text())
    forgetting = run / "forgetting.json"
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    speeds = [event["tokens_per_second"] for event in events if event["kind"] == "step" and event["model"] == method]
    return found | {
        "facts": facts,
        "forgetting": json.loads(forgetting.read_text()) if forgetting.exists() else None,
        "median_tokens_per_second": statistics.median(speeds),
    }


def main(names: list[str]) -> None:
    for job in DECODER_JOBS:
        if names and job.name not in names:
            continue
        for name in (job.base, job.data):
            if name in ("stories260K", "llama135m", "chats_few"):
                make(name)
        with tempfile.TemporaryDirectory() as work:
            run = Path(work, "run")
            found = kept(fit(job, run), run)
        (OUT / f"{job.name}.json").write_text(json.dumps(found, indent=1))
        facts = found["facts"]
        print(job.name, facts.get("peak_bytes"), facts["trainable_parameters"], found["median_tokens_per_second"])


if __name__ == "__main__":
    main(sys.argv[1:])
