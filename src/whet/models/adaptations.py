"""Which weights move: each adaptation prepares a model, and here it is said at which rates its weights move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from whet import registry
from whet.kernels.embedding import CompactEmbedding
from whet.models.adapters import adapt_ia3, adapt_lora, on_top, peft_task
from whet.models.freezing import adapt_biases, adapt_full, adapt_top_layers, freeze
from whet.models.linear_layers import linear_layers
from whet.models.quantising import quantised_layers
from whet.models.task_model import TaskModel

__all__ = [
    "ADAPTATIONS",
    "RateGroup",
    "adapt",
    "adapt_biases",
    "adapt_full",
    "adapt_ia3",
    "adapt_lora",
    "adapt_top_layers",
    "count_trainable",
    "count_weights",
    "described",
    "embedding_weights",
    "exact_weights",
    "freeze",
    "linear_layers",
    "on_top",
    "peft_task",
    "rate_groups",
]

ADAPTATIONS = {
    "full": "whet.models.freezing:full",
    "contrastive": "whet.models.freezing:contrastive",
    "top-layers": "whet.models.freezing:top_layers",
    "bitfit": "whet.models.freezing:bitfit",
    "lora": "whet.models.adapters:lora",
    "qlora": "whet.models.adapters:qlora",
    "quantised": "whet.models.rounding:rounded",
    "ia3": "whet.models.adapters:ia3",
    "prompt": "whet.models.soft_prompts:adapt_prompt",
    "p-tuning": "whet.models.soft_prompts:adapt_p_tuning",
    "prefix": "whet.models.soft_prompts:adapt_prefix",
}
"""Method -> a function of (model, options, known_as, seed) that sets free what moves, and returns a PeftModel or None.

