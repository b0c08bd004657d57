"""The base of a run made smaller (``student``): written once into the run's folder, where it stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.data import general
from whet.errors import Problem, UserError
from whet.evaluation.retention import layers_in_words
from whet.files import read_json
from whet.models import loading, places, shrinking
from whet.models.places import Place
from whet.recipe import Recipe
from whet.recipe.distillation import StudentRecipe
from whet.recipe.names import ADAPTERS
from whet.workflows.events import Said

if TYPE_CHECKING:
    from whet.engine.events import Event
    from whet.workflows.running import Running

FOLDER = "base"
"""Below a run's folder."""
PIECES = 64
"""Of general text, by which a narrower model is chosen."""


def wanted(recipe: Recipe) -> bool:
    """Whether a run trains a base of its own making."""
    return recipe.student != StudentRecipe()


def place_of(recipe: Recipe, folder: Path) -> Place:
    """Where the base of a run in ``folder`` lies; made there if need be.

    :raises UserError: as :func:`whet.models.places.find` and :func:`whet.models.shrinking.shrink`.
    """
    if not wanted(recipe):
        return places.find(recipe.base)
    made = folder / FOLDER
    if not (made / shrinking.ABOUT).exists():
        whole = places.find(recipe.base)
        tokenizer = loading.load_tokenizer(whole)
        texts = general.halves(general.prose())[0][:PIECES]
        layers = recipe.student.layers
        shrinking.shrink(whole, layers, recipe.student.width, tokenizer, texts, made)
    return places.find(str(made))


def record(folder: Path) -> dict[str, Any] | None:
    """What the base of a run in ``folder`` was made of; None where it is as it came."""
    path = folder / FOLDER / shrinking.ABOUT
    return dict(read_json(path)) if path.exists() else None


def make(run: Running) -> Iterator[Event]:
    """Say what was made; asking for the place makes it."""
    _ = run.place
    found = record(run.folder.path)
    assert found is not None
    before, after = int(found["parameters_before"]), int(found["parameters"])
    parts = [named] if (named := layers_in_words(found)) else []
    parts += [f"{found['width']} numbers a token, {found['heads']} heads"] if "width" in found else []
    yield Said(f"student: {' and '.join(parts)} of {found['made_of']}: {after:,} of {before:,} weights")


def refuse_method(run: Running) -> None:
    """:raises UserError: R061, the method that auto became saves an adapter alone, upon a base of this run."""
    method = str(run.value("method"))
    if wanted(run.recipe) and method in ADAPTERS and not run.recipe.lora.merge:
        what = f"makes a base that lies in this run alone, and method {method!r} saves only what is put upon it."
        raise UserError(Problem("R061", "student", what, "Use method full or top-layers, or set lora.merge=true."))
