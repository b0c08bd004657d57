"""The recipe of each stage, whole and checked, from the one that holds them all.

What stands above holds for stages of the same task; a stage of another task begins from the defaults, with the seed
and the base from above. A stage that names rows of its own takes nothing of ``data`` from above. The first stage begins
from the base above, every other one from the model of the stage before, unless it names a base or an earlier stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from whet.errors import Problem, UserError
from whet.recipe.names import SOFT
from whet.recipe.schema import Recipe
from whet.recipe.stages import ControlsRecipe

Build = Callable[[Mapping[str, Any], Mapping[str, str]], Recipe]
"""Values and lines to a checked recipe."""

ADAPTING = ("language-modeling", "fill-mask")
"""Tasks that teach a base the texts of a domain."""
NAMED = {"base": "model", "distillation.teacher": "model", "selection.target": "rows"}
"""Options whose value may be the name of another stage, and what of that stage is meant."""
OF_THE_WHOLE = ("stages", "controls", "version")
"""What no stage has for itself."""
OF_ONE_RECIPE = {
    "tasks": "Learn them together in a recipe of their own.",
    "mixing": "Learn tasks together in a recipe of their own.",
    "search": "Move it to the top of the recipe: whet sweep searches over the last stage.",
}
"""What has no place among stages at all, and what to do in its place."""
OF_ALL_STAGES = ("version", "task", "base", "seed", "data", "search", *OF_THE_WHOLE)
"""What above stages is not lost where no stage has its task."""
UNMERGED = (*SOFT, "ia3")
"""Methods whose adapters cannot be merged, so that no other stage may begin from their models."""
_NAME = re.compile(r"[A-Za-z0-9][\w-]*")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. ``needs``: option -> the stage that it names."""

    name: str
    recipe: Recipe
    needs: Mapping[str, str] = field(default_factory=dict)


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """With the task and the data of the last stage where stages are given and these are not; of tasks, with data."""
    found, stages = dict(values), values.get("stages")
    tasks = values.get("tasks")
    for task in tasks if isinstance(tasks, list) else ():
        if isinstance(task, Mapping) and "data" in task:
            found.setdefault("data", task["data"])
    if isinstance(stages, list) and stages and isinstance(stages[-1], Mapping):
        for name in ("task", "data"):
            if name in stages[-1]:
                found.setdefault(name, stages[-1][name])
        last, above = stages[-1].get("data"), found.get("data")
        if isinstance(last, Mapping) and isinstance(above, Mapping) and "source" in last:
            found["data"] = {"source": last["source"], **above}
    return found


def expand(recipe: Recipe, lines: Mapping[str, str], build: Build) -> list[Stage]:
    """The stages in their order.

    :param lines: where each dotted name was read, for the messages.
    :raises UserError: R050 names, R051 what a stage cannot have, R052 a model that nothing can begin from, R053
        controls without anything to control, R054 options without effect, R057 a stage that comes later; and, of each
        stage, as ``build``.
    """
    problems = [*_of_names(recipe, lines), *_of_controls(recipe, lines), *_without_effect(recipe, lines)]
    if problems:
        raise UserError(problems)
    found: list[Stage] = []
    for number, (name, values) in enumerate(_laid_out(recipe)):
        try:
            found.append(Stage(name, build(values, _lines_of(number, lines)), _needs(values, recipe, number)))
        except UserError as error:
            problems += [Problem(p.code, f"stage {name!r}, {p.where}", p.what, p.remedy) for p in error.problems]
    problems += _of_bases(found, lines)
    if problems:
        raise UserError(problems)
    return found


def _names(recipe: Recipe) -> list[str]:
    return [str(one.get("name")) for one in recipe.stages]


def _laid_out(recipe: Recipe) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and values of each stage, not checked yet."""
    above, names = recipe.model_dump(exclude={*OF_THE_WHOLE, "search"}), _names(recipe)
    begun_from = _begun_from(recipe)
    for number, given in enumerate(recipe.stages):
        own = {name: value for name, value in given.items() if name != "name"}
        if own.get("task", recipe.task) == recipe.task:
            values = _over(above, own)
            if isinstance(own.get("data"), Mapping) and "source" in own["data"]:
                values["data"] = dict(own["data"])
        else:
            values = {"seed": recipe.seed, "base": recipe.base, **own}
        if number == len(names) - 1:  # the one that 'whet sweep' searches over
            values["search"] = recipe.search.model_dump()
        if number and "base" not in own:
            values["base"] = names[number - 1]
        if names[number] in begun_from and values.get("method", "auto") in ("auto", "lora", "qlora"):
            values = _over(values, {"lora": {"merge": True}})  # an adapter alone is nothing to begin from
        chosen = values.get("selection")
        if isinstance(chosen, Mapping) and chosen.get("way", "none") != "none" and not chosen.get("target"):
            following = names[number + 1 : number + 2]
            values = _over(values, {"selection": {"target": following[0]}}) if following else values
        yield names[number], values


def _over(above: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` laid over ``above``, option by option."""
    found = {name: dict(value) if isinstance(value, Mapping) else value for name, value in above.items()}
    for name, value in own.items():
        both = isinstance(value, Mapping) and isinstance(found.get(name), dict)
        found[name] = {**found[name], **value} if both else value
    return found


