"""results/*.json > RESULTS.md. No number is typed here."""

import datetime
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results_of_methods import label_noise, methods, plans
from results_of_speed import on_gpu, ratios
from results_of_stages import stages
from sets import JOBS, LANGUAGE_JOBS, SETS, Job

from whet.evaluation.measures import MEASURES

HERE = Path(__file__).parent
MODELS = ("majority", "label_names", "tfidf_linear", "probe", "full")


def read(name: str) -> Any:
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def value(one: dict[str, float] | None) -> str:
    if one is None:
        return "-"
    return f"{100 * one['value']:.1f} ({100 * one['low']:.1f}-{100 * one['high']:.1f})"


def quality() -> list[str]:
    lines = [
        "## `whet fit` with defaults",
        "",
        "Command: `python benchmarks/classification.py`, base `minilm`, seed 0.",
    ]
    lines += ["Test accuracy in percent with its 95 % interval; *floor* is TF-IDF with a linear SVM as the data's card"]
    lines += ["states it (trained on validation's rows too where whet carves validation out of train).", ""]
    lines += ["| set | train / test rows | floor | tfidf_linear | label_names | probe | full | verdict | seconds |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for known in SETS:
        found = read(known.name)
        if found is None:
            continue
        scores = found["scores"]
        cells = [
            value(scores.get(name, {}).get("accuracy")) for name in ("tfidf_linear", "label_names", "probe", "full")
        ]
        verdict = f"{found['verdict']['code'].replace('_', ' ')}: {found['verdict']['ship']}"
        rows = f"{found['num_train_rows']:,} / {found['num_test_rows']:,}"
        row = [known.name, rows, f"{known.floor:.1f}", *cells, verdict, f"{found['total_seconds']:.0f}"]
        lines.append("| " + " | ".join(row) + " |")
    lines += [
        "",
        "| set | macro F1 of full | micro F1 of full | published elsewhere | the verdict's words |",
        "|---|---|---|---|---|",
    ]
    for known in SETS:
        found = read(known.name)
        if found is None:
            continue
        full = found["scores"].get("full", {})
        cells = [value(full.get("macro_f1")), value(full.get("micro_f1")), known.published, found["verdict"]["reason"]]
        lines.append(f"| {known.name} | " + " | ".join(cells) + " |")
    return lines


def measured(one: dict[str, float] | None, metric: str) -> str:
    """A value with its interval, in points or plain as its metric is shown."""
    if one is None:
        return "-"
    if MEASURES[metric].shown == "points":
        return value(one)
    return f"{one['value']:.3f} ({one['low']:.3f}-{one['high']:.3f})"


def tasks() -> list[str]:
    lines = ["## The other tasks of encoders, with defaults", ""]
    lines += ["Command: `python benchmarks/tasks.py`, base `minilm`, seed 0; test split, 95 % intervals (of questions:"]
    lines += ["over documents). The command of each row is `whet fit DATA` with the options named.", ""]
    return [*lines, *_table(JOBS)]


def language() -> list[str]:
    lines = ["## Language models", ""]
    lines += ["Command: `python benchmarks/language.py`, bases by `python benchmarks/bases.py`, seed 0; test split,"]
    lines += ["95 % intervals. The command of each row is `whet fit DATA` with the options named. `decoder`, `marian`"]
    lines += ["and `t5` start from random weights; the third table says how training ended.", ""]
    found = [(job, result) for job in LANGUAGE_JOBS if (result := read(job.name)) is not None]
    if not found:
        return []
    lines += [*_table(LANGUAGE_JOBS), ""]
    lines += ["| set | training ended | steps | tokens seen | tokens a second |", "|---|---|---|---|---|"]
    for job, result in found:
        ended = result["ended"]
        cells = [job.name, ended["reason"].replace("_", " "), f"{ended['steps']:,}", f"{ended['tokens']:,}"]
        lines.append("| " + " | ".join([*cells, f"{result['tokens_per_second']:,.0f}"]) + " |")
    for job, result in found:
        if result["samples"]:
            lines += ["", f"### Samples of {job.name}", "", *_samples(result)]
    return [*lines, ""]


def _table(jobs: Sequence[Job]) -> list[str]:
    """What was asked, what came of it, and below it the words of the verdicts."""
    lines = [
        "| set | command | train / test rows | metric | models | verdict | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    words = []
    for job in jobs:
        found = read(job.name)
        if found is None:
            continue
        lines.append("| " + " | ".join(_cells(job, found)) + " |")
        words.append(f"| {job.name} | {job.published} | {_beside(found)} | {found['verdict']['reason']} |")
    return [
        *lines,
        "",
        "| set | published elsewhere | more of the best model | the verdict's words |",
        "|---|---|---|---|",
        *words,
    ]


def _cells(job: Job, found: dict[str, Any]) -> list[str]:
    """A row of the table of jobs."""
    metric = found["verdict"]["metric"]
    return [
        job.name,
        f"`{' '.join(job.words)}`",
        f"{found['num_train_rows']:,} / {found['num_test_rows']:,}",
        MEASURES[metric].words,
        "; ".join(f"{name} {measured(one[metric], metric)}" for name, one in _ranked(found)),
        f"{found['verdict']['code'].replace('_', ' ')}: {found['verdict']['ship']}",
        f"{found['total_seconds']:.0f}",
    ]


def _ranked(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The models that the metric of the verdict measures, the best one last."""
    metric = found["verdict"]["metric"]
    measured = [item for item in found["scores"].items() if metric in item[1]]
    return sorted(measured, key=lambda item: item[1][metric]["value"], reverse=MEASURES[metric].lower_is_better)


def _beside(found: dict[str, Any]) -> str:
    """The other metrics of the model that scored best."""
    metric = found["verdict"]["metric"]
    best = _ranked(found)[-1][1]
    shown = [f"{MEASURES[name].words} {measured(one, name)}" for name, one in best.items() if name != metric]
    return ", ".join(shown)


SHOWN = 400
"""Characters of a sample at most."""


def _samples(found: dict[str, Any]) -> list[str]:
    """What is written before and after tuning, a table a sample."""
    lines = []
    for sample in found["samples"]:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {plain(sample[name])} |" for name in ("prompt", "truth", "before", "after")]
        lines += [""]
    return lines[:-1]


def plain(text: str) -> str:
    """``text`` in a cell of Markdown as it stands: cut, its line breaks shown, nothing in it a sign."""
    cut = text.strip() if len(text.strip()) <= SHOWN else text.strip()[:SHOWN] + " ..."
    escaped = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", cut)
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"\s*\n\s*", "<br>", escaped) or "(nothing)"


def _there(pattern: str) -> bool:
    """Whether a row of speed.py is measured, in whose place older results need not be shown."""
    return any((HERE / "results").glob(pattern))


def speed() -> list[str]:
    """Results from before speed.py had a row for them."""
    lines = []
    for name in () if _there("speed_full-*.json") else ("banking77", "chemprot"):
        found = read(f"throughput-{name}")
        if found is None:
            continue
        lines += [f"Full tuning of {name}, real tokens a second, equal batches in tokens, rounds in turn:", ""]
        lines += ["| round | peer | whet | ratio | share of the matrix-product ceiling |", "|---|---|---|---|---|"]
        for number, row in enumerate(found["rounds"], 1):
            cells = f"{row['peer']:.0f} | {row['whet']:.0f} | {row['ratio']:.2f} | {row['mfu']:.0%}"
            lines.append(f"| {number} | {cells} |")
        median, low, high = (found[key] for key in ("median_ratio", "lowest", "highest"))
        lines += ["", f"Median ratio **{median:.2f}** ({low:.2f} to {high:.2f}).", ""]
    found = None if _there("speed_time-*.json") else read("time_to_accuracy")
    if found:
        lines += ["Whole commands on banking77:", ""]
        lines += ["| round | what | seconds | share of the peer's | test accuracy |", "|---|---|---|---|---|"]
        for number, row in enumerate(found["rounds"], 1):
            for name, words in (("peer", "HF Trainer, 5 epochs"), ("probe", "probe"), ("full", "full, 1 epoch")):
                share, accuracy = row[name]["seconds"] / row["peer"]["seconds"], 100 * row[name]["accuracy"]
                lines.append(f"| {number} | {words} | {row[name]['seconds']:.0f} | {share:.2f} | {accuracy:.1f} |")
        lines.append("")
    return ["## Speed against the tuned HF Trainer (bf16, length grouping), earlier", "", *lines] if lines else []


def small() -> list[str]:
    lines = ["## Memory and start-up", ""]
    found = read("memory")
    if found:
        lines += ["A CSV of n rows of ten words (`python benchmarks/memory.py`):", ""]
        lines += ["| rows | read, s | audit, s | encode, s | peak after audit, MiB | peak after encoding, MiB |"]
        lines += ["|---|---|---|---|---|---|"]
        for rows, one in found.items():
            cells = [f"{one[key]:.1f}" for key in ("read_s", "audit_s", "encode_s")]
            cells += [f"{one[key]:.0f}" for key in ("peak_mib_audit", "peak_mib")]
            lines.append(f"| {int(rows):,} | " + " | ".join(cells) + " |")
        lines.append("")
    found = read("startup")
    if found:
        lines += [
            f"`{command}`: {seconds} s (best of 9, `python benchmarks/startup.py`)."
            for command, seconds in found.items()
        ]
    return lines


def main() -> None:
    environment = next(found["environment"] for found in map(read, (known.name for known in SETS)) if found)
    packages = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    lines = ["# Results", "", "Written by `python benchmarks/write_results.py` from `benchmarks/results/*.json`.", ""]
    lines += [f"{datetime.date.today()}; {environment['cpu']}, {environment['threads']} threads; {packages}.", ""]
    lines += ["Seconds were taken on a shared machine; compare them within one table only.", ""]
    (HERE / "RESULTS.md").write_text(
        "\n".join(
            [
                *lines,
                *quality(),
                "",
                *tasks(),
                "",
                *language(),
                *methods(),
                *plans(),
                *label_noise(),
                *stages(),
                *ratios(),
                *on_gpu(),
                *speed(),
                *small(),
            ]
        ).rstrip()
        + "\n"
    )


if __name__ == "__main__":
    main()
