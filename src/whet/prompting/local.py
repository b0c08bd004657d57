"""A language model on this machine that is asked: the base itself, or another one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.generation.loop import Sampling, generate, label_nats
from whet.models import loading
from whet.models.heads import Head
from whet.models.language import guesses_of
from whet.models.places import find
from whet.prompting.layouts import layout_of
from whet.prompting.speaker import Progress, Prompt, Reply, Spent, said_in

OPTION = "prompting.base"
"""Of the recipe: what names another model than the run's own."""


class Local:
    """A :class:`~whet.prompting.speaker.Speaker` on this machine; how it reads prompts says its ``layout``."""

    weighs = True

    def __init__(self, network: Any, tokenizer: Any, name: str, template: str | None = None, fast: bool = True) -> None:
        """A speaker of ``network``.

        :param network: a causal language model of transformers, or an encoder-decoder.
        :param tokenizer: its fast tokenizer.
        :param template: as :func:`whet.batches.templates.template_of` takes it; None and 'auto': the tokenizer's own,
            if it has one.
        :param fast: as of :func:`whet.generation.closed.label_nats`.
        """
        self.name, self.fast = name, fast
        self.layout = layout_of(network, tokenizer, template)
        self.longest = self.layout.longest
        self.network = network
        self._tokenizer = tokenizer
        self._spent = Spent()

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt."""
        return len(self.layout.ids(prompt))

    def say(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Reply]:
        """Answer ``prompts``, in their order.

        :raises UserError: C002, C005, the template fails on a prompt; C010, it leaves no room for an answer.
        """
        if not prompts:
            return []
        started = time.monotonic()
        ids = [self.layout.ids(prompt) for prompt in prompts]
        said = generate(
            self.network,
            self._tokenizer,
            ids,
            Sampling(max_tokens=max_tokens, stop=(*stop, *self.layout.stop)),
            eos_ids=self.layout.ends,
            begins=self.layout.begins,
            progress=progress,
        )
        sizes = np.asarray([len(one) + len(answer.ids) for one, answer in zip(ids, said, strict=True)], np.float64)
        shares = (time.monotonic() - started) * sizes / sizes.sum()
        replies = [
            Reply(said_in(answer.text), answer.finished, len(one), len(answer.ids), float(seconds))
            for one, answer, seconds in zip(ids, said, shares, strict=True)
        ]
        for reply in replies:
            self._spent.add(reply)
        return replies

    def weigh(
        self, prompts: Sequence[Prompt], answers: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(n, L) nats of each of ``answers`` behind each of ``prompts``: of its tokens and of what ends it.

        :raises UserError: C002, C005, the template fails on a prompt or an answer; C010, there is no room for it;
            C012, an answer has no tokens.
        """
        if not prompts or not answers:
            return np.zeros((len(prompts), len(answers)))
        started = time.monotonic()
        ids = [self.layout.ids(prompt) for prompt in prompts]
        closed = self.layout.closed(prompts[0], answers)
        begins = self.layout.begins
        nats = label_nats(self.network, ids, closed, begins=begins, fast=self.fast, progress=progress)
        self._spent.requests += len(prompts)
        self._spent.tokens_in += sum(len(one) for one in ids)
        self._spent.tokens_out += len(prompts) * sum(len(one) for one in closed)
        self._spent.seconds += time.monotonic() - started
        return nats

    def spent(self) -> Spent:
        """What it has cost so far: tokens and seconds. ``tokens_out`` counts answers that were weighed, too."""
        return replace(self._spent)


def open_local(where: str, template: str | None = None, fast: bool = True) -> Local:
    """A language model from a folder or the hub; ``template`` and ``fast`` as of :class:`Local`.

    :raises UserError: M001 to M008, it is not there, cannot be loaded or has no layer over its vocabulary; P030, it
        is none that answers a text.
    """
    place = find(where, OPTION)
    loading.refuse_unusable(place, "language", "auto")
    if guesses_of(place) not in ("next", "target"):
        kind = str(place.config.get("model_type"))
        what = f"is a model of type {kind!r}, which does not go on from a text, so that it cannot be asked."
        remedy = "Name a decoder, an encoder-decoder, or an endpoint."
        raise UserError(Problem("P030", f"{OPTION} {where!r}", what, remedy))
    tokenizer = loading.load_tokenizer(place)
    model = loading.load_model(place, Head("language"), tokenizer, seed=0)
    return Local(model.network.eval(), tokenizer, place.hub_id or place.folder.name, template, fast)
