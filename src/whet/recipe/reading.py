"""Recipes from YAML and from the command line, and back; every mistake at once, with its line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from whet.errors import Problem, UserError, did_you_mean
from whet.recipe import expanding, lines, mixing
from whet.recipe.expanding import Stage, completed, expand
from whet.recipe.lines import at, line_of
from whet.recipe.mixing import tasks_of
from whet.recipe.rules import contradictions
from whet.recipe.schema import Recipe


def load(path: Path, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe file; ``changes`` (dotted names) win over what it says.

    :raises UserError: R001 unreadable, R002 not YAML, R003 not a mapping; R007 keys that stand twice, and with them
        what :func:`build` raises.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(Problem("R001", str(path), "there is no such recipe.", "Check the path.")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(Problem("R001", str(path), f"cannot be read: {error}.", "A recipe is UTF-8 YAML.")) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(Problem("R002", place, f"is not YAML: {getattr(error, 'problem', error)}.")) from None
    if not isinstance(values, dict):
        raise UserError(
            Problem("R003", str(path), "a recipe is a mapping of options to values.", "See docs/recipe.md.")
        )
    given = changes or {}
    problems = list(lines.repeated(node, path))
    try:
        recipe = build(_merged(values, given), lines.overridden(lines.read(node, path), given))
    except UserError as error:
        raise UserError([*problems, *error.problems]) from None
    if problems:
        raise UserError(problems)
    return recipe


def from_options(changes: Mapping[str, Any]) -> Recipe:
    """A recipe from dotted names and values; the rest are defaults.

    :raises UserError: as :func:`build`.
    """
    return build(_merged({}, changes), {})


def build(values: Mapping[str, Any], read_at: Mapping[str, str]) -> Recipe:
    """Check ``values`` and make the recipe.

    :param read_at: where each option was read, for the messages; see :mod:`whet.recipe.lines`.
    :raises UserError: R010 unknown option, R011 wrong value, R012 missing, R02x contradictions; with stages as
        :func:`whet.recipe.expanding.expand`.
    """
    try:
        recipe = Recipe.model_validate(completed(values)).knowing(read_at)
    except ValidationError as error:
        raise UserError(_at_once(values, error, read_at)) from None
    if recipe.stages or recipe.tasks:  # what is checked is each of them
        _ = tasks_of(recipe, read_at, build) if recipe.tasks else expand(recipe, read_at, build)
        return recipe
    found = [Problem(code, at(name, read_at), what, remedy) for code, name, what, remedy in contradictions(recipe)]
    if found:
        raise UserError(found)
    return recipe


def _at_once(values: Mapping[str, Any], error: ValidationError, read_at: Mapping[str, str]) -> list[Problem]:
    """What is wrong above, and with stages and tasks; what was only completed from one of these is told there."""
    of_parts = list(_of_parts(values, read_at))
    above = [item for item in error.errors() if not of_parts or item["loc"][0] in values]
    return [*_problems(above, read_at), *of_parts]


def _of_parts(values: Mapping[str, Any], read_at: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with stages and tasks by themselves, whatever is wrong above them."""
    for part, room in (("stages", expanding), ("tasks", mixing)):
        entries = values.get(part)
        given = {number: one for number, one in enumerate(entries if isinstance(entries, list) else ()) if _named(one)}
        yield from room.of_names(given, read_at)
        for number, one in given.items():
            own = {name: value for name, value in one.items() if name != "name" and name not in room.FOREIGN}
            data = own.get("data", {})
            if isinstance(data, Mapping):  # what is missing may stand above
                own["data"] = {"source": "", **data}
            try:
                Recipe.model_validate(own)
            except ValidationError as error:
                for problem in _problems(error.errors(), lines.within(f"{part}.{number}", read_at)):
                    yield expanding.of_part(problem, room.PART, number, one)


def _named(entry: Any) -> bool:
    """Whether an entry is a mapping of options."""
    return isinstance(entry, Mapping)


def stages_of(recipe: Recipe) -> list[Stage]:
    """The stages of a recipe that has any, each with a whole recipe of its own.

    :raises UserError: as :func:`build`.
    """
    return expand(recipe, recipe.lines, build)


def joined_tasks(recipe: Recipe) -> dict[str, Recipe]:
    """The tasks of a recipe that learns several together, each with a whole recipe of its own.

    :raises UserError: as :func:`build`.
    """
    return tasks_of(recipe, recipe.lines, build)


def dump(recipe: Recipe) -> str:
    """The recipe as YAML with every default written out; ``load(dump(r)) == r``."""
    values = recipe.model_dump()
    for readable in (True, False):  # unescaped, the rarer line breaks of Unicode would not come back
        text = str(yaml.safe_dump(values, sort_keys=False, allow_unicode=readable, width=100))
        if yaml.safe_load(text) == values:
            break
    return text


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """``["training.epochs=3"]`` to ``{"training.epochs": 3}``; values are read as YAML.

    :raises UserError: R004, not of the form NAME=VALUE or set twice with different values.
    """
    result: dict[str, Any] = {}
    problems = []
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        name = name.strip()
        if not equals or not name:
            problems.append(
                Problem(
                    "R004",
                    f"--set {assignment}",
                    "is not of the form NAME=VALUE.",
                    "For example: --set training.epochs=3",
                )
            )
            continue
        try:
            parsed = _scalar(yaml.safe_load(value))
        except yaml.YAMLError:
            parsed = value
        if isinstance(parsed, dict) and not _takes_mapping(name):  # a text with a colon, or with braces
            parsed = value
        if name in result and result[name] != parsed:
            problems.append(
                Problem("R004", f"--set {name}", f"is given twice: {result[name]!r} and {parsed!r}.", "Keep one.")
            )
        result[name] = parsed
    if problems:
        raise UserError(problems)
    return result


