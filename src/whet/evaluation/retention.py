"""How much of a teacher's score its student keeps, and whether learning from it was worth anything (X010)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.intervals import RESAMPLES, percentile
from whet.evaluation.kinds import shared_metrics, sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.paired import Comparison, compare
from whet.evaluation.rows import clusters, same_rows
from whet.evaluation.self_labels import shorter
from whet.evaluation.shares import LEVEL
from whet.evaluation.sums import blocks, resampled
from whet.evaluation.wording import amount, number, p_words
from whet.findings import Finding
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

CODE, SEEN, WHO, FILE = "X010", "X011", "X012", "distillation.json"
TEACHER, STUDENT = "teacher", "distilled"
MOST_SEEN = 0.5
"""Share of the test rows that a teacher may know: what a student keeps of it is then told by the others."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The score of ``model`` as a share of the teacher's, with its interval over test rows.

    Where less is better, the teacher's as a share of the model's. ``share`` is None where the score that it is a share
    of is not above zero; ``undefined`` counts the resamples of which that is so. They may lie anywhere, so that for
    each end of the interval they are taken as the farthest one; where they are most, there is no interval.
    """

    model: str
    value: float
    share: float | None
    low: float | None
    high: float | None
    undefined: int = 0
    resamples: int = 0


def kept(
    model: Predictions,
    teacher: Predictions,
    metric: str,
    *,
    seed: int,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Kept:
    """The share of the teacher's score that ``model`` keeps: rows (or groups) of both are drawn together.

    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    groups = clusters(None, model, teacher)
    model, teacher = same_rows(model, teacher)
    soft = lower_is_better(metric)
    rng = generator(seed, "retention", metric)  # one draw for all models: equal ones have equal intervals
    rows = [sums(model, soft=soft), sums(teacher, soft=soft)]
    drawn_as_one = blocks(len(model), groups, rng)
    first, second = rows if drawn_as_one is None else [part.grouped(drawn_as_one) for part in rows]

    def shares(one: Any, other: Any) -> Any:
        mine, theirs = first.metrics([metric], one)[metric], second.metrics([metric], other)[metric]
        above, below = (theirs, mine) if soft else (mine, theirs)
        return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)

    value = float(first.metrics([metric], first.total)[metric][0])
    share = float(shares(first.total, second.total)[0])
    drawn = np.concatenate([shares(*pair) for pair in resampled([first, second], num_resamples, rng)])
    known = np.isfinite(drawn)
    undefined, number = int((~known).sum()), len(drawn)
    if not np.isfinite(share):
        return Kept(model.model, value, None, None, None, undefined, number)
    if 2 * undefined > number:
        return Kept(model.model, value, share, None, None, undefined, number)
    low, _ = percentile(np.where(known, drawn, drawn[known].min()), level)
    _, high = percentile(np.where(known, drawn, drawn[known].max()), level)
    return Kept(model.model, value, share, low, high, undefined, number)


def retention(
    models: Mapping[str, Predictions],
    metric: str,
    control: str | None,
    *,
    seed: int,
    alpha: float,
    num_resamples: int = RESAMPLES,
    comparable: NDArray[np.bool_] | bool = True,
) -> dict[str, Any]:
    """The content of distillation.json that is about scores.

    :param models: predictions on test rows by name: the student, its control where there is one, and the teacher
        where it could be asked.
    :param comparable: (n,) by number which test rows the teacher has not seen, on which alone a share of its score is
        taken; True: all. Where it has seen more than a share ``MOST_SEEN`` of them, or nobody knows which, none is.
    """
    against = models.get(TEACHER)
    found: dict[str, Any] = {"metric": metric, "alpha": alpha, "control": control, "kept": {}, "gain": None}
    if not isinstance(comparable, bool):
        found["unseen"] = int(comparable.sum())
        models_held = {name: one.take(comparable[one.ids]) for name, one in models.items()}
        against = models_held.get(TEACHER) if comparable.mean() >= 1 - MOST_SEEN else None
    else:
        models_held, against = dict(models), against if comparable else None
    if against is not None:
        names = [name for name in (STUDENT, control) if name is not None]
        for name in names:
            if metric not in shared_metrics(models_held[name], against):
                continue
            one = kept(models_held[name], against, metric, seed=seed, num_resamples=num_resamples, level=1 - alpha)
            found["kept"][name] = asdict(one)
    if control is not None:
        gain = compare(
            models[STUDENT], models[control], metric, seed=seed, num_resamples=num_resamples, level=1 - alpha
        )
        found["gain"] = gain.to_json()
    return found


