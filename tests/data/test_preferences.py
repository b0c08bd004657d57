"""Preferences in the ways that files lay them out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from whet.data import reading
from whet.data.forms import Examples
from whet.data.preference_findings import lengths
from whet.data.preference_rows import dialogue
from whet.data.preferences import Preferences
from whet.data.row_form import Choice
from whet.errors import UserError


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(folder: Path, rows: list[dict[str, Any]], choice: Choice | None = None, times: int = 12) -> Any:
    """The rows of a file in which each stands several times, with another number in its prompt."""
    several = [_numbered(row, number) for number in range(times) for row in rows]
    path = written(folder, several)
    return reading.read(path, into=folder / "data", form=Preferences(), choice=choice)


def _numbered(value: Any, number: int) -> Any:
    """With a word in the place of a percent sign: digits do not make texts different."""
    return json.loads(json.dumps(value).replace("%", "".join(chr(97 + int(one)) for one in f"{number:03d}")))


def first(found: Any) -> dict[str, Any]:
    """The first row of training."""
    train: Examples = found.splits["train"]
    names = [name for name, _ in train.shape.more]
    row = {name: train.rows([0], name)[0] for name in names}
    row["messages"] = [(one["role"], re.sub(" [a-j]{3}$", "", one["content"])) for one in row["messages"]]
    return row


HELLO = {"prompt": "Hello %", "chosen": "Good day", "rejected": "What?"}


def test_texts_in_three_columns(tmp_path: Path):
    row = first(read(tmp_path, [HELLO]))
    assert row == {"messages": [("prompt", "Hello")], "chosen": "Good day", "rejected": "What?"}


def test_a_prompt_written_before_each_answer_is_taken_off(tmp_path: Path):
    rows = [{"prompt": "Hello % ", "chosen": "Hello % Good day", "rejected": "Hello % What?"}]
    row = first(read(tmp_path, rows))
    assert (row["chosen"], row["rejected"]) == ("Good day", "What?")


def test_messages_in_three_columns(tmp_path: Path):
    rows = [
        {
            "prompt": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello %"}],
            "chosen": [{"role": "assistant", "content": "Good day"}],
            "rejected": [{"role": "assistant", "content": "What?"}],
        }
    ]
    row = first(read(tmp_path, rows))
    assert row["messages"] == [("system", "Be kind"), ("user", "Hello")]
    assert (row["chosen"], row["rejected"]) == ("Good day", "What?")


def test_whole_conversations_share_their_beginning(tmp_path: Path):
    begin = [{"role": "user", "content": "Hello %"}]
    rows = [
        {
            "chosen": [*begin, {"role": "assistant", "content": "Good day"}],
            "rejected": [*begin, {"role": "assistant", "content": "What?"}],
        }
    ]
    found = read(tmp_path, rows)
    assert first(found) == {"messages": [("user", "Hello")], "chosen": "Good day", "rejected": "What?"}
    assert "both begin with is the prompt" in found.columns.reasons["text"]


def test_dialogues_in_one_text_are_messages(tmp_path: Path):
    begin = "\n\nHuman: Hello %\n\nAssistant: Yes?\n\nHuman: Help\n\nAssistant:"
    rows = [{"chosen": f"{begin} Gladly.", "rejected": f"{begin} No."}]
    row = first(read(tmp_path, rows))
    assert [role for role, _ in row["messages"]] == ["user", "assistant", "user"]
    assert (row["chosen"], row["rejected"]) == ("Gladly.", "No.")
    apart = first(read(tmp_path / "apart", [{"prompt": begin, "chosen": "Gladly.", "rejected": "No."}]))
    assert apart["messages"] == row["messages"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()


def test_texts_without_turns_are_no_dialogue():
    assert dialogue("Human beings: who are they?") == "Human beings: who are they?"
    assert dialogue("Assistant: hello") == "Assistant: hello"
    assert [one["role"] for one in dialogue("Human: a\n\nAssistant: b")] == ["user", "assistant"]


def test_texts_share_whole_words(tmp_path: Path):
    rows = [{"chosen": "Tell me % a story about cats", "rejected": "Tell me % a story about cars"}]
    row = first(read(tmp_path, rows))
    assert (row["chosen"].strip(), row["rejected"].strip()) == ("cats", "cars")


@pytest.mark.parametrize(("up", "down"), [(True, False), (1, 0), ("good", "bad"), ("yes", "no"), (1.0, -1.0)])
def test_thumbs(tmp_path: Path, up: Any, down: Any):
    rows = [
        {"prompt": "Hello %", "completion": "Good day", "label": up},
        {"prompt": "Hello %", "completion": "What?", "label": down},
    ]
    found = read(tmp_path, rows)
    train = found.splits["train"]
    liked = dict(zip(train.column("completion"), train.column("liked"), strict=True))
    assert liked == {"Good day": True, "What?": False}
    assert lengths(train).shape == (len(train), 1)


def test_a_thumb_of_several_steps_is_refused(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        read(tmp_path, [{"prompt": "Hello %", "completion": "Good day", "label": 3}], times=1)
    assert caught.value.problems[0].code == "D101"
    assert caught.value.problems[0].where == "rows.jsonl:1"


def test_columns_by_name(tmp_path: Path):
    rows = [{"q": "Hello %", "good": "Good day", "poor": "What?"}]
    row = first(read(tmp_path, rows, Choice(text="q", label="good", negative="poor")))
    assert (row["chosen"], row["rejected"]) == ("Good day", "What?")
    with pytest.raises(UserError) as caught:
        read(tmp_path, rows)
    assert caught.value.problems[0].code == "D105"


def test_equal_answers_are_refused_or_dropped_on_record(tmp_path: Path):
    rows = [{**HELLO, "rejected": "Good day "}, HELLO]
    with pytest.raises(UserError) as caught:
        read(tmp_path, rows, times=12)
    assert {one.code for one in caught.value.problems} == {"D100"}
    assert caught.value.num_problems == 12
    found = read(tmp_path, rows, Choice(drop_unlabelled=True))
    kept = sum(len(one) for one in found.splits.values())
    assert kept == 12
    assert "two answers that are equal" in json.dumps((tmp_path / "data" / "ledger.json").read_text())


def test_a_missing_answer_is_told_with_its_own_column_and_line(tmp_path: Path):
    """Line 3 lacks the worse answer, and line 4 has a prompt that is none: 'chosen' has nothing to do with either."""
    rows = [HELLO, {**HELLO, "chosen": ""}, {**HELLO, "rejected": None}, {**HELLO, "prompt": 12}, HELLO]
    with pytest.raises(UserError) as caught:
        read(tmp_path, rows, times=1)
    found = {one.code: one for one in caught.value.problems}
    assert found["D102"].where == "rows.jsonl:4"
    told = "2 rows have no answer to judge in column 'chosen' (line 2) and in column 'rejected' (line 3)."
    assert found["D030"].what == told


def test_a_missing_thumb_and_a_missing_answer_are_told_apart(tmp_path: Path):
    liked = {"prompt": "Hello", "completion": "Good day", "label": True}
    rows = [liked, {**liked, "label": None}, {**liked, "completion": None}, {**liked, "label": 3}]
    with pytest.raises(UserError) as caught:
        read(tmp_path, rows, times=1)
    found = {one.code: one for one in caught.value.problems}
    assert found["D101"].where == "rows.jsonl:4"
    assert "in column 'label' (line 2) and in column 'completion' (line 3)" in found["D030"].what


def test_rows_that_cannot_be_used_are_on_record(tmp_path: Path):
    turn = {"role": "assistant", "content": "a"}
    long = [*({"role": "user", "content": "Hello %"}, turn), {"role": "user", "content": "b"}, turn]
    rows = [HELLO, {"prompt": None, "chosen": long, "rejected": [long[0], {"role": "assistant", "content": "c"}]}]
    found = read(tmp_path, rows)
    assert sum(len(one) for one in found.splits.values()) == 12
    assert "different prompts" in json.dumps((tmp_path / "data" / "ledger.json").read_text())


def test_rows_of_one_prompt_stay_together(tmp_path: Path):
    rows = [HELLO, {**HELLO, "chosen": "Welcome"}, {**HELLO, "rejected": "Go"}]
    found = read(tmp_path, rows, times=30)
    prompts = {
        split: {one["content"] for row in examples.column("messages") for one in row}
        for split, examples in found.splits.items()
    }
    assert not prompts["train"] & prompts["test"] and not prompts["train"] & prompts["validation"]


def test_a_pair_turned_round_is_the_same_input(tmp_path: Path):
    turned = {**HELLO, "chosen": HELLO["rejected"], "rejected": HELLO["chosen"]}
    found = read(tmp_path, [HELLO, turned])
    train = found.splits["train"]
    assert len(set(train.hashes.tolist())) * 2 == len(train)
    assert len(set(Preferences().truths(train, ()).tolist())) == 2


def test_whether_better_answers_are_longer(tmp_path: Path):
    found = read(tmp_path, [HELLO])
    (finding, _) = Preferences().findings(found.splits, ())
    assert (finding.code, finding.bin, finding.evidence["share_longer"]) == ("X023", "issue", 1.0)


def test_an_answer_that_begins_like_a_dialogue_is_an_answer(tmp_path: Path):
    rows = [{"prompt": "Human: Hello %\n\nAssistant:", "chosen": "Human: what for?", "rejected": "No"}]
    row = first(read(tmp_path, rows))
    assert row == {"messages": [("user", "Hello")], "chosen": "Human: what for?", "rejected": "No"}


@pytest.mark.parametrize("wrong", [{"chosen": 5}, {"prompt": 7.5}, {"rejected": {"a": 1}}])
def test_what_is_neither_text_nor_messages_is_refused(tmp_path: Path, wrong: dict[str, Any]):
    with pytest.raises(UserError) as caught:
        read(tmp_path, [HELLO, {**HELLO, **wrong}], times=1)
    assert [(one.code, one.where) for one in caught.value.problems[:1]] == [("D102", "rows.jsonl:2")]
