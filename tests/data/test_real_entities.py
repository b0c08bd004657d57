"""Real sets of entities against what is known of them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.data.made import real
from whet.data.entities import Entities
from whet.data.entity_arrays import Words, entities, surfaces, tag_names, word_tags
from whet.data.other_reading import read_for_evaluation
from whet.data.reading import read

KNOWN = {
    "wnut17_ner": ({"train": 3394, "validation": 1009, "test": 1287}, 3890),
    "ncbi_disease_ner": ({"train": 5424, "validation": 923, "test": 940}, 6881),
    "snips_slots_ner": ({"train": 13084, "validation": 700, "test": 700}, 37542),
    "btc_ner": ({"train": 5338, "validation": 1998, "test": 1999}, 14882),
}
"""Rows of each split, and entities of all."""


@pytest.mark.parametrize("name", KNOWN)
def test_rows_and_entities_are_as_published(tmp_path: Path, name: str) -> None:
    folder = real(name)
    found = read(folder, into=tmp_path / "out", form=Entities())
    rows, total = KNOWN[name]
    assert {split: len(examples) for split, examples in found.splits.items()} == rows
    counts: dict[str, int] = {}
    for examples in found.splits.values():
        for row in surfaces(examples):
            for _, label in row:
                counts[label] = counts.get(label, 0) + 1
    assert counts == json.loads((folder / "card.json").read_text())["entity_counts"]
    assert sum(counts.values()) == total
    assert sorted(counts) == list(found.labels)
    assert all(not entry.changed and not entry.dropped for entry in found.ledger.values())


@pytest.mark.parametrize("name", ["wnut17_ner", "btc_ner"])
def test_words_and_tags_come_back(tmp_path: Path, name: str) -> None:
    path = real(name) / "test.jsonl.gz"
    labels = tuple(json.loads((path.parent / "card.json").read_text())["entity_counts"])
    examples = read_for_evaluation(path, into=tmp_path / "out", form=Entities(), labels=labels).examples
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    words, spans = Words.of(examples), entities(examples, labels)
    assert spans is not None
    text = examples.column("text")
    assert [text[row][a:b] for row, a, b in zip(words.rows, words.starts, words.ends, strict=True)] == [
        word for row in rows for word in row["tokens"]
    ]
    names = tag_names(labels)
    assert [names[tag] for tag in word_tags(words, spans)] == [tag for row in rows for tag in row["tags"]]
