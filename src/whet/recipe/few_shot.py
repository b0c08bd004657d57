"""Parts of a recipe about few labels: learning from pairs of texts, and from texts without labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.part import Count, Part, Positive

Sure = Annotated[float, Field(gt=0.5, lt=1)]


class ContrastiveRecipe(Part):
    """Method contrastive: vectors of one class are brought together, then a linear head is fitted on them."""

    loss: Literal["auto", "supervised", "cosine"] = Field(
        "auto",
        description="Tell texts of one class from all others of a batch (arXiv 2004.11362), or bring the cosine of "
        "each pair to 1 or 0 (SetFit, arXiv 2209.11055); auto: by the number of classes.",
    )
    temperature: Positive = Field(0.1, description="Of loss supervised: cosines are divided by it.")
    together: Annotated[int, Field(ge=2)] = Field(4, description="Texts of a class that stand together in a batch.")


class SelfTrainingRecipe(Part):
    """Texts without labels, labelled by the model of the method; a second one learns from all of them."""

    source: str | None = Field(None, description="A file or folder of texts; no column of labels is read.")
    threshold: Sure = Field(0.9, description="Least calibrated probability of a label that is taken.")
    rounds: Count = Field(1, description="How often texts are labelled, each time by the model of the round before.")
    labels: Literal["hard", "soft"] = Field(
        "hard", description="Learn the likeliest label of a text, or all probabilities of it."
    )
    balanced: bool = Field(False, description="Take texts of each class in the shares of the training rows.")
