from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import WORDS, tokenizer
from whet.batches import encoding, flat
from whet.batches.tokenising import Reader
from whet.tasks.pair_encoding import encode_apart, encode_together, rows_of, text_keys

FIRSTS, SECONDS = ["where is my card", "why", "help"], ["thank you", "the order has not arrived yet", "refund"]
BLOCK = {"text": FIRSTS, "text_pair": SECONDS}


def read(found: encoding.Encoded, words: object) -> list[str]:
    return [words.decode(found.row(number)) for number in range(found.num_sequences)]


def test_units_of_two_texts():
    words = tokenizer()
    found = encode_apart(Reader(words, 20), [BLOCK], None)
    assert (found.parts, len(found), found.num_sequences, found.rows) == (2, 3, 6, None)
    expected = [text for pair in zip(FIRSTS, SECONDS, strict=True) for text in pair]
    assert read(found, words) == [f"[CLS] {text} [SEP]" for text in expected]
    assert (found.second == -1).all()


def test_each_sequence_is_that_of_plain_tokenising():
    words = tokenizer()
    found = encode_apart(Reader(words, 20), [BLOCK], None)
    alone = encoding.encode(
        words, [([text for pair in zip(FIRSTS, SECONDS, strict=True) for text in pair], None)], 20, None
    )
    assert found.ids.tolist() == alone.ids.tolist() and found.offsets.tolist() == alone.offsets.tolist()


def test_units_of_three_texts_one_for_each_negative():
    words = tokenizer()
    negatives = [["phone", "item"], [], None]
    found = encode_apart(Reader(words, 20), [{**BLOCK, "negative": negatives}], None)
    assert (found.parts, len(found)) == (3, 4)
    assert rows_of(found).tolist() == [0, 0, 1, 2]
    assert [text.replace("[CLS] ", "").replace(" [SEP]", "") for text in read(found, words)] == [
        *(FIRSTS[0], SECONDS[0], "phone"),
        *(FIRSTS[0], SECONDS[0], "item"),
        *(FIRSTS[1], SECONDS[1], "[CLS]"),
        *(FIRSTS[2], SECONDS[2], "[CLS]"),
    ]
    keys = text_keys(found).reshape(4, 3)
    assert (keys[2:, 2] == 0).all() and (keys[:, :2] != 0).all() and (keys[:2, 2] != 0).all()
    assert (keys[0, :2] == keys[1, :2]).all() and len(np.unique(keys)) == 9


@pytest.mark.parametrize("parts", [2, 3])
def test_units_are_batched_whole_and_padded_batches_hold_the_same(parts):
    block = {**BLOCK, "negative": [["phone", "item"], [], None]} if parts == 3 else BLOCK
    found = encode_apart(Reader(tokenizer(), 20), [block], None)
    units = np.array([2, 0])
    batch = flat.make(found, units, None)
    assert batch.where.num_sequences == 2 * parts
    expected = [found.row(number).tolist() for unit in units for number in range(unit * parts, (unit + 1) * parts)]
    assert batch.input_ids[0].tolist() == [token for row in expected for token in row]
    padded = batch.padded(0)
    mask = padded["attention_mask"].bool()
    assert [row[kept].tolist() for row, kept in zip(padded["input_ids"], mask, strict=True)] == expected
    assert all(len(part.rows) == 1 for part in batch.split(1))


def test_collected_outputs_stand_in_the_order_of_sequences():
    found = encode_apart(Reader(tokenizer(), 20), [{**BLOCK, "negative": [["phone", "item"], [], None]}], None)

    def sums(batch: flat.FlatBatch) -> torch.Tensor:
        rows = torch.repeat_interleave(torch.arange(batch.where.num_sequences), batch.where.lengths)
        return torch.zeros(batch.where.num_sequences).index_add(0, rows, batch.input_ids[0].float())[:, None]

    collected = flat.collect(sums, found, 12, per_token=False)
    assert collected[:, 0].tolist() == [float(found.row(number).sum()) for number in range(found.num_sequences)]


def test_both_texts_in_one_sequence():
    words = tokenizer()
    found = encode_together(Reader(words, 20), [BLOCK], None)
    plain = encoding.encode(words, [(FIRSTS, SECONDS)], 20, None)
    assert found.ids.tolist() == plain.ids.tolist() and found.second.tolist() == plain.second.tolist()
    assert found.parts == 1 and found.rows is None


def test_a_row_is_followed_by_its_negatives():
    words = tokenizer()
    blocks = [{**BLOCK, "negative": [["phone", "item"], [], None]}, {**BLOCK, "negative": [[], [], ["was"]]}]
    found = encode_together(Reader(words, 20), blocks, None)
    assert rows_of(found).tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 5]
    assert read(found, words)[:3] == [
        f"[CLS] where is my card [SEP] {other} [SEP]" for other in ("thank you", "phone", "item")
    ]


@pytest.mark.parametrize("encode", [encode_apart, encode_together])
def test_what_was_written_is_what_memory_holds(tmp_path, encode):
    blocks = [{**BLOCK, "negative": [["phone"], [], None]}]
    reader = Reader(tokenizer(), 6)
    kept, written = encode(reader, blocks, None), encode(reader, blocks, tmp_path / "tokens")
    for name in ("ids", "offsets", "second", "rows"):
        assert np.array_equal(getattr(kept, name), getattr(written, name)), name
    assert (kept.cut, kept.parts) == (written.cut, written.parts)


def test_texts_are_cut_on_record():
    found = encode_apart(Reader(tokenizer(), 4), [BLOCK], None)
    assert int(np.diff(found.offsets).max()) == 4
    assert (found.cut.rows, found.cut.tokens_cut) == (2, 6 - 4 + 8 - 4)
    assert found.cut.tokens_total == 6 + 4 + 3 + 8 + 3 + 3


def test_no_frame_and_no_word_is_still_a_sequence():
    words = tokenizer("unframed")
    found = encode_apart(
        Reader(words, 9), [{"text": ["", "help"], "text_pair": ["why", ""], "negative": [[], ["was"]]}], None
    )
    assert np.diff(found.offsets).min() == 1
    keys = text_keys(found).reshape(2, 3)
    assert keys[0, 2] == 0 and keys[1, 2] != 0 and keys[0, 0] == keys[1, 1] != 0


def test_no_rows_are_no_sequences():
    assert len(encode_apart(Reader(tokenizer(), 9), [], None)) == 0


@given(
    st.lists(
        st.tuples(
            *[st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)] * 2,
            st.lists(st.sampled_from(WORDS), max_size=3),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 6),
)
def test_units_of_chosen_rows_come_back_whole(rows, size):
    firsts, seconds, negatives = (list(part) for part in zip(*rows, strict=True))
    blocks = [
        {"text": firsts[at : at + size], "text_pair": seconds[at : at + size], "negative": negatives[at : at + size]}
        for at in range(0, len(rows), size)
    ]
    found = encode_apart(Reader(tokenizer(), 20), blocks, None)
    chosen = np.arange(0, len(rows), 2)
    part = found.of_rows(chosen)
    expected = encode_apart(
        Reader(tokenizer(), 20),
        [{"text": firsts[::2], "text_pair": seconds[::2], "negative": negatives[::2]}],
        None,
    )
    assert part.ids.tolist() == expected.ids.tolist() and part.offsets.tolist() == expected.offsets.tolist()
    assert rows_of(part).tolist() == rows_of(expected).tolist()
    assert text_keys(part).tolist() == text_keys(expected).tolist()
