"""A whole model in 4 or 8 bits: rounded as it is, written by transformers' own ``save_pretrained``, and read again.

Its files carry the rounded weights themselves and, in config.json, what transformers needs to read them
(``quantization_config``), so that whoever has bitsandbytes loads it as any other model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whet.models import quantising
from whet.models.linear_layers import is_linear
from whet.models.places import Place
from whet.models.quantising import Quantised, Scheme
from whet.models.task_model import TaskModel

CONFIG = "quantization_config"
"""Where a model's config.json says how its weights are kept."""
LIBRARY = "bitsandbytes"
"""What such a part is called of weights that can be read here."""


# --- as an entry of the table of adaptations -------------------------------------------------------------


def rounded(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> None:
    """Method quantised: nothing moves, and linear layers are kept in few bits (``model.quantised``).

    :raises UserError: M065, bitsandbytes is absent; M066, there is nothing to quantise.
    """
    model.requires_grad_(False)
    if any(parameter.is_meta for parameter in model.network.parameters()):
        quantising.refuse_nothing(model, Scheme.of(options))
        return
    model.quantised = quantising.quantise(model, Scheme.of(options))


# --- writing ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def declared(network: Any, scheme: Scheme | None) -> Iterator[None]:
    """Have ``save_pretrained`` write the quantised layers of ``network`` as they are; None: it has none.

    Layers that stay whole are named without the prefix of the class, so that every class of transformers that reads
    the files leaves them whole: the one with the head, and the bare model.
    """
    if scheme is None:
        yield
        return
    from transformers import BitsAndBytesConfig
    from transformers.quantizers.auto import AutoHfQuantizer

    prefix = f"{network.base_model_prefix}."
    whole = [name.removeprefix(prefix) for name, module in network.named_modules() if is_whole(module)]
    settings = BitsAndBytesConfig(**replace(scheme, kept=tuple(whole)).for_transformers())
    network.hf_quantizer = AutoHfQuantizer.from_config(settings, pre_quantized=False)
    network.config.quantization_config = settings
    quantising.mark(network, scheme.bits)
    try:
        yield
    finally:
        del network.config.quantization_config, network.hf_quantizer


def is_whole(module: nn.Module) -> bool:
    """Whether a module multiplies by a matrix in full precision."""
    return is_linear(module) and not hasattr(module, quantising.TURNED)


# --- reading ---------------------------------------------------------------------------------------------


def adopt(network: Any) -> None:
    """Make the quantised layers that transformers read compute as those that were rounded here."""
    for module in network.modules():
        if type(module).__name__ in quantising.LAYERS:
            quantising.keep_plain(module)
            setattr(module, quantising.TURNED, not issubclass(module.source_cls, nn.Linear))


def as_read(scheme: Mapping[str, Any]) -> Quantised:
    """What is known of a model whose files hold quantised weights: how they are kept, not how far they were rounded."""
    return Quantised(Scheme.from_json(scheme), (), left=0)


def unpack(network: Any) -> None:
    """Whole weights in the place of the quantised ones of a network that transformers read."""
    adopt(network)
    quantising.restore_layers(network)
    for name in (CONFIG, "_pre_quantization_dtype"):
        if hasattr(network.config, name):
            delattr(network.config, name)
    for name in ("hf_quantizer", "quantization_method", "is_quantized"):
        network.__dict__.pop(name, None)
    if hasattr(network, _CONVERSIONS):  # by which it was read, and would be written the other way round
        kept = [one for one in getattr(network, _CONVERSIONS) if not _of_bits(one)]
        setattr(network, _CONVERSIONS, kept)


_CONVERSIONS = "_weight_conversions"


def _of_bits(conversion: Any) -> bool:
    """Whether transformers reads quantised weights by it."""
    return any(type(one).__name__.startswith("Bnb") for one in getattr(conversion, "operations", ()))


def expect(config: Any, place: Place, cls: Any) -> None:
    """Have ``cls`` read the quantised files of ``place`` with ``config``: what they hold whole stays whole.

    Another class than the one that was saved has other names, and layers that the files know nothing of.
    """
    packed = names_in(place.folder)
    with torch.device("meta"):
        names = [name for name, module in cls.from_config(config).named_modules() if is_linear(module)]
    whole = [name for name in names if not any(name == one or _ends(name, one) or _ends(one, name) for one in packed)]
    config.quantization_config = {**place.config[CONFIG], "llm_int8_skip_modules": whole}


def _ends(name: str, end: str) -> bool:
    return name.endswith(f".{end}")


# --- of files, without loading them ----------------------------------------------------------------------


def packed_by(config: Mapping[str, Any]) -> str:
    """What library quantised the weights of a model with this config.json; empty where they are whole."""
    found = config.get(CONFIG)
    if not found:
        return ""
    method = str(found.get("quant_method", "some kind")) if isinstance(found, dict) else "some kind"
    is_ours = isinstance(found, dict) and (found.get("load_in_4bit") or found.get("load_in_8bit"))
    return LIBRARY if is_ours and method in (LIBRARY, "some kind") else method


_PARTS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".SCB", ".weight_format")
_STATE = ".quant_state.bitsandbytes__"


def stored_shapes(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Names and shapes of the weights in a file, of quantised ones as they are when they are whole."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        packed = {name.partition(_STATE)[0]: name for name in names if _STATE in name}
        for name in names:
            if name in packed:
                yield name, _shape_in(file.get_tensor(packed[name]))
            elif _STATE not in name and not name.endswith(_PARTS):
                yield name, file.get_slice(name).get_shape()


def _shape_in(state: torch.Tensor) -> list[int]:
    """The shape that a 4-bit weight has when it is whole, from the bytes of its state: JSON, as bitsandbytes writes."""
    import json

    return [int(size) for size in json.loads(bytes(state.tolist()))["shape"]]


def stored_in(folder: Path) -> torch.dtype | None:
    """The 16 bits in which all whole weights of a model's files lie; None where any has more, or they differ."""
    from safetensors import safe_open

    found = set[torch.dtype]()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            kinds = (file.get_slice(name).get_dtype() for name in file.keys())  # noqa: SIM118  (not a mapping)
            found |= {_HALVES.get(kind, torch.float32) for kind in kinds}
    return found.pop() if len(found) == 1 and not found & {torch.float32} else None


_HALVES = {"BF16": torch.bfloat16, "F16": torch.float16}
"""As safetensors calls them."""


def names_in(folder: Path) -> list[str]:
    """Dotted names of the layers whose weights lie quantised in the files of ``folder``."""
    from safetensors import safe_open

    found = set[str]()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                if _STATE in name:
                    found.add(name.partition(_STATE)[0].removesuffix(".weight"))
                elif name.endswith(".SCB"):
                    found.add(name.removesuffix(".SCB"))
    return sorted(found)
