"""Adapters of PEFT on the linear layers of the trunk: LoRA and its kin, IA3, and LoRA on quantised weights.

What the base did not bring trains in full beside them: the head, layers below it, and tokens that were added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.models import quantising
from whet.models.freezing import freeze, train_new_tokens
from whet.models.linear_layers import is_linear, linear_layers, matches, size_of, stacks, turned
from whet.models.networks import quiet
from whet.models.quantising import Scheme
from whet.models.starting import DOUBLED
from whet.models.task_model import TaskModel
from whet.seeds import derive

Starts = dict[str, tuple[Tensor, Tensor]]
"""Name of a layer -> A (rank, inputs) and B (outputs, rank) that its adapter starts from."""


def adapt_lora(
    model: TaskModel,
    rank: int,
    alpha: float,
    dropout: float,
    targets: str | Sequence[str],
    known_as: str,
    seed: int,
    *,
    rank_stabilised: bool = False,
    dora: bool = False,
    start: str = "zeros",
) -> Any:
    """Low-rank adapters on the linear layers of the trunk (PEFT, arXiv 2106.09685); returns the PeftModel.

    :param targets: names of modules, or 'auto' for every linear layer of the trunk.
    :param known_as: what the adapter's file names as its base.
    :param rank_stabilised: scale by the root of the rank (arXiv 2312.03732).
    :param dora: the length of each weight vector is learned apart (arXiv 2402.09353).
    :param start: 'zeros', or 'pissa' (arXiv 2404.02948), which takes the largest singular vectors out of the base's
        weights; see :func:`whet.models.starting.as_plain`.
    :raises UserError: M020, no module has one of these names.
    """
    from peft import LoraConfig

    freeze(model)
    layers = targeted(model, targets)
    torch.manual_seed(derive(seed, "lora"))
    without_weights = any(layer.weight.is_meta for layer in layers.values())
    config = LoraConfig(
        **_of_model(model),
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # PEFT declares int, and divides it by the rank
        lora_dropout=dropout,
        target_modules=list(layers),
        fan_in_fan_out=all(turned(layer) for layer in layers.values()),  # GPT-2 stores its matrices turned
        use_rslora=rank_stabilised,
        use_dora=dora,
        init_lora_weights="pissa" if start == "pissa" and not without_weights else True,
    )
    return _adapted(model, config, known_as)


def targeted(model: TaskModel, targets: str | Sequence[str]) -> dict[str, Any]:
    """The layers that ``targets`` name, by their full names.

    :raises UserError: M020, there is none.
    """
    names = linear_layers(model) if targets == "auto" else list(targets)
    language = model.kind.kind == "language"
    layers = {n: m for n, m in model.network.named_modules() if is_linear(m) and not (language and m is model.head)}
    found = {name: layer for name, layer in layers.items() if matches(name, names)}
    if not found:
        known = sorted({n.rsplit(".", 1)[-1] for n in layers})
        raise UserError(
            Problem("M020", "lora.target_modules", f"nothing is named {names}.", f"Modules: {', '.join(known)}.")
        )
    return found


def refuse_rank(layers: Mapping[str, nn.Module], rank: int) -> None:
    """:raises UserError: M062, the rank is above what the narrowest of ``layers`` has inputs or outputs."""
    name = min(layers, key=lambda one: min(size_of(layers[one])))
    width = min(size_of(layers[name]))
    if rank > width:
        what = f"is {rank}, but {name} is {width} wide: an adapter of this rank has more to say than the layer itself."
        remedy = f"Ask for {width} at most, or name wider layers with lora.target_modules."
        raise UserError(Problem("M062", "lora.rank", what, remedy))


# --- IA3 ------------------------------------------------------------------------------------------------

_KEYS_AND_VALUES = (
    *("key", "value", "k", "v", "k_lin", "v_lin", "k_proj", "v_proj", "key_proj", "value_proj"),
    *("c_attn", "query_key_value", "qkv_proj", "Wqkv", "in_proj"),  # families that multiply for all of them at once
)
_OUT_OF_FEED_FORWARD = ("lin2", "ffn_output", "wo", "fc2", "down_proj", "dense_4h_to_h", "layer_2", "mlp.Wo")
_OUT_OF_FEED_FORWARD_TOO = ("output.dense", "mlp.c_proj")
"""Where they are no part of attention."""


def adapt_ia3(model: TaskModel, known_as: str, seed: int) -> Any:
    """A factor for every key, every value and every hidden unit of feed-forward parts (PEFT, arXiv 2205.05638).

    :raises UserError: M064, none of these layers is found.
    """
    from peft import IA3Config

    freeze(model)
    inside = tuple(f"{name}." for name, _ in _dotted_stacks(model))
    names = [name for name in linear_layers(model) if name.startswith(inside)]
    feed = [name for name in names if _ends_feed_forward(name)]
    found = [name for name in names if matches(name, _KEYS_AND_VALUES) and name not in feed]
    if not feed or not inside:
        what = (
            f"in a base of type {model.network.config.model_type!r} keys, values and feed-forward layers are unknown."
        )
        raise UserError(Problem("M064", "method", what, "Use lora, or full."))
    layers = [model.network.get_submodule(name) for name in (*found, *feed)]
    torch.manual_seed(derive(seed, "ia3"))
    config = IA3Config(
        **_of_model(model),
        target_modules=[*found, *feed],
        feedforward_modules=feed,
        fan_in_fan_out=all(turned(layer) for layer in layers),
    )
    return _adapted(model, config, known_as)


def _ends_feed_forward(name: str) -> bool:
    own = matches(name, _OUT_OF_FEED_FORWARD)
    return own or (matches(name, _OUT_OF_FEED_FORWARD_TOO) and "attention" not in name and "attn" not in name)


def _dotted_stacks(model: TaskModel) -> list[tuple[str, nn.ModuleList]]:
    """Lists of layers by their names in the network; an encoder-decoder has two."""
    return [(name, stack) for name, stack in stacks(model.network)]


# --- what they share ------------------------------------------------------------------------------------


def _of_model(model: TaskModel) -> dict[str, Any]:
    task_type, brings = peft_task(model)
    return {
        "task_type": task_type,
        "modules_to_save": [name for name in on_top(model) if name not in brings] or None,
    }


def _adapted(model: TaskModel, config: Any, known_as: str) -> Any:
    """The PeftModel around the network of ``model``, whose head follows the copy that is trained."""
    from peft import get_peft_model

    with quiet():
        adapted = get_peft_model(model.network, config)
    adapted.active_peft_config.base_model_name_or_path = known_as  # PEFT puts the folder that was read here
    if model.pooling is None:  # PEFT wraps the head so that it is saved with the adapter; the wrapper's copy trains
        model.follow_head()
    if model.head is not None and model.kind.kind != "language":
        model.head.requires_grad_(True)
    if model.origin.new_tokens:
        train_new_tokens(model)
    return adapted


def peft_task(model: TaskModel) -> tuple[Any, Sequence[str]]:
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


def on_top(model: TaskModel) -> list[str]:
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


# --- as entries of the table of adaptations -------------------------------------------------------------


def lora(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """Method lora.

    :raises UserError: M020, no module has the names that are wanted; M062, the rank is above a layer's width.
    """
    if not options.get(DOUBLED):
        refuse_rank(targeted(model, options["lora.target_modules"]), int(options["lora.rank"]))
    return adapt_lora(
        model,
        int(options["lora.rank"]),
        float(options["lora.alpha"]),
        float(options["lora.dropout"]),
        options["lora.target_modules"],
        known_as,
        seed,
        rank_stabilised=bool(options["lora.rank_stabilised"]),
        dora=bool(options["lora.dora"]),
        start=str(options["lora.start"]),
    )


def qlora(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """Method qlora (arXiv 2305.14314); what quantising did is left in ``model.quantised``."""
    if any(parameter.is_meta for parameter in model.network.parameters()):
        quantising.refuse_nothing(model, Scheme.of(options))
        return lora(model, options, known_as, seed)
    wanted = targeted(model, options["lora.target_modules"])
    starts: Starts = {}
    rank, scale = int(options["lora.rank"]), scale_of(options)

    def left_over(name: str, gone: Tensor) -> None:
        if name in wanted:
            starts[name] = quantising.low_rank(gone, rank, scale)

    makes_up = options["lora.start"] == "loftq"
    model.quantised = quantising.quantise(model, Scheme.of(options), left_over if makes_up else None)
    adapted = lora(model, {**options, "lora.start": "zeros"}, known_as, seed)
    for name, (first, second) in starts.items():
        layer = model.network.get_submodule(name)
        layer.lora_A["default"].weight.data.copy_(first)
        layer.lora_B["default"].weight.data.copy_(second)
        if options["lora.dora"]:  # lengths are those of the weights that it now starts from
            whole = quantising.dequantised(layer.base_layer) + scale * second @ first
            layer.lora_magnitude_vector["default"].weight.data.copy_(torch.linalg.norm(whole, dim=1))
    return adapted


def scale_of(options: Mapping[str, Any]) -> float:
    """What the product of an adapter's two matrices is multiplied by."""
    rank = float(options["lora.rank"])
    return float(options["lora.alpha"]) / (rank**0.5 if options["lora.rank_stabilised"] else rank)


def ia3(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> Any:
    """Method ia3."""
    return adapt_ia3(model, known_as, seed)