def finding(found: Mapping[str, Any]) -> Finding:
    """X010: what is kept of the teacher, and whether it was the teacher's doing."""
    steps = _steps(found)
    evidence = {**{name: found.get(name) for name in ("kept", "gain", "rows", "unlabelled")}, "steps": steps}
    parts = [*_of_teacher(found)]
    if found["gain"] is None:
        parts.append("Whether that is the teacher's doing is not known: no model was trained without it")
        remedy = "Set distillation.control=true."
        return Finding(CODE, "not_applicable", f"{'. '.join(parts)}.", STUDENT, remedy, evidence)
    gain = Comparison(**found["gain"])
    helped, worse = gain.surely_better, gain.gain < 0 and not gain.low <= 0 <= gain.high
    parts.append(_of_control(gain, "It" if parts else "The student"))
    mine, control = steps.get(STUDENT), steps.get(str(found["control"]))
    if None not in (mine, control) and mine != control:
        parts.append(f"The control had {control:,} steps of training, the student {mine:,}")
    if helped and shorter(control, mine):
        remedy = "Raise training.epochs, so that the control has a chance to learn as much from the labels."
        return Finding(CODE, "tip", f"{'. '.join(parts)}.", STUDENT, remedy, evidence)
    if helped:
        return Finding(CODE, "passed", f"{'. '.join(parts)}.", STUDENT, "", evidence)
    if worse:
        remedy = "Lower distillation.weight, name a better teacher, or leave it out."
        return Finding(CODE, "issue", f"{'. '.join(parts)}.", STUDENT, remedy, evidence)
    remedy = "The model without the teacher will do; distillation.unlabelled gives a teacher more to tell."
    return Finding(CODE, "tip", f"{'. '.join(parts)}.", STUDENT, remedy, evidence)


def seen_before(found: Mapping[str, Any]) -> Finding:
    """X011: whether test rows are among those that the teacher was trained on, or chosen by.

    :param found: ``seen``: how many of the ``test_rows`` stand among the teacher's rows, by split; None: not known.
    """
    seen, number = found.get("seen"), found.get("test_rows")
    if seen is None:
        message = "What the teacher was trained on is not known here: it is no run, or the rows of its run are gone."
        return Finding(SEEN, "not_applicable", message, TEACHER)
    count = sum(seen.values())
    told = {"seen": seen, "test_rows": number}
    if not count:
        return Finding(SEEN, "passed", "The teacher was trained on none of the test rows.", TEACHER, "", {"seen": seen})
    known = (
        f"Of {number:,} test rows the teacher was trained on {seen['train']:,}, and chosen by {seen['validation']:,}"
    )
    remedy = (
        "Give both runs the same seed, so that they split one file alike, or give validation and test as files of "
        "their own that no teacher is trained on."
    )
    if count <= MOST_SEEN * int(number or 0):
        message = f"{known}: what is kept of its score is told by the others alone."
        return Finding(SEEN, "tip", message, TEACHER, remedy, told)
    message = (
        f"{known}: its score on them is too high to hold anything against, and the student may have learnt of them "
        "through it."
    )
    return Finding(SEEN, "issue", message, TEACHER, remedy, told)


def teacher_words(found: Mapping[str, Any]) -> str:
    """The teacher for people: of a run which of its models, "probe of runs/tickets"; else its name."""
    by = found.get("taught_by")
    return str(found.get("asked") or found["teacher"]) if by is None else f"{by['model']} of {by['run']}"


def spent_in_words(spent: Mapping[str, Any]) -> str:
    """What a teacher at an endpoint cost, as a sentence without its stop: requests, tokens, money."""
    told = f"{spent['requests']:,} requests, {spent['tokens_in']:,} tokens read and {spent['tokens_out']:,} written"
    if spent["cached"]:
        told += f"; {spent['cached']:,} answers were known already and cost nothing"
    if spent["price"] is None:
        return f"{told}; what they cost is not known, for the recipe has no prices"
    return f"{told}; {spent['price']:.4g} was spent, in the currency of the recipe's prices"


