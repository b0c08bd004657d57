"""Labels that a model gives to texts without any: which are taken, and whether learning from them helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.paired import compare
from whet.evaluation.wording import amount, model_words
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

FEW = 0.05
"""Share of the texts below which so little was taken that nothing can be expected of it."""
EQUAL = 0.1
"""Share of the steps by which two trainings may differ and still count as equally long."""
LEANING = 3.0
"""Times its share of the training rows, of a class among what was taken, from which on it is said."""


def taken(
    probabilities: NDArray[np.float32], threshold: float, shares: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Numbers of the texts whose likeliest label is at least as probable as ``threshold``, ascending.

    :param probabilities: (n, C) calibrated.
    :param shares: (C,) of each class among the training rows: of no class are more texts taken, the surest first, than
        so that the classes with any stand in these shares; None: all that are sure.
    """
    said, sure = probabilities.argmax(1), probabilities.max(1)
    found = np.flatnonzero(sure >= threshold)
    if shares is None or not len(found):
        return found
    counts = np.bincount(said[found], minlength=probabilities.shape[1])
    among = (counts > 0) & (shares > 0)
    whole = float((counts[among] / shares[among]).min()) if among.any() else 0.0
    kept = []
    for label in np.flatnonzero(counts):
        own = found[said[found] == label]
        order = own[np.argsort(-sure[own], kind="stable")]
        kept.append(order[: int(np.floor(whole * shares[label] + 1e-9))])
    return np.sort(np.concatenate(kept))


def amounts(rounds: Sequence[Mapping[str, Any]], model: str) -> Finding:
    """X016: how many texts were taken in the last round, and of which classes.

    :param rounds: ``texts``, ``taken``, ``threshold``, ``temperature``, ``of_class`` and ``of_training`` (by name) and
        ``examples`` of each.
    """
    last = rounds[-1]
    share = last["taken"] / max(1, last["texts"])
    what = (
        f"Of {last['texts']:,} texts {last['taken']:,} ({share:.0%}) were labelled with {last['threshold']:g} or more"
    )
    evidence = {"rounds": [dict(one) for one in rounds], "examples": last["examples"]}
    if share < FEW:
        remedy = "Lower self_training.threshold, or label more rows: a model so unsure has little to teach."
        return Finding("X016", "tip", f"{what}: too few to change much.", model, remedy, evidence)
    rows, total = sum(last["of_training"].values()), last["taken"]
    often = {
        name: count
        for name, count in last["of_class"].items()
        if count / total > LEANING * last["of_training"].get(name, 0) / max(1, rows)
    }
    if often:
        names = ", ".join(f"{name} ({count:,})" for name, count in sorted(often.items(), key=lambda one: -one[1])[:5])
        words = f"{what}; of some labels more than {LEANING:g} times their share of the training rows: {names}."
        return Finding(
            "X016", "tip", words, model, "Set self_training.balanced=true to take them in equal shares.", evidence
        )
    return Finding("X016", "passed", f"{what}, in about the shares of the training rows.", model, "", evidence)


def helped(
    tuned: Predictions,
    control: Predictions,
    metric: str,
    *,
    seed: int,
    level: float,
    num_resamples: int,
    taken: int,
    steps: tuple[int, int, int],
) -> Finding:
    """X015: the self-trained model against the one that learnt from labelled rows alone, on the same test rows.

    :param steps: of the model; of its control, at most of all attempts; of the attempt that is kept of the control.
    """
    if not taken:
        message = "No text was labelled surely enough, so that nothing was learnt from texts without labels."
        remedy = "Lower self_training.threshold, or label more rows."
        return Finding("X015", "not_applicable", message, tuned.model, remedy)
    found = compare(tuned, control, metric, seed=seed, num_resamples=num_resamples, level=level)
    gain, name = found.gain, model_words(control.model)
    low, high = sorted((found.low, found.high)) if gain == found.difference else sorted((-found.high, -found.low))
    how = f"{amount(abs(gain), metric)} {'better' if gain > 0 else 'worse'} than" if gain else "as good as"
    words = (
        f"With {taken:,} text{'' if taken == 1 else 's'} without labels {how} {name} on labelled rows alone, "
        f"on the same {len(tuned):,} test rows ({level:.0%} interval {_signed(low, metric)} to "
        f"{_signed(high, metric)}, p = {found.p:.2g}){_steps_in_words(*steps)}"
    )
    evidence = {**found.to_json(), "steps": dict(zip(("model", "control", "kept"), steps, strict=True))}
    if low > 0 and shorter(steps[1], steps[0]):
        remedy = "Raise training.epochs, so that the control has a chance to learn as much from the labelled rows."
        return Finding("X015", "tip", f"{words}: it is better, of longer training.", tuned.model, remedy, evidence)
    if low > 0:
        return Finding("X015", "passed", f"{words}: it helped.", tuned.model, "", evidence)
    if high < 0:
        remedy = "Leave self_training out, or raise its threshold: the model taught itself its own mistakes."
        return Finding("X015", "issue", f"{words}: it did harm.", tuned.model, remedy, evidence)
    remedy = "Use the model without it, which is simpler, or give more test rows."
    return Finding("X015", "tip", f"{words}: cannot tell whether it helped.", tuned.model, remedy, evidence)


def shorter(control: int | None, model: int | None) -> bool:
    """Whether a control was trained by so much fewer steps that a gain may come of that alone."""
    return control is not None and model is not None and control < (1 - EQUAL) * model


def _steps_in_words(model: int, control: int, kept: int) -> str:
    """Where they differ; "" elsewhere."""
    if kept != control == model:
        return f"; its control was trained {control:,} steps as well, and was better on validation after {kept:,}"
    return "" if control == model else f"; it had {model:,} steps, the control {control:,}"


def _signed(value: float, metric: str) -> str:
    return f"{'-' if value < 0 else ''}{amount(abs(value), metric)}"
