"""The recipe of each stage, whole and checked, from the one that holds them all.

What stands above holds for stages of the same task; a stage of another task begins from the defaults, with the seed
and the base from above. A stage that names rows of its own takes nothing of ``data`` from above. The first stage begins
from the base above, every other one from the model of the stage before, unless it names a base or an earlier stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from whet.errors import Problem, UserError
from whet.recipe.lines import at, within
from whet.recipe.names import SOFT
from whet.recipe.quantised_rules import METHOD as ROUNDING
from whet.recipe.quantised_rules import OF_TRAINING
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
FOREIGN = (*OF_THE_WHOLE, *OF_ONE_RECIPE)
"""Both."""
PART = "stage"
"""What one of several trainings is called here."""
OF_ALL_STAGES = ("version", "task", "base", "seed", "data", "search", *OF_THE_WHOLE)
"""What above stages is not lost where no stage has its task."""
_OF_METHODS = ("lora", "soft", "contrastive", "layers")
"""Parts of a recipe that belong to methods which train."""
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
    given = dict(enumerate(recipe.stages))
    problems = [*of_names(given, lines), *_of_controls(recipe, lines), *_without_effect(recipe, lines)]
    found: dict[int, Stage] = {}
    for number, (name, values) in enumerate(_laid_out(recipe)):
        try:
            stage = build(values, _lines_of(recipe, number, lines))
            found[number] = Stage(name, stage, _needs(values, recipe, number))
        except UserError as error:
            problems += [of_part(problem, PART, number, given[number]) for problem in error.problems]
    problems += _of_bases(found, lines)
    if problems:
        raise UserError(problems)
    return list(found.values())


def of_part(problem: Problem, part: str, number: int, given: Mapping[str, Any]) -> Problem:
    """A problem, said to be of one of several trainings: by its name, or by its place where it has none."""
    name = repr(given["name"]) if isinstance(given.get("name"), str) else number + 1
    return replace(problem, where=f"{part} {name}, {problem.where}")


def _names(recipe: Recipe) -> list[str]:
    return [str(one.get("name")) for one in recipe.stages]


def _laid_out(recipe: Recipe) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and values of each stage, not checked yet."""
    above, names = recipe.model_dump(exclude={*OF_THE_WHOLE, "search"}), _names(recipe)
    begun_from = _begun_from(recipe)
    for number, given in enumerate(recipe.stages):
        own = {name: value for name, value in given.items() if name != "name" and name not in FOREIGN}
        if own.get("task", recipe.task) == recipe.task:
            values = _over(_for_method(above, own.get("method")), own)
            if _has_rows(own):
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


def _for_method(above: Mapping[str, Any], method: Any) -> dict[str, Any]:
    """What stands above, for a stage of a method.

    One that only rounds takes nothing of how others learn, nor their baselines: it has one of its own.
    """
    if method != ROUNDING:
        return dict(above)
    found = {name: value for name, value in above.items() if name not in (*OF_TRAINING, *_OF_METHODS)}
    for part, own in (("forgetting", ("replay", "interpolate")), ("evaluation", ("baselines",))):
        found[part] = {name: value for name, value in found[part].items() if name not in own}
    return found


def not_taken(recipe: Recipe) -> dict[str, list[str]]:
    """Options that are set above and do not hold for a stage, which says nothing of them itself, by its name."""
    found = dict[str, list[str]]()
    for given in recipe.stages:
        foreign = given.get("task", recipe.task) != recipe.task
        found[str(given["name"])] = [
            name
            for name in _set_above(recipe)
            if (foreign or (name.startswith("data.") and _has_rows(given))) and _given(given, name) is None
        ]
    return found


def _set_above(recipe: Recipe) -> Iterator[str]:
    """Options above stages by their dotted names, but for those that all stages have, and where rows are."""
    fresh = Recipe(data=type(recipe.data)(source=recipe.data.source)).model_dump()
    for part, value in recipe.model_dump(exclude=set(OF_ALL_STAGES) - {"data"}).items():
        if not isinstance(value, dict):
            yield from [part] if value != fresh[part] else []
        else:
            yield from (f"{part}.{leaf}" for leaf, one in value.items() if one != fresh[part][leaf])


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
        named = _given(values, option)
        if option == "distillation.teacher" and _given(values, "distillation.endpoint") is not None:
            continue  # it is what a service calls its model
        if named in (names if meant == "rows" else names[:number]) and named != names[number]:
            found[option] = str(named)
    return found


