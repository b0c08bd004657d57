"""What runs were asked to do differently: every option whose value differs, and what they ran on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from whet.files import read_json
from whet.folder import RunFolder

ABSENT = "(not there)"
"""Of an option that a run's version of the program did not have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One option, or a fact of the machine: its value in each run, and why it has it, in the order of the runs."""

    name: str
    values: tuple[Any, ...]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


MEASURED = ("evaluation", "prompting", "judge", "forgetting.measure")
"""Options, and parts, that say what is measured, and not what is trained."""


def of_recipes(runs: Sequence[RunFolder], asked: Sequence[RunFolder]) -> list[Difference]:
    """Options that do not have one value in all runs, as ``auto`` became there; in the order of the recipe.

    :param asked: for each run the folder that says what is measured, mostly itself.
    """
    return _apart([_as_asked(run, whole) for run, whole in zip(runs, asked, strict=True)])


def _as_asked(run: RunFolder, asked: RunFolder) -> dict[str, tuple[Any, str]]:
    known = _resolved(run)
    if asked == run:
        return known
    measured = {name: one for name, one in _resolved(asked).items() if f"{name}.".startswith(_PARTS)}
    return known | measured


_PARTS = tuple(f"{name}." for name in MEASURED)


def of_machines(runs: Sequence[RunFolder]) -> list[Difference]:
    """What of machine and versions differs."""
    return _apart([{name: (value, "") for name, value in _environment(run)} for run in runs])


def _apart(known: Sequence[Mapping[str, tuple[Any, str]]]) -> list[Difference]:
    names = dict.fromkeys(name for one in known for name in one)
    found = []
    for name in names:
        pairs = [one.get(name, (ABSENT, "")) for one in known]
        if any(value != pairs[0][0] for value, _ in pairs):
            found.append(Difference(name, tuple(value for value, _ in pairs), tuple(why for _, why in pairs)))
    return found


def _resolved(run: RunFolder) -> dict[str, tuple[Any, str]]:
    """Value and reason of each option; of a run without resolved.yaml what its recipe says."""
    if run.resolved.exists():
        read = yaml.safe_load(run.resolved.read_text(encoding="utf-8")) or {}
        return {
            name: (one["value"], str(one.get("reason", ""))) if isinstance(one, dict) and "value" in one else (one, "")
            for name, one in read.items()
        }
    read = yaml.safe_load(run.recipe.read_text(encoding="utf-8")) if run.recipe.exists() else {}
    return {name: (value, "") for name, value in _flat(read or {})}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _environment(run: RunFolder) -> Iterator[tuple[str, Any]]:
    yield from _flat(read_json(run.environment) if run.environment.exists() else {})
