"""What a sweep found, beside its table: whether searching helped, what failed, which choices mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whet.evaluation.finalists import Chosen, Gap
from whet.evaluation.wording import amount, number
from whet.findings import Finding
from whet.recipe import Recipe
from whet.workflows.sweep_mattering import mattering
from whet.workflows.sweep_study import Study, Tried


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
        _in_time(recipe, trials, study.wanted, rows, study.passes),
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
    counted = f"{len(trials)} trial{'' if len(trials) == 1 else 's'}{given_up}, {len(failed)} failed{constant}; "
    counted += "of further seeds "
    counted += f"{len(seeds_failed)} failed."
    told = ", ".join(f"{name} ({why})" for name, why in lost.items())
    counted += f" Lost, and left out of the end: {told}." if lost else ""
    evidence: dict[str, Any] = {"failed": {str(one.number): one.why for one in [*failed, *collapsed]}, "pruned": pruned}
    evidence |= {"seeds": seeds_failed, "lost": dict(lost)}
    if failed or collapsed or seeds_failed or lost:
        remedy = "Look at the reasons in sweep.json; take what cannot work out of search.space."
        return Finding("X031", "issue", counted, "", remedy, evidence)
    return Finding("X031", "passed", counted, "", "", evidence)


def _in_time(
    recipe: Recipe, trials: Sequence[Tried], wanted: int, rows: Sequence[Mapping[str, Any]], passes: float | None = None
) -> Finding:
    """X033: what the time did not suffice for.

    :param wanted: trials there were to be; a grid may hold fewer than the recipe asks for.
    :param passes: of each training, where they were shortened for all to fit in.
    """
    cut = [one.number for one in trials if one.ended == "max_seconds"]
    left_out = sum(int(row.get("left_out", 0)) for row in rows)
    shortened = [f"{row['name']}, seed {one['seed']}" for row in rows for one in _further(row) if one["cut"]]
    missing = max(0, wanted - len(trials))
    if recipe.search.minutes is None:
        return Finding("X033", "not_applicable", "The search had no limit of time.")
    evidence = {"cut": cut, "seeds_cut": shortened, "seeds_left_out": left_out, "trials_left_out": missing}
    evidence["passes"] = passes
    message, remedy = "Everything that was wanted was tried in the time there was.", ""
    if cut or shortened or left_out or missing:
        message = (
            f"In {recipe.search.minutes:g} min {len(trials)} of {wanted} trials were begun, {len(cut)} "
            f"stopped with their best state; of further seeds {len(shortened)} stopped so, which do not judge, and "
            f"{left_out} left out."
        )
        remedy = "Go on with: whet sweep --resume RUN --minutes MORE."
    if passes is not None:
        message += f" For all trials to fit in, each went {_times(passes)} over the rows, fewer than it would alone."
        remedy += " Train what was chosen as long as it takes alone: whet fit with its options, but training.epochs."
    return Finding("X033", "tip" if remedy else "passed", message, "", remedy.strip(), evidence)


def _times(passes: float) -> str:
    return "once" if passes == 1 else f"{passes:g} times"


def _further(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The trainings of a finalist beside that of its trial."""
    return [one for one in row.get("seeds", ()) if one["run"] not in row["runs"][:1]]
