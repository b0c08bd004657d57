"""Checkpoints of llama2.c (``.bin``, version 0) as folders that transformers loads.

The file: seven little-endian int32 (width, inner width, layers, heads, key heads, vocabulary, positions; a
negative vocabulary says that the last layer is not tied to the embeddings), then float32 tables in a fixed
order. Its rotary positions turn neighbouring pairs of numbers, those of transformers turn the two halves of a
head, so the rows of queries and keys change places. The tokenizer beside it: the longest piece, then a score,
a length and the bytes of each piece of a SentencePiece model with bytes to fall back on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.errors import Problem, UserError
from whet.files import folder_beside

HEADER = struct.Struct("<7i")
SPECIAL = ("<unk>", "<s>", "</s>")
BLANK = "\u2581"
"""How SentencePiece writes a blank."""
FIRST_PIECE = 3 + 256
"""Behind the special tokens and a token for every byte."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The header."""

    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    positions: int
    tied: bool

    @property
    def head_width(self) -> int:
        """Numbers in a head."""
        return self.width // self.heads

    def tables(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every table, in the order of the file."""
        layers, width = self.layers, self.width
        keys = self.key_heads * self.head_width
        yield "embedding", (self.vocabulary, width)
        yield "input_layernorm", (layers, width)
        yield "self_attn.q_proj", (layers, width, width)
        yield "self_attn.k_proj", (layers, keys, width)
        yield "self_attn.v_proj", (layers, keys, width)
        yield "self_attn.o_proj", (layers, width, width)
        yield "post_attention_layernorm", (layers, width)
        yield "mlp.gate_proj", (layers, self.inner, width)
        yield "mlp.down_proj", (layers, width, self.inner)
        yield "mlp.up_proj", (layers, self.inner, width)
        yield "norm", (width,)
        yield "unused", (2, self.positions, self.head_width // 2)
        if not self.tied:
            yield "lm_head", (self.vocabulary, width)


def convert(weights: Path, pieces: Path, into: Path) -> int:
    """Write a Llama folder with its tokenizer; returns the number of weights.

    :raises UserError: M060, a file is missing or is not of this form.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes, state = read_weights(weights)
    tokenizer = tokenizer_of(read_pieces(pieces, sizes.vocabulary), sizes.positions)
    known = LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.key_heads,
        max_position_embeddings=sizes.positions,
        rms_norm_eps=1e-5,
        tie_word_embeddings=sizes.tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(known)
    model.load_state_dict(state, strict=not sizes.tied)
    model.tie_weights()
    with folder_beside(into) as inside:
        model.save_pretrained(inside)
        tokenizer.save_pretrained(inside)
    return sum(table.numel() for table in state.values())


def read_weights(path: Path) -> tuple[Sizes, dict[str, Tensor]]:
    """The header, and the weights under the names of transformers.

    :raises UserError: M060.
    """
    content = _content(path)
    if len(content) < HEADER.size:
        raise _malformed(path, f"has {len(content)} bytes, less than a header")
    numbers = HEADER.unpack_from(content)
    width, inner, layers, heads, key_heads, vocabulary, positions = numbers
    if min(width, inner, layers, heads, key_heads, abs(vocabulary), positions) <= 0 or width % heads:
        raise _malformed(path, f"has a header that makes no sense: {numbers}")
    sizes = Sizes(width, inner, layers, heads, key_heads, abs(vocabulary), positions, vocabulary > 0)
    wanted = HEADER.size + 4 * sum(int(np.prod(shape)) for _, shape in sizes.tables())
    if len(content) != wanted:
        raise _malformed(path, f"has {len(content):,} bytes where its header asks for {wanted:,}")
    state: dict[str, Tensor] = {}
    place = HEADER.size
    for name, shape in sizes.tables():
        count = int(np.prod(shape))
        table = torch.from_numpy(np.frombuffer(content, "<f4", count, place).reshape(shape).copy())
        place += 4 * count
        state |= _named(name, table, sizes)
    return sizes, state


def _named(name: str, table: Tensor, sizes: Sizes) -> dict[str, Tensor]:
    if name == "unused":
        return {}
    if name == "embedding":
        return {"model.embed_tokens.weight": table}
    if name in ("norm", "lm_head"):
        return {f"{'model.' if name == 'norm' else ''}{name}.weight": table}
    if name.endswith(("q_proj", "k_proj")):
        table = torch.stack([_halves(one, sizes.head_width) for one in table])
    return {f"model.layers.{number}.{name}.weight": one for number, one in enumerate(table)}


def _halves(table: Tensor, head_width: int) -> Tensor:
    """Rows of neighbouring pairs as rows of two halves, head by head."""
    rows, width = table.shape
    return table.view(rows // head_width, head_width // 2, 2, width).transpose(1, 2).reshape(rows, width)


def read_pieces(path: Path, count: int) -> list[tuple[str, float]]:
    """Piece and score of each of ``count`` tokens; blanks as SentencePiece writes them.

    :raises UserError: M060.
    """
    content, place, found = _content(path), 4, []
    try:
        for _ in range(count):
            score, length = struct.unpack_from("<fi", content, place)
            piece = content[place + 8 : place + 8 + length]
            if length < 0 or len(piece) != length:
                raise ValueError
            place += 8 + length
            found.append((piece.decode("utf-8").replace(" ", BLANK), score))
    except (struct.error, ValueError):
        raise _malformed(path, f"is not a tokenizer of {count:,} pieces") from None
    if place != len(content):
        raise _malformed(path, f"holds more than the {count:,} pieces of the checkpoint")
    return found


def tokenizer_of(pieces: Sequence[tuple[str, float]], positions: int) -> Any:
    """The fast tokenizer: pairs of pieces are joined in the order of the score of what they become."""
    from tokenizers import Tokenizer, decoders, normalizers, processors
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *(piece for piece, _ in pieces[FIRST_PIECE:])]
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = []
    for piece, score in pieces[FIRST_PIECE:]:
        parts = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        merges += [(score, one, other) for one, other in parts if one in vocabulary and other in vocabulary]
    merges.sort(key=lambda merge: (-merge[0], vocabulary[merge[1]], vocabulary[merge[2]]))
    pairs = [(one, other) for _, one, other in merges]
    backend = Tokenizer(BPE(vocabulary, pairs, unk_token=SPECIAL[0], byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    backend.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        **dict(zip(("unk_token", "bos_token", "eos_token"), SPECIAL, strict=True)),
        pad_token=SPECIAL[2],
        model_max_length=positions,
        model_input_names=["input_ids", "attention_mask"],
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(Problem("M060", str(path), f"cannot be read: {error.strerror}.")) from None


def _malformed(path: Path, what: str) -> UserError:
    remedy = "Give a version 0 checkpoint of llama2.c and its tokenizer."
    return UserError(Problem("M060", str(path), f"{what}.", remedy))
