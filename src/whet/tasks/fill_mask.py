"""Masked language modelling on plain text: hidden words from all others, to bring a base into its domain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Counted, Encoded, Piece, gather, token_numbers
from whet.batches.flat import FlatBatch
from whet.batches.tokenising import uncut_backend
from whet.data.forms import Examples
from whet.engine.protocols import Objective
from whet.errors import Problem, UserError
from whet.tasks.language_loss import Choose, LanguageLoss, Wanted, drawn_fixed, hidden
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.task import Columns, Setting, Told

SHARE = 0.15
"""Of the words that are hidden, unless the recipe says otherwise."""
KEPT, RANDOM = 0.1, 0.1
"""Of the hidden words: shown as they are, and replaced by any other token (arXiv 1810.04805)."""


class FillMask(LanguageTask):
    """Documents, some words of which are hidden: others each time in training, the same at every look."""

    name = "fill-mask"
    guesses = ("masked",)

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._mask_id = int(setting.settled.get("mask_id", 0))
        self._vocabulary = int(setting.settled.get("vocabulary", 1))

    @property
    def share(self) -> float:
        """Of words that are hidden."""
        return float(self.setting.options.get("masking.share", SHARE))

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A window a sequence, in the tokenizer's frame; ``words`` says which tokens belong together.

        :raises UserError: M014, the tokenizer has no token for what is hidden.
        """
        if tokenizer.mask_token_id is None:
            what = "its tokenizer has no mask token, so nothing can be hidden."
            raise UserError(Problem("M014", "base", what, "Use language-modeling for a decoder."))
        counted = Counted(limit)
        return gather(self._pieces(tokenizer, blocks, limit, counted, progress), counted, into)

    def _pieces(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, counted: Counted, progress: Told | None
    ) -> Iterator[Piece]:
        backend = uncut_backend(tokenizer)
        frame = backend.encode("").ids
        before, after = frame[: (len(frame) + 1) // 2], frame[(len(frame) + 1) // 2 :]
        room, done = limit - len(frame), 0
        for block in blocks:
            ids: list[NDArray[np.uint32]] = []
            words: list[NDArray[np.int32]] = []
            rows, lengths = [], []
            for number, encoding in enumerate(backend.encode_batch(list(block["text"]), add_special_tokens=False)):
                own, of_word = np.asarray(encoding.ids, np.uint32), whole_words(encoding)
                counted.tokens_total += len(own)
                for first in range(0, max(1, len(own)), room):
                    part = slice(first, first + room)
                    ids.append(np.concatenate([before, own[part], after]).astype(np.uint32))
                    outside = np.full(len(frame), -1, np.int32)
                    words.append(np.concatenate([outside[: len(before)], of_word[part], outside[len(before) :]]))
                    rows.append(done + number)
                    lengths.append(len(ids[-1]))
            done += len(block["text"])
            weights = (np.concatenate(words) >= 0).astype(np.float32)
            yield Piece(
                np.concatenate(ids),
                np.asarray(lengths, np.int64),
                rows=np.asarray(rows, np.int64),
                weights=weights,
                words=np.concatenate(words),
            )
            if progress:
                progress(done)

    def num_bytes(self, examples: Examples) -> None:
        """Hidden words stand in the midst of others: there is no text that they make up."""
        return

    def objective(self) -> Objective[Any]:
        """Cross-entropy of hidden tokens, of which others are chosen each time."""
        return LanguageLoss(self._anew, self.label_smoothing)

    @property
    def choose(self) -> Choose:
        """The same words at every look."""
        return self._fixed

    def _anew(self, batch: FlatBatch) -> Wanted:
        return self._hide(batch, torch.rand(3, batch.num_tokens))

    def _fixed(self, batch: FlatBatch) -> Wanted:
        """By numbers that are drawn for each sequence by itself, whatever batch it is in."""
        seed = int(self.setting.options.get("seed", 0))
        return self._hide(batch, drawn_fixed(batch, seed, "hidden words", 3))

    def _hide(self, batch: FlatBatch, drawn: Tensor) -> Wanted:
        """Hide the words whose first token drew less than the share.

        :param drawn: (3, T) numbers of 0 to 1: whether to hide, how, and by which token.
        """
        where = self._hidden_places(batch, drawn[0])
        ids = batch.input_ids[0].clone()
        true = ids[where]
        how = drawn[1][where]
        mask = how >= KEPT + RANDOM
        other = (how >= KEPT) & ~mask
        ids[where[mask]] = self._mask_id
        ids[where[other]] = (drawn[2][where[other]] * self._vocabulary).long().clamp(max=self._vocabulary - 1)
        weights = torch.ones(len(where))
        return Wanted(hidden(batch, ids[None]), where, where, true, weights)

    def _hidden_places(self, batch: FlatBatch, drawn: Tensor) -> Tensor:
        """(k,) places of all tokens of the chosen words; in every sequence with words one at least."""
        words = batch.encoded.words
        assert words is not None
        of_word = torch.from_numpy(np.asarray(words[token_numbers(batch.encoded.offsets, batch.sequences)]))
        sequence = torch.repeat_interleave(torch.arange(batch.where.num_sequences), batch.where.lengths)
        real = of_word >= 0
        begins = real & torch.ones_like(real)
        begins[1:] &= (of_word[1:] != of_word[:-1]) | (sequence[1:] != sequence[:-1])
        luck = torch.where(begins, drawn, torch.ones_like(drawn))
        least = torch.full((batch.where.num_sequences,), 1.0).scatter_reduce(0, sequence, luck, "amin")
        chosen = begins & ((luck < self.share) | (luck == least[sequence]))
        number = begins.long().cumsum(0) - 1  # of the word among all of the batch
        return (real & chosen[begins][number.clamp(min=0)]).nonzero()[:, 0]


def whole_words(encoding: Any) -> NDArray[np.int32]:
    """(t,) the word that each token of a text belongs to: tokens that touch, without a blank between them.

    By places rather than by the tokenizer's own words, of which some have a word for every token.
    """
    places = encoding.offsets
    found, word = np.zeros(len(places), np.int32), 0
    for number in range(1, len(places)):
        touches = places[number][0] == places[number - 1][1] and not _opens(encoding.tokens[number])
        word += not touches
        found[number] = word
    return found


def _opens(token: str) -> bool:
    """Whether a token begins with a blank, as byte-level and sentence-piece tokenizers write it."""
    return token.startswith(("\u0120", "\u2581", " "))
