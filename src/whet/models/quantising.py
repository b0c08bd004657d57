"""The trunk's linear layers in 4 or 8 bits (bitsandbytes), frozen, and how far each is from what it was.

Embeddings, norms, the head and a layer over the vocabulary stay as they are, and so does what transformers keeps in
fp32 in any precision (T5's ``wo``), and in 4 bits a layer whose inputs are no multiple of 64. GPT-2's matrices are
turned before, as transformers does it too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.findings import Finding
from whet.models.linear_layers import is_linear, linear_layers, matches, size_of, turned
from whet.models.task_model import TaskModel

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns at its import, and of casts at every product
LARGE_ERROR = {4: 0.2, 8: 0.05}
"""Relative error of a layer from which on it is named: twice what normally distributed weights have in NF4."""
_WORST = 5
BLOCK = 64
"""Weights that share a scale in 4 bits. Where such a block ends within a row, bitsandbytes 0.50 reads it back wrongly
on a CPU (the error of a layer of 288 inputs is 0.24 instead of 0.09) and rightly on a GPU."""
LAYERS = ("Linear4bit", "Linear8bitLt")
"""What bitsandbytes calls layers that hold quantised weights."""
TURNED = "was_turned"
"""Says of such a layer whether the one in its place held its matrix turned."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """How weights are kept; what a saved adapter says of its base.

    - ``bits``: 4 or 8. ``kind``: of 4 bits 'nf4' or 'fp4'. ``double``: of 4 bits, scales are quantised, too.
    - ``kept``: modules that multiply and were not quantised, so that other loaders leave them as well.
    """

    bits: int
    kind: str
    double: bool
    kept: Sequence[str] = ()

    @staticmethod
    def of(options: Mapping[str, Any]) -> Scheme:
        """As the options ``quantisation.*`` say."""
        bits = options["quantisation.bits"]
        return Scheme(
            4 if bits == "auto" else int(bits), str(options["quantisation.kind"]), bool(options["quantisation.double"])
        )

    @property
    def in_words(self) -> str:
        """Such as '4 bits (NF4, scales in 8 bits)'."""
        double = ", scales in 8 bits" if self.double else ""
        return "8 bits" if self.bits == 8 else f"4 bits ({self.kind.upper()}{double})"

    def to_json(self) -> dict[str, Any]:
        """A JSON object; :meth:`from_json` is its inverse."""
        return {"bits": self.bits, "kind": self.kind, "double": self.double, "kept": list(self.kept)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Scheme:
        """Read what :meth:`to_json` wrote."""
        return Scheme(int(value["bits"]), value["kind"], bool(value["double"]), tuple(value.get("kept", ())))

    def for_transformers(self, compute: torch.dtype = torch.float32) -> dict[str, Any]:
        """Settings of transformers' BitsAndBytesConfig that quantise the same layers in the same way."""
        skipped = {"llm_int8_skip_modules": ["pooler", *self.kept]}
        if self.bits == 8:
            return {"load_in_8bit": True, "llm_int8_threshold": 0.0, **skipped}
        return {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": self.kind,
            "bnb_4bit_use_double_quant": self.double,
            "bnb_4bit_compute_dtype": compute,
            **skipped,
        }


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far a quantised layer is from what it was.

    ``relative``: norm of the difference by the norm of the weights (Frobenius). ``largest``: of a single weight.
    """

    name: str
    relative: float
    largest: float


@dataclass(frozen=True, slots=True)
class Quantised:
    """What quantising did to a model."""

    scheme: Scheme
    errors: Sequence[LayerError]
    left: int = 0
    """Linear layers of the trunk that stay as they are."""

    @property
    def mean(self) -> float:
        """Relative error of the layers on average."""
        return sum(error.relative for error in self.errors) / len(self.errors)

    @property
    def worst(self) -> list[LayerError]:
        """The layers that changed most, first."""
        return sorted(self.errors, key=lambda error: -error.relative)[:_WORST]

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every layer's error."""
        return {
            "scheme": self.scheme.to_json(),
            "words": self.scheme.in_words,
            "mean_relative_error": self.mean,
            "left": self.left,
            "layers": {error.name: [error.relative, error.largest] for error in self.errors},
        }


