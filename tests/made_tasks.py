"""Small data sets for every task of encoders, and how a run is fitted on each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.seeds import generator

PLACES = ("card", "account", "phone", "password")
PEOPLE = ("help", "thank", "please", "cancel")
WORDS = ("where", "order", "refund", "item", "has", "not", "yet", "arrived", "broken", "came")
"""All of them are known to the tiny tokenizers."""


def _draws(count: int, name: str) -> Iterator[Any]:
    for row in range(count):
        yield generator(0, name, row)


def _write(folder: Path, name: str, rows: list[dict[str, Any]]) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def entities(folder: Path, count: int = 120) -> Path:
    rows = []
    for draw in _draws(count, "entities"):
        tokens: list[str] = []
        tags: list[str] = []
        for _ in range(int(draw.integers(2, 6))):
            kind = int(draw.integers(0, 3))
            if kind == 0:
                tokens += [str(draw.choice(PEOPLE)), "charged"]
                tags += ["B-person", "I-person"]
            elif kind == 1:
                tokens.append(str(draw.choice(PLACES)))
                tags.append("B-place")
            tokens.append(str(draw.choice(WORDS)))
            tags.append("O")
        rows.append({"tokens": tokens, "tags": tags})
    return _write(folder, "entities", rows)


def questions(folder: Path, count: int = 120) -> Path:
    rows = []
    for number, draw in enumerate(_draws(count, "questions")):
        person, place = str(draw.choice(PEOPLE)), str(draw.choice(PLACES))
        before = " ".join(str(word) for word in draw.choice(WORDS, int(draw.integers(1, 30))))
        context = f"{before} . {person} is at the {place} . {' '.join(str(w) for w in draw.choice(WORDS, 6))}"
        asked, answer = ("where", place) if draw.integers(0, 2) else ("who", person)
        known = draw.random() > 0.2
        start = context.index(f"{person} is at") if answer == person else context.index(f"the {place}") + 4
        answers = {"text": [answer], "answer_start": [start]} if known else {"text": [], "answer_start": []}
        question = f"{asked} is it" if known else "when did it arrive"
        rows.append({"id": str(number), "question": question, "context": context, "answers": answers})
    return _write(folder, "questions", rows)


def scored_pairs(folder: Path, count: int = 120) -> Path:
    rows = []
    for draw in _draws(count, "scored pairs"):
        one = [str(word) for word in draw.choice(WORDS, 6, replace=False)]
        shared = int(draw.integers(0, 7))
        other = [*one[:shared], *(str(word) for word in draw.choice(PEOPLE, 6 - shared))]
        rows.append({"sentence1": " ".join(one), "sentence2": " ".join(other), "score": shared})
    return _write(folder, "scored-pairs", rows)


def pairs(folder: Path, count: int = 120) -> Path:
    rows = []
    for number, draw in enumerate(_draws(count, "pairs")):
        words = [str(word) for word in draw.choice([*WORDS, *PEOPLE, *PLACES], 5, replace=False)]
        rows.append({"anchor": f"{' '.join(words[:3])} {number}", "positive": f"{' '.join(words[1:])} {number}"})
    return _write(folder, "pairs", rows)


def numbers(folder: Path, count: int = 120) -> Path:
    rows = []
    for draw in _draws(count, "numbers"):
        words = [str(word) for word in draw.choice([*WORDS, *PEOPLE], 8)]
        rows.append({"text": " ".join(words), "score": 10.0 + 2.5 * sum(word in PEOPLE for word in words)})
    return _write(folder, "numbers", rows)


def relevance(folder: Path, count: int = 60) -> Path:
    rows = []
    for number, draw in enumerate(_draws(count, "relevance")):
        words = [str(word) for word in draw.choice([*WORDS, *PEOPLE, *PLACES], 5, replace=False)]
        query = f"{' '.join(words[:3])} {number}"
        rows.append({"query": query, "passage": f"{' '.join(words)} {number}", "relevance": 1})
        rows.append({"query": query, "passage": f"{draw.choice(WORDS)} {draw.choice(PLACES)} {number}", "relevance": 0})
    return _write(folder, "relevance", rows)


def preferences(folder: Path, count: int = 120) -> Path:
    """Polite answers are the better ones, whatever their length."""
    rows = []
    for draw in _draws(count, "preferences"):
        asked = " ".join(str(word) for word in draw.choice([*WORDS, *PLACES], 3, replace=False))
        polite, rude = (
            " ".join([str(draw.choice(first)), *(str(word) for word in draw.choice(WORDS, int(draw.integers(1, 5))))])
            for first in (("thank", "please"), ("no", "cancel"))
        )
        rows.append({"prompt": asked, "chosen": polite, "rejected": rude})
    return _write(folder, "preferences", rows)


def thumbs(folder: Path, count: int = 60) -> Path:
    """The same answers one by one."""
    rows = []
    for row in map(json.loads, preferences(folder, count).read_text(encoding="utf-8").splitlines()):
        for name, label in (("chosen", True), ("rejected", False)):
            rows.append({"prompt": row["prompt"], "completion": row[name], "label": label})
    return _write(folder, "thumbs", rows)


LONG = {
    "training.epochs": 25.0,
    "training.batch_tokens": 64,
    "training.patience": 30,
    "training.learning_rate": 0.005,
}
"""Of tasks whose tiny models learn slowly."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task with rows for it. ``models``: those that a run with method full leaves predictions of."""

    task: str
    rows: Callable[[Path], Path]
    metric: str
    models: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    base: str = "mean"


JOBS = {
    "entities": Job(
        "token-classification", entities, "entity_f1", ("dictionary", "token_linear", "probe", "full"), LONG
    ),
    "questions": Job(
        "question-answering",
        questions,
        "answer_f1",
        ("first_sentence", "tfidf_sentence", "full"),
        {"data.max_length": 24, "data.stride": 6},
    ),
    "similarity": Job("sentence-similarity", scored_pairs, "spearman", ("tfidf_cosine", "bm25", "base_cosine", "full")),
    "similarity, both texts at once": Job(
        "sentence-similarity",
        scored_pairs,
        "spearman",
        ("tfidf_cosine", "bm25", "base_cosine", "full"),
        {"similarity.encoder": "cross"},
    ),
    "pairs": Job(
        "sentence-similarity",
        pairs,
        "ndcg_at_10",
        ("tfidf_cosine", "bm25", "base_cosine", "full"),
        {"similarity.hard_negatives": 1},
    ),
    "regression": Job("regression", numbers, "r2", ("mean", "tfidf_ridge", "probe", "full"), LONG),
    "ranking": Job("ranking", relevance, "ndcg_at_10", ("tfidf_cosine", "bm25", "base_cosine", "full")),
    "ranking, both texts at once": Job(
        "ranking",
        relevance,
        "ndcg_at_10",
        ("tfidf_cosine", "bm25", "base_cosine", "full"),
        {"similarity.encoder": "cross"},
    ),
    "preference": Job(
        "preference", preferences, "pair_accuracy", ("longer", "base", "full"), {"generation.max_tokens": 6}, "decoder"
    ),
    "preference, a thumb each": Job(
        "preference", thumbs, "reward_auc", ("longer", "base", "full"), {"generation.max_tokens": 6}, "decoder"
    ),
}
