from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.entity_words import word_places


def words(text: str) -> list[str]:
    places = word_places(text)
    return [text[a:b] for a, b in zip(places[::2], places[1::2], strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's U.S.-based, 10am!", ["It", "'", "s", "U", ".", "S", ".", "-", "based", ",", "10am", "!"]),
        ("a_b  c\td\n", ["a", "_", "b", "c", "d"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("北京大学x", ["北", "京", "大", "学", "x"]),
        ("ヴァン", ["ヴ", "ァ", "ン"]),
        ("กรุงเทพ", ["ก", "รุ", "ง", "เ", "ท", "พ"]),
        ("서울에", ["서울에"]),
        ("hi😀😀", ["hi", "😀", "😀"]),
        ("", []),
        (" \n\u00a0\u3000", []),
    ],
)
def test_words_of_many_scripts(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@given(st.text())
def test_words_hold_every_character_that_is_not_blank_once_and_in_order(text: str) -> None:
    places = word_places(text)
    assert places == sorted(places)
    assert all(a < b for a, b in zip(places[::2], places[1::2], strict=True))
    assert "".join(words(text)) == "".join(text.split())


@given(st.text())
def test_a_word_of_several_characters_holds_letters_digits_and_marks_alone(text: str) -> None:
    for word in words(text):
        if len(word) > 1:
            assert all(c.isalnum() or unicodedata.category(c)[0] in "MC" for c in word), word
