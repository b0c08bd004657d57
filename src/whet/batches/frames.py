"""What a tokenizer puts around texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Frame:
    """What a tokenizer puts before, between and after two texts.

    ``types_from``: where token types become 1, counted from the first token of the second text (0 or less).
    """

    before: NDArray[np.uint32]
    between: NDArray[np.uint32]
    after: NDArray[np.uint32]
    types_from: int

    @property
    def size(self) -> int:
        """Tokens in all."""
        return len(self.before) + len(self.between) + len(self.after)

    @staticmethod
    def of(backend: Any, *more: str) -> Frame:
        """Read off a pair of short texts.

        :param more: texts that are tried where the tokenizer has no token for usual ones.
        """
        for word in ("a", "the", ".", "0", *more):
            found = backend.encode(word, word)
            sides = found.sequence_ids
            if 0 in sides and 1 in sides:
                ids = np.asarray(found.ids, np.uint32)
                first, second = (np.flatnonzero([side == text for side in sides]) for text in (0, 1))
                begin = int(second[0])
                types = found.type_ids.index(1) if 1 in found.type_ids else begin
                before, between, after = ids[: first[0]], ids[first[-1] + 1 : begin], ids[second[-1] + 1 :]
                return Frame(before, between, after, min(0, types - begin))
        none = np.zeros(0, np.uint32)
        return Frame(none, none, none, 0)
