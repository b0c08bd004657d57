"""What a sweep found, beside its table: whether searching helped, what failed, which choices mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.evaluation.finalists import Chosen, Gap
from whet.evaluation.wording import amount, number
from whet.findings import Finding
from whet.recipe import Recipe
from whet.workflows.sweep_study import Study, Tried

FEWEST = 10
"""Trials that ended by themselves, before it is said which choices mattered: a forest on fewer says anything."""
FEWEST_EACH = 4
"""And so many for each choice that is weighed."""
LEAST_FORETOLD = 0.1
"""Of the variance of unseen trials, for shares to be told; noise reaches it seldom."""
NUM_TREES = 200


def findings(
    recipe: Recipe,
    study: Study,
    verdict: Chosen,
    gains: Mapping[str, Gap],
    rows: Sequence[Mapping[str, Any]],
    lost: Mapping[str, str],
) -> list[Finding]:
    """X030 to X033, in the order of their codes.

    :param lost: trials without a folder and finalists that could not be made whole, and why.
    """
    trials = study.trials()
    return [
        _helped(verdict, gains, rows),
        _failed(trials, rows, lost),
        mattering(study),
        _in_time(recipe, trials, study.wanted, rows),
    ]


def _helped(verdict: Chosen, gains: Mapping[str, Gap], rows: Sequence[Mapping[str, Any]]) -> Finding:
    """X030: the finalist that validation chose against the recipe as it stands, on test rows.

    One comparison, and no choosing on test rows: the best of several there would seem to help where nothing does.
    """
    finalists = {str(row["name"]): row for row in rows if not row["is_baseline"]}
    own = next((row for row in finalists.values() if row["trial"] == 1), None)
    if not gains or own is None:
        why = "No setting but the recipe as it stands came to the end, or it did not: nothing to compare."
        return Finding("X030", "not_applicable", why)
    chosen = max(finalists.values(), key=lambda row: (row["validation"], -row["trial"]))
    name, metric = str(chosen["name"]), verdict.metric
    if chosen is own:
        message = "The search found nothing better than the recipe as it stands: none is ahead of it on validation."
        remedy = "Keep the recipe; a larger search.space or more search.trials may hold something better."
        return Finding("X030", "tip", message, name, remedy, {"model": name})
    gap = gains[name]
    side = "better" if gap.value >= 0 else "worse"
    over = "seeds and rows" if min(chosen["num_seeds"], own["num_seeds"]) > 1 else "rows, of one training"
    told = (
        f"{chosen['words']}, which validation chose, is {amount(abs(gap.value), metric)} {side} than the recipe as it "
        f"stands on test rows ({100 * (1 - verdict.alpha):.0f} % interval over {over} {number(gap.low, metric)} to "
        f"{number(gap.high, metric)})"
    )
    evidence = {"model": name, **gap.to_json()}
    if gap.low > 0:
        return Finding("X030", "passed", f"The search helped: {told}.", name, "", evidence)
    if gap.high < 0:
        message = f"The search chose what is worse on test rows: {told}."
        return Finding(
            "X030", "issue", message, name, "Keep the recipe; validation has too few rows to choose by.", evidence
        )
    message = f"Whether the search helped cannot be told: {told}."
    remedy = "More test rows or more search.seeds tell more; more trials chosen on the same validation rows do not."
    return Finding("X030", "tip", message, name, remedy, evidence)


def _failed(trials: Sequence[Tried], rows: Sequence[Mapping[str, Any]], lost: Mapping[str, str]) -> Finding:
    """X031: every trial and seed is counted."""
    failed = [one for one in trials if one.state == "failed"]
    collapsed = [one for one in trials if one.has_collapsed]
    pruned = sum(one.state == "pruned" for one in trials)
    seeds_failed = [f"{row['name']}: {why}" for row in rows for why in row.get("failed", ())]
    given_up = f", {pruned} given up before their end" if pruned else ""
    constant = f", {len(collapsed)} no better than a constant answer" if collapsed else ""
    counted = f"{len(trials)} trials{given_up}, {len(failed)} failed{constant}; of further seeds "
    counted += f"{len(seeds_failed)} failed."
    told = ", ".join(f"{name} ({why})" for name, why in lost.items())
    counted += f" Lost, and left out of the end: {told}." if lost else ""
    evidence: dict[str, Any] = {"failed": {str(one.number): one.why for one in [*failed, *collapsed]}, "pruned": pruned}
    evidence |= {"seeds": seeds_failed, "lost": dict(lost)}
    if failed or collapsed or seeds_failed or lost:
        remedy = "Look at the reasons in sweep.json; take what cannot work out of search.space."
        return Finding("X031", "issue", counted, "", remedy, evidence)
    return Finding("X031", "passed", counted, "", "", evidence)


def mattering(study: Study) -> Finding:
    """X032: how much choices tell of what validation gives, and how that is shared between them (functional ANOVA).

    Shares are of what a forest says, which says something of noise, too: they are told only where the forest foretells
    trials that it has not seen.
    """
    found = {
        where: weighed for where, trials in _alike(study).items() if (weighed := _weighed(study, trials)) is not None
    }
    if not found:
        why = f"Fewer than {FEWEST} trials that ended by themselves, or too few for so many choices: not weighed."
        return Finding("X032", "not_applicable", why, "", "More search.trials, or a smaller space, would tell.")
    told = [name for name, weighed in found.items() if weighed["foretold"] >= LEAST_FORETOLD]
    message = f"Choices tell {'; '.join(_told(where, weighed) for where, weighed in found.items())}."
    evidence = {"groups": found, "told": told}
    return Finding("X032", "passed" if told else "not_applicable", message, "", "", evidence)


def _told(where: str, weighed: Mapping[str, Any]) -> str:
    """Of one group of trials, in words."""
    trials = f"{where} ({weighed['num_trials']} trials)"
    if weighed["foretold"] < LEAST_FORETOLD:
        return f"{trials} nothing by which another trial could be foretold"
    first = sorted(weighed["importance"].items(), key=lambda one: -float(one[1]))
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in first)
    return f"{trials} {100 * weighed['foretold']:.0f} % of what another trial differs by, and of that {shares}"


def _alike(study: Study) -> dict[str, list[Any]]:
    """Trials that drew from the same dimensions: all of them, and those of each method."""
    trials = study.known.get_trials(deepcopy=False)
    ended = [one for one in trials if one.state.name == "COMPLETE" and one.params and not _cut(one)]
    found = {"over all": ended}
    if len(study.methods) > 1:
        for method in study.methods:
            found[f"with {method}"] = [
                one for one in ended if one.user_attrs.get("setting", {}).get("method") == method
            ]
    return found


def _cut(one: Any) -> bool:
    """Whether the time ended the training of a trial."""
    return bool(one.user_attrs.get("ended") == "max_seconds")


def _foretold(trials: Sequence[Any], varied: Sequence[str], seed: int) -> float:
    """Share of the variance of trials that a forest of the others foretells (out of bag); 0 where it is below."""
    from sklearn.ensemble import RandomForestRegressor

    values = np.asarray([float(one.value) for one in trials])
    columns = [_as_numbers([one.params[name] for one in trials], trials[0].distributions[name]) for name in varied]
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


def _weighed(study: Study, trials: Sequence[Any]) -> dict[str, Any] | None:
    """fANOVA over the choices that all of ``trials`` made; None where they are too few."""
    import optuna
    from optuna.importance import FanovaImportanceEvaluator

    shared = set.intersection(*(set(one.params) for one in trials)) if trials else set()
    varied = sorted(name for name in shared if len({str(one.params[name]) for one in trials}) > 1)
    if not varied or len(trials) < max(FEWEST, FEWEST_EACH * len(varied)):
        return None
    known = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    for one in trials:
        kept = {name: one.params[name] for name in varied}
        kinds = {name: one.distributions[name] for name in varied}
        known.add_trial(optuna.trial.create_trial(params=kept, distributions=kinds, value=one.value))
    evaluator = FanovaImportanceEvaluator(seed=seeds.derive(study.recipe.seed, "importance") % 2**32)
    weighed = optuna.importance.get_param_importances(known, evaluator=evaluator)
    foretold = _foretold(trials, varied, seeds.derive(study.recipe.seed, "foretold") % 2**32)
    shares = {name: float(share) for name, share in weighed.items()}
    return {"num_trials": len(trials), "foretold": foretold, "importance": shares}


def _in_time(recipe: Recipe, trials: Sequence[Tried], wanted: int, rows: Sequence[Mapping[str, Any]]) -> Finding:
    """X033: what the time did not suffice for.

    :param wanted: trials there were to be; a grid may hold fewer than the recipe asks for.
    """
    cut = [one.number for one in trials if one.ended == "max_seconds"]
    left_out = sum(int(row.get("left_out", 0)) for row in rows)
    missing = max(0, wanted - len(trials))
    if recipe.search.minutes is None:
        return Finding("X033", "not_applicable", "The search had no limit of time.")
    evidence = {"cut": cut, "seeds_left_out": left_out, "trials_left_out": missing}
    if not cut and not left_out and not missing:
        return Finding(
            "X033", "passed", "Everything that was wanted was tried in the time there was.", "", "", evidence
        )
    message = (
        f"In {recipe.search.minutes:g} minutes {len(trials)} of {wanted} trials were begun, {len(cut)} "
        f"stopped with their best state, and {left_out} further seeds left out."
    )
    return Finding("X033", "tip", message, "", "Go on with: whet sweep --resume RUN --minutes MORE.", evidence)
