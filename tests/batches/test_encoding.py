from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import WORDS, tokenizer
from whet.batches import encoding
from whet.batches.encoding import Cut, Encoded, encode
from whet.errors import UserError

BERT = tokenizer("bert")
TEXTS = ["where is my card", "", "i want a refund for this item it was broken when it came", "unheard"]
SECONDS = ["thank you", "why", "", "the order has not arrived yet please help"]
texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join), min_size=1, max_size=12)


def same(left: Encoded, right: Encoded) -> bool:
    return (
        left.cut == right.cut
        and np.array_equal(left.ids, right.ids)
        and np.array_equal(left.offsets, right.offsets)
        and np.array_equal(left.second, right.second)
    )


def test_tokens_are_those_of_the_tokenizer():
    found = encode(BERT, [(TEXTS, None)], 64, into=None)
    assert [found.row(i).tolist() for i in range(len(TEXTS))] == BERT(TEXTS)["input_ids"]
    assert found.lengths.tolist() == [6, 2, 15, 3]
    assert found.num_tokens == len(found.ids) == 26
    assert len(found) == 4
    assert found.second.tolist() == [-1] * 4
    assert found.cut == Cut(limit=64, rows=0, tokens_cut=0, tokens_total=26)


def test_pairs_know_where_the_second_text_begins():
    found = encode(BERT, [(TEXTS, SECONDS)], 64, into=None)
    expected = BERT(TEXTS, SECONDS)
    assert [found.row(i).tolist() for i in range(len(TEXTS))] == expected["input_ids"]
    assert found.second.tolist() == [types.index(1) for types in expected["token_type_ids"]]


def test_the_ledger_counts_what_the_limit_took():
    found = encode(BERT, [(TEXTS, None)], 8, into=None)
    assert found.cut == Cut(limit=8, rows=1, tokens_cut=7, tokens_total=26)
    counted = {"limit": 8, "rows": 1, "tokens_cut": 7, "tokens_total": 26, "answer_tokens_cut": 0}
    assert found.cut.to_json() == counted
    assert found.row(2).tolist() == BERT(TEXTS[2], truncation=True, max_length=8)["input_ids"]
    assert found.row(2)[-1] == BERT.convert_tokens_to_ids("[SEP]"), "the frame survives the cut"


def test_a_pair_loses_from_its_longer_text_first():
    found = encode(BERT, [([TEXTS[2]], ["thank you"])], 10, into=None)
    expected = BERT(TEXTS[2], "thank you", truncation="longest_first", max_length=10)["input_ids"]
    assert found.row(0).tolist() == expected
    assert BERT.decode(found.row(0)).endswith("thank you [SEP]")


def test_settings_of_the_tokenizer_itself_do_not_cut_or_pad():
    own = tokenizer("bert")
    own.backend_tokenizer.enable_truncation(3)
    own.backend_tokenizer.enable_padding(length=50)
    assert same(encode(own, [(TEXTS, None)], 64, None), encode(BERT, [(TEXTS, None)], 64, None))
    assert own.backend_tokenizer.truncation is not None, "and are left as they were"


@given(texts, st.integers(8, 20))
def test_rows_and_ledger_agree_with_the_tokenizer_for_any_texts(rows: list[str], limit: int):
    found = encode(BERT, [(rows, None)], limit, into=None)
    whole = [len(ids) for ids in BERT(rows)["input_ids"]]
    assert found.lengths.tolist() == [min(n, limit) for n in whole]
    assert found.cut.rows == sum(n > limit for n in whole)
    assert found.cut.tokens_cut == sum(max(0, n - limit) for n in whole)
    assert found.cut.tokens_total == sum(whole) == found.num_tokens + found.cut.tokens_cut
    assert found.used(len(BERT)).tolist() == sorted(set(found.ids.tolist()))


@pytest.mark.parametrize("pairs", [None, SECONDS], ids=["single", "pairs"])
def test_blocks_and_memory_mapping_change_nothing(tmp_path: Path, pairs: list[str] | None):
    whole = encode(BERT, [(TEXTS, pairs)], 8, into=None)
    heard: list[int] = []
    blocks = [(TEXTS[i : i + 3], pairs and pairs[i : i + 3]) for i in (0, 3)]
    mapped = encode(BERT, blocks, 8, into=tmp_path / "train", progress=heard.append)
    assert isinstance(mapped.ids, np.memmap)
    assert heard == [3, 4]
    assert same(mapped, whole)
    assert same(encoding.load(tmp_path / "train"), whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["train"]


def test_no_rows_at_all(tmp_path: Path):
    for into in (None, tmp_path / "none"):
        found = encode(BERT, [], 8, into=into)
        assert (len(found), found.num_tokens) == (0, 0)
        assert found.used(5).tolist() == []


def test_an_empty_text_has_a_token_even_where_nothing_frames_it():
    """Some decoders put nothing around a text; a sequence without tokens has no vector to classify."""
    bare = tokenizer("unframed")
    assert bare("")["input_ids"] == []
    found = encode(bare, [(["", "my card", " "], None)], 8, into=None)
    assert found.lengths.tolist() == [1, 2, 1]
    assert found.row(0).tolist() == [bare.eos_token_id]
    assert found.cut == Cut(8, 0, 0, 4)


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError("25 requested and 8 written")  # NumPy's words; it gives no error number

    monkeypatch.setattr(encoding, "_as_npy", full)
    with pytest.raises(UserError, match=r"F001 .*disk is full"):
        encode(BERT, [(TEXTS, None)], 8, into=tmp_path / "train")
    assert list(tmp_path.iterdir()) == []
