"""A model with fewer numbers a token: whole heads, and of the other dimensions those that most passes through.

How much passes is measured on some texts:

- a dimension of the token vectors counts by its variance over tokens, summed over the layers, each layer's total
  brought to 1 (a dimension that is the same for every token tells nothing);
- a head by the mean square of its output times the squared length of the weights that take it on, and an inner
  dimension of a feed-forward part likewise, layer by layer.

Every layer keeps the same dimensions of the token vectors, since they are added to one another; heads and inner
dimensions are its own. The inner width shrinks in proportion. Tables that are shared stay shared.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.models.linear_layers import stacks
from whet.models.networks import quiet

FAMILIES = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "electra",
    "distilbert",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
)
"""Families whose parts are known by name."""
QUERY = ("query", "q_proj", "q_lin")
KEY_VALUE = ("key", "value", "k_proj", "v_proj", "k_lin", "v_lin")
MIXED = ("attention.output.dense", "o_proj", "out_lin")
"""What takes on what the heads give."""
UP = ("intermediate.dense", "gate_proj", "up_proj", "lin1")
DOWN = ("output.dense", "down_proj", "lin2")
AT_ONCE = 8
LONGEST = 128
"""Tokens of a text that are looked at."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of a model: numbers a token, heads, heads of keys and values, numbers a head, inner numbers."""

    width: int
    heads: int
    pairs: int
    each: int
    inner: int


def narrowed(network: Any, width: int, tokenizer: Any, texts: Sequence[str], name: str) -> tuple[Any, dict[str, Any]]:
    """``network`` with ``width`` numbers a token, and what was chosen.

    :raises UserError: T031, the family's parts are not known, or no whole heads are as wide.
    """
    sizes = sizes_of(network.config, name)
    smaller = _smaller(sizes, width, name)
    kept = _chosen(network, sizes, smaller, _measured(network, tokenizer, texts))
    config = _settings(network.config, sizes, smaller)
    bare = {"add_pooling_layer": False} if getattr(network, "pooler", 1) is None else {}
    with quiet():
        found = type(network)(config, **bare).float().eval()
    state = {one: _cut(network, one, value, sizes, kept) for one, value in network.state_dict().items()}
    try:
        found.load_state_dict(state, strict=True)
    except RuntimeError as error:  # ELECTRA has no projection where its embeddings are as wide as its layers
        what = f"is {width}, and the model would have other parts: {str(error).strip().splitlines()[-1].strip()}"
        raise UserError(Problem("T031", f"student.width of {name}", what, "Ask for another width.")) from None
    return found, {"heads": smaller.heads, "inner": smaller.inner, "dimensions": kept["width"].tolist()}


