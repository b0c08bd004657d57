"""Which weights move: each adaptation prepares a model and says at which rates its weights move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.kernels.embedding import CompactEmbedding
from whet.models.networks import quiet
from whet.models.task_model import TaskModel
from whet.seeds import derive

LORA = "lora"


@dataclass(frozen=True, slots=True)
class RateGroup:
    """Weights that share a rate: names of parameters, and 'trunk' or 'head' for the rate's option."""

    name: str
    parameters: Sequence[tuple[str, nn.Parameter]]
    is_head: bool
    decays: bool


def freeze(model: TaskModel) -> None:
    """Nothing but the head may move; of a language model, whose head is a part of the base, nothing."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if model.head is not None and model.kind.kind != "language":
        model.head.requires_grad_(True)


def adapt_full(model: TaskModel) -> None:
    """Every weight may move; tables of sines stay what they are."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for module in model.modules():
        if "Sinusoidal" in type(module).__name__:
            module.requires_grad_(False)


def adapt_lora(
    model: TaskModel,
    rank: int,
    alpha: float,
    dropout: float,
    targets: str | Sequence[str],
    known_as: str,
    seed: int,
) -> Any:
    """Low-rank adapters on the linear layers of the trunk (PEFT, arXiv 2106.09685); returns the PeftModel.

    What the base did not bring trains in full: the head, layers below it, and tokens that were added.

    :param targets: names of modules, or 'auto' for every linear layer of the trunk.
    :param known_as: what the adapter's file names as its base.
    :raises UserError: M020, no module has one of these names.
    """
    from peft import LoraConfig, get_peft_model

    freeze(model)
    names = linear_layers(model) if targets == "auto" else list(targets)
    language = model.kind.kind == "language"
    layers = {n: m for n, m in model.network.named_modules() if _is_linear(m) and not (language and m is model.head)}
    found = [n for n in layers if _matches(n, names)]
    if not found:
        known = sorted({n.rsplit(".", 1)[-1] for n in layers})
        raise UserError(
            Problem("M020", "lora.target_modules", f"nothing is named {names}.", f"Modules: {', '.join(known)}.")
        )
    task_type, brings = _peft_task(model)
    torch.manual_seed(derive(seed, "lora"))
    config = LoraConfig(
        task_type=task_type,
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT declares int, and divides it by the rank
        lora_dropout=dropout,
        target_modules=found,
        modules_to_save=[name for name in _on_top(model) if name not in brings] or None,
        fan_in_fan_out=not any(isinstance(layers[n], nn.Linear) for n in found),  # GPT-2 stores its matrices turned
    )
    with quiet():
        adapted = get_peft_model(model.network, config)
    adapted.active_peft_config.base_model_name_or_path = known_as  # PEFT puts the folder that was read here
    if model.pooling is None:  # PEFT wraps the head so that it is saved with the adapter; the wrapper's copy trains
        model.follow_head()
    if model.head is not None and not language:
        model.head.requires_grad_(True)
    if model.origin.new_tokens:
        _train_new_tokens(model)
    return adapted


def _train_new_tokens(model: TaskModel) -> None:
    """Let the embeddings of added tokens move beside an adapter, and what a language head has of them."""
    table = model.trunk.get_input_embeddings()
    rows = torch.tensor(model.origin.new_tokens)
    if model.kind.kind != "language":
        model.trunk.set_input_embeddings(CompactEmbedding(table.weight, rows))
        return
    for weight in {id(w): w for w in (table.weight, model.linear_head.weight)}.values():
        known = torch.ones(len(weight), dtype=torch.bool, device=weight.device)
        known[rows] = False
        weight.requires_grad_(True)  # the same table on both sides, so that its rows cannot be taken apart
        weight.register_hook(partial(_without, known))


def _without(known: Tensor, grad: Tensor) -> Tensor:
    """A gradient that is zero in the rows ``known`` (V,)."""
    return grad.masked_fill(known[:, None], 0.0)


def _peft_task(model: TaskModel) -> tuple[Any, Sequence[str]]:
    """What PEFT calls the purpose of ``model``, and the modules it then saves by itself."""
    from peft import TaskType

    if model.pooling is not None:
        return TaskType.FEATURE_EXTRACTION, ()
    if model.kind.kind == "language":  # PEFT has no name for masked and permuted ones
        return {"next": TaskType.CAUSAL_LM, "target": TaskType.SEQ_2_SEQ_LM}.get(model.guesses or ""), ()
    if model.kind.kind == "span" and "QuestionAnswering" in type(model.network).__name__:
        if model.reads_types:  # PEFT's class for answers forgets which tokens are the question's (0.21)
            return None, ()
        return TaskType.QUESTION_ANS, ("qa_outputs",)
    tags = model.level == "token"
    return (TaskType.TOKEN_CLS if tags else TaskType.SEQ_CLS), ("classifier", "score")


def _on_top(model: TaskModel) -> list[str]:
    """Modules that an adapter must carry: a native head, and what is new; plain PEFT would draw them anew."""
    if model.pooling is not None:
        return []
    if model.kind.kind == "language":  # the last layer is the base's; a bias that is new stays the zeros it starts as
        return sorted(name for name in model.fresh if model.network.get_submodule(name) is not model.head)
    network = model.network
    head = next(name for name, module in network.named_modules() if module is model.head)
    inside = f"{network.base_model_prefix}."
    # a module of the classifier goes as a whole: PEFT cannot wrap what lies in something it wraps
    return sorted({name if name.startswith(inside) else name.partition(".")[0] for name in (head, *model.fresh)})


def linear_layers(model: TaskModel) -> list[str]:
    """Dotted names of the trunk's linear layers, poolers excepted."""
    network = model.network
    inside = "" if model.trunk is network else f"{network.base_model_prefix}."
    return [
        name
        for name, module in network.named_modules()
        if _is_linear(module) and name.startswith(inside) and "pooler" not in name
    ]


def _is_linear(module: nn.Module) -> bool:
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def _matches(name: str, wanted: Sequence[str]) -> bool:
    return any(name == w or name.endswith(f".{w}") for w in wanted)


def rate_groups(model: TaskModel) -> list[RateGroup]:
    """The weights that move, by rate and decay.

    Matrices decay; biases, norms and embedding rows do not. Embeddings that do not decay can be
    trained row by row with the same result (:mod:`whet.kernels.embedding`). A language head is a part of
    the pretrained model and moves at its rate.
    """
    apart = model.head is not None and model.kind.kind != "language"
    head = {id(p) for p in model.linear_head.parameters()} if apart else set()
    tables = embedding_weights(model)
    if model.kind.kind == "language" and model.origin.new_tokens:
        tables.add(id(model.linear_head.weight))  # where only its new rows move, the others must not decay
    buckets: dict[tuple[bool, bool], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and "embed" not in name and "bias" not in name and id(parameter) not in tables
            buckets.setdefault((id(parameter) in head, decays), []).append((name, parameter))
    return [
        RateGroup(f"{'head' if is_head else 'trunk'}{'' if decays else ', no decay'}", found, is_head, decays)
        for (is_head, decays), found in sorted(buckets.items())
    ]


def embedding_weights(model: nn.Module) -> set[int]:
    """Identities of the weights that are looked up, not multiplied: tokens, positions, distances."""
    tables = (m for m in model.modules() if isinstance(m, nn.Embedding | CompactEmbedding))
    return {id(parameter) for table in tables for parameter in table.parameters()}


def count_trainable(model: nn.Module) -> int:
    """Weights that move."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
