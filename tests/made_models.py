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
"""Enough for what does not depend on the family."""
ENCODERS = (*BERT_LIKE, "xlm-roberta", "albert", "mpnet", "deberta-v2", "modernbert", "xlnet", "t5")
DECODERS = ("llama", "mistral", "qwen2", "qwen3", "gpt2")
MORE_DECODERS = ("gpt_neox", "opt", "gemma", "gemma2", "gemma3_text", "phi", "phi3")
CAUSAL = (*DECODERS, *MORE_DECODERS)
"""Language models that say the next token."""
MASKED = (*BERT_LIKE, "xlm-roberta", "albert", "mpnet", "deberta-v2", "modernbert")
"""Language models that say hidden tokens."""
WRITERS = ("t5", "mt5", "bart", "mbart", "marian", "m2m_100")
"""Encoder-decoders: language models that read a source and write a target."""
WINDOW = 4
"""How far local attention sees here, to one side: less than the texts of the tests are long."""
UNLISTED = "roformer"
"""A family that the table does not know: trained padded, through its own classifier."""


def tokenizer(family: str = "bert") -> Any:
    """A fast word-level tokenizer with the special tokens that the family frames its texts with."""
    if family == "qwen2":  # transformers takes its own class for this family, whatever the folder says
        return _byte_level()
    if family == "mbart":
        return many_languages("MBartTokenizer")
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
        padding_side="left" if family == "xlnet" else "right",
        **({"extra_special_tokens": specials[4:]} if len(specials) > 4 else {}),
    )


def _byte_level() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer

    specials = ["<unk>", "<pad>", "<s>", "</s>"]
    vocabulary = {word: number for number, word in enumerate([*specials, *sorted(ByteLevel.alphabet())])}
    return Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[],
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=POSITIONS - 2,
    )


def many_languages(name: str) -> Any:
    """A real tokenizer class of transformers whose texts carry codes of their languages; its words are whole ones."""
    import transformers

    pieces = [(f"\u2581{word}", -4.0) for word in dict.fromkeys(WORDS)]
    codes = [(code, 0.0) for code in transformers.models.mbart.tokenization_mbart.FAIRSEQ_LANGUAGE_CODES]
    usual = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -6.0)]
    vocabulary = [*usual, *pieces, *codes, ("<mask>", 0.0)]
    return getattr(transformers, name)(vocab=vocabulary, src_lang="en_XX", model_max_length=POSITIONS - 2)


