"""Language modelling on plain text: every token from those before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import flat
from whet.batches.encoding import Counted, Encoded, Piece, gather, token_numbers
from whet.batches.flat import FlatBatch, Targets, for_prediction
from whet.batches.tokenising import uncut_backend
from whet.data.forms import Examples
from whet.data.predictions import TextPredictions, TextPurpose
from whet.data.saying import say_texts
from whet.engine.protocols import Objective
from whet.errors import Problem, UserError
from whet.models import sequences
from whet.models.heads import Head, HeadKind
from whet.models.networks import Guess, guesses
from whet.models.pooling import Pooling
from whet.models.task_model import TaskModel
from whet.tasks.language_loss import (
    Choose,
    LanguageLoss,
    drawn_fixed,
    next_tokens,
    permuted_tokens,
    quick_numbers,
    read_nats,
    rows_of,
    sums_by_row,
)
from whet.tasks.span_corruption import DRAWN, Spans, refuse_without, sentinels_of
from whet.tasks.task import BATCH_TOKENS, Columns, Task, Told

BEGINS, ENDS, SENTINELS, LONGEST = "begins", "ends", "sentinels", "longest_target"
"""In ``setting.settled``: ids that targets of an encoder-decoder begin and end with, ids that stand for spans, and
how many tokens its decoder reads at most."""
KNOWN = ("mask_id", "vocabulary", BEGINS, ENDS, SENTINELS, LONGEST)
"""What tasks of language models know of the base, in ``setting.settled``."""
STRIDE = 0
"""Tokens of the window before that a window of a long document sees again, without counting them."""


class LanguageTask(Task):
    """What masked and causal language modelling share."""

    score = "likelihood"
    purpose: ClassVar[TextPurpose] = "language"
    guesses: ClassVar[tuple[Guess, ...]] = ("next",)
    """Kinds of language models that it trains."""

    @property
    def head_kind(self) -> HeadKind:
        """The vocabulary."""
        return "language"

    def head(self, pooling: Pooling | None) -> Head:
        """The vocabulary."""
        return Head("language")

    @property
    def carried(self) -> dict[str, Any]:
        """What is known of the base."""
        return {name: self.setting.settled[name] for name in KNOWN if name in self.setting.settled}

    @property
    def turns_rows(self) -> bool:
        """Whether what a model sees are other sequences than those that rows were encoded as."""
        return False

    @property
    def choose(self) -> Choose:
        """Which tokens count where nothing is trained; the same at every look."""
        return next_tokens

    def objective(self) -> Objective[Any]:
        """Cross-entropy."""
        return LanguageLoss(next_tokens, self.label_smoothing)

    @property
    def label_smoothing(self) -> float:
        """Share of a target that is spread over all words; it is none of what a look measures."""
        found = self.setting.options.get("training.label_smoothing", 0.0)
        return 0.0 if found == "auto" else float(found)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """None beside the tokens themselves."""
        return Targets(torch.zeros(len(encoded), 0))

    def read(self, model: TaskModel, batch: FlatBatch) -> Tensor:
        """(T, 3): see :func:`whet.tasks.language_loss.read_nats`."""
        if model.guesses == "permuted":
            seed = int(self.setting.options.get("seed", 0))
            return read_nats(model, batch, lambda some: permuted_tokens(some, drawn_fixed(some, seed, "order")[0]))
        return read_nats(model, batch, self.choose)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Nats per token, and the share of tokens that were the likeliest."""
        return quick_numbers(outputs)

    def asked(self, encoded: Encoded, num_rows: int) -> list[NDArray[np.int64]]:
        """Of each row the ids of the tokens that count at every look, in their order."""
        ids = np.full(encoded.num_tokens, -1, np.int64)
        for batch in for_prediction(encoded, BATCH_TOKENS):
            wanted, numbers = self.choose(batch), token_numbers(encoded.offsets, batch.sequences)
            ids[numbers[wanted.said.numpy()]] = wanted.ids.numpy()
        rows = np.repeat(rows_of(encoded), np.diff(encoded.offsets))[ids >= 0]
        return np.split(ids[ids >= 0], np.searchsorted(rows, np.arange(1, num_rows)))

    def shown(self, encoded: Encoded) -> tuple[Encoded, NDArray[np.int64]]:
        """The tokens as a model sees them at every look; (N,) what its vector at each is to tell of, -1 for nothing."""
        ids, wanted_ids = np.asarray(encoded.ids).copy(), np.full(encoded.num_tokens, -1, np.int64)
        for batch in for_prediction(encoded, BATCH_TOKENS):
            wanted, numbers = self.choose(batch), token_numbers(encoded.offsets, batch.sequences)
            ids[numbers] = wanted.batch.input_ids[0].numpy()
            wanted_ids[numbers[wanted.read.numpy()]] = wanted.ids.numpy()
        return replace(encoded, ids=ids), wanted_ids

    def num_bytes(self, examples: Examples) -> NDArray[np.int64] | None:
        """(n,) UTF-8 bytes that the counted tokens of each row stand for; None where that has no meaning."""
        sizes = [len(text.encode()) for block in examples.column_blocks(["text"]) for text in block["text"]]
        return np.asarray(sizes, np.int64)

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> TextPredictions:
        """What the true text cost, row by row; nothing is generated."""
        count, nats, right = sums_by_row(outputs, encoded, len(examples)).T
        return say_texts(
            model,
            examples,
            self.purpose,
            None,
            nats=nats,
            tokens=count.astype(np.int64),
            num_right=right.astype(np.int64),
            num_bytes=self.num_bytes(examples),
        )


