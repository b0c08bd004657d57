"""Decoders and encoder-decoders with random weights, and prompts for them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

VOCABULARY, POSITIONS, EOS = 61, 64, 3
_USUAL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": POSITIONS,
}
_GROUPED = {**_USUAL, "num_key_value_heads": 2, "head_dim": 4}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS},
    "llama": _GROUPED,
    "qwen2": _GROUPED,
    "qwen3": _GROUPED,
    "gpt_neox": _USUAL,
    "opt": {**_USUAL, "ffn_dim": 24, "word_embed_proj_dim": 16},
    "gemma": _GROUPED,
    "phi": _USUAL,
    "mistral": {**_GROUPED, "sliding_window": 5},
    "gemma2": {**_GROUPED, "sliding_window": 5, "query_pre_attn_scalar": 4},
}
"""The last two see some tokens back only, in all layers or in some."""


@cache
def network(family: str) -> Any:
    """Weights so wide apart that hardly any two tokens are equally likely."""
    from transformers import AutoConfig, AutoModelForCausalLM

    words = {"vocab_size": VOCABULARY, "pad_token_id": 1, "bos_token_id": 2, "eos_token_id": EOS}
    words["tie_word_embeddings"] = False  # tied at random, each token would be followed by itself
    torch.manual_seed(11)
    found = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **words, **SHAPES[family]))
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.5)
            elif "norm" not in name.lower() and "ln_" not in name:
                parameter.normal_(0.0, 0.2)
    return found.eval()


_HALVES = {
    "d_model": 16,
    **{f"{half}_layers": 2 for half in ("encoder", "decoder")},
    **{f"{half}_attention_heads": 4 for half in ("encoder", "decoder")},
    **{f"{half}_ffn_dim": 24 for half in ("encoder", "decoder")},
    "max_position_embeddings": POSITIONS,
    "bos_token_id": 2,
    "forced_eos_token_id": None,
}
_BY_DISTANCE = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
CODE = 4
"""A word that stands for a language."""
WRITERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "t5": (_BY_DISTANCE, [1]),
    "mt5": (_BY_DISTANCE, [1]),
    "bart": (_HALVES, [EOS, 2]),
    "mbart": (_HALVES, [CODE]),
    "marian": ({**_HALVES, "decoder_vocab_size": VOCABULARY}, [1]),
    "m2m_100": (_HALVES, [EOS, CODE]),
}
"""Encoder-decoders: the shape of each, and what its answers begin with."""


@cache
def writer(family: str) -> Any:
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    shape, begins = WRITERS[family]
    words = {"vocab_size": VOCABULARY, "pad_token_id": 1, "eos_token_id": EOS, "decoder_start_token_id": begins[0]}
    torch.manual_seed(11)
    found = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(family, **words, **shape))
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if parameter.ndim > 1 and parameter.requires_grad:
                parameter.normal_(0.0, 0.5)
            elif "norm" not in name.lower() and parameter.requires_grad:
                parameter.normal_(0.0, 0.2)
        if hasattr(found, "final_logits_bias"):
            found.final_logits_bias.normal_(0.0, 0.5)
    return found.eval()


def begins(family: str) -> NDArray[np.int64]:
    return np.asarray(WRITERS[family][1], np.int64)


@cache
def tokenizer() -> Any:
    """A word a token: 'w4' to 'w60' behind four special ones."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<unk>", "<pad>", "<s>", "</s>", *(f"w{number}" for number in range(4, VOCABULARY))]
    backend = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def prompts(count: int = 6, shared: int = 0, seed: int = 5) -> list[NDArray[np.int64]]:
    """Prompts of different lengths; the first ``shared`` tokens are the same."""
    draw = np.random.default_rng(seed)
    start = draw.integers(4, VOCABULARY, shared)
    return [
        np.concatenate([start, draw.integers(4, VOCABULARY, int(size))]).astype(np.int64)
        for size in draw.integers(2, 12, count)
    ]
