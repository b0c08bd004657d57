"""Run folders made on the spot, complete and plausible, in the forms that the other rooms write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from whet.data.predictions import ClassPredictions, save
from whet.findings import Finding
from whet.report.calibration import tempered
from whet.seeds import generator

SUPPORT = [
    "order_status",
    "cancel_order",
    "change_address",
    "return_item",
    "refund_status",
    "damaged_item",
    "missing_item",
    "exchange_size",
    "payment_failed",
    "invoice_copy",
    "discount_code",
    "account_login",
    "delete_account",
    "delivery_time",
]
TOPICS = [
    "card",
    "cash",
    "transfer",
    "top_up",
    "exchange",
    "identity",
    "passcode",
    "fee",
    "refund",
    "limit",
    "country",
    "virtual_card",
]
MATTERS = ["arrival", "not_working", "pending", "failed", "charged_twice_without_reason", "declined", "lost"]
NAMED = {14: SUPPORT, 77: [f"{topic}_{matter}" for topic in TOPICS for matter in MATTERS][:77]}
OPENINGS = ["Hi,", "hello??", "Good evening.", "Third time I write:", "Sorry to bother you, but", "Hey team,", ""]
TROUBLES = [
    "I still wait for an answer about {about}",
    "whats going on with {about}, nobody tells me anyting",
    "could you please look into {about} before Friday, I am travelling to Łódź and my neighbour cannot help",
    "{about}. Again. Fix it",
    "the page says {about} but the mail from last week says the opposite",
    "is there a way to deal with {about} without calling?",
]
CLOSINGS = ["Thanks, Aoife", "thx", "This is not acceptable.", "Order 44-1093.", "Grüße, Jörg", ""]
QUALITY = {"majority": None, "label_names": 1.6, "tfidf_linear": 3.0, "probe": 3.9, "full": 5.4}


def make_run(
    folder: Path,
    num_labels: int = 14,
    num_rows: int = 240,
    multi_label: bool = False,
    pairs: bool = False,
    code: str = "ship",
    labels: list[str] | None = None,
    texts: list[str] | None = None,
) -> Path:
    """Build a complete run folder and return it."""
    names = labels or NAMED.get(num_labels) or [f"class_{number}" for number in range(num_labels)]
    random = generator(7, "synthetic", num_labels, num_rows)
    gold = _gold(random, num_rows, len(names), multi_label)
    hashes = random.integers(0, 2**63, num_rows).astype(np.uint64)
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "predictions").mkdir(exist_ok=True)
    made = {
        model: _predict(model, names, gold, hashes, random, multi_label, quality) for model, quality in QUALITY.items()
    }
    for predictions in made.values():
        save(predictions, folder / "predictions" / f"{predictions.model}.test.parquet")
    _write_rows(folder / "data" / "test.arrow", names, gold, hashes, random, multi_label, pairs, texts)
    primary = "micro_f1" if multi_label else "accuracy"
    scores = _scores(made, names, primary, multi_label)
    _write(folder / "scores.json", scores)
    _write(folder / "verdict.json", _verdict(scores, made, primary, code))
    _write(folder / "findings.json", [one.to_json() for one in _findings(num_rows)])
    _write(folder / "data" / "ledger.json", _ledger(num_rows))
    _write(folder / "data" / "audit.json", _audit(names, num_rows))
    _write(folder / "environment.json", ENVIRONMENT)
    (folder / "resolved.yaml").write_text(yaml.safe_dump(RESOLVED, sort_keys=False), encoding="utf-8")
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"task": "text-classification", "base": "minilm"}))
    lines = [json.dumps(event) for event in events()]
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def _gold(random: np.random.Generator, num_rows: int, num_labels: int, multi_label: bool) -> np.ndarray:
    if not multi_label:
        return random.integers(0, num_labels, num_rows)
    gold = random.random((num_rows, num_labels)) < 1.4 / num_labels
    gold[np.arange(num_rows), random.integers(0, num_labels, num_rows)] = True
    gold[::17] = False
    return gold


def _predict(
    model: str,
    names: list[str],
    gold: np.ndarray,
    hashes: np.ndarray,
    random: np.random.Generator,
    multi_label: bool,
    quality: float | None,
) -> ClassPredictions:
    num_rows, num_labels = len(gold), len(names)
    truth = gold if multi_label else np.eye(num_labels, dtype=bool)[gold]
    logits = random.normal(0, 1, (num_rows, num_labels)) + (quality or 0) * truth
    # neighbours are alike, so that confusions have a pattern
    logits += 0.55 * (quality or 0) * np.roll(truth, 1, axis=1) * (random.random((num_rows, 1)) < 0.35)
    if quality is None:
        logits = np.tile(np.linspace(1, 0, num_labels), (num_rows, 1))
    logits *= 2.6 if model == "full" else 1.2
    if multi_label:
        scores = 1 / (1 + np.exp(-(logits - 0.9 * (quality or 1))))
    else:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    thresholds = np.full(num_labels, 0.5, np.float32) if multi_label else None
    return ClassPredictions(
        model, "test", np.arange(num_rows), hashes, tuple(names), gold, scores.astype(np.float32), thresholds
    )


def _write_rows(
    path: Path,
    names: list[str],
    gold: np.ndarray,
    hashes: np.ndarray,
    random: np.random.Generator,
    multi_label: bool,
    pairs: bool,
    texts: list[str] | None,
) -> None:
    num_rows = len(gold)
    first = [int(np.flatnonzero(row)[0]) if row.any() else 0 for row in gold] if multi_label else list(gold)

    def text(label: str) -> str:
        parts = [OPENINGS[random.integers(len(OPENINGS))], TROUBLES[random.integers(len(TROUBLES))]]
        parts.append(CLOSINGS[random.integers(len(CLOSINGS))])
        return " ".join(part for part in parts if part).format(about="my " + label.replace("_", " "))

    written = [text(names[label]) for label in first]
    for index, given in enumerate(texts or []):
        written[index::7] = [given] * len(written[index::7])
    labels = [[names[i] for i in np.flatnonzero(row)] for row in gold] if multi_label else [names[i] for i in gold]
    columns: dict[str, Any] = {
        "id": pa.array(range(num_rows), pa.int64()),
        "line": pa.array(range(2, num_rows + 2), pa.int64()),
        "hash": pa.array(hashes, pa.uint64()),
        "text": written,
    }
    if pairs:
        columns["text_pair"] = [f"And the second text of row {number}." for number in range(num_rows)]
    columns["label"] = labels
    table = pa.table(columns)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def wilson(right: float, total: float) -> tuple[float, float]:
    """95 % interval of a proportion."""
    if not total:
        return 0.0, 1.0
    z, share = 1.96, right / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return middle - half, middle + half


def _scores(made: dict[str, ClassPredictions], names: list[str], primary: str, multi_label: bool) -> dict[str, Any]:
    models, per_class, confusion, reliability = {}, {}, {}, {}
    for model, one in made.items():
        per_class[model] = _per_class(one, names)
        models[model] = _metrics(one, per_class[model], multi_label)
        matrix = np.zeros((len(names), len(names)), dtype=int)
        if not multi_label:
            np.add.at(matrix, (one.gold, one.predicted), 1)
        confusion[model] = matrix.tolist()
        reliability[model] = [{"low": 0.5, "high": 1.0, "confidence": 0.9, "accuracy": 0.8, "count": len(one)}]
    num_rows = len(next(iter(made.values())))
    return {
        "task": "text-classification",
        "labels": names,
        "multi_label": multi_label,
        "split": "test",
        "num_rows": num_rows,
        "primary": primary,
        "models": models,
        "without_leaks": {"num_rows": num_rows - 6, "models": models},
        "per_class": per_class,
        "confusion": None if multi_label else confusion,
        "reliability": reliability,
        "temperature_in_model": {model: _temperature(one) for model, one in made.items() if model in ("full", "probe")},
        "validation": {model: models[model] for model in ("probe", "full")},
    }


def _temperature(one: ClassPredictions) -> float:
    """The best of a few temperatures, by log loss."""
    truth = one.gold if one.multi_label else np.eye(len(one.labels), dtype=bool)[one.gold]

    def loss(temperature: float) -> float:
        found = tempered(one.scores, temperature, one.multi_label)
        return float(-np.log(np.clip(np.where(truth, found, 1 - found), 1e-9, 1)).mean())

    return min((0.5 + 0.05 * step for step in range(60)), key=loss)


def _metrics(one: ClassPredictions, classes: list[dict[str, Any]], multi_label: bool) -> dict[str, Any]:
    value = float(one.correct.mean())
    low, high = wilson(value * len(one), len(one))

    def measured(number: float, width: float) -> dict[str, float]:
        return {"value": number, "low": number - width, "high": number + width}

    half = (high - low) / 2
    macro = float(np.mean([row["f1"] for row in classes]))
    truth = one.gold if multi_label else np.eye(len(one.labels))[one.gold]
    of_truth = np.clip((one.scores * truth).sum(axis=1) / np.maximum(truth.sum(axis=1), 1), 1e-6, 1)
    metrics = {
        "accuracy": {"value": value, "low": low, "high": high},
        "macro_f1": measured(macro, half * 1.1),
        "micro_f1": measured(min(1.0, value * 1.05) if multi_label else value, half),
        "mcc": measured(value * 0.99, half),
        "log_loss": measured(float(-np.log(of_truth).mean()), 0.08),
        "brier": measured(float(((one.scores - truth) ** 2).sum(axis=1).mean()), 0.03),
        "ece": measured(0.04, 0.015),
    }
    return {name: metrics[name] for name in metrics if not (multi_label and name == "mcc")}


def _per_class(one: ClassPredictions, names: list[str]) -> list[dict[str, Any]]:
    eye = np.eye(len(names), dtype=bool)
    truth, given = (one.gold, one.predicted) if one.multi_label else (eye[one.gold], eye[one.predicted])
    rows = []
    for index, label in enumerate(names):
        hit = int((truth[:, index] & given[:, index]).sum())
        support, chosen = int(truth[:, index].sum()), int(given[:, index].sum())
        precision, recall = hit / chosen if chosen else 0.0, hit / support if support else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        low, high = wilson(hit, support)
        rows.append(
            {"label": label, "support": support, "precision": precision, "recall": recall, "f1": f1}
            | {"low": low, "high": high}
        )
    return rows


REASONS = {
    "ship": "On the same {n} test rows it is right {d} points more often than probe, the best baseline "
    "(95 % interval {low} to {high}), and that is more than chance would give.",
    "keep_baseline": "full is at most {high} points better on these rows, which does not pay for its cost: "
    "probe is enough.",
    "cannot_tell": "full and probe differ by {d} points, and {n} rows can only show 5.8 points or more; "
    "about 1,900 test rows would decide.",
}


def _verdict(scores: dict[str, Any], made: dict[str, ClassPredictions], metric: str, code: str) -> dict[str, Any]:
    full = made["full"].correct
    comparisons = []
    for other in ("probe", "tfidf_linear", "label_names", "majority"):
        right = made[other].correct
        won, lost = int((full & ~right).sum()), int((right & ~full).sum())
        gap = (won - lost) / len(full)
        half = 1.96 * math.sqrt(max(won + lost, 1)) / len(full)
        comparisons.append(
            {"candidate": "full", "against": other, "metric": metric, "difference": gap, "low": gap - half}
            | {"high": gap + half, "p": 0.0312 if other == "probe" else 1e-9, "p_holm": 0.0624}
            | {"test": "McNemar exact", "won": won, "lost": lost}
            | {"positive_flips": won / len(full), "negative_flips": lost / len(full)}
        )
    gap = comparisons[0]
    words = {name: f"{gap[key] * 100:.1f}" for name, key in (("d", "difference"), ("low", "low"), ("high", "high"))}
    return {
        "code": code,
        "ship": "full" if code == "ship" else "probe",
        "reason": REASONS[code].format(n=len(full), **words),
        "metric": metric,
        "margin": 0.01,
        "alpha": 0.05,
        "best_baseline": "probe",
        "num_rows": len(full),
        "minimum_detectable_effect": 0.058,
        "rows_to_decide": 1900 if code == "cannot_tell" else None,
        "comparisons": comparisons,
        "costs": {
            model: {
                "train_seconds": seconds,
                "predict_rows_per_second": rows,
                "size_bytes": size,
                "trainable_parameters": parameters,
            }
            for model, seconds, rows, size, parameters in (
                ("majority", 0.0, 900000, 900, 0),
                ("label_names", 0.0, 410, 90900000, 0),
                ("tfidf_linear", 0.42, 51000, 1400000, 120400),
                ("probe", 6.1, 412, 90900000, 5390),
                ("full", 144.2, 409, 90900000, 22718606),
            )
        },
    }


def _findings(num_rows: int) -> list[Finding]:
    secret = [{"split": "train", "line": 17, "text": "my card is 5355 **** **** 1234, please hurry", "kind": "card"}]
    twins = [
        {"split": "test", "line": 31, "text": "where is my parcel", "label": "order_status"}
        | {"same_as": "train line 204", "other_label": "delivery_time"},
        {
            "split": "test",
            "line": 90,
            "text": "WHERE is my parcel!!",
            "label": "delivery_time",
            "same_as": "train line 204",
        },
    ]
    return [
        Finding("A001", "passed", "No text is empty."),
        Finding("A002", "passed", "No row stands twice in a split."),
        Finding(
            "A004",
            "issue",
            "6 rows of test also stand in train after normalisation, 2 of them with another label.",
            "test",
            "Scores are given with and without them; remove them from test.",
            {"count": 6, "examples": twins},
        ),
        Finding("A006", "passed", "The largest class has 2.1 times the rows of the smallest."),
        Finding(
            "A011",
            "tip",
            "1 text holds what looks like a card number.",
            "tickets.csv:17",
            "Mask such numbers before the model is shared.",
            {"count": 1, "examples": secret},
        ),
        Finding("A012", "not_applicable", "Languages are told apart from 200 characters a text on; these are shorter."),
        Finding("E007", "passed", "Stopped after epoch 8: validation had not improved for 3 evaluations."),
        Finding("E008", "passed", "The saved model, loaded anew, gives the same probabilities (largest gap 2e-7)."),
        Finding("V001", "passed", "full is better than probe, the best baseline."),
        Finding("V002", "tip", "9 rows that probe gets right are lost.", "test", "Read them among the mistakes.", {}),
        Finding("V003", "passed", "ECE 4.0 % before the temperature, 1.6 % after."),
        Finding("V004", "issue", "6 leaked rows; the scores without them differ by 0.2 points.", "test"),
        Finding("V005", "passed", "Train and validation stay close until the best step."),
        Finding("V006", "tip", "discount_code has a recall of 71.4 %.", "test", "Add rows like its mistakes."),
        Finding("V007", "not_applicable", f"With {num_rows} rows the verdict was decided without it."),
    ]


def _ledger(num_rows: int) -> dict[str, Any]:
    cut = {"rows": 12, "tokens_cut": 340, "tokens_total": 99999, "limit": 256}
    dropped = [
        {"code": "A001", "reason": "empty text", "count": 3, "lines": [18, 402, 3999]},
        {"code": "A005", "reason": "same text, another label", "count": 41, "lines": list(range(100, 120))},
    ]
    none = {"rows": 0, "tokens_cut": 0, "tokens_total": 4800, "limit": 256}
    return {
        "splits": {
            "train": {"read": 5044, "kept": 5000, "dropped": dropped, "cut": cut},
            "validation": {"read": 500, "kept": 500, "dropped": [], "cut": none},
            "test": {"read": num_rows, "kept": num_rows, "dropped": [], "cut": none},
        }
    }


def _audit(names: list[str], num_rows: int) -> dict[str, Any]:
    def about(rows: int) -> dict[str, Any]:
        labels = {name: max(1, rows // len(names) + (index * 7) % 11 - 5) for index, name in enumerate(names)}
        return {"rows": rows, "labels": labels, "characters": {"median": 58, "p95": 190, "max": 1204}}

    return {"splits": {"train": about(5000), "validation": about(500), "test": about(num_rows)}, "findings": []}


ENVIRONMENT = {
    "whet": "0.1.0",
    "python": "3.11.9",
    "platform": "Linux-6.1-x86_64",
    "cpu": "Example CPU at 2.5 GHz",
    "threads": 2,
    "packages": {"torch": "2.13.0", "transformers": "5.23.0", "tokenizers": "0.23.1", "numpy": "2.4.0"},
}

RESOLVED = {
    "task": {"value": "text-classification", "reason": "given"},
    "base": {"value": "sentence-transformers/all-MiniLM-L6-v2", "reason": "given as minilm, the bundled model"},
    "data.source": {"value": "tickets.csv", "reason": "given"},
    "data.text": {"value": "message", "reason": "the only column of long texts"},
    "data.label": {"value": "intent", "reason": "14 different values over 5,740 rows"},
    "adaptation": {"value": "full", "reason": "22.7 M parameters fit into memory with room to spare"},
    "training.epochs": {"value": 12, "reason": "357 rows per class: small sets need more passes"},
    "training.batch_rows": {"value": 64, "reason": "default"},
    "training.learning_rate": {"value": 0.00012, "reason": "default of the base's size"},
    "training.max_seconds": {"value": None, "reason": "default: no limit"},
    "training.early_stopping": {"value": True, "reason": "default"},
    "data.max_tokens": {"value": 256, "reason": "the model's own limit; 0.3 % of the tokens are cut"},
}


def events() -> list[dict[str, Any]]:
    """Two candidates: a short one, and one with an interruption at step 300, resumed from 270."""
    random = generator(7, "events")
    told: list[dict[str, Any]] = [{"kind": "stage", "seconds": 0.1, "stage": "audit", "state": "started"}]
    told.append({"kind": "stage", "seconds": 2.1, "stage": "audit", "state": "finished", "seconds_taken": 2.0})
    order = [*range(1, 301), *range(271, 633)]
    for step in order:
        smooth = 0.12 + 2.5 * math.exp(-step / 110)
        event = {"kind": "step", "seconds": step * 0.2, "model": "full", "step": step, "num_steps": 948}
        event |= {"loss": smooth * float(random.uniform(0.75, 1.25)), "learning_rate": 1e-4, "grad_norm": 1.1}
        told.append(event | {"tokens": step * 900, "tokens_per_second": 4500.0})
        if step % 79 == 0:
            gap = max(0.0, step - 400) / 2200
            train, validation = 0.1 + 2.4 * math.exp(-step / 100), 0.34 + 2.2 * math.exp(-step / 95) + gap
            told.append(
                {"kind": "evaluation", "model": "full", "step": step, "epoch": step / 79, "split": "validation"}
                | {"loss": validation, "train_loss": train, "accuracy": 0.93 - 0.8 * math.exp(-step / 80) - gap / 9}
                | {"train_accuracy": 0.995 - 0.8 * math.exp(-step / 85), "macro_f1": 0.9, "best": step <= 395}
                | {"seconds": step * 0.2}
            )
    told.append({"kind": "stage", "seconds": 140.0, "stage": "train", "state": "finished", "seconds_taken": 144.2})
    told.append({"kind": "stage", "seconds": 151.0, "stage": "evaluate", "state": "finished", "seconds_taken": 11.0})
    return told
