"""What a base knew and its tuned model no longer knows: on labelled sets by probes, on general text by its likelihood.

Both models are asked the same rows. *Forgotten* is positive where something was lost: accuracy of linear probes, as
the mean over sets that know nothing of each other, or nats a token. A set that the base itself answers no better
than by its commonest label cannot show forgetting and is left out of the mean; that depends on the base alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.intervals import RESAMPLES
from whet.evaluation.paired import compare, holm, mcnemar
from whet.evaluation.shares import tango
from whet.evaluation.wording import model_words, p_words
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import TextPredictions

Way = Literal["probes", "text"]
LEVEL = 0.05
"""Of the tests."""
FEWEST_PIECES = 5
"""Pieces of text from which on an interval means something."""


@dataclass(frozen=True, slots=True)
class AnsweredSet:
    """A labelled set answered by a probe on the base and by one on the tuned model. Shapes: n rows, C labels.

    - ``gold``, ``base``, ``tuned`` (n,) int64: numbers of labels.
    """

    name: str
    gold: NDArray[np.int64]
    base: NDArray[np.int64]
    tuned: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ReadTexts:
    """General text as the base and the tuned model find it. Shapes: n pieces.

    - ``base``, ``tuned`` (n,) float64: nats of all counted tokens of a piece; ``tokens`` (n,) int64.
    """

    base: NDArray[np.float64]
    tuned: NDArray[np.float64]
    tokens: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Change:
    """One set: accuracy of both models, what was lost with its interval, and the exact test of it.

    ``known``: whether the base answers it better than by its commonest label, so that it counts.
    """

    name: str
    num_rows: int
    base: float
    tuned: float
    forgotten: float
    low: float
    high: float
    p: float
    p_holm: float
    won: int
    lost: int
    known: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was lost, in accuracy (``way`` "probes") or nats a token ("text"), with its 95 % interval.

    ``p``: of text the test of the change; of probes the smallest of the sets after Holm's correction.
    """

    way: Way
    base: float
    tuned: float
    value: float
    low: float
    high: float
    p: float
    num_rows: int
    sets: tuple[Change, ...] = ()

    @property
    def surely(self) -> bool:
        """Whether something was lost beyond chance: over all, or in one of the sets."""
        worse = any(one.known and one.forgotten > 0 and one.p_holm < LEVEL for one in self.sets)
        return self.low > 0 or worse

    def to_json(self) -> dict[str, Any]:
        """A JSON object; :meth:`from_json` is its inverse."""
        return asdict(self) | {"sets": [asdict(one) for one in self.sets]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Forgotten:
        """Read what :meth:`to_json` wrote."""
        return Forgotten(**{**value, "sets": tuple(Change(**one) for one in value["sets"])})


# --- by probes ----------------------------------------------------------------------------------------


def by_probes(answered: Sequence[AnsweredSet]) -> Forgotten | None:
    """Accuracy that probes lost; None where the base knows none of the sets.

    McNemar's exact test and Tango's interval on each set, Holm's correction over sets. The interval of the mean is
    made of those of the sets, whose rows are independent (the square-and-add method of Zou and Donner 2008,
    Stat. Med. 27:1693), so that it is honest where not a single row has changed.
    """
    known = [knows(one.base, one.gold) for one in answered]
    tested = iter(holm([_p(one) for one, counts in zip(answered, known, strict=True) if counts]))
    changes = tuple(
        _change(one, counts, next(tested) if counts else 1.0) for one, counts in zip(answered, known, strict=True)
    )
    counted = [one for one in changes if one.known]
    if not counted:
        return None
    value = float(np.mean([one.forgotten for one in counted]))
    below, above = (
        float(np.sqrt(sum((one.forgotten - getattr(one, end)) ** 2 for one in counted))) / len(counted)
        for end in ("low", "high")
    )
    return Forgotten(
        "probes",
        float(np.mean([one.base for one in counted])),
        float(np.mean([one.tuned for one in counted])),
        value,
        value - below,
        value + above,
        min(one.p_holm for one in counted),
        sum(one.num_rows for one in counted),
        changes,
    )


def knows(said: NDArray[np.int64], gold: NDArray[np.int64]) -> bool:
    """Whether answers are better than the commonest label, by an exact binomial test."""
    from scipy.stats import binomtest

    commonest = float(np.bincount(gold).max() / len(gold))
    if commonest >= 1:
        return False
    return float(binomtest(int((said == gold).sum()), len(gold), commonest, alternative="greater").pvalue) < LEVEL


def _won_and_lost(one: AnsweredSet) -> tuple[int, int]:
    base, tuned = one.base == one.gold, one.tuned == one.gold
    return int((tuned & ~base).sum()), int((base & ~tuned).sum())


def _p(one: AnsweredSet) -> float:
    return mcnemar(*_won_and_lost(one))


def _change(one: AnsweredSet, known: bool, p_holm: float) -> Change:
    won, lost = _won_and_lost(one)
    low, high = tango(lost, won, len(one.gold))
    base, tuned = (float((said == one.gold).mean()) for said in (one.base, one.tuned))
    p = _p(one)
    return Change(one.name, len(one.gold), base, tuned, base - tuned, low, high, p, p_holm, won, lost, known)


# --- on general text ----------------------------------------------------------------------------------


def by_text(read: ReadTexts, *, seed: int, num_resamples: int = RESAMPLES) -> Forgotten | None:
    """Nats a token that general text costs more; None where there are too few pieces to say so.

    Paired over pieces: bootstrap and approximate randomisation, both on sums of nats over sums of tokens.
    """
    some = read.tokens > 0
    if int(some.sum()) < FEWEST_PIECES:
        return None
    tuned, base = (_as_texts(name, getattr(read, name)[some], read.tokens[some]) for name in ("tuned", "base"))
    found = compare(tuned, base, "token_nats", seed=seed, num_resamples=num_resamples)
    tokens = float(read.tokens.sum())
    before, after = float(read.base[some].sum()) / tokens, float(read.tuned[some].sum()) / tokens
    return Forgotten("text", before, after, found.difference, found.low, found.high, found.p, int(some.sum()))


def _as_texts(model: str, nats: NDArray[np.float64], tokens: NDArray[np.int64]) -> TextPredictions:
    from whet.data.predictions import TextPredictions

    numbers = np.arange(len(nats))
    zeros = np.zeros(len(nats), np.int64)
    return TextPredictions(
        model,
        "general",
        numbers,
        numbers.astype(np.uint64),
        gold=None,
        said=None,
        purpose="language",
        nats=nats,
        tokens=tokens,
        num_right=zeros,
    )


# --- in words -----------------------------------------------------------------------------------------


def amount(value: float, way: Way) -> str:
    """ "1.2 points" of accuracy or "0.031 nats a token"."""
    if way == "text":
        return f"{value:.3f} nats a token"
    text = f"{100 * value:.1f}" if value == 0 or abs(value) >= 0.0005 else f"{100 * value:.2g}"
    return f"{text} point" if text == "1.0" else f"{text} points"


def spread(found: Forgotten) -> str:
    """ "95 % interval 0.2 to 2.1", in the unit of :func:`amount`."""
    scale, digits = (100, 1) if found.way == "probes" else (1, 3)
    return f"95 % interval {scale * found.low:.{digits}f} to {scale * found.high:.{digits}f}"


def in_words(found: Forgotten, model: str) -> str:
    """What was lost, and how that was looked at, in a sentence."""
    how = (
        f"forgot {amount(found.value, found.way)}" if found.value >= 0 else f"gained {amount(-found.value, found.way)}"
    )
    interval = spread(found)
    if found.value < 0:
        turned = replace(found, low=-found.high, high=-found.low)
        interval = spread(turned)
    name = model_words(model)
    name = name[:1].upper() + name[1:]
    if found.way == "text":
        return (
            f"{name} {how} on {found.num_rows:,} pieces of general text ({interval}, {p_words(found.p)}): "
            f"cross-entropy {found.tuned:.3f} against the base's {found.base:.3f}."
        )
    counted = [one for one in found.sets if one.known]
    said = ", ".join(f"{one.name} {100 * one.base:.1f} to {100 * one.tuned:.1f}" for one in counted)
    return f"{name} {how} in accuracy of linear probes on unrelated sets ({interval}): {said}."


REMEDIES = {
    "probes": "Train less or with an adapter, or set forgetting.interpolate or regularisation.l2_start.",
    "text": "Mix general text in with forgetting.replay, train less or with an adapter, or set forgetting.interpolate "
    "or regularisation.l2_start.",
}


def gate(found: Forgotten | None, model: str, limit: float | None, why_not: str = "", beside: str = "") -> Finding:
    """V009: passed, or an issue where more than ``limit`` was lost; without a limit a tip where something surely was.

    :param why_not: why nothing was measured, where ``found`` is None.
    :param beside: what else is to be said of the measure.
    """
    if found is None:
        if limit is None:
            return Finding("V009", "not_applicable", why_not, model)
        remedy = "Remove forgetting.limit, or name sets that the base knows."
        return Finding("V009", "issue", f"{why_not} So forgetting.limit cannot be held.", model, remedy)
    message, evidence = in_words(found, model) + beside, found.to_json() | {"limit": limit}
    remedy = REMEDIES[found.way]
    if limit is None:
        worst = [one.name for one in found.sets if one.known and one.forgotten > 0 and one.p_holm < LEVEL]
        if worst:
            message += f" Surely worse: {', '.join(worst)}."
        return Finding("V009", "tip" if found.surely else "passed", message, model, remedy * found.surely, evidence)
    most = f"the limit of {amount(limit, found.way)}"
    if found.value > limit:
        how = "surely more" if found.low > limit else "more"
        return Finding("V009", "issue", f"{message} That is {how} than {most}.", model, remedy, evidence)
    if found.high > limit:
        message += f" That is within {most}, but the rows do not rule out more."
        return Finding("V009", "tip", message, model, "Raise forgetting.max_rows, or name larger sets.", evidence)
    return Finding("V009", "passed", f"{message} That is within {most}.", model, "", evidence)


def unmoved(model: str) -> Finding:
    """V009 of a model that leaves the base as it is."""
    name = model_words(model)
    message = f"{name[:1].upper()}{name[1:]} leaves every weight of the base as it was: nothing can be forgotten."
    return Finding("V009", "passed", message, model)