def _lines_of(recipe: Recipe, number: int, lines: Mapping[str, str]) -> dict[str, str]:
    """Lines of a stage's options, those from above among them that hold for it."""
    given = recipe.stages[number]
    if given.get("task", recipe.task) != recipe.task:
        above = {name: lines[name] for name in ("seed", "base") if name in lines}
    else:
        foreign = ("stages", "data") if _has_rows(given) else ("stages",)
        above = {name: line for name, line in lines.items() if name.partition(".")[0] not in foreign}
    if number:
        above.pop("base", None)  # it begins from the stage before
    return above | within(f"stages.{number}", lines)


def _has_rows(given: Mapping[str, Any]) -> bool:
    """Whether a stage names rows of its own."""
    return isinstance(given.get("data"), Mapping) and "source" in given["data"]


def is_name(text: str) -> bool:
    """Whether a stage may be called so."""
    return bool(_NAME.fullmatch(text))


def of_names(stages: Mapping[int, Mapping[str, Any]], lines: Mapping[str, str]) -> Iterator[Problem]:
    """R050, R051 and R057 of stages by their numbers, each as it was given."""
    names = {number: str(one.get("name")) for number, one in stages.items()}
    for number, given in stages.items():
        here, name = f"stages.{number}", given.get("name")
        earlier = [one for other, one in names.items() if other < number]
        if not isinstance(name, str) or not is_name(name):
            what = "has no name." if name is None else f"is called {name!r}."
            remedy = "Give it a name of letters, digits, - and _."
            yield Problem("R050", at(f"{here}.name", lines), f"the stage {what}", remedy)
        elif name in earlier:
            what = f"two stages are called {name!r}."
            yield Problem("R050", at(f"{here}.name", lines), what, "Give each a name of its own.")
        for option in sorted(given.keys() & set(OF_THE_WHOLE)):
            what = "belongs to the whole recipe, not to one stage."
            yield Problem("R051", at(f"{here}.{option}", lines), what, "Move it to the top of the recipe.")
        for option in sorted(given.keys() & set(OF_ONE_RECIPE)):
            what = "has no place in a stage."
            yield Problem("R051", at(f"{here}.{option}", lines), what, OF_ONE_RECIPE[option])
        later = [one for other, one in names.items() if other >= number and one not in earlier]
        for option, meant in NAMED.items():
            if option == "distillation.teacher" and _given(given, "distillation.endpoint") is not None:
                continue
            if meant == "model" and (value := _given(given, option)) in later:
                what = f"is {value!r}, a stage that does not come before this one."
                remedy = f"Name an earlier stage, or a {'base' if option == 'base' else 'model'}."
                yield Problem("R057", at(f"{here}.{option}", lines), what, remedy)


def _given(values: Mapping[str, Any], option: str) -> Any:
    """The value of a dotted option; None where there is none."""
    part, _, leaf = option.partition(".")
    found = values.get(part)
    return (found.get(leaf) if isinstance(found, Mapping) else None) if leaf else found


def _of_controls(recipe: Recipe, lines: Mapping[str, str]) -> Iterator[Problem]:
    """Controls need texts that are learnt from, and a task behind them."""
    wanted = recipe.controls
    if not wanted.kinds:
        if wanted != ControlsRecipe():
            what = "options of it are set, but no kinds of controls."
            yield Problem("R053", at("controls", lines), what, "Set controls.kinds, or remove them.")
        return
    if num_adapting(recipe) in (0, len(recipe.stages)):
        what = f"hold a training on texts ({' or '.join(ADAPTING)}) against going without, and the stages do not begin "
        remedy = "Put such a stage first and the task behind it, or remove controls."
        yield Problem("R053", at("controls.kinds", lines), f"{what}with one that a task follows.", remedy)
    if wanted.irrelevant is not None and "irrelevant" not in wanted.kinds:
        what = "is set, but 'irrelevant' is not among controls.kinds."
        yield Problem("R053", at("controls.irrelevant", lines), what, "Add it, or remove this.")
    if len(set(wanted.kinds)) < len(wanted.kinds):
        yield Problem("R053", at("controls.kinds", lines), "names one twice.", "Name each once.")


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
            yield Problem("R054", at(name, lines), what, "Move it into the stages that it is meant for.")


def _of_bases(stages: Mapping[int, Stage], lines: Mapping[str, str]) -> Iterator[Problem]:
    """Stages whose model is needed, but is an adapter that cannot be merged."""
    methods = {one.name: one.recipe.method for one in stages.values()}
    for number, one in stages.items():
        named = one.needs.get("base")
        if methods.get(str(named)) in UNMERGED:
            what = f"begins from stage {named!r}, whose method {methods[str(named)]} leaves an adapter that no other "
            remedy = "Train that stage by full, lora, top-layers or bitfit, or name another base for this one."
            yield Problem("R052", at(f"stages.{number}", lines), f"{what}training can begin from.", remedy)
