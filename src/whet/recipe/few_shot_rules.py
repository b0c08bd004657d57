"""Rules across options of learning from few labels: see :mod:`whet.recipe.rules`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from whet.recipe.few_shot import SelfTrainingRecipe

if TYPE_CHECKING:
    from whet.recipe.schema import Recipe

CLASSES = "text-classification"
"""The task whose rows have classes that could be contrasted, and labels that could be told."""

Contradiction = tuple[str, str, str, str]


def few_shot(recipe: Recipe) -> Iterator[Contradiction]:
    """What cannot be meant together with method contrastive, or with self-training."""
    if recipe.method == "contrastive":
        yield from _contrasted(recipe)
    if recipe.self_training != SelfTrainingRecipe():
        yield from _self_trained(recipe)


def _contrasted(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.task != CLASSES:
        yield (
            "R070",
            "method",
            f"contrastive brings texts of one class together, and {recipe.task} has no classes of texts.",
            "Use full or lora.",
        )
        return
    found = recipe.regularisation
    of_loss = {
        "regularisation.r_drop": found.r_drop > 0,
        "regularisation.class_weights": found.class_weights != "none",
        "regularisation.focal": found.focal > 0,
        "regularisation.sampling": found.sampling != "none",
        "training.label_smoothing": recipe.training.label_smoothing != "auto",
    }
    for name, is_set in of_loss.items():
        if is_set:
            yield (
                "R071",
                name,
                "is set, but belongs to a loss of labels: contrastive learns from pairs of texts, classes seen alike.",
                "Remove it, or set method to full.",
            )
    if recipe.contrastive.loss == "cosine" and recipe.contrastive.temperature != type(recipe.contrastive)().temperature:
        yield (
            "R071",
            "contrastive.temperature",
            f"is set, but contrastive.loss is {recipe.contrastive.loss!r}, which has none.",
            "Remove it, or set contrastive.loss to supervised.",
        )


def _self_trained(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.self_training.source is None:
        yield (
            "R072",
            "self_training",
            "is set, but names no texts to learn from.",
            "Set self_training.source to a file of texts, or remove it.",
        )
    if recipe.task != CLASSES:
        yield "R073", "self_training", f"is set, but belongs to {CLASSES}.", "Remove it, or set task to it."
    if recipe.method == "probe":
        yield (
            "R074",
            "self_training",
            "is set, but method is 'probe', which is fitted once on the rows with labels.",
            "Set method to full, contrastive or another that trains, or remove it.",
        )
    if recipe.method == "contrastive" and recipe.self_training.labels == "soft":
        yield (
            "R074",
            "self_training.labels",
            "is 'soft', but contrastive learns from classes, not from probabilities.",
            "Set self_training.labels to 'hard', or method to full.",
        )
    found = recipe.regularisation
    if recipe.self_training.labels == "soft" and (found.class_weights != "none" or found.focal):
        yield (
            "R074",
            "self_training.labels",
            "is 'soft', but regularisation.class_weights and focal are about rows of one label.",
            "Set self_training.labels to 'hard', or remove them.",
        )
    if recipe.distillation.teacher is not None:
        yield (
            "R075",
            "self_training",
            "is set, and so is distillation.teacher: each would be held against the other's model.",
            "Run them one after the other, as two recipes or as two stages.",
        )
