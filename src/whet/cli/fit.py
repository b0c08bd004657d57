"""``whet fit``: from data to a model with its evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Set, changes


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fit")(fit)


def fit(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA|RECIPE", help="File, folder, or hub data set id; or a recipe (YAML).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What to learn, such as question-answering.")] = None,
    model_base: Annotated[str | None, typer.Option("--base", help="minilm, a model folder, or a hub id.")] = None,
    method: Annotated[str | None, typer.Option(help="Which weights move: auto, probe, full, lora, ...")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label, tags, answers or score.")] = None,
    set_: Set = None,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="Recipe to start from (YAML).")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Run folder; runs/NAME-TIME if not given.")] = None,
    seed: Annotated[int | None, typer.Option(help="One seed for everything.")] = None,
    controls: Annotated[
        bool, typer.Option("--controls", help="Hold a training on texts against none, other text, and equal compute.")
    ] = False,
    json: Json = False,
) -> None:
    """Fine-tune on DATA, compare with baselines on the same rows, and say what to ship.

    Leaves a run folder with the model, predictions, scores, verdict and report.html.
    """
    from whet.cli.live import carry_out
    from whet.workflows.starting import is_recipe, recipe_of, start

    if data is not None and recipe is None and is_recipe(data):
        recipe, data = Path(data), None
    named = {
        "data.source": data,
        "task": task,
        "base": model_base,
        "method": method,
        "data.text": text,
        "data.label": label,
        "seed": seed,
        "controls.kinds": ["none", "irrelevant", "equal-compute"] if controls else None,
    }
    wanted = recipe_of(changes(named, set_), recipe)
    carry_out(lambda: start(wanted, out), json)
