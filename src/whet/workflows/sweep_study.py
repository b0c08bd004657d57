"""The study behind a sweep: which settings come next, who tries them, what came out.

Every trial draws by a stream of its own number and option, so that a search that was killed goes on as if it had not
been. Several processes may ask at once; the lock of a trial's folder says who is at it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet import seeds
from whet.errors import Problem, UserError
from whet.files import Lock, write_text
from whet.folder import RunFolder
from whet.recipe import Recipe, dump
from whet.recipe.space import Dimension, Setting, belongs, grid
from whet.store import studies
from whet.workflows.sweep_passes import shortened

TRIALS = "trials.json"
SETTING, MACHINE, WHY, ENDED, SECONDS, MODEL = "setting", "machine", "why", "ended", "seconds", "model"
"""Attributes of a trial."""
SHARES = 1000
"""Looks at validation are noted by so many parts of the training that was planned."""
FEWEST_ENDED = 4
"""Nothing is given up before so many trials have ended by themselves."""
EARLIEST = 0.2
"""Nor before this share of its own training."""
WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial as the study knows it; ``number`` counts from 1.

    - ``state``: running, complete, pruned or failed.
    - ``value``: what validation gave its best state, higher is better; None where there is none.
    - ``curve``: (share of the training, best value up to there).
    """

    number: int
    state: str
    setting: Setting | None
    value: float | None
    seconds: float
    curve: tuple[tuple[float, float], ...]
    why: str
    ended: str
    machine: str
    model: str

    @property
    def is_own(self) -> bool:
        """Whether it is the recipe as it stands."""
        return self.number == 1

    @property
    def has_collapsed(self) -> bool:
        """Whether it was trained to its end and is no better than a constant answer."""
        return self.state == "complete" and bool(self.why)

    @property
    def method(self) -> str:
        """What was trained, where the setting says it; else what the recipe says."""
        return str((self.setting or {}).get("method", ""))

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "number": self.number,
            "state": self.state,
            "setting": self.setting,
            "value": self.value,
            "seconds": round(self.seconds, 3),
            "curve": [list(one) for one in self.curve],
            "why": self.why,
            "ended": self.ended,
            "model": self.model,
        }


def hash_of(recipe: Recipe) -> str:
    """What may not change while a search goes on: the recipe, its space, and how it is drawn from."""
    kept = {"space": recipe.search.space, "sampler": recipe.search.sampler, "metric": recipe.search.metric}
    plain = recipe.model_copy(update={"search": type(recipe.search)(**kept)})
    return hashlib.sha256(dump(plain).encode()).hexdigest()


def all_settings(recipe: Recipe, dimensions: Sequence[Dimension], methods: Sequence[str]) -> list[Setting]:
    """Every setting that is tried beside the recipe as it stands, of a grid; [] where settings are drawn."""
    return grid(dimensions, methods) if recipe.search.sampler == "grid" else []


def num_wanted(recipe: Recipe, settings: Sequence[Setting]) -> int:
    """How many trials there are to be; of a grid no more than it holds, and the recipe as it stands."""
    return min(recipe.search.trials, len(settings) + 1) if settings else recipe.search.trials


