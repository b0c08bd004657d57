"""What ``auto`` becomes, and why: from facts about the rows and the base, never from their scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from whet.recipe import few_choices
from whet.recipe.names import BASELINES, LANGUAGE, PROBED, PROMPTED, SOFT, STILL
from whet.recipe.preference import BY_TOKEN
from whet.recipe.schema import Recipe

_RATES = ((3e6, 1e-3), (30e6, 2e-4), (60e6, 1e-4), (200e6, 5e-5), (float("inf"), 2e-5))
"""Peak rate of full fine-tuning by number of weights: smaller models stand and need larger steps."""
_PREFERENCE_RATES = ((3e6, 1e-4), (30e6, 2e-5), (60e6, 1e-5), (200e6, 5e-6), (3e9, 1e-6), (float("inf"), 5e-7))
"""The same where preferences are learnt against a reference, and a longer way leads away from it: a tenth of a tuning's
and less, as published 1e-6 of about 1e9 weights (arXiv 2305.18290) and 5e-7 of 7e9 (2310.16944, 2405.14734)."""
_PREFERENCE_FACTOR = 10.0
"""Rate of an adapter of LoRA beside these: 5e-6 to 5e-5, as is usual."""
_ORPO_DIVISOR = 2.5
"""ORPO learns the better answers themselves, too: 8e-6 (arXiv 2403.07691) where a tuning takes 2e-5."""
_PREFERENCE_PASSES = 3
"""Passes over preferences at most: published ones take one to three, and more move both answers away."""
_FACTORS: dict[str, tuple[float, float]] = {
    "lora": (5.0, 5.0),
    "qlora": (5.0, 5.0),
    "bitfit": (10.0, 10.0),
    "ia3": (60.0, 60.0),
    "contrastive": (few_choices.RATE, 1.0),
    "prompt": (30.0, 100.0),
    "p-tuning": (5.0, 10.0),
    "prefix": (20.0, 100.0),
}
"""Rate of what a method trains, as a multiple of full fine-tuning's: few weights that start at nothing go far.
The second number is of language models, whose head does not learn in their place."""
_MICRO_BATCH = (512, 4096)
"""Tokens: within these bounds a whole batch is computed at once where it can be."""
_BETWEEN_LAYERS = 18_000_000
"""Numbers between layers (tokens times layers times width) that a processor computes at once; with four times as many a
Llama of 135 M weights was slower, and took twice the memory (docs/log.md)."""
_RANKS = (16, 128)
_BITS_PER_WEIGHT = 2.0
"""What a weight can keep of what it was taught (arXiv 2404.05405)."""
_HEAD_FACTOR = 5.0
_SCORES_DIVISOR = 4.0
_FULL_BYTES = 16
"""Per weight while every one moves: value, gradient and two moments, 4 bytes each."""


DEFAULT = "default"
"""The reason of what nobody set and nothing decides."""
SET = "set in the recipe"
"""The reason of what its author decided."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before training.

    ``num_tokens``: of the training rows; ``longest``: the longest of them, in tokens;
    ``limit``: the base's; ``memory_bytes``: free on the device.
    """

    num_rows: int
    num_tokens: int
    longest: int
    num_labels: int
    num_parameters: int
    limit: int
    dtype: str
    dtype_reason: str
    pooling: str
    pooling_reason: str
    memory_bytes: int
    columns: tuple[str, ...] = ("text", "label")
    """Of the training rows."""
    device: str = "cpu"
    device_reason: str = "no CUDA device is there"
    adapter_width: int = 0
    """Inputs and outputs of all linear layers of the base: so many weights has an adapter for each rank."""
    narrowest: int = 0
    """Of the linear layers' inputs and outputs; 0: not known."""
    num_layers: int = 0
    hidden_size: int = 0
    class_rows: tuple[int, ...] = ()
    """(C,) training rows of each class; () where rows have no classes, or several each."""

    @property
    def mean_length(self) -> float:
        """Tokens per training row."""
        return self.num_tokens / max(1, self.num_rows)


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and the reason for it."""

    value: Any
    reason: str


def resolve(recipe: Recipe, facts: Facts) -> dict[str, Choice]:
    """Every option by its dotted name, with its value in this run and the reason."""
    derived = _derive(recipe, facts)
    result: dict[str, Choice] = {}
    for name, value in _options(recipe):
        if (value == "auto" and name in derived) or name == "evaluation.baselines":
            result[name] = derived[name]
        elif value == _default(name):
            result[name] = Choice(value, DEFAULT)
        else:
            result[name] = Choice(value, recipe.reasons.get(name, SET))
    return result


def early(recipe: Recipe, limit: int, columns: tuple[str, ...]) -> dict[str, Any]:
    """Options that stages before :func:`resolve` need, by dotted name, decided in the same way."""
    chosen = _shaping(recipe, limit, columns)
    return {
        name: chosen[name].value if value == "auto" and name in chosen else value for name, value in _options(recipe)
    }


def candidates(method: str, recipe: Recipe) -> list[str]:
    """The models that a run of ``recipe`` trains, cheapest first; those of VARIANTS are trained by ``method``, too."""
    first = [] if recipe.task not in PROBED or method in STILL else ["probe"]
    if recipe.distillation.teacher is None:
        return [*first, method, *(["self-trained"] if recipe.self_training.source is not None else [])]
    return [*first, *([method] if recipe.distillation.control else []), "distilled"]


def _options(recipe: Recipe) -> list[tuple[str, Any]]:
    result = []
    for name, value in recipe.model_dump().items():
        result += (
            [(f"{name}.{leaf}", inner) for leaf, inner in value.items()] if isinstance(value, dict) else [(name, value)]
        )
    return result


def _default(name: str) -> Any:
    model: Any = Recipe
    *parents, leaf = name.split(".")
    for parent in parents:
        model = model.model_fields[parent].annotation
    return model.model_fields[leaf].default


def _derive(recipe: Recipe, facts: Facts) -> dict[str, Choice]:
    method = _method(recipe, facts)
    rate = _rate(recipe, method.value, facts)
    batch = _batch(facts)
    contrasted = method.value == "contrastive"
    whole = recipe.training.batch_tokens if isinstance(recipe.training.batch_tokens, int) else batch.value
    return {
        "method": method,
        "data.max_length": Choice(
            facts.limit, f"the base's limit{_read_first(recipe)}; the longest training row has {facts.longest:,} tokens"
        ),
        "head.pooling": Choice(facts.pooling, facts.pooling_reason),
        "head.start": _start(recipe),
        "training.precision": Choice(facts.dtype, facts.dtype_reason),
        "training.device": Choice(facts.device, facts.device_reason),
        "training.learning_rate": rate,
        "training.head_learning_rate": _head_rate(recipe, method.value, rate),
        "contrastive.loss": Choice(*few_choices.loss(facts.num_labels)),
        "training.epochs": epochs(method.value, facts.num_rows, recipe.task),
        "training.batch_tokens": batch,
        "training.micro_batch_tokens": micro_batch(facts, whole),
        **_adapters(recipe, facts),
        "training.label_smoothing": Choice(*few_choices.SMOOTHING) if contrasted else _smoothing(recipe),
        "evaluation.baselines": baselines(recipe),
        **_shaping(recipe, facts.limit, facts.columns),
    }


def _read_first(recipe: Recipe) -> str:
    """That texts share the base's places with learnt vectors."""
    if recipe.method not in SOFT:
        return ""
    return f", with {recipe.soft.tokens} vectors before each text"


