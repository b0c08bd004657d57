from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.tasks.made_questions import MADE, columns_of, examples_of, made_tokenizer, shared_tokenizer
from whet.batches import flat, tokenising
from whet.batches.frames import Frame
from whet.errors import UserError
from whet.tasks.question_windows import encode

SHARED = ("bert-base-cased", "gpt2", "t5")
EVERY = (*MADE, *SHARED)
CONTEXT = "where is my card the order has not arrived yet please help i want a refund for this item it was broken"
texts = st.text(max_size=60)


def of(kind: str):
    return made_tokenizer(kind) if kind in MADE else shared_tokenizer(kind)


def blocks(question: str, context: str):
    return columns_of(examples_of([(question, context, [])], labelled=False))


@pytest.mark.parametrize("kind", EVERY)
@settings(max_examples=40)
@given(question=texts, context=texts)
def test_a_context_that_fits_is_framed_as_the_tokenizer_frames_pairs(kind, question, context):
    tokenizer = of(kind)
    expected = tokenizer.backend_tokenizer.encode(question, context)
    first = tokenizer.backend_tokenizer.encode(question, add_special_tokens=False)
    assume(len(first) and len(expected) <= 500)
    found = encode(tokenizer, blocks(question, context), 1000, 10)
    assert len(found) == 1
    assert found.row(0).tolist() == expected.ids
    if 1 in expected.type_ids and 1 in expected.sequence_ids:
        assert found.second[0] == expected.type_ids.index(1)
    elif 1 in expected.sequence_ids:
        assert found.second[0] == expected.sequence_ids.index(1)
    assert found.places is not None
    for place, side, (start, end) in zip(found.places.tolist(), expected.sequence_ids, expected.offsets, strict=True):
        if side != 1:
            assert place == [-1, -1]
            continue
        stripped = context[start:end].strip()
        assert context[place[0] : place[1]] == stripped
        assert start <= place[0] <= place[1] <= end
    assert found.cut.rows == 0


@pytest.mark.parametrize("kind", EVERY)
@settings(max_examples=40)
@given(question=texts, context=texts, limit=st.integers(12, 40), stride=st.integers(0, 30))
def test_windows_cover_the_context(kind, question, context, limit, stride):
    tokenizer = of(kind)
    backend = tokenizer.backend_tokenizer
    whole = backend.encode(context, add_special_tokens=False).ids
    asked = backend.encode(question, add_special_tokens=False).ids
    found = encode(tokenizer, blocks(question, context), limit, stride)
    frame = Frame.of(tokenising.uncut_backend(tokenizer), tokenising.blank(tokenizer))
    assert (found.lengths <= limit).all()
    assert found.rows is not None and found.places is not None
    assert found.rows.tolist() == [0] * len(found)
    kept = min(max(1, len(asked)) if not frame.size else len(asked), limit // 2, limit - frame.size - 1)
    room = limit - frame.size - kept
    common = min(stride, room // 2)
    tokens: list[int] = []
    for number in range(len(found)):
        start, end = found.offsets[number : number + 2]
        inside = found.places[start:end, 0] >= 0
        ids = found.row(number)[inside].tolist()
        if number:
            assert tokens[-common:] == ids[:common] if common else True
            ids = ids[common:]
            assert ids, "the last window adds something"
        tokens += ids
    assert tokens == whole
    assert len(found) == 1 or len(whole) > room
    assert found.cut.tokens_cut == max(0, len(asked) - kept)
    assert found.cut.rows == int(len(asked) > kept)


def test_windows_are_those_of_transformers():
    tokenizer = shared_tokenizer("bert-base-cased")
    questions = ["Who lives in the city?", "What?"]
    contexts = ["The city of " + "very " * 40 + "old houses. " * 20, "Nothing."]
    rows = [(question, context, []) for question, context in zip(questions, contexts, strict=True)]
    expected = tokenizer(
        questions,
        contexts,
        truncation="only_second",
        max_length=40,
        stride=12,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    found = encode(tokenizer, columns_of(examples_of(rows)), 40, 12)
    assert [found.row(number).tolist() for number in range(len(found))] == expected["input_ids"]
    assert found.rows.tolist() == expected["overflow_to_sample_mapping"]


def test_only_long_questions_lose_tokens_and_it_is_on_record():
    words = CONTEXT.split()
    rows = [(CONTEXT, CONTEXT, []), ("where is it", "my card", [])]
    found = encode(made_tokenizer("words"), columns_of(examples_of(rows)), 16, 2)
    first = found.row(0)
    separator = first.tolist().index(made_tokenizer("words").convert_tokens_to_ids("[SEP]"))
    assert separator - 1 == 8, "a half of the limit"
    assert found.cut.to_json() == {
        "limit": 16,
        "rows": 1,
        "tokens_cut": len(words) - 8,
        "tokens_total": 2 * len(words) + 3 + 5 + 3,
        "answer_tokens_cut": 0,
    }
    room, step = 16 - 3 - 8, 16 - 3 - 8 - 2
    assert found.rows.tolist() == [0] * (1 + -(-(len(words) - room) // step)) + [1]


def test_token_types_change_where_the_tokenizer_says():
    rows = [("where is it", "my card", [])]
    for kind, second in (("words", 5), ("bytes", None), ("last", None)):
        tokenizer = made_tokenizer(kind)
        found = encode(tokenizer, columns_of(examples_of(rows)), 64, 8)
        expected = tokenizer.backend_tokenizer.encode("where is it", "my card")
        batch = flat.make(found, np.asarray([0]), None)
        assert batch.token_type_ids is not None
        if second is not None:
            assert found.second.tolist() == [second]
        if 1 in expected.type_ids:
            assert batch.token_type_ids[0].tolist() == [min(1, one) for one in expected.type_ids]


def test_nothing_at_all_still_has_a_token():
    for kind in MADE:
        found = encode(made_tokenizer(kind), blocks("", ""), 16, 2)
        assert found.lengths.min() >= 1
        assert (np.asarray(found.places) == -1).all()
    bare = encode(made_tokenizer("bare bytes"), blocks("", "card"), 16, 2)
    assert bare.places[0].tolist() == [-1, -1], "the first token says that there is no answer"


def test_blocks_rows_and_files(tmp_path):
    rows = [("why", CONTEXT, []), ("where is it", "my card", []), ("who", CONTEXT, [])]
    tokenizer = made_tokenizer("words")
    whole = encode(tokenizer, columns_of(examples_of(rows)), 16, 4)
    parts = [block for row in rows for block in columns_of(examples_of([row]))]
    done: list[int] = []
    found = encode(tokenizer, parts, 16, 4, tmp_path / "tokens", done.append)
    assert done == [1, 2, 3]
    for name in ("ids", "offsets", "second", "rows", "places"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert found.cut == whole.cut
    second = whole.of_rows(np.asarray([1, 2]))
    assert second.rows is not None
    assert second.rows.tolist() == [0] + [1] * (len(second) - 1)


def test_a_limit_without_room_and_rows_without_context_are_refused():
    with pytest.raises(UserError, match="D060"):
        encode(made_tokenizer("words"), [{"text": ["why"]}], 16, 0)
    with pytest.raises(UserError, match="D069"):
        encode(made_tokenizer("words"), blocks("why", "card"), 4, 0)
