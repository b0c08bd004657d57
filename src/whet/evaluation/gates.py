"""Gates beside quality, as findings V001 to V008: passed, issue, tip, or not applicable.

V005 is read off the training curves (``curves``), V006 and V008 are in ``weakness`` and ``degenerate``, the
others are here. They look at one model, the *subject*: the one to ship if it is a candidate, else the best
candidate, else the one to ship.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from whet.evaluation.calibration import apply_temperature, ece
from whet.evaluation.degenerate import degenerate
from whet.evaluation.flips import Flips, Rights, rights, rights_by_part
from whet.evaluation.intervals import Estimate
from whet.evaluation.kinds import kind_of, right_by
from whet.evaluation.measures import CHOICE, MEASURES, lower_is_better
from whet.evaluation.paired import harm, holm
from whet.evaluation.weakness import PARTS, listed, weak_parts
from whet.evaluation.wording import amount, model_words, number
from whet.findings import Finding
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import ClassPredictions, Predictions
    from whet.evaluation.paired import Comparison
    from whet.evaluation.verdict import Verdict

MOST_NEGATIVE_FLIPS = 0.05
"""Share of rows that may turn from right to wrong, at Wilson's upper end."""

MOST_ECE = 0.05
FEWEST_ROWS_ECE = 100
RIGHT = {
    "spans": " A row is right when all its spans are.",
    "answers": " An answer is right when it matches exactly.",
    "ranks": " A query is right when its first passage is relevant.",
    "texts": " A text is right when it is an accepted one, letter by letter.",
}
"""What right means where a metric counts half-right rows too, by kind."""
RIGHT_CHOICE = " A row is right when the answer chosen for it is an accepted one."

NEITHER = {
    "values": "A number is nearer or farther, not right or wrong.",
    "texts": "The truth is more or less likely to a model, not right or wrong.",
    "preferences": "An answer by itself has a larger or smaller reward, not a right or wrong one.",
}
"""Why no row is right or wrong, by kind."""
UNSTATED = {
    "texts": "A text is said without a probability of being right; how likely the true ones are is scored by itself.",
    "preferences": "A reward is no probability, so there is no calibration to judge.",
}
"""Why there is no calibration to judge, by kind, where not because nothing probable is stated at all."""
ROWS = {"ranks": "queries", "preferences": "pairs"}
"""What is counted where that is not rows, by kind."""

DECISIONS = {"classes": "rows", "spans": "said spans", "answers": "questions"}
"""What carries a probability, by kind."""


def subject_of(verdict: Verdict) -> str:
    """The model that the gates look at."""
    if verdict.leading is None or any(one.candidate == verdict.ship for one in verdict.comparisons):
        return verdict.ship
    return verdict.leading.candidate


def gates(
    verdict: Verdict,
    predictions: Sequence[Predictions],
    scores: Mapping[str, Any],
    *,
    seed: int,
    leaks_known: bool = True,
) -> list[Finding]:
    """Findings V001 to V004 and V006 to V008 of a finished comparison.

    :param predictions: at least the subject and the best baseline, on the test rows of the verdict.
    :param scores: what :func:`whet.evaluation.scoring.score_all` gave for the same rows.
    :param leaks_known: whether the audit looked for test rows that stand in training.
    """
    on_split = {one.model: one for one in predictions if one.split == scores["split"]}
    subject = subject_of(verdict)
    return [
        better_than_baseline(verdict),
        negative_flips(on_split[subject], on_split[verdict.best_baseline], seed=seed, metric=verdict.metric),
        calibration(on_split[subject], scores["temperature"].get(subject), seed=seed),
        leakage(verdict, scores, subject, leaks_known=leaks_known),
        weak_parts(scores, subject),
        enough_rows(verdict),
        degenerate(on_split[subject]),
    ]


def better_than_baseline(verdict: Verdict) -> Finding:
    """V001: what the verdict says about the best candidate."""
    lead = verdict.leading
    if lead is None:
        return Finding("V001", "not_applicable", "There is no candidate beside the baselines.", verdict.ship)
    evidence = {"comparisons": [one.to_json() for one in verdict.comparisons]}
    if verdict.code == "ship":
        return Finding("V001", "passed", verdict.reason, verdict.ship, "", evidence)
    if verdict.code == "cannot_tell":
        remedy = _more_rows(verdict, lead)
        return Finding("V001", "tip", verdict.reason, lead.candidate, remedy, evidence)
    remedy = f"Ship {model_words(verdict.ship)}, or try a larger base or more training data."
    return Finding("V001", "issue", verdict.reason, lead.candidate, remedy, evidence)