def quantise(model: TaskModel, scheme: Scheme, left_over: Callable[[str, Tensor], None] | None = None) -> Quantised:
    """Keep the trunk's linear layers as ``scheme`` says.

    :param left_over: is told each layer's name and (outputs, inputs) what quantising took away.
    :raises UserError: M065, bitsandbytes is absent; M066, there is nothing to quantise.
    """
    names = refuse_nothing(model, scheme)
    errors, left = [], len(linear_layers(model)) - len(names)
    for name in names:
        layer = model.network.get_submodule(name)
        found = _quantised(layer, scheme)
        gone = _plain(layer) - dequantised(found)
        norm = float(torch.linalg.norm(_plain(layer)))
        errors.append(LayerError(name, float(torch.linalg.norm(gone)) / (norm or 1.0), float(gone.abs().max())))
        if left_over is not None:
            left_over(name, gone)
        model.network.set_submodule(name, found)
    mark(model.network, scheme.bits)
    gone_names = set(names)
    kept = [name for name, module in model.network.named_modules() if is_linear(module) and name not in gone_names]
    return Quantised(replace(scheme, kept=tuple(kept)), errors, left)


def refuse_nothing(model: TaskModel, scheme: Scheme) -> list[str]:
    """The layers that can be kept as ``scheme`` says, by their dotted names.

    :raises UserError: M065, bitsandbytes is absent; M066, there is none.
    """
    library()
    names = _quantisable(model, scheme.bits)
    if not names:
        widths = f" in {scheme.bits} bits: their inputs are no multiples of {BLOCK}" if scheme.bits == 4 else ""
        what = (
            f"the base, of type {model.network.config.model_type!r}, has no linear layers that could be kept{widths}."
        )
        raise UserError(Problem("M066", "quantisation.bits", what, "Use quantisation.bits=8, or method lora."))
    return names


def _quantisable(model: TaskModel, bits: int) -> list[str]:
    exact = list(getattr(model.network, "_keep_in_fp32_modules", None) or [])
    sizes = {name: size_of(model.network.get_submodule(name))[0] for name in linear_layers(model)}
    return [name for name, size in sizes.items() if not matches(name, exact) and (bits == 8 or size % BLOCK == 0)]


def mark(network: Any, bits: int | None) -> None:
    """Tell PEFT what it will find."""
    network.is_loaded_in_4bit = bits == 4
    network.is_loaded_in_8bit = bits == 8


def library() -> Any:
    """The modules of bitsandbytes.

    :raises UserError: M065, it is not installed.
    """
    try:
        import bitsandbytes
    except ImportError:
        what = "quantised weights need the library bitsandbytes, which is not installed."
        remedy = "Install it: pip install 'whet[quantised]'; or use method lora."
        raise UserError(Problem("M065", "method", what, remedy)) from None
    return bitsandbytes.nn


def _plain(layer: nn.Module) -> Tensor:
    """(outputs, inputs) the weight of a layer in full precision."""
    weight: Tensor = layer.weight.detach()  # type: ignore[operator]
    return weight.t() if turned(layer) else weight


def _quantised(layer: nn.Module, scheme: Scheme) -> Any:
    bnb = library()
    weight, bias = _plain(layer).contiguous(), layer.bias
    outputs, inputs = weight.shape
    with torch.device("meta"):
        if scheme.bits == 8:  # a threshold would let one row change how its neighbours are rounded
            found = bnb.Linear8bitLt(inputs, outputs, bias is not None, has_fp16_weights=False, threshold=0.0)
        else:
            found = bnb.Linear4bit(
                inputs, outputs, bias is not None, compress_statistics=scheme.double, quant_type=scheme.kind
            )
    if scheme.bits == 8:
        found.weight = bnb.Int8Params(weight.clone(), requires_grad=False, has_fp16_weights=False)
    else:
        found.weight = bnb.Params4bit(
            weight.clone(), requires_grad=False, compress_statistics=scheme.double, quant_type=scheme.kind, module=found
        )
    found.bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)  # type: ignore[operator]
    keep_plain(found)
    found.was_turned = turned(layer)
    return found.to(weight.device).train(layer.training)