def _begun_from(recipe: Recipe) -> set[str]:
    """Stages from whose model another one begins."""
    names, found = _names(recipe), set[str]()
    for number, given in enumerate(recipe.stages):
        base = given.get("base", names[number - 1] if number else None)
        if base in names[:number]:
            found.add(str(base))
    return found


def _needs(values: Mapping[str, Any], recipe: Recipe, number: int) -> dict[str, str]:
    names, found = _names(recipe), {}
    for option, meant in NAMED.items():
        part, _, leaf = option.partition(".")
        value = values.get(part)
        named = value.get(leaf) if leaf and isinstance(value, Mapping) else value
        if named in (names if meant == "rows" else names[:number]) and named != names[number]:
            found[option] = str(named)
    return found


def _lines_of(number: int, lines: Mapping[str, str]) -> dict[str, str]:
    """Lines of a stage's options, those from above among them."""
    own = f"stages.{number}."
    above = {name: line for name, line in lines.items() if not name.startswith("stages.")}
    return above | {name.removeprefix(own): line for name, line in lines.items() if name.startswith(own)}


def _at(name: str, lines: Mapping[str, str]) -> str:
    return f"{lines[name]} {name}" if name in lines else name


def _of_names(recipe: Recipe, lines: Mapping[str, str]) -> Iterator[Problem]:
    names = _names(recipe)
    for number, given in enumerate(recipe.stages):
        where, name = _at(f"stages.{number}.name", lines), given.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            what = "has no name." if name is None else f"is called {name!r}."
            yield Problem("R050", where, f"the stage {what}", "Give it a name of letters, digits, - and _.")
        elif name in names[:number]:
            yield Problem("R050", where, f"two stages are called {name!r}.", "Give each a name of its own.")
        for option in sorted(given.keys() & set(OF_THE_WHOLE)):
            what = "belongs to the whole recipe, not to one stage."
            yield Problem("R051", _at(f"stages.{number}.{option}", lines), what, "Move it to the top of the recipe.")
        for option in sorted(given.keys() & set(OF_ONE_RECIPE)):
            what = "has no place in a stage."
            yield Problem("R051", _at(f"stages.{number}.{option}", lines), what, OF_ONE_RECIPE[option])
        if given.get("base") in names[number:]:
            what = f"is {given['base']!r}, a stage that does not come before this one."
            yield Problem("R057", _at(f"stages.{number}.base", lines), what, "Name an earlier stage, or a base.")


def _of_controls(recipe: Recipe, lines: Mapping[str, str]) -> Iterator[Problem]:
    """Controls need texts that are learnt from, and a task behind them."""
    wanted = recipe.controls
    if not wanted.kinds:
        if wanted != ControlsRecipe():
            what = "options of it are set, but no kinds of controls."
            yield Problem("R053", _at("controls", lines), what, "Set controls.kinds, or remove them.")
        return
    if num_adapting(recipe) in (0, len(recipe.stages)):
        what = f"hold a training on texts ({' or '.join(ADAPTING)}) against going without, and the stages do not begin "
        remedy = "Put such a stage first and the task behind it, or remove controls."
        yield Problem("R053", _at("controls.kinds", lines), f"{what}with one that a task follows.", remedy)
    if wanted.irrelevant is not None and "irrelevant" not in wanted.kinds:
        what = "is set, but 'irrelevant' is not among controls.kinds."
        yield Problem("R053", _at("controls.irrelevant", lines), what, "Add it, or remove this.")
    if len(set(wanted.kinds)) < len(wanted.kinds):
        yield Problem("R053", _at("controls.kinds", lines), "names one twice.", "Name each once.")


def num_adapting(recipe: Recipe) -> int:
    """How many of the first stages teach texts alone."""
    tasks = [one.get("task", recipe.task) for one in recipe.stages]
    return next((number for number, task in enumerate(tasks) if task not in ADAPTING), len(tasks))


def _without_effect(recipe: Recipe, lines: Mapping[str, str]) -> Iterator[Problem]:
    """Options above that belong to a task which no stage has."""
    if any(one.get("task", recipe.task) == recipe.task for one in recipe.stages):
        return
    fresh = Recipe(data=recipe.data)
    for name in Recipe.model_fields:
        if name not in OF_ALL_STAGES and getattr(recipe, name) != getattr(fresh, name):
            what = f"is set above, for {recipe.task}, which no stage has as its task."
            yield Problem("R054", _at(name, lines), what, "Move it into the stages that it is meant for.")


def _of_bases(stages: list[Stage], lines: Mapping[str, str]) -> Iterator[Problem]:
    """Stages whose model is needed, but is an adapter that cannot be merged."""
    methods = {one.name: one.recipe.method for one in stages}
    for number, one in enumerate(stages):
        named = one.needs.get("base")
        if methods.get(str(named)) in UNMERGED:
            what = f"begins from stage {named!r}, whose method {methods[str(named)]} leaves an adapter that no other "
            remedy = "Train that stage by full, lora, top-layers or bitfit, or name another base for this one."
            yield Problem("R052", _at(f"stages.{number}", lines), f"{what}training can begin from.", remedy)
