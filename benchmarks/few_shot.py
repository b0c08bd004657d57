"""A few examples of each class: the frozen probe, contrastive tuning, full tuning.

Of each set so many training rows of each class are drawn, and as many again for validation, which decides when
training stops and how sure a model may be; the test split is whole. All ways of a draw have the same rows. A
difference is taken pair by pair, with its interval over draws and test rows. With --prompting MODEL (a folder or hub id
of a language model) a model that is asked in words stands beside them.

    python benchmarks/few_shot.py [--draws N] [--sizes 8,16,64] [--prompting MODEL] [set ...]

Writes results/few_shot_<set>.json, going on where an earlier call ended.
"""

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from sets import ROOT

import whet
from whet.data.predictions import load
from whet.evaluation.two_level import two_level, two_level_difference
from whet.folder import RunFolder

OUT = Path(__file__).parent / "results"
SETS = ("banking77", "sst2", "sms_spam")
SIZES = (8, 16, 64)
DRAWS = 3
TRAINED = ("contrastive", "full")
WAYS = ("probe", *TRAINED)
ASKED = "few_shot"
METRICS = ("accuracy", "macro_f1")
PUBLISHED = {
    ("banking77", 8): "a linear probe on this base: 80.0",
    ("sst2", 8): "SetFit with paraphrase-mpnet-base-v2, five times as large: 85.9 (its model card)",
}


def rows_of(name: str, split: str) -> list[dict]:
    with gzip.open(ROOT / name / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [{"text": row["text"], "label": row["label"]} for row in map(json.loads, file)]


def drawn(rows: list[dict], size: int, draw: int) -> dict[str, list[dict]]:
    """``size`` rows of each class to train on, and as many others of it for validation."""
    random = np.random.default_rng((draw, size))
    found: dict[str, list[dict]] = {"train": [], "validation": []}
    for label in sorted({row["label"] for row in rows}):
        own = [row for row in rows if row["label"] == label]
        order = random.permutation(len(own))
        half = min(size, len(own) // 2)
        found["train"] += [own[place] for place in order[:half]]
        found["validation"] += [own[place] for place in order[half : 2 * half]]
    return found


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def one(name: str, size: int, draw: int, keep: Path, prompting: str | None) -> dict:
    """Every way on one draw; predictions on test go to ``keep``."""
    splits = {**drawn(rows_of(name, "train"), size, draw), "test": rows_of(name, "test")}
    found: dict = {"set": name, "size": size, "draw": draw, "rows": {k: len(v) for k, v in splits.items()}, "ways": {}}
    with tempfile.TemporaryDirectory() as work:
        data = Path(work) / "data"
        data.mkdir()
        for split, rows in splits.items():
            write(data / f"{split}.jsonl", rows)
        for method in TRAINED:
            asked = {"prompting__base": prompting} if prompting and method == TRAINED[0] else {}
            start = time.monotonic()
            run = whet.fit(
                data,
                method=method,
                seed=draw,
                out=Path(work) / method,
                forgetting__measure=False,
                evaluation__label_noise=False,
                evaluation__baselines=["tfidf_linear", *([ASKED] if asked else [])],
                **asked,
            )
            seconds = time.monotonic() - start
            folder = RunFolder(run.path)
            told = json.loads(folder.verdict.read_text())
            found[f"verdict_{method}"] = {key: told[key] for key in ("code", "ship", "reason")}
            for way in run.scores:
                if way in found["ways"]:
                    continue
                facts = json.loads(folder.facts(way).read_text())
                found["ways"][way] = {
                    **{metric: run.scores[way][metric] for metric in METRICS},
                    "train_seconds": facts["train_seconds"],
                    "run_seconds": round(seconds, 1),
                }
                target = keep / f"{name}-{size}-{draw}-{way}.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(folder.predictions(way, "test").read_bytes())
    return found


def summed(points: list[dict], keep: Path) -> list[dict]:
    """For each size: means over draws with intervals over draws and rows, and contrastive against the others."""
    table = []
    for size in sorted({point["size"] for point in points}):
        own = [point for point in points if point["size"] == size]
        row: dict = {"set": own[0]["set"], "size": size, "draws": len(own)}
        said = {
            way: [load(keep / f"{point['set']}-{size}-{point['draw']}-{way}.parquet") for point in own]
            for way in own[0]["ways"]
            if all(way in point["ways"] for point in own)
        }
        for metric in METRICS:
            row[metric] = {way: np.mean([p["ways"][way][metric]["value"] for p in own]).item() for way in said}
            if len(own) > 1:
                row[f"{metric}_intervals"] = {w: two_level(one, metric, seed=0).to_json() for w, one in said.items()}
                row[f"{metric}_contrastive_minus"] = {
                    way: two_level_difference(said["contrastive"], said[way], metric, seed=0, paired=True).to_json()
                    for way in said
                    if way != "contrastive"
                }
        row["train_seconds"] = {way: np.mean([p["ways"][way]["train_seconds"] for p in own]).item() for way in said}
        table.append(row)
    return table


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--prompting")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--keep", type=Path, default=OUT.parents[1] / "build" / "few_shot")
    asked = parser.parse_args()
    asked.out.mkdir(exist_ok=True)
    for name in asked.sets:
        path = asked.out / f"few_shot_{name}.json"
        points = json.loads(path.read_text())["points"] if path.exists() else []
        for size in map(int, asked.sizes.split(",")):
            for draw in range(asked.draws):
                known = next((point for point in points if (point["size"], point["draw"]) == (size, draw)), None)
                if known is not None and not (asked.prompting and ASKED not in known["ways"]):
                    continue
                points = [point for point in points if point is not known]
                points.append(one(name, size, draw, asked.keep, asked.prompting))
                path.write_text(json.dumps({"points": points, "table": summed(points, asked.keep)}, indent=1))
                told = {way: round(100 * said["accuracy"]["value"], 1) for way, said in points[-1]["ways"].items()}
                print(name, size, draw, told, flush=True)


if __name__ == "__main__":
    main()