def keep_plain(layer: Any) -> None:
    """Keep bitsandbytes from packing a 4-bit weight anew for a processor when it is only asked.

    Its packed product rounds otherwise than the one that was trained with, and takes some widths only.
    """
    layer.support_avx512bf16_for_cpu = False


def dequantised(layer: Any) -> Tensor:
    """(outputs, inputs) in fp32, what a quantised layer multiplies by."""
    from bitsandbytes import functional

    if hasattr(layer.weight, "quant_state"):
        found: Tensor = functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        return found.float()
    scale = layer.state.SCB if getattr(layer.weight, "SCB", None) is None else layer.weight.SCB
    rows: Tensor = layer.weight.data.float() * (scale.float() / 127.0)[:, None]
    return rows


def quantised_layers(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Every quantised layer of a network by its dotted name."""
    for name, module in list(network.named_modules()):
        if type(module).__name__ in LAYERS and hasattr(module, TURNED):
            yield name, module


def restore(model: TaskModel) -> None:
    """Layers in full precision again, with the weights that quantising left of them."""
    restore_layers(model.network)


def restore_layers(network: Any) -> None:
    """The same of a network."""
    from transformers.pytorch_utils import Conv1D

    for name, layer in quantised_layers(network):
        weight = dequantised(layer)
        plain: Any = (
            Conv1D(layer.out_features, layer.in_features)
            if layer.was_turned
            else nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        )
        plain.weight = nn.Parameter(weight.t().contiguous() if layer.was_turned else weight)
        if layer.bias is not None:
            plain.bias = nn.Parameter(layer.bias.detach().float().clone())
        network.set_submodule(name, plain.train(layer.training))
    mark(network, None)


def low_rank(matrix: Tensor, rank: int, scale: float) -> tuple[Tensor, Tensor]:
    """(rank, inputs) A and (outputs, rank) B with scale * B A as near to ``matrix`` as that rank allows.

    What LoftQ starts adapters from, in one pass (arXiv 2310.08659).
    """
    left, values, right = torch.linalg.svd(matrix.float(), full_matrices=False)
    root = (values[:rank] / scale).sqrt()
    return root[:, None] * right[:rank], left[:, :rank] * root


def finding(known: Mapping[str, Any], model: str) -> Finding:
    """E009 of what :meth:`Quantised.to_json` says."""
    layers: Mapping[str, Sequence[float]] = known["layers"]
    ordered = sorted(layers, key=lambda name: -layers[name][0])
    limit = LARGE_ERROR[int(known["scheme"]["bits"])]
    large = [name for name in ordered if layers[name][0] > limit]
    first = ordered[0]
    mean = float(known["mean_relative_error"])
    message = (
        f"{len(layers)} layers are kept in {known['words']}; they differ from the base's by {mean:.1%} on average, "
        f"most {first} ({layers[first][0]:.1%})."
    )
    if known.get("left"):
        message += (
            f" {known['left']} more stay as they are: their inputs are no multiples of {BLOCK}, or must be exact."
        )
    evidence = {
        "mean_relative_error": mean,
        "worst": {name: {"relative": layers[name][0], "largest": layers[name][1]} for name in ordered[:_WORST]},
        "above": len(large),
        "limit": limit,
    }
    if not large:
        return Finding("E009", "passed", message, model, "", evidence)
    more = f"{message} {len(large)} differ by more than {limit:.0%}."
    return Finding("E009", "tip", more, model, "Use quantisation.bits=8, or lora.start=loftq.", evidence)
