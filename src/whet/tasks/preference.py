"""Preference: a language model learns from which of two answers is better, or from answers that were liked or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import chat
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.flat import Targets
from whet.batches.templates import COMPLETED
from whet.data.forms import Examples
from whet.data.predictions import PreferencePredictions
from whet.data.preference_predictions import say_preferences
from whet.data.preferences import prompts, unrelated
from whet.engine.protocols import Objective
from whet.errors import Problem, UserError
from whet.findings import Finding
from whet.generation.loop import Said, generate
from whet.models.task_model import TaskModel
from whet.objectives.preference import Answers, Preferring
from whet.tasks.language_loss import sums_by_row
from whet.tasks.preference_loss import PreferenceLoss
from whet.tasks.task import Columns, Embed, Setting, Told
from whet.tasks.text_generation import TextGeneration

ANSWERS = ("chosen", "rejected", "completion")
"""Arrow columns of answers, in the order in which a row's sequences stand."""
UNRELATED = "unrelated"
"""What a block holds beside them where the loss asks for it: an answer to something else."""
REFERENCE = "reference"
"""In ``setting.settled``: the folder in which a run keeps the reference's log-probabilities."""
COMPLETES = "completes"
"""In ``setting.settled``: whether the rows of training were texts that go on."""
BASE = "base"
"""How the untouched base is called among models."""
Floats = NDArray[np.float64]


