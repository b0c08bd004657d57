"""Words and tokens: any text, any tokenizer, windows or not; spans come back exactly."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import one_hot

from tests.made_tokenizers import MAKERS, made
from whet.batches.encoding import Encoded, load
from whet.data.entities import SPANS, WORDS
from whet.data.entity_arrays import Words
from whet.data.entity_words import word_places
from whet.data.forms import Examples, Shape
from whet.tasks.task import Setting
from whet.tasks.token_classification import UNCOUNTED, TokenClassification
from whet.tasks.word_pieces import Pieces, first_tokens

LABELS = ("LOC", "PER")
ROOM = 12
"""Tokens of a sequence in these tests: nearly every row is cut into windows."""

# Anything but halves of surrogate pairs, which no text can hold; blanks and odd ones are frequent.
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    " \t\n\u00a0\u200b\u00ad\u200d\ufeff\u2581\u0120aé\u0301ßﬁ①İ日本ทำ😀👩.,-_</s>[]"
)
WORD = st.text(CHARACTERS, min_size=1, max_size=8)

Row = tuple[str, list[int], list[dict[str, Any]]]


@st.composite
def rows_of_words(draw: st.DrawFn) -> list[Row]:
    """Rows of any words joined by blanks, with spans over some of them."""
    found: list[Row] = []
    for words in draw(st.lists(st.lists(WORD, max_size=12), min_size=1, max_size=4)):
        places, at = [], 0
        for word in words:
            places += [at, at + len(word)]
            at += len(word) + 1
        found.append((" ".join(words), places, _spans(draw, places)))
    return found


@st.composite
def rows_of_text(draw: st.DrawFn) -> list[Row]:
    """Any texts, whose words are found, with spans over some of them."""
    found: list[Row] = []
    for text in draw(st.lists(st.text(CHARACTERS, max_size=50), min_size=1, max_size=4)):
        places = word_places(text)
        found.append((text, places, _spans(draw, places)))
    return found


def _spans(draw: st.DrawFn, places: list[int]) -> list[dict[str, Any]]:
    """Spans of whole words, none across another."""
    spans: list[dict[str, Any]] = []
    word = 0
    while word < len(places) // 2:
        length = draw(st.integers(0, 3))
        last = min(word + max(1, length), len(places) // 2)
        if length:
            label = draw(st.sampled_from(LABELS))
            spans.append({"start": places[2 * word], "end": places[2 * last - 1], "label": label})
        word = last
    return spans


def examples_of(rows: list[Row]) -> Examples:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("text", "words", "spans"))}
    return Examples.of(columns, Shape((("words", WORDS), ("spans", SPANS))))


def task(stride: int = 4) -> TokenClassification:
    return TokenClassification(Setting(labels=LABELS, options={"data.stride": stride}))


def encoded_by(kind: str, examples: Examples, limit: int, stride: int = 4) -> Encoded:
    return task(stride).encode(made(kind), examples.column_blocks(("text", "words")), limit, None)


def come_back(kind: str, rows: list[Row], limit: int, stride: int) -> None:
    examples = examples_of(rows)
    how = task(stride)
    encoded = encoded_by(kind, examples, limit, stride)
    assert np.diff(encoded.offsets).max() <= limit
    assert np.diff(encoded.offsets).min() >= 1
    assert encoded.rows is not None
    assert np.unique(encoded.rows).tolist() == list(range(len(rows)))
    targets = how.targets(examples, encoded).values
    assert int((targets != UNCOUNTED).sum()) == len(Words.of(examples)), "one token stands for each word"
    logits = 30.0 * one_hot(targets.clamp(min=0), 2 * len(LABELS) + 1).float()
    found = how.predictions("exact", logits, encoded, examples)
    assert found.gold is not None
    for row, (_, _, spans) in enumerate(rows):
        expected = [(span["start"], span["end"], LABELS.index(span["label"])) for span in spans]
        assert found.said.row(row) == expected == found.gold.row(row)
    assert found.correct.all()
    assert how.look(logits, encoded, examples) == {"loss": pytest.approx(0.0, abs=1e-6), "entity_f1": 1.0}


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=25, deadline=None)
@given(rows=rows_of_words(), stride=st.integers(0, 9), limit=st.sampled_from([ROOM, 200]))
def test_spans_of_any_words_come_back(kind: str, rows: list[Row], stride: int, limit: int) -> None:
    come_back(kind, rows, limit, stride)


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=25, deadline=None)
@given(rows=rows_of_text(), stride=st.integers(0, 9), limit=st.sampled_from([ROOM, 200]))
def test_spans_of_any_text_come_back(kind: str, rows: list[Row], stride: int, limit: int) -> None:
    come_back(kind, rows, limit, stride)


@pytest.mark.parametrize("kind", MAKERS)
@settings(max_examples=15, deadline=None)
@given(rows=rows_of_words())
def test_tokens_are_those_of_each_word_by_itself(kind: str, rows: list[Row]) -> None:
    """Which token belongs to which word does not depend on how many rows are encoded at once."""
    pieces = Pieces(made(kind))
    together = pieces.tokens([(text, places) for text, places, _ in rows])
    assert together.sizes.min(initial=1) >= 1
    np.testing.assert_array_equal(np.bincount(together.words, minlength=len(together.sizes)), together.sizes)
    begin = 0
    for text, places, _ in rows:
        alone = pieces.tokens([(text, places)])
        inside = slice(begin, begin + len(alone.ids))
        np.testing.assert_array_equal(together.ids[inside], alone.ids)
        begin += len(alone.ids)
    assert begin == len(together.ids)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("text", ["Where is my card, please? I want a refund (42)!", "how do I change my pass-word?"])
def test_tokens_are_those_of_the_running_text(kind: str, text: str) -> None:
    """Words go in one by one and what comes out is what the tokenizer was trained on."""
    tokenizer = made(kind)
    found = Pieces(tokenizer).tokens([(text, word_places(text))]).ids.tolist()
    expected = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    if found != expected:  # where punctuation marks that touch are one token
        assert "".join(tokenizer.convert_ids_to_tokens(found)) == "".join(tokenizer.convert_ids_to_tokens(expected))


@pytest.mark.parametrize("kind", MAKERS)
def test_the_frame_is_that_of_the_tokenizer(kind: str) -> None:
    tokenizer = made(kind)
    examples = examples_of([("where is my card", word_places("where is my card"), []), ("", [], [])])
    encoded = encoded_by(kind, examples, 64)
    assert encoded.row(0).tolist() == tokenizer("where is my card")["input_ids"]
    empty = tokenizer("")["input_ids"]
    assert encoded.row(1).tolist() == (empty or [tokenizer.unk_token_id])


def windows(limit: int, stride: int, words: int = 50) -> tuple[Encoded, Examples]:
    text = " ".join(f"w{n}" for n in range(words))
    examples = examples_of([("a b", word_places("a b"), []), (text, word_places(text), []), ("", [], [])])
    return encoded_by("wordpiece", examples, limit, stride), examples


@pytest.mark.parametrize(("limit", "stride"), [(12, 0), (12, 3), (20, 8), (20, 50), (6, 1)])
def test_windows_cover_a_long_row(limit: int, stride: int) -> None:
    encoded, examples = windows(limit, stride)
    assert encoded.rows is not None and encoded.places is not None
    assert (encoded.rows[0], encoded.rows[-1]) == (0, 2)
    inside = np.flatnonzero(encoded.rows == 1)
    parts = []
    for sequence in inside:
        places = encoded.places[encoded.offsets[sequence] : encoded.offsets[sequence + 1]]
        parts.append(sorted({(int(a), int(b)) for a, b in places if a >= 0}))
        assert (places[0] == -1).all() and (places[-1] == -1).all(), "each window has its frame"
    starts = Words.of(examples).starts[2:].tolist()
    assert sorted({start for part in parts for start, _ in part}) == starts
    numbers = [[starts.index(start) for start, _ in part] for part in parts]
    assert all(part == list(range(part[0], part[-1] + 1)) for part in numbers), "words in a row"
    tokens = [len(encoded.row(int(sequence))) - 2 for sequence in inside]
    assert all(count > (limit - 2) / 2 for count in tokens), "the last window is as full as the others"
    assert encoded.cut.tokens_cut == 0
    if stride == 0:
        assert all(part[0] == before[-1] + 1 for before, part in pairwise(numbers[:-1]))


def test_two_windows_have_about_so_many_tokens_in_common() -> None:
    encoded, _ = windows(22, 8)
    assert encoded.rows is not None and encoded.places is not None
    inside = np.flatnonzero(encoded.rows == 1)
    parts = [encoded.places[encoded.offsets[s] + 1 : encoded.offsets[s + 1] - 1, 0].tolist() for s in inside]
    for before, part in pairwise(parts[:-1]):
        common = len([start for start in part if start in before])
        assert 8 - 3 <= common <= 8, "cut between words of at most three tokens"


def test_a_word_is_read_where_most_stands_around_it() -> None:
    encoded, examples = windows(22, 8)
    assert encoded.rows is not None and encoded.places is not None
    tokens, rows = first_tokens(np.asarray(encoded.offsets), np.asarray(encoded.places), np.asarray(encoded.rows))
    words = Words.of(examples)
    np.testing.assert_array_equal(rows, words.rows)
    np.testing.assert_array_equal(encoded.places[tokens, 0], words.starts)
    sequences = np.searchsorted(encoded.offsets, tokens, side="right") - 1
    first, last = np.flatnonzero(encoded.rows == 1)[[0, -1]]
    for token, sequence, start in zip(tokens[2:], sequences[2:], words.starts[2:], strict=True):
        best = -1.0
        for other in range(first, last + 1):
            places = encoded.places[encoded.offsets[other] : encoded.offsets[other + 1], 0]
            if start in places:
                at = int(np.flatnonzero(places == start)[0])
                left = np.inf if other == first else at
                right = np.inf if other == last else len(places) - 1 - at
                best = max(best, min(left, right))
        at = int(token - encoded.offsets[sequence])
        left = np.inf if sequence == first else at
        right = np.inf if sequence == last else np.diff(encoded.offsets)[sequence] - 1 - at
        assert min(left, right) == best


def test_of_a_word_longer_than_a_window_the_beginning_is_read_on_record() -> None:
    text = "so " + "x" * 100 + " then"
    examples = examples_of([(text, word_places(text), [{"start": 3, "end": 103, "label": "PER"}]), ("a", [0, 1], [])])
    whole = encoded_by("bytes", examples, 400)
    encoded = encoded_by("bytes", examples, 10)
    assert whole.cut.tokens_cut == 0
    assert encoded.cut.rows == 1
    assert encoded.cut.tokens_cut > 0
    assert encoded.cut.tokens_total == whole.cut.tokens_total
    assert encoded.cut.limit == 10
    come_back("bytes", [(text, word_places(text), [{"start": 3, "end": 103, "label": "PER"}])], 10, 4)


def test_words_of_which_nothing_is_left_have_a_token() -> None:
    text = "a \u200b b \u00ad\u200b"
    places = [0, 1, 2, 3, 4, 5, 6, 8]
    encoded = encoded_by("wordpiece", examples_of([(text, places, [])]), 20)
    unknown = made("wordpiece").unk_token_id
    ids = encoded.row(0).tolist()
    assert len(ids) == 6
    assert ids[2] == ids[4] == unknown


def test_a_mere_blank_does_not_stand_for_its_word() -> None:
    text = "my 😀"
    encoded = encoded_by("bpe, prepended", examples_of([(text, [0, 2, 3, 4], [])]), 20)
    tokens = made("bpe, prepended").convert_ids_to_tokens(encoded.row(0).tolist())
    assert encoded.places is not None
    at = tokens.index("\u2581", 2)
    assert encoded.places[at].tolist() == [-1, -1]
    assert encoded.places[at + 1].tolist() == [3, 4]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    text = " ".join(f"w{n}" for n in range(30))
    examples = examples_of([(text, word_places(text), []), ("a", [0, 1], [])])
    how, told = task(), []
    blocks = [
        {name: values[:1] for name, values in block.items()} for block in examples.column_blocks(("text", "words"))
    ]
    blocks += [
        {name: values[1:] for name, values in block.items()} for block in examples.column_blocks(("text", "words"))
    ]
    written = how.encode(made("wordpiece"), blocks, 12, tmp_path / "tokens", told.append)
    again, memory = load(tmp_path / "tokens"), encoded_by("wordpiece", examples, 12)
    for found in (written, again):
        for name in ("ids", "offsets", "rows", "places"):
            np.testing.assert_array_equal(getattr(found, name), getattr(memory, name))
    assert told == [1, 2]
    part = memory.of_rows(np.asarray([1]))
    assert int((how.targets(examples.take([1]), part).values != UNCOUNTED).sum()) == 1


def test_too_few_tokens_for_the_frame() -> None:
    with pytest.raises(ValueError, match="no room"):
        encoded_by("wordpiece", examples_of([("a", [0, 1], [])]), 2)


def test_targets_are_the_tag_of_each_word_on_its_first_token() -> None:
    text = "refunded Oslo"
    examples = examples_of([(text, word_places(text), [{"start": 0, "end": 13, "label": "PER"}])])
    encoded = encoded_by("wordpiece", examples, 40)
    targets = task().targets(examples, encoded)
    assert targets.per_token
    values = targets.values
    assert values.dtype == torch.int64
    assert values[values != UNCOUNTED].tolist() == [3, 4]
    assert values[1] == 3 and values[0] == values[-1] == UNCOUNTED
