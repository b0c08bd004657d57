"""whet from Python: the same workflows as on the command line, as functions and a run object."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from whet.data.rows import silent
from whet.errors import Problem, UserError
from whet.files import Lock, read_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.workflows import starting
from whet.workflows.rows import never
from whet.workflows.summary import summary

if TYPE_CHECKING:
    from whet.engine.events import Event
    from whet.inference.answers import InUse, OneAnswer
    from whet.inference.rounded import Precision
    from whet.recipe import Recipe

    OnEvent = Callable[[Event], object] | None

P = ParamSpec("P")
R = TypeVar("R")


def _in_python(function: Callable[P, R]) -> Callable[P, R]:
    """What is raised speaks of the argument ``out``, where the command line has an option ``--out``."""

    @functools.wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> R:
        try:
            return function(*given, **named)
        except UserError as error:
            told = [replace(one, remedy=one.remedy.replace("--out", "out=...")) for one in error.problems]
            raise UserError(told, error.num_problems) from error.__cause__

    return called


@dataclass
class Run:
    """A finished run."""

    path: Path
    _model: InUse | None = field(default=None, repr=False)
    _precision: str = field(default="fp32", repr=False)

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
    def search(self) -> dict[str, Any]:
        """Of a search: its table, trials and verdict, sweep.json.

        :raises UserError: F015, it is none, or is not finished.
        """
        path = self.path / "sweep.json"
        if not path.exists():
            raise UserError(Problem("F015", str(self.path), "is no finished search.", "whet.sweep makes one."))
        return dict(read_json(path))

    @property
    def report(self) -> Path:
        """The page for people."""
        page = self.path / "sweep.html"
        return page if page.exists() else RunFolder(self.path).report

    def predict(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, *, precision: Precision = "fp32"
    ) -> list[OneAnswer]:
        """One answer per text, by the model the run ships, or its best trained one where that is not saved.

        :param pairs: second texts: contexts of questions, the other sentence, passages.
        :param precision: 'bf16' is about twice as fast where the machine multiplies it natively; it is held against
            fp32 on the first texts, and fp32 answers where they differ.
        :raises UserError: M076, a model that writes texts, in few bits.
        """
        from whet.inference.answers import ask

        if self._model is None or self._precision != precision:
            from whet.workflows.using import open_model

            self._model, self._precision = open_model(self.path, precision=precision), precision
        return ask(self._model, texts, pairs)


@_in_python
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
    on_event: OnEvent = None,
    **options: Any,
) -> Run:
    """Fine-tune on ``data`` and compare with baselines on the same rows.

    :param data: a file, a folder, a hub data set id, or a recipe file (.yaml), over which what is given here wins.
    :param label: the column of what is to be predicted: labels, tags or spans, answers, scores.
    :param options: any option of the recipe, with its dots as double underscores: ``training__epochs=3``.
    :param on_event: called with every event while the run works.
    :raises UserError: every mistake in the options or the data, at once.
    """
    given = {"data.source": str(data), "task": task, "base": base, "method": method, "seed": seed}
    recipe = _recipe_of(given, {"text": text, "label": label}, options)
    _, folder = starting.start(recipe, None if out is None else Path(out))
    return _carry_out(recipe, folder, on_event)


@_in_python
def sweep(
    data: str | Path,
    task: str = "text-classification",
    base: str = "minilm",
    method: str = "auto",
    *,
    text: str | None = None,
    label: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    on_event: OnEvent = None,
    **options: Any,
) -> Run:
    """Try settings, train the best with several seeds, and judge them on test rows: :attr:`Run.search`.

    :param options: as of :func:`fit`; those of the search are ``search__trials``, ``search__minutes``, ...
    :raises UserError: as of :func:`fit`; what cannot be searched.
    """
    from whet.workflows import sweep_starting, sweeping

    given = {"data.source": str(data), "task": task, "base": base, "method": method, "seed": seed}
    recipe = _recipe_of(given, {"text": text, "label": label}, options)
    _, folder = sweep_starting.start(recipe, None if out is None else Path(out))
    return _listened(sweeping.carry_out(recipe, folder, silent, never), folder, on_event)


@_in_python
def resume(path: str | Path, on_event: OnEvent = None) -> Run:
    """Go on with a run or a search where it stopped.

    :raises UserError: F012 no run, F014 finished already.
    """
    if RunFolder(Path(path)).read_state().get("sweep"):
        from whet.workflows import sweep_starting, sweeping

        recipe, folder = sweep_starting.reopen(Path(path), {})
        return _listened(sweeping.carry_out(recipe, folder, silent, never), folder, on_event)
    recipe, folder = starting.reopen(Path(path))
    return _carry_out(recipe, folder, on_event)


@_in_python
def open_run(path: str | Path) -> Run:
    """A finished run.

    :raises UserError: F012 no run, F015 not finished.
    """
    run = Run(Path(path))
    _ = run.summary
    return run


@_in_python
def compare(
    *runs: Run | str | Path | Sequence[Run | str | Path], margin: float = 0.01, alpha: float = 0.05
) -> dict[str, Any]:
    """Runs side by side on the same test rows, all against the first: what ``whet compare --json`` prints.

    :param runs: two or more, one after the other or as one list.
    :param margin: a cheaper model may be so much worse; ``alpha``: level of the tests.
    :raises UserError: fewer than two runs; no finished run, or tested on other rows.
    """
    from whet.workflows.comparing import compare as side_by_side

    several = [one for given in runs for one in (given if isinstance(given, list | tuple) else (given,))]
    return side_by_side([_place(one) for one in several], margin, alpha).to_json()


@_in_python
def gate(run: Run | str | Path, against: Run | str | Path, **limits: Any) -> dict[str, Any]:
    """May ``run`` take the place of ``against``? What ``whet gate --json`` prints; ``go_on`` is the answer.

    :param limits: ``max_drop``, ``max_flips``, ... as of ``whet gate``; ``strict``; ``metric``.
    :raises UserError: no finished run, tested on other rows, or a limit that is none.
    """
    from whet.workflows.gating import gate as hold
    from whet.workflows.limits_file import wanted

    return hold(_place(run), _place(against), wanted(None, limits), silent)


def _place(run: object) -> Path:
    """The folder of a run.

    :raises UserError: F016, it is neither a run nor a folder.
    """
    if isinstance(run, str | Path):
        return Path(run)
    if not isinstance(run, Run):
        remedy = "Give a run or its folder; what else there is to say is given by its name, such as margin=0.01."
        raise UserError(Problem("F016", "RUN", f"{run!r} is no run.", remedy))
    return run.path


def _recipe_of(given: dict[str, Any], columns: dict[str, str | None], options: dict[str, Any]) -> Recipe:
    """The recipe of a call; of a file, what was not given is as it says."""
    file = Path(given["data.source"]) if starting.is_recipe(given["data.source"]) else None
    named = dict(given)
    if file is not None:
        usual = {"data.source": str(file), "task": "text-classification", "base": "minilm", "method": "auto", "seed": 0}
        named = {name: value for name, value in named.items() if value != usual[name]}
    named |= {f"data.{name}": value for name, value in columns.items() if value is not None}
    named |= {name.replace("__", "."): value for name, value in options.items()}
    return starting.recipe_of(named, file)


def _carry_out(recipe: Recipe, folder: RunFolder, on_event: OnEvent) -> Run:
    from whet.workflows.fit import fit as carry_out

    with Lock(folder.path):
        return _listened(carry_out(recipe, folder, silent, never), folder, on_event)


def _listened(events: Iterable[Event], folder: RunFolder, on_event: OnEvent) -> Run:
    """The run of ``events``, all of which are handed on."""
    for event in events:
        if on_event is not None:
            on_event(event)
    return Run(folder.path)
