"""What a run folder holds, read with patience: a missing file is None, a damaged one is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.errors import Problem, UserError
from whet.files import read_json, read_jsonl

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


@dataclass(slots=True)
class RunFiles:
    """The files of one run; None stands for a file that is not there.

    ``damaged`` names the files that are there and cannot be read, with the reason; the page says so.
    """

    folder: Path
    scores: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    findings: list[dict[str, Any]] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    audit: dict[str, Any] | None = None
    ledger: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None
    resolved: dict[str, Any] | None = None
    card: str = ""
    damaged: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.resolve().name

    @property
    def shown_model(self) -> str | None:
        """The model that the detailed sections describe: the shipped one, else the one that scored best."""
        if self.verdict and self.verdict.get("ship"):
            return str(self.verdict["ship"])
        models = (self.scores or {}).get("models") or {}
        primary = (self.scores or {}).get("primary", "accuracy")
        ranked = sorted(models, key=lambda name: (models[name].get(primary) or {}).get("value") or 0.0)
        return ranked[-1] if ranked else None

    def predictions(self, model: str | None, split: str = "test") -> Predictions | None:
        """The saved predictions of ``model``, or None; a file that cannot be read is added to ``damaged``."""
        from whet.data.predictions import load

        path = self.folder / "predictions" / f"{model}.{split}.parquet"
        if model is None or not path.is_file():
            return None
        found: Predictions | None = self._patiently(load, path)
        return found

    def texts(self, ids: list[int], split: str = "test") -> dict[int, dict[str, Any]]:
        """``{id: row}`` of ``data/<split>.arrow`` for the ids asked for; empty where the file is not there."""
        path = self.folder / "data" / f"{split}.arrow"
        if not path.is_file() or not ids:
            return {}

        def rows(path: Path) -> dict[int, dict[str, Any]]:
            import pyarrow as pa
            import pyarrow.compute as pc

            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
                wanted = table.filter(pc.is_in(table["id"], pa.array(ids, pa.int64())))
                return {int(row["id"]): row for row in wanted.to_pylist()}

        return self._patiently(rows, path) or {}

    def _patiently(self, reader: Callable[[Path], Any], path: Path) -> Any:
        """``reader(path)``; None, and a word in ``damaged``, where the file cannot be read."""
        import yaml

        try:
            return reader(path)
        except UserError as error:
            reason = error.problems[0].what
        except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
            reason = f"cannot be read: {error}"
        self.damaged.append(f"{path.relative_to(self.folder)} {reason}")
        return None


def read_run(folder: Path) -> RunFiles:
    """Read the small files of a run folder; predictions and texts are read when asked for.

    :raises UserError: F010, there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(Problem("F010", str(folder), "is not a folder.", "Give the folder of a run."))
    run = RunFiles(folder)

    def read(name: str, reader: Callable[[Path], Any], kind: type) -> Any:
        path = folder / name
        value = run._patiently(reader, path) if path.is_file() else None
        if value is not None and not isinstance(value, kind):
            run.damaged.append(f"{name} holds {type(value).__name__} where {kind.__name__} belongs.")
            return None
        return value

    run.scores = read("scores.json", read_json, dict)
    run.verdict = read("verdict.json", read_json, dict)
    run.findings = read("findings.json", read_json, list)
    run.events = read("events.jsonl", read_jsonl, list) or []
    run.audit = read("data/audit.json", read_json, dict)
    run.ledger = read("data/ledger.json", read_json, dict)
    run.environment = read("environment.json", read_json, dict)
    run.recipe = read("recipe.yaml", _read_yaml, dict)
    run.resolved = read("resolved.yaml", _read_yaml, dict)
    run.card = read("model/README.md", lambda path: path.read_text(encoding="utf-8"), str) or ""
    return run


def _read_yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))
