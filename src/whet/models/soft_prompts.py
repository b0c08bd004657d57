"""Vectors that are learnt and read before every text, with everything else as it was (PEFT).

- *prompt*: embeddings, learnt as they are (arXiv 2104.08691).
- *p-tuning*: embeddings that a small net makes while training; what it made is saved (arXiv 2103.10385).
- *prefix*: keys and values of every layer (arXiv 2101.00190).

How a model reads them is :mod:`whet.models.soft_reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from whet.errors import Problem, UserError
from whet.models import growth, soft_starts
from whet.models.adapters import on_top, peft_task
from whet.models.families import FAMILIES
from whet.models.freezing import freeze
from whet.models.heads import HeadKind
from whet.models.networks import guesses, quiet
from whet.models.places import Place
from whet.models.soft_proof import prove
from whet.models.soft_reading import Soft
from whet.models.soft_starts import WORDS
from whet.models.task_model import TaskModel
from whet.seeds import derive

_CACHED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
"""Encoders of transformers that take keys and values from outside."""
_INSTEAD = "Use method=prompt, p-tuning or lora."


# --- what can be refused before anything is read --------------------------------------------------------


def refuse(place: Place, config: Any, method: str, kind: HeadKind) -> None:
    """Check, from its configuration alone, that a base can read such vectors first.

    :raises UserError: M070, it cannot.
    """
    why = _why_not(config, method, kind)
    if why:
        remedy = "Use method=lora." if method != "prefix" or "order" in why else _INSTEAD
        raise UserError(Problem("M070", str(place.folder), f"cannot be trained by method={method}: {why}.", remedy))


def _why_not(config: Any, method: str, kind: HeadKind) -> str:
    family = FAMILIES.get(config.model_type)
    about = f"a model of type {config.model_type!r}"
    writes = bool(getattr(config, "is_encoder_decoder", False))
    if kind == "language" and guesses(config) == "permuted":
        return f"{about} says its tokens in any order, and PEFT has no class that reads vectors before them"
    if writes and kind != "language" and not (family is not None and family.encoder):
        return f"{about} looks its tokens up in both halves, and takes no embeddings with this head"
    if method != "prefix":
        return ""
    if writes:
        return "" if kind == "language" else f"the encoder of {about} takes no keys and values from outside"
    causal = family.causal if family is not None else guesses(config) == "next" and kind == "language"
    return "" if causal or config.model_type in _CACHED else f"{about} takes no keys and values from outside"


def longest(place: Place, known: int, num: int, method: str) -> int:
    """The most tokens of a text that has ``num`` vectors before it, of a base that takes ``known``."""
    positions = _positions(place)
    if positions is None or (method == "prefix" and place.config.get("is_encoder_decoder")):
        return known  # it is the decoder's places that a prefix takes
    return min(known, positions - num)


def refuse_long(place: Place, length: int, num: int, method: str) -> None:
    """Check that texts of ``length`` tokens leave places for the vectors.

    :raises UserError: M072, they do not: a base whose positions grow cannot be saved as an adapter alone.
    """
    most = longest(place, length, num, method)
    if most < length or length < _SHORTEST:
        positions = _positions(place)
        what = f"{num:,} vectors leave no room for texts of {max(length, _SHORTEST):,} tokens in {positions:,} places."
        few = "Use fewer vectors (soft.tokens)" + (f" or data.max_length={most}." if most >= _SHORTEST else ".")
        raise UserError(Problem("M072", "soft.tokens", what, few))


_SHORTEST = 8
"""As the recipe allows texts to be."""


def _positions(place: Place) -> int | None:
    return growth.positions_of(place.config, FAMILIES.get(str(place.config.get("model_type"))))


# --- adaptations ----------------------------------------------------------------------------------------


def adapt_prompt(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """Learn ``soft.tokens`` embeddings; returns the PeftModel.

    What the base did not bring trains in full: the head, and layers below it.

    :param options: values of the recipe by dotted name; :data:`WORDS` beside them where there are any.
    :param known_as: what the adapter's file names as its base.
    :raises UserError: M071, plain PEFT would not say the same; M073, the base was changed in more than its head.
    """
    from peft import PromptTuningConfig

    adapted = _adapted(model, PromptTuningConfig, _of_prompts(model, options), known_as, seed)
    if not _weightless(model):
        soft = Soft(adapted)
        soft_starts.fill(soft, soft_starts.embeddings(soft, options), seed)
    return _attached(model, adapted, options)


def adapt_p_tuning(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """As :func:`adapt_prompt`, by a net of ``soft.width``, which starts with vectors as large as those of words."""
    from peft import PromptEncoderConfig

    wanted = options["soft.width"]
    width = int(model.network.config.hidden_size) if wanted == "auto" else int(wanted)
    more = {**_of_prompts(model, options), "encoder_hidden_size": width}
    adapted = _adapted(model, PromptEncoderConfig, more, known_as, seed)
    soft = Soft(adapted)
    if not _weightless(model):
        soft_starts.rescale(soft)
    return _attached(model, adapted, options)


def adapt_prefix(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """As :func:`adapt_prompt`, with keys and values of every layer; they start as those of words."""
    from peft import PrefixTuningConfig

    more: dict[str, Any] = {"num_virtual_tokens": int(options["soft.tokens"])}
    if model.guesses == "target":  # its halves may differ; what PEFT finds by itself is of the first
        config = model.network.config
        heads = int(_first(config, "decoder_attention_heads", "num_heads", "num_attention_heads"))
        each = int(getattr(config, "d_kv", 0) or config.d_model // heads)
        layers = int(_first(config, "decoder_layers", "num_decoder_layers", "num_hidden_layers"))
        more |= {"num_layers": layers, "num_attention_heads": heads, "token_dim": heads * each}
    adapted = _adapted(model, PrefixTuningConfig, more, known_as, seed)
    if not _weightless(model):
        soft = Soft(adapted)
        soft_starts.fill(soft, soft_starts.keys_and_values(model, soft, options), seed)
    return _attached(model, adapted, options)


ADAPT: Mapping[str, Callable[[TaskModel, Mapping[str, Any], str, int], Any]] = {
    "prompt": adapt_prompt,
    "p-tuning": adapt_p_tuning,
    "prefix": adapt_prefix,
}
"""What prepares a model for each method."""


def _first(config: Any, *names: str) -> Any:
    return next(getattr(config, name) for name in names if getattr(config, name, None))


def _of_prompts(model: TaskModel, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration of prompts says of the base. Only the width is used; ALBERT's is not that of layers."""
    config = model.network.config
    return {
        "num_virtual_tokens": int(options["soft.tokens"]),
        "token_dim": int(model.trunk.get_input_embeddings().weight.shape[1]),
        "num_layers": int(getattr(config, "num_hidden_layers", 1)),
        "num_attention_heads": int(getattr(config, "num_attention_heads", 1)),
        "num_transformer_submodules": 1,
    }


