from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.chat_rows import call, turn
from tests.data.made import problems_of
from whet.data.chat_messages import (
    MESSAGES,
    REPEATED,
    SPEAKERS,
    UNASKED,
    MessageReader,
    Raw,
    holds_turns,
    listed,
    readable,
    said,
    speakers_of,
)
from whet.data.values import Place
from whet.errors import Problems


def taken(*turns, speakers=SPEAKERS, **more):
    """Messages, the codes of problems, and what was left out."""
    problems = Problems()
    reader = MessageReader(Place("rows.jsonl", [17], "messages"), problems, speakers)
    found = reader.read(Raw(list(turns), **more))
    assert all(problem.where.startswith("rows.jsonl:") for problem in problems.kept)
    return found, [problem.code for problem in problems.kept], reader.changes


def codes(*turns, **more):
    return taken(*turns, **more)[1]


ASK = turn("user", "q")
CALL = turn("assistant", None, tool_calls=[call(id="c1")])
RESULT = turn("tool", "found", tool_call_id="c1")
OLD_CALL = turn("assistant", None, function_call={"name": "f", "arguments": "{}"})
DONE = turn("assistant", "It is here.")


@pytest.mark.parametrize(
    ("given_as", "role"),
    [
        *(("human", "user"), ("Customer", "user"), (" client ", "user"), ("user", "user")),
        *(("gpt", "assistant"), ("AGENT", "assistant"), ("bot", "assistant"), ("support", "assistant")),
        *(("developer", "system"), ("system", "system"), ("prompt", "prompt"), ("completion", "completion")),
    ],
)
def test_who_speaks(given_as, role):
    for key in ("role", "from", "speaker"):
        [message], problems, _ = taken({key: given_as, "content": "x"})
        assert (message["role"], problems) == (role, [])
    assert set(message) == {field.name for field in MESSAGES.value_type}


def test_a_speaker_who_is_not_known_is_refused_with_the_option_that_helps():
    problems = Problems()
    MessageReader(Place("log.csv", [3], "text"), problems).read(
        Raw([turn("Anna", "x"), turn("usr", "y"), turn(7, "z")])
    )
    assert [problem.code for problem in problems.kept] == ["D081"] * 3
    assert "data.roles='Anna=assistant'" in problems.kept[0].remedy
    assert "Did you mean 'user'?" in problems.kept[1].remedy
    named = speakers_of("Anna=assistant, Dr. A=B = user")
    found, problems, _ = taken(turn("anna", "x"), turn("DR. A=B", "y"), speakers=named)
    assert ([one["role"] for one in found], problems) == (["assistant", "user"], [])
    assert speakers_of(None) == SPEAKERS
    for spelled in ("Anna", "Anna=boss", "=user"):
        assert [one.code for one in problems_of(speakers_of, spelled)] == ["D081"]


@pytest.mark.parametrize(
    ("content", "text", "is_codes"),
    [
        ("as it stands ", "as it stands ", []),
        ([{"type": "text", "text": "a"}, {"text": "b"}, "c"], "abc", []),
        ([{"type": "input_text", "text": "a"}], "a", []),
        ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}], "b", ["D082"]),
        ([{"type": "text", "text": None}, "x"], "x", ["D082"]),
        (7, None, ["D023"]),
        ({"text": "a"}, None, ["D023"]),
        ("\ud800", "?", ["D018"]),
    ],
)
def test_what_is_said(content, text, is_codes):
    found, problems, _ = taken(turn("user", content))
    assert problems == is_codes
    assert [one["content"] for one in found] == ([] if text is None else [text])


@pytest.mark.parametrize("turns", [7, "hello", "[", {"role": "user"}, {"role": ["user"], "content": "x"}, "{}"])
def test_what_is_no_conversation(turns):
    problems = Problems()
    assert MessageReader(Place("f", [1], "messages"), problems).read(Raw(turns)) == []
    assert [problem.code for problem in problems.kept] == ["D080"]


def test_messages_that_are_none():
    assert codes("hello", {"content": "x"}, None, []) == ["D080"] * 4
    assert holds_turns('[{"from": "human"}]')
    assert not holds_turns([])
    assert listed({"role": ["a", "b"], "content": ["x", "y"]}) == [turn("a", "x"), turn("b", "y")]


def test_empty_turns_are_left_out_on_record():
    found, problems, changes = taken(turn("system", ""), turn("user", None), {"role": "user"}, turn("user", "q"), DONE)
    assert [one["content"] for one in found] == ["q", "It is here."]
    assert problems == []
    assert changes == ["an empty system message, left out", "an empty turn, left out", "an empty turn, left out"]


@pytest.mark.parametrize("weight", [0, 1, 0.25, 3, None])
def test_weights(weight):
    [message], problems, _ = taken(turn("assistant", "a", weight=weight))
    assert (message["weight"], problems) == (weight, [])


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf"), "1", True, [1]])
def test_weights_that_are_none(weight):
    assert codes(turn("assistant", "a", weight=weight)) == ["D086"]


# --- order --------------------------------------------------------------------------------------------


def test_repeated_roles_are_allowed():
    assert codes(turn("system", "a"), turn("developer", "b"), ASK, ASK, DONE, DONE, ASK) == []


def test_a_system_message_behind_others():
    assert codes(ASK, turn("system", "s"), DONE) == ["D083"]
    assert codes(turn("system", "s"), ASK, turn("developer", "s")) == ["D083"]