def _scalar(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a word; people mean the number."""
    if isinstance(value, str):
        try:
            return float(value) if "e" in value.lower() else value
        except ValueError:
            return value
    return value


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    problems = []
    for name, value in changes.items():
        place = result
        *parents, leaf = name.split(".")
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                problems.append(Problem("R010", name, f"{parent!r} has no options of its own."))
                break
            place = inner
        else:
            place[leaf] = value
    if problems:
        raise UserError(problems)
    return result


def _problems(errors: Iterable[Any], read_at: Mapping[str, str]) -> list[Problem]:
    result, seen = [], set()
    for item in errors:
        # an unknown key may look like anything; only known ones stand in unions
        unknown = item["type"] in ("extra_forbidden", "invalid_key")
        path = [str(part) for part in item["loc"] if unknown or (part != "auto" and _is_option(part))]
        name = ".".join(path)
        entry = ".".join(str(part) for part in item["loc"] if isinstance(part, int) or str(part) in path)
        where = f"{line_of(entry, read_at)} {name}".strip()
        if unknown:
            known = option_names(".".join(path[:-1]))
            remedy = did_you_mean(path[-1], known) or f"Options here: {', '.join(known)}."
            found = Problem("R010", where, "is not an option.", remedy)
        elif item["type"] == "missing":
            found = Problem("R012", where, "is required.", "Give it in the recipe or on the command line.")
        else:
            found = Problem("R011", where, f"got {item['input']!r}.", _wanted(name))
        told = entry if path[0] in ("stages", "tasks") else name  # a union reports one error per member
        if told not in seen:
            seen.add(told)
            result.append(found)
    return result


def _is_option(part: int | str) -> bool:
    """Pydantic adds the tried member of a union to the place; those are no names of options."""
    return isinstance(part, str) and part.replace("_", "").isalpha() and part not in ("float", "int", "str", "list")


def _part(name: str) -> type[BaseModel] | None:
    model: type[BaseModel] = Recipe
    for part in filter(None, name.split(".")):
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return model


def option_names(part: str = "") -> list[str]:
    """The options directly below a dotted name; the whole recipe for an empty one."""
    model = _part(part)
    return [] if model is None else list(model.model_fields)


def all_options() -> list[str]:
    """Every option by its dotted name: the surface that a test holds."""
    result = []
    for name, field in Recipe.model_fields.items():
        inner = _part(name) if isinstance(field.annotation, type) else None
        result += [f"{name}.{leaf}" for leaf in inner.model_fields] if inner else [name]
    return result


def _wanted(name: str) -> str:
    """What an option takes, in words."""
    *parents, leaf = name.split(".")
    model = _part(".".join(parents))
    if model is None or leaf not in model.model_fields:
        return ""
    if inner := option_names(name):
        return f"Takes options of its own: {', '.join(inner)}."
    field = model.model_fields[leaf]
    return f"Takes {describe(field.annotation, field.metadata)}. {field.description}"


def _takes_mapping(name: str) -> bool:
    """Whether names may stand in the value of an option, as classes do."""
    *parents, leaf = name.split(".")
    model = _part(".".join(parents))
    if model is None or leaf not in model.model_fields:
        return False
    annotation = model.model_fields[leaf].annotation
    return any(get_origin(one) is dict for one in (annotation, *get_args(annotation)))


_KINDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "any value",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def describe(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """A type in words, for messages and generated pages."""
    bounds = " and ".join(
        f"{word} {getattr(rule, key)}"
        for rule in _flattened(metadata)
        for key, word in _BOUNDS.items()
        if getattr(rule, key, None) is not None
    )
    if annotation in _KINDS:
        return str(_KINDS[annotation]) + (f" {bounds}" if bounds else "")
    if hasattr(annotation, "__metadata__"):
        inner, *rules = get_args(annotation)
        return describe(inner, rules)
    members = get_args(annotation)
    origin = getattr(annotation, "__origin__", None)
    if origin is dict:
        return f"a mapping such as {{name: {describe(members[1])}}}"
    if origin is list:
        return f"a list of {describe(members[0])}"
    if members and all(isinstance(member, (str, int)) for member in members):
        return " or ".join(repr(member) for member in members)
    return " or ".join(describe(member) for member in members) if members else str(annotation)


def _flattened(metadata: Iterable[Any]) -> Iterator[Any]:
    for rule in metadata:
        inner = getattr(rule, "metadata", None)
        yield from (_flattened(inner) if inner else [rule])