class Study:
    """The trials of one sweep, in ``folder``.

    :param methods: those that are tried; the only one is not drawn.
    :param digest: :func:`hash_of` the recipe as it is written, where that is another one.
    :param passes: over the rows, by each training, where the time does not suffice for those it would take by itself.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        dimensions: Sequence[Dimension],
        methods: Sequence[str],
        *,
        new: bool,
        digest: str = "",
        passes: float | None = None,
    ) -> None:
        self.digest = digest or hash_of(recipe)
        self.passes = passes
        recipe = shortened(recipe, passes)
        self.recipe, self.folder, self.dimensions, self.methods = recipe, folder, dimensions, tuple(methods)
        self.known = self._opened(folder.identity, new=new)
        self.machine = platform.node() or "unknown"
        self.grid = all_settings(recipe, dimensions, methods)

    def _opened(self, identity: str, *, new: bool) -> Any:
        """The study of the folder that is known by ``identity``."""
        return studies.open_study(f"whet-{self.digest[:12]}-{identity[:12]}", self.digest, new=new)

    @property
    def wanted(self) -> int:
        """How many trials there are to be."""
        return num_wanted(self.recipe, self.grid)

    def place(self, number: int) -> RunFolder:
        """The run folder of a trial."""
        return RunFolder(self.folder.path / "trials" / f"{number:04d}")

    # --- what there is ----------------------------------------------------------------------------

    def trials(self) -> list[Tried]:
        """All of them, in their order."""
        return [_tried(one) for one in self.known.get_trials(deepcopy=False)]

    def missing(self) -> list[Tried]:
        """Trials that ended, and whose folder is not there."""
        ended = [one for one in self.trials() if one.state == "complete"]
        return [one for one in ended if not self.place(one.number).resolved.exists()]

    # --- as a record tells of them ------------------------------------------------------------------

    def begun_as(self, identity: str) -> Any:
        """An empty study of the same recipe and space, for a folder that is known by ``identity``."""
        return self._opened(identity, new=True)

    def trial_of(self, row: Mapping[str, Any]) -> Any:
        """A trial as :meth:`Tried.to_json` has told of it, in the form of a study."""
        from optuna.trial import create_trial

        setting = row["setting"]
        method = str((setting or {}).get("method", self.methods[0]))
        drawn = [one for one in self.dimensions if one.option in (setting or {}) and belongs(one, method)]
        about = {name: row[name] for name in (SETTING, WHY, ENDED, SECONDS, MODEL) if row[name] not in ("", None)}
        return create_trial(
            state=_optuna_state(str(row["state"])),
            value=row["value"],
            params={one.name: _as_drawn(one, setting[one.option]) for one in drawn},
            distributions={one.name: _distribution(one) for one in drawn},
            user_attrs=about,
            intermediate_values={round(SHARES * share): value for share, value in row["curve"]},
        )

    # --- asking -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def claimed(self, may_begin: bool) -> Iterator[tuple[int, Setting] | None]:
        """A trial for this process, locked for as long as the block lasts; None where there is none.

        First those that were begun by a process that is gone; a new one only if ``may_begin``.
        """
        with contextlib.ExitStack() as held:
            with self._turn():
                number = self._orphan(held)
                if number is None and may_begin and len(self.known.get_trials(deepcopy=False)) < self.wanted:
                    number = self._asked()
                    self._lock(number, held)
            if number is None:
                yield None
                return
            held.enter_context(studies.beating(self.known, self.trial_id(number)))
            yield number, self._drawn(number)

    def _asked(self) -> int:
        """A new trial, drawn later: the sampler has its say option by option."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Heartbeat of storage")  # it beats here, too
            return int(self.known.ask().number) + 1

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One process asks at a time, so that no trial is begun beyond the wanted ones."""
        place = self.folder.path / "trials"
        place.mkdir(parents=True, exist_ok=True)
        while True:
            lock = Lock(place)
            try:
                lock.__enter__()
                break
            except UserError:
                time.sleep(WAIT_SECONDS)
        try:
            yield
        finally:
            lock.__exit__()

    def _orphan(self, held: contextlib.ExitStack) -> int | None:
        """A trial that was begun and that nobody is at: of this machine at once, of another once it is silent."""
        silent = studies.stale(self.known)
        for one in self.known.get_trials(deepcopy=False):
            if one.state.name != "RUNNING":
                continue
            mine = one.user_attrs.get(MACHINE, self.machine) == self.machine
            if mine or one._trial_id in silent:
                with contextlib.suppress(UserError):
                    self._lock(one.number + 1, held)
                    return int(one.number) + 1
        return None

    def has_orphan(self) -> bool:
        """Whether a trial is under way that nobody is at."""
        with contextlib.ExitStack() as held, self._turn():
            return self._orphan(held) is not None

    def _lock(self, number: int, held: contextlib.ExitStack) -> None:
        path = self.place(number).path
        path.mkdir(parents=True, exist_ok=True)
        held.enter_context(Lock(path))

    def trial_id(self, number: int) -> int:
        """By what the store knows it."""
        return int(self.known.get_trials(deepcopy=False)[number - 1]._trial_id)

    # --- drawing ----------------------------------------------------------------------------------

    def _drawn(self, number: int) -> Setting:
        """What trial ``number`` tries; what an earlier process drew is taken as it is."""
        from optuna.trial import Trial

        id_ = self.trial_id(number)
        attributes = self.known.get_trials(deepcopy=False)[number - 1].user_attrs
        if SETTING in attributes:
            return dict(attributes[SETTING])
        self.known.sampler = self._sampler(number, "", None)
        trial = Trial(self.known, id_)
        trial.set_user_attr(MACHINE, self.machine)
        setting: Setting = {}
        fixed = self.grid[number - 2] if self.grid and number > 1 else None
        if number > 1:
            for dimension in self.dimensions:
                method = str(setting.get("method", self.methods[0]))
                if not belongs(dimension, method) or (fixed is not None and dimension.option not in fixed):
                    continue
                given = None if fixed is None else fixed[dimension.option]
                self.known.sampler = self._sampler(number, dimension.name, given)
                setting[dimension.option] = _suggested(trial, dimension)
            if "method" not in setting:
                setting["method"] = self.methods[0]
        trial.set_user_attr(SETTING, setting)
        return setting

    def _sampler(self, number: int, name: str, given: Any) -> Any:
        """What draws ``name`` of trial ``number``."""
        import optuna

        if given is not None or self.grid:
            return _fixed(given)
        seed = seeds.derive(self.recipe.seed, "search", number, name) % 2**32
        if self.recipe.search.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        first = min(10, max(4, self.wanted // 4))
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=first, multivariate=False)

    # --- telling ----------------------------------------------------------------------------------

    def report(self, number: int, share: float, value: float) -> None:
        """Note a look at validation after ``share`` of the training."""
        known, step = self.known.get_trials(deepcopy=False)[number - 1], min(SHARES, max(0, round(SHARES * share)))
        if not known.state.is_finished() and step not in known.intermediate_values:
            self.known._storage.set_trial_intermediate_value(known._trial_id, step, value)

    def is_hopeless(self, number: int, share: float, best: float) -> bool:
        """Whether half of the trials that ended by themselves were better after the same share of their training."""
        if self.recipe.search.pruner == "none" or number == 1 or not EARLIEST <= share < 1:
            return False
        trials = self.trials()
        seen = [value for at, value in trials[number - 1].curve if at <= share]  # by an earlier process, too
        others = [one for one in trials if one.state == "complete" and one.ended != "max_seconds"]
        then = sorted(max(value for at, value in one.curve if at <= share) for one in others if one.curve)
        return len(then) >= FEWEST_ENDED and max([best, *seen]) < then[len(then) // 2]

    def tell(self, number: int, state: str, value: float | None = None, **about: Any) -> None:
        """Note how a trial ended: complete, pruned or failed; what is noted already stays.

        :param about: more of its attributes.
        """
        known = self.known.get_trials(deepcopy=False)[number - 1]
        if known.state.is_finished():
            return
        for name, one in about.items():
            self.known._storage.set_trial_user_attr(known._trial_id, name, one)
        self.known.tell(number - 1, value, state=_optuna_state(state), skip_if_finished=True)


STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
"""What Optuna calls them, and what they are called here."""


def _optuna_state(name: str) -> Any:
    from optuna.trial import TrialState

    return next(TrialState[known] for known, ours in STATES.items() if ours == name)


def _tried(one: Any) -> Tried:
    curve, best = [], float("-inf")
    for step, value in sorted(one.intermediate_values.items()):
        best = max(best, value)
        curve.append((step / SHARES, best))
    known: Mapping[str, Any] = one.user_attrs
    return Tried(
        one.number + 1,
        STATES.get(one.state.name, "running"),
        known.get(SETTING),
        one.value if one.state.name == "COMPLETE" else None,
        float(known.get(SECONDS, 0.0)),
        tuple(curve),
        str(known.get(WHY, "")),
        str(known.get(ENDED, "")),
        str(known.get(MACHINE, "")),
        str(known.get(MODEL, "")),
    )


def _suggested(trial: Any, dimension: Dimension) -> Any:
    """The value that a trial tries in one dimension."""
    kind = _distribution(dimension)
    if dimension.choices:
        return json.loads(trial.suggest_categorical(dimension.name, kind.choices))
    suggest = trial.suggest_int if dimension.whole else trial.suggest_float
    return suggest(dimension.name, kind.low, kind.high, log=kind.log, step=kind.step)


def _distribution(dimension: Dimension) -> Any:
    """What Optuna draws from; choices go through the study as JSON."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.choices:
        return CategoricalDistribution([_as_drawn(dimension, one) for one in dimension.choices])
    if dimension.whole:
        step = 1 if dimension.log else int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _as_drawn(dimension: Dimension, value: Any) -> Any:
    """A value as the study keeps it."""
    return json.dumps(value, sort_keys=True) if dimension.choices else value


def _fixed(given: Any) -> Any:
    """A sampler that says what the grid says."""
    from optuna.distributions import CategoricalDistribution
    from optuna.samplers import BaseSampler

    class Fixed(BaseSampler):
        """Says one value."""

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            chosen = isinstance(param_distribution, CategoricalDistribution)
            return json.dumps(given, sort_keys=True) if chosen else given

    return Fixed()


def write_trials(study: Study) -> None:
    """trials.json: what the store knows of the trials, so that the folder tells it without the store."""
    path = study.folder.path / TRIALS
    write_text(path, json.dumps([one.to_json() for one in study.trials()], indent=1, ensure_ascii=False) + "\n")


def changed_recipe(path: Path) -> UserError:
    """O002 of a folder."""
    what = "holds a search of another recipe or space than it has now."
    remedy = "Put recipe.yaml back as it was, or begin anew with another --out."
    return UserError(Problem("O002", str(path), what, remedy))
