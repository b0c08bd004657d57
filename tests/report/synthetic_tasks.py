"""Run folders of the other kinds of predictions, scored by evaluation: entities, answers, values, ranked lists."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from whet.data.normal import hashes, raw_hashes
from whet.data.predictions import (
    AnswerPredictions,
    Lists,
    Predictions,
    RankPredictions,
    SpanPredictions,
    Spans,
    TextPredictions,
    ValuePredictions,
    save,
)
from whet.evaluation.gates import gates
from whet.evaluation.scoring import score_all
from whet.evaluation.verdict import decide
from whet.seeds import generator

from .synthetic_run import ENVIRONMENT, RESOLVED, events

SPAN = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())])
ANSWER = pa.struct([("start", pa.int32()), ("text", pa.string())])
EVIL = "<script>alert('x')</script>"

NAMES = {
    "person": ["Aoife Byrne", "Jörg Müller", "Łukasz", "Ms Okonkwo", "王小明", "Dr. Rivera-Ortiz", "Ana"],
    "place": ["Łódź", "New York", "Rio de Janeiro", "the Alps", "Cork", "القاهرة", "São Tomé and Príncipe"],
    "company": ["Aconite Ltd", "Bell & Sons", "Zebra-Werke AG", "Ñandú Foods", "3M", "the Northern Bank of Leeds"],
    "product": ["KX-7 drill", "Model T", "🚀 rocket kit", "iron kettle"],
}
FRAMES = [
    "{person} of {company} left {place} on Friday with a {product} 🎒 and no receipt.",
    "Did {company} ever send the {product} to {place}?",
    "I met {person} in {place}; the mail from {company} came later.",
    "Nothing of note happened this week, and nobody asked about it either.",
    "{product} arrived broken.\n{person} says {company} will not pay.",
]
FILLER = "It was a long report with many paragraphs about the weather, the roads and what was served at noon. "


def make_task_run(folder: Path, kind: str, evil: bool = False) -> Path:
    """Build a complete run folder of one kind of predictions and return it.

    :param kind: one of ``MAKERS``.
    :param evil: every text, label and answer is made of what browsers would run.
    """
    task, models, rows, audit = MAKERS[kind](evil)
    for name in ("model", "data", "predictions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for one in models:
        save(one, folder / "predictions" / f"{one.model}.test.parquet")
    with pa.OSFile(str(folder / "data" / "test.arrow"), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=100)
    scores = score_all(
        models, seed=1, task=task, num_resamples=200, leaked_ids=[1, 2], baselines=[one.model for one in models[:-1]]
    )
    told = decide(models[-1:], models[:-1], seed=1, num_resamples=200, num_rounds=199, costs=costs(models))
    found = gates(told, models, scores, seed=1)
    put(folder / "scores.json", scores)
    put(folder / "verdict.json", told.to_json())
    put(folder / "findings.json", [one.to_json() for one in found])
    put(folder / "data" / "audit.json", {"splits": audit, "findings": [], "leaked": [1, 2]})
    put(folder / "data" / "ledger.json", ledger(rows.num_rows))
    put(folder / "environment.json", ENVIRONMENT)
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"task": task, "base": "minilm"}), encoding="utf-8")
    resolved = RESOLVED | {"task": {"value": task, "reason": "given"}}
    (folder / "resolved.yaml").write_text(yaml.safe_dump(resolved, sort_keys=False), encoding="utf-8")
    quick = scores["primary"]
    lines = [renamed(event, quick) for event in events()]
    (folder / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def renamed(event: dict[str, Any], quick: str) -> dict[str, Any]:
    """An event whose quick score has another name than accuracy."""
    names = {"accuracy": quick, "train_accuracy": f"train_{quick}"}
    return {names.get(key, key): value for key, value in event.items() if key != "macro_f1"}


def costs(models: Sequence[Predictions]) -> dict[str, dict[str, float]]:
    return {one.model: {"train_seconds": 3.0 * index} for index, one in enumerate(models)}


def put(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def ledger(num_rows: int) -> dict[str, Any]:
    changed = [{"code": "D055", "reason": "a tag began inside", "count": 2, "lines": [7, 9], "places": []}]
    one = {"read": num_rows, "kept": num_rows, "dropped": []}
    return {"splits": {"train": one | {"changed": changed}, "test": one}}


def about(num_rows: int, labels: dict[str, int] | None = None) -> dict[str, Any]:
    return {"rows": num_rows, "labels": labels or {}, "characters": {"median": 88, "p95": 400, "max": 2210}}


def shared(num_rows: int, texts: list[str], pairs: list[str] | None = None) -> tuple[dict[str, Any], np.ndarray]:
    """The columns that all rows have, and the hashes of the rows."""
    made = hashes(texts, pairs)
    columns: dict[str, Any] = {
        "id": pa.array(range(num_rows), pa.int64()),
        "line": pa.array(range(2, num_rows + 2), pa.int64()),
        "hash": pa.array(made, pa.uint64()),
        "text": texts,
    }
    return columns | ({} if pairs is None else {"text_pair": pairs}), made


# Entities


def spans_run(evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    random = generator(3, "spans")
    labels = tuple(NAMES)
    texts, gold = [], []
    for number in range(160):
        text, spans = sentence(random, labels, long=number % 9 == 0)
        texts.append(text)
        gold.append(spans)
    shown = tuple(f"{EVIL}{name}" for name in labels) if evil else labels
    if evil:
        texts = [disguised(text, spans) for text, spans in zip(texts, gold, strict=True)]
    columns, made = shared(len(texts), texts)
    known = [[{"start": a, "end": b, "label": shown[c]} for a, b, c in row] for row in gold]
    columns["spans"] = pa.array(known, pa.list_(SPAN))
    truth = Spans.of(gold)
    seen = random.random(len(truth.starts)) < 0.6
    models: list[Predictions] = []
    for model, noise in (("dictionary", 0.6), ("probe", 0.4), ("full", 0.22)):
        said = [noisy(random, row, len(text), len(labels), noise) for row, text in zip(gold, texts, strict=True)]
        flat = Spans.of(said)
        sure = random.uniform(0.4, 1, len(flat.starts)).astype(np.float32)
        ids = np.arange(len(texts))
        models.append(SpanPredictions(model, "test", ids, made, shown, truth, flat, sure, seen))
    counts = {name: 40 + 7 * index for index, name in enumerate(shown)}
    return "token-classification", models, pa.table(columns), {"train": about(900, counts), "test": about(160, counts)}


def sentence(random: np.random.Generator, labels: Sequence[str], long: bool) -> tuple[str, list[tuple[int, int, int]]]:
    frame = FRAMES[random.integers(len(FRAMES))]
    text, spans = FILLER * 6 if long else "", []
    for piece in frame.replace("{", "}{").split("}"):
        if piece.startswith("{"):
            kind = piece[1:]
            name = NAMES[kind][random.integers(len(NAMES[kind]))]
            spans.append((len(text), len(text) + len(name), list(labels).index(kind)))
            text += name
        else:
            text += piece
    return text + (f" {FILLER * 6}" if long else ""), spans


def disguised(text: str, spans: Sequence[tuple[int, int, int]]) -> str:
    """The same length, but dangerous: the longest runs without an entity become markup."""
    made, at = "", 0
    for start, end, _ in [*spans, (len(text), len(text), 0)]:
        made += (EVIL * (1 + (start - at) // len(EVIL)))[: start - at] + text[start:end]
        at = end
    return made


def noisy(
    random: np.random.Generator, row: Sequence[tuple[int, int, int]], length: int, num_types: int, noise: float
) -> list[tuple[int, int, int]]:
    """What a model says: some missed, some cut, some of another type, some invented; none across another."""
    said = []
    for start, end, kind in row:
        chance = random.random()
        if chance < noise * 0.35:
            continue
        if chance < noise * 0.6:
            start, end = (start, max(start + 1, end - 3)) if random.random() < 0.5 else (start, min(length, end + 4))
        if noise * 0.5 < chance < noise * 0.9:
            kind = (kind + 1) % num_types
        said.append((start, end, kind))
    free = max((end for _, end, _ in [*row, *said]), default=0)
    if random.random() < noise * 0.4 and free + 8 < length:
        said.append((free + 2, free + 8, int(random.integers(num_types))))
    said.sort()
    return [one for index, one in enumerate(said) if index == 0 or one[0] >= said[index - 1][1]]


# Answers


def answers_run(evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    random = generator(4, "answers")
    questions, contexts, gold, places = [], [], [], []
    asked = ["What", "Who", "When", "In what year", "How many", "Where", "Which of them", "Why", "Is it true that it"]
    for number in range(200):
        facts = [f"In {1800 + number} the {word} of {number} stones was built near {place}" for word, place in
                 zip(["tower", "bridge", "old mill"], ["Cork", "the Alps", "القاهرة"], strict=True)]  # fmt: skip
        context = ". ".join([*facts[:2], FILLER * (1 + number % 7), facts[2]]) + "."
        if evil:
            context = EVIL * 20 + context + EVIL * 20
        answer = f"the bridge of {number} stones"
        has = number % 4 != 0
        starts = [context.index(answer)] if has else []
        contexts.append(context)
        questions.append(
            f"{EVIL if evil else ''}{asked[number % len(asked)]} was built near the Alps, of stone {number}?"
        )
        gold.append((answer, f"bridge of {number} stones") if has else ())
        places.append([{"start": starts[0], "text": answer}] if has else [])
    columns, made = shared(len(questions), questions, contexts)
    columns["answers"] = pa.array(places, pa.list_(ANSWER))
    models: list[Predictions] = []
    documents = hashes([f"document {letters(number // 5)}" for number in range(len(questions))])
    for model, noise in (("first_sentence", 0.8), ("full", 0.4)):
        said, starts = [], []
        for context, accepted in zip(contexts, gold, strict=True):
            text = an_answer(random, context, accepted, noise)
            said.append(text)
            starts.append(context.find(text) if text else -1)
        sure = random.uniform(0.3, 1, len(said)).astype(np.float32)
        empty = np.asarray([0.0 if text else 1.0 for text in said], dtype=np.float32) * sure
        nbest = tuple(
            ((text, start, float(share)), ("the tower", context.find("the tower"), float(share) / 3), ("", -1, 0.01))
            for text, start, share, context in zip(said, starts, sure, contexts, strict=True)
        )
        ids, first = np.arange(len(said)), np.asarray(starts, dtype=np.int32)
        models.append(
            AnswerPredictions(
                model, "test", ids, made, tuple(gold), tuple(said), first, sure, empty, nbest, groups=documents
            )
        )
    return "question-answering", models, pa.table(columns), {"train": about(900), "test": about(200)}


def an_answer(random: np.random.Generator, context: str, accepted: Sequence[str], noise: float) -> str:
    chance = random.random()
    if chance > noise:
        return accepted[0] if accepted else ""
    if chance > noise * 0.7:
        return "the tower of"
    if chance > noise * 0.4 and accepted:
        return " ".join(accepted[0].split()[:2])
    return "" if accepted and chance > noise * 0.2 else "the roads and what was served at noon"


# Values


def values_run(purpose: str, evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    random = generator(5, "values", purpose)
    size = 1000 if purpose == "regression" else 240
    true = np.round(random.uniform(0, 5, size), 1)
    texts = [f"{EVIL if evil else 'A man'} number {number} is playing" for number in range(size)]
    pairs = [f"Someone plays, says row {number} {EVIL if evil else ''}" for number in range(size)]
    columns, made = shared(size, texts, pairs)
    columns["score"] = pa.array(true, pa.float64())
    models: list[Predictions] = []
    for model, noise in (("tfidf_cosine", 2.5), ("base_cosine", 1.2), ("full", 0.5)):
        said = true + random.normal(0, noise, size)
        if purpose == "similarity":
            said = np.tanh(said / 5)
        models.append(ValuePredictions(model, "test", np.arange(size), made, true, said, purpose))  # type: ignore[arg-type]
    task = "regression" if purpose == "regression" else "sentence-similarity"
    return task, models, pa.table(columns), {"train": about(4000), "test": about(size)}


# Ranked lists


def letters(number: int) -> str:
    """A name without digits: those are all alike to the hash of a text."""
    return "".join(chr(97 + number // power % 26) for power in (676, 26, 1))


def ranks_run(evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    random = generator(6, "ranks")
    num_queries, a_query = 40, 6
    queries = [f"{EVIL if evil else 'how do I'} find passage {letters(n * a_query)}" for n in range(num_queries)]
    passages = [
        f"Passage {letters(n * a_query + m)} {'with ' + EVIL if evil else 'about what was asked'} " + FILLER * (m % 3)
        for n in range(num_queries)
        for m in range(a_query)
    ]
    relevance = [
        2.0 if m == 0 else 1.0 if m == 1 and n % 3 == 0 else 0.0 for n in range(num_queries) for m in range(a_query)
    ]
    texts = [query for query in queries for _ in range(a_query)]
    columns, _ = shared(len(texts), texts, passages)
    columns["score"] = pa.array(relevance, pa.float64())
    keys = raw_hashes(passages)
    first = np.arange(num_queries) * a_query
    gold = Lists.of([[(int(keys[at + m]), relevance[at + m]) for m in range(a_query)] for at in first])
    models: list[Predictions] = []
    for model, noise in (("tfidf_cosine", 1.6), ("bm25", 1.4), ("full", 0.75)):
        lists = []
        for at in first:
            score = random.normal(0, noise, len(keys))
            score[at : at + a_query] += np.asarray(relevance[at : at + a_query]) + 0.4
            order = np.argsort(-score, kind="stable")[:100]
            lists.append([(int(keys[one]), float(score[one])) for one in order])
        models.append(RankPredictions(model, "test", first, hashes(queries), gold, Lists.of(lists)))
    return "ranking", models, pa.table(columns), {"train": about(4000), "test": about(len(texts))}


# Texts


def texts_run(evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    """Answers: every fourth has two accepted texts, some said ones do not end; the nearest answer has no nats."""
    random = generator(7, "texts")
    size = 60
    bad = f" {EVIL}" if evil else ""
    prompts = [f"Where is parcel {letters(number)}, please?{bad}" for number in range(size)]
    gold = tuple(
        (f"Parcel {letters(number)} is on its way to {NAMES['place'][number % 7]} and comes on Friday.{bad}",)
        + ((f"It comes on Friday.{bad}",) if number % 4 == 0 else ())
        for number in range(size)
    )
    columns, made = shared(size, prompts)
    columns["answers"] = pa.array([list(row) for row in gold], pa.list_(pa.string()))
    tokens = random.integers(8, 40, size)
    models: list[Predictions] = []
    for model, noise, rate in (
        ("nearest_answer", 0.5, 0.0),
        ("unigram", None, 5.0),
        ("base", 0.9, 3.0),
        ("full", 0.2, 1.5),
    ):
        said = None if noise is None else tuple(spoken(random, row[0], noise) for row in gold)
        nats = tokens * random.uniform(0.5, 1.5, size) * rate
        counted: dict[str, Any] = {} if model == "nearest_answer" else {
            "nats": nats, "tokens": tokens, "num_bytes": tokens * 4, "num_right": tokens // 2,
        }  # fmt: skip
        if counted and said is not None:
            counted |= {"finished": random.random(size) < 0.9, "num_said": np.asarray([len(one) // 4 for one in said])}
        models.append(TextPredictions(model, "test", np.arange(size), made, gold, said, "generation", **counted))
    return "text-generation", models, pa.table(columns), {"train": about(900), "test": about(size)}


def spoken(random: np.random.Generator, text: str, noise: float) -> str:
    """Words of ``text``, some of them dropped or said twice."""
    said: list[str] = []
    for word in text.split(" "):
        said += [] if random.random() < noise else [word, word] if random.random() < noise / 3 else [word]
    return " ".join(said)


def language_run(evil: bool) -> tuple[str, list[Predictions], pa.Table, dict[str, Any]]:
    """Pieces of 20 documents, four each, and their likelihoods."""
    random = generator(8, "language")
    size = 80
    texts = [
        f"{EVIL if evil else 'It was'} piece {letters(number)}. " + FILLER * (number % 3) for number in range(size)
    ]
    columns, made = shared(size, texts)
    documents = hashes([f"document {letters(number // 4)}" for number in range(size)])
    columns["group"] = [letters(number // 4) for number in range(size)]
    tokens = np.asarray([len(text) // 4 for text in texts])
    models: list[Predictions] = []
    for model, rate in (("unigram", 5.0), ("base", 3.0), ("full", 2.0)):
        nats = tokens * rate * random.uniform(0.6, 1.4, 20).repeat(4)
        models.append(
            TextPredictions(
                model, "test", np.arange(size), made, None, None, "language", nats, tokens,
                np.asarray([len(text.encode()) for text in texts]), tokens // 3, groups=documents,
            )
        )  # fmt: skip
    return "language-modeling", models, pa.table(columns), {"train": about(900), "test": about(size)}


MAKERS = {
    "spans": spans_run,
    "answers": answers_run,
    "similarity": lambda evil: values_run("similarity", evil),
    "regression": lambda evil: values_run("regression", evil),
    "ranks": ranks_run,
    "texts": texts_run,
    "language": language_run,
}
