from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data import answer_format
from whet.data.answer_format import PATTERN, SCHEMA, AnswerFormat, in_format, read_schema
from whet.data.prediction_kinds import TextPredictions
from whet.errors import UserError

installed = pytest.mark.skipif(not importlib.util.find_spec("jsonschema"), reason="jsonschema is not installed")
CITY = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/name"}, "warm": {"type": "boolean"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"name": {"type": "string", "minLength": 2}},
}


def written(folder: Path, schema: Any) -> Path:
    path = folder / "schema.json"
    path.write_text(schema if isinstance(schema, str) else json.dumps(schema, indent=1), encoding="utf-8")
    return path


def refused(folder: Path, schema: Any) -> str:
    with pytest.raises(UserError) as caught:
        read_schema(written(folder, schema))
    [problem] = caught.value.problems
    assert problem.code == "C017" and problem.remedy
    return f"{problem.where.removeprefix(f'{folder}/')}: {problem.what}"


@installed
def test_answers_are_held_against_a_schema(tmp_path: Path) -> None:
    wanted = AnswerFormat.of({SCHEMA: str(written(tmp_path, CITY))})
    assert wanted is not None
    texts = {
        '{"city": "Rome"}': True,
        ' {"city": "Rome", "warm": true}\n': True,
        '{"city": "R"}': False,
        '{"city": "Rome", "sea": false}': False,
        "{}": False,
        '"Rome"': False,
        "Rome": False,
        "": False,
        '{"city": "Rome"} and so on': False,
        "[" * 100_000: False,
    }
    assert dict(zip(texts, wanted.valid(list(texts)).tolist(), strict=True)) == texts
    kept = json.loads(json.dumps(wanted.to_json()))
    again = AnswerFormat.of({SCHEMA: "gone.json"}, kept)
    assert again is not None and again.valid(list(texts)).tolist() == list(texts.values())


@installed
def test_what_json_does_not_have_is_not_valid(tmp_path: Path) -> None:
    wanted = AnswerFormat({"type": "number"})
    assert wanted.valid(["1e3", "NaN", "-Infinity", "1"]).tolist() == [True, False, False, True]


def test_a_pattern_is_matched_by_the_whole_answer() -> None:
    wanted = AnswerFormat.of({PATTERN: "yes|no"})
    assert wanted is not None
    assert wanted.valid([" yes\n", "no", "yes, sir", "Yes", ""]).tolist() == [True, True, False, False, False]
    assert AnswerFormat.of({}) is None and AnswerFormat.of({SCHEMA: None, PATTERN: None}) is None
    with pytest.raises(UserError, match=r"C018 generation\.pattern: '\(' is no regular expression"):
        AnswerFormat.of({PATTERN: "("})


@installed
@given(st.lists(st.integers(-20, 20) | st.text(max_size=3), max_size=6))
def test_both_must_hold(values: list[Any]) -> None:
    texts = [json.dumps(value) for value in values]
    found = AnswerFormat({"type": "integer", "minimum": 0}, r"\d").valid(texts)
    assert found.tolist() == [isinstance(value, int) and 0 <= value < 10 for value in values]


@installed
def test_a_schema_that_cannot_be_followed_is_named_with_its_line(tmp_path: Path) -> None:
    assert refused(tmp_path, '{"type": "object",\n "properties": }').startswith("schema.json:2: is no JSON: ")
    assert refused(tmp_path, "[1]").startswith("schema.json:1: holds list")
    wrong = {"type": "object", "properties": {"a": {"type": "integr"}}}
    told = refused(tmp_path, wrong)
    line = json.dumps(wrong, indent=1).split("\n").index('   "type": "integr"') + 1
    assert told.startswith(f"schema.json:{line}: is no JSON schema: properties.a.type: ")
    lost = CITY | {"$defs": {}}
    assert refused(tmp_path, lost).startswith("schema.json:5: refers to '#/$defs/name', which is not in this file")
    away = {"properties": {"a": {"$ref": "https://example.com/a.json"}}}
    assert "nothing is fetched" in refused(tmp_path, away)
    assert "is written for 'http://nowhere'" in refused(tmp_path, {"$schema": "http://nowhere"})
    tabbed = refused(tmp_path, '{\n\t"a\\tb": 1,\n\t"type": 7\n}')
    assert tabbed.startswith("schema.json:3: is no JSON schema: type: ")
    with pytest.raises(UserError, match=r"C017 generation\.json_schema: .*none\.json' cannot be read"):
        read_schema(tmp_path / "none.json")


@installed
@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#", None])
def test_drafts_and_references_that_are_known_do(tmp_path: Path, draft: str | None) -> None:
    schema = {"$id": "https://example.com/own.json", "properties": {"a": {"$ref": "#/definitions/b"}}}
    schema |= {"definitions": {"b": {"const": {"$ref": "#/not/a/reference"}}}, **({"$schema": draft} if draft else {})}
    wanted = AnswerFormat(read_schema(written(tmp_path, schema)))
    assert wanted.valid(['{"a": {"$ref": "#/not/a/reference"}}', '{"a": 1}']).tolist() == [True, False]


def test_without_the_library_it_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_format.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"C013.*pip install 'whet\[schema\]'"):
        read_schema(written(tmp_path, CITY))


def test_predictions_say_whether_they_have_the_form() -> None:
    about: dict[str, Any] = {"ids": np.arange(2), "hashes": np.arange(2).astype(np.uint64), "gold": None}
    said = TextPredictions("full", "test", said=("yes", "Well"), purpose="generation", **about)
    found = in_format(said, AnswerFormat(pattern="yes|no"))
    assert isinstance(found, TextPredictions) and found.valid is not None
    assert found.valid.tolist() == [True, False]
    silent = TextPredictions("full", "validation", said=None, purpose="generation", **about)
    assert in_format(silent, AnswerFormat(pattern="yes|no")) is silent and in_format(said, None) is said
