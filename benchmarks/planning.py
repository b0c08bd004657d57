"""What ``whet plan`` foresees, set against what ``whet fit`` then uses: memory and time.

Usage: planning.py [FAMILY ...] [--json FILE]. Each family is a base of 20 to 60 M weights on a small set, with four
methods: planned from the configuration (plan.json of the run), planned with a trial (``whet plan``), and used (the
facts of the run). Prints a table in Markdown; the margins are 15 % for memory and 20 % for time.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bases

MIB = 2**20
MEMORY_MARGIN, TIME_MARGIN = 0.15, 0.20


@dataclass(frozen=True)
class Case:
    """A base and rows for it; ``options`` keep the run to a minute or two a method."""

    base: Callable[[], str]
    rows: Callable[[Path], Path]
    task: str
    methods: tuple[str, ...]
    options: tuple[str, ...] = ()


def of(name: str) -> Callable[[], str]:
    """Makes a base of ``bases.py``, where it is not there."""
    return lambda: str(bases.make(name))


def few(name: str, train: int, others: int) -> Callable[[Path], Path]:
    """Makes a folder with the first rows of each split of a set."""

    def write(folder: Path) -> Path:
        into = folder / name
        into.mkdir()
        for split, size in (("train", train), ("validation", others), ("test", others)):
            try:
                known = [row for row, _ in zip(bases.rows(name, split), range(size), strict=False)]
            except FileNotFoundError:
                continue
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in known)
            (into / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
        return into

    return write


CASES = {
    "bert": Case(
        lambda: "minilm",
        few("trec", 2000, 300),
        "text-classification",
        ("probe", "bitfit", "lora", "qlora", "full"),
        ("training.epochs=1",),
    ),
    "llama": Case(
        of("planned_llama"),
        few("tinyshakespeare", 400, 40),
        "language-modeling",
        ("ia3", "lora", "qlora", "full"),
        ("training.epochs=1", "data.max_length=256"),
    ),
    "t5": Case(
        of("planned_t5"),
        few("multi30k_en_de", 1500, 60),
        "translation",
        ("ia3", "lora", "qlora", "full"),
        ("training.epochs=1", "generation.max_tokens=32"),
    ),
}
COMMON = ("forgetting.measure=false", "evaluation.label_noise=false", "evaluation.resamples=200")


def measured(case: Case, method: str, rows: Path, work: Path) -> dict[str, Any]:
    """Plan and fit one method."""
    given = [str(rows), "--task", case.task, "--base", case.base(), "--method", method]
    for option in (*(() if method == "probe" else case.options), *COMMON):
        given += ["--set", option]
    planned = json.loads(_whet(["plan", *given, "--json"]).splitlines()[-1])
    run = work / f"{rows.name}-{method}"
    _whet(["fit", *given, "--out", str(run), "--json"])
    facts = json.loads((run / "stages" / "facts" / f"{method}.json").read_text(encoding="utf-8"))
    first = json.loads((run / "plan.json").read_text(encoding="utf-8"))["models"][method]
    row = next(one for one in planned["methods"] if one["method"] == method)
    share = facts.get("steps", 1) / max(1, first["steps"])
    looks = row["trial"].get("look_seconds", 0.0) / max(1, row["trial"].get("look_tokens", 1)) * row["read_tokens"]
    return {
        "method": method,
        "peak": {
            "configuration": first["peak_bytes"] / MIB,
            "trial": row["peak_bytes"] / MIB,
            "used": facts["peak_bytes"] / MIB,
        },
        "seconds": {
            "configuration": first.get("train_seconds", 0.0) * share,
            "trial": (row["seconds"]["value"] - looks) * share if first["steps"] else 0.0,
            "used": facts["train_seconds"] if first["steps"] else 0.0,
        },
    }


def _whet(command: list[str]) -> str:
    done = subprocess.run(["whet", *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"whet {' '.join(command)}\n{done.stderr[-3000:]}")
    return done.stdout


def _off(values: dict[str, float], way: str, margin: float) -> str:
    if not values["used"]:
        return "-"
    gap = values[way] / values["used"] - 1
    return f"{values[way]:,.0f} ({gap:+.0%}{'' if abs(gap) <= margin else ', beyond'})"


def main() -> None:
    """Measure the families that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", default=list(CASES))
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    print("| family | method | memory, MiB: configuration | trial | used | training, s: configuration | trial | used |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    found = []
    with tempfile.TemporaryDirectory() as work:
        for family in wanted.families:
            case = CASES[family]
            rows = case.rows(Path(work))
            for method in case.methods:
                one = measured(case, method, rows, Path(work))
                found.append({"family": family, **one})
                peak, seconds = one["peak"], one["seconds"]
                cells = [_off(peak, way, MEMORY_MARGIN) for way in ("configuration", "trial")] + [
                    f"{peak['used']:,.0f}"
                ]
                cells += [_off(seconds, way, TIME_MARGIN) for way in ("configuration", "trial")]
                cells.append(f"{seconds['used']:,.0f}" if seconds["used"] else "-")
                print(f"| {family} | {method} | {' | '.join(cells)} |", flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