def _adapted(model: TaskModel, cls: Any, more: Mapping[str, Any], known_as: str, seed: int) -> Any:
    from peft import get_peft_model

    if model.origin.unlike:
        what = f"the base was changed in more than its head: {'; '.join(model.origin.unlike)}. Vectors that are read"
        what += " before a text cannot be merged into it."
        raise UserError(Problem("M073", "method", what, "Use method=lora or full."))
    freeze(model)
    task_type, brings = _purpose(model, cls.__name__.startswith("Prefix"))
    # by their whole names: 'head' alone would match p-tuning's net as well
    above = [f"base_model.{name}" for name in on_top(model) if name not in brings]
    torch.manual_seed(derive(seed, "soft"))
    config = cls(task_type=task_type, modules_to_save=above or None, **more)
    with quiet():
        adapted = get_peft_model(model.network, config)
    adapted.active_peft_config.base_model_name_or_path = known_as  # PEFT puts the folder that was read here
    return adapted


def _purpose(model: TaskModel, is_prefix: bool) -> tuple[Any, Sequence[str]]:
    """PEFT's class that reads vectors first, and the modules it saves by itself.

    Its class for answers (0.21) leaves out which tokens are the question's; that for tags does not, and says the same.
    Of a prefix only the former finds the last layer.
    """
    from peft import TaskType

    if model.guesses in ("masked", "permuted"):  # none is made for them; this one gives back whatever the network says
        return TaskType.FEATURE_EXTRACTION, ()
    if model.kind.kind == "span" and "QuestionAnswering" in type(model.network).__name__:
        if model.reads_types and not is_prefix:
            return TaskType.TOKEN_CLS, ("classifier", "score")
        return TaskType.QUESTION_ANS, ("qa_outputs",)
    return peft_task(model)


def _attached(model: TaskModel, adapted: Any, options: Mapping[str, Any]) -> Any:
    """Wire ``adapted`` into ``model``, and hold what it says beside what plain PEFT does."""
    take_over(model, adapted)
    if model.head is not None and model.kind.kind != "language":
        model.head.requires_grad_(True)
    assert model.soft is not None
    model.soft.requires_grad_(True)
    if not _weightless(model):
        prove(model, options.get(WORDS) or ())
    return adapted


def _weightless(model: TaskModel) -> bool:
    """Whether ``model`` stands on the meta device, where weights are counted and nothing is computed."""
    return any(parameter.is_meta for parameter in model.parameters())


def take_over(model: TaskModel, adapted: Any) -> None:
    """Let ``model`` read what ``adapted``, a PeftModel around its network, holds."""
    if model.pooling is None:
        model.follow_head()
    model.read_first(adapted)
