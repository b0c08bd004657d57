"""The small part of Markdown that a model card's "Use" section needs: headings, paragraphs, lists, code.

Nothing here produces HTML: the blocks are plain values, and the template escapes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
INLINE_CODE = re.compile(r"`([^`]+)`")
FENCES = ("```", "~~~")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, a list item or a piece of code.

    ``spans``: (text, is_code) pieces of a heading, a paragraph or an item.
    """

    kind: Literal["heading", "paragraph", "item", "code"]
    text: str
    spans: list[tuple[str, bool]] = field(default_factory=list)


def section(text: str, title: str) -> str:
    """The Markdown under the first heading ``title``, without the heading; empty where there is none."""
    kept: list[str] = []
    depth = 0
    for line, is_code in _lines(text):
        heading = None if is_code else HEADING.match(line)
        if depth and heading and len(heading[1]) <= depth:
            break
        if depth:
            kept.append(line)
        elif heading and heading[2].casefold() == title.casefold():
            depth = len(heading[1])
    return "\n".join(kept).strip()


def blocks(text: str) -> list[Block]:
    """Blocks in their order; whatever is not known becomes a paragraph."""
    found: list[Block] = []
    prose: list[str] = []
    code: list[str] = []

    def finish_prose() -> None:
        if prose:
            found.append(_block("paragraph", " ".join(prose)))
            prose.clear()

    inside = False
    for line, is_code in [*_lines(text), ("", False)]:
        if is_code:
            finish_prose()
            if line.lstrip().startswith(FENCES):
                if inside:
                    found.append(Block("code", "\n".join(code)))
                    code.clear()
                inside = not inside
            else:
                code.append(line)
        elif heading := HEADING.match(line):
            finish_prose()
            found.append(_block("heading", heading[2]))
        elif item := re.match(r"^\s*[-*]\s+(.*)", line):
            finish_prose()
            found.append(_block("item", item[1]))
        elif line.strip():
            prose.append(line.strip())
        else:
            finish_prose()
    if code:  # a fence that was never closed
        found.append(Block("code", "\n".join(code)))
    return found


def _block(kind: Literal["heading", "paragraph", "item"], text: str) -> Block:
    pieces = INLINE_CODE.split(text)
    return Block(kind, text, [(piece, index % 2 == 1) for index, piece in enumerate(pieces) if piece])


def _lines(text: str) -> list[tuple[str, bool]]:
    """(line, whether it belongs to fenced code, the fences included)."""
    marked: list[tuple[str, bool]] = []
    fence = ""
    for line in text.splitlines():
        start = line.lstrip()[:3]
        if not fence and start in FENCES:
            fence = start
            marked.append((line, True))
        elif fence and start == fence:
            fence = ""
            marked.append((line, True))
        else:
            marked.append((line, bool(fence)))
    return marked