_TYPED = ("bert", "electra", "albert", "xlnet", "roformer")
_BERT_FRAME = (["<pad>", "<unk>", "[CLS]", "[SEP]"], "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
_ROBERTA_FRAME = (["<unk>", "<pad>", "<s>", "</s>"], "<s> $A </s>", "<s> $A </s> </s> $B </s>")
_LLAMA_FRAME = (["<unk>", "<pad>", "<s>", "</s>"], "<s> $A", "<s> $A $B:1")
_CODED_FRAME = (["<unk>", "<pad>", "<s>", "</s>", "__en__", "__de__"], "__en__ $A </s>", "__en__ $A $B:1 </s>:1")
_ENDED_FRAME = (["<pad>", "<unk>", "<s>", "</s>"], "$A </s>", "$A </s> $B:1 </s>:1")
_UNFRAMED = (["<unk>", "<pad>", "<s>", "</s>"], "", "")
_FRAMES: dict[str, tuple[list[str], str, str]] = {
    **dict.fromkeys(("bert", "electra", "albert", "distilbert", "deberta-v2", "modernbert", "roformer"), _BERT_FRAME),
    **dict.fromkeys(("roberta", "xlm-roberta", "mpnet"), _ROBERTA_FRAME),
    **dict.fromkeys(("llama", "mistral", "opt", "gemma", "gemma2", "gemma3_text", "phi3"), _LLAMA_FRAME),
    **dict.fromkeys(("unframed", "qwen3", "gpt2", "gpt_neox", "phi"), _UNFRAMED),  # nothing is put around a text
    "xlnet": (["<pad>", "<unk>", "<cls>", "<sep>"], "$A <sep> <cls>:2", "$A <sep> $B:1 <sep>:1 <cls>:2"),
    **dict.fromkeys(("t5", "mt5", "marian"), _ENDED_FRAME),
    "bart": _ROBERTA_FRAME,
    "m2m_100": _CODED_FRAME,
}


def config(family: str, vocabulary_size: int, pad_id: int, width: int = WIDTH) -> Any:
    """A tiny configuration with dropout as in the originals."""
    from transformers import AutoConfig

    words = {"vocab_size": vocabulary_size, "pad_token_id": pad_id}
    usual = {
        "hidden_size": width,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
    }
    grouped = {**usual, "num_key_value_heads": HEADS // 2, "bos_token_id": 2, "eos_token_id": 3}
    of_roberta = {**usual, "type_vocab_size": 1, "bos_token_id": 2, "eos_token_id": 3}
    of_gemma = {  # the first layer sees its neighbours, the second everything
        "head_dim": width // HEADS,
        "query_pre_attn_scalar": 8,
        "sliding_window": WINDOW + 1,
        "layer_types": ["sliding_attention", "full_attention"],
    }
    of_t5 = {
        "d_model": width,
        "d_kv": width // HEADS,
        "d_ff": INNER,
        "num_layers": LAYERS,
        "num_heads": HEADS,
        "eos_token_id": 3,
        "decoder_start_token_id": pad_id,
    }
    halves = {
        "d_model": width,
        **{f"{half}_layers": LAYERS for half in ("encoder", "decoder")},
        **{f"{half}_attention_heads": HEADS for half in ("encoder", "decoder")},
        **{f"{half}_ffn_dim": INNER for half in ("encoder", "decoder")},
        "max_position_embeddings": POSITIONS,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "decoder_start_token_id": 3,
        "forced_eos_token_id": 3,
    }
    of_mbart = {"bos_token_id": 0, "eos_token_id": 2, "forced_eos_token_id": 2, "decoder_start_token_id": None}
    own: dict[str, dict[str, Any]] = {
        "distilbert": {
            "dim": width,
            "n_layers": LAYERS,
            "n_heads": HEADS,
            "hidden_dim": INNER,
            "max_position_embeddings": POSITIONS,
        },
        "roberta": of_roberta,
        "xlm-roberta": of_roberta,
        "mpnet": {**usual, "bos_token_id": 2, "eos_token_id": 3},
        "electra": {**usual, "embedding_size": width // 2},
        "albert": {**usual, "embedding_size": width // 2},
        "roformer": {**usual, "embedding_size": width},
        "deberta-v2": {  # as version 3
            **usual,
            "relative_attention": True,
            "position_biased_input": False,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "type_vocab_size": 0,
        },
        "modernbert": {  # the first layer sees everything, the second its neighbours
            **usual,
            "local_attention": 2 * WINDOW,
            "global_attn_every_n_layers": 2,
            "classifier_pooling": "mean",
            "bos_token_id": 2,
            "eos_token_id": 3,
            "cls_token_id": 2,
            "sep_token_id": 3,
        },
        "xlnet": {"d_model": width, "n_layer": LAYERS, "n_head": HEADS, "d_inner": INNER},
        "t5": of_t5,
        "mt5": of_t5,
        "bart": halves,
        "mbart": {**halves, **of_mbart},
        "marian": {**halves, "decoder_start_token_id": pad_id, "decoder_vocab_size": vocabulary_size},
        "m2m_100": halves,
        "llama": grouped,
        "mistral": {**grouped, "sliding_window": WINDOW + 1},
        "qwen2": {**grouped, "use_sliding_window": True, "sliding_window": WINDOW + 1, "max_window_layers": 1},
        "qwen3": {**grouped, "head_dim": width // HEADS},
        "gpt2": {
            "n_embd": width,
            "n_layer": LAYERS,
            "n_head": HEADS,
            "n_inner": INNER,
            "n_positions": POSITIONS,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
        "gpt_neox": {**usual, "hidden_dropout": 0.1, "attention_dropout": 0.1, "bos_token_id": 2, "eos_token_id": 3},
        "opt": {
            **usual,
            "ffn_dim": INNER,
            "word_embed_proj_dim": width // 2,
            "bos_token_id": 2,
            "eos_token_id": 3,
        },
        "gemma": {**grouped, "head_dim": width // HEADS},
        "gemma2": {**grouped, **of_gemma, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
        "gemma3_text": {**grouped, **of_gemma},
        "phi": {**usual, "bos_token_id": 2, "eos_token_id": 3},
        "phi3": {**grouped, "sliding_window": WINDOW + 1},
    }
    return AutoConfig.for_model(family, **words, **own.get(family, usual))


def make_base(
    folder: Path,
    family: str,
    pooling: dict[str, bool] | None = None,
    pooler: bool = True,
    width: int = WIDTH,
    language: bool = False,
    **settings: Any,
) -> Path:
    """Write a pretrained model of ``family`` with its tokenizer to ``folder``.

    :param pooling: settings of a sentence-transformers pooling module, for a base that declares one.
    :param pooler: False leaves out the pooler, as a masked language model's checkpoint does.
    :param language: with the architecture's own language head.
    :param settings: of the configuration, beside those of :func:`config`.
    """
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

    words = tokenizer(family)
    torch.manual_seed(7)
    more = {} if pooler or family not in ("bert", "roberta") else {"add_pooling_layer": False}
    known = config(family, len(words), words.pad_token_id, width)
    known.update(settings)
    head = AutoModelForMaskedLM if family in (*MASKED, UNLISTED) else AutoModelForCausalLM
    head = AutoModelForSeq2SeqLM if family in WRITERS else head
    model = head.from_config(known) if language else AutoModel.from_config(known, **more)
    with torch.no_grad():  # the usual 0.02 would make every text look alike
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.4)
            elif "norm" not in name.lower() and "ln_" not in name:
                parameter.normal_(0.0, 0.1)
        for name, buffer in model.named_buffers():
            if name == "final_logits_bias":  # which few checkpoints use, and none may lose
                buffer.normal_(0.0, 0.3)
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
