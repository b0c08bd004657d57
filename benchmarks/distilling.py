"""A tuned ``minilm`` as the teacher of smaller ones: what is kept, how large they are, how fast.

Students: three of its six layers; two layers of half the width. Each beside its control, the same student trained on
labels alone, and the teacher, on the same test rows; speeds are taken in turn.

    python benchmarks/distilling.py FOLDER [set ...]

Runs are kept in FOLDER, and what was begun there is gone on with. Writes results/distilling_<set>.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from sets import ROOT

import whet

OUT = Path(__file__).parent / "results"
SETS = {
    "banking77": ("banking77", "text-classification"),
    "sst2": ("sst2", "text-classification"),
    "wnut17": ("wnut17_ner", "token-classification"),
}
STUDENTS: dict[str, dict[str, Any]] = {
    "3 layers": {"student__layers": 3},
    "2 layers, 192 wide": {"student__layers": 2, "student__width": 192},
}


def run_of(place: Path, source: str, task: str, **options: Any) -> whet.Run:
    """A run in ``place``: there already, gone on with, or made."""
    state = place / "state.json"
    if not state.exists():
        return whet.fit(ROOT / source, task, method="full", out=place, evaluation__baselines=["probe"], **options)
    finished = json.loads(state.read_text())["state"] == "finished"
    return whet.open_run(place) if finished else whet.resume(place)


def measured(folder: Path, name: str) -> dict[str, Any]:
    """What each student keeps of the teacher."""
    source, task = SETS[name]
    teacher = run_of(folder / name / "teacher", source, task)
    found: dict[str, Any] = {"teacher": teacher.summary["scores"], "students": {}}
    for student, options in STUDENTS.items():
        place = folder / name / student.replace(", ", "-").replace(" ", "_")
        run = run_of(place, source, task, distillation__teacher=str(teacher.path), **options)
        told = json.loads((run.path / "distillation.json").read_text())
        if told["taught_by"]["model"] != "full":  # the teacher is what its run ships
            raise SystemExit(f"{name}: the verdict ships {told['taught_by']['model']}, which is no tuned teacher")
        found["students"][student] = told
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    asked = parser.parse_args()
    for name in asked.sets:
        found = measured(asked.folder, name)
        OUT.joinpath(f"distilling_{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        for student, one in found["students"].items():
            print(name, student, {model: value["value"] for model, value in one["models"].items()}, flush=True)


if __name__ == "__main__":
    main()
