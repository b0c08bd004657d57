from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.baselines.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is here. Two is there!  Is three?", ["One is here.", "Two is there!", "Is three?"]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        (
            "Dr. Smith of the U.S. Army met J. Doe. They spoke.",
            ["Dr. Smith of the U.S. Army met J. Doe.", "They spoke."],
        ),
        ("It cost 3.5 million. cheap, i.e. not much", ["It cost 3.5 million. cheap, i.e. not much"]),
        ("A heading\n\nAnd a text\nover two lines.", ["A heading", "And a text\nover two lines."]),
        ("これは文です。これも文です！", ["これは文です。", "これも文です！"]),
        ("  no stop  ", ["no stop"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_where_sentences_end(text, expected):
    assert cut(text) == expected


@given(st.text(max_size=80))
def test_sentences_hold_every_character_but_spaces(text):
    found = sentences(text)
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
    assert found == sorted(found)
    assert all(text[start:end].strip() == text[start:end] != "" for start, end in found)