``options`` are values by their dotted names; see :func:`adapt`.
"""


def adapt(model: TaskModel, method: str, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """Let the weights of ``method`` move, and no others; what the method adds is put into the network.

    On a model without weights (on the meta device) this refuses what it would refuse, and computes nothing.

    :param options: every option of the recipe as it was decided, by its dotted name.
    :param known_as: what an adapter's file names as its base.
    :returns: the PeftModel around the network, or None where the method moves the base's own weights.
    :raises UserError: M020, M060 to M079, the base cannot take this method; what can be taken is said.
    """
    return registry.load(ADAPTATIONS, method, "method")(model, options, known_as, seed)


MATCHING = "matching"
"""What a model calls layers that learn beside it and are not saved (:mod:`whet.models.insides`)."""


@dataclass(frozen=True, slots=True)
class RateGroup:
    """Weights that share a rate: names of parameters, and 'trunk' or 'head' for the rate's option.

    ``factor``: their rate as a share, or a multiple, of that option.
    """

    name: str
    parameters: Sequence[tuple[str, nn.Parameter]]
    is_head: bool
    decays: bool
    factor: float = 1.0


def rate_groups(model: TaskModel, layer_decay: float = 1.0, rate_ratio: float = 1.0) -> list[RateGroup]:
    """The weights that move, by rate and decay.

    Matrices decay; biases, norms, factors of IA3 and embedding rows do not. Embeddings that do not decay can be
    trained row by row with the same result (:mod:`whet.kernels.embedding`). A language head is a part of
    the pretrained model and moves at its rate.

    :param layer_decay: rate of a layer as a share of that of the layer above it; the topmost has all of it, the
        embeddings lie below the lowest (arXiv 1801.06146). The halves of an encoder-decoder are counted apart.
    :param rate_ratio: rate of the second matrix of an adapter as a multiple of that of the first (arXiv 2402.12354).
    """
    apart = model.head is not None and model.kind.kind != "language"
    head = {id(p) for p in model.linear_head.parameters()} if apart else set()
    head |= {id(p) for p in getattr(model, MATCHING, nn.Module()).parameters()}  # they start at random, as heads do
    tables = embedding_weights(model)
    if model.kind.kind == "language" and model.origin.new_tokens:
        tables.add(id(model.linear_head.weight))  # where only its new rows move, the others must not decay
    deep = _depths(model) if layer_decay != 1.0 else {}
    buckets: dict[tuple[bool, bool, float], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and id(parameter) not in tables
            decays = decays and not any(part in name for part in ("embed", "bias", "ia3_l"))
            factor = float(layer_decay ** max(0, deep.get(name, 0) - 1)) * (rate_ratio if "lora_B" in name else 1.0)
            buckets.setdefault((id(parameter) in head, decays, factor), []).append((name, parameter))
    return [
        RateGroup(_group_name(is_head, decays, factor), found, is_head, decays, factor)
        for (is_head, decays, factor), found in sorted(buckets.items())
    ]


def _group_name(is_head: bool, decays: bool, factor: float) -> str:
    name = f"{'head' if is_head else 'trunk'}{'' if decays else ', no decay'}"
    return name if factor == 1.0 else f"{name}, {factor:.4g} of the rate"


def _depths(model: TaskModel) -> Mapping[str, int]:
    from whet.models.depths import depths  # which counts the embeddings by what stands below

    return depths(model).of


def embedding_weights(model: nn.Module) -> set[int]:
    """Identities of the weights that are looked up, not multiplied: tokens, positions, distances."""
    tables = (m for m in model.modules() if isinstance(m, nn.Embedding | CompactEmbedding))
    return {id(parameter) for table in tables for parameter in table.parameters()}


def exact_weights(model: nn.Module) -> list[str]:
    """Weights of adapters that compute in fp32 whatever the precision: factors near 1, which bf16 would round away."""
    return [name for name, _ in model.named_parameters() if "ia3_l" in name]


def exact_names(model: TaskModel) -> list[str]:
    """Parts that compute in fp32 whatever the precision: the head, layers beside it, factors of an adapter."""
    beside = [MATCHING] if hasattr(model, MATCHING) else []
    return [*([] if model.head_name is None else [model.head_name]), *beside, *exact_weights(model)]


def count_trainable(model: nn.Module, whole: bool = False) -> int:
    """Weights that may move.

    :param whole: of a compact embedding the table counts, not only its rows that the data mentions.
    """
    spared = sum(one.table.numel() - one.rows.numel() for one in _compact(model)) if whole else 0
    return spared + sum(p.numel() for p in model.parameters() if p.requires_grad)


def _compact(model: nn.Module) -> list[CompactEmbedding]:
    return [module for module in model.modules() if isinstance(module, CompactEmbedding)]


def count_weights(model: TaskModel) -> int:
    """All weights of a model with what was added to it; of quantised ones as many as were quantised."""
    packed = sum(int(m.in_features * m.out_features - m.weight.numel()) for _, m in quantised_layers(model.network))
    twice = sum(one.rows.numel() for one in _compact(model))
    return packed - twice + sum(p.numel() for name, p in model.named_parameters() if "original_module" not in name)


def described(model: TaskModel, method: str, options: Mapping[str, Any]) -> str:
    """What moves, in words: of adapters on how many layers, of what rank."""
    trainable = count_trainable(model, whole=method in ("full", "contrastive"))
    moving = f"{trainable:,} weights move, {trainable / max(1, count_weights(model)):.2%} of all"
    adapted = sum(
        1 for name, _ in model.named_parameters() if name.endswith(("lora_A.default.weight", "ia3_l.default"))
    )
    if method in ("lora", "qlora"):
        rank, alpha = options["lora.rank"], float(options["lora.alpha"])
        return f"{method}: adapters of rank {rank}, alpha {alpha:g}, on {adapted} linear layers; {moving}"
    if method == "ia3":
        return f"ia3: factors on {adapted} layers; {moving}"
    if method == "top-layers":
        return f"top-layers: the last {options['layers.top']} layers; {moving}"
    return f"{method}: {moving}"
