"""Where options of a recipe were read, for messages: dotted name -> ``recipe.yaml:7``.

Entries of lists are named by their numbers (``stages.0.training``). What was given elsewhere, on the command line or
from Python, has an empty line, whatever stands around it in the file. Of a stage the lines are those of its own
options, by the names that they have in its recipe; its own line stands under the name "".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from whet.errors import Problem

MERGED = "tag:yaml.org,2002:merge"
"""The key ``<<``, which brings in the keys of others and may stand twice."""


def line_of(name: str, lines: Mapping[str, str]) -> str:
    """The line of an option, or of the nearest thing that holds it; empty where there is none."""
    while name not in lines:
        if not name:
            return ""
        name = name.rpartition(".")[0]
    return lines[name]


def at(name: str, lines: Mapping[str, str]) -> str:
    """``recipe.yaml:7 training.epochs``, or the name alone."""
    return f"{line_of(name, lines)} {name}".strip()


def within(name: str, lines: Mapping[str, str]) -> dict[str, str]:
    """The lines of what stands below ``name``, by the names that it has there; that of ``name`` under ""."""
    below = {one.removeprefix(f"{name}."): line for one, line in lines.items() if one.startswith(f"{name}.")}
    return {"": lines[name], **below} if name in lines else below


def overridden(lines: Mapping[str, str], given: Iterable[str]) -> dict[str, str]:
    """The lines of a file once options were ``given`` elsewhere, whose lines in it say nothing any more."""
    names = tuple(given)
    below = tuple(f"{name}." for name in names)
    return {name: line for name, line in lines.items() if not name.startswith(below)} | dict.fromkeys(names, "")


def read(document: Any, path: Path) -> dict[str, str]:
    """The lines of a YAML document."""
    return {name: f"{path}:{line}" for name, line in _keys(document)}


def _keys(node: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Dotted name and line (from 1) of every key and every entry of a list."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _keys(value, f"{name}.")
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield f"{prefix}{number}", value.start_mark.line + 1
            yield from _keys(value, f"{prefix}{number}.")


def repeated(node: Any, path: Path, prefix: str = "") -> Iterator[Problem]:
    """R007: keys that stand twice in one mapping, of which YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        found: dict[str, list[int]] = defaultdict(list)
        for key, value in node.value:
            if key.tag != MERGED:
                found[str(key.value)].append(key.start_mark.line + 1)
            yield from repeated(value, path, f"{prefix}{key.value}.")
        for name, numbers in found.items():
            if len(numbers) > 1:
                lines = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
                where, what = f"{path}:{numbers[-1]} {prefix}{name}", f"stands in lines {lines}; one alone would count."
                yield Problem("R007", where, what, "Keep one of them.")
    if isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from repeated(value, path, f"{prefix}{number}.")
