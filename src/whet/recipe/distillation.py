"""Parts of a recipe about distillation: the smaller base that is trained, and the teacher that it learns from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.evidence import Asked
from whet.recipe.part import Auto, Count, Part, Positive

Layer = Annotated[int, Field(ge=0)]


class StudentRecipe(Part):
    """The base made smaller before anything else; kept with the run."""

    layers: Count | list[Layer] | None = Field(
        None,
        description="Layers that are kept: how many, the first and the last among them, or their numbers from 0.",
    )
    width: Count | None = Field(
        None,
        description="Numbers in a token's vector: whole heads and the dimensions that most passes through are kept.",
    )


class DistillationRecipe(Asked):
    """A model that the run's learns from, beside the labels; the same model without it is trained as the control."""

    teacher: str | None = Field(
        None,
        description="A run, whose shipped model it is, a model folder or a hub id; with an endpoint the model's name "
        "there, which is asked in words.",
    )
    temperature: Positive = Field(2.0, description="What both models' logits are divided by (arXiv 1503.02531).")
    weight: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Share of a row's loss that is the distance to the teacher; the rest is that to its label."
    )
    hidden: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Weight of the distance between the two models' hidden states, layer by layer."
    )
    attention: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Weight of the distance between what tokens of a text look at in the last layers."
    )
    top_k: Count = Field(64, description="Of a vocabulary, how many of the teacher's likeliest tokens are kept.")
    unlabelled: str | None = Field(
        None,
        description="Texts without labels that the teacher is asked about, too, or prompts and sources that it writes "
        "targets to: a file, a folder or a hub id.",
    )
    texts: Literal["none", "replace", "join"] = Field(
        "none",
        description="Of tasks that write: what the teacher writes takes the place of the targets, or stands beside "
        "them (arXiv 1606.07947).",
    )
    max_tokens: Auto | Count = Field(
        "auto",
        description="Longest text of a teacher that writes, or that is asked in words; auto: as "
        "the run's, or by its labels.",
    )
    control: bool = Field(True, description="Train the same model without the teacher, to see what it is worth.")
