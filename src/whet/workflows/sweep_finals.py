"""The end of a sweep: the best settings trained with further seeds, held against the baselines on test rows.

Settings were chosen on validation; test rows are looked at here for the first time, by the finalists alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from whet.data import audit
from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.errors import Interrupted, UserError
from whet.evaluation.finalists import Chosen, Contender, Gap, against, choose
from whet.evaluation.scoring import score_all
from whet.evaluation.wording import model_words
from whet.files import read_json, write_json
from whet.folder import FINISHED, RunFolder
from whet.recipe import Recipe, load
from whet.recipe.names import PROBED
from whet.workflows import shipping, sweep_trial
from whet.workflows.events import Said, StageStarted
from whet.workflows.fit import fit, stages
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.sweep_study import Tried
from whet.workflows.sweep_trial import Hearing

OWN = "the recipe as it stands"
COSTS = ("train_seconds", "predict_rows_per_second", "size_bytes", "trainable_parameters")
TABLE = (*COSTS, "total_parameters", "added_bytes", "base_bytes")
"""Of memory what training a model added: one process trains them all, and its peak grows with what it holds."""


@dataclass
class Finalist:
    """A setting among the best, with its trainings; ``failed`` and ``left_out`` say why of a seed there is none."""

    tried: Tried
    method: str
    places: list[RunFolder]
    failed: list[str]
    left_out: int = 0

    @property
    def name(self) -> str:
        """``trial 7``."""
        return f"trial {self.tried.number}"

    @property
    def words(self) -> str:
        """As a sentence names it."""
        if self.tried.is_own:
            return f"{OWN} ({model_words(self.method)})"
        return f"{self.name} ({model_words(self.method)})"

    @property
    def judged(self) -> list[RunFolder]:
        """The trainings that speak of the setting: those after the first, which validation chose, where there are two.

        The best of many trials was also a lucky one: with it among them, the search would seem to help where it did
        nothing.
        """
        return self.places[1:] if len(self.places) > 2 else self.places

    def runs(self) -> tuple[Predictions, ...]:
        """What each training that is judged says of the test rows."""
        model = self.tried.model
        found = [load_predictions(place.predictions(model, "test")) for place in self.judged]
        return tuple(replace(one, model=self.name) for one in found)

    def facts(self) -> list[dict[str, Any]]:
        """What is known of each training."""
        return [dict(read_json(place.facts(self.tried.model))) for place in self.places]


def ranked(trials: Sequence[Tried]) -> list[Tried]:
    """The trials that ended, in the order in which they become finalists.

    The best of each method first, since the cheapest that is not worse is looked for; then whatever is best. What time
    cut short comes behind those, since further seeds would not be cut; what says always the same comes last.
    """
    ended = [one for one in trials if one.state == "complete" and one.value is not None]
    by_value = sorted(ended, key=lambda one: (*_spoilt(one), -float(one.value or 0.0), one.number))
    first: dict[str, int] = {}
    for one in by_value:
        first.setdefault(one.method, one.number)
    return sorted(by_value, key=lambda one: (*_spoilt(one), one.number not in first.values()))


def _spoilt(one: Tried) -> tuple[bool, bool]:
    """Whether its training came to nothing, and whether it was cut short."""
    return one.has_collapsed, one.ended == "max_seconds"


def chosen(trials: Sequence[Tried], number: int) -> list[Tried]:
    """The ``number`` finalists: distinct settings, and the recipe as it stands among them where there is room.

    A setting that is no better than a constant answer is worth no further seed, unless there is nothing else.
    """
    order = ranked(trials)
    own = [one for one in order if one.is_own]
    others, seen = [], set()
    for one in order:
        key = repr(sorted((one.setting or {}).items(), key=str))
        if not one.is_own and key not in seen:
            seen.add(key)
            others.append(one)
    others = [one for one in others if not one.has_collapsed] or ([] if own else others)
    room = number - 1 if own and number > 1 else number
    return [*others[:room], *own][:number] if number > 1 else order[:1]


@dataclass
class Closing:
    """What the end of a sweep needs: its recipe and folder, who listens, and how much time is left."""

    recipe: Recipe
    folder: RunFolder
    tell: Tell
    should_stop: Callable[[], bool]
    has_time: Callable[[float], bool]
    shared: Path
    lost: dict[str, str] = field(default_factory=dict)
    """Trials without a folder and finalists that could not be made whole, and why."""


def whole(closing: Closing, finalists: Sequence[Finalist]) -> Generator[Event, None, list[Finalist]]:
    """Make every finalist a complete run, and train it with further seeds while there is time; those that are whole.

    :raises Interrupted: asked to stop; what stopped the last of them, where none is whole.
    """
    kept = []
    for place, one in enumerate(finalists):
        try:
            yield from _complete(closing, one)
            kept.append(one)
        except Interrupted:
            raise
        except Exception as error:  # what breaks one of them must not end the search; it is counted
            if not kept and place == len(finalists) - 1:
                raise
            closing.lost[one.name] = in_a_line(error)
            yield Said(f"{one.name}: {closing.lost[one.name]}")
    for number in range(1, closing.recipe.search.seeds):
        for one in kept:
            yield from _seed(closing, one, number)
    return kept


def _complete(closing: Closing, one: Finalist) -> Iterator[Event]:
    """Carry a trial on to its end: predictions, files, checks."""
    place = one.places[0]
    if place.read_state()["state"] != FINISHED:
        yield Said(f"{one.name}: predicts, is saved and checked")
        yield from _quiet(fit(load(place.recipe), place, closing.tell, closing.should_stop))


def in_a_line(error: Exception) -> str:
    """What stopped a training: a mistake in the user's words, or what broke."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _seed(closing: Closing, one: Finalist, number: int) -> Iterator[Event]:
    """One more training of a setting: the same rows, another seed."""
    place = RunFolder(closing.folder.path / "seeds" / f"{one.tried.number:04d}-{number}")
    begun = place.state.exists()
    if not begun and not closing.has_time(one.tried.seconds):
        one.left_out += 1
        return
    first = load(one.places[0].recipe)
    quiet = first.forgetting.model_copy(update={"measure": False, "limit": None, "probes": [], "text": None})
    recipe = first.model_copy(update={"seed": closing.recipe.seed + number, "forgetting": quiet})
    why = place.path / "failed.json"
    try:
        if why.exists():
            one.failed.append(str(read_json(why)))
            return
        if not begun or place.read_state()["state"] != FINISHED:
            yield Said(f"{one.name}: seed {recipe.seed}")
            sweep_trial.prepare(recipe, place, closing.folder, one.tried.setting or {})
            hearing = Hearing(lambda share, value: False, lambda: False, closing.should_stop)
            yield from _quiet(sweep_trial.carry_out(recipe, place, closing.shared, closing.tell, hearing))
            yield from _quiet(fit(recipe, place, closing.tell, closing.should_stop))
        one.places.append(place)
    except Interrupted:
        raise
    except Exception as error:  # a seed that breaks a library is counted
        write_json(why, in_a_line(error))
        one.failed.append(in_a_line(error))


