"""What the audit finds of preferences: X023, whether the better answers are simply the longer ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.findings import Finding

LOPSIDED = 0.6
"""Share of better answers that are the longer ones from which on length is worth a word."""
MOSTLY = 0.75


def lengths(examples: Examples) -> NDArray[np.int64]:
    """(n, A) characters of each row's answers: the better and the worse one, or the only one."""
    names = ("chosen", "rejected") if examples.shape.has("chosen") else ("completion",)
    names = ("text_pair",) if examples.has_pairs else names
    rows = [
        [len(block[name][row]) for name in names]
        for block in examples.column_blocks(names)
        for row in range(len(block[names[0]]))
    ]
    return np.asarray(rows, np.int64).reshape(-1, len(names))


def longer_finding(splits: Mapping[str, Examples]) -> Finding:
    """X023."""
    train = splits["train"]
    sizes = lengths(train)
    if train.shape.has("chosen"):
        longer, shorter = int((sizes[:, 0] > sizes[:, 1]).sum()), int((sizes[:, 0] < sizes[:, 1]).sum())
        share = longer / max(1, longer + shorter)
        message = f"The better answer is the longer one in {longer:,} of {len(sizes):,} training pairs"
        message += f" and the shorter one in {shorter:,}."
    else:
        liked = np.asarray(train.column("liked"), bool)
        one, other = sizes[liked, 0], sizes[~liked, 0]
        share = float((one[:, None] > other[None, :2000]).mean()) if len(one) and len(other) else 0.5
        message = (
            f"Liked answers have {np.median(one):,.0f} characters in the median, disliked {np.median(other):,.0f}."
        )
    evidence: dict[str, Any] = {"share_longer": share, "rows": len(sizes)}
    if max(share, 1 - share) < LOPSIDED:
        return Finding("X023", "passed", message, "train", evidence=evidence)
    way = "longer" if share > 0.5 else "shorter"
    remedy = f"A model may learn to write {way} answers and nothing else: see X021, and add pairs where the other wins."
    return Finding("X023", "issue" if max(share, 1 - share) >= MOSTLY else "tip", message, "train", remedy, evidence)
