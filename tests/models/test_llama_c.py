from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from whet.errors import UserError
from whet.models.llama_c import FIRST_PIECE, HEADER, Sizes, convert, read_pieces, read_weights, tokenizer_of

CHECKPOINTS = Path(__file__).parents[2].parent / "shared" / "data" / "checkpoints"
SIZES = Sizes(8, 12, 2, 2, 1, 300, 16, True)


def written(folder: Path, tied: bool = True) -> tuple[Path, dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    sizes = Sizes(8, 12, 2, 2, 1, 300, 16, tied)
    tables = {name: rng.normal(size=shape).astype("<f4") for name, shape in sizes.tables()}
    path = folder / "model.bin"
    header = HEADER.pack(8, 12, 2, 2, 1, 300 if tied else -300, 16)
    path.write_bytes(header + b"".join(table.tobytes() for table in tables.values()))
    return path, tables


def pieces_file(folder: Path) -> Path:
    words = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{byte:02X}>" for byte in range(256))]
    words += [" a", "ab", " ab", "a", "b", " ", *(chr(0x4E00 + n) for n in range(300 - FIRST_PIECE - 6))]
    content = struct.pack("<i", 7)
    for number, word in enumerate(words):
        data = word.encode()
        content += struct.pack("<fi", float(FIRST_PIECE - number) if number >= FIRST_PIECE else 0.0, len(data)) + data
    path = folder / "tok.bin"
    path.write_bytes(content)
    return path


def turned(vector: np.ndarray, place: int) -> np.ndarray:
    """Rotary positions as llama2.c has them: neighbouring pairs."""
    found = vector.copy()
    for head in range(0, len(vector), 4):
        for pair in range(0, 4, 2):
            angle = place / 10000 ** (pair / 4)
            one, other = vector[head + pair], vector[head + pair + 1]
            found[head + pair] = one * np.cos(angle) - other * np.sin(angle)
            found[head + pair + 1] = one * np.sin(angle) + other * np.cos(angle)
    return found


def norm(vector: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return vector / np.sqrt((vector**2).mean() + 1e-5) * weight


def logits_by_hand(tables: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """As llama2.c computes them, one number after the other, in double precision."""
    keys: list[list[np.ndarray]] = [[] for _ in range(2)]
    values: list[list[np.ndarray]] = [[] for _ in range(2)]
    t = {name: table.astype(float) for name, table in tables.items()}
    found = []
    for place, token in enumerate(ids):
        x = t["embedding"][token]
        for layer in range(2):
            y = norm(x, t["input_layernorm"][layer])
            query = turned(t["self_attn.q_proj"][layer] @ y, place)
            keys[layer].append(turned(t["self_attn.k_proj"][layer] @ y, place))
            values[layer].append(t["self_attn.v_proj"][layer] @ y)
            mixed = []
            for head in range(2):
                scores = np.asarray([query[4 * head : 4 * head + 4] @ key for key in keys[layer]]) / 2.0
                weights = np.exp(scores - scores.max())
                mixed.append(np.tensordot(weights / weights.sum(), np.asarray(values[layer]), 1))
            x = x + t["self_attn.o_proj"][layer] @ np.concatenate(mixed)
            y = norm(x, t["post_attention_layernorm"][layer])
            gate = t["mlp.gate_proj"][layer] @ y
            x = x + t["mlp.down_proj"][layer] @ (gate / (1 + np.exp(-gate)) * (t["mlp.up_proj"][layer] @ y))
        found.append(t.get("lm_head", t["embedding"]) @ norm(x, t["norm"]))
    return np.asarray(found)


@pytest.mark.parametrize("tied", [True, False])
def test_it_says_what_llama_c_computes(tmp_path: Path, tied: bool) -> None:
    from transformers import AutoModelForCausalLM

    path, tables = written(tmp_path, tied)
    assert convert(path, pieces_file(tmp_path), tmp_path / "out") == sum(
        table.size for name, table in tables.items() if name != "unused"
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    ids = [1, 5, 270, 33, 270, 8]
    with torch.no_grad():
        said = model(torch.tensor([ids])).logits[0].numpy()
    np.testing.assert_allclose(said, logits_by_hand(tables, ids), rtol=1e-3, atol=1e-3)


def test_pieces_are_joined_by_their_scores_and_bytes_are_fallen_back_on(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(read_pieces(pieces_file(tmp_path), 300), 16)
    first = FIRST_PIECE
    assert tokenizer("ab a").input_ids == [1, first + 2, first]
    assert tokenizer("é").input_ids == [1, first + 5, 0xC3 + 3, 0xA9 + 3]
    for text in ("ab a", "é", "b  b", "一 ab"):
        assert tokenizer.decode(tokenizer(text).input_ids[1:]) == text


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path, _ = written(tmp_path)
    whole = path.read_bytes()
    for content, word in ((whole[:-4], "asks for"), (whole[:10], "less than a header"), (b"\0" * 28, "no sense")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=word):
            read_weights(path)
    with pytest.raises(UserError, match="M060"):
        read_pieces(tmp_path / "absent.bin", 300)
    with pytest.raises(UserError, match="is not a tokenizer"):
        read_pieces(pieces_file(tmp_path), 301)


@pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="the checkpoints are not beside the project")
def test_a_real_checkpoint_tells_a_story(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = CHECKPOINTS / "stories260K"
    convert(folder / "stories260K.bin", folder / "tok512.bin", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    found = model.generate(torch.tensor([[1]]), max_new_tokens=40, do_sample=False)
    said = tokenizer.decode(found[0], skip_special_tokens=True)
    assert said.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    )
