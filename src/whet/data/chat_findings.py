"""What the audit finds of conversations: A030 to A034, and A036."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.answer_findings import answers_of, groups_finding, known_finding, length_finding, repeated_finding
from whet.data.chat_messages import ANSWERING, Message
from whet.data.forms import Examples
from whet.data.shown import rows_in_words
from whet.findings import Finding

Splits = Mapping[str, Examples]

PARTS = ("a system message", "tools", "several turns", "plain prompts")
"""What a row may have, as messages call it."""


def findings(splits: Splits) -> list[Finding]:
    """All of them."""
    answers = answers_of(splits)
    return [
        repeated_finding(splits, answers),
        length_finding(splits, answers),
        known_finding(splits, answers),
        groups_finding(splits, "A033", "rows", "conversation"),
        parts_finding(splits),
        weights_finding(splits),
    ]


def trained_on(examples: Examples) -> NDArray[np.bool_]:
    """(n,) whether an answer of the row has a weight above 0, or none that is said."""
    found = [any(_weighs(one) for one in messages) for messages in _conversations(examples)]
    return np.asarray(found, dtype=bool)


def _weighs(message: Message) -> bool:
    return message["role"] in ANSWERING and message["weight"] != 0


def _conversations(examples: Examples) -> Any:
    for block in examples.column_blocks(["messages"]):
        yield from block["messages"]


def parts_finding(splits: Splits) -> Finding:
    """A034: how many rows have a system message, tools, several turns; and whether splits differ in it."""
    shares = {split: _shares(examples) for split, examples in splits.items()}
    shown = "; ".join(
        f"{split} {', '.join(f'{part} {share:.0%}' for part, share in one.items() if share) or 'none of them'}"
        for split, one in shares.items()
    )
    message = f"Rows with {', '.join(PARTS[:-1])} or {PARTS[-1]}: {shown}."
    if not any(share for one in shares.values() for share in one.values()):
        message = "Every row is one message and its answer, without system messages or tools."
    new = [
        f"{part} (in {share:.0%} of {split})"
        for split, one in shares.items()
        for part, share in one.items()
        if split != "train" and share >= 0.05 and not shares["train"][part]
    ]
    if not new:
        return Finding("A034", "passed", message, evidence={"shares": shares})
    message = f"Training has no row with what others have: {', '.join(new)}."
    remedy = "Add such rows to training, or measure on rows as training has them."
    return Finding("A034", "issue", message, "train", remedy, {"shares": shares})


def _shares(examples: Examples) -> dict[str, float]:
    counts = Counter[str]()
    for block in examples.column_blocks(["messages", "tools"]):
        tools = block.get("tools") or [None] * len(block["messages"])
        for messages, described in zip(block["messages"], tools, strict=True):
            roles = [message["role"] for message in messages]
            used = described is not None or any(message["tool_calls"] for message in messages)
            has = ("system" in roles, used, sum(role in ANSWERING for role in roles) > 1, "prompt" in roles)
            counts.update(part for part, there in zip(PARTS, has, strict=True) if there)
    return {part: counts[part] / max(1, len(examples)) for part in PARTS}


def weights_finding(splits: Splits) -> Finding:
    """A036: training rows of which no answer is to be learnt."""
    train = splits["train"]
    said = any(message["weight"] is not None for messages in _conversations(train) for message in messages)
    if not said:
        return Finding("A036", "not_applicable", "No message has a weight of its own.")
    idle = np.flatnonzero(~trained_on(train))
    evidence = {"count": len(idle), "rows": len(train), "places": [train.place(int(row)) for row in idle[:20]]}
    if not len(idle):
        return Finding("A036", "passed", "Every row has an answer with a weight above 0.", "train", evidence=evidence)
    message = f"{rows_in_words(len(idle))} of training teach nothing: every answer has weight 0."
    remedy = "Take them out, or see whether 0 is what was meant."
    much = len(idle) >= 0.1 * len(train)
    return Finding("A036", "issue" if much else "tip", message, "train", remedy, evidence)
