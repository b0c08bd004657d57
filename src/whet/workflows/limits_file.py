"""The limits of ``whet gate`` from a YAML file: every mistake at once, with its line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from whet.errors import Problem, Problems, UserError, did_you_mean
from whet.evaluation.limits import DEFAULTS, Limits
from whet.evaluation.measures import MEASURES
from whet.recipe.lines import repeated

NAMES = tuple(one.name for one in fields(Limits))
MORE = {"strict": bool, "metric": str}
"""What a file may say beside limits, and of what type it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to hold: ``asked`` are the limits that somebody set, by name; the others are defaults."""

    limits: Limits = DEFAULTS
    asked: frozenset[str] = frozenset()
    strict: bool = False
    metric: str | None = None


def wanted(path: Path | None, given: Mapping[str, Any]) -> Wanted:
    """The limits of a file, and over them what the command line gave; what neither sets is the default.

    :param given: any of :data:`NAMES`, ``strict`` and ``metric``; None for what was not given.
    :raises UserError: V120, the file cannot be read; R007, a limit that stands in it twice; V121, a name that is no
        limit; V122, a value that is none.
    """
    problems = Problems()
    values, lines = ({}, {}) if path is None else _read(path, problems)
    for name in (values.keys() | given.keys()) - {*NAMES, *MORE}:
        what = "is no limit."
        remedy = did_you_mean(str(name), (*NAMES, *MORE)) or f"Limits are {', '.join(NAMES)}."
        problems.add("V121", f"{lines[name]} {name}" if name in lines else str(name), what, remedy)
    here = {name: f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None}
    for name in here:
        values[name], lines[name] = given[name], ""
    for name, value in values.items():
        if (wrong := _wrong(name, value)) is not None:
            place = here.get(name) or f"{lines.get(name, path)} {name}"
            problems.add("V122", place, *wrong)
    problems.raise_if_any()
    set_here = {name: value for name, value in values.items() if name in NAMES}
    return Wanted(
        replace(DEFAULTS, **{name: _number(value) for name, value in set_here.items()}),
        frozenset(name for name, value in set_here.items() if value is not None),
        bool(values.get("strict", False)),
        values.get("metric"),
    )


def _read(path: Path, problems: Problems) -> tuple[dict[str, Any], dict[str, str]]:
    """Values and places by name; what stands twice goes to ``problems``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "there is no such file." if isinstance(error, FileNotFoundError) else f"cannot be read: {error}."
        raise UserError(Problem("V120", str(path), why, "A file of limits is YAML, such as: max_drop: 0.01")) from None
    try:
        node, values = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(Problem("V120", place, f"is not YAML: {getattr(error, 'problem', error)}.")) from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise UserError(Problem("V120", str(path), "is no mapping of limits to values.", "Such as: max_drop: 0.01"))
    for twice in repeated(node, path):
        problems.add(twice.code, twice.where, twice.what, twice.remedy)
    lines = {key.value: f"{path}:{key.start_mark.line + 1}" for key, _ in node.value}
    return {str(name): value for name, value in values.items()}, lines


def _number(value: Any) -> Any:
    return None if value is None else value if value == "auto" else float(value)


def _wrong(name: str, value: Any) -> tuple[str, str] | None:
    """What is wrong with a value and what would be right; None where nothing is."""
    if name == "metric" and isinstance(value, str) and value not in MEASURES:
        return f"is {value!r}, which is no metric.", did_you_mean(value, MEASURES) or "'accuracy' is one."
    if name in MORE:
        good = value is None or isinstance(value, MORE[name])
        return None if good else (f"is {value!r}.", f"It is {'true or false' if MORE[name] is bool else 'a name'}.")
    if name not in NAMES or value is None or (name == "max_forgotten" and value == "auto"):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"is {value!r}, which is no number.", "Give a number, or null for a limit that does not count."
    if name == "max_slower":
        return None if value > 0 else (f"is {value}, and no model takes less than no time.", "1.2 is a fifth longer.")
    if value < 0:
        return f"is {value}, less than 0.", "A limit says how much worse is still good enough."
    if name in ("max_flips", "max_slice_flips", "max_ece") and value >= 1:
        return f"is {value}, and it is a share of 1.", "0.05 is five rows of a hundred."
    return None