def sizes_of(config: Any, name: str) -> Sizes:
    """:raises UserError: T031, the family's parts are not known."""
    if config.model_type not in FAMILIES:
        what = f"a model of type {config.model_type!r} cannot be narrowed: its parts are not known by name."
        raise UserError(Problem("T031", f"student.width of {name}", what, f"Known are {', '.join(FAMILIES)}."))
    heads, width = int(config.num_attention_heads), int(config.hidden_size)
    each = int(getattr(config, "head_dim", None) or width // heads)
    inner = getattr(config, "intermediate_size", None) or config.hidden_dim
    return Sizes(width, heads, int(getattr(config, "num_key_value_heads", None) or heads), each, int(inner))


def _smaller(sizes: Sizes, width: int, name: str) -> Sizes:
    """:raises UserError: T031, no whole heads are as wide."""
    fitting = [one for one in range(1, sizes.width) if _fits(sizes, one)]
    if width not in fitting:
        what = (
            f"is {width}, and heads of {sizes.each} numbers, {sizes.heads} of {sizes.width} numbers in all, stay whole."
        )
        remedy = f"Ask for one of {', '.join(map(str, fitting))}." if fitting else "This base cannot be narrowed."
        raise UserError(Problem("T031", f"student.width of {name}", what, remedy))
    share = width / sizes.width
    pairs, heads = round(sizes.pairs * share), round(sizes.heads * share)
    return Sizes(width, heads, pairs, sizes.each, max(1, round(sizes.inner * share)))


def _fits(sizes: Sizes, width: int) -> bool:
    return not (sizes.heads * width % sizes.width or sizes.pairs * width % sizes.width) and sizes.pairs * width > 0


def _settings(config: Any, sizes: Sizes, smaller: Sizes) -> Any:
    """The configuration of the narrower model."""
    found = copy.deepcopy(config)
    for name, old, new in (
        ("hidden_size", sizes.width, smaller.width),
        ("num_attention_heads", sizes.heads, smaller.heads),
        ("num_key_value_heads", sizes.pairs, smaller.pairs),
        ("intermediate_size", sizes.inner, smaller.inner),
        ("hidden_dim", sizes.inner, smaller.inner),
        ("embedding_size", sizes.width, smaller.width),
        ("head_dim", sizes.each, smaller.each),
    ):
        if getattr(found, name, None) == old:
            setattr(found, name, new)
    return found


# --- what is kept -------------------------------------------------------------------------------------


def ends_with(name: str, endings: Sequence[str]) -> bool:
    """Whether a module's dotted name ends as one of ``endings``."""
    return any(name == one or name.endswith(f".{one}") for one in endings)


def _layers(network: Any) -> Iterator[tuple[str, nn.Module]]:
    """Every layer by its dotted name."""
    for name, stack in stacks(network):
        for number, layer in enumerate(stack):
            yield f"{name}.{number}", layer


def _within(layer: str, module: nn.Module, endings: Sequence[str], without: Sequence[str] = ()) -> tuple[str, Any]:
    """The one linear layer of a layer that is called so."""
    return next(
        (f"{layer}.{name}", inner)
        for name, inner in module.named_modules()
        if isinstance(inner, nn.Linear) and ends_with(name, endings) and not (without and ends_with(name, without))
    )


@torch.no_grad()
def _measured(network: Any, tokenizer: Any, texts: Sequence[str]) -> dict[str, Tensor]:
    """Sums over tokens: 'width' (H,) of variances, and by name the mean squares that reach a layer's last products."""
    sums: dict[str, Tensor] = {}
    moments: dict[str, Tensor] = {}
    real: list[Tensor] = []

    def note(name: str, values: Tensor) -> None:
        rows = values.reshape(-1, values.shape[-1])[real[-1].reshape(-1)].double()
        found = torch.stack([torch.full_like(rows[0], len(rows)), rows.sum(0), rows.square().sum(0)])
        moments[name] = moments.get(name, torch.zeros_like(found)) + found

    hooks = []
    for name, layer in _layers(network):
        hooks.append(layer.register_forward_hook(lambda m, i, o, name=name: note(name, _vectors(o))))
        for endings, without in ((MIXED, ()), (DOWN, MIXED)):
            inside, module = _within(name, layer, endings, without)
            hooks.append(module.register_forward_pre_hook(lambda m, i, name=inside: note(name, i[0])))
    try:
        for start in range(0, len(texts), AT_ONCE):
            some = list(texts[start : start + AT_ONCE])
            if tokenizer.pad_token is None:
                tokenizer.pad_token = tokenizer.eos_token
            most = min(LONGEST, int(tokenizer.model_max_length))
            inputs = tokenizer(some, truncation=True, max_length=most, padding=True, return_tensors="pt")
            real.append(inputs["attention_mask"].bool())
            known = {key: inputs[key] for key in ("input_ids", "attention_mask")}
            network.base_model(**known)
    finally:
        for hook in hooks:
            hook.remove()
    spread = torch.zeros(int(network.config.hidden_size), dtype=torch.float64)
    layers = [name for name, _ in _layers(network)]
    for name, (count, total, squares) in moments.items():
        if name in layers:
            variance = squares / count - (total / count).square()
            spread += variance / variance.sum()
        else:
            sums[name] = squares / count
    return {"width": spread, **sums}


def _vectors(found: Any) -> Tensor:
    """What a layer gives, without what some give beside."""
    vectors: Tensor = found[0] if isinstance(found, tuple) else found
    return vectors


def _chosen(network: Any, sizes: Sizes, smaller: Sizes, measured: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers of the dimensions that stay: 'width', and by layer 'LAYER heads', 'LAYER pairs', 'LAYER inner'."""
    found = {"width": _largest(measured["width"], smaller.width)}
    for name, layer in _layers(network):
        mixed, down = _within(name, layer, MIXED), _within(name, layer, DOWN, MIXED)
        flow = [measured[one] * module.weight.double().square().sum(0) for one, module in (mixed, down)]
        of_pairs = flow[0].view(sizes.pairs, sizes.heads // sizes.pairs, sizes.each).sum(2)
        pairs = _largest(of_pairs.sum(1), smaller.pairs)
        each = smaller.heads // smaller.pairs
        heads = torch.cat([_largest(of_pairs[one], each) + one * of_pairs.shape[1] for one in pairs.tolist()])
        found[f"{name} pairs"] = _places(pairs, sizes.each)
        found[f"{name} heads"] = _places(heads, sizes.each)
        found[f"{name} inner"] = _largest(flow[1], smaller.inner)
    return found


def _largest(values: Tensor, number: int) -> Tensor:
    """The places of the largest, in ascending order."""
    return values.argsort(descending=True, stable=True)[:number].sort().values


def _places(blocks: Tensor, each: int) -> Tensor:
    """The places that whole blocks of ``each`` numbers cover."""
    return (blocks[:, None] * each + torch.arange(each)).reshape(-1)


# --- cutting ------------------------------------------------------------------------------------------


def _cut(network: Any, name: str, value: Tensor, sizes: Sizes, kept: Mapping[str, Tensor]) -> Tensor:
    """The part of a weight that stays."""
    module, _, leaf = name.rpartition(".")
    layer = next((one for one in _names(kept) if f"{name}.".startswith(f"{one}.")), None)
    if layer is not None:
        outputs = next((kept[f"{layer} {role}"] for role, ends in _OUT.items() if ends_with(module, ends)), None)
        inputs = None
        if ends_with(module, MIXED):
            inputs = kept[f"{layer} heads"]
        elif ends_with(module, DOWN):
            inputs = kept[f"{layer} inner"]
        if outputs is not None or inputs is not None:
            found = value[kept["width"] if outputs is None else outputs]
            if leaf == "weight" and value.ndim == 2:
                found = found[:, kept["width"] if inputs is None else inputs]
            return found.clone()
    owner = network.get_submodule(module) if module else network
    looked_up = isinstance(owner, nn.Embedding) or owner is network.get_output_embeddings()
    for axis, size in enumerate(value.shape):
        if size == sizes.width and not (looked_up and axis == 0):
            value = value.index_select(axis, kept["width"])
    return value.clone()


_OUT = {"heads": QUERY, "pairs": KEY_VALUE, "inner": UP}


def _names(kept: Mapping[str, Tensor]) -> Iterator[str]:
    """The layers that something was chosen for."""
    return (name.removesuffix(" inner") for name in kept if re.search(r" inner$", name))
