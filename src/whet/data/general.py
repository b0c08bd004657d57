"""General text and labelled sets that come along, by which is measured what a base knew before and after training.

Written for this purpose: ``prose.txt`` holds paragraphs on all sorts of things, most of them in English; the
labelled sets are made of word lists (``benchmarks/general_sets.py``) and ask what a sentence is about (``topics``),
what it asks for (``questions``), and whether one does something or several (``subjects``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from whet.seeds import generator

FOLDER = "general_texts"
PROBES = ("topics", "questions", "subjects")
"""The labelled sets that come along."""
PROSE = "prose"
"""The general text that comes along."""


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """A labelled set: n texts and the label of each."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The C labels that occur, in order."""
        return tuple(sorted(set(self.labels)))

    def to_json(self) -> dict[str, Any]:
        """A JSON object; :meth:`from_json` is its inverse."""
        return {"name": self.name, "texts": list(self.texts), "labels": list(self.labels)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> LabelledTexts:
        """Read what :meth:`to_json` wrote."""
        return LabelledTexts(value["name"], tuple(value["texts"]), tuple(value["labels"]))


def labelled_sets() -> list[LabelledTexts]:
    """The labelled sets that come along."""
    found = []
    for name in PROBES:
        rows = [json.loads(line) for line in _read(f"{name}.jsonl").splitlines()]
        found.append(LabelledTexts(name, tuple(row["text"] for row in rows), tuple(row["label"] for row in rows)))
    return found


def prose() -> list[str]:
    """The paragraphs that come along."""
    return paragraphs(_read(f"{PROSE}.txt"))


def paragraphs(text: str) -> list[str]:
    """What stands between blank lines, each on one line."""
    blocks = text.replace("\r\n", "\n").split("\n\n")
    return [" ".join(block.split()) for block in blocks if block.strip()]


def some(count: int, most: int, seed: int, name: str) -> list[int]:
    """At most ``most`` of the numbers below ``count``, in order; which, depends on ``seed`` and ``name`` alone."""
    if count <= most:
        return list(range(count))
    return sorted(int(one) for one in generator(seed, "general rows", name).choice(count, most, replace=False))


def halves(texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """Texts to look at, and texts to train on: what was trained on tells nothing of what was forgotten."""
    return list(texts[::2]), list(texts[1::2])


def digest(texts: Sequence[str]) -> str:
    """A hash of texts in their order, for the record."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _read(name: str) -> str:
    return (resources.files("whet.data") / FOLDER / name).read_text(encoding="utf-8")