class Preference(TextGeneration):
    """Answers to one prompt, of which one is better, or which are liked or not."""

    name = "preference"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.how = Preferring.of(setting.options)
        self.reference: Tensor | None = None

    def learn(self, train: Examples) -> None:
        """Nothing: what answers are about is open."""

    # --- what is learnt -------------------------------------------------------------------------------

    @property
    def paired(self) -> bool:
        """Whether rows have two answers, as far as the setting knows."""
        return "completion" not in self.setting.columns

    @property
    def score(self) -> str:  # type: ignore[override]
        """How well answers are told apart."""
        return "pair_accuracy" if self.paired else "reward_auc"

    @property
    def coupled(self) -> bool:  # type: ignore[override]
        """KTO sets every answer of a batch against the mean of the unrelated ones."""
        return self.how.loss == "kto"

    def objective(self) -> Objective[Any]:
        """The loss of the recipe."""
        return PreferenceLoss(self.how, self.paired)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(n, P + 1) the reference's log-probabilities of all sequences, and whether the answer is liked.

        Zeros where the loss has no use for a reference; no numbers where a run has not come to it, and only plans.
        """
        size, path = (len(examples), encoded.parts), self.kept(examples.split)
        found = np.zeros(size)
        if self.how.referred:
            there = path is not None and path.exists()
            found = self.referred(examples, encoded.parts) if there else np.full(size, np.nan)
        liked = np.asarray(examples.column("liked"), float) if examples.shape.has("liked") else np.ones(len(examples))
        return Targets(torch.from_numpy(np.concatenate([found, liked[:, None]], 1)))

    def referred(self, examples: Examples, parts: int, exact: bool = False) -> Floats:
        """(n, parts) the reference's log-probabilities of rows, as the run keeps them.

        :raises FileNotFoundError: it has not computed them yet.
        """
        path = self.kept(examples.split, exact)
        assert path is not None
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.asarray(found[examples.numbers("id")][:, :parts])

    def kept(self, split: str, exact: bool = False) -> Path | None:
        """Where a run keeps the reference's log-probabilities of ``split``; None where there is no run.

        :param exact: those in fp32, which a finished model is held to; else those in the precision of training, so
            that a model that has not moved yet is at no distance.
        """
        folder = self.setting.settled.get(REFERENCE)
        return None if folder is None else Path(folder) / ("exact" if exact else "training") / f"{split}.npy"

    # --- rows to tensors ------------------------------------------------------------------------------

    def blocks(self, examples: Examples, embed: Embed | None = None, seed: int = 0) -> Iterable[Columns]:
        """Prompts and answers, and where each row comes from; where a run prepares rows of KTO, unrelated answers.

        Those of ``test`` have none: rewards do not rest on them, and are the same wherever the model is asked.
        """
        if examples.has_pairs:  # prompts and answers as plain texts, asked from Python
            yield from _plain(examples, "prompt" if self.setting.settled.get(COMPLETES) else "user")
            return
        if not examples.shape.has("messages"):
            what = "has no answers to be judged."
            remedy = "Give an answer with each prompt; to get answers, talk to the model with whet chat."
            raise UserError(Problem("D105", "the rows", what, remedy))
        names = [name for name in ANSWERS if examples.shape.has(name)]
        wanted, start = embed is not None and self.how.loss == "kto" and examples.split != "test", 0
        others = unrelated(prompts(examples), seed) if wanted else None
        for file, batch in examples.files():
            block = {name: batch[name].to_pylist() for name in ("messages", *names)}
            block["place"] = [f"{file}:{line}" if file else f"row {line}" for line in batch["line"].to_pylist()]
            if others is not None:
                block[UNRELATED] = examples.rows(others[start : start + batch.num_rows], names[0])
            start += batch.num_rows
            yield block

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A unit a row: the prompt with each answer; ``second`` is where the answer begins.

        :raises UserError: C001 to C005, a template is not there, fails, or does not suit the rows.
        """
        counted, left = Counted(limit), iter(blocks)
        first = next(left, {})
        names = [name for name in (*ANSWERS, UNRELATED) if name in first]
        pieces = self._answered(tokenizer, chain([first] if first else [], left), names, counted, progress)
        return gather(pieces, counted, into, max(1, len(names)))

    def _answered(
        self, tokenizer: Any, blocks: Iterable[Columns], names: Sequence[str], counted: Counted, progress: Told | None
    ) -> Iterator[Piece]:
        done, parts, own = 0, len(names), len(names) - (UNRELATED in names)
        for block in blocks:
            talks = [
                conversation(messages, block[name][row])
                for row, messages in enumerate(block["messages"])
                for name in names
            ]
            places = [place for place in block["place"] for _ in names]
            template = self.template(tokenizer)
            rendered = list(chat.render_rows(tokenizer, talks, template=template, train="last", places=places))
            rows = [fitted(rendered[at : at + parts], counted, self.cuts, own) for at in range(0, len(rendered), parts)]
            said = [one for row in rows for one in row]
            done += len(rows)
            yield Piece(
                np.concatenate([one.ids for one in said]).astype(np.uint32),
                np.asarray([len(one.ids) for one in said], np.int64),
                second=np.asarray([one.prompt_length for one in said], np.int32),
                weights=np.concatenate([one.weights for one in said]).astype(np.float32),
            )
            if progress:
                progress(done)

    def talks(self, tokenizer: Any, examples: Examples) -> list[chat.Row]:
        """Prompts with their first answers."""
        name = next(one for one in ANSWERS if examples.shape.has(one))
        columns = zip(examples.column("messages"), examples.column(name), strict=True)
        return [conversation(messages, answer) for messages, answer in columns]

    # --- tensors to answers ---------------------------------------------------------------------------

    def likelihoods(self, outputs: Tensor, encoded: Encoded) -> tuple[Floats, Floats]:
        """(n, P) log-probabilities of all sequences in nats, and (n, P) the tokens that each is a sum over."""
        size = encoded.num_sequences
        sums = sums_by_row(outputs, replace(encoded, rows=np.arange(size)), size)
        shape = (len(encoded), encoded.parts)
        return -sums[:, 1].reshape(shape), np.maximum(1.0, sums[:, 0]).reshape(shape)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """The loss by the pair or answer, how many are told apart, and how far apart rewards are."""
        policy, tokens = self.likelihoods(outputs, encoded)
        known = self.targets(examples, encoded).values
        tables = torch.from_numpy(policy), known[:, :-1], torch.from_numpy(tokens)
        total, count = self.how(Answers(*tables, None if self.paired else known[:, -1]))
        rewards = self._rewards(policy, known[:, :-1].numpy(), tokens, 2 if self.paired else 1)
        found = {"loss": float(total) / count}
        if self.paired:
            gap = rewards[:, 0] - rewards[:, 1]
            return found | {"pair_accuracy": float((gap > 0).mean()), "margin": float(gap.mean())}
        return found | {"reward_auc": area(rewards[:, 0], known[:, -1].numpy() > 0)}

    def _rewards(self, policy: Floats, reference: Floats | None, tokens: Floats, count: int) -> Floats:
        """(n, A) what the loss takes each of the first A answers to be worth."""
        tables = [None if one is None else torch.from_numpy(one[:, :count]) for one in (policy, reference, tokens)]
        return np.asarray(self.how.rewards(*tables).numpy(), np.float64)  # type: ignore[arg-type]

    def answer(  # type: ignore[override]
        self, name: str, model: TaskModel, tokenizer: Any, encoded: Encoded, examples: Examples, progress: Told | None
    ) -> PreferencePredictions:
        """A reward for each answer; of the untouched base its likelihood by the token."""
        policy, tokens = self.likelihoods(self.outputs(model, encoded, progress), encoded)
        count = 2 if examples.shape.has("chosen") else 1
        policy, tokens = policy[:, :count], tokens[:, :count]
        counts = tokens.astype(np.int64)
        if name == BASE:
            return say_preferences(name, examples, policy / tokens, policy, None, counts)
        reference = self._reference(examples, count)
        rewards = self._rewards(policy, reference, tokens, count)
        return say_preferences(name, examples, rewards, policy, reference, counts)

    def _reference(self, examples: Examples, count: int) -> Floats | None:
        path = self.kept(examples.split, exact=True)
        if path is not None and path.exists():
            return self.referred(examples, count, exact=True)
        if self.reference is not None:
            return np.asarray(self.reference.numpy()[:, :count])
        if self.how.referred:
            raise ValueError(f"{self.how.loss} needs the likelihoods of its reference")
        return None

    def refer(self, outputs: Tensor, encoded: Encoded) -> None:
        """Take the reference's log-probabilities of the rows that are answered next from what it was read to say."""
        self.reference = torch.from_numpy(self.likelihoods(outputs, encoded)[0])

    def known(self, model: TaskModel, encoded: Encoded, examples: Examples, progress: Told | None = None) -> Finding:
        """G009 is not asked of preferences."""
        return Finding("G009", "not_applicable", "Answers are told apart here, not learnt word for word.")

    def write(self, model: TaskModel, tokenizer: Any, encoded: Encoded, completes: bool, seed: int) -> list[Said]:
        """What ``model`` answers to the prompt of each row, drawn from its own distribution."""
        template = self.template(tokenizer)
        sampling = replace(self.sampling, temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, num_beams=1, seed=seed)
        ends = chat.stops(tokenizer, template, completes)
        return generate(model.network, tokenizer, prompts_of(encoded), sampling, eos_ids=ends)

    def num_bytes(self, examples: Examples) -> NDArray[np.int64]:
        """(n,) UTF-8 bytes of the first answers."""
        name = next(one for one in ANSWERS if examples.shape.has(one))
        return np.asarray([len(text.encode()) for text in examples.column(name)], np.int64)


