"""What ``auto`` becomes where labels are few: when method contrastive is taken, and how long it trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from whet.recipe.training import LayersRecipe, LoraRecipe, RegularisationRecipe, TrainingRecipe

if TYPE_CHECKING:
    from whet.recipe.schema import Recipe

FEWEST, MOST = 4, 64
"""Training rows of the rarest class, and of all classes on average, between which pairs of texts teach more than
labels do: see benchmarks/few_shot.py."""
RATE = 0.5
"""Of the rate of full tuning."""
SEEN = 3_000
"""Texts that training shows in all, within the bounds of :data:`EPOCHS`: with fewer rows each is seen more often."""
EPOCHS = (3.0, 10.0)
SIDE_BY_SIDE = 8
"""Classes that all stand in a batch of about 32 rows, four of each."""
SMOOTHING = (0.0, "contrastive learns from pairs of texts, not from labels")


def contrasted(recipe: Recipe, class_rows: Sequence[int], fits: bool) -> str:
    """Why ``auto`` becomes contrastive; empty where it does not.

    :param class_rows: (C,) training rows of each class; none where rows are pairs, on which it was not measured.
    :param fits: every weight of the base can be moved.
    """
    if recipe.task != "text-classification" or not class_rows or not fits or not _free(recipe):
        return ""
    mean, least = sum(class_rows) / len(class_rows), min(class_rows)
    if least < FEWEST or mean > MOST:
        return ""
    what = f"{mean:.0f} training rows a class, {least} of the rarest"
    return f"{what}: pairs of texts teach more than so few labels do; the probe is trained as well"


def _free(recipe: Recipe) -> bool:
    """Whether nothing is set that only another method could follow."""
    return (
        recipe.layers == LayersRecipe()
        and recipe.lora == LoraRecipe()
        and recipe.regularisation == RegularisationRecipe()
        and recipe.training.label_smoothing == TrainingRecipe().label_smoothing
        and not recipe.forgetting.interpolate
        and recipe.distillation.teacher is None
        and recipe.self_training.labels == "hard"
    )


def loss(num_labels: int) -> tuple[str, str]:
    """Which pairs are learnt from, and why."""
    if num_labels <= SIDE_BY_SIDE:
        return "cosine", f"{num_labels} classes stand side by side in every batch"
    return "supervised", f"{num_labels} classes, of which a batch shows a few: the nearest of them count most"


def epochs(num_rows: int) -> tuple[float, str]:
    """Passes over the rows, and why so many."""
    least, most = EPOCHS
    number = min(most, max(least, round(SEEN / max(1, num_rows))))
    return number, f"{num_rows:,} training rows: about {SEEN:,} texts seen, {most:g} passes at most, {least:g} at least"
