"""Tokenizers of several kinds and rows of questions, made on the spot."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.made_models import tokenizer
from whet.data.forms import Examples, Shape
from whet.data.questions import ANSWERS

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

CORPUS = [
    "where is my card the order has not arrived yet please help",
    "The Amazon rainforest covers 7,000,000 square kilometres of South America.",
    "Übergröße, naïve café: l'été dernier — 東京都 и Москва 🏛 123",
]
SPECIALS = ["<pad>", "<unk>", "<s>", "</s>"]


@cache
def made_tokenizer(kind: str) -> Any:
    """'words', 'wordpiece' (lower case, no accents), 'bytes' (trimmed places, RoBERTa's frame), 'bare bytes'
    (places with the space, no frame), 'metaspace' (a frame at the end, as T5), 'last' (CLS at the end, as XLNet).
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "words":
        return tokenizer("bert")
    special = dict(zip(SPECIALS, range(4), strict=True))
    if kind == "wordpiece":
        backend = Tokenizer(models.WordPiece(unk_token="<unk>", max_input_chars_per_word=20))
        backend.normalizer = normalizers.BertNormalizer()
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIALS, show_progress=False)
        frame: Any = processors.BertProcessing(("</s>", 3), ("<s>", 2))
    elif kind in ("bytes", "bare bytes"):
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=330, special_tokens=SPECIALS, initial_alphabet=alphabet, show_progress=False
        )
        frame = processors.ByteLevel(trim_offsets=False)
        if kind == "bytes":
            frame = processors.RobertaProcessing(("</s>", 3), ("<s>", 2), trim_offsets=True, add_prefix_space=False)
    else:
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=120, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False
        )
        pair = "$A </s> $B </s>" if kind == "metaspace" else "$A </s> $B:1 </s>:1 <s>:2"
        frame = processors.TemplateProcessing(single="$A </s>", pair=pair, special_tokens=list(special.items()))
    backend.train_from_iterator(CORPUS, trainer)
    backend.post_processor = frame
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


MADE = ("words", "wordpiece", "bytes", "bare bytes", "metaspace", "last")


@cache
def shared_tokenizer(name: str) -> Any:
    """A published vocabulary; skips where the shared folder is absent."""
    folder = SHARED / "tokenizers" / name
    if not folder.is_dir():
        pytest.skip(f"the tokenizer {name} is not here ({folder})")
    from transformers import BertTokenizerFast, GPT2TokenizerFast

    if name == "bert-base-cased":
        return BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=False)
    if name == "gpt2":
        return GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    return _t5(folder / "spiece.model")


def _t5(path: Path) -> Any:
    """T5's vocabulary, read without the sentencepiece package: pieces with scores, and the character map."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces: list[tuple[str, float]] = []
    character_map = b""
    for number, value in _fields(path.read_bytes()):
        parts = dict(_fields(value)) if number in (1, 3) else {}
        if number == 1:
            pieces.append((parts[1].decode(), struct.unpack("<f", parts[2])[0]))
        elif number == 3:
            character_map = parts[2]
    backend = Tokenizer(models.Unigram(pieces, unk_id=2))
    backend.normalizer = normalizers.Precompiled(character_map)
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    frame = {"single": "$A </s>", "pair": "$A </s> $B </s>", "special_tokens": [("</s>", 1)]}
    backend.post_processor = processors.TemplateProcessing(**frame)
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: number, and bytes or a whole number."""
    at = 0

    def whole() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        number, kind = divmod(whole(), 8)
        if kind == 0:
            yield number, whole()
            continue
        size = {1: 8, 5: 4}[kind] if kind != 2 else whole()
        yield number, data[at : at + size]
        at += size


def examples_of(rows: Sequence[tuple[str, str, Sequence[tuple[int, int]]]], labelled: bool = True) -> Examples:
    """Rows of (question, context, spans of answers) in memory."""
    columns: dict[str, list[Any]] = {
        "text": [question for question, _, _ in rows],
        "text_pair": [context for _, context, _ in rows],
    }
    shape = Shape((("text_pair", pa.string()),))
    if labelled:
        shape = shape.having("answers", ANSWERS)
        columns["answers"] = [
            [{"start": start, "text": context[start:end]} for start, end in spans] for _, context, spans in rows
        ]
    return Examples.of(columns, shape, "test")


def columns_of(examples: Examples) -> list[dict[str, list[Any]]]:
    """Blocks for encoding."""
    return list(examples.column_blocks(["text", "text_pair"]))
