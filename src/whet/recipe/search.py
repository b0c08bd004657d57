"""The part of a recipe about a search over its own options: what is tried, how often, how long."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from whet.recipe.part import Auto, Count, Part, Positive

Chosen = bool | int | float | str | None


class SearchRecipe(Part):
    """Of 'whet sweep': what is tried, and how the best of it is looked at again."""

    space: Auto | dict[str, list[Chosen] | dict[str, float | bool]] = Field(
        "auto",
        description="Options by dotted name, each with a list of choices or a range such as "
        "{low: 1e-5, high: 1e-3, log: true} or {low: 1, high: 8, step: 1}; auto: methods that fit the base "
        "and the one that auto takes, with their rates, epochs, ranks and losses.",
    )
    trials: Count = Field(20, description="How many settings are tried; the first is the recipe as it stands.")
    minutes: Positive | None = Field(
        None,
        description="Time for trials and further seeds; what is under way then ends with its best state, and a further "
        "seed that was cut short does not judge. Baselines and the finalists' predictions come on top. Where the "
        "minutes are few, and training.epochs is auto, each training takes fewer passes, which stay when the search "
        "is gone on with.",
    )
    seeds: Count = Field(
        4,
        description="Trainings of each of the best settings, each with another seed. Of three or more the first, by "
        "which the setting was chosen, is not judged.",
    )
    finalists: Annotated[int, Field(ge=1, le=10)] = Field(
        4,
        description="Settings that are repeated and judged on test rows: the best of each method first; the recipe as "
        "it stands is among them.",
    )
    workers: Annotated[int, Field(ge=1, le=64)] = Field(1, description="Processes that try settings at once.")
    sampler: Literal["tpe", "random", "grid"] = Field(
        "tpe", description="How settings are chosen: by what did well (arXiv 2304.11127), at random, or all of them."
    )
    pruner: Literal["median", "none"] = Field(
        "median", description="Give up a trial whose best look at validation is worse than half of the others' by then."
    )
    metric: str = Field(
        "auto", description="By which validation chooses; auto: what training itself goes by to keep its best state."
    )

    @field_validator("space", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        """YAML 1.1 reads 1e-4 as a word; people mean the number."""
        if not isinstance(value, dict):
            return value
        return {
            name: [_number(one) for one in some] if isinstance(some, list) else some for name, some in value.items()
        }


def _number(value: Any) -> Any:
    if isinstance(value, str) and "e" in value.lower():
        try:
            return float(value)
        except ValueError:
            return value
    return value
