"""Rows with other rows shown before them, as demonstrations: how an untouched language model is prompted.

What counts of a row are the tokens that count without demonstrations, so that both can be compared token by token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.templates import COMPLETED
from whet.data.forms import Examples
from whet.tasks.text_generation import TextGeneration, fitted

BETWEEN = "\n\n"
"""Stands between rows that are texts going on."""
Talk = list[dict[str, Any]]


def primed(
    task: TextGeneration,
    tokenizer: Any,
    examples: Examples,
    train: Examples,
    shown: Sequence[Sequence[int]],
    plain: Encoded,
    limit: int,
) -> tuple[Encoded, NDArray[np.int64]]:
    """``examples`` with training rows before each, as far as there is room, and how many each was left with, (n,).

    :param shown: of each row the numbers of the training rows before it; where there is no room the first go.
    :param plain: the same rows without any, as ``task`` encodes them; its counted tokens are what counts.
    :param limit: tokens of the whole, what is to be said included.
    """
    rows = task.talks(tokenizer, examples)
    numbers = sorted({one for some in shown for one in some})
    demonstration = dict(zip(numbers, task.talks(tokenizer, train.take(numbers)), strict=True))
    left = np.asarray([len(some) for some in shown], np.int64)
    room = limit - min(task.sampling.max_tokens, limit // 2)
    found: list[chat.Rendered | None] = [None] * len(rows)
    waiting = list(range(len(rows)))
    while waiting:
        told = []
        for row in waiting:
            before = [demonstration[one][0] for one in list(shown[row])[len(shown[row]) - left[row] :]]
            told.append((_together(before, rows[row][0]), rows[row][1]))
        rendered = chat.render_rows(tokenizer, told, template=task.template(tokenizer), train=task.trained_turns)
        again = []
        for row, one in zip(waiting, rendered, strict=True):
            fits = one.prompt_length <= room and len(one.ids) <= limit
            found[row] = one
            if not fits and left[row]:
                left[row] -= 1
                again.append(row)
        waiting = again
    counted = Counted(limit)
    pieces = [_piece(row, plain, number, limit, task, counted) for number, row in enumerate(found) if row is not None]
    return gather(pieces, counted, None), left


def _piece(
    row: chat.Rendered, plain: Encoded, number: int, limit: int, task: TextGeneration, counted: Counted
) -> Piece:
    kept = fitted(row, limit, task.cuts)
    own = np.asarray(plain.weights)[plain.offsets[number] : plain.offsets[number + 1]]
    counts = own[own != 0]
    weights = np.zeros(len(kept.ids), np.float32)
    last = np.flatnonzero(kept.weights)[-len(counts) :] if len(counts) else np.zeros(0, np.int64)
    weights[last] = counts[-len(last) :] if len(last) else counts
    counted.tokens_total += len(kept.ids) + kept.num_cut
    return Piece(
        kept.ids.astype(np.uint32),
        np.asarray([len(kept.ids)], np.int64),
        second=np.asarray([kept.prompt_length], np.int32),
        weights=weights,
    )


def _together(before: Sequence[Sequence[Mapping[str, Any]]], talk: Sequence[Mapping[str, Any]]) -> Talk:
    """One conversation: its own system message, the demonstrations without theirs, and the rest."""
    if any(one["role"] in COMPLETED for one in talk):
        shown = BETWEEN.join("".join(str(one["content"]) for one in other) for other in before)
        asked, *rest = ({**one} for one in talk)
        asked["content"] = f"{shown}{BETWEEN}{asked['content']}" if shown else asked["content"]
        return [asked, *rest]
    first = [one for one in talk[:1] if one["role"] in SYSTEM]
    shown_turns = [one for other in before for one in other if one["role"] not in SYSTEM]
    return [dict(one) for one in (*first, *shown_turns, *talk[len(first) :])]


SYSTEM = ("system", "developer")
