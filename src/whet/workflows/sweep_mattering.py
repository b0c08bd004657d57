"""Which choices of a search mattered: how much they tell of what validation gives, and how that is shared (fANOVA)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.findings import Finding
from whet.recipe.space import Dimension
from whet.workflows.sweep_study import Study

FEWEST = 10
"""Trials that ended by themselves, before it is said which choices mattered: a forest on fewer says anything."""
FEWEST_EACH = 4
"""And so many for each choice that is weighed."""
LEAST_FORETOLD = 0.1
"""Of the variance of unseen trials, for shares to be told; noise reaches it seldom (of 12 trials in 7 % of cases)."""
NUM_TREES = 200
RELATIVE = "relative to auto"


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended by itself: what it chose, what each was drawn from (of Optuna's kinds), what came out."""

    method: str
    choices: Mapping[str, Any]
    kinds: Mapping[str, Any]
    value: float


def mattering(study: Study) -> Finding:
    """X032: how much choices tell of what validation gives, and how that is shared between them.

    Shares are of what a forest says, which says something of noise, too: they are told only where the forest foretells
    trials that it has not seen.
    """
    groups = _groups(study)
    weighed = {where: _weighed(trials, study.recipe.seed) for where, trials in groups.items()}
    found = {where: one for where, one in weighed.items() if one is not None}
    if not found:
        remedy = "More search.trials, or a smaller space, would tell."
        return Finding("X032", "not_applicable", _too_few(groups["over all"]), "", remedy)
    told = [name for name, one in found.items() if one["foretold"] >= LEAST_FORETOLD]
    message = f"Choices tell {'; '.join(_told(where, one) for where, one in found.items())}."
    evidence = {"groups": found, "told": told}
    return Finding("X032", "passed" if told else "not_applicable", message, "", "", evidence)


def _too_few(trials: Sequence[Ended]) -> str:
    """Why nothing is weighed."""
    many = len(_varied(trials))
    choices = f"{many} choices" if many > 1 else "one choice"
    return (
        f"Not weighed: {len(trials)} trials drew a setting and ended by themselves, and before anything is said of "
        f"{choices} there must be {_needed(many)}."
    )


def _told(where: str, weighed: Mapping[str, Any]) -> str:
    """Of one group of trials, in words."""
    trials = f"{where} ({weighed['num_trials']} trials)"
    if weighed["foretold"] < LEAST_FORETOLD:
        return f"{trials} nothing by which another trial could be foretold"
    first = sorted(weighed["importance"].items(), key=lambda one: -float(one[1]))
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in first)
    return f"{trials} {100 * weighed['foretold']:.0f} % of what another trial differs by, and of that {shares}"


# --- trials that can be set beside each other -------------------------------------------------------


def _groups(study: Study) -> dict[str, list[Ended]]:
    """All trials, by what they have in common; and those of each method, by all that they drew."""
    trials = study.known.get_trials(deepcopy=False)
    ended = [_ended(one) for one in trials if one.state.name == "COMPLETE" and one.params and not _cut(one)]
    found = {"over all": _side_by_side(ended, study.dimensions)}
    if len(study.methods) > 1:
        found |= {f"with {method}": [one for one in ended if one.method == method] for method in study.methods}
    return found


def _ended(one: Any) -> Ended:
    method = str(one.user_attrs.get("setting", {}).get("method", ""))
    return Ended(method, one.params, one.distributions, float(one.value))


def _cut(one: Any) -> bool:
    """Whether the time ended the training of a trial."""
    return bool(one.user_attrs.get("ended") == "max_seconds")


def _side_by_side(trials: Sequence[Ended], dimensions: Sequence[Dimension]) -> list[Ended]:
    """With one choice in the place of what every method draws from a range of its own, such as its rate.

    Such ranges lie around what 'auto' takes for the method, the highest of each as many times as much: a value by the
    highest of its range says the same of all methods.
    """
    options = [one.option for one in dimensions if one.method]
    of_each = {one.name: one for one in dimensions if options.count(one.option) > 1 and one.method and _highest(one)}
    lowest = {
        option: min(_lowest(one) / _highest(one) for one in of_each.values() if one.option == option)
        for option in {one.option for one in of_each.values()}
    }
    return [_relative(one, of_each, lowest) for one in trials]