@pytest.mark.parametrize(
    ("turns", "is_codes"),
    [
        ([ASK, CALL, RESULT, DONE], []),
        ([ASK, CALL], []),
        ([ASK, CALL, RESULT], []),
        ([ASK, CALL, turn("tool", "found"), DONE], []),
        ([ASK, turn("assistant", "", tool_calls=[call(), call()]), turn("tool", "a"), turn("tool", "b"), DONE], []),
        (
            [ASK, turn("assistant", None, function_call={"name": "f", "arguments": "{}"}), turn("function", "a"), DONE],
            [],
        ),
        ([ASK, RESULT, DONE], ["D084"]),
        ([ASK, DONE, RESULT], ["D084"]),
        ([ASK, CALL, turn("tool", "x", tool_call_id="c9"), DONE], ["D084", "D085"]),
        ([ASK, CALL, RESULT, RESULT, DONE], ["D084"]),
        ([ASK, CALL, DONE], ["D085"]),
        ([ASK, CALL, ASK, RESULT], ["D085", "D084"]),
        ([ASK, turn("assistant", "", tool_calls=[call(id="a"), call(id="b")]), turn("tool", "x"), DONE], ["D085"]),
    ],
)
def test_calls_and_their_results(turns, is_codes):
    assert codes(*turns) == is_codes


def test_calls_that_are_written_into_texts_are_not_looked_for():
    human, gpt, tool = ({"from": who, "value": "x"} for who in ("human", "gpt", "tool"))
    assert codes(human, gpt, tool, tool, gpt) == []
    assert codes(human, tool, gpt) == ["D084"]
    made = {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'}
    found, problems, _ = taken(human, made, {"from": "observation", "value": "1"}, gpt)
    assert problems == []
    assert [one["role"] for one in found] == ["user", "assistant", "tool", "assistant"]
    assert json.loads(found[1]["tool_calls"])[0]["function"] == {"name": "f", "arguments": {"a": 1}}


# --- calls and tools ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [('{"id": 7}', {"id": 7}), ({"id": 7}, {"id": 7}), ("", {}), (None, {}), ('{"ä": []}', {"ä": []})],
)
def test_calls_are_stored_in_one_form(arguments, stored):
    for calls in ([call("find", arguments, id=5)], json.dumps([call("find", arguments, id=5)])):
        [message], problems, _ = taken(turn("assistant", None, tool_calls=calls))
        assert problems == []
        assert json.loads(message["tool_calls"]) == [
            {"id": "5", "type": "function", "function": {"name": "find", "arguments": stored}}
        ]
    flat = {"name": "find", "arguments": arguments}
    [message], _, _ = taken(turn("assistant", None, tool_calls=[flat]))
    assert json.loads(message["tool_calls"])[0] == {
        "type": "function",
        "function": {"name": "find", "arguments": stored},
    }


@pytest.mark.parametrize(
    "calls", [[call("f", "{")], [call("f", "[1]")], [call("f", 7)], [call("")], [{}], ["f"], "{", 7, [call(), None]]
)
def test_calls_that_cannot_be_read(calls):
    assert codes(turn("assistant", "x", tool_calls=calls)) == ["D087"]


def test_no_calls_are_none():
    for calls in (None, [], "[]"):
        [message], problems, _ = taken(turn("assistant", "x", tool_calls=calls))
        assert (message["tool_calls"], problems) == (None, [])


@pytest.mark.parametrize(
    ("tools", "stored", "is_codes"),
    [
        ([{"type": "function"}], '[{"type": "function"}]', []),
        ('[{"name": "f"}]', '[{"name": "f"}]', []),
        (None, None, []),
        ([], None, []),
        (" ", None, []),
        ("{", None, ["D087"]),
        ([1], None, ["D087"]),
        ({"a": 1}, None, ["D087"]),
    ],
)
def test_tools(tools, stored, is_codes):
    problems = Problems()
    reader = MessageReader(Place("f", [1], "messages"), problems)
    assert reader.tools(tools) == stored
    assert [problem.code for problem in problems.kept] == is_codes


# --- for people -------------------------------------------------------------------------------------------


def test_a_conversation_for_people():
    assert readable([]) == ""
    assert readable(taken(ASK)[0]) == "q"
    assert readable(taken(DONE)[0]) == "Assistant: It is here."
    found, _, _ = taken(turn("system", "s"), ASK, turn("assistant", "Wait.", tool_calls=[call("f", "{}")]))
    stored = '[{"type": "function", "function": {"name": "f", "arguments": {}}}]'
    assert said(found[2]) == f"Wait.\n{stored}"
    assert readable(found) == f"System: s\nUser: q\nAssistant: Wait.\n{stored}"


@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "assistant"]), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
    )
)
def test_what_is_said_is_kept_as_it_stands(rows):
    found, problems, changes = taken(*(turn(role, text) for role, text in rows))
    full = [(role, text) for role, text in rows if text.strip()]
    assert [(one["role"], one["content"]) for one in found] == full
    left_out = [one for one in changes if one not in (UNASKED, REPEATED)]
    assert (problems, len(left_out)) == ([], len(rows) - len(full))
    spoken = [role for role, _ in full if role != "system"]
    assert (UNASKED in changes) == (spoken[:1] == ["assistant"])
    again = any(one == other and one in ("user", "assistant") for one, other in pairwise(spoken))
    assert (REPEATED in changes) == again
