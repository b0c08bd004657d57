"""``whet sweep``: search over the options of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json, Set, changes

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep")(sweep)


def sweep(
    what: Annotated[
        str | None, typer.Argument(metavar="RECIPE|DATA", help="A recipe (YAML), or data as in whet fit.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Settings that are tried.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time for trials and further seeds: what is under way then ends with its best state. Baselines and "
            "the finalists' predictions come on top."
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes at once on this machine.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Trainings of each of the best settings.")] = None,
    task: Annotated[str | None, typer.Option(help="What to learn, such as question-answering.")] = None,
    model_base: Annotated[str | None, typer.Option("--base", help="minilm, a model folder, or a hub id.")] = None,
    method: Annotated[str | None, typer.Option(help="The only method that is tried.")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label, tags, answers or score.")] = None,
    seed: Annotated[int | None, typer.Option(help="One seed for everything.")] = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the sweep.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with a sweep, or help one that is under way.")
    ] = None,
    helper: Annotated[
        int | None,
        typer.Option("--helper", hidden=True, help="Of the command itself: help the process of this number."),
    ] = None,
    json: Json = False,
) -> None:
    """Try settings of a recipe, train the best with several seeds, and say which is worth it.

    The same command with --resume goes on where it was stopped or killed; no trial is counted twice.
    """
    from whet.errors import Problem, UserError
    from whet.workflows import sweep_starting
    from whet.workflows.starting import is_recipe, recipe_of

    searched = {"trials": trials, "minutes": minutes, "workers": workers, "seeds": seeds}
    named: dict[str, Any] = {f"search.{name}": value for name, value in searched.items()}
    named |= {"task": task, "base": model_base, "method": method, "data.text": text, "data.label": label, "seed": seed}
    if helper is not None and resume is not None:
        _help(resume, helper)
        return
    if (what is None) == (resume is None) or (resume is not None and out is not None):
        remedy = "Give one of them; --out belongs to a new sweep."
        raise UserError(Problem("O011", "whet sweep", "takes a recipe or data, or --resume DIR.", remedy))
    if resume is not None:
        _carry_out(*sweep_starting.reopen(resume, changes(named, set_)), json)
        return
    assert what is not None
    file = Path(what) if is_recipe(what) else None
    recipe = recipe_of(changes({**named, "data.source": None if file else what}, set_), file)
    _carry_out(*sweep_starting.start(recipe, out), json)


def _help(folder: Path, parent: int) -> None:
    """Be a further process of a sweep, for as long as the one that leads it lives."""
    from whet.cli.live import StopRequest
    from whet.folder import RunFolder
    from whet.workflows import sweeping
    from whet.workflows.sweep_workers import is_orphan

    stop = StopRequest(lambda: None)
    with stop.listening():
        for event in sweeping.help_with(
            RunFolder(folder), lambda *_: None, lambda: stop.requested or is_orphan(parent)
        ):
            if event.kind == "said":
                print(event.to_json()["message"], flush=True)


def _carry_out(recipe: Any, folder: Any, as_json: bool) -> None:
    """Search to the end, and print the table and the verdict (or one JSON object)."""
    from whet.cli.live import STOPPING, StopRequest, show_event
    from whet.cli.screen import ProgressLine, console, print_at_once, print_json
    from whet.errors import Interrupted
    from whet.files import read_json
    from whet.folder import INTERRUPTED
    from whet.workflows import sweeping
    from whet.workflows.sweep_end import RESULT

    screen = console(to_stderr=as_json)
    progress = ProgressLine(screen)
    stop = StopRequest(lambda: print_at_once(screen, STOPPING))
    screen.print(f"sweep: {folder.path}", markup=False)
    try:
        with stop.listening():
            for event in sweeping.carry_out(recipe, folder, progress.tell, lambda: stop.requested):
                show_event(screen, progress, event)
    except Interrupted:
        progress.clear()
        if as_json:
            print_json({"run": str(folder.path), "state": INTERRUPTED})
        raise Interrupted(f"Stopped; everything is saved. Go on with: whet sweep --resume {folder.path}") from None
    finally:
        progress.clear()
    path = folder.path / RESULT
    if not path.exists():  # this process has helped another one
        return
    found = read_json(path)
    if as_json:
        print_json({"run": str(folder.path), **found})
    else:
        _show(screen, folder.path, found)


def _show(screen: Console, folder: Path, found: dict[str, Any]) -> None:
    """For people: the table, the verdict, and where things are."""
    from whet.evaluation.measures import MEASURES

    metric = str(found["metric"])
    titles = ["model", MEASURES[metric].words, "seeds", "forgot", "moves", "memory added", "training", "size"]
    titles.append("ms a row")
    _side_by_side(screen, titles, [_row(one, metric) for one in found["table"]])
    for one in found["table"]:
        if one.get("seeds"):
            screen.print(f"  {_name(one)}: {_trainings(one['seeds'], metric)}", markup=False)
    told = "95 % interval over seeds and rows in brackets; of one training, over rows alone"
    screen.print(f"Test rows: {found['num_test_rows']:,}; {told}.", style="dim")
    screen.print("Memory added is the most by which the process grew while it trained.", style="dim")
    if any(one["costs"].get("base_bytes") for one in found["table"]):
        screen.print("Size is of all that must be shipped: of an adapter its base, too.", style="dim")
    for one in found["findings"]:
        mark = "!" if one["bin"] == "issue" else "-"
        screen.print(f"{mark} {one['code']} {one['message']}", markup=False)
    verdict = found["verdict"]
    screen.print(f"\nVerdict ({verdict['code'].replace('_', ' ')}): {verdict['reason']}", style="bold", markup=False)
    screen.print(f"\nreport:  {folder / 'sweep.html'}\npredict: whet predict {folder} FILE", markup=False)


def _side_by_side(screen: Console, titles: list[str], rows: list[list[str]]) -> None:
    """A table; what the screen is too narrow for stands in a further one, beside the names again."""
    from whet.cli.live import fitting
    from whet.cli.screen import table

    while True:
        most = fitting([titles, *rows], screen.width)
        table(screen, titles[:most], [row[:most] for row in rows], right=range(1, most))
        if most == len(titles):
            return
        titles, rows = [titles[0], *titles[most:]], [[row[0], *row[most:]] for row in rows]


def _row(one: dict[str, Any], metric: str) -> list[str]:
    """What a contender is worth and what it costs."""
    from whet.cli.screen import duration, measured
    from whet.evaluation.measures import MEASURES
    from whet.report.sweep_page import shipped_bytes

    costs = one["costs"]
    size, rate = shipped_bytes(costs), costs.get("predict_rows_per_second")
    return [
        f"{'> ' if one['ships'] else '  '}{_name(one)}",
        measured(one["value"], percent=MEASURES[metric].shown == "points"),
        str(one["num_seeds"]),
        _forgot(one.get("forgetting")),
        _moving(costs),
        "-" if costs.get("added_bytes") is None else f"{costs['added_bytes'] / 1e6:.0f} MB",
        "-" if not costs.get("train_seconds") else duration(costs["train_seconds"]),
        "-" if not size else f"{size / 1e6:.1f} MB",
        "-" if not rate else f"{1000 / rate:.2f}",
    ]


def _trainings(seeds: list[dict[str, Any]], metric: str) -> str:
    """Every training by its seed: ``0: 71.2 (chose the setting, does not judge), 1: 70.1``."""
    from whet.cli.screen import measured
    from whet.evaluation.measures import MEASURES

    percent, said = MEASURES[metric].shown == "points", []
    for one in seeds:
        if one["value"] is None:
            said.append(f"{one['seed']}: {one['note']}")
            continue
        note = f" ({one['note']})" if one["note"] else ""
        said.append(f"{one['seed']}: {measured({'value': one['value']}, percent=percent)}{note}")
    return f"seed {', '.join(said)}"


def _forgot(told: dict[str, Any] | None) -> str:
    """In points of accuracy where probes were asked, in nats a token where a text was read."""
    if told is None:
        return "-"
    return f"{100 * told['value']:.1f}" if told["way"] == "probes" else f"{told['value']:.3f} nats"


def _moving(costs: dict[str, Any]) -> str:
    """The share of the weights that move, or their number: ``100 %``, ``0.74 %``, ``2.3 k``."""
    from whet.cli.screen import count_of

    moved, total = costs.get("trainable_parameters"), costs.get("total_parameters")
    if not moved:
        return "-"
    if not total:
        return count_of(moved)
    return f"{100 * moved / total:.{0 if moved > 0.1 * total else 2}f} %"


def _name(one: dict[str, Any]) -> str:
    """``trial 7, lora``."""
    if one["is_baseline"]:
        return str(one["name"])
    return f"{'the recipe' if one['trial'] == 1 else one['name']}, {one['kind']}"
