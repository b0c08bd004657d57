"""Trainings that grow along one axis: rows, their length, classes, and the share of the weights that move.

speed_growth.py NUMBER ROWS: the training ``CASES[NUMBER]``, the smallest of which has ROWS rows; prints one JSON object
last. Texts are those of banking77, written out several times where they are to be longer; its labels are put together,
or parted by the numbers of their rows, so that there are as many as are wanted.
"""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sets import ROOT
from speed_children import Found, trained

HELD = 60
"""Rows of validation and of test."""
BATCH_TOKENS = 512
CLASSES = 10


@dataclass(frozen=True)
class Case:
    """One training. ``rows`` and ``length`` are multiples of the smallest."""

    axis: str
    rows: int = 1
    length: int = 1
    classes: int = CLASSES
    method: str = "full"


CASES = [
    *(Case("rows", rows=rows) for rows in (1, 3, 10)),
    *(Case("length", length=length) for length in (1, 2, 4)),
    *(Case("classes", classes=classes) for classes in (2, 20, 200)),
    *(Case("weights", method=method) for method in ("bitfit", "lora", "top-layers", "full")),
]


def rows_of(case: Case, number: int) -> list[dict[str, str]]:
    """``number`` rows with labels as the case wants them, every one among the first rows."""
    import gzip

    with gzip.open(ROOT / "banking77" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
        known = [json.loads(line) for line in file]
    intents = sorted({row["label"] for row in known})
    parted: dict[int, list[str]] = {}
    for place, row in enumerate(known):
        one = (3 * intents.index(row["label"]) + place % 3) % case.classes
        parted.setdefault(one, []).append(row["text"])
    found: list[dict[str, str]] = []
    for turn in range(len(known)):
        for one, texts in sorted(parted.items()):
            if turn < len(texts):
                found.append({"text": " ".join([texts[turn]] * case.length), "label": f"class {one}"})
        if len(found) >= number:
            break
    return found[:number]


def write(folder: Path, case: Case, smallest: int) -> None:
    """Training rows, and a few of the other splits."""
    size = case.rows * smallest
    rows = rows_of(case, size + 2 * HELD)
    parts = {"train": rows[:size], "validation": rows[size : size + HELD], "test": rows[size + HELD :]}
    for split, some in parts.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")


def grown(case: Case, smallest: int) -> Found:
    """One pass: seconds within its steps, and memory; ``size``: how far along its axis it lies."""
    with tempfile.TemporaryDirectory() as work:
        write(Path(work), case, smallest)
        options: dict[str, Any] = {"layers__top": 2} if case.method == "top-layers" else {}
        found = trained(
            work,
            case.method,
            training__epochs=1,
            training__restarts=0,
            training__batch_tokens=BATCH_TOKENS,
            **options,
        )
    facts = found["facts"]
    size = facts["trainable_parameters"] if case.axis == "weights" else getattr(case, case.axis)
    kept = ("steps", "tokens", "peak_bytes", "added_bytes", "trainable_parameters")
    return {"size": size, "method": case.method, "seconds": facts["train_seconds"]} | {
        name: facts.get(name) for name in kept
    }


if __name__ == "__main__":
    from whet.threads import keep_few_kernels, spin_briefly

    spin_briefly()
    keep_few_kernels()
    print(json.dumps(grown(CASES[int(sys.argv[1])], int(sys.argv[2]))))