def _highest(dimension: Dimension) -> float:
    """0 where it holds anything but positive numbers, of which no ratio says anything."""
    if not dimension.choices:
        return dimension.high if dimension.low > 0 else 0.0
    numbers = [one for one in dimension.choices if isinstance(one, int | float) and not isinstance(one, bool)]
    return float(max(numbers)) if len(numbers) == len(dimension.choices) and min(numbers) > 0 else 0.0


def _lowest(dimension: Dimension) -> float:
    return float(min(dimension.choices)) if dimension.choices else dimension.low


def _relative(one: Ended, of_each: Mapping[str, Dimension], lowest: Mapping[str, float]) -> Ended:
    from optuna.distributions import FloatDistribution

    choices, kinds = dict[str, Any](), dict[str, Any]()
    for name, value in one.choices.items():
        if (own := of_each.get(name)) is None:
            choices[name], kinds[name] = value, one.kinds[name]
            continue
        shared = f"{own.option}, {RELATIVE}"
        number = float(json.loads(value) if own.choices else value)  # choices go through the study as JSON
        kinds[shared] = FloatDistribution(lowest[own.option], 1.0, log=own.log)
        choices[shared] = min(1.0, max(lowest[own.option], number / _highest(own)))
    return Ended(one.method, choices, kinds, one.value)


# --- weighing them ------------------------------------------------------------------------------------


def _varied(trials: Sequence[Ended]) -> list[str]:
    """Choices that all made, and not all alike."""
    shared = set.intersection(*(set(one.choices) for one in trials)) if trials else set()
    return sorted(name for name in shared if len({str(one.choices[name]) for one in trials}) > 1)


def _needed(num_choices: int) -> int:
    """Trials, before so many choices are weighed."""
    return max(FEWEST, FEWEST_EACH * num_choices)


def _weighed(trials: Sequence[Ended], seed: int) -> dict[str, Any] | None:
    """fANOVA over the choices that all of ``trials`` made; None where they are too few."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    varied = _varied(trials)
    if not varied or len(trials) < _needed(len(varied)):
        return None
    known = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for one in trials:
        kept = {name: one.choices[name] for name in varied}
        kinds = {name: one.kinds[name] for name in varied}
        known.add_trial(optuna.trial.create_trial(params=kept, distributions=kinds, value=one.value))
    evaluator = FanovaImportanceEvaluator(seed=seeds.derive(seed, "importance") % 2**32)
    weighed = optuna.importance.get_param_importances(known, evaluator=evaluator)
    foretold = _foretold(trials, varied, seeds.derive(seed, "foretold") % 2**32)
    shares = {name: float(share) for name, share in weighed.items()}
    return {"num_trials": len(trials), "foretold": foretold, "importance": shares}


def _foretold(trials: Sequence[Ended], varied: Sequence[str], seed: int) -> float:
    """Share of the variance of trials that a forest of the others foretells (out of bag); 0 where it is below."""
    from sklearn.ensemble import RandomForestRegressor

    values = np.asarray([one.value for one in trials])
    columns = [_as_numbers([one.choices[name] for one in trials], trials[0].kinds[name]) for name in varied]
    if not values.std():
        return 0.0
    forest = RandomForestRegressor(n_estimators=NUM_TREES, oob_score=True, min_samples_leaf=2, random_state=seed)
    forest.fit(np.column_stack(columns), values)
    return max(0.0, float(forest.oob_score_))


def _as_numbers(values: Sequence[Any], kind: Any) -> NDArray[np.float64]:
    """(n, k) a choice as columns: of names one each, of a range its number, or the logarithm where that is drawn."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(kind, CategoricalDistribution):
        return np.asarray([[float(value == choice) for choice in kind.choices] for value in values])
    numbers = np.asarray([[float(value)] for value in values])
    return np.log(numbers) if kind.log else numbers
