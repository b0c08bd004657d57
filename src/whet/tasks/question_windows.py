"""Questions with their contexts as token ids: a long context in windows that overlap.

Question and context are tokenised apart and put into the frame that the tokenizer sets around a pair,
so that a context with several questions is tokenised once. Only the context is divided. A question
loses tokens beyond a half of the limit, on record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.frames import Frame
from whet.batches.spread import spread
from whet.batches.tokenising import blank, uncut_backend
from whet.data.question_tables import no_context
from whet.errors import Problem, UserError
from whet.tasks.task import Columns, Told

Ints = NDArray[np.int64]

_SPACES = np.asarray([point for point in range(0x3001) if chr(point).isspace()], dtype=np.uint32)


def encode(
    tokenizer: Any,
    blocks: Iterable[Columns],
    limit: int,
    stride: int,
    into: Path | None = None,
    progress: Told | None = None,
) -> Encoded:
    """Windows of ``text`` (question) and ``text_pair`` (context), every row one or several.

    ``places`` are characters of the context, without spaces at either end; -1 for every other token.
    ``second`` is where the tokenizer's token types change, or the context begins.

    :param limit: tokens of a window at most.
    :param stride: tokens that two windows of a row have in common; at most a half of what fits.
    :raises UserError: D060 rows without a context, D069 the limit leaves no room for one.
    """
    counted = Counted(limit)
    return gather(_pieces(tokenizer, blocks, limit, stride, counted, progress), counted, into)


@dataclass(frozen=True, slots=True)
class _Flat:
    """Tokens of some texts, one after the other: text i has ``ids[offsets[i]:offsets[i + 1]]``."""

    ids: NDArray[np.uint32]
    offsets: Ints

    @staticmethod
    def of(encodings: Sequence[Any]) -> _Flat:
        lengths = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        ids = np.fromiter((i for e in encodings for i in e.ids), np.uint32, int(lengths.sum()))
        return _Flat(ids, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))


def _pieces(
    tokenizer: Any, blocks: Iterable[Columns], limit: int, stride: int, counted: Counted, progress: Told | None
) -> Iterator[Piece]:
    backend = uncut_backend(tokenizer)
    frame = Frame.of(backend, blank(tokenizer))
    most = min(limit // 2, limit - frame.size - 1)
    if most < 1:
        what = f"{limit} tokens leave no room for a question and its context beside {frame.size} special tokens."
        raise UserError(Problem("D069", "data.max_length", what, "Raise it."))
    done = 0
    for block in blocks:
        if "text_pair" not in block:
            raise UserError(no_context("the rows", "have no context, and a question is asked of one."))
        questions = _questions(tokenizer, backend, block["text"], frame)
        distinct = {context: number for number, context in enumerate(dict.fromkeys(block["text_pair"]))}
        which = np.fromiter((distinct[context] for context in block["text_pair"]), np.int64, len(block["text_pair"]))
        encodings = backend.encode_batch(list(distinct), add_special_tokens=False)
        contexts, places = _Flat.of(encodings), _places(list(distinct), encodings)
        full = np.diff(questions.offsets)
        kept = np.minimum(full, most)
        counted.rows += int((full > kept).sum())
        counted.tokens_cut += int((full - kept).sum())
        counted.tokens_total += int(full.sum() + np.diff(contexts.offsets)[which].sum()) + frame.size * len(full)
        windows = _windows(contexts, which, limit - frame.size - kept, stride)
        yield _framed(frame, questions, kept, contexts, places, windows, done)
        done += len(full)
        if progress:
            progress(done)


def _questions(tokenizer: Any, backend: Any, texts: Sequence[str], frame: Frame) -> _Flat:
    encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    if not frame.size:  # the first token says "no answer": it must not be one of the context
        nothing = backend.encode(blank(tokenizer), add_special_tokens=False)
        encodings = [e if len(e) else nothing for e in encodings]
    return _Flat.of(encodings)


def _places(texts: Sequence[str], encodings: Sequence[Any]) -> NDArray[np.int32]:
    """(t, 2) characters of each token, spaces at its ends left out; empty where nothing else is in it."""
    flat = [place for e in encodings for place in e.offsets]
    places = np.asarray(flat, np.int64).reshape(len(flat), 2)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    base = np.repeat(np.cumsum(sizes) - sizes, [len(e) for e in encodings])
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    number = np.arange(len(points) + 1)
    seen = np.append(~np.isin(points, _SPACES), True)
    after = np.minimum.accumulate(np.where(seen, number, len(points))[::-1])[::-1]  # first other character from here on
    before = np.maximum.accumulate(np.where(seen, number, -1))  # last other character up to here
    starts, ends = places[:, 0] + base, places[:, 1] + base
    some = ends > starts
    firsts = np.where(some, np.minimum(after[starts], ends), starts)
    lasts = np.where(some, np.maximum(before[np.maximum(ends, 1) - 1] + 1, firsts), ends)
    return np.stack([firsts - base, lasts - base], 1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of contexts: (w,) the row of each, its first token among all, its number of tokens."""

    rows: Ints
    starts: Ints
    sizes: Ints


def _windows(contexts: _Flat, which: Ints, room: Ints, stride: int) -> _Windows:
    """Where contexts are divided: the last window of a row ends with its context.

    :param which: (n,) the context of each row; :param room: (n,) tokens that a window of it may have.
    """
    sizes = np.diff(contexts.offsets)[which]
    step = room - np.minimum(stride, room // 2)
    count = 1 + np.maximum(0, -((room - sizes) // step))
    rows = np.repeat(np.arange(len(which)), count)
    number = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
    begin = number * step[rows]
    return _Windows(rows, contexts.offsets[which][rows] + begin, np.minimum(room[rows], sizes[rows] - begin))


def _framed(
    frame: Frame,
    questions: _Flat,
    kept: Ints,
    contexts: _Flat,
    places: NDArray[np.int32],
    windows: _Windows,
    first_row: int,
) -> Piece:
    asked = kept[windows.rows]
    lengths = frame.size + asked + windows.sizes
    begins = np.cumsum(lengths) - lengths
    question = begins + len(frame.before)
    between = question + asked
    context = between + len(frame.between)
    ids = np.empty(int(lengths.sum()), np.uint32)
    for at, fixed in ((begins, frame.before), (between, frame.between), (context + windows.sizes, frame.after)):
        ids[at[:, None] + np.arange(len(fixed))] = fixed
    ids[spread(question, asked)] = questions.ids[spread(questions.offsets[:-1][windows.rows], asked)]
    into, out_of = spread(context, windows.sizes), spread(windows.starts, windows.sizes)
    ids[into] = contexts.ids[out_of]
    characters = np.full((len(ids), 2), -1, np.int32)
    characters[into] = places[out_of]
    second = (context - begins + frame.types_from).astype(np.int32)
    return Piece(ids, lengths, second, windows.rows + first_row, characters)
