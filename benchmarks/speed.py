"""Speed against peers, and of whet against itself, in turn in one sitting: ratios with their spread.

    python benchmarks/speed.py [ROW ...] [--rounds 3] [--quick]

Each row is measured ``rounds`` times on either side, one after the other, each in a process of its own. Writes
results/speed_<row>.json; ``write_results.py`` puts them into RESULTS.md and draws speed.svg. ``make bench`` does both.
Two rows have no other side: ``overhead`` is what a whole command takes beside training and prediction, and ``growth``
is how training grows with what it is given (once, whatever ``rounds`` says). Every process takes all cores.

``--quick``: few rows, to see that it runs; nothing is written, and its ratios tell nothing.
"""

import argparse
import datetime
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bases import make
from sets import BASES, PEERS, ROOT

from whet.workflows.environment import PACKAGES, describe

HERE = Path(__file__).parent
OUT = HERE / "results"
Found = dict[str, Any]
LORA = {"lora.rank": "16", "lora.alpha": "32", "lora.dropout": "0.1"}
WITHOUT_EVIDENCE = {
    "evaluation.baselines": "[majority]",
    "evaluation.label_noise": "false",
    "forgetting.measure": "false",
}
"""What the peers do not do either."""


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    - ``few``: read no more rows than this of a split of a set; 0: all.
    - ``of_default``: passes of the peer as it comes, which is slow; ``to_the_end``: of the peer until its final
      accuracy. All else that trains on a set takes one pass.
    - ``chats``: conversations that are trained on; ``few_chats``: of them those that TRL sees; ``held``: those of
      validation and of test.
    - ``steps`` on ``sharing`` rows: of the row ``chat-shared``; ``again``: how often the rows of trec are read.
    - ``prompts``: texts of which so many ``labels`` are scored.
    - ``texts`` are classified or embedded, ``rows`` tokenised.
    - ``growing``: rows of the smallest training of ``growth``.
    """

    few: int = 0
    of_default: float = 0.25
    to_the_end: float = 5
    chats: int = 128
    few_chats: int = 32
    held: int = 16
    steps: int = 3
    sharing: int = 16
    again: int = 5
    prompts: int = 8
    labels: int = 77
    texts: int = 10_000
    rows: int = 2_000_000
    growing: int = 600


QUICK = Work(
    few=600,
    to_the_end=1,
    chats=8,
    few_chats=4,
    held=2,
    steps=1,
    sharing=3,
    again=2,
    prompts=1,
    labels=11,
    texts=300,
    rows=20_000,
    growing=220,
)


@dataclass(frozen=True)
class Row:
    """Two sides of a comparison. ``target``: how many times as fast the first one is to be.

    Rows with the same other side share its measurement of a round.
    """

    name: str
    words: str
    target: float
    ours: Callable[[Work], Found]
    theirs: Callable[[Work], Found]


def said_last(command: list[str], **more: str) -> Found:
    """What a process prints as its last line, a JSON object; ``wall``: seconds from its start to its end."""
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more}, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": time.perf_counter() - start}


def program(file: str, *words: object) -> Found:
    """A measurement by a program beside this one."""
    return said_last([sys.executable, str(HERE / file), *map(str, words)])


def child(*words: object) -> Found:
    return program("speed_children.py", *words)


def peer(*words: object) -> Found:
    return program("speed_peers.py", *words)


def rows_of(name: str, work: Work) -> str:
    """The folder of a set; of few rows one with as many, evenly apart."""
    if not work.few:
        return str(ROOT / name)
    folder = BASES / f"{name}_{work.few}"
    for path in () if folder.exists() else (ROOT / name).glob("*.jsonl.gz"):
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "rt", encoding="utf-8") as whole:
            lines = list(whole)
        with gzip.open(folder / path.name, "wt", encoding="utf-8") as file:
            file.writelines(lines[:: max(1, len(lines) // work.few)])
    return str(folder)


# --- whole commands -------------------------------------------------------------------------------------


def hf(name: str, work: Work, *words: object) -> Found:
    """The HF Trainer in bf16 with rows of like length together, or as it comes: what it prints."""
    return said_last([sys.executable, str(PEERS / "hf_trainer.py"), "--data", rows_of(name, work), *map(str, words)])


TUNED = ("--bf16", "--group")


def trainer(name: str, work: Work, *words: str, passes: float = 1) -> Found:
    """The HF Trainer: real tokens a second of training."""
    return {"rate": hf(name, work, *words, "--epochs", passes)["tokens_per_s"]}


def to_the_end(work: Work) -> Found:
    """The HF Trainer to its final accuracy: the whole command."""
    found = hf("banking77", work, *TUNED, "--epochs", work.to_the_end, "--lr", "3e-4")
    return {"rate": 1 / found["wall"], "seconds": found["wall"], "accuracy": found["test_accuracy"]}


def fitted(source: str, options: dict[str, Any], *words: str) -> Found:
    """``whet fit``: what its end tells; ``facts`` of every model, and how many rows were predicted (``predicted``)."""
    import pyarrow.parquet as pq

    sets = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as work:
        run = Path(work, "run")
        command = [sys.executable, "-m", "whet.cli.app", "fit", source, "--out", str(run), "--json", *words, *sets]
        found = said_last(command, WHET_STORE=f"sqlite:///{work}/runs.sqlite")
        found["facts"] = {path.stem: json.loads(path.read_text()) for path in run.glob("stages/facts/*.json")}
        found["predicted"] = {
            name: sum(pq.read_metadata(path).num_rows for path in run.glob(f"predictions/{name}.*.parquet"))
            for name in found["facts"]
        }
    return found


def training(source: str, method: str, options: dict[str, Any], *words: str) -> Found:
    """Real tokens a second of one pass by whet, and its memory."""
    wanted = {**WITHOUT_EVIDENCE, "training.epochs": 1, **options}
    found = fitted(source, wanted, "--method", method, *words)
    peaks = [one["peak_bytes"] for one in found["facts"].values() if one.get("peak_bytes")]
    return {"rate": found["tokens_per_second"], "mfu": found["mfu"], "peak_bytes": max(peaks, default=None)}


def full(name: str, work: Work) -> Found:
    return training(rows_of(name, work), "full", {})


def reached(method: str, options: dict[str, Any], work: Work) -> Found:
    """The whole command of whet, and the test accuracy of ``method``."""
    found = fitted(rows_of("banking77", work), {**WITHOUT_EVIDENCE, **options}, "--method", method)
    accuracy = found["scores"][method]["accuracy"]["value"]
    return {"rate": 1 / found["wall"], "seconds": found["wall"], "accuracy": accuracy}


# --- chats of the 135 M-shaped Llama --------------------------------------------------------------------


def llama() -> str:
    return str(make("llama135m"))


def chats(work: Work) -> str:
    """A folder with conversations of alpaca_5k."""
    number, held = work.chats, work.held
    folder = BASES / f"alpaca_{number}_{held}"
    if not folder.exists():
        with gzip.open(ROOT / "alpaca_5k" / "train.jsonl.gz", "rt", encoding="utf-8") as file:
            lines = list(islice(file, number + 2 * held))
        parts = {"train": lines[:number], "validation": lines[number:-held], "test": lines[-held:]}
        folder.mkdir(parents=True)
        for split, some in parts.items():
            (folder / f"{split}.jsonl").write_text("".join(some), encoding="utf-8")
    return str(folder)


def chat_lora(work: Work) -> Found:
    options = {**LORA, "training.learning_rate": "1e-4", "generation.max_tokens": 1, "evaluation.baselines": "[]"}
    words = ("--task", "text-generation", "--base", llama())
    return training(chats(work), "lora", options, *words)


def sft(work: Work) -> Found:
    """TRL: the better of two batch sizes."""
    command = [sys.executable, str(PEERS / "trl_sft.py"), "--rows", str(work.few_chats)]
    both = [said_last([*command, "--batch-size", size]) for size in ("8", "4")]
    best = max(both, key=lambda one: float(one["tokens_per_s"]))
    return {"rate": best["tokens_per_s"], "peak_bytes": best["peak_gb"] * 1e9, "batch_size": best["batch_size"]}


def classifier() -> str:
    """A classifier of banking77 as transformers itself lays one out, so that either side computes the same."""
    folder = BASES / "banking77_classes"
    if not folder.exists():
        words = ["--set", "head.pooling=native", "--set", "training.epochs=0.05", "--method", "full", "--json"]
        words += [word for name, value in WITHOUT_EVIDENCE.items() for word in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "whet.cli.app", "fit", str(ROOT / "banking77"), "--out", str(folder), *words]
        said_last(command, WHET_STORE=f"sqlite:///{BASES}/banking77_classes.sqlite")
    return str(folder / "model")


ROWS = [
    Row(
        "full-banking77",
        "full tuning of minilm on banking77 against the tuned HF Trainer, tokens/s",
        2.0,
        lambda work: full("banking77", work),
        lambda work: trainer("banking77", work, *TUNED),
    ),
    Row(
        "full-chemprot",
        "the same on chemprot",
        2.0,
        lambda work: full("chemprot", work),
        lambda work: trainer("chemprot", work, *TUNED),
    ),
    Row(
        "full-default",
        "full tuning of minilm on banking77 against the HF Trainer as it comes (a quarter of a pass), tokens/s",
        5.0,
        lambda work: full("banking77", work),
        lambda work: trainer("banking77", work, passes=work.of_default),
    ),
    Row(
        "lora-banking77",
        "LoRA of minilm on banking77 against HF Trainer and PEFT, tuned, tokens/s",
        2.0,
        lambda work: training(rows_of("banking77", work), "lora", LORA),
        lambda work: trainer("banking77", work, *TUNED, "--lora"),
    ),
    Row(
        "time-probe",
        "the whole command to the final accuracy of the tuned HF Trainer (5 passes) on banking77: the probe",
        10.0,
        lambda work: reached("probe", {}, work),
        to_the_end,
    ),
    Row(
        "time-full",
        "the same: one pass of full tuning behind the probe",
        4.0,
        lambda work: reached("full", {"training.epochs": 1}, work),
        to_the_end,
    ),
    Row(
        "chat-trl",
        "LoRA on answers of chats, 135 M-shaped Llama, against TRL and PEFT, tokens/s",
        8.0,
        chat_lora,
        sft,
    ),
    Row(
        "chat-plain",
        "LoRA on answers of chats, 135 M-shaped Llama, against a plain loop of transformers and PEFT, tokens/s",
        1.7,
        chat_lora,
        lambda work: peer("plain-loop", chats(work), llama()),
    ),
    Row(
        "chat-shared",
        "chats that share an instruction of 300 tokens against the same without sharing, steps/s",
        3.0,
        lambda work: child("shared", llama(), "yes", work.steps, work.sharing),
        lambda work: child("shared", llama(), "no", work.steps, work.sharing),
    ),
    Row(
        "kept-trunk",
        "the top 2 of 6 layers of minilm over 5 passes of trec against the same without kept activations, 1/s",
        3.0,
        lambda work: child("kept", rows_of("trec", work), "yes", work.again),
        lambda work: child("kept", rows_of("trec", work), "no", work.again),
    ),
    Row(
        "kept-probe",
        "a head on the frozen base, trec: vectors worked out once against in each of 5 passes, 1/s",
        3.0,
        lambda work: child("probe", rows_of("trec", work), "once", work.again),
        lambda work: child("probe", rows_of("trec", work), "each pass", work.again),
    ),
    Row(
        "closed-answers",
        "scoring 77 labels of a text behind a prompt against reading the prompt with each of them, texts/s",
        10.0,
        lambda work: child("closed", llama(), "together", work.prompts, work.labels),
        lambda work: child("closed", llama(), "one by one", 1, work.labels),
    ),
    Row(
        "classify",
        "classes of 10,000 short texts against the pipeline of transformers, both in fp32, rows/s",
        2.0,
        lambda work: child("classify", classifier(), work.texts),
        lambda work: peer("classify", classifier(), work.texts),
    ),
    Row(
        "classify-bf16",
        "the same, whet in bf16 held against fp32 on the first rows, the pipeline as it comes, rows/s",
        2.0,
        lambda work: child("classify", classifier(), work.texts, "bf16"),
        lambda work: peer("classify", classifier(), work.texts),
    ),
    Row(
        "embed",
        "vectors of 10,000 short texts against encode of sentence-transformers, both in fp32, rows/s",
        2.0,
        lambda work: child("embed", work.texts),
        lambda work: peer("embed", work.texts),
    ),
    Row(
        "embed-bf16",
        "the same, whet in bf16, encode as it comes, rows/s",
        2.0,
        lambda work: child("embed", work.texts, "bf16"),
        lambda work: peer("embed", work.texts),
    ),
    Row(
        "encode",
        "tokenising 2 million rows against map of datasets, with a process a core or threads, rows/s",
        1.5,
        lambda work: child("encode", work.rows),
        lambda work: peer("encode", work.rows),
    ),
]


def together(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows with the same other side, in the order of the first of each."""
    found: dict[Callable[[Work], Found], list[Row]] = {}
    for row in rows:
        found.setdefault(row.theirs, []).append(row)
    return list(found.values())


