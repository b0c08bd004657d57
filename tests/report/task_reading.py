"""What a made run says, read back, to be compared with its page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from .reading import Element


def scores_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "scores.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def shown_model(folder: Path) -> str:
    return str(json.loads((folder / "verdict.json").read_text(encoding="utf-8"))["ship"])


def texts_of(folder: Path, column: str) -> list[str]:
    with pa.memory_map(str(folder / "data" / "test.arrow")) as source:
        return pa.ipc.open_file(source).read_all()[column].to_pylist()  # type: ignore[no-any-return]


def flat(text: str) -> str:
    return " ".join(text.split())


def words_without_tags(quote: Element) -> list[str]:
    """The words of a marked text, without the tags put behind the marks."""
    tags = [tag.text for tag in quote.all("small", class_="tag")]
    found = []
    for word in quote.words:
        if tags and flat(word) == tags[0]:
            tags.pop(0)
        else:
            found.append(word)
    assert not tags
    return found
