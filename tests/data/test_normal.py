from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.normal import hashes, lowered, normalised, raw_hashes

texts = st.text(max_size=30) | st.text(alphabet="aBß1٣ ,.-_😀ｆİ\u0301", max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Order #12, please!", "order 00 please"),
        ("  a\t b\n", "a b"),
        ("a_b-c", "a b c"),
        ("ｆｕｌｌ ﬁ", "full fi"),
        ("٣ rows", "0 rows"),
        ("STRASSE Straße", "strasse straße"),
        ("price: 5€ + $7", "price 0 0"),
        ("good 😀", "good 😀"),
        ("की का", "की का"),
        ("?!", "?!"),
        (" ... ", "..."),
        ("", ""),
    ],
)
def test_by_hand(text, expected):
    assert normalised(text) == expected


@given(texts, texts)
def test_each_grade_includes_the_one_before(left, right):
    if lowered(left) == lowered(right):
        assert normalised(left) == normalised(right)


@given(texts)
def test_case_blanks_and_punctuation_do_not_count(text):
    if normalised(text) != lowered(text):
        assert normalised(f"  {text.lower()}, ") == normalised(text)


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=30))
def test_the_short_way_for_ascii_is_the_long_way(text):
    # an accent sends the same text the long way
    assert normalised(f"{text} é") == f"{normalised(text + ' e')[:-1]}é"


def test_the_hash_is_that_of_the_normalised_text():
    digest = hashlib.blake2b(b"order 00", digest_size=8).digest()
    assert hashes(["Order 12!"])[0] == int.from_bytes(digest, "little")
    assert raw_hashes(["Order 12!"])[0] != raw_hashes(["order 12!"])[0]
    assert raw_hashes([" Order 12!"], lower=True)[0] == raw_hashes(["order 12!"], lower=True)[0]
    assert hashes([]).dtype == np.uint64


def test_both_texts_of_a_pair_count_in_their_order():
    one, other, joined = hashes(["a", "b", "a b"], ["b", "a", ""])
    assert len({int(one), int(other), int(joined), int(hashes(["a b"])[0])}) == 4
    assert hashes(["A!"], ["B"])[0] == one
