"""Text generation: answers in conversations, and texts that go on from a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat, chat_findings
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.templates import ANSWERS, COMPLETED, template_of
from whet.data.forms import Examples
from whet.data.predictions import TextPredictions
from whet.findings import Finding
from whet.generation.loop import Sampling, generate
from whet.models.task_model import TaskModel
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.task import Columns, Embed, Told

LOOKED_AT = 200
"""Conversations that findings are about."""
Messages = Sequence[Mapping[str, Any]]


class TextGeneration(LanguageTask):
    """Conversations, of which the answers are learnt and said."""

    name = "text-generation"
    purpose = "generation"

    def blocks(self, examples: Examples, embed: Embed | None = None, seed: int = 0) -> Iterable[Columns]:
        """Messages and tools."""
        return examples.column_blocks(("text", "messages", "tools"))

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A conversation a sequence; ``second`` is where its last answer begins.

        :raises UserError: C001 to C005, a template is not there, fails, or does not suit the rows.
        """
        counted = Counted(limit)
        return gather(self._pieces(tokenizer, blocks, limit, counted, progress), counted, into)

    def _pieces(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, counted: Counted, progress: Told | None
    ) -> Iterator[Piece]:
        done = 0
        for block in blocks:
            rows = [fitted(row, limit, self._cut) for row in self._rendered(tokenizer, block)]
            counted.rows += sum(row.num_cut > 0 for row in rows)
            counted.tokens_cut += sum(row.num_cut for row in rows)
            counted.tokens_total += sum(len(row.ids) + row.num_cut for row in rows)
            done += len(rows)
            yield Piece(
                np.concatenate([row.ids for row in rows]).astype(np.uint32),
                np.asarray([len(row.ids) for row in rows], np.int64),
                second=np.asarray([row.prompt_length for row in rows], np.int32),
                weights=np.concatenate([row.weights for row in rows]).astype(np.float32),
            )
            if progress:
                progress(done)

    def _rendered(self, tokenizer: Any, block: Columns) -> Iterator[chat.Rendered]:
        """The rows of a block; one that only wants an answer is all prompt."""
        template = self._template(tokenizer)
        rows = list(zip(block["messages"], block.get("tools") or [None] * len(block["messages"]), strict=True))
        answered = [bool(messages) and messages[-1]["role"] in ANSWERS for messages, _ in rows]
        whole = [row for row, some in zip(rows, answered, strict=True) if some]
        rendered = chat.render_rows(tokenizer, whole, template=template, train=self._train)
        for (messages, tools), some in zip(rows, answered, strict=True):
            if some:
                yield next(rendered)
                continue
            asked = messages or [{"role": "prompt", "content": tokenizer.bos_token or tokenizer.eos_token or " "}]
            ids = chat.render_prompt(tokenizer, asked, tools, template=template)
            yield chat.Rendered(ids, np.zeros(len(ids), np.float32), len(ids))

    @property
    def _train(self) -> Any:
        return self.setting.options.get("chat.train", "answers")

    @property
    def _cut(self) -> Any:
        return self.setting.options.get("chat.cut", "prompt")

    def _template(self, tokenizer: Any) -> str | None:
        """What ``chat.template`` says; None: the tokenizer's own, or none where rows are no conversations."""
        wanted = str(self.setting.options.get("chat.template", "auto"))
        return None if wanted == "auto" else template_of(tokenizer, wanted)[0]

    def findings(self, tokenizer: Any, examples: Examples, limit: int) -> list[Finding]:
        """G001 to G008, of some hundred conversations."""
        rows = list(range(0, len(examples), max(1, len(examples) // LOOKED_AT)))[:LOOKED_AT]
        messages = examples.rows(rows, "messages")
        tools = examples.rows(rows, "tools") if examples.shape.has("tools") else [None] * len(rows)
        sample = [row for row in zip(messages, tools, strict=True) if row[0] and row[0][-1]["role"] in ANSWERS]
        return chat_findings.look_at(
            tokenizer, self._template(tokenizer), sample, train=self._train, limit=limit, where=self._cut
        )

    def answer(
        self, name: str, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> TextPredictions:
        """What the true answers cost; and, but for validation, what the model says itself."""
        found = self.predictions(name, self.outputs(model, encoded, progress), encoded, examples)
        assert isinstance(found, TextPredictions)
        if examples.split == "validation":  # it settles nothing, and saying takes its time
            return found
        prompts = [encoded.row(row)[: encoded.second[row]].astype(np.int64) for row in range(len(examples))]
        completes = any(one["role"] in COMPLETED for row in examples.column("messages")[:1] for one in row)
        ends = chat.stops(tokenizer, self._template(tokenizer), completes)
        said = generate(model.network, tokenizer, prompts, self.sampling, eos_ids=ends, progress=progress)
        return replace(
            found,
            said=tuple(one.text.strip() for one in said),
            finished=np.asarray([one.finished for one in said], bool),
            num_said=np.asarray([len(one.ids) for one in said], np.int64),
        )

    @property
    def sampling(self) -> Sampling:
        """How answers are generated."""
        options = self.setting.options
        names = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "num_beams")
        given = {name: options[f"generation.{name}"] for name in names if f"generation.{name}" in options}
        return Sampling(**given, stop=tuple(options.get("generation.stop", ())), seed=int(options.get("seed", 0)))

    def num_bytes(self, examples: Examples) -> NDArray[np.int64]:
        """(n,) UTF-8 bytes of the turns that count."""
        found = [
            sum(len(str(one[part] or "").encode()) for one in counted_turns(row, self._train) for part in SAID)
            for row in examples.column("messages")
        ]
        return np.asarray(found, np.int64)


SAID = ("content", "tool_calls")
"""What of a message is text."""


def counted_turns(messages: Messages, train: str) -> Messages:
    """The turns that ``chat.train`` names."""
    if train == "all":
        return messages
    answers = [one for one in messages if one["role"] in ANSWERS]
    if train == "last":
        return answers[-1:]
    return answers if train == "answers" else [one for one in answers if one.get("weight") != 0]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A conversation that fits: token ids, how much each counts, where the last answer begins, how many were cut."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    prompt_length: int
    num_cut: int


def fitted(row: chat.Rendered, limit: int, what: chat.Cut) -> Fitted:
    """``row`` in ``limit`` tokens, one less where it is all prompt, so that something can be said.

    Where neither its prompt nor its answer can give way alone, both do: the prompt to half of the limit.
    """
    if row.prompt_length == len(row.ids):
        ids = chat.cut_prompt(row.ids, limit - 1)
        return Fitted(ids, row.weights[: len(ids)], len(ids), len(row.ids) - len(ids))
    kept = chat.cut(row, limit, what)
    if kept is None:
        room = len(row.ids) - row.prompt_length + max(1, min(row.prompt_length, limit // 2))
        shorter = chat.cut(row, room, "prompt") or row
        kept = chat.cut(shorter, limit, "answer") or shorter
    return Fitted(kept.ids, kept.weights, kept.prompt_length, len(row.ids) - len(kept.ids))