def area(rewards: Floats, liked: NDArray[np.bool_]) -> float:
    """Chance that a liked answer has a larger reward than a disliked one, ties counted half."""
    ordered = np.sort(rewards[~liked])
    if not len(ordered) or not liked.any():
        return 0.5
    below = sum(np.searchsorted(ordered, rewards[liked], side=side) for side in ("left", "right"))
    return float(np.mean(below) / 2 / len(ordered))


def _plain(examples: Examples, role: str) -> Iterator[Columns]:
    """Texts as messages of ``role``, and second texts as answers."""
    for number, block in enumerate(examples.column_blocks(["text", "text_pair"])):
        messages = [[{"role": role, "content": text}] for text in block["text"]]
        places = [f"row {number}:{row + 1}" for row in range(len(messages))]
        yield {"messages": messages, "completion": block["text_pair"], "place": places}


def prompts_of(encoded: Encoded) -> list[NDArray[np.int64]]:
    """What stands before the answers of each row."""
    firsts = range(0, encoded.num_sequences, encoded.parts)
    return [encoded.row(one)[: encoded.second[one]].astype(np.int64) for one in firsts]


def conversation(messages: Sequence[Any], answer: str) -> chat.Row:
    """A prompt with one of its answers."""
    plain = any(one["role"] in COMPLETED for one in messages)
    return [*messages, {"role": "completion" if plain else "assistant", "content": answer}], None


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt and an answer that fit: token ids, how much each counts, where the answer begins."""

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    prompt_length: int


def fitted(rows: Sequence[chat.Rendered], counted: Counted, cuts: chat.Cut, own: int | None = None) -> list[Answered]:
    """The answers of a row behind one prompt, each in ``counted.limit`` tokens; what is cut is counted.

    Where neither prompt nor answers can give way alone, both do: the prompt to half of the limit.

    :param own: how many of them, the first, answer the prompt; all if not given. Any other loses its end where it is
        too long, and is not counted: no prompt gives way to it.
    """
    limit, size, real = counted.limit, rows[0].prompt_length, rows[:own]
    longest = max(len(one.ids) - size for one in real)
    least = min(size, max(1, limit // 2))
    room = size
    if size + longest > limit and (cuts == "prompt" or size >= limit):
        room = max(least, limit - longest)
    kept = kept_of_prompt(size, room)
    found = []
    for one in rows:
        chosen = np.concatenate([kept, np.arange(size, min(len(one.ids), size + limit - len(kept)))])
        found.append(Answered(one.ids[chosen], one.weights[chosen], len(kept)))
    whole, left = (sum(len(one.ids) for one in some) for some in (real, found[: len(real)]))
    counted.rows += whole > left
    counted.tokens_total += whole
    counted.tokens_cut += whole - left
    counted.answer_tokens_cut += whole - left - len(real) * (size - len(kept))
    return found


def kept_of_prompt(size: int, room: int) -> NDArray[np.int64]:
    """Numbers of the tokens that stay of a prompt: the first, which starts the text, and the last ones."""
    if size <= room:
        return np.arange(size)
    return np.concatenate([np.zeros(1, np.int64), np.arange(size - room + 1, size)])
