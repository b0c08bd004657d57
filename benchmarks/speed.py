"""Speed against peers, and of whet against itself, in turn in one sitting: ratios with their spread.

    python benchmarks/speed.py [ROW ...] [--rounds 3]

Each row is measured ``rounds`` times on either side, one after the other, each in a process of its own. Writes
results/speed_<row>.json; ``write_results.py`` puts them into RESULTS.md and draws speed.svg. ``make bench`` does both.
"""

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bases import make
from sets import BASES, PEERS, ROOT

from whet.workflows.environment import PACKAGES, describe

HERE = Path(__file__).parent
OUT = HERE / "results"
Found = dict[str, Any]
LORA = ("lora.rank=16", "lora.alpha=32", "lora.dropout=0.1")
CHAT_ROWS, CHAT_HELD = 128, 16
"""Conversations that are trained on, and of validation and of test."""


@dataclass(frozen=True)
class Row:
    """Two sides of a comparison. ``target``: how many times as fast the first one is to be."""

    name: str
    words: str
    target: float
    ours: Callable[[], Found]
    theirs: Callable[[], Found]


def said_last(command: list[str], **more: str) -> Found:
    """What a process prints as its last line, a JSON object."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more}, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def child(*words: str) -> Found:
    """A measurement of :mod:`speed_children`."""
    return said_last([sys.executable, str(HERE / "speed_children.py"), *words])


def trainer(name: str, *words: str) -> Found:
    """The HF Trainer: real tokens a second of training."""
    found = said_last([sys.executable, str(PEERS / "hf_trainer.py"), "--data", str(ROOT / name), *words])
    return {"rate": found["tokens_per_s"], "accuracy": found["test_accuracy"], "seconds": found["total_s"]}


def fitted(source: str, *options: str, words: tuple[str, ...] = ()) -> Found:
    """``whet fit``: real tokens a second of training, and what else its end tells."""
    with tempfile.TemporaryDirectory() as work:
        sets = [
            word
            for option in ("evaluation.baselines=[majority]", "forgetting.measure=false", *options)
            for word in ("--set", option)
        ]
        command = [sys.executable, "-m", "whet.cli.app", "fit", source, "--out", f"{work}/run", "--json"]
        found = said_last([*command, *words, *sets], WHET_STORE=f"sqlite:///{work}/runs.sqlite")
        facts = {
            path.stem: json.loads(path.read_text()) for path in Path(work, "run", "stages", "facts").glob("*.json")
        }
    peaks = [one["peak_bytes"] for one in facts.values() if one.get("peak_bytes")]
    return {
        "rate": found.get("tokens_per_second"),
        "mfu": found.get("mfu"),
        "peak_bytes": max(peaks, default=None),
        "seconds": found.get("seconds"),
    }


def full(name: str) -> Found:
    return fitted(str(ROOT / name), "training.epochs=1", words=("--method", "full"))


# --- chats of the 135 M-shaped Llama --------------------------------------------------------------------


def chats() -> str:
    """A folder with a few hundred conversations of alpaca_5k, and the base made."""
    make("llama135m")
    folder = BASES / "alpaca_few"
    if not folder.exists():
        import gzip

        folder.mkdir(parents=True)
        with gzip.open(ROOT / "alpaca_5k" / "train.jsonl.gz", "rt") as file:
            lines = [line for line, _ in zip(file, range(CHAT_ROWS + 2 * CHAT_HELD), strict=False)]
        parts = {"train": lines[:CHAT_ROWS], "validation": lines[CHAT_ROWS:-CHAT_HELD], "test": lines[-CHAT_HELD:]}
        for split, some in parts.items():
            (folder / f"{split}.jsonl").write_text("".join(some), encoding="utf-8")
    return str(folder)


def chat_lora() -> Found:
    options = ("training.epochs=1", "generation.max_tokens=1", *LORA, "training.learning_rate=1e-4")
    words = ("--task", "text-generation", "--base", str(BASES / "llama135m"), "--method", "lora")
    return fitted(chats(), *options, "evaluation.baselines=[]", words=words)


def sft(rows: int) -> Found:
    """TRL: the better of two batch sizes."""
    command = [sys.executable, str(PEERS / "trl_sft.py"), "--rows", str(rows)]
    both = [said_last([*command, "--batch-size", size]) for size in ("8", "4")]
    best = max(both, key=lambda one: float(one["tokens_per_s"]))
    return {"rate": best["tokens_per_s"], "peak_bytes": best["peak_gb"] * 1e9, "batch_size": best["batch_size"]}


ROWS = [
    Row(
        "full-banking77",
        "full tuning of minilm on banking77 against the tuned HF Trainer, tokens/s",
        2.0,
        lambda: full("banking77"),
        lambda: trainer("banking77", "--bf16", "--group", "--epochs", "1"),
    ),
    Row(
        "full-chemprot",
        "the same on chemprot",
        2.0,
        lambda: full("chemprot"),
        lambda: trainer("chemprot", "--bf16", "--group", "--epochs", "1"),
    ),
    Row(
        "full-default",
        "full tuning of minilm on banking77 against the HF Trainer as it comes, tokens/s",
        5.0,
        lambda: full("banking77"),
        lambda: trainer("banking77", "--epochs", "0.25"),
    ),
    Row(
        "lora-banking77",
        "LoRA of minilm on banking77 against HF Trainer and PEFT, tuned, tokens/s",
        2.0,
        lambda: fitted(str(ROOT / "banking77"), "training.epochs=1", *LORA, words=("--method", "lora")),
        lambda: trainer("banking77", "--bf16", "--group", "--lora", "--epochs", "1"),
    ),
    Row(
        "chat-trl",
        "LoRA on answers of chats, 135 M-shaped Llama, against TRL and PEFT, tokens/s",
        8.0,
        chat_lora,
        lambda: sft(32),
    ),
    Row(
        "chat-plain",
        "the same against a plain loop of transformers and PEFT in bf16, tokens/s",
        1.7,
        chat_lora,
        lambda: child("plain-loop", chats(), str(BASES / "llama135m")),
    ),
    Row(
        "chat-shared",
        "chats that share an instruction of 300 tokens against the same without sharing, steps/s",
        3.0,
        lambda: child("shared", str(BASES / "llama135m"), "yes"),
        lambda: child("shared", str(BASES / "llama135m"), "no"),
    ),
    Row(
        "kept-trunk",
        "the top 2 of 6 layers of minilm over 5 passes of trec against the same without kept activations, 1/s",
        3.0,
        lambda: child("kept", str(ROOT / "trec"), "yes"),
        lambda: child("kept", str(ROOT / "trec"), "no"),
    ),
    Row(
        "kept-probe",
        "a head over 5 passes of trec: the probe against passes through the frozen base, 1/s",
        3.0,
        lambda: child("probe", str(ROOT / "trec"), "once"),
        lambda: child("probe", str(ROOT / "trec"), "each pass"),
    ),
    Row(
        "closed-answers",
        "scoring 77 labels of a text behind a prompt against a forward pass a label, texts/s",
        10.0,
        lambda: child("closed", str(BASES / "llama135m"), "together"),
        lambda: child("closed", str(BASES / "llama135m"), "one by one"),
    ),
    Row(
        "classify",
        "classes of 10,000 short texts against the pipeline of transformers, rows/s",
        2.0,
        lambda: child("classify", "whet"),
        lambda: child("classify", "pipeline"),
    ),
    Row(
        "embed",
        "vectors of 10,000 short texts against encode of sentence-transformers, rows/s",
        2.0,
        lambda: child("embed", "whet"),
        lambda: child("embed", "sentence-transformers"),
    ),
    Row(
        "encode",
        "tokenising 2 million rows against map of datasets with 2 processes, rows/s",
        1.5,
        lambda: child("encode", "whet"),
        lambda: child("encode", "datasets"),
    ),
]


def measured(row: Row, rounds: int) -> Found:
    """Both sides in turn."""
    each = []
    for number in range(rounds):
        theirs, ours = row.theirs(), row.ours()
        each.append({"ours": ours, "theirs": theirs, "ratio": ours["rate"] / theirs["rate"]})
        print(row.name, number, f"{each[-1]['ratio']:.2f}", flush=True)
    ratios = [one["ratio"] for one in each]
    return {
        "row": row.name,
        "words": row.words,
        "target": row.target,
        "rounds": each,
        "median": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        **machine(),
    }


PEERS_OF = ("trl", "datasets", "sentence-transformers")
"""Packages on the other side, whose versions count as well."""


def machine() -> Found:
    """Where and when."""
    found = describe((*PACKAGES, *PEERS_OF))
    return {
        "date": str(datetime.date.today()),
        **{name: found[name] for name in ("cpu", "packages")},
        "cores": os.cpu_count(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *(row.name for row in ROWS)], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    for row in ROWS:
        if not asked.rows or row.name in asked.rows:
            (OUT / f"speed_{row.name}.json").write_text(json.dumps(measured(row, asked.rounds), indent=1))


if __name__ == "__main__":
    main()
