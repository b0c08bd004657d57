"""What a run folder holds, read with patience: a missing file is None, a damaged one is named."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from whet.errors import Problem, UserError
from whet.files import read_json, read_jsonl
from whet.report.kinds import OF_TASK
from whet.report.score_tables import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from whet.data.predictions import Predictions

    P = TypeVar("P", bound=Predictions)


@dataclass(slots=True)
class RunFiles:
    """The files of one run; None stands for a file that is not there.

    ``damaged`` names the files that are there and cannot be read, with the reason; the page says so.
    ``loaded`` keeps what several sections need: the predictions that were read, by path, and what follows from them.
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
    shipped: dict[str, Any] | None = None
    card: str = ""
    damaged: list[str] = field(default_factory=list)
    loaded: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.resolve().name

    @property
    def task(self) -> str:
        """The task as scores.json or the recipe names it; "" where neither does."""
        chosen = (self.resolved or {}).get("task")
        if isinstance(chosen, dict):
            chosen = chosen.get("value")
        return str((self.scores or {}).get("task") or chosen or (self.recipe or {}).get("task") or "")

    @property
    def kind(self) -> str:
        """The kind of predictions: as scored, else as saved, else as the task usually has."""
        told = (self.scores or {}).get("kind")
        if told is None and (self.scores is None or "per_class" not in self.scores):
            told = self._kind_of_predictions()
        return str(told or OF_TASK.get(self.task, "classes"))

    def _kind_of_predictions(self) -> str | None:
        import pyarrow.parquet as pq

        for path in sorted((self.folder / "predictions").glob("*.test.parquet")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                return str(json.loads((pq.read_schema(path).metadata or {})[b"whet"])["kind"])
        return None

    @property
    def saved_model(self) -> str | None:
        """The model whose weights lie in model/; None where that is not known."""
        found = (self.shipped or {}).get("model")
        return str(found) if found else None

    @property
    def ships(self) -> str | None:
        """The model that the verdict ships."""
        found = (self.verdict or {}).get("ship")
        return str(found) if found else None

    @property
    def shown_model(self) -> str | None:
        """The model that the detailed sections describe: the one that answers, else the one that scored best.

        What the verdict ships answers if it is kept, and otherwise what lies in model/.
        """
        kept = self.saved_model in (None, self.ships) or self.is_kept(self.ships)
        found = self.ships if kept else self.saved_model
        if found:
            return found
        models = (self.scores or {}).get("models") or {}
        order = ranked(models, str((self.scores or {}).get("primary", "accuracy")))
        return order[0] if order else None

    def is_kept(self, model: str | None) -> bool:
        """Whether ``model`` lies in models/."""
        return bool(model) and (self.folder / "models" / str(model)).is_dir()

    @property
    def details(self) -> dict[str, Any]:
        """What scores.json says of the shown model beyond its metrics."""
        return self.details_of(self.shown_model)

    def details_of(self, model: str | None) -> dict[str, Any]:
        """What scores.json says of ``model`` beyond its metrics."""
        found = ((self.scores or {}).get("details") or {}).get(model)
        return found if isinstance(found, dict) else {}

    def predictions(self, model: str | None, kind: type[P], split: str = "test") -> P | None:
        """The saved predictions of ``model``, or None; a file that cannot be read is added to ``damaged``.

        Predictions of another kind than ``kind`` count as none.
        """
        from whet.data.predictions import load

        path = self.folder / "predictions" / f"{model}.{split}.parquet"
        if model is None or not path.is_file():
            return None
        if path not in self.loaded:  # several sections speak of the same file
            self.loaded[path] = self._patiently(load, path)
        found = self.loaded[path]
        return found if isinstance(found, kind) else None

    def judged(self, kind: type[P], unknown: str = "The truth of these rows is not known.") -> P | str:
        """The saved test predictions of the shown model beside the truth, or a sentence that says why there are none.

        :param unknown: what is said where the truth is not known.
        """
        found = self.predictions(self.shown_model, kind)
        if found is None:
            return "No predictions were saved for this model."
        return found if found.has_gold else unknown

    def texts(
        self, ids: Iterable[int], split: str = "test", columns: Sequence[str] | None = None
    ) -> dict[int, dict[str, Any]]:
        """``{id: row}`` of ``data/<split>.arrow`` for the ids asked for; empty where the file is not there.

        :param columns: only these, as far as there are; all where None.
        """
        path, wanted = self.folder / "data" / f"{split}.arrow", sorted(ids)
        if not path.is_file() or not wanted:
            return {}

        def rows(path: Path) -> dict[int, dict[str, Any]]:
            import pyarrow as pa
            import pyarrow.compute as pc

            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
                if columns is not None:
                    table = table.select([name for name in ("id", "hash", *columns) if name in table.column_names])
                table = table.filter(pc.is_in(table["id"], pa.array(wanted, pa.int64())))
                return {int(row["id"]): row for row in table.to_pylist()}

        return self._patiently(rows, path) or {}

    def sources(
        self, predictions: Predictions, rows: Iterable[int], columns: Sequence[str] | None = None
    ) -> dict[int, dict[str, Any]]:
        """``{position in predictions: row of data/}``; a row with another hash than the one predicted is left out."""
        chosen = [int(row) for row in rows]
        found = self.texts((int(predictions.ids[row]) for row in chosen), predictions.split, columns)
        pairs = ((row, found.get(int(predictions.ids[row]))) for row in chosen)
        return {
            row: one
            for row, one in pairs
            if one is not None and (one.get("hash") is None or int(one["hash"]) == int(predictions.hashes[row]))
        }

    def _patiently(self, reader: Callable[[Path], Any], path: Path) -> Any:
        """``reader(path)``; None, and a word in ``damaged``, where the file cannot be read."""
        import yaml

        try:
            return reader(path)
        except UserError as error:
            reason = error.problems[0].what
        except (OSError, ValueError, KeyError, yaml.YAMLError) as error:
            reason = f"cannot be read: {error}"
        told = f"{path.relative_to(self.folder)} {reason}".replace(f"{self.folder}{os.sep}", "")  # the page may travel
        if told not in self.damaged:
            self.damaged.append(told)
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
    run.shipped = read("shipped.json", read_json, dict)
    run.card = read("model/README.md", lambda path: path.read_text(encoding="utf-8"), str) or ""
    return run


def _read_yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))