def measured(rows: Sequence[Row], rounds: int, work: Work) -> Iterator[Found]:
    """Both sides in turn, of rows with the same other side."""
    each: dict[str, list[Found]] = {row.name: [] for row in rows}
    for number in range(rounds):
        theirs = rows[0].theirs(work)
        for row in rows:
            ours = row.ours(work)
            each[row.name].append({"ours": ours, "theirs": theirs, "ratio": ours["rate"] / theirs["rate"]})
            print(row.name, number, f"{each[row.name][-1]['ratio']:.2f}", flush=True)
    for row in rows:
        known = each[row.name]
        spread = summary([one["ratio"] for one in known])
        yield {"row": row.name, "words": row.words, "target": row.target, "rounds": known, **spread, **machine()}


def summary(values: list[float]) -> Found:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


# --- rows without another side --------------------------------------------------------------------------


def share_of_overhead(work: Work) -> Found:
    """A whole ``whet fit`` with defaults: what it takes beside the steps that train and predict.

    Steps that train and predict are those of candidates and of baselines (stages ``train`` and ``baseline``, with
    reading the frozen base and looking at validation rows), the fits of ``label noise`` and the questions of
    ``forgetting``, which are fits and predictions as well, and of ``keep`` the answers to validation and test rows.
    All else is overhead: start-up and imports, reading, audit, tokenising, decisions, the proof of the fast path, the
    plan, saving and loading anew, scores, verdict, report.
    """
    found = fitted(rows_of("banking77", work), {})
    stages = found["seconds"]
    training = sum(
        seconds
        for name, seconds in stages.items()
        if name.split()[0] in ("train", "baseline") or name in ("label noise", "forgetting")
    )
    answers = {
        name: found["predicted"][name] / facts["predict_rows_per_second"]
        for name, facts in found["facts"].items()
        if f"keep {name}" in stages
    }
    steps = training + sum(answers.values())
    kept = {f"answers of {name}": seconds for name, seconds in answers.items()}
    return {"share": found["wall"] / steps - 1, "seconds": found["wall"], "steps": steps, "stages": {**stages, **kept}}