def _quiet(events: Iterator[Event]) -> Iterator[Event]:
    """All but what a run says of itself: a sweep has many."""
    for event in events:
        if event.kind not in ("said", "stage"):
            yield event


# --- baselines ----------------------------------------------------------------------------------------


def baselines(closing: Closing) -> Iterator[Event]:
    """Answers of the recipe's baselines, once for all settings."""
    evaluation = closing.recipe.evaluation.model_copy(update={"label_noise": False})  # nothing of it is shown
    recipe = closing.recipe.model_copy(update={"evaluation": evaluation})
    run = Running(recipe, closing.folder, closing.tell, closing.should_stop)
    for event in stages(run):
        if isinstance(event, StageStarted) and _is_training(event.stage):
            break
        if event.kind != "said":
            yield event
    if "probe" in run.value("evaluation.baselines") and closing.recipe.task in PROBED:
        yield from _quiet(run.stage("keep probe", lambda: shipping.keep(run, "probe")))


def _is_training(stage: str) -> bool:
    return stage.startswith(("train ", "try rates ", "keep ")) and stage != "train probe"


def rivals(closing: Closing) -> list[Contender]:
    """The baselines as contenders."""
    run = Running(closing.recipe, closing.folder, closing.tell, closing.should_stop)
    names = [name for name in run.value("evaluation.baselines") if closing.folder.predictions(name, "test").exists()]
    found = []
    for name in names:
        known = read_json(closing.folder.facts(name)) if closing.folder.facts(name).exists() else {}
        said = load_predictions(closing.folder.predictions(name, "test"))
        found.append(Contender(name, (said,), name, model_words(name), True, _costs([known])))
    return found


