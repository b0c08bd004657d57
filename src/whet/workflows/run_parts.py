"""The trainings behind what answers for a folder: of a series, or of a search over a last stage, there are several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from whet.folder import RunFolder

RUNS = "runs"
"""The folder with a run for each stage, or task."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What stands behind an answer.

    - ``own``: what the training that answers is called among the others; "" where it is the only one.
    - ``others``: the other stages before it, or tasks beside it, by their names.
    - ``are_stages``: whether it went through the others, one after the other.
    - ``roots``: where the whole lies, and where it lay when it was made: what stands below is its own.
    """

    own: str
    others: Mapping[str, RunFolder]
    are_stages: bool
    roots: tuple[str, ...]

    def plain(self, value: Any) -> Any:
        """A value of an option, without where the whole lies: ``runs/domain/model``."""
        if isinstance(value, str):
            below = (value.removeprefix(f"{root}/") for root in self.roots if value.startswith(f"{root}/"))
            return next(below, value)
        if isinstance(value, list):
            return [self.plain(one) for one in value]
        if isinstance(value, dict):
            return {name: self.plain(one) for name, one in value.items()}
        return value


def parts_of(whole: RunFolder, answers: RunFolder) -> Parts:
    """The trainings behind ``answers``, the run in ``whole`` that answers for it."""
    recipe = read(whole)
    kind = next((kind for kind in ("stages", "tasks") if recipe.get(kind)), None)
    if kind is None:
        return Parts("", {}, False, _roots(whole, {}))
    known = {str(one["name"]): one for one in recipe[kind]}
    place = answers.path.resolve()
    own = place.name if place.parent.name == RUNS and place.name in known else list(known)[-1]
    folders = {name: RunFolder(whole.path / RUNS / name) for name in known if name != own}
    others = {name: folder for name, folder in folders.items() if folder.recipe.exists()}
    begun = {name: folder for name, folder in {**others, own: answers}.items() if _begins_from_another(known, name)}
    return Parts(own, others, kind == "stages", _roots(whole, begun))


def read(folder: RunFolder) -> dict[str, Any]:
    """The recipe of a folder as it stands in its file; {} where there is none."""
    if not folder.recipe.exists():
        return {}
    return dict(yaml.safe_load(folder.recipe.read_text(encoding="utf-8")) or {})


def _begins_from_another(known: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    """Whether the base of a stage is another stage's model, by its name or since it says nothing of its base."""
    base = known[name].get("base")
    return base in known or (base is None and name != next(iter(known)))


def _roots(whole: RunFolder, begun: Mapping[str, RunFolder]) -> tuple[str, ...]:
    """The folder as it lies now; and, if it was moved or copied, as the bases of its stages still say it lay."""
    found = [str(whole.path.resolve())]
    for folder in begun.values():
        parts = PurePath(str(read(folder).get("base", ""))).parts
        if RUNS in parts:
            found.append(str(PurePath(*parts[: len(parts) - 1 - parts[::-1].index(RUNS)])))
    return tuple(dict.fromkeys(found))
