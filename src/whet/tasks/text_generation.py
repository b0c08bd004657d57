"""Text generation: answers in conversations, and texts that go on from a prompt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat, chat_findings
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.templates import ANSWERS, COMPLETED, portable, refuse_unparsable, template_of
from whet.data.answer_format import AnswerFormat
from whet.data.forms import Examples
from whet.data.predictions import TextPredictions, TextPurpose
from whet.errors import UserError
from whet.findings import Finding
from whet.generation.loop import Constraint, Said, Sampling, generate
from whet.models.task_model import TaskModel
from whet.tasks.closed_answers import answer_ids, closed_answers, likeliest
from whet.tasks.formed_answers import CONSTRAIN, constrained
from whet.tasks.known_answers import already_said
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.task import Columns, Embed, Setting, Told

LOOKED_AT = 200
"""Conversations that findings are about."""
CLOSED, FORMAT = "closed_answers", "answer_format"
"""In ``setting.settled``: the answers of training where they are few, and the form that answers shall have."""
Messages = Sequence[Mapping[str, Any]]


class TextGeneration(LanguageTask):
    """Conversations, of which the answers are learnt and said."""

    name = "text-generation"
    purpose: ClassVar[TextPurpose] = "generation"
    reads: ClassVar[tuple[str, ...]] = ("text", "messages", "tools")
    """Arrow columns that rows are made of, as far as there are any."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._closed: tuple[str, ...] = tuple(setting.settled.get(CLOSED, ()))

    def learn(self, train: Examples) -> None:
        """Whether the answers of training are a closed set."""
        self._closed = closed_answers(train) if self.purpose == "generation" else ()

    @property
    def closed(self) -> tuple[str, ...]:
        """The answers of training where they are a closed set, the most frequent first; () where answers are open."""
        return self._closed

    @property
    def carried(self) -> dict[str, Any]:
        """What is known of the base, the closed set of answers, and the form that they shall have."""
        wanted = self.answer_format
        return super().carried | {CLOSED: list(self._closed)} | ({} if wanted is None else {FORMAT: wanted.to_json()})

    def blocks(self, examples: Examples, embed: Embed | None = None, seed: int = 0) -> Iterable[Columns]:
        """What rows are made of, and where each comes from."""
        names = [name for name in self.reads if name == "text" or examples.shape.has(name)]
        for file, batch in examples.files():
            lines = batch["line"].to_pylist()
            place = [f"{file}:{line}" if file else f"row {line}" for line in lines]
            yield {**{name: batch[name].to_pylist() for name in names}, "place": place}

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
            rows = [fitted(row, limit, self.cuts) for row in self._rendered(tokenizer, block)]
            counted.rows += sum(row.num_cut > 0 for row in rows)
            counted.tokens_cut += sum(row.num_cut for row in rows)
            counted.answer_tokens_cut += sum(row.num_cut_of_answer for row in rows)
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
        template, count = self.template(tokenizer), len(block["messages"])
        rows = list(zip(block["messages"], block.get("tools") or [None] * count, strict=True))
        places = list(block.get("place") or [])
        answered = [bool(messages) and messages[-1]["role"] in ANSWERS for messages, _ in rows]
        whole = list(compress(rows, answered))
        rendered = chat.render_rows(
            tokenizer, whole, template=template, train=self.trained_turns, places=list(compress(places, answered))
        )
        for number, ((messages, tools), some) in enumerate(zip(rows, answered, strict=True)):
            if some:
                yield next(rendered)
                continue
            asked = messages or [{"role": "prompt", "content": tokenizer.bos_token or tokenizer.eos_token or " "}]
            try:
                ids = chat.render_prompt(tokenizer, asked, tools, template=template)
            except UserError as error:
                raise chat.located(error, places[number]) if places else error from None
            yield chat.Rendered(ids, np.zeros(len(ids), np.float32), len(ids))

    def talks(self, tokenizer: Any, examples: Examples) -> list[chat.Row]:
        """The rows as conversations."""
        tools = examples.column("tools") if examples.shape.has("tools") else [None] * len(examples)
        return list(zip(examples.column("messages"), tools, strict=True))

    @property
    def trained_turns(self) -> Any:
        """What ``chat.train`` says."""
        return self.setting.options.get("chat.train", "answers")

    @property
    def cuts(self) -> Any:
        """What ``chat.cut`` says."""
        return self.setting.options.get("chat.cut", "prompt")

    def template(self, tokenizer: Any) -> str | None:
        """What ``chat.template`` says; None: the tokenizer's own, or none where rows are no conversations."""
        wanted = str(self.setting.options.get("chat.template", "auto"))
        return None if wanted == "auto" else template_of(tokenizer, wanted)[0]

    def spoken(self, tokenizer: Any, examples: Examples) -> str | None:
        """The template of conversations for plain transformers; None where rows are none."""
        if self.completes(tokenizer, examples):
            return None
        text = self.template(tokenizer) or template_of(tokenizer, "auto")[0]
        return portable(tokenizer, text)

    def findings(self, tokenizer: Any, examples: Examples, limit: int) -> list[Finding]:
        """G001 to G008, of some hundred conversations."""
        rows = list(range(0, len(examples), max(1, len(examples) // LOOKED_AT)))[:LOOKED_AT]
        talks = self.talks(tokenizer, examples.take(rows))
        sample = [row for row in talks if row[0] and row[0][-1]["role"] in ANSWERS]
        return chat_findings.look_at(
            tokenizer, self.template(tokenizer), sample, train=self.trained_turns, limit=limit, where=self.cuts
        )

    def known(self, model: TaskModel, encoded: Encoded, examples: Examples, progress: Told | None = None) -> Finding:
        """G009, of some hundred training rows: which of their answers ``model``, the untouched base, gives already."""
        rows = np.arange(0, len(examples), max(1, len(examples) // LOOKED_AT))[:LOOKED_AT]
        sample = encoded.of_rows(rows)
        places = [examples.place(int(row)) for row in rows]
        return already_said(self.outputs(model, sample, progress), sample, places)

    def answer(
        self, name: str, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> TextPredictions:
        """What the true answers cost; and, but for validation, what the model says itself."""
        found = self.predictions(name, self.outputs(model, encoded, progress), encoded, examples)
        assert isinstance(found, TextPredictions)
        if examples.split == "validation":  # it settles nothing, and saying takes its time
            return found
        said = self.say(model, tokenizer, encoded, examples, progress)
        texts = tuple(one.text.strip() for one in said)
        wanted = self.answer_format
        return replace(
            found,
            said=texts,
            finished=np.asarray([one.finished for one in said], bool),
            num_said=np.asarray([len(one.ids) for one in said], np.int64),
            valid=None if wanted is None else wanted.valid(texts),
            chosen=self._chosen(model, tokenizer, encoded, examples, progress),
        )

    def say(
        self, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> list[Said]:
        """What ``model`` says to each row."""
        ends = chat.stops(tokenizer, self.template(tokenizer), self.completes(tokenizer, examples))
        return generate(
            model.network,
            tokenizer,
            prompts_of(encoded),
            self.sampling,
            eos_ids=ends,
            progress=progress,
            constraint=self.constraint(tokenizer, ends),
        )

    def completes(self, tokenizer: Any, examples: Examples) -> bool:
        """Whether rows are texts that go on, rather than conversations."""
        return any(one["role"] in COMPLETED for row in examples.rows([0][: len(examples)], "messages") for one in row)

    def _chosen(
        self, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> tuple[str, ...] | None:
        """Of a closed set of answers the likeliest to each row; None where answers are open, or nobody knows them."""
        if not self._closed or not examples.shape.has("answers") or not len(examples):
            return None
        first = examples.rows([0], "messages")[0]
        labels = answer_ids(tokenizer, self.template(tokenizer), first, self._closed)
        answers = dict(zip(self._closed, labels, strict=True))
        return likeliest(model.network, prompts_of(encoded), answers, progress, self.fast)

    # --- the form of answers --------------------------------------------------------------------------

    @property
    def answer_format(self) -> AnswerFormat | None:
        """The form that answers shall have; None where any will do.

        :raises UserError: C013, C017 and C018, as :meth:`AnswerFormat.of`.
        """
        return AnswerFormat.of(self.setting.options, self.setting.settled.get(FORMAT))

    def constraint(self, tokenizer: Any, ends: Sequence[int]) -> Constraint | None:
        """What lets a model write nothing but the form that is asked for, where the recipe says so."""
        if not self.setting.options.get(CONSTRAIN):
            return None
        return constrained(tokenizer, self.answer_format, ends, self.sampling.num_beams)

    def refuse(self, tokenizer: Any) -> None:
        """Raise, before rows are read, where the recipe asks for what cannot be.

        :raises UserError: C001 and C002, the template is not there, or is no Jinja; C011, C013 to C015 and C017 to
            C019, the form of answers cannot be read, checked or kept to.
        """
        refuse_unparsable(tokenizer, str(self.setting.options.get("chat.template", "auto")))
        _ = self.answer_format
        if self.setting.options.get(CONSTRAIN):
            self.constraint(tokenizer, chat.stops(tokenizer, self.template(tokenizer)))

    @property
    def sampling(self) -> Sampling:
        """How answers are generated."""
        options = self.setting.options
        names = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "num_beams", "length_penalty")
        given = {name: options[f"generation.{name}"] for name in names if f"generation.{name}" in options}
        return Sampling(**given, stop=tuple(options.get("generation.stop", ())), seed=int(options.get("seed", 0)))

    def num_bytes(self, examples: Examples) -> NDArray[np.int64]:
        """(n,) UTF-8 bytes of the turns that count."""
        found = [
            sum(len(str(one[part] or "").encode()) for one in counted_turns(row, self.trained_turns) for part in SAID)
            for row in examples.column("messages")
        ]
        return np.asarray(found, np.int64)


def prompts_of(encoded: Encoded) -> list[NDArray[np.int64]]:
    """What stands before the answer of each row."""
    return [encoded.row(row)[: encoded.second[row]].astype(np.int64) for row in range(len(encoded))]


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
    num_cut_of_answer: int = 0


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
    answer = len(row.ids) - row.prompt_length - (len(kept.ids) - kept.prompt_length)
    return Fitted(kept.ids, kept.weights, kept.prompt_length, len(row.ids) - len(kept.ids), answer)
