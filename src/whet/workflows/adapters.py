"""Adapters of finished runs at hand: listed, mixed, merged into their base, and taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from whet.errors import Problem, UserError
from whet.folder import RunFolder, answering_run
from whet.models import mixing
from whet.models.mixing import WAYS, Held, Way
from whet.registry import unknown

_CONFIG = "adapter_config.json"


def held(path: Path) -> Held:
    """The adapter of a run, or in its own folder.

    :raises UserError: M067, there is none; M030, it was not written by this program.
    """
    path = answering_run(path)
    folder = RunFolder(path)
    places = [path, folder.model, *sorted(folder.models.glob("*"))]
    found = next((place for place in places if (place / _CONFIG).exists()), None)
    if found is None:
        what = "holds no adapter." if path.exists() else "is not there."
        remedy = "Name a run of method lora, qlora, ia3, prompt, p-tuning or prefix, or an adapter's own folder."
        raise UserError(Problem("M067", str(path), what, remedy))
    return mixing.look(found)


def listed(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """What each adapter holds."""
    return [{"run": str(path), **held(path).to_json()} for path in paths]


def weighed(words: Sequence[str]) -> list[tuple[Path, float]]:
    """Folders with their weights, as 'RUN:0.7'; the same for all where none is said.

    :raises UserError: M068, a weight is no number.
    """
    found: list[tuple[Path, float]] = []
    for word in words:
        path, colon, weight = word.rpartition(":")
        if not colon or Path(word).exists():
            found.append((Path(word), 1.0 / len(words)))
            continue
        try:
            found.append((Path(path), float(weight)))
        except ValueError:
            remedy = "Write RUN:WEIGHT, such as runs/a:0.7."
            raise UserError(Problem("M068", "--mix", f"{weight!r} is no weight.", remedy)) from None
    return found


def mix(words: Sequence[str], way: str, density: float, out: Path) -> dict[str, Any]:
    """Write one adapter of several; what it holds, and as ``not_fitted`` what the first had fitted and it has not.

    :raises UserError: as :func:`held`, :func:`weighed` and :func:`whet.models.mixing.mix`.
    """
    if len(words) < 2:
        raise UserError(Problem("M068", "--mix", "one adapter alone cannot be mixed.", "Name two or more."))
    if way not in WAYS:
        raise UserError(unknown(way, list(WAYS), "--way"))
    if not 0 < density <= 1:
        raise UserError(Problem("M068", "--density", f"is {density:g}.", "Give a share above 0, and 1 at most."))
    pairs = weighed(words)
    chosen = cast(Way, way)
    adapters = [held(path) for path, _ in pairs]
    found = mixing.mix(adapters, [weight for _, weight in pairs], chosen, out, density)
    weights = {str(path): weight for path, weight in pairs}
    return {**found.to_json(), "of": weights, "way": way, "not_fitted": mixing.fitted(adapters[0].about)}


def merge(path: Path, out: Path) -> dict[str, Any]:
    """Write the base with the adapter merged into it as a whole model.

    :raises UserError: as :func:`held` and :func:`whet.models.mixing.merge`.
    """
    adapter = held(path)
    about = mixing.merge(adapter, out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return {"folder": str(out), "kind": about.kind, "bytes": size, "of": str(adapter.folder)}


def unmerge(path: Path, whole: Path, out: Path) -> dict[str, Any]:
    """Write what is left of the merged model in ``whole`` without the adapter of ``path``.

    :raises UserError: as :func:`held` and :func:`whet.models.mixing.unmerge`.
    """
    adapter = held(path)
    gap = mixing.unmerge(whole, adapter, out)
    return {"folder": str(out), "of": str(whole), "without": str(adapter.folder), "largest_difference_to_base": gap}
