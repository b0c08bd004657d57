"""Small labelled data sets made on the spot, in the words that the tiny models know."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

from tests.made_models import WORDS

TOPICS = {
    "refund": ("refund", "broken", "item"),
    "card": ("card", "password", "account"),
    "late": ("order", "arrived", "yet"),
}


def texts(count: int, seed: int = 0, noise: float = 0.1) -> list[tuple[str, str]]:
    """Texts with one of three topics, whose words they mostly hold; none stands twice."""
    draw = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        topic = draw.choice(list(TOPICS))
        about = topic if draw.random() > noise else draw.choice(list(TOPICS))
        words = draw.choices(WORDS, k=draw.randint(3, 8)) + draw.choices(TOPICS[about], k=2)
        draw.shuffle(words)
        found.setdefault(" ".join(words), topic)
    return list(found.items())


def write_csv(path: Path, titles: list[str], rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(titles)
        writer.writerows(rows)
    return path


def single(folder: Path, count: int = 120, seed: int = 0, name: str = "messages") -> Path:
    """A CSV with one label a row."""
    return write_csv(folder / f"{name}.csv", ["message", "intent"], list(texts(count, seed)))


def _several(count: int, seed: int) -> list[tuple[str, list[str]]]:
    draw = random.Random(seed)
    rows = []
    for text, topic in texts(count, seed):
        labels = [topic] if draw.random() > 0.1 else []
        labels += ["question"] if any(word in text.split() for word in ("where", "how", "why")) else []
        rows.append((text, sorted(labels)))
    return rows


def several_jsonl(folder: Path, count: int = 120, seed: int = 1) -> Path:
    """JSON lines with a list of labels a row, sometimes none."""
    path = folder / "several.jsonl"
    rows: list[dict[str, Any]] = [{"text": text, "labels": labels} for text, labels in _several(count, seed)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def several_csv(folder: Path, count: int = 120, seed: int = 1) -> Path:
    """The same with labels parted by a semicolon; rows without any are left out."""
    rows = [(text, ";".join(labels)) for text, labels in _several(count, seed) if labels]
    return write_csv(folder / "several.csv", ["text", "tags"], list(rows))


def pairs(folder: Path, count: int = 120, seed: int = 2) -> Path:
    """A CSV of premises and hypotheses, which are about the same thing or not."""
    first, second = texts(count, seed), texts(count, seed + 1)
    rows = [(a, b, "same" if x == y else "other") for (a, x), (b, y) in zip(first, second, strict=True)]
    return write_csv(folder / "pairs.csv", ["premise", "hypothesis", "label"], list(rows))
