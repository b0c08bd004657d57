"""Reading what a recipe names; apart from the other stages, since an audit needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whet.data import reading
from whet.recipe import Recipe

Tell = Callable[[str, int, int | None], None]
"""Progress within a stage: what, how much is done, how much there is."""


def read_rows(recipe: Recipe, into: Path, tell: Tell) -> reading.ReadResult:
    """Read what the recipe names."""
    data = recipe.data
    return reading.read(
        data.source,
        into=into,
        text=None if data.text == "auto" else data.text,
        label=None if data.label == "auto" else data.label,
        text_pair=None if data.text_pair == "auto" else data.text_pair,
        label_separator=data.label_separator,
        encoding=data.encoding,
        drop_unlabelled=data.drop_unlabelled,
        seed=recipe.seed,
        validation_share=data.validation_share,
        test_share=data.test_share,
        progress=tell,
    )
