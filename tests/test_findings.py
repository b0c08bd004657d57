from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.findings import CODES, Finding, in_words, parts_in_words

evidence = st.dictionaries(
    st.text(max_size=5), st.integers() | st.text(max_size=5) | st.lists(st.booleans()), max_size=3
)


@given(st.sampled_from(sorted(CODES)), st.text(), evidence)
def test_a_finding_survives_json(code: str, words: str, found: dict[str, Any]):
    finding = Finding(code, "tip", words, place="train", remedy=words, evidence=found)
    assert Finding.from_json(json.loads(json.dumps(finding.to_json()))) == finding


def test_a_finding_knows_its_title():
    assert Finding("A002", "issue", "12 rows").title == "Exact duplicates"
    assert Finding("A002", "issue", "12 rows").to_json()["title"] == "Exact duplicates"


def test_an_unknown_code_is_our_mistake():
    with pytest.raises(ValueError, match="Z999"):
        Finding("Z999", "issue", "what")


def test_codes_have_one_form_and_one_title_each():
    assert all(re.fullmatch(r"[A-Z]\d{3}", code) for code in CODES)
    assert len(set(CODES.values())) == len(CODES)
    assert list(CODES) == sorted(CODES)
    assert all(title[0].isupper() and not title.endswith(".") and len(title) < 40 for title in CODES.values())


ROW = {"split": "train", "line": 7, "place": "train.csv:7", "text": "it's late", "text_pair": "too late", "label": "no"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("late", "late"),
        (["a", ["b", 3]], "a, b, 3"),
        ({"no entity": 17, "place_name": 8}, "no entity 17, place_name 8"),
        (ROW, "train.csv:7 \"it's late\" / 'too late' (label no)"),
        ({"split": "train", "line": 7, "text": "late"}, "train line 7 'late'"),
    ],
)
def test_evidence_is_read_as_words(value: Any, words: str):
    assert in_words(value) == words


def test_a_part_of_an_example_is_said_once():
    """Entities come with counts, and with the same in words."""
    example = {"words": "this", "counts": {"no entity": 17}, "reads": "no entity 17", "line": None, "is_new": True}
    assert parts_in_words(example) == {"words": "this", "counts": "no entity 17", "is new": "True"}
