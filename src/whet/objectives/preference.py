"""Losses of preferences, as functions of the log-probabilities of whole answers; and the rewards that they imply.

Shapes: B rows of A answers, 2 of pairs (the better one first) or 1 with a thumb; P >= A sequences a row, the one
behind the answers being an answer to something else, where a loss asks for it. Log-probabilities are sums over the
tokens of an answer, in nats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

REFERRED = ("dpo", "ipo", "kto")
"""Losses that hold answers to a reference."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Of a batch: ``policy`` and ``reference`` (B, P) log-probabilities, ``tokens`` (B, P), ``liked`` (B,) or None."""

    policy: Tensor
    reference: Tensor
    tokens: Tensor
    liked: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Preferring:
    """A loss with its numbers: see :class:`whet.recipe.preference.PreferenceRecipe`."""

    loss: str
    beta: float
    gamma: float = 1.0
    label_smoothing: float = 0.0
    desirable_weight: float = 1.0
    undesirable_weight: float = 1.0
    normalise: bool = False

    @staticmethod
    def of(options: Mapping[str, Any]) -> Preferring:
        """From options of the recipe by dotted name; what is not decided is as published of DPO."""
        named = {name.removeprefix("preference."): value for name, value in options.items() if "preference." in name}
        named.pop("samples", None)
        known = {name: value for name, value in named.items() if value != "auto"}
        return Preferring(**{"loss": "dpo", "beta": 0.1, **known})

    @property
    def referred(self) -> bool:
        """Whether answers are held to a reference."""
        return self.loss in REFERRED

    def rewards(self, policy: Tensor, reference: Tensor | None, tokens: Tensor) -> Tensor:
        """(B, A) what the loss takes each answer to be worth."""
        if self.loss == "orpo":
            return log_odds(policy / tokens)
        moved = policy - reference if self.referred and reference is not None else policy
        return self.beta * (moved / tokens if self.normalise else moved)

    def __call__(self, answers: Answers) -> tuple[Tensor, float]:
        """The summed loss and how many items it is over: pairs, or of KTO answers."""
        found: tuple[Tensor, float] = _LOSSES[self.loss](self, answers)
        return found

    def total(self, found: Tensor) -> tuple[Tensor, float]:
        """The sum and the count of what each item costs."""
        return found.sum(), float(found.numel())


def log_odds(log_probability: Tensor) -> Tensor:
    """log(p / (1 - p)) of log p below 0."""
    below = log_probability.clamp(max=-1e-7)
    return below - torch.log(-torch.expm1(below))


def _gap(how: Preferring, answers: Answers) -> Tensor:
    """(B,) reward of the better answer less that of the worse one."""
    rewards = how.rewards(answers.policy[:, :2], answers.reference[:, :2], answers.tokens[:, :2])
    return rewards[:, 0] - rewards[:, 1]


def dpo(how: Preferring, answers: Answers) -> tuple[Tensor, float]:
    """-log sigmoid of the gap (arXiv 2305.18290); with some labels thought to be wrong (arXiv 2310.12036, appendix)."""
    gap, wrong = _gap(how, answers), how.label_smoothing
    return how.total(-(1 - wrong) * logsigmoid(gap) - wrong * logsigmoid(-gap))


def ipo(how: Preferring, answers: Answers) -> tuple[Tensor, float]:
    """The squared distance of the gap of log-ratios from 1 / (2 beta) (arXiv 2310.12036)."""
    return how.total((_gap(how, answers) / how.beta - 1 / (2 * how.beta)).square())


def simpo(how: Preferring, answers: Answers) -> tuple[Tensor, float]:
    """-log sigmoid of the gap of likelihoods by the token, less a margin (arXiv 2405.14734)."""
    return how.total(-logsigmoid(_gap(how, answers) - how.gamma))


def orpo(how: Preferring, answers: Answers) -> tuple[Tensor, float]:
    """What a token of the better answer costs, and beta times how its odds stand to the other's (arXiv 2403.07691)."""
    better = answers.policy[:, 0] / answers.tokens[:, 0]
    return how.total(-better - how.beta * logsigmoid(_gap(how, answers)))


def kto(how: Preferring, answers: Answers) -> tuple[Tensor, float]:
    """How far each answer is on its side of what the model says of unrelated ones (arXiv 2402.01306).

    The last sequence of each row is the unrelated one. Where rows have no such, the level is 0.
    """
    count = 2 if answers.liked is None else 1
    moved = answers.policy - answers.reference
    moved = moved / answers.tokens if how.normalise else moved
    level = moved[:, count:].mean().clamp(min=0).detach() if moved.shape[1] > count else torch.zeros(())
    liked = torch.tensor([[1.0, 0.0]]) if answers.liked is None else answers.liked[:, None]
    side = 2 * liked - 1
    weights = torch.where(liked > 0, how.desirable_weight, how.undesirable_weight)
    return how.total(weights * (1 - torch.sigmoid(side * how.beta * (moved[:, :count] - level))))


_LOSSES = {"dpo": dpo, "ipo": ipo, "simpo": simpo, "orpo": orpo, "kto": kto}
