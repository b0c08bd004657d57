"""Labels turned on purpose: are they found, and what does correcting them give?

Of each set a share of the training labels becomes another label, drawn at random. 'whet suspects' lists what is
doubtful; of what was turned the list finds a part (recall), and a part of the list was turned (precision; the rest are
hard rows, and wrong labels of the set itself). Then the frozen probe is fitted four times: on the set as it is, with
turned labels, after a reviewer who knows the truth went through the list, and with every suggestion taken unseen.

    python benchmarks/label_noise.py [set ...]

Writes results/label_noise.json.
"""

import csv
import gzip
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from sets import ROOT

import whet
from whet.workflows.suspecting import suspects

OUT = Path(__file__).parent / "results"
SETS = ("sst2", "trec")
SHARES = (0.05, 0.1)
SEEDS = (0, 1, 2)


def rows_of(name: str, split: str) -> list[dict]:
    path = ROOT / name / f"{split}.jsonl.gz"
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [{"text": row["text"], "label": row["label"]} for row in map(json.loads, file)]


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def turned(rows: list[dict], share: float, seed: int) -> tuple[list[dict], dict[int, str]]:
    """The rows with some labels turned, and the true label of those by their line."""
    draw = np.random.default_rng(seed)
    labels = sorted({row["label"] for row in rows})
    found, truth = [dict(row) for row in rows], {}
    for place in draw.choice(len(rows), round(share * len(rows)), replace=False).tolist():
        truth[place + 1] = rows[place]["label"]
        found[place]["label"] = str(draw.choice([one for one in labels if one != rows[place]["label"]]))
    return found, truth


def accuracy(folder: Path, work: Path, **options: object) -> float:
    run = whet.fit(
        folder, method="probe", out=work, evaluation__baselines=["majority"], evaluation__label_noise=False, **options
    )
    return run.scores["probe"]["accuracy"]["value"]


def reviewed(path: Path, to: Path, decide) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with to.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "corrected": decide(row)} for row in rows)


def one(name: str, share: float, seed: int) -> dict:
    splits = {split: rows_of(name, split) for split in ("train", "validation", "test")}
    noisy, truth = turned(splits["train"], share, seed)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for kind, rows in (("clean", splits["train"]), ("noisy", noisy)):
            (work / kind).mkdir()
            for split, some in {**splits, "train": rows}.items():
                if some:
                    write(work / kind / f"{split}.jsonl", some)
        found = suspects(str(work / "noisy"), {"seed": seed}, work / "suspects.csv", False, lambda *_: None)
        with (work / "suspects.csv").open(encoding="utf-8", newline="") as file:
            lines = [int(row["line"]) for row in csv.DictReader(file)]
        looked = found["num_judged"]
        inside = looked / len(splits["train"])  # where validation is carved out of training, turned rows go there, too
        hits = np.array([line in truth for line in lines])
        k = min(len(lines), round(share * looked))
        reviewed(work / "suspects.csv", work / "truth.csv", lambda row: truth.get(int(row["line"]), ""))
        reviewed(work / "suspects.csv", work / "blind.csv", lambda row: row["suggested"])
        result = {
            "set": name,
            "share": share,
            "seed": seed,
            "rows": looked,
            "turned": round(len(truth) * inside),
            "listed": len(lines),
            "recall": float(hits.sum() / (len(truth) * inside)),
            "precision": float(hits.mean()),
            "precision_at_turned": float(hits[:k].mean()),
            "rate": found["rate"],
            "clean": accuracy(work / "clean", work / "1", seed=seed),
            "noisy": accuracy(work / "noisy", work / "2", seed=seed),
            "reviewed": accuracy(work / "noisy", work / "3", seed=seed, data__corrections=str(work / "truth.csv")),
            "blind": accuracy(work / "noisy", work / "4", seed=seed, data__corrections=str(work / "blind.csv")),
        }
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    found = [one(name, share, seed) for name in sys.argv[1:] or SETS for share in SHARES for seed in SEEDS]
    OUT.mkdir(exist_ok=True)
    (OUT / "label_noise.json").write_text(json.dumps(found, indent=1))
    print("| set | turned | recall | precision | of its first | estimate | clean | turned | reviewed | blind |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(row["set"] for row in found):
        for share in SHARES:
            rows = [row for row in found if (row["set"], row["share"]) == (name, share)]
            mean = {
                key: 100 * np.mean([row[key] for row in rows])
                for key in ("recall", "precision", "precision_at_turned", "clean", "noisy", "reviewed", "blind")
            }
            rate = 100 * np.mean([row["rate"]["value"] for row in rows])
            cells = (
                [mean[key] for key in ("recall", "precision", "precision_at_turned")]
                + [rate]
                + [mean[key] for key in ("clean", "noisy", "reviewed", "blind")]
            )
            print(f"| {name} | {100 * share:.0f} % | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")


if __name__ == "__main__":
    main()
