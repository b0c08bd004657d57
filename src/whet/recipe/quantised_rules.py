"""What contradicts method quantised, which rounds the weights of a base and trains nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from whet.recipe.distillation import DistillationRecipe, StudentRecipe
from whet.recipe.few_shot import SelfTrainingRecipe
from whet.recipe.names import QUANTISABLE
from whet.recipe.rows import VocabularyRecipe
from whet.recipe.search import SearchRecipe
from whet.recipe.training import RegularisationRecipe, TrainingRecipe

if TYPE_CHECKING:
    from whet.recipe.schema import Recipe

METHOD = "quantised"
BASE = "base"
"""The baseline that says what rounding costs."""
OF_TRAINING = ("training", "regularisation", "distillation", "self_training", "student", "vocabulary")
"""Parts of a recipe that say how something is learnt."""

Contradiction = tuple[str, str, str, str]
"""Code, option, what is wrong, what to do."""


def quantised(recipe: Recipe) -> Iterator[Contradiction]:
    """Everything that cannot be meant together with rounding alone."""
    space = recipe.search.space
    if isinstance(space, dict) and METHOD in (space.get("method") or ()):
        what = f"names method {METHOD!r}, which trains nothing that could be searched over."
        yield "R038", "search.space", what, "Take it out, and round the model that is found in a recipe of its own."
    if recipe.method != METHOD:
        return
    if recipe.task not in QUANTISABLE:
        what = f"quantised rounds a base that does its task already, and {recipe.task} learns its answers anew."
        yield "R039", "method", what, f"Use qlora, or one of these tasks: {', '.join(QUANTISABLE)}."
    yield from _without_training(recipe)
    named = recipe.evaluation.baselines
    if named != "auto" and BASE not in ([named] if isinstance(named, str) else named):
        what = f"leaves out {BASE!r}, the model in whole weights that the rounded one is held against."
        yield "R038", "evaluation.baselines", what, "Add it, or leave it at auto."


def _without_training(recipe: Recipe) -> Iterator[Contradiction]:
    """Options that say how something is learnt."""
    fresh = {
        "training": TrainingRecipe(fast_paths=recipe.training.fast_paths),
        "regularisation": RegularisationRecipe(),
        "distillation": DistillationRecipe(),
        "self_training": SelfTrainingRecipe(),
        "student": StudentRecipe(),
        "vocabulary": VocabularyRecipe(),
        "search": SearchRecipe(),
    }
    for name, one in fresh.items():
        if getattr(recipe, name) != one:
            what = f"is set, but method {METHOD!r} trains nothing."
            yield "R038", name, what, "Remove it, or do it in a stage before."
    if not recipe.head.keep_labels:
        what = f"is false, but method {METHOD!r} trains no other head."
        yield "R038", "head.keep_labels", what, "Leave it at true."
