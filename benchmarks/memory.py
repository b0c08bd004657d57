"""Audit and encoding of a CSV of 2 million rows: seconds and peak memory, beside 200,000 rows.

Writes results/memory.json.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

OUT = Path(__file__).parent / "results"
CHILD = """
import json, resource, sys, time
from pathlib import Path
from whet.data import audit, reading
start = time.monotonic()
found = reading.read(sys.argv[1], into=Path(sys.argv[2]))
read = time.monotonic()
audit.audit(found)
audited = time.monotonic()
peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
from whet.batches import encoding
from whet.models import loading, places
tokenizer = loading.load_tokenizer(places.find("minilm"))
loaded = time.monotonic()
for split, rows in found.splits.items():
    blocks = ((block["text"].to_pylist(), None) for block in rows.blocks())
    encoding.encode(tokenizer, blocks, 256, Path(sys.argv[2]) / "tokens" / split)
done = time.monotonic()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"read_s": read - start, "audit_s": audited - read, "encode_s": done - loaded,
                  "peak_mib_audit": peak_before, "peak_mib": peak}))
"""


def write(path: Path, rows: int) -> None:
    random.seed(0)
    words = [f"word{i}" for i in range(5000)]
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for _ in range(rows):
            file.write(f"{' '.join(random.choices(words, k=10))},{random.randrange(20)}\n")


def main() -> None:
    found = {}
    for rows in (200_000, 2_000_000):
        with tempfile.TemporaryDirectory() as work:
            path = Path(work, "rows.csv")
            write(path, rows)
            command = [sys.executable, "-c", CHILD, str(path), f"{work}/data"]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found[rows] = json.loads(done.stdout.splitlines()[-1])
        print(rows, found[rows], flush=True)
    OUT.mkdir(exist_ok=True)
    (OUT / "memory.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