def _more_rows(verdict: Verdict, lead: Comparison) -> str:
    """What helps where nothing can be told."""
    if lead.alike:
        told = f"The trained model answers as {model_words(lead.against)} does"
        return f"{told}: train for longer, at a higher rate or on more rows, or leave it."
    rows = f"about {verdict.rows_to_decide:,}" if verdict.rows_to_decide else "more"
    return f"Label {rows} test {MEASURES[verdict.metric].rows}."


def negative_flips(new: Predictions, old: Predictions, *, seed: int = 0, metric: str | None = None) -> Finding:
    """V002: rows that the best baseline has right and the subject wrong, over all and in the worst part.

    An issue where a part (a class, a type of span, the unanswerable questions) has surely got worse
    (McNemar within it, or whole groups turned round where rows come in groups; Holm over parts).

    :param metric: what the verdict is about; where it is a share, it says which rows are right.
    """
    if new.model == old.model:
        return Finding("V002", "not_applicable", "The model is itself the best baseline.", new.model)
    if right_by(new, metric) is None or right_by(old, metric) is None:
        message = NEITHER[new.kind]
        return Finding("V002", "not_applicable", f"{message} So none can turn from right to wrong.", new.model)
    both, by_choice = rights(new, old, metric), metric == CHOICE
    if new.kind == "texts" and not by_choice and not (both.new.any() or both.old.any()):
        message = "No text of either model is an accepted one letter by letter. So none can turn from right to wrong."
        return Finding("V002", "not_applicable", message, new.model)
    whole, parts = both.flips, rights_by_part(new, old)
    counts = {name: part.flips for name, part in parts.items()}
    worst = max(counts, key=lambda name: counts[name].negative - counts[name].positive, default="")
    evidence = {"all": _flip_figures(whole)} | (
        {"worst": {"label": worst} | _flip_figures(counts[worst])} if worst else {}
    )
    rows = ROWS.get(new.kind, "rows")
    message = (
        f"{whole.negative:,} of {whole.num_rows:,} {rows} that {model_words(old.model)} has right are wrong with "
        f"{model_words(new.model)} ({100 * whole.negative_rate:.1f} %, at most {100 * whole.negative_high:.1f} %); "
        f"{whole.positive:,} the other way.{RIGHT_CHOICE if by_choice else RIGHT.get(new.kind, '')}"
    )
    words = PARTS[new.kind]
    harmed = _harmed(parts, counts, seed)
    if harmed:
        message += f" Surely worse than before: {listed(harmed)}."
        remedy = f"Look at the flipped rows of these {words.many} before replacing the old model."
        return Finding("V002", "issue", message, new.model, remedy, evidence)
    if worst and counts[worst].gain < 0:
        one = counts[worst]
        message += f" Worst {words.one}: {worst!r}, {one.negative} lost and {one.positive} won of {one.num_rows}."
    if whole.negative and whole.negative_high > MOST_NEGATIVE_FLIPS:
        remedy = "If users know the old answers, look at the flipped rows before replacing it."
        return Finding("V002", "tip", message, new.model, remedy, evidence)
    return Finding("V002", "passed", message, new.model, "", evidence)


def _harmed(parts: Mapping[str, Rights], counts: Mapping[str, Flips], seed: int) -> list[str]:
    changed = [name for name, one in counts.items() if one.positive + one.negative]
    p_values = [
        harm(parts[name].new, parts[name].old, parts[name].groups, generator(seed, "harm", name)) for name in changed
    ]
    return [name for name, p in zip(changed, holm(p_values), strict=True) if p < 0.05 and counts[name].gain < 0]


def _flip_figures(one: Flips) -> dict[str, float]:
    return {
        "num_rows": one.num_rows,
        "positive": one.positive,
        "negative": one.negative,
        "negative_rate": one.negative_rate,
        "negative_high": one.negative_high,
        "gain": one.gain,
    }


APPLIED = 0.01
"""A temperature so near to 1 was applied already, as trained models carry it in their head."""


