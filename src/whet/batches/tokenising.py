"""Texts to token ids with the special tokens of a tokenizer, cut to a limit: many at once where its rules allow it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.spread import spread
from whet.batches.words_at_once import Sequences, WordsAtOnce

PROVING = 8
"""Texts of a block that are read in both ways."""
FEW = 64
"""So few texts at once are read one by one."""


@dataclass(frozen=True)
class Read:
    """Tokens of texts.

    - ``ids`` (t,): all that is left of them; ``lengths`` (s,): tokens of each sequence.
    - ``whole`` (s,): tokens of each sequence before it was cut.
    - ``second`` (s,): where the second text of a pair starts, -1 for none; None of single texts.
    """

    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]
    whole: NDArray[np.int64]
    second: NDArray[np.int32] | None


class Reader:
    """Reads texts with a fast tokenizer of transformers.

    A single text is cut at its end; a pair loses tokens from its longer text first. A text without any token is read
    as :func:`blank`.

    :param at_once: where words may be read by themselves, all words of many texts are (:class:`WordsAtOnce`). Some
        texts of every block are read by the tokenizer, too. Once they differ, all texts are from then on; ``differed``
        says so.
    """

    def __init__(self, tokenizer: Any, limit: int, at_once: bool = True) -> None:
        self.backend, self.limit = uncut_backend(tokenizer), limit
        self.blank = blank(tokenizer)
        self._words = WordsAtOnce.of(self.backend) if at_once else None
        self.differed = False

    def read(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Read:
        """A sequence for each text, or for each pair."""
        inputs = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        found = self._at_once(self._words, texts, pairs, inputs) if self._words and len(inputs) > FEW else None
        return self._one_by_one(inputs) if found is None else found

    # --- many at once -------------------------------------------------------------------------------

    def _at_once(
        self, words: WordsAtOnce, texts: Sequence[str], pairs: Sequence[str] | None, inputs: list[Any]
    ) -> Read | None:
        if pairs is not None and not words.reads_pairs:
            return None
        found = words.singles(texts) if pairs is None else words.pairs(texts, pairs)
        if not self._is_proven(found, inputs):
            self._words, self.differed = None, True
            return None
        over = np.flatnonzero(found.lengths > self.limit)
        if not len(over):
            return Read(found.ids, found.lengths, found.lengths, found.second)
        if pairs is None and self.limit > len(words.frame.before) + len(words.frame.after):
            return cut_at_end(found, self.limit, words.frame.after)
        return self._shortened(found, inputs, over)

    def _is_proven(self, found: Sequences, inputs: list[Any]) -> bool:
        some = np.unique(np.linspace(0, len(inputs) - 1, PROVING).astype(np.int64)).tolist()
        ends = np.cumsum(found.lengths)
        truth = self.backend.encode_batch_fast([inputs[number] for number in some])
        return all(
            found.ids[ends[number] - found.lengths[number] : ends[number]].tolist() == one.ids
            for number, one in zip(some, truth, strict=True)
        )

    def _shortened(self, found: Sequences, inputs: list[Any], over: NDArray[np.int64]) -> Read:
        """Those that are too long by the tokenizer, the others as they are."""
        anew = self._one_by_one([inputs[number] for number in over])
        kept = np.split(found.ids, np.cumsum(found.lengths)[:-1])
        lengths, second = found.lengths.copy(), None if found.second is None else found.second.copy()
        for number, ids in zip(over, np.split(anew.ids, np.cumsum(anew.lengths)[:-1]), strict=True):
            kept[number] = ids
        lengths[over] = anew.lengths
        if second is not None and anew.second is not None:
            second[over] = anew.second
        return Read(np.concatenate(kept), lengths, found.lengths, second)

    # --- one by one ---------------------------------------------------------------------------------

    def _one_by_one(self, inputs: list[Any]) -> Read:
        encodings = self.backend.encode_batch_fast(inputs)
        whole = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        for number in np.flatnonzero(whole == 0):  # nothing frames a text, and this one is empty
            encodings[number] = self.backend.encode(self.blank)
            whole[number] = len(encodings[number])
        for number in np.flatnonzero(whole > self.limit):
            encodings[number] = self._shortened_one(inputs[number])
        lengths = np.fromiter((len(e) for e in encodings), np.int64, len(encodings))
        ids = np.fromiter((i for e in encodings for i in e.ids), np.uint32, int(lengths.sum()))
        second = None
        if inputs and isinstance(inputs[0], tuple):
            second = np.fromiter((_second_start(e) for e in encodings), np.int32, len(encodings))
        return Read(ids, lengths, whole, second)

    def _shortened_one(self, text: Any) -> Any:
        self.backend.enable_truncation(max_length=self.limit, strategy="longest_first")
        try:
            return self.backend.encode(*text) if isinstance(text, tuple) else self.backend.encode(text)
        finally:
            self.backend.no_truncation()


def cut_at_end(found: Sequences, limit: int, after: NDArray[np.uint32]) -> Read:
    """At most ``limit`` tokens of each sequence, the last ones being ``after``."""
    lengths = np.minimum(found.lengths, limit)
    ids = found.ids[spread(np.cumsum(found.lengths) - found.lengths, lengths)]
    ends = np.cumsum(lengths)[found.lengths > limit]
    ids[ends[:, None] - len(after) + np.arange(len(after))] = after
    return Read(ids, lengths, found.lengths, None)


def uncut_backend(tokenizer: Any) -> Any:
    """The Rust tokenizer behind ``tokenizer``, without its own cutting and padding."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()
    backend.no_padding()
    return backend


def blank(tokenizer: Any) -> str:
    """What stands for a text without any token."""
    return str(tokenizer.eos_token or tokenizer.pad_token or tokenizer.unk_token or ".")


def _second_start(encoding: Any) -> int:
    types = encoding.type_ids
    if 1 in types:
        return int(types.index(1))
    return next((i for i, s in enumerate(encoding.sequence_ids) if s == 1), -1)
