"""Rows that changed between two runs, with their texts and what each run says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from whet.data.forms import Examples
from whet.data.normal import raw_hashes
from whet.data.said import keys_of, said, true
from whet.evaluation.changed import Changed

if TYPE_CHECKING:
    from whet.data.predictions import Predictions, RankPredictions

Row = dict[str, Any]


def told(found: Sequence[Changed], new: Predictions, old: Predictions, rows: Examples | None) -> list[Row]:
    """One object a row: where it stands, how it changed, its texts, the truth, and what both runs say.

    Without ``rows`` the texts are left out.

    :param found: as :func:`whet.evaluation.changed.changed` of the same predictions.
    """
    ids = [int(new.ids[one.row]) for one in found]
    texts: list[Any] = [""] * len(found) if rows is None else [str(text) for text in rows.texts(ids)]
    pairs = None if rows is None or new.kind == "ranks" else rows.pairs(ids)
    lines = [None] * len(found) if rows is None else [rows.place(one) for one in ids]
    passages = _passages(found, new, old, rows)
    made = []
    for place, one in enumerate(found):
        row: Row = {"id": ids[place], "place": lines[place], "change": one.change, "gain": round(one.gain, 6)}
        row |= {} if rows is None else {"text": texts[place]}
        row |= {} if pairs is None else {"text_pair": pairs[place]}
        words = (one.row, texts[place], passages)
        made.append(row | {"truth": true(new, *words), "was": said(old, *words), "is": said(new, *words)})
    return made


def _passages(found: Iterable[Changed], new: Predictions, old: Predictions, rows: Examples | None) -> dict[int, str]:
    """``{key: text}`` of the passages that are shown; of other kinds none."""
    if new.kind != "ranks" or rows is None or not rows.has_pairs:
        return {}
    both = [cast("RankPredictions", one) for one in (new, old)]
    missing = {key for one in found for run in both for key in keys_of(run, one.row)}
    known: dict[int, str] = {}
    for block in rows.blocks():
        texts = [text for text in block["text_pair"].to_pylist() if text is not None]
        keys = raw_hashes(texts).tolist()
        known |= {key: text for key, text in zip(keys, texts, strict=True) if key in missing}
    return known
