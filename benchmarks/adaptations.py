"""Every way of adapting ``minilm``, on four sets, with three seeds. Usage: adaptations.py FOLDER [SET ...] [--seeds N]

Runs are kept in FOLDER without their models, and one that is there is not done again; the queue goes seed by seed,
so that what is there at any time is balanced. ``adaptations_table.py FOLDER`` makes results of them.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sets import ROOT, chosen

SETS = {
    "tweet_irony": ("tweet_irony", "text-classification"),
    "trec": ("trec", "text-classification"),
    "wnut17": ("wnut17_ner", "token-classification"),
    "chemprot": ("chemprot", "text-classification"),
}
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "full": ("full", ()),
    "full, layer decay 0.8": ("full", chosen(layers__decay=0.8)),
    "full, gradual": ("full", chosen(layers__gradual=0.5)),
    "full, L2 to the start": ("full", chosen(regularisation__l2_start=0.01)),
    "full, a third of the rate": ("full", chosen(training__learning_rate=7e-5)),
    "full, interpolated": ("full", chosen(forgetting__interpolate="true")),
    "top-layers": ("top-layers", ()),
    "bitfit": ("bitfit", ()),
    "ia3": ("ia3", ()),
    "lora": ("lora", ()),
    "lora, rank 4": ("lora", chosen(lora__rank=4)),
    "lora, rank 64, stabilised": ("lora", chosen(lora__rank=64, lora__rank_stabilised="true")),
    "lora, dora": ("lora", chosen(lora__dora="true")),
    "lora, rates 1:16": ("lora", chosen(lora__rate_ratio=16)),
    "lora, pissa": ("lora", chosen(lora__start="pissa")),
    "qlora, 4 bits": ("qlora", ()),
    "qlora, 8 bits": ("qlora", chosen(quantisation__bits=8)),
    "prompt": ("prompt", ()),
    "p-tuning": ("p-tuning", ()),
    "prefix": ("prefix", ()),
}
"""Name of a way -> method and options."""
HEAVY = ("model", "models", "checkpoints", "tokens")
"""Parts of a run's folder that nothing is read from afterwards."""


def place(folder: Path, data: str, way: str, seed: int) -> Path:
    """Where a run lies."""
    return folder / data / way.replace(", ", "-").replace(" ", "_").replace(":", "to") / str(seed)


def command(data: str, way: str, seed: int, out: Path) -> list[str]:
    """The command of a run: the probe is trained beside ``full`` alone, other baselines are others' business."""
    source, task = SETS[data]
    method, options = WAYS[way]
    named = ["--task", task, "--method", method, "--seed", str(seed), *options]
    unasked = chosen(evaluation__baselines="[probe]" if way == "full" else "[]")
    if task == "text-classification":
        unasked += chosen(evaluation__label_noise="false")
    return ["whet", "fit", str(ROOT / source), *named, *unasked, "--out", str(out)]


def fit(folder: Path, data: str, way: str, seed: int) -> str:
    """Do a run that is not there; what came of it, in a word."""
    out = place(folder, data, way, seed)
    if (out / "report.html").exists() or (out / "refused.txt").exists():
        return "there already"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(command(data, way, seed, out), capture_output=True, text=True)
    if done.returncode:
        out.mkdir(parents=True, exist_ok=True)
        (out / "refused.txt").write_text(done.stderr[-4000:])
        return f"exit {done.returncode}: {done.stderr[-300:]}"
    for part in HEAVY:
        shutil.rmtree(out / part, ignore_errors=True)
    return "done"


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    asked = parser.parse_args(words)
    for seed in range(asked.seeds):
        for data in asked.sets:
            for way in asked.ways:
                start = time.monotonic()
                said = fit(asked.folder, data, way, seed)
                print(f"{data}: {way}, seed {seed}: {said} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
