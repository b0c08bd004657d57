"""Several tasks learnt together: the part of a recipe about it, and the whole recipe of each task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from whet.errors import Problem, UserError
from whet.recipe.lines import at, within
from whet.recipe.part import Part

if TYPE_CHECKING:
    from whet.recipe.schema import Recipe

TOGETHER = ("auto", "full", "top-layers", "bitfit", "lora", "ia3")
"""Methods that may move one trunk for several tasks."""
ALONE = ("stages", "controls", "student", "distillation", "self_training", "selection", "search")
"""Parts of a recipe that have no meaning for tasks learnt together."""
OF_ALL = ("base", "seed", "method", "vocabulary", "tasks", "mixing", "version")
"""Options that all tasks have in common, so that none has one of its own."""
FOREIGN = tuple(dict.fromkeys((*OF_ALL, *ALONE)))
"""What no task has for itself."""
PART = "task"
"""What one of several trainings is called here."""


class MixingRecipe(Part):
    """How tasks that are learnt together take turns."""

    by: Literal["size", "temperature", "uncertainty"] = Field(
        "size",
        description="size: every row of every task is seen as often; temperature: small tasks more often; uncertainty: "
        "by size, and losses weighed by what is learnt of their variance (arXiv 1705.07115).",
    )
    temperature: Annotated[float, Field(ge=1)] = Field(
        2.0, description="Of 'temperature': the share of a task of n batches is that of n^(1 / temperature)."
    )
    control: bool = Field(True, description="Train each task alone as well, to see what sharing gave and took.")


def tasks_of(
    recipe: Recipe, lines: Mapping[str, str], build: Callable[[Mapping[str, Any], Mapping[str, str]], Recipe]
) -> dict[str, Recipe]:
    """The whole recipe of each task, by its name, from the one that holds them all.

    What stands above holds for tasks of the same kind; others begin from the defaults, with base, seed, method and
    vocabulary from above. One that names rows of its own takes nothing of ``data`` from above.

    :raises UserError: R090 names, R091 what no task can have, R092 methods and parts that do not go with several
        tasks; and, of each task, as ``build``.
    """
    given = dict(enumerate(recipe.tasks))
    problems = [*of_names(given, lines), *_of_the_whole(recipe, lines)]
    found = dict[str, Any]()
    for number, one in given.items():
        name = str(one.get("name"))
        try:
            found[name] = build(_values(recipe, one), _lines_of(recipe, number, lines))
        except UserError as error:
            problems += [replace(p, where=f"task {name!r}, {p.where}") for p in error.problems]
    if problems:
        raise UserError(problems)
    return found


def _values(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    above = recipe.model_dump(exclude={"tasks", "mixing", "version"})
    own = {name: value for name, value in given.items() if name != "name" and name not in FOREIGN}
    if own.get("task", recipe.task) != recipe.task:
        return {**{name: above[name] for name in OF_ALL if name in above}, **own}
    for name, value in own.items():
        both = isinstance(value, Mapping) and isinstance(above.get(name), dict)
        names_rows = name == "data" and _has_rows(own)
        above[name] = {**above[name], **value} if both and not names_rows else value
    return above


def _lines_of(recipe: Recipe, number: int, lines: Mapping[str, str]) -> dict[str, str]:
    """Lines of a task's options, those from above among them that hold for it."""
    given = recipe.tasks[number]
    if given.get("task", recipe.task) != recipe.task:
        above = {name: line for name, line in lines.items() if name.partition(".")[0] in OF_ALL}
    else:
        foreign = ("tasks", "data") if _has_rows(given) else ("tasks",)
        above = {name: line for name, line in lines.items() if name.partition(".")[0] not in foreign}
    return above | within(f"tasks.{number}", lines)


def _has_rows(given: Mapping[str, Any]) -> bool:
    """Whether a task names rows of its own."""
    return isinstance(given.get("data"), Mapping) and "source" in given["data"]


def of_names(tasks: Mapping[int, Mapping[str, Any]], lines: Mapping[str, str]) -> Iterator[Problem]:
    """R090 and R091 of tasks by their numbers, each as it was given."""
    if len(tasks) == 1:
        what = "holds one task alone, which shares its model with no other."
        yield Problem("R090", at("tasks", lines), what, "Add another, or put its options at the top of the recipe.")
    earlier: list[Any] = []
    for number, given in tasks.items():
        where, name = at(f"tasks.{number}.name", lines), given.get("name")
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            what = "the task has no name." if name is None else f"the task is called {name!r}."
            yield Problem("R090", where, what, "Give it a name of letters, digits, - and _.")
        elif name in earlier:
            yield Problem("R090", where, f"two tasks are called {name!r}.", "Give each a name of its own.")
        earlier.append(name)
        if not isinstance(given.get("data"), Mapping):
            what = "names no rows."
            yield Problem("R090", at(f"tasks.{number}", lines), what, "Give it data, with its source or its label.")
        for option in sorted(given.keys() & set(FOREIGN)):
            what = "belongs to all tasks together, not to one of them."
            yield Problem("R091", at(f"tasks.{number}.{option}", lines), what, "Move it to the top of the recipe.")


def _of_the_whole(recipe: Recipe, lines: Mapping[str, str]) -> Iterator[Problem]:
    if recipe.method not in TOGETHER:
        what = f"is {recipe.method!r}, which several tasks cannot share."
        yield Problem("R092", at("method", lines), what, f"Use one of {', '.join(TOGETHER)}.")
    fresh = type(recipe)(data=recipe.data)
    for name in ALONE:
        if getattr(recipe, name) != getattr(fresh, name):
            what = "is set, but has no meaning for tasks that are learnt together."
            yield Problem("R092", at(name, lines), what, "Remove it, or learn the tasks in a recipe each.")
    unshared = {
        "layers.gradual": recipe.layers.gradual > 0,
        "regularisation.l2_start": recipe.regularisation.l2_start > 0,
        "regularisation.mixout": recipe.regularisation.mixout > 0,
        "training.learning_rate": recipe.training.learning_rate == "range-test",
        "forgetting.replay": recipe.forgetting.replay > 0,
    }
    for name, is_set in unshared.items():
        if is_set:
            what = "is set, but is not known how to share among tasks."
            yield Problem("R092", at(name, lines), what, "Remove it.")
    if recipe.mixing.by != "temperature" and recipe.mixing.temperature != MixingRecipe().temperature:
        what = f"is set, but mixing.by is {recipe.mixing.by!r}."
        yield Problem("R092", at("mixing.temperature", lines), what, "Set mixing.by to 'temperature', or remove it.")
