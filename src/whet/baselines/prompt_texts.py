"""Texts, asked for in words: answers in conversations, translations, summaries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import SYSTEM, Asked, Form, Read, Turns
from whet.baselines.said_texts import PURPOSES
from whet.data.languages import language
from whet.data.saying import say_texts

if TYPE_CHECKING:
    from whet.baselines.material import Material
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions
    from whet.prompting.speaker import Reply

LOOKED_AT = 200
"""Training rows from which languages and lengths are told."""
CLEAR = 0.8
"""Share of the texts of a known language that must be of one, so that it is named."""
ROLES = {"developer": SYSTEM, "prompt": "user", "completion": "assistant", "tool": "user", "function": "user"}
ANSWERING = ("assistant", "completion")
GO_ON = "Please go on."
"""Asked where it is the assistant who has spoken last."""


class AskTexts:
    """Texts in answer to texts."""

    closed: tuple[str, ...] = ()

    def __init__(self, material: Material) -> None:
        self._task = material.task
        self._train = material.splits["train"]
        self._options = material.options
        self._form = Form(("Text",), "Summary" if material.task == "summarization" else "Translation")

    def instruction(self) -> str:
        """From which language to which, or how long; conversations say themselves what is wanted."""
        if self._task == "text-generation":
            return ""
        rows = np.unique(np.linspace(0, len(self._train) - 1, LOOKED_AT).astype(np.int64))
        targets = [one[0] for one in self._train.rows(rows, "answers")]
        if self._task == "summarization":
            words = max(1, round(float(np.median([len(one.split()) for one in targets]))))
            length = "1 word" if words == 1 else f"about {words} words"
            return f"Summarize the text in {length}. Answer with the summary alone."
        source, target = self._language("source", self._train.texts(rows)), self._language("target", targets)
        known = f" from {source}" if source and source != target else ""
        known += f" to {target}" if target and source != target else ""
        return f"Translate the text{known}. Answer with the translation alone."

    def _language(self, side: str, texts: Iterable[str]) -> str:
        counts = Counter(found for found in map(language, texts) if found)
        best = counts.most_common(1)
        if best and best[0][1] >= CLEAR * counts.total() and best[0][0] != "Latin":
            return best[0][0]
        code = str(self._options.get(f"sources.{side}_language", "auto"))
        return "" if code == "auto" else code

    def asked(self, examples: Examples) -> list[Asked]:
        """The source, or the conversation up to its last answer."""
        if self._task != "text-generation":
            return self._form.rows(examples)
        return [Talk.of(row, known) for row, known in zip(examples.column("messages"), _known(examples), strict=True)]

    def answers(self, examples: Examples) -> list[str]:
        """The one that is trained on."""
        return [row[0] for row in examples.column("answers")]

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """All alike."""
        return [(0,)] * len(examples)

    def blank(self, words: str) -> Asked:
        """Those words as the text."""
        return self._form.of([words])

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> Predictions:
        """:raises NotImplementedError: answers are open."""
        raise NotImplementedError

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """Replies as they are; empty ones are no answer."""
        said = [reply.text.strip() for reply in replies]
        finished = np.asarray([reply.finished for reply in replies], bool)
        lengths = np.asarray([reply.tokens_out for reply in replies], np.int64)
        predictions = say_texts(name, examples, PURPOSES[self._task], said, finished=finished, num_said=lengths)
        return Read(predictions, np.asarray([not text for text in said], bool), {})


def _known(examples: Examples) -> Sequence[bool]:
    """Whether the last message of each row is its answer."""
    return [examples.shape.has("answers")] * len(examples)


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that wants an answer, in roles that every chat knows: system, then user and assistant in turn."""

    messages: tuple[tuple[str, str], ...]

    @staticmethod
    def of(messages: Sequence[Mapping[str, Any]], answered: bool) -> Talk:
        """From the messages of a row, without its answer where it has one.

        Calls of tools are said by the assistant, as JSON, and their results by the user.
        """
        kept = messages[:-1] if answered and messages and messages[-1]["role"] in ANSWERING else messages
        turns: list[tuple[str, str]] = []
        for one in kept:
            role, content = ROLES.get(one["role"], one["role"]), _content(one)
            if role == SYSTEM and turns:  # behind others it is somebody's word like theirs
                role = "user"
            if turns and turns[-1][0] == role:
                turns[-1] = (role, f"{turns[-1][1]}\n\n{content}")
            else:
                turns.append((role, content))
        if not turns or turns[-1][0] != "user":
            turns.append(("user", GO_ON))
        return Talk(tuple(turns))

    def turns(self, share: float = 1.0) -> Turns:
        """All messages; the system message and the end of the rest where it is shortened."""
        if share >= 1:
            return [{"role": role, "content": content} for role, content in self.messages]
        first = [one for one in self.messages[:1] if one[0] == SYSTEM]
        left = max(1, int(share * sum(len(content) for _, content in self.messages[len(first) :])))
        kept: list[tuple[str, str]] = []
        for role, content in reversed(self.messages[len(first) :]):
            if left <= 0:
                break
            kept.append((role, content[-left:]))
            left -= len(content)
        if kept[-1][0] != "user" and len(kept) > 1:  # a chat begins with the user
            kept.pop()
        return [{"role": role, "content": content} for role, content in [*first, *reversed(kept)]]


def _content(message: Mapping[str, Any]) -> str:
    said, calls = str(message.get("content") or ""), message.get("tool_calls")
    if not calls:
        return said
    written = calls if isinstance(calls, str) else json.dumps(calls, ensure_ascii=False)
    return f"{said}\n{written}".strip()
