"""Part of a recipe about learning from preferences: which of two answers is better, or whether one is liked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.part import Auto, Part, Positive

BY_TOKEN = ("orpo", "simpo")
"""Losses that are defined on likelihoods by the token."""


class PreferenceRecipe(Part):
    """Of the task preference."""

    loss: Literal["auto", "dpo", "ipo", "orpo", "kto", "simpo"] = Field(
        "auto",
        description="dpo (arXiv 2305.18290), ipo (2310.12036), orpo (2403.07691), kto (2402.01306) or simpo "
        "(2405.14734); auto: dpo of pairs, kto of thumbs.",
    )
    beta: Auto | Positive = Field(
        "auto",
        description="How tightly answers are held to the reference, or of orpo how much preferences count beside "
        "likelihood; auto: as published, 2 of simpo and 0.1 of the others.",
    )
    gamma: Annotated[float, Field(ge=0)] = Field(
        1.0, description="Of simpo: by how much the better answer's reward shall be the larger one."
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="Of dpo: share of the pairs that are thought to stand the wrong way round."
    )
    desirable_weight: Positive = Field(1.0, description="Of kto: how much a liked answer counts.")
    undesirable_weight: Positive = Field(1.0, description="Of kto: how much a disliked answer counts.")
    normalise: Auto | bool = Field(
        "auto",
        description="Likelihoods by the token rather than by the answer; auto: of orpo and simpo, defined so.",
    )
    samples: Annotated[int, Field(ge=0)] = Field(
        32, description="Test prompts answered by base and tuned model, to see how far and how long answers go."
    )