def _costs(facts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over trainings."""
    found = {}
    for name in TABLE:
        known = [float(one[name]) for one in facts if one.get(name) is not None]
        if known:
            found[name] = sum(known) / len(known)
    return found


# --- the table ----------------------------------------------------------------------------------------


def judged(closing: Closing, finalists: Sequence[Finalist]) -> tuple[Chosen, dict[str, Gap], list[dict[str, Any]]]:
    """The verdict, how each finalist stands to the recipe as it stands, and the rows of the table, cheapest first."""
    wanted = closing.recipe.evaluation
    ours = [Contender(one.name, one.runs(), one.method, one.words, False, _costs(one.facts())) for one in finalists]
    held = rivals(closing)
    known: dict[str, Any] = {"seed": closing.recipe.seed, "alpha": wanted.alpha, "num_resamples": wanted.resamples}
    verdict = choose([*held, *ours], margin=wanted.margin, **known)
    own = next((one for one, given in zip(ours, finalists, strict=True) if given.tried.is_own), None)
    gains = (
        {}
        if own is None
        else {one.name: against(one, own, verdict.metric, **known) for one in ours if one.name != own.name}
    )
    by_name = {one.name: one for one in finalists}
    rows = []
    for one in [*held, *ours]:
        entry: dict[str, Any] = {
            "name": one.name,
            "words": one.words,
            "kind": one.kind,
            "is_baseline": one.baseline,
            "value": verdict.values.get(one.name),
            "num_seeds": len(one.runs),
            "ships": one.name == verdict.ship,
            "near_best": one.name in verdict.near_best,
            "costs": dict(one.costs),
        }
        if (finalist := by_name.get(one.name)) is not None:
            entry |= _of_finalist(closing, finalist)
        rows.append(entry)
    order = list(verdict.values)
    rows.sort(key=lambda row: order.index(row["name"]) if row["name"] in order else -1)
    return verdict, gains, rows


def scores(closing: Closing, finalists: Sequence[Finalist], verdict: Chosen) -> dict[str, Any]:
    """The content of scores.json: baselines, and the first training of each finalist.

    By the metric of the verdict each is worth what the verdict says of its setting, so that one figure stands
    everywhere.
    """
    recipe = closing.recipe
    found = []
    names = [one.name for one in rivals(closing)]
    for split in ("validation", "test"):
        found += [load_predictions(closing.folder.predictions(name, split)) for name in names]
        for one in finalists:
            said = load_predictions(one.places[0].predictions(one.tried.model, split))
            found.append(replace(said, model=one.name))
    told = score_all(
        found,
        seed=recipe.seed,
        leaked_ids=audit.load(closing.folder.data / "audit.json").leaked,
        task=recipe.task,
        num_resamples=recipe.evaluation.resamples,
        baselines=names,
    )
    for name, value in verdict.values.items():
        told["models"][name][verdict.metric] = {part: value[part] for part in ("value", "low", "high")}
    return told


def _of_finalist(closing: Closing, one: Finalist) -> dict[str, Any]:
    return {
        "trial": one.tried.number,
        "setting": one.tried.setting,
        "validation": one.tried.value,
        "failed": one.failed,
        "left_out": one.left_out,
        "runs": [place.path.relative_to(closing.folder.path).as_posix() for place in one.places],
        "forgetting": _forgotten(one),
    }


def _forgotten(one: Finalist) -> dict[str, Any] | None:
    """What the first training forgot; None where it was not measured."""
    path = one.places[0].forgetting
    if not path.exists():
        return None
    told = read_json(path)
    entry = told["models"].get(one.tried.model, {}).get("forgotten")
    if entry is None:
        return None
    found = {name: entry[name] for name in ("value", "low", "high") if name in entry}
    return {"way": told.get("way"), **found}


def sizes(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many trainings there were, how many failed, and how many there was no time for."""
    found = {"trained": 0, "failed": 0, "left_out": 0}
    for row in rows:
        with suppress(KeyError):
            found["trained"] += int(row["num_seeds"]) if not row["is_baseline"] else 0
            found["failed"] += len(row["failed"])
            found["left_out"] += int(row["left_out"])
    return found
