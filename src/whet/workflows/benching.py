"""``whet bench``: how fast a base trains on these rows here, where the time goes, and what would make it faster.

Real steps of the model as the recipe decides it, in turn with the same model trained otherwise: with plain padded
batches, in larger steps, in other numbers (:mod:`whet.workflows.bench_ways`), as far as there is time for them
(:mod:`whet.workflows.bench_turns`). What is said rests on those steps alone; nothing is kept.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from whet.engine import profile
from whet.errors import ModelTooLarge
from whet.kernels import ceiling
from whet.models.work import flops_per_token
from whet.recipe import Recipe
from whet.recipe.names import STILL
from whet.workflows import before_training, bench_ways, training
from whet.workflows.bench_turns import MEMORY, TIME, Turns
from whet.workflows.bench_ways import AS_DECIDED, Trained
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.trial import look


def bench(recipe: Recipe, seconds: float, tell: Tell) -> dict[str, Any]:
    """Measure for about ``seconds``; ways that have no room in them are left out, and named.

    :raises UserError: whatever the run itself would stop at before training.
    """
    with tempfile.TemporaryDirectory(prefix="whet-bench-") as work:
        run, facts = before_training.prepared(recipe, Path(work), tell)
        run.resolved["head.start"]["value"] = "random"  # no probe was fitted to start from
        method = _moving(str(run.value("method")))
        most = ceiling.measure(run.dtype, run.device)
        turns = Turns(partial(Trained, run, method), seconds, tell)
        try:
            turns.choose(list(bench_ways.ways(run, facts)))
            shares = turns.take()
        except ModelTooLarge:  # of the model as decided; others are left out
            raise training.too_large(method) from None
        first, rates = turns.first, turns.rates
        work_of_token = flops_per_token(first.model, run.encoded["train"].num_tokens / len(run.encoded["train"]))
        found: dict[str, Any] = {
            "subject": {
                "base": recipe.base,
                "task": recipe.task,
                "method": method,
                "rows": len(run.examples("train")),
                "tokens": run.encoded["train"].num_tokens,
                "batch_tokens": run.value("training.batch_tokens"),
                "precision": run.value("training.precision"),
                "padded": first.model.why_padded if not first.model.flat else "",
                "threads": torch.get_num_threads(),
                "seconds": seconds,
                "turns": turns.rounds,
            },
            "ceiling_flops": most,
            "training": _told(rates[AS_DECIDED.name]),
            "reading": _reading(run, first),
            "mfu": statistics.median(rates[AS_DECIDED.name]) * work_of_token / most,
            "shares": shares,
            "ways": [
                {"name": name, **_told(rates[name]), "ratio": _ratio(rates, name)}
                for name in rates
                if name != AS_DECIDED.name
            ],
            "left_out": turns.left_out,
        }
        return {**found, "advice": list(advice(found))}


def _moving(method: str) -> str:
    """What is trained step by step: the probe is fitted at once, and stands for all weights here."""
    return "full" if method in STILL else method


def _reading(run: Running, trained: Trained) -> dict[str, float]:
    """Tokens and rows a second that the model reads of validation, without tokenising."""
    trained.model.eval()
    found, encoded = look(run, trained.model), run.encoded["validation"]
    tokens = found["look_tokens"] / found["look_seconds"]
    return {"tokens_per_second": tokens, "rows_per_second": tokens * len(encoded) / encoded.num_tokens}


# --- what it comes to -----------------------------------------------------------------------------------


def _told(rates: Sequence[float]) -> dict[str, float]:
    return {"tokens_per_second": statistics.median(rates), "low": min(rates), "high": max(rates)}


def _ratio(rates: Mapping[str, Sequence[float]], name: str) -> dict[str, float]:
    """How often as fast as the model as decided: each turn held against the same turn."""
    each = [one / own for one, own in zip(rates[name], rates[AS_DECIDED.name], strict=True)]
    return {"value": statistics.median(each), "low": min(each), "high": max(each)}


FELT = 1.05
"""A way that is not so many times as fast, in every turn, is not worth a word."""
MUCH = {profile.ATTENTION: 0.3, profile.OPTIMISER: 0.15, profile.DATA: 0.1, profile.MASKS: 0.1}
"""Shares of the time above which something may be done about a part."""
HELPS = {
    profile.ATTENTION: "It grows with the square of a text's length: data.max_length cuts it.",
    profile.OPTIMISER: "Larger training.batch_tokens spread it over more tokens, and method lora moves few weights.",
    profile.DATA: "Larger training.batch_tokens make fewer batches.",
    profile.MASKS: "regularisation.dropout=0 does without them.",
}


def advice(found: Mapping[str, Any]) -> Iterator[str]:
    """What would make training faster, and what does so already, as far as the steps show it."""
    subject = found["subject"]
    if subject["padded"]:
        yield f"Batches are padded: {subject['padded']}."
    if not subject["turns"]:
        within = f"{subject['seconds']:g} seconds"
        yield f"No turn had room in {within}: the rate is that of the very first step, often a slow one."
    for way in found["ways"]:
        ratio = way["ratio"]
        shown = f"{ratio['value']:.2f} times as fast ({ratio['low']:.2f} to {ratio['high']:.2f} in turns)"
        if ratio["low"] > FELT:
            yield f"With {way['name']} it is {shown}."
        elif ratio["high"] < 1 / FELT:
            gain = 1 / ratio["value"]
            yield f"It is {gain:.2f} times as fast as with {way['name']}."
    yield from _left_out(found["left_out"], subject["seconds"])
    for part, most in MUCH.items():
        if (share := found["shares"].get(part, 0.0)) > most:
            yield f"{part.capitalize()}: {share:.0%} of the time. {HELPS[part]}"


def _left_out(ways: Sequence[Mapping[str, Any]], seconds: float) -> Iterator[str]:
    """Which ways were not compared, and what they would have needed."""
    late = [way for way in ways if way["lacks"] == TIME]
    if late:
        them = "it" if len(late) == 1 else "them"
        enough = max(way["seconds"] for way in late)
        yield f"Not compared in {seconds:g} seconds: {_listed(late)}; --seconds {enough} has room for {them}."
    large = [way for way in ways if way["lacks"] == MEMORY]
    if large:
        yield f"Not compared, for memory ran out: {_listed(large)}."


def _listed(ways: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(way["name"] for way in ways)