class LanguageModeling(LanguageTask):
    """Documents, each token from those before it; a long one in windows."""

    name = "language-modeling"
    guesses = ("next", "permuted", "target")

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A window a sequence: a token that starts a text, the text, and the one that ends it where it ends."""
        stride = self.setting.options.get("data.stride", STRIDE)
        stride = min(stride if isinstance(stride, int) else STRIDE, limit // 2)
        counted = Counted(limit)
        if self._spans is not None:
            refuse_without(self._spans.sentinels)
            if not tokenizer.is_fast:
                what = "its tokenizer is a slow one, whose windows are not read."
                raise UserError(Problem("M006", "the base", what, "Use a base with a tokenizer.json."))
        framed = _framed(tokenizer) if self._spans is None else _Frame([], [])
        # what stands for spans, and what ends both halves, must fit behind the window
        room = limit if self._spans is None else limit - len(self._spans.ends) - 1
        return gather(_pieces(tokenizer, blocks, room, stride, framed, counted, progress), counted, into)

    @property
    def turns_rows(self) -> bool:
        """Whether windows become sources and targets."""
        return self._spans is not None

    @property
    def _spans(self) -> Spans | None:
        """How an encoder-decoder's windows are corrupted; None for others, which say every token."""
        known = self.setting.settled
        return None if BEGINS not in known else Spans(known[SENTINELS], known[BEGINS], known[ENDS])

    def objective(self) -> Objective[Any]:
        """Cross-entropy: of every token, or of spans that are drawn anew each time."""
        spans = self._spans
        if spans is None:
            return super().objective()
        return LanguageLoss(
            lambda batch: spans.corrupt(batch, torch.rand(DRAWN, batch.num_tokens), True), self.label_smoothing
        )

    @property
    def choose(self) -> Choose:
        """Every token, or the same spans at every look."""
        spans, seed = self._spans, int(self.setting.options.get("seed", 0))
        if spans is None:
            return next_tokens
        return lambda batch: spans.corrupt(batch, drawn_fixed(batch, seed, "spans", DRAWN), False)

    def shown(self, encoded: Encoded) -> tuple[Encoded, NDArray[np.int64]]:
        """Of an encoder-decoder the sources and targets that windows become."""
        if self._spans is None:
            return super().shown(encoded)
        wanted = self.choose(flat.make(encoded, np.arange(len(encoded)), None))
        ids = np.full(wanted.batch.num_tokens, -1, np.int64)
        ids[wanted.read.numpy()] = wanted.ids.numpy()
        return wanted.batch.encoded, ids

    def num_bytes(self, examples: Examples) -> NDArray[np.int64] | None:
        """(n,) bytes of the rows; None where spans of them are said alone."""
        return super().num_bytes(examples) if self._spans is None else None


def known_of(tokenizer: Any, config: Any, target_language: str | None = None) -> dict[str, Any]:
    """What tasks of language models must know of a base, for ``setting.settled``.

    :param config: of transformers; :param target_language: code of the language that is written, where there are any.
    """
    known = {"mask_id": int(tokenizer.mask_token_id or 0), "vocabulary": len(tokenizer)}
    if guesses(config) != "target":
        return known
    begins = sequences.prefix(tokenizer, config, target_language)
    longest = sequences.max_target(config)
    return {
        **known,
        BEGINS: list(begins),
        ENDS: list(sequences.suffix(tokenizer)),
        SENTINELS: sentinels_of(tokenizer),
        **({} if longest is None else {LONGEST: longest}),
    }


@dataclass(frozen=True, slots=True)
class _Frame:
    """What stands before a document, and is only read; and behind it."""

    before: list[int]
    behind: list[int]


def _framed(tokenizer: Any) -> _Frame:
    start = next((one for one in (tokenizer.bos_token_id, tokenizer.eos_token_id) if one is not None), None)
    end = tokenizer.eos_token_id
    return _Frame([] if start is None else [start], [] if end is None else [end])


def _pieces(
    tokenizer: Any,
    blocks: Iterable[Columns],
    limit: int,
    stride: int,
    frame: _Frame,
    counted: Counted,
    progress: Told | None,
) -> Iterator[Piece]:
    backend = uncut_backend(tokenizer)
    start = frame.before[0] if frame.before else None
    nothing = [int(tokenizer.eos_token_id or 0)]  # stands for a text without any token
    done = 0
    for block in blocks:
        windows: list[tuple[int, list[int], list[float]]] = []
        encodings = backend.encode_batch_fast(list(block["text"]), add_special_tokens=False)
        for number, encoding in enumerate(encodings):
            ids = [*encoding.ids, *frame.behind] or nothing
            counted.tokens_total += len(ids)
            windows += [(done + number, *window) for window in windows_of(ids, start, limit, stride)]
        done += len(encodings)
        yield Piece(
            np.asarray([one for _, ids, _ in windows for one in ids], np.uint32),
            np.asarray([len(ids) for _, ids, _ in windows], np.int64),
            rows=np.asarray([row for row, _, _ in windows], np.int64),
            weights=np.asarray([one for _, _, weights in windows for one in weights], np.float32),
        )
        if progress:
            progress(done)


def windows_of(ids: list[int], start: int | None, limit: int, stride: int) -> Iterator[tuple[list[int], list[float]]]:
    """(ids, weights) of each window of a document: every token counts in one window exactly, if anything tells of it.

    The first window begins with ``start``, which is only read; each further one with ``stride`` tokens of the
    one before, or with one where there is no stride, so that its own first token is told by something.
    """
    first = [] if start is None else [start]
    position, before = 0, first
    while position < len(ids) or position == 0:
        room = limit - len(before)
        own = ids[position : position + room]
        yield [*before, *own], [0.0] * len(before) + [1.0] * len(own)
        position += max(1, len(own))
        before = ids[max(0, position - max(1, stride)) : position]