def _method(recipe: Recipe, facts: Facts) -> Choice:
    if recipe.method != "auto":
        return Choice(recipe.method, SET)
    of_one_text = () if "text_pair" in facts.columns else facts.class_rows
    few = few_choices.contrasted(recipe, of_one_text, facts.num_parameters * _FULL_BYTES < facts.memory_bytes / 2)
    if few and recipe.distillation.teacher is None:  # which has no room beside pairs
        return Choice("contrastive", few)
    need = facts.num_parameters * _FULL_BYTES
    size = f"{facts.num_parameters / 1e6:.1f} M weights need about {need / 2**30:.1f} GiB to move them all"
    if need < facts.memory_bytes / 2:
        probed = "; the probe is trained as well" if recipe.task in PROBED else ""
        return Choice("full", f"{size}, and {facts.memory_bytes / 2**30:.0f} GiB are free{probed}")
    return Choice("lora", f"{size}, more than half of the {facts.memory_bytes / 2**30:.0f} GiB that are free")


def micro_batch(facts: Facts, batch_tokens: int) -> Choice:
    """As much at once as is any faster; each token more takes memory until its backward pass."""
    least, most = _MICRO_BATCH
    size = facts.num_layers * facts.hidden_size
    if facts.device == "cpu" and size:
        most = min(most, max(least, _BETWEEN_LAYERS // size))
    # batches share the rows evenly, so that some hold a little more than they are asked to
    value = max(min(batch_tokens * 3 // 2, most), facts.longest)
    return Choice(value, f"a whole batch up to {most:,} tokens")


def _adapters(recipe: Recipe, facts: Facts) -> dict[str, Choice]:
    """The shape of what methods add or set free."""
    rank = _rank(recipe, facts)
    decided = recipe.lora.rank if isinstance(recipe.lora.rank, int) else int(rank.value)
    root = "the root of the rank" if recipe.lora.rank_stabilised else "the rank"
    alpha = 2.0 * (decided**0.5 if recipe.lora.rank_stabilised else decided)
    layers = max(1, facts.num_layers // 4)
    kept = {"qlora": 4, "quantised": 8}.get(recipe.method, 16 if facts.dtype == "bf16" else 32)
    return {
        "lora.rank": rank,
        "lora.alpha": Choice(alpha, f"twice {root}, so that the update counts twice whatever the rank"),
        "lora.target_modules": Choice("auto", "every linear layer of the pretrained model"),
        "layers.top": Choice(layers, f"a quarter of {facts.num_layers} layers, one at least"),
        "soft.width": Choice(facts.hidden_size or 128, "as wide as the base"),
        "quantisation.bits": Choice(kept, _BITS),
        "regularisation.dropout": Choice("auto", "what the base was pretrained with"),
    }


_BITS = (
    "4 for qlora, whose adapters learn beside it; 8 for quantised, which nothing makes up for; "
    "the training precision for others"
)


def _rank(recipe: Recipe, facts: Facts) -> Choice:
    """Enough weights to keep what the rows can teach, and no more than the narrowest layer has any use for."""
    least, most = _RANKS
    if recipe.task in PROBED or facts.num_labels:
        bits = facts.num_rows * max(1.0, math.log2(max(2, facts.num_labels)))
        what = f"{facts.num_rows:,} rows of {bits / max(1, facts.num_rows):.1f} bits"
    else:
        bits = float(facts.num_tokens)
        what = f"{facts.num_tokens:,} tokens of about a bit"
    needed = bits / _BITS_PER_WEIGHT / max(1, facts.adapter_width)
    rank = least
    while rank < min(needed, most):
        rank *= 2
    reason = f"{what} want rank {max(1, math.ceil(needed))} at {facts.adapter_width:,} weights a rank; from {least}"
    while facts.narrowest and rank > max(1, facts.narrowest // 2):
        rank //= 2
    return Choice(rank, f"{reason} to {most}, half of the narrowest layer ({facts.narrowest}) at most")


def _smoothing(recipe: Recipe) -> Choice:
    if recipe.task in ("text-classification", "translation"):
        return Choice(0.1, "for classes and translations")
    return Choice(0.0, "none but for classes and translations")


def baselines(recipe: Recipe) -> Choice:
    """Their names; ``prompting`` stands for the ways of it."""
    wanted = recipe.evaluation.baselines
    if wanted == "auto":
        beside = ", and the base in whole weights" if recipe.method == "quantised" else ""
        return Choice(list(baselines_of(recipe)), f"all of {recipe.task}{beside}")
    named = [wanted] if isinstance(wanted, str) else wanted
    several = [one for name in named for one in (PROMPTED if name == "prompting" else (name,))]
    return Choice(list(dict.fromkeys(several)), SET)


def baselines_of(recipe: Recipe) -> tuple[str, ...]:
    """What the task is held against; rounding, which trains no probe, against the very model that is rounded."""
    if recipe.method != "quantised":
        return BASELINES[recipe.task]
    return tuple(dict.fromkeys([*(one for one in BASELINES[recipe.task] if one != "probe"), "base"]))


def _shaping(recipe: Recipe, limit: int, columns: tuple[str, ...]) -> dict[str, Choice]:
    """What decides the form of tensors."""
    return {
        "data.stride": Choice(limit // 4, "a quarter of the longest text"),
        "similarity.encoder": Choice("bi", "each text by itself: vectors can be kept and searched"),
        "similarity.loss": _loss(recipe, columns),
        **_preferring(recipe, columns),
    }


def _loss(recipe: Recipe, columns: tuple[str, ...]) -> Choice:
    if recipe.task == "ranking" or "score" not in columns:
        return Choice("contrastive", "rows say which texts belong together")
    return Choice("cosine", "rows have scores")


def _preferring(recipe: Recipe, columns: tuple[str, ...]) -> dict[str, Choice]:
    """The loss of preferences and what follows from it."""
    thumbs = "liked" in columns
    words = "rows are answers that were liked or not" if thumbs else "rows are pairs of answers"
    auto = Choice("kto" if thumbs else "dpo", words)
    loss = auto.value if recipe.preference.loss == "auto" else recipe.preference.loss
    by_token = loss in BY_TOKEN
    item = "a token" if by_token else "whole answers"
    return {
        "preference.loss": auto,
        "preference.beta": Choice(2.0 if loss == "simpo" else 0.1, f"as {loss} was published"),
        "preference.normalise": Choice(by_token, f"{loss} is defined on likelihoods of {item}"),
    }


def _rate(recipe: Recipe, method: str, facts: Facts) -> Choice:
    compared = recipe.task == "preference"
    by_size = _PREFERENCE_RATES if compared and recipe.preference.loss != "orpo" else _RATES
    value = next(rate for limit, rate in by_size if facts.num_parameters < limit)
    size = f"for a base of {facts.num_parameters / 1e6:.0f} M weights"
    if compared:
        value, size = _of_preferences(recipe, value, size)
    if _learns_from_scores(recipe, facts):
        value, size = value / _SCORES_DIVISOR, f"{size} whose vectors are good already and shall only move a little"
    factor = _factor(recipe, method)
    if factor != 1.0:
        return Choice(value * factor, f"{size}, {factor:g} times as much for what {method} trains")
    return Choice(value, size)


def _of_preferences(recipe: Recipe, value: float, size: str) -> tuple[float, str]:
    """The rate of preferences for a whole base, with its reason."""
    if recipe.preference.loss == "orpo":
        return value / _ORPO_DIVISOR, f"{size}, {_ORPO_DIVISOR:g} times less than tuning takes, as orpo was published"
    return value, f"{size} that preferences shall not lead far from where it began"


def _learns_from_scores(recipe: Recipe, facts: Facts) -> bool:
    """Whether a bi-encoder is trained to meet scores, rather than to tell texts apart."""
    bi = recipe.similarity.encoder in ("auto", "bi")
    return recipe.task == "sentence-similarity" and bi and "score" in facts.columns


def _start(recipe: Recipe) -> Choice:
    if recipe.task not in PROBED:
        return Choice("random", f"{recipe.task} has no probe")
    if recipe.task == "token-classification":
        return Choice("random", "a tagger's probe has weights so large that what starts from it loses its way")
    return Choice("probe", "a head that fits already leaves what the base knows in place")


def _factor(recipe: Recipe, method: str) -> float:
    of_others, of_language = _FACTORS.get(method, (1.0, 1.0))
    if recipe.task == "preference" and method in ("lora", "qlora"):
        return of_language if recipe.preference.loss == "orpo" else _PREFERENCE_FACTOR
    return of_language if recipe.task in (*LANGUAGE, "preference") else of_others


def _head_rate(recipe: Recipe, method: str, rate: Choice) -> Choice:
    """Of the rate at which the whole base would be tuned: steps of an adapter's size would throw a head about."""
    trunk = recipe.training.learning_rate if isinstance(recipe.training.learning_rate, float) else rate.value
    whole = trunk / max(1.0, _factor(recipe, method))
    return Choice(whole * _HEAD_FACTOR, f"{_HEAD_FACTOR:g} times the rate of a whole base: the head has most to learn")


def epochs(method: str, num_rows: int, task: str = "") -> Choice:
    """Passes over ``num_rows`` rows by ``method``, where the recipe leaves them to be chosen."""
    if method == "contrastive":
        return Choice(*few_choices.epochs(num_rows))
    if task == "preference":
        passes = min(_PREFERENCE_PASSES, max(1, round(24_000 / max(1, num_rows))))
        why = f"{num_rows:,} training rows: 1 pass, more where preferences are few, {_PREFERENCE_PASSES} at most"
        return Choice(float(passes), why)
    passes = min(8, max(3, round(24_000 / max(1, num_rows))))
    return Choice(float(passes), f"{num_rows:,} training rows: 3 passes, more where rows are few, 8 at most")


def _batch(facts: Facts) -> Choice:
    tokens = int(min(16_384, max(256, 32 * facts.mean_length)))
    return Choice(tokens, f"about 32 rows of {facts.mean_length:.0f} tokens each")
