"""Small data sets for tasks of language models: sources with targets, prompts with completions, plain texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.made_models import WORDS
from whet.seeds import generator

SIZES = {"train": 40, "validation": 8, "test": 12}


def _texts(name: str, count: int, words: int) -> list[str]:
    return [" ".join(str(word) for word in generator(0, name, row).choice(WORDS, words)) for row in range(count)]


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def parallel(folder: Path) -> Path:
    """A folder with two files for each split, the words of one being those of the other in reverse."""
    place = folder / "parallel"
    place.mkdir()
    for split, count in SIZES.items():
        sources = _texts(f"parallel {split}", count, 6)
        turned = [" ".join(reversed(text.split())) for text in sources]
        for language, texts in (("en", sources), ("de", turned)):
            (place / f"{split}.{language}").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return place


def translations(folder: Path, count: int = 60) -> Path:
    """A sentence in two languages a row."""
    pairs = zip(_texts("english", count, 6), _texts("german", count, 6), strict=True)
    return _write(folder / "translations.jsonl", ({"translation": {"en": en, "de": de}} for en, de in pairs))


def summaries(folder: Path, source: str, count: int = 60) -> Path:
    """Long texts in the column ``source``, each with a short one."""
    rows = ({source: text, "summary": " ".join(text.split()[:4])} for text in _texts("summaries", count, 20))
    return _write(folder / "summaries.jsonl", rows)


def orders(folder: Path, count: int = 60) -> Path:
    """Prompts, each with a completion in JSON."""
    found = []
    for number, text in enumerate(_texts("orders", count, 4)):
        answer = json.dumps({"item": text.split()[0], "count": number % 5 + 1})
        found.append({"prompt": f"{text}\n", "completion": answer})
    return _write(folder / "orders.jsonl", found)


def documents(folder: Path, count: int = 60) -> Path:
    """A folder of text files."""
    place = folder / "documents"
    place.mkdir()
    for number, text in enumerate(_texts("documents", count, 30)):
        (place / f"{number}.txt").write_text(text, encoding="utf-8")
    return place


def texts(folder: Path, column: str, count: int = 60, **more: str) -> Path:
    """Texts in a column; ``more`` columns with the same value in all rows."""
    return _write(folder / "texts.jsonl", ({column: text, **more} for text in _texts("texts", count, 12)))
