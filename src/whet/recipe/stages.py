"""Parts of a recipe about several trainings in a row: stages, their controls, and rows chosen from a pool."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.part import Auto, Count, Part, Share

ControlKind = Literal["none", "irrelevant", "equal-compute"]


class ControlsRecipe(Part):
    """What a training on texts of the domain is held against."""

    kinds: list[ControlKind] = Field(
        [],
        description="none: the task alone; irrelevant: as much training on other text; equal-compute: the task alone "
        "for as many more tokens.",
    )
    seeds: Annotated[int, Field(ge=2)] = Field(3, description="Trainings of each, that differ by their seed.")
    irrelevant: str | None = Field(
        None,
        description="The text that has nothing to do with the domain, best as long as the domain's; not given: a few "
        "pages of general text, gone over again and again.",
    )


class SelectionRecipe(Part):
    """Training rows chosen from a pool by their likeness to a target; of language-modeling and fill-mask."""

    way: Literal["none", "dsir", "nearest"] = Field(
        "none",
        description="dsir: resampled by importance of hashed words (arXiv 2302.03169); nearest: by the cosine of "
        "their vectors to the nearest texts of the target.",
    )
    rows: Auto | Count = Field("auto", description="Rows of the pool that are trained on; auto: by share.")
    share: Share = Field(0.1, description="Share of the pool, where rows is not given.")
    target: str | None = Field(
        None,
        description="What rows shall be like: a file, a folder, a run or a stage, whose training texts count; in "
        "stages not given: the next one's.",
    )
    even_lengths: bool = Field(
        True,
        description="Of dsir: a text weighs as one of the pool's mean length; false: by the sum over its words, as "
        "published, which takes the shortest texts of a pool of many lengths.",
    )
    neighbours: Count = Field(8, description="Of nearest: how many texts of the target a row is compared with.")
