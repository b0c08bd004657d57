"""What a sweep found, beside its table: whether searching helped, what failed, which choices mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


def findings(
    recipe: Recipe, study: Study, verdict: Chosen, gains: Mapping[str, Gap], rows: Sequence[Mapping[str, Any]]
) -> list[Finding]:
    """X030 to X034, in the order of their codes."""
    trials = study.trials()
    return [_helped(verdict, gains, rows), _failed(trials, rows), mattering(study), _in_time(recipe, trials, rows)]


def _helped(verdict: Chosen, gains: Mapping[str, Gap], rows: Sequence[Mapping[str, Any]]) -> Finding:
    """X030: the best of the search against the recipe as it stands, on test rows."""
    named = {str(row["name"]): str(row["words"]) for row in rows}
    if not gains:
        why = "No setting but the recipe as it stands came to the end, or it did not: nothing to compare."
        return Finding("X030", "not_applicable", why)
    name = max(gains, key=lambda one: gains[one].value)
    gap, metric = gains[name], verdict.metric
    side = "better" if gap.value >= 0 else "worse"
    told = (
        f"{named[name]} is {amount(abs(gap.value), metric)} {side} than the recipe as it stands on test rows "
        f"({100 * (1 - verdict.alpha):.0f} % interval over seeds and rows {number(gap.low, metric)} to "
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


def _failed(trials: Sequence[Tried], rows: Sequence[Mapping[str, Any]]) -> Finding:
    """X031: every trial and seed is counted."""
    failed = [one for one in trials if one.state == "failed" or (one.state == "complete" and one.why)]
    pruned = sum(one.state == "pruned" for one in trials)
    seeds_failed = [f"{row['name']}: {why}" for row in rows for why in row.get("failed", ())]
    given_up = f", {pruned} given up before their end" if pruned else ""
    counted = f"{len(trials)} trials{given_up}, {len(failed)} failed; of further seeds {len(seeds_failed)} failed."
    evidence = {"failed": {str(one.number): one.why for one in failed}, "pruned": pruned, "seeds": seeds_failed}
    if failed or seeds_failed:
        remedy = "Look at the reasons in sweep.json; take what cannot work out of search.space."
        return Finding("X031", "issue", counted, "", remedy, evidence)
    return Finding("X031", "passed", counted, "", "", evidence)


def mattering(study: Study) -> Finding:
    """X032: how much of the spread of validation each choice explains (functional ANOVA)."""
    found = {
        where: weighed for where, trials in _alike(study).items() if (weighed := _weighed(study, trials)) is not None
    }
    if not found:
        why = f"Fewer than {FEWEST} trials that ended by themselves, or too few for so many choices: not weighed."
        return Finding("X032", "not_applicable", why, "", "More search.trials, or a smaller space, would tell.")
    parts = []
    for where, weighed in found.items():
        first = sorted(weighed["importance"].items(), key=lambda one: -one[1])
        shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in first)
        parts.append(f"{where} ({weighed['num_trials']} trials): {shares}")
    message = f"Of what validation differed by, choices explain, {'; '.join(parts)}."
    return Finding("X032", "passed", message, "", "", {"groups": found})


def _alike(study: Study) -> dict[str, list[Any]]:
    """Trials that drew from the same dimensions: all of them, and those of each method."""
    ended = [one for one in study.known.get_trials(deepcopy=False) if one.state.name == "COMPLETE" and one.params]
    found = {"over all": ended}
    if len(study.methods) > 1:
        for method in study.methods:
            found[f"with {method}"] = [
                one for one in ended if one.user_attrs.get("setting", {}).get("method") == method
            ]
    return found


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
    return {"num_trials": len(trials), "importance": {name: float(share) for name, share in weighed.items()}}


def _in_time(recipe: Recipe, trials: Sequence[Tried], rows: Sequence[Mapping[str, Any]]) -> Finding:
    """X033: what the time did not suffice for."""
    cut = [one.number for one in trials if one.ended == "max_seconds"]
    left_out = sum(int(row.get("left_out", 0)) for row in rows)
    missing = recipe.search.trials - len(trials)
    if recipe.search.minutes is None:
        return Finding("X033", "not_applicable", "The search had no limit of time.")
    evidence = {"cut": cut, "seeds_left_out": left_out, "trials_left_out": max(0, missing)}
    if not cut and not left_out and (missing <= 0 or recipe.search.sampler == "grid"):
        return Finding(
            "X033", "passed", "Everything that was wanted was tried in the time there was.", "", "", evidence
        )
    message = (
        f"In {recipe.search.minutes:g} minutes {len(trials)} of {recipe.search.trials} trials were begun, {len(cut)} "
        f"stopped with their best state, and {left_out} further seeds left out."
    )
    return Finding("X033", "tip", message, "", "Go on with: whet sweep --resume RUN --minutes MORE.", evidence)
