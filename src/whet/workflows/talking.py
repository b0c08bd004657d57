"""Talking to the tuned model of a run, and to its untouched base beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat
from whet.batches.templates import COMPLETED
from whet.data.forms import Examples
from whet.errors import Problem, UserError
from whet.folder import RunFolder, answering_run
from whet.generation.loop import Constraint, Sampling, generate, stream
from whet.inference.trained import TrainedModel
from whet.models.about import load_about
from whet.recipe import Recipe, from_options, load
from whet.registry import unknown
from whet.tasks.text_generation import TextGeneration
from whet.workflows.running import Running
from whet.workflows.using import open_model

BESIDE = "base"
"""The one model that can answer beside the tuned one."""
TALKING = ("text-generation", "preference")
"""Tasks whose models answer messages."""
CHANGED = "generation"
"""The part of the recipe that may be another while talking."""


@dataclass(slots=True)
class Voice:
    """A model and what was said to it and by it so far.

    - ``template``: as ``chat.template`` of the run; ``ends``: ids of the tokens that end an answer.
    - ``limit``: the most tokens of prompt and answer together.
    - ``system``: what stands before every conversation; "" for nothing.
    - ``completes``: it was trained on prompts and completions, each of which stands for itself.
    - ``num_left_out``: tokens of the conversation that the last question had no room for.
    - ``constraint``: what may be said, where the run keeps its answers to a form.
    """

    name: str
    network: Any
    tokenizer: Any
    template: str
    ends: tuple[int, ...]
    sampling: Sampling
    limit: int
    system: str = ""
    completes: bool = False
    turns: list[chat.Message] = field(default_factory=list)
    num_left_out: int = 0
    constraint: Constraint | None = None

    def ask(self, question: str) -> Iterator[str]:
        """The answer piece by piece, without blanks around it; what was said of it is kept though it is broken off.

        :raises UserError: C002, the template fails on the conversation; C010, the prompt leaves no room.
        """
        asked = {"role": "prompt" if self.completes else "user", "content": question}
        prompt = self.prompt(asked)
        said: list[str] = []
        try:
            for piece in _trimmed(self._pieces(prompt)):
                said.append(piece)
                yield piece
        finally:
            if not self.completes:
                self.turns += [asked, {"role": "assistant", "content": "".join(said)}]

    def prompt(self, asked: chat.Message) -> NDArray[np.int64]:
        """(p,) token ids that the answer starts from; what is oldest is left out where there is no room.

        At least half of the limit stays for the question. A turn and its answer go together; a question that is
        too long by itself is cut as rows of training are. ``num_left_out`` says how much went.
        """
        room = self.limit - min(self.sampling.max_tokens, self.limit // 2)
        turns = list(self.turns)
        ids = whole = self._rendered(turns, asked)
        while turns and len(ids) > room:
            del turns[:2]
            ids = self._rendered(turns, asked)
        ids = chat.cut_prompt(ids, room)
        self.num_left_out = len(whole) - len(ids)
        return ids

    def reset(self) -> None:
        """Forget all that was said."""
        self.turns.clear()

    def hears_system(self) -> bool:
        """Whether what is to stand before every conversation is in the prompt."""
        asked = {"role": "user", "content": "a"}
        without = chat.render_prompt(self.tokenizer, [asked], template=self.template)
        return not np.array_equal(self._rendered([], asked), without)

    def _rendered(self, turns: Sequence[chat.Message], asked: chat.Message) -> NDArray[np.int64]:
        before = [{"role": "system", "content": self.system}] if self.system else []
        return chat.render_prompt(self.tokenizer, [*before, *turns, asked], template=self.template)

    def _pieces(self, prompt: NDArray[np.int64]) -> Iterator[str]:
        if self.sampling.num_beams > 1:  # the likeliest text is known at its end only
            said = generate(
                self.network, self.tokenizer, [prompt], self.sampling, eos_ids=self.ends, constraint=self.constraint
            )
            return iter([said[0].text])
        return stream(
            self.network, self.tokenizer, prompt, self.sampling, eos_ids=self.ends, constraint=self.constraint
        )


def _trimmed(pieces: Iterator[str]) -> Iterator[str]:
    """The same text without blanks before and behind it."""
    held, begun = "", False
    for piece in pieces:
        text = held + piece if begun else piece.lstrip()
        ends = len(text.rstrip())
        held = text[ends:]
        if ends:
            begun = True
            yield text[:ends]


def open_voices(path: Path, changes: Mapping[str, Any], system: str = "", beside: str | None = None) -> list[Voice]:
    """The tuned model of a run, and with ``beside`` its untouched base.

    :param path: a finished run, or the folder of its model.
    :param changes: options of ``generation`` by dotted name that are to be others than the run's.
    :raises UserError: F012, it is neither; M042, the run is of another task; R006, ``changes`` has other options;
        G001, ``beside`` is not known; C016, the template leaves the system message out; as
        :func:`whet.workflows.using.open_model`.
    """
    path = answering_run(path)
    _refuse_other_task(path)
    changed = _checked(path, changes)
    if beside not in (None, BESIDE):
        raise UserError(unknown(str(beside), [BESIDE], "--beside"))
    if beside and not RunFolder(path).recipe.exists():
        what = f"{path} is a model without its run, so its base is not known."
        raise UserError(Problem("F010", "--beside", what, "Name the folder of the run."))
    model = open_model(path)
    assert isinstance(model, TrainedModel) and isinstance(model.how, TextGeneration)
    options = {**model.how.setting.options, **changed}
    how = TextGeneration(replace(model.how.setting, options=options))
    template, completes = str(options.get("chat.template", "auto")), _completes(path)
    ends = chat.stops(model.tokenizer, template, completes)
    voice = Voice(
        "tuned",
        model.model.network,
        model.tokenizer,
        template,
        ends,
        how.sampling,
        model.about.max_length,
        system,
        completes,
        constraint=how.constraint(model.tokenizer, ends),
    )
    _refuse_unheard(voice)
    return [voice, _untouched(path, voice)] if beside else [voice]


def _untouched(path: Path, voice: Voice) -> Voice:
    folder = RunFolder(path)
    run = Running(load(folder.recipe), folder, lambda *_: None, lambda: False)
    network = run.new_model().network
    ends = chat.stops(run.tokenizer, voice.template, voice.completes)
    # a constraint remembers what was said under it, so each voice has its own
    how = run.task
    assert isinstance(how, TextGeneration)
    constraint = how.constraint(run.tokenizer, ends)
    return replace(
        voice, name=BESIDE, network=network, tokenizer=run.tokenizer, ends=ends, turns=[], constraint=constraint
    )


def _refuse_other_task(path: Path) -> None:
    folder = RunFolder(path)
    if folder.recipe.exists():
        task = str(load(folder.recipe).task)
    elif not folder.state.exists() and (path / "whet.json").exists():
        task = load_about(path).task
    else:
        folder.read_state()
        task = TextGeneration.name  # a run that never began: that is said where it is opened
    if task not in TALKING:
        what = f"was fitted for {task}, and only {' and '.join(TALKING)} talk."
        raise UserError(Problem("M042", str(path), what, f"Ask it with: whet predict {path} FILE"))


def _checked(path: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` as the recipe reads them."""
    others = [name for name in changes if name.split(".")[0] != CHANGED]
    if others:
        what = "cannot be changed while talking: the model was trained with it."
        raise UserError([Problem("R006", name, what, f"Options here are those of {CHANGED}.") for name in others])
    folder = RunFolder(path)
    named = {"data.source": "-", "task": TextGeneration.name, **changes}
    recipe: Recipe = load(folder.recipe, changes) if folder.recipe.exists() else from_options(named)
    return {name: getattr(recipe.generation, name.split(".", 1)[1]) for name in changes}


def _completes(path: Path) -> bool:
    """Whether the training rows of a run are prompts and completions."""
    rows = RunFolder(path).data / "train.arrow"
    if not rows.exists():
        return False
    examples = Examples.open(rows)
    return bool(len(examples)) and any(one["role"] in COMPLETED for one in examples.rows([0], "messages")[0])


def _refuse_unheard(voice: Voice) -> None:
    if not voice.system:
        return
    if voice.completes:
        what = "has no place: the run was trained on prompts and completions."
        raise UserError(Problem("C016", "--system", what, "Write it at the beginning of the prompt."))
    if not voice.hears_system():
        raise UserError(Problem("C016", "--system", "is left out by the run's template.", "Leave it out here too."))
