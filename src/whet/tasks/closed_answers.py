"""Answers that come from a small closed set: which they are, which a text is, the likeliest to each prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat
from whet.batches.templates import ANSWERS, COMPLETED
from whet.data.forms import Examples
from whet.generation.closed import label_nats
from whet.generation.reading_prompts import room
from whet.tasks.task import Told

MOST = 50
"""Different answers that a closed set has at most."""
LONGEST = 100
"""Characters; longer answers are texts, and no labels."""
AROUND, BEHIND = "\"'`*()[]“”‘’«»„", ".,;:!?。！？"
"""What may stand around an answer, or behind it, without being of it."""


def closed_answers(train: Examples) -> tuple[str, ...]:
    """The different last answers of training, the most frequent first; () where they are no closed set.

    They are one where there are 2 to :data:`MOST`, each short, without a call of a tool, and said more than once.
    """
    counts: Counter[str] = Counter()
    for block in train.column_blocks(("messages",)):
        for messages in block.get("messages", ()):
            last = messages[-1] if messages else {"role": ""}
            if last["role"] not in ANSWERS or last.get("tool_calls") or len(last["content"]) > LONGEST:
                return ()
            counts[last["content"].strip()] += 1
        if len(counts) > MOST:
            return ()
    closed = len(counts) > 1 and min(counts.values()) > 1 and min(map(len, counts)) > 0
    return tuple(answer for answer, _ in counts.most_common()) if closed else ()


def among(texts: Sequence[str], answers: Sequence[str]) -> tuple[str, ...]:
    """(n,) of each text the one of ``answers`` that it is; a text that is none of them, as it is.

    Case, quotes and the stop behind a text do not count, as in "Positive." for "positive", unless answers differ by
    nothing else.
    """
    known = {answer.strip(): answer for answer in answers}
    counts = Counter(map(_bare, answers))
    bare = {_bare(answer): answer for answer in answers if counts[_bare(answer)] == 1}
    bare.pop("", None)
    return tuple(known.get(text.strip()) or bare.get(_bare(text), text) for text in texts)


def _bare(text: str) -> str:
    """In one case, without the quotes and brackets around it and what ends a sentence."""
    return text.strip().lstrip(AROUND).rstrip(AROUND + BEHIND).strip().casefold()


def answer_ids(
    tokenizer: Any, template: str | None, messages: Sequence[Mapping[str, Any]], answers: Sequence[str]
) -> list[NDArray[np.int64]]:
    """Token ids of each of ``answers`` behind a prompt, with the token that ends it.

    :param messages: a row, whose last answer, if it has one, gives way.
    """
    before = [*messages[:-1]] if messages and messages[-1]["role"] in ANSWERS else [*messages]
    completes = any(one["role"] in COMPLETED for one in messages)
    old = messages[-1]["content"] if completes and len(before) < len(messages) else ""
    blank = old[: len(old) - len(old.lstrip())]  # a completion often brings the blank behind its prompt
    role = "completion" if completes else "assistant"
    rows = [([*before, {"role": role, "content": blank + answer}], None) for answer in answers]
    found = []
    for one in chat.render_rows(tokenizer, rows, template=template, train="last"):
        end = int(np.flatnonzero(one.weights)[-1]) + 1  # templates may write on behind the token that ends it
        found.append(one.ids[one.prompt_length : end])
    return found


def likeliest(
    network: Any,
    prompts: Sequence[NDArray[np.int64]],
    answers: Mapping[str, NDArray[np.int64]],
    progress: Told | None,
    fast: bool = True,
) -> tuple[str, ...]:
    """(n,) the answer of fewest nats behind each prompt; of equally likely ones the first.

    A prompt that leaves no room for the longest answer loses of its beginning, as prompts do.

    :param fast: as of :func:`whet.generation.closed.label_nats`.
    """
    names, longest = list(answers), max(map(len, answers.values()))
    limit = room(network)
    if limit is not None:
        prompts = [chat.cut_prompt(one, max(1, limit - longest)) for one in prompts]
    nats = label_nats(network, prompts, list(answers.values()), fast=fast, progress=progress)
    return tuple(names[int(number)] for number in nats.argmin(axis=1))
