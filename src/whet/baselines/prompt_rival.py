"""Who answers when a task is asked in words: any speaker, or the run's own base as a model of texts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whet.baselines import prompt_costs
from whet.baselines.material import Material
from whet.baselines.prompt_asking import Asking, Turns
from whet.baselines.prompt_entities import AskEntities
from whet.baselines.prompt_fitting import Fitting, Shown
from whet.baselines.prompt_labels import AskLabels
from whet.baselines.prompt_numbers import AskNumbers
from whet.baselines.prompt_questions import AskQuestions
from whet.baselines.prompt_texts import AskTexts
from whet.errors import Problem, UserError

if TYPE_CHECKING:
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions
    from whet.prompting.speaker import Speaker

CONTENT_FREE = ("N/A", "", "[MASK]")
"""What says nothing (arXiv 2102.09690, section 5): whatever is preferred behind it, is preferred for no reason."""
COUNTED = 100
"""Rows whose tokens are counted to say what a question costs."""
ROOM = 8
"""Tokens that an answer may have beyond the longest of training, and that a template may put around it."""
LEAST_TOKENS, MOST_TOKENS = 16, 1024

ASKING: dict[str, Callable[[Material], Asking]] = {
    "text-classification": AskLabels,
    "token-classification": AskEntities,
    "question-answering": AskQuestions,
    "regression": AskNumbers,
    "sentence-similarity": AskNumbers,
    "text-generation": AskTexts,
    "translation": AskTexts,
    "summarization": AskTexts,
}
"""Task -> how it is put in words."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Answers to n rows.

    - ``left`` (n,) int64: training rows that were shown before each; fewer than wanted where there was no room.
    - ``num_cut``: rows that were shortened, since they had no room even alone.
    - ``unparsable``: replies that are no answer; ``more``: what else was counted.
    - ``cost``: of a question, see :mod:`whet.baselines.prompt_costs`.
    """

    said: Predictions
    left: NDArray[np.int64]
    num_cut: int = 0
    unparsable: int = 0
    more: Mapping[str, int] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)


class Rival(Protocol):
    """Somebody who answers rows with training rows shown before them."""

    @property
    def keys(self) -> list[tuple[int, ...]]:
        """Of each training row, what it is an example of."""
        ...

    @property
    def samples(self) -> bool:
        """Whether it can be asked about some rows of a split."""
        ...

    @property
    def cheap(self) -> bool:
        """Whether asking about the test rows once more for each order is cheap."""
        ...

    def answer(self, name: str, split: str, shown: Shown, fair: Sequence[int], rows: NDArray[Any] | None) -> Answered:
        """Answers to ``rows`` of a split, or to all.

        :param fair: training rows that are shown where it is measured what is preferred for no reason.
        """
        ...

    def about(self) -> dict[str, Any]:
        """Who answers, how it is asked, and what it has cost since the rival was made."""
        ...


def rival_of(material: Material) -> Rival:
    """Who answers for this material.

    :raises UserError: P050, the task cannot be asked in words; P051, there is nobody to ask; P052, whoever is asked
        reads too few tokens.
    """
    ask = ASKING.get(material.task)
    scored = material.task != "sentence-similarity" or material.splits["train"].shape.has("score")
    if ask is None or not scored:
        what = f"{material.task} cannot be asked in words" + ("" if scored else " where pairs have no scores") + "."
        remedy = "Leave zero_shot, few_shot and nearest_shots out of evaluation.baselines."
        raise UserError(Problem("P050", "evaluation.baselines", what, remedy))
    if material.prompted is not None and _is_own(material.options):
        return Own(material, ask(material))
    if material.speaker is None:
        what = "there is no language model that could be asked."
        remedy = "Name one with prompting.base, or an endpoint with prompting.endpoint, or leave prompting out."
        raise UserError(Problem("P051", "evaluation.baselines", what, remedy))
    return Spoken(material, ask(material), material.speaker())


def _is_own(options: Mapping[str, Any]) -> bool:
    names = ("prompting.base", "prompting.instruction", "prompting.max_tokens")
    return options.get("prompting.endpoint") is None and all(options.get(name, "auto") == "auto" for name in names)


class Own:
    """The base of the run as its task asks it: with likelihoods of the true texts, as the tuned model has them."""

    samples = cheap = False

    def __init__(self, material: Material, asking: Asking) -> None:
        assert material.prompted is not None
        self._material, self._asking, self._prompted = material, asking, material.prompted
        self._rows, self._seconds = 0, 0.0

    @property
    def keys(self) -> list[tuple[int, ...]]:
        """All alike."""
        return self._asking.keys(self._material.splits["train"])

    def answer(self, name: str, split: str, shown: Shown, fair: Sequence[int], rows: NDArray[Any] | None) -> Answered:
        """Answers to all rows of a split."""
        started = time.monotonic()
        said, left = self._prompted(name, split, shown)
        seconds = time.monotonic() - started
        self._rows += len(said)
        self._seconds += seconds
        return Answered(said, left, cost=prompt_costs.evenly(seconds, len(said)))

    def about(self) -> dict[str, Any]:
        """Rows and seconds; what it read is not counted."""
        spent = {"requests": self._rows, "cached": 0, "tokens_in": None, "tokens_out": None}
        return {
            "asked": "the base itself",
            "here": True,
            "instruction": "",
            "weighed": False,
            "calibrated": False,
            "spent": {**spent, "seconds": self._seconds, "price": None},
        }


class Spoken:
    """A language model that is asked in a chat."""

    samples = True

    def __init__(self, material: Material, asking: Asking, speaker: Speaker) -> None:
        self._material, self._asking, self._speaker = material, asking, speaker
        self._train = material.splits["train"]
        self._before = speaker.spent()
        wanted = str(material.options.get("prompting.instruction", "auto"))
        self._instruction = asking.instruction() if wanted == "auto" else wanted
        self._weighs = bool(asking.closed) and speaker.weighs
        self._calibrates = self._weighs and bool(material.options.get("prompting.calibrate", True))
        self._priors: dict[tuple[int, ...], NDArray[np.float64]] = {}
        limit, most = speaker.longest, self._longest_answer()
        self._max_tokens = most if limit is None or self._weighs else min(most, max(1, limit // 2))
        self._fitting = Fitting(speaker, asking, self._train, self._instruction, self._max_tokens)
        self._fitting.refuse_narrow(material.task)

    @property
    def keys(self) -> list[tuple[int, ...]]:
        """What each training row is an example of."""
        return self._asking.keys(self._train)

    @property
    def cheap(self) -> bool:
        """Where answers are weighed on this machine: nothing is paid, and a prompt is read once."""
        return self._weighs

    def answer(self, name: str, split: str, shown: Shown, fair: Sequence[int], rows: NDArray[Any] | None) -> Answered:
        """Answers to ``rows`` of a split, or to all."""
        examples = self._material.splits[split]
        examples = examples if rows is None else examples.take(rows)
        prompts = self._fitting.prompts(self._asking.asked(examples), shown)
        if self._weighs:
            said, cost = self._weighed(name, examples, prompts.turns, fair)
            return Answered(said, prompts.left, prompts.num_cut, cost=cost)
        replies = self._speaker.say(prompts.turns, max_tokens=self._max_tokens, stop=self._stops)
        read = self._asking.read(name, examples, replies)
        cost = prompt_costs.of_replies(replies, self._prices)
        return Answered(read.said, prompts.left, prompts.num_cut, int(read.unparsable.sum()), read.more, cost)

    def about(self) -> dict[str, Any]:
        """Who was asked what, and what it has cost."""
        return {
            "asked": self._speaker.name,
            "here": self._speaker.weighs,  # what answers elsewhere only says what it says
            "instruction": self._instruction,
            "weighed": self._weighs,
            "calibrated": self._calibrates,
            "spent": prompt_costs.since(self._before, self._speaker.spent()),
        }

    @property
    def _stops(self) -> tuple[str, ...]:
        """Texts that end what the tuned model writes end a reply too; tasks that write no texts have none."""
        return tuple(self._material.options.get("generation.stop") or ())

    @property
    def _prices(self) -> tuple[float, float] | None:
        found = tuple(self._material.options.get(f"prompting.price_{side}") for side in ("input", "output"))
        return None if found == (None, None) else (float(found[0] or 0.0), float(found[1] or 0.0))

    def _weighed(
        self, name: str, examples: Examples, prompts: Sequence[Turns], fair: Sequence[int]
    ) -> tuple[Predictions, dict[str, Any]]:
        started = time.monotonic()
        found = shares(self._speaker.weigh(prompts, self._asking.closed))
        seconds = time.monotonic() - started
        if self._calibrates:
            found = calibrated(found, self._prior(tuple(fair)))
        step = max(1, len(prompts) // COUNTED)
        tokens = [self._speaker.count(one) for one in prompts[::step]]
        cost = prompt_costs.of_weighing(seconds, tokens, len(prompts))
        return self._asking.weighed(name, examples, found), cost

    def _prior(self, fair: tuple[int, ...]) -> NDArray[np.float64]:
        """(L,) mean probabilities behind inputs that say nothing."""
        if fair not in self._priors:
            blank = [self._asking.blank(words) for words in CONTENT_FREE]
            prompts = self._fitting.prompts(blank, [fair] * len(blank)).turns
            self._priors[fair] = shares(self._speaker.weigh(prompts, self._asking.closed)).mean(axis=0)
        return self._priors[fair]

    def _longest_answer(self) -> int:
        """Tokens that an answer may have."""
        wanted = self._material.options.get("prompting.max_tokens", "auto")
        if wanted != "auto" and not self._weighs:
            return int(wanted)
        if self._material.task == "text-generation" and "generation.max_tokens" in self._material.options:
            return int(self._material.options["generation.max_tokens"])
        longest = room(self._speaker, self._asking, self._train)
        return longest if self._weighs else max(LEAST_TOKENS, min(MOST_TOKENS, longest))


def room(speaker: Speaker, asking: Asking, train: Examples) -> int:
    """Tokens that an answer like those of training may have."""
    texts: Sequence[str] = asking.closed
    if not texts:
        sample = np.unique(np.linspace(0, len(train) - 1, COUNTED).astype(np.int64))
        texts = asking.answers(train.take(sample))
    return ROOM + max(speaker.count([{"role": "user", "content": text or "-"}]) for text in texts)


def shares(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, L) probabilities of closed answers from their nats; rows sum to 1."""
    weights = np.exp(nats.min(axis=1, keepdims=True) - nats)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def calibrated(probabilities: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, L): divided by what is said of nothing, and brought to sum 1 again (arXiv 2102.09690)."""
    found = probabilities / np.maximum(prior, np.finfo(np.float64).tiny)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
