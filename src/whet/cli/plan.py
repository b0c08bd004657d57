"""``whet plan``: will it fit, how long will it take, and what will it cost?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json, Set, changes

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(
    what: Annotated[
        str | None, typer.Argument(metavar="RECIPE|DATA", help="A recipe (YAML), or a file, folder or hub data set id.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What to learn, such as question-answering.")] = None,
    model_base: Annotated[str | None, typer.Option("--base", help="minilm, a model folder, or a hub id.")] = None,
    method: Annotated[str | None, typer.Option(help="The method to plan for; all are shown.")] = None,
    set_: Set = None,
    shape: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="Instead of base and data: a config.json, or a shape such as opt-175b."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="An accelerator such as h100; this machine if not given.")] = None,
    accelerators: Annotated[int, typer.Option(min=1, help="How many of them share the work.")] = 1,
    memory: Annotated[float | None, typer.Option(min=0.001, help="GiB that may be used on each.")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Of an hour of one of them.")] = None,
    watts: Annotated[float | None, typer.Option(min=0, help="That one draws.")] = None,
    length: Annotated[int | None, typer.Option(min=8, help="With --shape: tokens of a text.")] = None,
    batch_tokens: Annotated[int | None, typer.Option(min=8, help="With --shape: tokens of a step.")] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="With --shape: tokens of the whole training.")] = None,
    no_trial: Annotated[bool, typer.Option("--no-trial", help="Work it out only; take no real step.")] = False,
    every: Annotated[bool, typer.Option("--try-all", help="Take real steps with every method.")] = False,
    json: Json = False,
) -> None:
    """Say what a run would need with each method: memory, time, energy and price.

    First from configuration and rows; then, for the method that was chosen, by a few real steps. Nothing is kept.
    """
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.errors import Problem, UserError
    from whet.workflows.advising import refuse_hopeless
    from whet.workflows.planning import Wish, plan, plan_shape
    from whet.workflows.starting import is_recipe, recipe_of, refuse_stages

    wish = Wish(accelerators, device, memory, price, watts, not no_trial, every, length, batch_tokens, tokens)
    screen = console(to_stderr=json)
    if shape is not None:
        if what is not None or model_base is not None or set_:
            remedy = "Leave out the data, --base and --set, or --shape."
            raise UserError(Problem("L003", "--shape", "is planned without data, base and recipe.", remedy))
        found = plan_shape(shape, wish, method=method or "full")
    else:
        given = [name for name in ("length", "batch_tokens", "tokens") if getattr(wish, name) is not None]
        if given:
            options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            remedy = "Use --set data.max_length, training.batch_tokens or training.epochs."
            raise UserError(Problem("L003", options, "belongs to --shape.", remedy))
        file = Path(what) if what is not None and is_recipe(what) else None
        named = {"data.source": None if file else what, "task": task, "base": model_base, "method": method}
        progress = ProgressLine(screen)
        recipe = recipe_of(changes(named, set_), file)
        refuse_stages(recipe, "plan")
        found = plan(recipe, wish, progress.tell)
        progress.clear()
    if json:
        print_json(found)
    else:
        show(screen, found)
    refuse_hopeless(found)


def show(screen: Console, found: dict[str, Any]) -> None:
    """For people: what is planned, a table of methods, and what to do."""
    from whet.cli.screen import table

    for line in _head(found):
        screen.print(line, markup=False)
    taken = [row for row in found["methods"] if "reason" not in row]
    titles = ["method", "weights that move", "lasting", "of a step", "peak", "fits"]
    table(screen, titles, [_sizes(row) for row in taken], right=range(1, len(titles) - 1))
    extra = {"kWh": "kilowatt_hours", "price": "price"}
    shown = {title: key for title, key in extra.items() if any(row[key] is not None for row in taken)}
    titles = ["method", "time with looks", "tokens/s", *shown, "from"]
    rows = [[*_times(row), *(_amount(row[key]) for key in shown.values()), row["from"]] for row in taken]
    table(screen, titles, rows, right=range(2, len(titles) - 1))
    for row in found["methods"]:
        if "reason" in row:
            screen.print(f"{row['method']}: not here. {row['reason']}", markup=False)
        elif "failed" in row.get("trial", {}):
            screen.print(f"{row['method']}: no trial, {row['trial']['failed']}", markup=False)
    _show_micro_batches(screen, found)
    if found["advice"]["method"] is not None:  # else it is the error that ends the command
        screen.print(found["advice"]["why"], markup=False)


def _head(found: dict[str, Any]) -> list[str]:
    from whet.cli.screen import count_of

    subject, machine = found["subject"], found["machine"]
    sizes = [row["total_parameters"] for row in found["methods"] if row["method"] == "full" and "reason" not in row]
    weights = f", {count_of(sizes[0])} weights" if sizes else ""
    rows = "" if subject["rows"] is None else f"{subject['rows']:,} rows, "
    what = f"{subject['task']} on {subject['base']}{weights}: {rows}{subject['tokens']:,} tokens, "
    what += (
        f"longest {subject['longest']:,}; {subject['epochs']:g} passes in steps of {subject['batch_tokens']:,} tokens"
    )
    where = f"{machine['number']} x {machine['name']}" if machine["number"] > 1 else str(machine["name"])
    power = "power not known (--watts)" if machine["watts"] is None else f"{machine['watts']:,.0f} W"
    able = f"{_gib(machine['memory'])}, {machine['flops'] / 1e12:,.2f} TFLOP/s in {subject['precision']}, {power}"
    return [what, f"on {where}: {able} ({machine['source']}); {machine['spread']}"]


def _sizes(row: dict[str, Any]) -> list[str]:
    from whet.cli.screen import count_of

    parts = row["bytes"]
    lasting = sum(parts[name] for name in ("weights", "masters", "gradients", "moments"))
    share = row["trainable_parameters"] / max(1, row["total_parameters"])
    shown = f"{100 * share:.0f}" if share > 0.1 else f"{100 * share:.2g}"
    fits = "yes" if row["fits"] else "no"
    if not row["fits"] and row["fitting_micro_batch_tokens"]:
        fits = f"in micro-batches of {row['fitting_micro_batch_tokens']:,}"
    elif not row["fits"] and row["devices"] > 1:
        fits = f"on {row['devices']:,} devices"
    return [
        row["method"],
        f"{count_of(row['trainable_parameters'])} ({shown} %)",
        _gib(lasting),
        _gib(parts["activations"]),
        _gib(row["peak_bytes"]),
        fits,
    ]


def _times(row: dict[str, Any]) -> list[str]:
    seconds, rate = row["seconds"], row["tokens_per_second"]
    return [row["method"], _span(seconds), "-" if rate is None else f"{rate:,.0f}"]


def _show_micro_batches(screen: Console, found: dict[str, Any]) -> None:
    """Memory as micro-batches grow, of the method that was asked for."""
    row = next(one for one in found["methods"] if one["method"] == found["subject"]["method"])
    if "reason" in row or len(row["by_micro_batch"]) < 2:
        return
    sizes = ", ".join(f"{tokens:,} tokens {_gib(size)}" for tokens, size in row["by_micro_batch"])
    screen.print(f"{row['method']} with micro-batches of {sizes}", markup=False)


def _gib(size: float) -> str:
    gib = size / 2**30
    return f"{gib:,.0f} GiB" if gib >= 100 else f"{gib:.2f} GiB" if gib < 10 else f"{gib:.1f} GiB"


UNITS = ((3 * 86400.0, 86400.0, "days"), (3 * 3600.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))
"""From so many seconds on, the unit in which they are said."""


def _span(seconds: dict[str, float]) -> str:
    """``12.4 min (10.1 - 14.8)``."""
    _, size, name = next(unit for unit in UNITS if seconds["value"] >= unit[0])
    value, low, high = (f"{seconds[key] / size:,.1f}" for key in ("value", "low", "high"))
    return f"{value} {name} ({low} - {high})"


def _amount(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value >= 0.01 else f"{value:.2g}"
