"""Translation and summarisation: sources to targets, by an encoder-decoder or by a decoder.

An encoder-decoder reads the source with one half and writes with the other: a row is a unit of two sequences.
To a decoder the same row is a prompt and how it goes on, or a question and its answer where its tokenizer has a
chat template; from there on it is as in :mod:`whet.tasks.text_generation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.data.forms import Examples
from whet.errors import Problem, UserError
from whet.findings import Finding
from whet.generation.loop import Said, generate
from whet.models import sequences
from whet.models.task_model import TaskModel
from whet.tasks.language_modeling import BEGINS, ENDS, LONGEST
from whet.tasks.task import Columns, Told
from whet.tasks.text_generation import TextGeneration

PLACE = "{text}"
"""Where the source stands in ``sources.template``."""


class Rewriting(TextGeneration):
    """Sources, each with a target that is learnt and said."""

    guesses = ("target", "next")
    reads = ("text", "answers")
    asks: ClassVar[str]
    """What stands behind a source that a decoder reads."""

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """For an encoder-decoder two sequences a row, source and target, each within ``limit`` tokens.

        :param tokenizer: set to its languages already, where it has any.
        :raises UserError: R031, ``sources.template`` has no place for the source; as :meth:`TextGeneration.encode`.
        """
        if self._begins is None:
            return super().encode(tokenizer, blocks, limit, into, progress)
        counted = Counted(limit)
        return gather(self._pairs(tokenizer, blocks, limit, counted, progress), counted, into, parts=2)

    # --- an encoder-decoder ---------------------------------------------------------------------------

    @property
    def _begins(self) -> NDArray[np.int64] | None:
        """(b,) what every target of an encoder-decoder begins with; None for a decoder."""
        found = self.setting.settled.get(BEGINS)
        return None if found is None else np.asarray(found, np.int64)

    @property
    def _ends(self) -> list[int]:
        return [int(one) for one in self.setting.settled.get(ENDS, ())]

    def _pairs(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, counted: Counted, progress: Told | None
    ) -> Iterator[Piece]:
        done = 0
        for block in blocks:
            sources = _sources(tokenizer, [self._asked(text) for text in block["text"]], limit, counted)
            references = [row[0] if row else None for row in block.get("answers") or [None] * len(block["text"])]
            targets = self._targets(tokenizer, references, limit, counted)
            counted.rows += sum(any(pair) for pair in zip(sources.cut, targets.cut, strict=True))
            both = [one for pair in zip(sources.ids, targets.ids, strict=True) for one in pair]
            weights = [one for pair in zip(sources.weights, targets.weights, strict=True) for one in pair]
            yield Piece(
                np.concatenate(both).astype(np.uint32),
                np.asarray([len(one) for one in both], np.int64),
                weights=np.concatenate(weights).astype(np.float32),
            )
            done += len(block["text"])
            if progress:
                progress(done)

    def _targets(self, tokenizer: Any, texts: Sequence[str | None], limit: int, counted: Counted) -> _Side:
        """What is to be said behind what every target begins with; a row without a reference has that alone."""
        begins, ends = self._begins, self._ends
        assert begins is not None
        limit = min(limit, int(self.setting.settled.get(LONGEST, limit)))
        found = sequences.target_ids(tokenizer, [text or "" for text in texts])
        side = _Side([], [], [])
        for text, own in zip(texts, found, strict=True):
            said = [] if text is None else [*own, *ends]
            kept = said[: max(1, limit - len(begins))]
            counted.tokens_total += len(said)
            counted.tokens_cut += len(said) - len(kept)
            counted.answer_tokens_cut += len(said) - len(kept)
            side.add(np.asarray([*begins, *kept], np.int64), len(begins), len(kept) < len(said))
        return side

    # --- a decoder ------------------------------------------------------------------------------------

    def _rendered(self, tokenizer: Any, block: Columns) -> Iterator[chat.Rendered]:
        """The rows of a block as conversations of one question."""
        places = block.get("place", [])
        yield from super()._rendered(tokenizer, {"messages": self._talks(tokenizer, block), "place": places})

    def talks(self, tokenizer: Any, examples: Examples) -> list[chat.Row]:
        """The rows as conversations of one question."""
        block = {name: examples.column(name) for name in self.reads}
        return [(talk, None) for talk in self._talks(tokenizer, block)]

    def _talks(self, tokenizer: Any, block: Columns) -> list[list[dict[str, Any]]]:
        references = block.get("answers") or [None] * len(block["text"])
        return [
            self._talk(tokenizer, text, row[0] if row else None)
            for text, row in zip(block["text"], references, strict=True)
        ]

    def _talk(self, tokenizer: Any, source: str, target: str | None) -> list[dict[str, Any]]:
        """The messages of a row; the last of them is its answer where it has one."""
        plain = self._is_plain(tokenizer)
        asks, says = ("prompt", "completion") if plain else ("user", "assistant")
        talk = [{"role": asks, "content": self._asked(source)}]
        if target is not None:
            talk.append({"role": says, "content": f" {target}" if plain else target})
        return talk

    def _is_plain(self, tokenizer: Any) -> bool:
        """Whether rows are texts that go on, rather than conversations."""
        return self.setting.options.get("chat.template", "auto") == "auto" and not tokenizer.chat_template

    def completes(self, tokenizer: Any, examples: Examples) -> bool:
        """Whether rows are texts that go on, rather than conversations."""
        return self._is_plain(tokenizer)

    def question(self, source: str) -> str:
        """What somebody who is asked in words reads of a source."""
        return self._asked(source)

    # --- both -----------------------------------------------------------------------------------------

    def _asked(self, source: str) -> str:
        """What a model reads of a source.

        :raises UserError: R031, the template has no place for it.
        """
        wanted = str(self.setting.options.get("sources.template", "auto"))
        if wanted == "auto":
            return source if self._begins is not None else f"{source}\n\n{self.asks}:"
        if PLACE not in wanted:
            what = f"{wanted!r} has no place for the source."
            raise UserError(Problem("R031", "sources.template", what, f"Write {PLACE} where it is to stand."))
        return wanted.replace(PLACE, source)

    def spoken(self, tokenizer: Any, examples: Examples) -> str | None:
        """As where rows are conversations; an encoder-decoder has no template."""
        return None if self._begins is not None else super().spoken(tokenizer, examples)

    def refuse(self, tokenizer: Any) -> None:
        """As of text generation; R031 too."""
        self._asked("")
        super().refuse(tokenizer)

    def findings(self, tokenizer: Any, examples: Examples, limit: int) -> list[Finding]:
        """As of text generation; none of an encoder-decoder, which reads no conversations."""
        return [] if self._begins is not None else super().findings(tokenizer, examples, limit)

    def say(
        self, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> list[Said]:
        """What the model says to each source."""
        if self._begins is None:
            return super().say(model, tokenizer, encoded, examples, progress)
        sources = [encoded.row(2 * row).astype(np.int64) for row in range(len(examples))]
        return generate(
            model.network,
            tokenizer,
            sources,
            self.sampling,
            eos_ids=self._ends,
            begins=self._begins,
            progress=progress,
            constraint=self.constraint(tokenizer, self._ends),
        )

    def num_bytes(self, examples: Examples) -> NDArray[np.int64]:
        """(n,) UTF-8 bytes of the targets."""
        if not examples.shape.has("answers"):
            return np.zeros(len(examples), np.int64)
        return np.asarray([len(row[0].encode()) if row else 0 for row in examples.column("answers")], np.int64)


class _Side:
    """Sources or targets of some rows: token ids, how much each counts, and whether a row was cut."""

    def __init__(self, ids: list[NDArray[np.int64]], weights: list[NDArray[np.float32]], cut: list[bool]) -> None:
        self.ids, self.weights, self.cut = ids, weights, cut

    def add(self, ids: NDArray[np.int64], unsaid: int, was_cut: bool) -> None:
        """A row more, whose first ``unsaid`` tokens do not count."""
        weights = np.ones(len(ids), np.float32)
        weights[:unsaid] = 0.0
        self.ids.append(ids)
        self.weights.append(weights)
        self.cut.append(was_cut)


def _sources(tokenizer: Any, texts: Sequence[str], limit: int, counted: Counted) -> _Side:
    """Sources in the tokenizer's own frame; of one that is too long the end of the text is cut, not the frame."""
    side = _Side([], [], [])
    found = sequences.source_ids(tokenizer, texts)
    long = [number for number, ids in enumerate(found) if len(ids) > limit]
    kept = (
        dict(zip(long, sequences.source_ids(tokenizer, [texts[one] for one in long], limit), strict=True))
        if long
        else {}
    )
    for number, ids in enumerate(found):
        short = kept.get(number, ids)
        counted.tokens_total += len(ids)
        counted.tokens_cut += len(ids) - len(short)
        side.add(np.asarray(short, np.int64), len(short), number in kept)
    return side


class Translation(Rewriting):
    """Texts in one language to texts in another."""

    name = "translation"
    purpose = "translation"
    asks = "Translation"


class Summarization(Rewriting):
    """Long texts to short ones."""

    name = "summarization"
    purpose = "summarization"
    asks = "Summary"
