"""Rows as examples in findings: with their place, shortened, and with everything private masked."""

from __future__ import annotations

from typing import Any

from whet.data.forms import Examples
from whet.data.privacy import masked

LONGEST = 160
"""Characters of an example's text."""


def rows_in_words(count: int) -> str:
    """``"1 row"``, ``"2,000 rows"``."""
    return "1 row" if count == 1 else f"{count:,} rows"


def shown_text(text: str) -> str:
    """A text as it may be shown: masked first, then cut, so that no half of a secret is left."""
    # Masking looks a good deal further than what is shown, but not through a whole book.
    clean = masked(text[: 20 * LONGEST])
    return clean if len(clean) <= LONGEST else clean[: LONGEST - 3] + "..."


def shown_row(examples: Examples, row: int) -> dict[str, Any]:
    """``{"split", "line", "place", "text", "text_pair"?, "label"}`` of one row."""
    place = examples.place(row)
    value: dict[str, Any] = {
        "split": examples.split,
        "line": int(place.rpartition(":")[2]),
        "place": place,
        "text": shown_text(examples.texts([row])[0]),
    }
    pairs = examples.pairs([row])
    if pairs is not None:
        value["text_pair"] = shown_text(pairs[0])
    if examples.shape.labelled:
        value["label"] = examples.rows([row], "label")[0]
    return value
