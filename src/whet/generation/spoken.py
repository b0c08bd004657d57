"""One answer in the making: its tokens, how they read, whether it has ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_TORN = "\ufffd"
"""How the first bytes of a character read whose others are still to come."""
_BYTE = re.compile("<0x[0-9A-F]{2}>")
"""How vocabularies of SentencePiece name a byte of a character that they lack."""
_MARGIN = 8
"""Tokens that are looked at beside those a stop text may have: what stands before a token changes how it reads."""


@dataclass(slots=True)
class Spoken:
    """``ids`` with the token that ended it; ``finished``: it ended by itself."""

    tokenizer: Any
    eos_ids: frozenset[int]
    stop: tuple[str, ...] = ()
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0
    finished: bool = False

    def say(self, token: int, nats: float) -> None:
        """One more token."""
        self.ids.append(token)
        self.nats += nats
        if token in self.eos_ids:
            self.finished = True
        elif self.stop:
            longest = max(len(one.encode()) for one in self.stop)  # a token stands for a byte at least
            tail = self._read(self.ids[-longest - _MARGIN :])
            self.finished = any(one in tail for one in self.stop)

    @property
    def text(self) -> str:
        """How it reads, up to a stop text."""
        return self._until_stop(self._read(self._own))

    @property
    def certain(self) -> str:
        """The part of :attr:`text` that no further token changes: without a torn character or the start of a stop."""
        text = self._until_stop(self._read(self._without_bytes())).rstrip(_TORN)
        for stop in self.stop:
            for size in range(min(len(stop), len(text)), 0, -1):
                if text.endswith(stop[:size]):
                    text = text[:-size]
                    break
        return text

    @property
    def _own(self) -> list[int]:
        """Without the token that ended it."""
        return self.ids[:-1] if self.ids and self.ids[-1] in self.eos_ids else self.ids

    def _without_bytes(self) -> list[int]:
        """Without the bytes at the end, all of which read otherwise while one is missing."""
        ids = list(self._own)
        while ids and _BYTE.fullmatch(self.tokenizer.convert_ids_to_tokens(ids[-1])):
            ids.pop()
        return ids

    def _read(self, ids: list[int]) -> str:
        found: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return found

    def _until_stop(self, text: str) -> str:
        places = [place for one in self.stop if (place := text.find(one)) >= 0]
        return text[: min(places)] if places else text
