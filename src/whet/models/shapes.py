"""Models as shapes: built on the meta device from a configuration alone, without a single weight."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whet.errors import Problem, UserError
from whet.models import loading, networks
from whet.models.families import FAMILIES
from whet.models.heads import Head
from whet.models.networks import quiet
from whet.models.places import Place
from whet.models.rehearsal import META
from whet.models.task_model import TaskModel

_GPT3 = {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 2048}
_OPT = {"model_type": "opt", "vocab_size": 50272, "max_position_embeddings": 2048, "dropout": 0.1}
SHAPES: dict[str, dict[str, Any]] = {
    # arXiv 2005.14165, table 2.1; its learned positions and vocabulary are those of GPT-2
    "gpt3": {**_GPT3, "n_embd": 12288, "n_layer": 96, "n_head": 96},
    "gpt3-6.7b": {**_GPT3, "n_embd": 4096, "n_layer": 32, "n_head": 32},
    # arXiv 2205.01068, table 1
    "opt-175b": {**_OPT, "hidden_size": 12288, "num_hidden_layers": 96, "num_attention_heads": 96, "ffn_dim": 49152},
    "opt-66b": {**_OPT, "hidden_size": 9216, "num_hidden_layers": 64, "num_attention_heads": 72, "ffn_dim": 36864},
    "opt-6.7b": {**_OPT, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "ffn_dim": 16384},
    # arXiv 2307.09288 (7B, 70B); the shape of a small Llama as SmolLM 135M has it
    "llama2-7b": {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 4096,
    },
    "llama2-70b": {
        "model_type": "llama",
        "vocab_size": 32000,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "max_position_embeddings": 4096,
    },
    "llama-135m": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
    # arXiv 1810.04805
    "bert-base": {"model_type": "bert", "vocab_size": 30522},
    "bert-large": {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
"""Published shapes by name, as transformers writes configurations."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An architecture without weights: what it is called, and its configuration."""

    name: str
    config: Any

    @property
    def positions(self) -> int:
        """Most tokens of a sequence; 2,048 where the architecture sets no limit."""
        names = ("max_position_embeddings", "n_positions")
        found = next((getattr(self.config, name) for name in names if getattr(self.config, name, None)), 2048)
        return int(found)


def named(shape: str) -> Shape:
    """A shape by its name in :data:`SHAPES`, or of a config.json, alone or in a folder.

    :raises UserError: L001, neither a known name nor a file; L002, the file cannot be read as a configuration.
    """
    from transformers import AutoConfig

    path = Path(shape).expanduser()
    path = path / "config.json" if path.is_dir() else path
    if shape in SHAPES:
        values = dict(SHAPES[shape])
    elif path.is_file():
        try:
            values = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(Problem("L002", str(path), f"is no configuration: {error}.")) from None
    else:
        near = get_close_matches(shape, SHAPES, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        remedy = f"{hint}Name a config.json, or one of {', '.join(SHAPES)}."
        raise UserError(Problem("L001", f"shape {shape!r}", "is neither a file nor a known shape.", remedy))
    kind = values.pop("model_type", None)
    try:
        with quiet():
            return Shape(shape, AutoConfig.for_model(str(kind), **values))
    except (ValueError, TypeError, KeyError) as error:
        what = f"is no configuration that transformers knows: {str(error).splitlines()[0]}"
        raise UserError(Problem("L002", str(path), what, "Does it name its model_type?")) from None


def without_weights(config: Any, head: Head, place: Place, pad_id: int = 0) -> TaskModel:
    """A model of ``config`` with ``head`` in fp32 on the meta device: shapes, and no memory.

    :raises UserError: M008, the architecture cannot carry this head.
    """
    cls = networks.auto_class(config, head.kind, head.pooling is not None)
    if cls is None:
        raise UserError(networks.no_class(place, config, head.kind))
    family = FAMILIES.get(config.model_type)
    bare = family is not None and family.pooler and head.pooling is not None
    with quiet(), META:
        network = cls.from_config(config, dtype=torch.float32, **({"add_pooling_layer": False} if bare else {}))
        network.tie_weights()
        return loading.with_head(network, head, _Pad(pad_id), place)


@dataclass(frozen=True, slots=True)
class _Pad:
    """What a head asks of a tokenizer."""

    pad_token_id: int


def count(module: nn.Module) -> int:
    """Weights, each once however many names it has."""
    return sum(parameter.numel() for parameter in module.parameters())