def calibration(predictions: Predictions, temperature: float | None, *, seed: int) -> Finding:
    """V003: expected calibration error, as saved and, of classes, with the temperature fitted on validation."""
    name, stated = predictions.model, kind_of(predictions).decisions(predictions)
    if stated is None:
        message = UNSTATED.get(predictions.kind, "This task states no probabilities.")
        return Finding("V003", "not_applicable", message, name)
    if len(stated[0]) < FEWEST_ROWS_ECE:
        what = DECISIONS[predictions.kind]
        message = f"{len(stated[0]):,} {what} are too few to judge calibration (at least {FEWEST_ROWS_ECE})."
        return Finding("V003", "not_applicable", message, name)
    raw = _ece(predictions, seed)
    evidence: dict[str, Any] = {"ece": raw.to_json(), "temperature": temperature}
    message = f"Stated probabilities are off by {100 * raw.value:.1f} points on average (ECE)"
    if raw.value <= MOST_ECE:
        return Finding("V003", "passed", message + ".", name, "", evidence)
    if predictions.kind != "classes" or temperature is None:
        remedy = "Keep a validation split, so that a temperature can be fitted."
        remedy = remedy if predictions.kind == "classes" else "Use its confidences to sort, not as probabilities."
        return Finding("V003", "issue" if raw.low > MOST_ECE else "tip", message + ".", name, remedy, evidence)
    if abs(temperature - 1) < APPLIED:
        message += ", after the temperature that validation asks for."
        remedy = "Use its probabilities with care, or give it more rows for validation."
        return Finding("V003", "issue" if raw.low > MOST_ECE else "tip", message, name, remedy, evidence)
    after = _ece(apply_temperature(cast("ClassPredictions", predictions), temperature), seed)
    evidence["ece_with_temperature"] = after.to_json()
    message += f"; with the temperature {temperature:.2f} fitted on validation by {100 * after.value:.1f}."
    remedy = f"Divide the logits by {temperature:.2f} before reading probabilities; decisions do not change."
    if min(raw.low, after.low) > MOST_ECE:
        return Finding("V003", "issue", message, name, "Do not use the probabilities as they are.", evidence)
    better = after.value < raw.value
    return Finding("V003", "tip", message, name, remedy if better else "Use its probabilities with care.", evidence)


def _ece(predictions: Predictions, seed: int) -> Estimate:
    found = ece(predictions, seed=seed)
    assert found is not None
    return found


def leakage(verdict: Verdict, scores: Mapping[str, Any], subject: str, *, leaks_known: bool = True) -> Finding:
    """V004: what the score is without the test rows that stand in training too.

    An issue where that takes more than half the margin, or turns the order of subject and best baseline.
    """
    if not leaks_known:
        return Finding("V004", "not_applicable", "Nobody looked for test rows that stand in training.", subject)
    rest = scores["without_leaks"]
    if rest is None:
        return Finding("V004", "passed", "No test row was found in the training rows.", subject)
    metric, leaked = verdict.metric, scores["num_rows"] - rest["num_rows"]
    rows = MEASURES[metric].rows
    if not rest["models"]:
        message = f"All {leaked:,} test {rows} also stand in training: the scores say nothing about new texts."
        return Finding("V004", "issue", message, subject, "Make a new test split.", {"leaked": leaked})
    sign = -1 if lower_is_better(metric) else 1
    value = {name: sign * scores["models"][name][metric]["value"] for name in (subject, verdict.best_baseline)}
    kept = {name: sign * rest["models"][name][metric]["value"] for name in (subject, verdict.best_baseline)}
    evidence = {"leaked": leaked, "with": sign * value[subject], "without": sign * kept[subject]}
    message = (
        f"{leaked:,} of {scores['num_rows']:,} test {rows} also stand in training; without them "
        f"{MEASURES[metric].words} is {number(sign * kept[subject], metric)} instead of "
        f"{number(sign * value[subject], metric)}."
    )
    turned = (value[subject] - value[verdict.best_baseline]) * (kept[subject] - kept[verdict.best_baseline]) < 0
    if turned:
        message += f" The order of {model_words(subject)} and {model_words(verdict.best_baseline)} turns round."
    harmful = turned or value[subject] - kept[subject] > verdict.margin / 2
    remedy = "Report the score without them, and take them out of the training rows."
    return Finding("V004", "issue" if harmful else "tip", message, subject, remedy, evidence)


def enough_rows(verdict: Verdict) -> Finding:
    """V007: whether the test rows were enough for this verdict, and what they can show at all."""
    lead, effect = verdict.leading, verdict.minimum_detectable_effect
    if lead is None:
        return Finding("V007", "not_applicable", "There is no candidate beside the baselines.", verdict.ship)
    evidence = {
        "num_rows": verdict.num_rows,
        "minimum_detectable_effect": effect,
        "rows_to_decide": verdict.rows_to_decide,
    }
    rows = f"{verdict.num_rows:,} test {MEASURES[verdict.metric].rows}"
    message = f"{rows} can show no difference at all."
    if effect is not None:
        message = (
            f"{rows} show a difference of {amount(effect, verdict.metric)} between these models, four times in five."
        )
    if verdict.code != "cannot_tell":
        return Finding("V007", "passed", message, lead.candidate, "", evidence)
    if lead.alike:
        message += " Both models say the same of every one, so that more would not tell them apart."
        return Finding("V007", "not_applicable", message, lead.candidate, "", evidence)
    message += " That was not enough."
    return Finding("V007", "issue", message, lead.candidate, _more_rows(verdict, lead), evidence)
