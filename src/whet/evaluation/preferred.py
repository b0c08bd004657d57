"""What was learnt from preferences, in findings: told apart or not, by length or not, how far from the reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.evaluation.intervals import percentile
from whet.evaluation.paired import compare
from whet.evaluation.wording import amount, model_words, number, p_words
from whet.findings import Finding
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import PreferencePredictions
    from whet.evaluation.sums import Floats

FAR = 0.5
"""Nats per token of its own answers, from which on a model has left its reference."""
ENDED = 0.5
"""Share of answers that must have ended by themselves, or their lengths are those of the limit."""
DRAWS = 2000


def interval(values: Floats, seed: int) -> dict[str, float]:
    """Mean of (n,) values with its interval, by resampling them."""
    drawn = generator(seed, "means of samples").integers(0, len(values), (DRAWS, len(values)))
    low, high = percentile(values[drawn].mean(1))
    return {"value": float(values.mean()), "low": low, "high": high}


def told_apart(tuned: PreferencePredictions, base: PreferencePredictions | None, metric: str, seed: int) -> Finding:
    """X020: rewards of the tuned model beside the likelihoods of the untouched base, on the same rows."""
    if base is None:
        why = "The untouched base was not asked (evaluation.baselines)."
        return Finding("X020", "not_applicable", why, tuned.model)
    found = compare(tuned, base, metric, seed=seed)
    before, after = _value(base, metric), _value(tuned, metric)
    message = (
        f"Better answers are told apart with {number(after, metric)} by {model_words(tuned.model)} and "
        f"{number(before, metric)} by the base ({metric.replace('_', ' ')}): a difference of "
        f"{amount(abs(found.difference), metric)} (95 % interval {number(found.low, metric)} to "
        f"{number(found.high, metric)}, {p_words(found.p)})."
    )
    evidence = {"before": before, "after": after, "difference": found.difference, "low": found.low, "high": found.high}
    evidence |= {"p": found.p}
    if found.surely_better:
        return Finding("X020", "passed", message, tuned.model, evidence=evidence)
    if found.low <= 0 <= found.high:
        remedy = "Give more pairs, train longer, or raise training.learning_rate."
        return Finding("X020", "tip", f"{message} Whether it helped cannot be told.", tuned.model, remedy, evidence)
    remedy = "Look whether columns are the right way round, and at the curves."
    return Finding("X020", "issue", message, tuned.model, remedy, evidence)


def _value(predictions: PreferencePredictions, metric: str) -> float:
    from whet.evaluation.kinds import values_of

    return values_of(predictions)[metric]


def by_length(name: str, scores: Mapping[str, Any], sampled: Mapping[str, Any] | None) -> Finding:
    """X021: whether the model rewards length, or its lack, and how long what it writes is."""
    known = scores["models"].get(name, {})
    parts = {one: known[one] for one in ("longer_accuracy", "shorter_accuracy") if one in known}
    evidence: dict[str, Any] = {**{one: dict(figures) for one, figures in parts.items()}}
    said, takes = [], ""
    if len(parts) == 2:
        longer, shorter = parts["longer_accuracy"], parts["shorter_accuracy"]
        said.append(
            f"It is right of {number(longer['value'], 'longer_accuracy')} % of the pairs whose better answer is the "
            f"longer one and of {number(shorter['value'], 'shorter_accuracy')} % of those whose better one is shorter."
        )
        for kind, its, others in (("long", longer, shorter), ("short", shorter, longer)):
            takes = kind if others["high"] < 0.5 < its["low"] else takes
    measured = len(said)
    if sampled is not None:
        evidence["written"] = {**sampled["tokens"], "finished": dict(sampled["finished"])}
        measured += min(sampled["finished"].values()) >= ENDED
        said.append(_lengths_written(sampled))
    if not said:
        return Finding("X021", "not_applicable", "No pairs of different lengths, and no answers were written.", name)
    if takes:
        other = "short" if takes == "long" else "long"
        remedy = f"Give more pairs whose better answer is {other}, or choose simpo, or preference.normalise=true."
        message = f"It takes {takes} answers for good ones. {' '.join(said)}"
        return Finding("X021", "issue", message, name, remedy, evidence)
    if not measured:
        return Finding("X021", "not_applicable", " ".join(said), name, "Raise generation.max_tokens.", evidence)
    return Finding("X021", "passed", " ".join(said), name, evidence=evidence)


def _lengths_written(sampled: Mapping[str, Any]) -> str:
    """How long the model's answers and the base's are, or that the limit alone was measured."""
    tokens, ended = sampled["tokens"], sampled["finished"]
    shares = f"{100 * ended['tuned']:.0f} % of its own answers and {100 * ended['base']:.0f} % of the base's ended"
    if min(ended.values()) < ENDED:
        return f"How long it writes was not measured: {shares} by themselves before generation.max_tokens cut them off."
    gap, cut = tokens["difference"], min(ended.values()) < 1
    return (
        f"Its own answers have {tokens['tuned']:.0f} tokens, the base's {tokens['base']:.0f} (difference "
        f"{gap['value']:+.1f}, 95 % interval {gap['low']:+.1f} to {gap['high']:+.1f})"
        + (f"; {shares} by themselves." if cut else ".")
    )


def distance(name: str, sampled: Mapping[str, Any] | None) -> Finding:
    """X022: the divergence from the base on the model's own answers."""
    if sampled is None:
        return Finding("X022", "not_applicable", "No answers were written to measure it (preference.samples).", name)
    kl, per_token = sampled["kl"], sampled["kl_per_token"]
    message = (
        f"Over {sampled['prompts']:,} answers of its own it is {kl['value']:.2f} nats an answer from the base (KL, 95 "
        f"% interval {kl['low']:.2f} to {kl['high']:.2f}), {per_token:.3f} a token."
    )
    evidence = {"kl": dict(kl), "kl_per_token": per_token, "prompts": sampled["prompts"]}
    if per_token <= FAR:
        return Finding("X022", "passed", message, name, evidence=evidence)
    remedy = "It may have forgotten how to write: raise preference.beta, or train less."
    return Finding("X022", "tip", message, name, remedy, evidence)


def displaced(name: str, details: Mapping[str, Any]) -> Finding:
    """X024: whether better answers became less likely, as happens where worse ones became so even more."""
    moved = details.get("moved")
    if not moved or "better" not in moved:
        return Finding("X024", "not_applicable", "What answers were worth before is not known.", name)
    better, worse = moved["better"], moved.get("worse")
    message = f"Training moved better answers by {better['nats']:+.2f} nats"
    message += f" and worse ones by {worse['nats']:+.2f}." if worse else "."
    if better["nats"] >= 0:
        return Finding("X024", "passed", message, name, evidence=dict(moved))
    remedy = "The model learns what not to say (arXiv 2410.08847): tune on the better answers first, or use orpo."
    return Finding("X024", "tip", message, name, remedy, dict(moved))


def mean_tokens(base: Floats, tuned: Floats, seed: int) -> dict[str, Any]:
    """Tokens of answers to the same prompts, by base and tuned model."""
    return {
        "base": float(np.mean(base)),
        "tuned": float(np.mean(tuned)),
        "difference": interval(tuned - base, seed),
    }
