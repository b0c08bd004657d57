"""What contradicts what in the part of a recipe about preferences."""

from __future__ import annotations

from collections.abc import Iterator

from whet.recipe.preference import BY_TOKEN, PreferenceRecipe
from whet.recipe.schema import Recipe

OF_SOME_LOSSES: dict[str, tuple[str, ...]] = {
    "gamma": ("simpo",),
    "label_smoothing": ("dpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
}
"""Options that belong to some losses alone; ``auto`` becomes dpo or kto."""
Found = tuple[str, str, str, str]
"""Code, option, what is wrong, what to do."""


def preferred(recipe: Recipe) -> Iterator[Found]:
    """Everything about preferences that cannot be meant together."""
    if recipe.task != "preference":
        return
    wanted, fresh = recipe.preference, PreferenceRecipe()
    for name, losses in OF_SOME_LOSSES.items():
        is_set = getattr(wanted, name) != getattr(fresh, name)
        if is_set and wanted.loss not in (*losses, "auto"):
            what = f"is set, but the loss is {wanted.loss}."
            yield "R080", f"preference.{name}", what, f"Set preference.loss to {losses[0]}, or remove it."
        elif is_set and wanted.loss == "auto" and not {"dpo", "kto"} & set(losses):
            what = f"is set, and auto never becomes {losses[0]}."
            yield "R080", f"preference.{name}", what, f"Set preference.loss to {losses[0]}."
    if wanted.loss in BY_TOKEN and wanted.normalise is False:
        what = f"is false, but {wanted.loss} is defined on likelihoods by the token."
        yield "R081", "preference.normalise", what, "Leave it at auto, or choose another loss."
    if recipe.method == "probe":
        what = "is 'probe', but a preference is learnt by the base's own weights or an adapter's."
        yield "R082", "method", what, "Choose another method."
