"""What runs were asked to do differently: every option whose value differs, and what they ran on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import yaml

from whet.files import read_json
from whet.folder import RunFolder
from whet.workflows.run_parts import read
from whet.workflows.two_runs import ShippedRun

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


def of_recipes(runs: Sequence[ShippedRun]) -> list[Difference]:
    """Options that do not have one value in all runs, as ``auto`` became there; in the order of the recipe.

    Stage by stage, with the name of the stage before the option: ``domain: training.epochs``. The last stages are held
    against each other whatever they are called, and against runs without stages. A stage that some runs do not have is
    one difference, not as many as it has options.
    """
    found = []
    for name in dict.fromkeys(name for run in runs for name in run.parts.others):
        if all(name in run.parts.others for run in runs):
            known = [_plain(run, _resolved(run.parts.others[name])) for run in runs]
            found += [replace(one, name=f"{name}: {one.name}") for one in _apart(known)]
        else:
            values = [_in_short(run.parts.others.get(name)) for run in runs]
            found.append(Difference(name, tuple(values), ("",) * len(values)))
    own = {run.parts.own for run in runs}
    before = f"{own.pop()}: " if len(own) == 1 and "" not in own else ""
    return found + [replace(one, name=f"{before}{one.name}") for one in _apart([_as_asked(run) for run in runs])]


def _in_short(run: RunFolder | None) -> str:
    """A training that others do not have: ``fill-mask, full``."""
    if run is None:
        return ABSENT
    known = _resolved(run)
    return ", ".join(str(known[name][0]) for name in ("task", "method") if name in known)


def _as_asked(run: ShippedRun) -> dict[str, tuple[Any, str]]:
    known = _resolved(run.folder)
    if run.asked != run.folder:
        known |= {name: one for name, one in _resolved(run.asked).items() if f"{name}.".startswith(_PARTS)}
    return _plain(run, known)


def _plain(run: ShippedRun, known: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
    """Without where the run lies."""
    return {name: (run.parts.plain(value), why) for name, (value, why) in known.items()}


def but_for_seeds(run: ShippedRun) -> str:
    """All that a run, and every stage of it, was asked to do, but for seeds: equal where runs are of one recipe."""
    known = {**run.parts.others, run.parts.own: run.folder}
    asked = {name: run.parts.plain({**read(folder), "seed": None}) for name, folder in known.items()}
    return repr(asked)


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
        decided = yaml.safe_load(run.resolved.read_text(encoding="utf-8")) or {}
        return {
            name: (one["value"], str(one.get("reason", ""))) if isinstance(one, dict) and "value" in one else (one, "")
            for name, one in decided.items()
        }
    return {name: (value, "") for name, value in _flat(read(run))}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _environment(run: RunFolder) -> Iterator[tuple[str, Any]]:
    yield from _flat(read_json(run.environment) if run.environment.exists() else {})
