"""Tokenizers of every kind that the families use, made on the spot, and the real ones where they are.

Each is what transformers would hand over: a fast tokenizer with its normaliser, its way of parting words,
its model and its frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data" / "tokenizers"

_TEXTS = [
    "where is my card the order has not arrived yet please help",
    "I want a refund for this item, it was broken when it came!",
    "How do I change my pass-word? (account 42) at www.example.com",
    "naïve café Ünal Łódź ſtraße Ἀθῆναι Москва",
]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]


def _fast(backend: Any, frame: str = "<s> $A </s>") -> Any:
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    if frame:
        ids = [(word, backend.token_to_id(word)) for word in SPECIAL if word in frame]
        backend.post_processor = processors.TemplateProcessing(single=frame, special_tokens=ids)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def wordpiece(lower: bool = True) -> Any:
    """As BERT: control characters dropped, accents stripped, Han characters apart."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lower)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(
        _TEXTS, trainers.WordPieceTrainer(vocab_size=150, special_tokens=SPECIAL, show_progress=False)
    )
    return _fast(backend)


def byte_bpe(prefix: bool = False, frame: str = "<s> $A </s>") -> Any:
    """As RoBERTa and GPT-2: bytes, a blank belongs to the word behind it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(_TEXTS, trainer)
    return _fast(backend, frame)


def unigram(scheme: str = "always", split: bool = False, strip: bool = False, frame: str = "$A </s>") -> Any:
    """As XLM-R, ALBERT, T5, XLNet, DeBERTa v2: SentencePiece with a mark for the blank."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    backend = Tokenizer(models.Unigram())
    parts: list[Any] = [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    backend.normalizer = normalizers.Sequence([normalizers.Strip(), *parts] if strip else parts)
    mark = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), mark]) if split else mark
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    backend.train_from_iterator(_TEXTS, trainer)
    return _fast(backend, frame)


def byte_fallback() -> Any:
    """As Llama 2: the mark is put before a text by the normaliser, unknown characters become bytes."""
    from tokenizers import Tokenizer, models, normalizers

    letters = sorted({letter for text in _TEXTS for letter in text.replace(" ", "\u2581")})
    names = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *letters]
    vocabulary = {name: number for number, name in enumerate(names)}
    backend = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    return _fast(backend, "<s> $A")


def real_bert() -> Any:
    from transformers import BertTokenizerFast

    return BertTokenizerFast.from_pretrained(_real("bert-base-cased"), do_lower_case=False)


def real_gpt2() -> Any:
    from transformers import GPT2TokenizerFast

    return GPT2TokenizerFast.from_pretrained(_real("gpt2"))


def real_t5() -> Any:
    """The vocabulary and the character map of T5, read from its SentencePiece file."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pieces, charsmap = [], b""
    for field, value in _fields((_real("t5") / "spiece.model").read_bytes()):
        inside = dict(_fields(value)) if isinstance(value, bytes) else {}
        if field == 1:
            pieces.append((inside[1].decode(), struct.unpack("<f", inside[2])[0]))
        elif field == 3:
            charsmap = inside.get(2, b"")
    backend = Tokenizer(models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces[3:]], unk_id=2))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return _fast(backend, "$A </s>")


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: number and raw value."""
    place = 0

    def number() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            yield key >> 3, number()
        else:
            size = number() if kind == 2 else {1: 8, 5: 4}[kind]
            yield key >> 3, data[place : place + size]
            place += size


def _real(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"the real tokenizer {name} is not here")
    return SHARED / name


MAKERS: dict[str, Callable[[], Any]] = {
    "wordpiece": wordpiece,
    "wordpiece, cased": lambda: wordpiece(lower=False),
    "bytes": byte_bpe,
    "bytes, prefixed": lambda: byte_bpe(prefix=True),
    "bytes, unframed": lambda: byte_bpe(frame=""),
    "unigram": unigram,
    "unigram, first": lambda: unigram("first"),
    "unigram, never": lambda: unigram("never"),
    "unigram, parted": lambda: unigram(split=True),
    "unigram, stripped": lambda: unigram(strip=True),
    "unigram, framed behind": lambda: unigram(frame="$A </s> <s>"),
    "bpe, prepended": byte_fallback,
    "real bert": real_bert,
    "real gpt2": real_gpt2,
    "real t5": real_t5,
}
"""Kind -> how it is made."""


@cache
def made(kind: str) -> Any:
    """One of :data:`MAKERS`, made once."""
    return MAKERS[kind]()
