"""Text of strangers as it may be shown: nothing in it moves the cursor, changes colours or turns the line around."""

from __future__ import annotations

import re

_PICTURES = 0x2400
"""Where Unicode keeps a picture of each control character."""
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line break, marks that turn text around, and halves of characters."""


def visible(text: str) -> str:
    """``text`` with a picture in place of everything that commands a screen; tabs and line breaks stay."""
    return _UNSEEN.sub(lambda found: _picture(ord(found.group())), text)


def _picture(code: int) -> str:
    if code < 0x20:
        return chr(_PICTURES + code)
    return "\u2421" if code == 0x7F else "\ufffd"
