"""whet from Python: the same workflows as on the command line, as functions and a run object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.files import Lock, read_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.workflows import starting
from whet.workflows.summary import summary

if TYPE_CHECKING:
    from whet.engine.events import Event
    from whet.inference.answers import InUse, OneAnswer


@dataclass
class Run:
    """A finished run."""

    path: Path
    _model: InUse | None = field(default=None, repr=False)

    @property
    def summary(self) -> dict[str, Any]:
        """Everything that ``whet fit --json`` prints."""
        return summary(RunFolder(self.path))

    @property
    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """On the test split: ``{model: {metric: {value, low, high}}}``."""
        return dict(self.summary["scores"])

    @property
    def verdict(self) -> dict[str, Any]:
        """Which model to ship and why: verdict.json."""
        return dict(read_json(RunFolder(self.path).verdict))

    @property
    def findings(self) -> list[Finding]:
        """Every finding of the run."""
        return [Finding.from_json(value) for value in read_json(RunFolder(self.path).findings)]

    @property
    def report(self) -> Path:
        """The page for people."""
        return RunFolder(self.path).report

    def predict(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[OneAnswer]:
        """One answer per text, by the model the run ships, or its best trained one where that is not saved.

        :param pairs: second texts: contexts of questions, the other sentence, passages.
        """
        from whet.inference.answers import ask

        if self._model is None:
            from whet.workflows.using import open_model

            self._model = open_model(self.path)
        return ask(self._model, texts, pairs)


def fit(
    data: str | Path,
    task: str = "text-classification",
    base: str = "minilm",
    method: str = "auto",
    *,
    text: str | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    on_event: Any = None,
    **options: Any,
) -> Run:
    """Fine-tune on ``data`` and compare with baselines on the same rows.

    :param data: a file, a folder, a hub data set id, or a recipe file (.yaml), over which what is given here wins.
    :param label: the column of what is to be predicted: labels, tags or spans, answers, scores.
    :param options: any option of the recipe, with its dots as double underscores: ``training__epochs=3``.
    :param on_event: called with every event while the run works.
    :raises UserError: every mistake in the options or the data, at once.
    """
    named: dict[str, Any] = {"data.source": str(data), "task": task, "base": base, "method": method, "seed": seed}
    file = Path(data) if starting.is_recipe(str(data)) else None
    if file is not None:  # what was not given is as it says
        usual = {"data.source": str(data), "task": "text-classification", "base": "minilm", "method": "auto", "seed": 0}
        named = {name: value for name, value in named.items() if value != usual[name]}
    named |= {f"data.{name}": value for name, value in {"text": text, "label": label}.items() if value is not None}
    named |= {name.replace("__", "."): value for name, value in options.items()}
    recipe = starting.recipe_of(named, file)
    _, folder = starting.start(recipe, None if out is None else Path(out))
    return _carry_out(recipe, folder, on_event)


def resume(path: str | Path, on_event: Any = None) -> Run:
    """Go on with a run where it stopped.

    :raises UserError: F012 no run, F014 finished already.
    """
    recipe, folder = starting.reopen(Path(path))
    return _carry_out(recipe, folder, on_event)


def open_run(path: str | Path) -> Run:
    """A finished run.

    :raises UserError: F012 no run, F015 not finished.
    """
    run = Run(Path(path))
    _ = run.summary
    return run


def _carry_out(recipe: Any, folder: RunFolder, on_event: Any) -> Run:
    from whet.workflows.fit import fit as carry_out

    events: Iterable[Event]
    with Lock(folder.path):
        events = carry_out(recipe, folder, lambda *_: None, lambda: False)
        for event in events:
            if on_event is not None:
                on_event(event)
    return Run(folder.path)