def overhead(rounds: int, work: Work) -> Found:
    each = []
    for number in range(rounds):
        each.append(share_of_overhead(work))
        print("overhead", number, f"{each[-1]['share']:.1%}", flush=True)
    words = "a whole `whet fit` on banking77 with defaults, beside its training and prediction steps"
    return {"row": "overhead", "words": words, "target": 0.15, "rounds": each} | summary([one["share"] for one in each])


def growth(rounds: int, work: Work) -> Found:
    """Every training of speed_growth.py, in a process of its own."""
    from speed_growth import CASES

    found = []
    for number, case in enumerate(CASES):
        found.append({"axis": case.axis, **program("speed_growth.py", number, work.growing)})
        print("growth", case, f"{found[-1]['seconds']:.1f} s", flush=True)
    return {"row": "growth", "cases": found}


ALONE = {"overhead": overhead, "growth": growth}


PEERS_OF = ("trl", "datasets", "sentence-transformers", "accelerate")
"""Packages on the other side, whose versions count as well."""


def machine() -> Found:
    """Where and when."""
    found = describe((*PACKAGES, *PEERS_OF))
    return {
        "date": str(datetime.date.today()),
        **{name: found[name] for name in ("cpu", "packages")},
        "cores": os.cpu_count(),
    }


def results(wanted: Sequence[str], rounds: int, work: Work) -> Iterator[Found]:
    """Of the rows that are wanted; of all where none is."""
    for rows in together([row for row in ROWS if not wanted or row.name in wanted]):
        yield from measured(rows, rounds, work)
    for name, measure in ALONE.items():
        if not wanted or name in wanted:
            yield measure(rounds, work) | machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *(row.name for row in ROWS), *ALONE], default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few rows, to see that it runs; nothing is written")
    asked = parser.parse_args()
    if asked.quick:
        # threads of some peers spin where they wait for each other, and hinder each other on cores that are busy
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        for one in results(asked.rows, 1, QUICK):
            print(json.dumps(one), flush=True)
        return
    os.environ.pop("OMP_NUM_THREADS", None)  # some peers take all cores whatever it says
    OUT.mkdir(exist_ok=True)
    for one in results(asked.rows, asked.rounds, Work()):
        (OUT / f"speed_{one['row']}.json").write_text(json.dumps(one, indent=1))


if __name__ == "__main__":
    main()