def replies_in_words(told: Mapping[str, Any]) -> str:
    """How good a service's answers are by the rows' own labels, and what became of replies that are none.

    :param told: ``agreed``: a metric, its value, and how many rows it is of; ``replies``: of "rows" and "texts" how
        many were ``asked`` about, and how many replies are ``unread``.
    """
    agreed, replies = told["agreed"], told["replies"]
    said = []
    if agreed["value"] is not None:
        score = f"{MEASURES[agreed['metric']].words} is {number(agreed['value'], agreed['metric'])}"
        said.append(f"By the labels of {agreed['rows']:,} training rows, which it was not shown, its {score}.")
    for name, what, instead in (
        ("rows", "training rows", "these rows keep their own label"),
        ("texts", "texts without labels", "these texts are left out"),
    ):
        lost = replies.get(name, {}).get("unread", 0)
        if lost:
            said.append(f"To {lost:,} of {replies[name]['asked']:,} {what} its reply is no answer: {instead}.")
    return " ".join(said)


def who_teaches(found: Mapping[str, Any]) -> Finding:
    """X012: which model teaches, and whether its run has a tuned one that its verdict did not ship.

    :param found: ``teacher``: its name; ``taught_by``: where it is a run's, its ``model``, the ``run``, and the
        ``tuned`` model that was not shipped with the folder where it is ``kept``, or None.
    """
    by = found.get("taught_by") or {}
    message = f"The teacher is {teacher_words(found)}."
    if by.get("tuned") is None:
        return Finding(WHO, "passed", message, TEACHER, "", dict(by))
    kept = "is not kept" if by["kept"] is None else f"lies in {by['kept']}"
    message = (
        f"The teacher is {teacher_words(found)}, a head on the untouched base, which its verdict ships; the tuned "
        f"model of that run, {by['tuned']!r}, {kept}."
    )
    remedy = "Train a run of its own with that method, if it is to teach."
    if by["kept"] is not None:
        remedy = f"Set distillation.teacher={by['kept']}, if it is to teach."
    return Finding(WHO, "tip", message, TEACHER, remedy, dict(by))


def _steps(found: Mapping[str, Any]) -> dict[str, int]:
    """How many each model was trained by, as far as it was."""
    known = {name: one.get("steps") for name, one in found.get("models", {}).items()}
    return {name: int(count) for name, count in known.items() if count is not None}


def _of_teacher(found: Mapping[str, Any]) -> Sequence[str]:
    mine, some = found["kept"].get(STUDENT), sum((found.get("seen") or {}).values())
    if mine is None:
        knows = "What the student keeps of the teacher's score is not told: the teacher knows too many of the test rows"
        return (knows,) if some else ()
    if mine["share"] is None:
        return ("What the student keeps of the teacher's score is not told: there is no share of a score of zero",)
    where = f" on {found['unseen']:,} test rows that it had not seen" if some and "unseen" in found else ""
    share = f"{100 * mine['share']:.1f} % of the teacher's score{where}"
    return (f"The student keeps {share} ({_ends(mine, found['alpha'])})",)


def _ends(mine: Mapping[str, Any], alpha: float) -> str:
    """The interval of a share in words, with what became of resamples that have none."""
    undefined, number = mine.get("undefined", 0), mine.get("resamples", 0)
    without = f"{undefined:,} of {number:,} resamples have no score to take a share of"
    if mine["low"] is None:
        return f"no interval: {without}"
    told = f"{100 * (1 - alpha):.0f} % interval {100 * mine['low']:.1f} to {100 * mine['high']:.1f}"
    return f"{told}; {without}, and count as its farthest ends" if undefined else told


def _of_control(gain: Comparison, who: str) -> str:
    """The paired difference to the same model trained without the teacher, in words."""
    how = f"{amount(abs(gain.gain), gain.metric)} {'better' if gain.gain > 0 else 'worse'} than"
    if gain.gain == 0:
        how = "exactly as good as"
    low, high = number(gain.low, gain.metric), number(gain.high, gain.metric)
    said = f"{who} is {how} the same model trained on the labels alone (interval {low} to {high}, {p_words(gain.p)})"
    told = gain.surely_better or (gain.gain < 0 and not gain.low <= 0 <= gain.high)
    return said if told else f"{said}: whether the teacher helped cannot be told"


def layers_in_words(student: Mapping[str, Any]) -> str:
    """Which layers of its base a student keeps; "" where all.

    :param student: ``layers``, and ``stacks`` where there are several lists of them, by name.
    """
    if not student.get("layers"):
        return ""
    parts = {"decoder" if "decoder" in name else "encoder": kept for name, kept in student.get("stacks", {}).items()}
    if len({tuple(kept) for kept in parts.values()}) < 2:
        return f"layers {', '.join(map(str, student['layers']))}"
    return " and ".join(f"layers {', '.join(map(str, kept))} of the {half}" for half, kept in parts.items())
