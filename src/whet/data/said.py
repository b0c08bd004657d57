"""What a model says of a row, and what is true of it, in words that fit into a cell of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.data.ragged import Lists, Spans

if TYPE_CHECKING:
    from whet.data.predictions import (
        AnswerPredictions,
        ClassPredictions,
        Predictions,
        RankPredictions,
        SpanPredictions,
        TextPredictions,
    )
    from whet.data.preference_predictions import PreferencePredictions

NOTHING = "(none)"
PASSAGES_SHOWN = 3


def said(predictions: Predictions, row: int, text: str = "", passages: Mapping[int, str] | None = None) -> str:
    """The decision of a row in words; "" for kinds that are not known here.

    :param row: its position in ``predictions``.
    :param text: the row's first text, out of which spans are read.
    :param passages: the texts of passages by their keys.
    """
    way = _SAID.get(predictions.kind)
    return "" if way is None else way(predictions, row, text, passages or {})


def true(predictions: Predictions, row: int, text: str = "", passages: Mapping[int, str] | None = None) -> str:
    """What is true of a row, in the same words."""
    way = _TRUE.get(predictions.kind)
    return "" if way is None or not predictions.has_gold else way(predictions, row, text, passages or {})


Passages = Mapping[int, str]


def _labels(found: ClassPredictions, row: int, decided: Any) -> str:
    if not found.multi_label:
        return found.labels[int(decided[row])]
    return ", ".join(found.labels[place] for place in np.flatnonzero(decided[row])) or NOTHING


def _spans(found: SpanPredictions, spans: Spans, row: int, text: str) -> str:
    named = [(text[start:end] or f"{start}-{end}", found.labels[kind]) for start, end, kind in spans.row(row)]
    return ", ".join(f"{words!r} {label}" for words, label in named) or NOTHING


def _foremost(found: RankPredictions, row: int, passages: Passages) -> str:
    """The passage that stands first."""
    return next((_passage(key, passages) for key, _ in found.said.row(row)), NOTHING)


def _relevant(judged: Lists, row: int, passages: Passages) -> str:
    keys = [key for key, value in judged.row(row) if value > 0][:PASSAGES_SHOWN]
    return " | ".join(_passage(key, passages) for key in keys) or NOTHING


def _passage(key: int, passages: Passages) -> str:
    return passages.get(key, f"passage {key:016x}")


def _written(found: TextPredictions, row: int) -> str:
    parts = [] if found.said is None else [found.said[row]]
    if found.chosen is not None and found.chosen[row] not in parts:
        parts.append(f"(chosen: {found.chosen[row]})")
    if found.said is None and found.nats is not None and found.tokens is not None and found.tokens[row]:
        parts.append(f"{found.nats[row] / found.tokens[row]:.3f} nats a token")
    return " ".join(parts)


def _answer(text: str) -> str:
    return text or NOTHING


def _accepted(found: AnswerPredictions | TextPredictions, row: int) -> str:
    return "" if found.gold is None else " | ".join(dict.fromkeys(found.gold[row])) or NOTHING


def _preferred(found: PreferencePredictions, row: int) -> str:
    """Which answer has the larger reward, and the rewards; of a thumb the sign."""
    rewards = ", ".join(f"{float(one):.3g}" for one in found.rewards[row])
    if not found.paired:
        return f"{'liked' if found.rewards[row, 0] > 0 else 'disliked'} ({rewards})"
    apart = float(found.rewards[row, 0] - found.rewards[row, 1])
    return f"{'the first' if apart > 0 else 'the second' if apart < 0 else 'neither'} ({rewards})"


def _better(found: PreferencePredictions, row: int) -> str:
    assert found.gold is not None
    names = ("the first", "the second") if found.paired else ("liked", "disliked")
    return names[0] if found.gold[row] else names[1]


def _number(values: Any, row: int) -> str:
    return f"{float(values[row]):.4g}"


_SAID: dict[str, Callable[[Any, int, str, Passages], str]] = {
    "classes": lambda found, row, *_: _labels(found, row, found.predicted),
    "spans": lambda found, row, text, _: _spans(found, found.said, row, text),
    "answers": lambda found, row, *_: _answer(found.said[row]),
    "values": lambda found, row, *_: _number(found.said, row),
    "ranks": lambda found, row, _, passages: _foremost(found, row, passages),
    "texts": lambda found, row, *_: _written(found, row),
    "preferences": lambda found, row, *_: _preferred(found, row),
}
_TRUE: dict[str, Callable[[Any, int, str, Passages], str]] = {
    "classes": lambda found, row, *_: _labels(found, row, found.gold),
    "spans": lambda found, row, text, _: _spans(found, found.gold, row, text),
    "answers": lambda found, row, *_: _accepted(found, row),
    "values": lambda found, row, *_: _number(found.gold, row),
    "ranks": lambda found, row, _, passages: _relevant(found.gold, row, passages),
    "texts": lambda found, row, *_: _accepted(found, row),
    "preferences": lambda found, row, *_: _better(found, row),
}


def keys_of(predictions: RankPredictions, row: int) -> set[int]:
    """The passages that the words of a row are made of."""
    gold = [] if predictions.gold is None else [key for key, value in predictions.gold.row(row) if value > 0]
    return {key for key, _ in predictions.said.row(row)[:1]} | set(gold[:PASSAGES_SHOWN])
