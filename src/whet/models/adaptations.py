"""Which weights move: each adaptation prepares a model and says at which rates its weights move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from whet.errors import Problem, UserError
from whet.models.classifier import TextClassifier
from whet.seeds import derive

LORA = "lora"


@dataclass(frozen=True, slots=True)
class RateGroup:
    """Weights that share a rate: names of parameters, and 'trunk' or 'head' for the rate's option."""

    name: str
    parameters: Sequence[tuple[str, nn.Parameter]]
    is_head: bool
    decays: bool


def freeze(model: TextClassifier) -> None:
    """Nothing but the head may move."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for parameter in model.head.parameters():
        parameter.requires_grad_(True)


def adapt_full(model: TextClassifier) -> None:
    """Every weight may move, a pooler that nothing reads excepted."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)


def adapt_lora(
    model: TextClassifier,
    rank: int,
    alpha: float,
    dropout: float,
    targets: str | Sequence[str],
    known_as: str,
    seed: int,
) -> Any:
    """Low-rank adapters on the linear layers of the trunk (PEFT, arXiv 2106.09685); returns the PeftModel.

    :param targets: names of modules, or 'auto' for every linear layer of the trunk.
    :param known_as: what the adapter's file names as its base.
    :raises UserError: M020, no module has one of these names.
    """
    import torch
    from peft import LoraConfig, TaskType, get_peft_model

    freeze(model)
    names = linear_layers(model) if targets == "auto" else list(targets)
    found = [n for n, m in model.network.named_modules() if isinstance(m, nn.Linear) and _matches(n, names)]
    if not found:
        known = sorted({n.rsplit(".", 1)[-1] for n, m in model.network.named_modules() if isinstance(m, nn.Linear)})
        raise UserError(
            Problem("M020", "lora.target_modules", f"nothing is named {names}.", f"Modules: {', '.join(known)}.")
        )
    native = model.pooling is None
    torch.manual_seed(derive(seed, "lora"))
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS if native else TaskType.FEATURE_EXTRACTION,
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT declares int, and divides it by the rank
        lora_dropout=dropout,
        target_modules=found,
        base_model_name_or_path=known_as,
        # plain PEFT would draw these anew; PEFT itself adds the classifier, whatever lies in it included
        modules_to_save=[name for name in model.fresh if not name.startswith("classifier")] or None,
    )
    adapted = get_peft_model(model.network, config)
    if native:  # PEFT wraps the classifier so that it is saved with the adapter; the wrapper's copy is what trains
        model.follow_head()
    for parameter in model.head.parameters():
        parameter.requires_grad_(True)
    return adapted


def linear_layers(model: TextClassifier) -> list[str]:
    """Dotted names of the trunk's linear layers, the head and poolers excepted."""
    return [
        name
        for name, module in model.network.named_modules()
        if isinstance(module, nn.Linear)
        and module is not model.head
        and "pooler" not in name
        and "classifier" not in name
    ]


def _matches(name: str, wanted: Sequence[str]) -> bool:
    return any(name == w or name.endswith(f".{w}") for w in wanted)


def rate_groups(model: TextClassifier) -> list[RateGroup]:
    """The weights that move, by rate and decay.

    Matrices decay; biases, norms and embedding rows do not. Embeddings that do not decay can be
    trained row by row with the same result (:mod:`whet.kernels.embedding`).
    """
    head = {id(p) for p in model.head.parameters()}
    buckets: dict[tuple[bool, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and "embed" not in name
            buckets.setdefault((id(parameter) in head, decays), []).append((name, parameter))
    return [
        RateGroup(f"{'head' if is_head else 'trunk'}{'' if decays else ', no decay'}", found, is_head, decays)
        for (is_head, decays), found in sorted(buckets.items())
    ]


def count_trainable(model: nn.Module) -> int:
    """Weights that move."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
