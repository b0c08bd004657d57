"""Pretrained models made on the spot: two layers, some fifty words, weights drawn from a seed.

Each family's folder is what ``save_pretrained`` writes, so that the code under test loads it as it
loads any base from disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

_SENTENCES = """
where is my card the order has not arrived yet please help i want a refund for this item it was broken
when it came how do i change my password account and cancel why was i charged twice no one answers phone thank you
"""
WORDS = _SENTENCES.split()
WIDTH, HEADS, LAYERS, INNER = 16, 4, 2, 24
POSITIONS = 40
"""Fewer than the tokens of a flat batch in these tests: only sequences must fit, not the batch."""
BERT_LIKE = ("bert", "roberta", "distilbert", "electra")
FAMILIES = (*BERT_LIKE, "llama")
UNLISTED = "albert"
"""A family that the table does not know: trained padded, through its own classifier."""


def tokenizer(family: str = "bert") -> Any:
    """A fast word-level tokenizer with the special tokens that the family frames its texts with."""
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    specials, single, pair = _FRAMES[family]
    vocabulary = {word: number for number, word in enumerate([*specials, *dict.fromkeys(WORDS)])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    if single:
        framing = [(word, vocabulary[word]) for word in specials if word in single]
        backend.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=framing)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token=specials[2],
        eos_token=specials[3],
        model_input_names=["input_ids", "attention_mask", *(["token_type_ids"] if family in _TYPED else [])],
        model_max_length=POSITIONS - 2,
    )


_TYPED = ("bert", "electra", "albert")
_BERT_FRAME = (["<pad>", "<unk>", "[CLS]", "[SEP]"], "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
_FRAMES: dict[str, tuple[list[str], str, str]] = {
    "bert": _BERT_FRAME,
    "electra": _BERT_FRAME,
    "albert": _BERT_FRAME,
    "distilbert": _BERT_FRAME,
    "roberta": (["<unk>", "<pad>", "<s>", "</s>"], "<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "llama": (["<unk>", "<pad>", "<s>", "</s>"], "<s> $A", "<s> $A $B:1"),
    "unframed": (["<unk>", "<pad>", "<s>", "</s>"], "", ""),  # as Qwen's: nothing is put around a text
}


def config(family: str, vocabulary_size: int, pad_id: int) -> Any:
    """A tiny configuration with dropout as in the originals."""
    from transformers import (
        AlbertConfig,
        BertConfig,
        DistilBertConfig,
        ElectraConfig,
        LlamaConfig,
        RobertaConfig,
    )

    usual = {
        "vocab_size": vocabulary_size,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": pad_id,
    }
    if family == "distilbert":
        return DistilBertConfig(
            vocab_size=vocabulary_size,
            dim=WIDTH,
            n_layers=LAYERS,
            n_heads=HEADS,
            hidden_dim=INNER,
            max_position_embeddings=POSITIONS,
            pad_token_id=pad_id,
        )
    if family == "llama":
        return LlamaConfig(**usual, num_key_value_heads=HEADS // 2, bos_token_id=2, eos_token_id=3)
    if family == "albert":
        return AlbertConfig(**usual, embedding_size=WIDTH // 2)
    if family == "electra":
        return ElectraConfig(**usual, embedding_size=WIDTH // 2)
    if family == "roberta":
        return RobertaConfig(**usual, type_vocab_size=1, bos_token_id=2, eos_token_id=3)
    return BertConfig(**usual)


def make_base(folder: Path, family: str, pooling: dict[str, bool] | None = None, pooler: bool = True) -> Path:
    """Write a pretrained model of ``family`` with its tokenizer to ``folder``.

    :param pooling: settings of a sentence-transformers pooling module, for a base that declares one.
    :param pooler: False leaves out the pooler, as a masked language model's checkpoint does.
    """
    from transformers import AutoModel

    words = tokenizer(family)
    torch.manual_seed(7)
    more = {} if pooler or family not in ("bert", "roberta") else {"add_pooling_layer": False}
    model = AutoModel.from_config(config(family, len(words), words.pad_token_id), **more)
    with torch.no_grad():  # the usual 0.02 would make every text look alike
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.4)
            elif "norm" not in name.lower():
                parameter.normal_(0.0, 0.1)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    if pooling is not None:
        declare_pooling(folder, pooling)
    return folder


def declare_pooling(folder: Path, settings: dict[str, Any]) -> None:
    """Make ``folder`` one of sentence-transformers, with ``settings`` of its pooling."""
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(settings), encoding="utf-8")
