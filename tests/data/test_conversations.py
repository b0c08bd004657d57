from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.chat_rows import ANSWER, USER, asked, noted, one_file, read, spoken, talk, turn
from tests.data.made import csv_bytes, json_lines, problems_of, put, real, sentence
from whet.data import reading
from whet.data.audit import audit
from whet.data.chat_messages import MESSAGES
from whet.data.conversations import Conversations
from whet.data.forms import Examples, Shape
from whet.data.normal import hashes
from whet.errors import UserError

CHAT = [[("user", USER), ("assistant", ANSWER)], [("user", "Hello"), ("assistant", "Good day.")]]
PLAIN = [[("prompt", text), ("completion", answer)] for (_, text), (_, answer) in CHAT]
ROWS = [(USER, ANSWER), ("Hello", "Good day.")]


def sharegpt(*names: str) -> bytes:
    return json_lines(
        [
            {"conversations": [{"from": name, "value": text} for name, text in zip(names, row, strict=True)]}
            for row in ROWS
        ]
    )


LAYOUTS = {
    "openai.jsonl": (json_lines([talk(*row) for row in ROWS]), CHAT),
    "openai.json": (json.dumps([talk(*row) for row in ROWS], indent=1).encode(), CHAT),
    "cells.csv": (csv_bytes([[json.dumps(talk(*row)["messages"])] for row in ROWS], ["messages"]), CHAT),
    "parts.jsonl": (
        json_lines(
            [
                {"messages": [turn("user", [{"type": "text", "text": q[:3]}, q[3:]]), turn("assistant", a)]}
                for q, a in ROWS
            ]
        ),
        CHAT,
    ),
    "unnamed.jsonl": (json_lines([{"id": "7", "data": talk(*row)["messages"]} for row in ROWS]), CHAT),
    "sharegpt.jsonl": (sharegpt("human", "gpt"), CHAT),
    "agents.jsonl": (sharegpt("Customer", " AGENT "), CHAT),
    "alpaca.jsonl": (json_lines([{"instruction": q, "input": "", "output": a} for q, a in ROWS]), CHAT),
    "short.jsonl": (json_lines([{"instruction": q, "output": a} for q, a in ROWS]), CHAT),
    "hub.jsonl": (
        json_lines([{"prompt": [turn("user", q)], "completion": [turn("assistant", a)]} for q, a in ROWS]),
        CHAT,
    ),
    "pair.jsonl": (json_lines([{"prompt": q, "completion": a} for q, a in ROWS]), PLAIN),
    "pair.csv": (csv_bytes(ROWS, ["prompt", "completion"]), PLAIN),
    "question.tsv": (csv_bytes(ROWS, ["Question", "Answer"], "\t"), PLAIN),
    "io.csv.gz": (csv_bytes(ROWS, ["input", "output"]), PLAIN),
    "response.jsonl": (json_lines([{"instruction": q, "response": a} for q, a in ROWS]), PLAIN),
    "chosen.jsonl": (json_lines([{"prompt": q, "chosen": a, "rejected": "No."} for q, a in ROWS]), PLAIN),
    "listed.jsonl": (json_lines([{"prompt": q, "completion": [a]} for q, a in ROWS]), PLAIN),
    "log.csv": (
        csv_bytes(
            [["7", "customer", USER], ["7", "agent", ANSWER], ["8", "Client", "Hello"], ["8", "bot", "Good day."]],
            ["conversation_id", "speaker", "text"],
        ),
        CHAT,
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path, name):
    content, expected = LAYOUTS[name]
    found = one_file(put(tmp_path, name, content))
    examples = found.examples
    assert spoken(examples) == expected
    assert examples.column("text") == [USER, "Hello"]
    assert examples.column("answers") == [[ANSWER], ["Good day."]]
    assert (found.ledger.read, found.ledger.kept, found.ledger.dropped, found.ledger.changed) == (2, 2, [], [])
    assert {"text", "label"} <= found.columns.reasons.keys()


def test_binary_files_hold_structures(tmp_path):
    rows = [talk(*row)["messages"] for row in ROWS]
    nested = {"role": [[one["role"] for one in row] for row in rows]}
    columns = pa.array(
        [{"role": r, "content": [m["content"] for m in row]} for r, row in zip(nested["role"], rows, strict=True)]
    )
    for name, values in (("list.parquet", rows), ("struct.parquet", columns)):
        pq.write_table(pa.table({"messages": values}), tmp_path / name)
        assert spoken(one_file(tmp_path / name).examples) == CHAT


def test_the_stored_form(tmp_path):
    rows = [
        {**talk(USER, ANSWER), "tools": None},
        {**talk("Hello", "Hi", "Bye", "Bye!"), "tools": [{"type": "function"}]},
    ]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows))).examples
    assert found.shape.more == (("answers", pa.list_(pa.string())), ("messages", MESSAGES), ("tools", pa.string()))
    assert found.column("tools") == [None, '[{"type": "function"}]']
    assert found.column("text")[1] == "User: Hello\nAssistant: Hi\nUser: Bye"
    assert found.column("answers")[1] == ["Bye!"]
    assert found.column("messages")[0][1] == {
        "role": "assistant",
        "content": ANSWER,
        "weight": None,
        "name": None,
        "tool_calls": None,
        "tool_call_id": None,
    }
    without = one_file(put(tmp_path, "none.jsonl", json_lines([talk(USER, ANSWER)]))).examples
    assert not without.shape.has("tools")


def test_alpaca_with_all_it_has(tmp_path):
    row = {"instruction": "Sum up.", "input": "A long text.", "output": "Short."}
    row |= {"system": "Be brief.", "history": [["Hi", "Hello"]]}
    [found] = spoken(one_file(put(tmp_path, "rows.jsonl", json_lines([row]))).examples)
    assert found == [
        *(("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello")),
        *(("user", "Sum up.\n\nA long text."), ("assistant", "Short.")),
    ]
    cells = put(tmp_path, "rows.csv", csv_bytes([["Do", "this", "Done"]], ["a", "b", "c"]))
    [found] = spoken(one_file(cells, text="a", text_pair="b", label="c").examples)
    assert found == [("user", "Do\n\nthis"), ("assistant", "Done")]
    bad = put(tmp_path, "bad.jsonl", json_lines([row | {"history": [["only one"]]}]))
    assert problems_of(one_file, bad)[0].code == "D080"


def test_a_pair_with_a_system_message_is_a_chat(tmp_path):
    rows = [{"prompt": "q", "completion": "a", "system": "s"}, {"prompt": "q", "completion": "a", "system": ""}]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows))).examples
    assert spoken(found) == [
        [("system", "s"), ("user", "q"), ("assistant", "a")],
        [("prompt", "q"), ("completion", "a")],
    ]


def test_messages_and_what_follows_them(tmp_path):
    before, behind = talk("q", "a", "r")["messages"], [turn("assistant", "b")]
    rows = [{"prompt": before, "completion": some} for some in (behind, [*before, *behind], "b", None)]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows)))
    whole = [("user", "q"), ("assistant", "a"), ("user", "r"), ("assistant", "b")]
    assert spoken(found.examples) == [whole, whole, whole, whole[:2]]
    assert noted(found.ledger.changed) == [("A013", "messages behind the last answer, left out", [4])]


def test_a_prompt_that_stands_before_the_whole_conversation_is_read_once(tmp_path):
    whole = [turn("user", "q"), turn("assistant", "b")]
    other = [{"from": "Human", "value": "q"}, {"from": "gpt", "value": "b"}]
    rows = [{"prompt": "q", "chosen": some, "rejected": whole} for some in (whole, whole[1:], other)]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert spoken(found.examples)[:2] == [[("user", "q"), ("assistant", "b")]] * 2
    assert "rejected answers are not used" in found.columns.reasons["label"]


def test_preferences_without_a_prompt_are_named_as_such(tmp_path):
    whole, text = talk("q", "a")["messages"], "\n\nHuman: q\n\nAssistant: a"
    path = put(tmp_path, "lists.jsonl", json_lines([{"chosen": whole, "rejected": whole}] * 3))
    [problem] = problems_of(one_file, path)
    assert problem.code == "D021" and "is a file of preferences: 'chosen'" in problem.what
    assert "--text chosen. The others are not used" in problem.remedy
    named = one_file(path, text="chosen").examples
    assert spoken(named)[0] == [("user", "q"), ("assistant", "a")]
    [problem] = problems_of(one_file, put(tmp_path, "texts.jsonl", json_lines([{"chosen": text, "rejected": text}])))
    assert "is a file of preferences" in problem.what and "make each a list of messages" in problem.remedy


def test_several_answers_would_do(tmp_path):
    rows = [{"prompt": "2+2?", "completion": ["4", "four", "4", " "]}, {"prompt": "Hi", "completion": "Hello"}]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows))).examples
    assert found.column("answers") == [["4", "four"], ["Hello"]]


def test_the_user_names_columns(tmp_path):
    path = put(tmp_path, "rows.csv", csv_bytes([["x", *row] for row in ROWS], ["kind", "ask", "say"]))
    assert spoken(one_file(path, text="ask", label="say").examples) == PLAIN
    assert problems_of(one_file, path, text="aks", label="say")[0].code == "D020"
    [problem] = problems_of(one_file, path)
    assert problem.code == "D021"
    assert "kind, ask, say" in problem.what
    assert problems_of(one_file, path, text="ask", label="ask")[0].code == "D021"
    two = put(tmp_path, "two.jsonl", json_lines([{"a": talk("q", "a")["messages"], "b": talk("q", "b")["messages"]}]))
    assert problems_of(one_file, two)[0].code == "D021"
    assert spoken(one_file(two, text="b").examples) == [[("user", "q"), ("assistant", "b")]]


# --- left out, cut, dropped: on record ---------------------------------------------------------------


def test_what_cannot_be_used_is_on_record(tmp_path):
    rows = [
        talk(USER, ANSWER),
        talk("Only a question"),
        talk("Welcome!", first="assistant"),
        talk("q", "a", "one more"),
        {
            "messages": [
                turn("system", " "),
                turn("user", "q"),
                turn("assistant", ""),
                turn("user", "r"),
                turn("assistant", "a"),
            ]
        },
        talk("q", " "),
        {"messages": []},
    ]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert noted(found.ledger.dropped) == [
        ("A013", "no answer", [2, 6, 7]),
        ("A013", "an answer that nothing stands before", [3]),
    ]
    assert noted(found.ledger.changed) == [
        ("A013", "messages behind the last answer, left out", [4]),
        ("A013", "an empty system message, left out", [5]),
        ("A013", "an empty turn, left out", [5]),
        ("A013", "two turns of one role in a row, kept as they stand", [5]),
    ]
    assert spoken(found.examples)[2] == [("user", "q"), ("user", "r"), ("assistant", "a")]
    assert found.ledger.read == 7 == found.ledger.kept + 4


def test_a_file_without_any_answer_is_refused(tmp_path):
    [problem] = problems_of(read, put(tmp_path, "rows.jsonl", json_lines([talk("q")] * 30)))
    assert problem.code == "D035"
    assert "both text and answer" in problem.what


def test_rows_that_only_want_an_answer_all_stay(tmp_path):
    rows = [talk("q"), talk("q", "a", "r"), talk("q", "a"), {"messages": []}, talk("Hi", first="assistant")]
    found = asked(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert [name for name, _ in found.examples.shape.more] == ["messages"]
    assert [len(row) for row in spoken(found.examples)] == [1, 3, 1, 0, 1]
    assert noted(found.ledger.changed) == [
        ("A013", "the last answer, left out: it is asked for", [3]),
        ("A013", "begins with an answer, kept as it stands", [5]),
    ]
    lines = asked(put(tmp_path, "lines.txt", b"Wer?\n\nWas?\n"))
    assert lines.examples.column("text") == ["Wer?", "", "Was?"]
    assert spoken(lines.examples) == [[("prompt", "Wer?")], [], [("prompt", "Was?")]]
    prompts = asked(put(tmp_path, "prompts.csv", csv_bytes([["Who?", "x"]], ["prompt", "id"])))
    assert spoken(prompts.examples) == [[("prompt", "Who?")]]
    alone = asked(put(tmp_path, "alone.jsonl", json_lines([{"words": "Who?"}])))
    assert alone.examples.column("text") == ["Who?"]
    pair = asked(put(tmp_path, "pair.jsonl", json_lines([{"prompt": "p", "completion": "c"}])))
    assert spoken(pair.examples) == [[("prompt", "p")]]


def test_weights_are_kept_and_must_leave_something_to_learn(tmp_path):
    def rows(weight):
        return [{"messages": [turn("user", sentence(n)), turn("assistant", "a", weight=weight)]} for n in range(20)]

    found = one_file(put(tmp_path, "half.jsonl", json_lines(rows(0.5)))).examples
    assert {one["weight"] for row in found.column("messages") for one in row} == {None, 0.5}
    [problem] = problems_of(read, put(tmp_path, "none.jsonl", json_lines(rows(0))))
    assert problem.code == "D031"


def test_tools_that_come_late_are_told(tmp_path):
    folder = tmp_path / "set"
    put(folder, "train.jsonl", json_lines([talk(sentence(n), "a") for n in range(20)]))
    put(folder, "test.jsonl", json_lines([{**talk("q", "a"), "tools": [{"type": "function"}]}]))
    [problem] = problems_of(read, folder)
    assert (problem.code, problem.where) == ("D022", "test.jsonl:1")


# --- groups, splits, what the form says ---------------------------------------------------------------


def test_conversations_with_one_id_stay_on_one_side(tmp_path):
    rows = [{**talk(sentence(n), f"a {n}"), "conversation_id": n % 30} for n in range(120)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.columns.group == "conversation_id"
    sides = [set(examples.column("group")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 30 == len(set.union(*sides))
    assert read(tmp_path / "rows.jsonl", group="none").columns.group is None
    named = read(
        put(tmp_path, "named.jsonl", json_lines([{**row, "shop": "ab"[n % 2]} for n, row in enumerate(rows)])),
        group="conversation_id",
    )
    assert named.columns.group == "conversation_id"
    assert reading.reopen(tmp_path / "read").columns == named.columns


def test_equal_prompts_stay_on_one_side(tmp_path):
    rows = [talk(sentence(n % 40), f"answer {n}") for n in range(120)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    sides = [set(examples.column("text")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 40 == len(set.union(*sides))


def test_what_the_form_says_of_rows(tmp_path):
    form = Conversations()
    examples = one_file(
        put(tmp_path, "rows.jsonl", json_lines([talk("q", "Yes."), talk("r", "yes"), talk("s", "No")]))
    ).examples
    assert form.labels(examples) == ()
    assert form.counts(examples, ()).shape == (0,)
    assert form.strata(examples, ()).tolist() == [0, 0, 0]
    truths = form.truths(examples, ())
    np.testing.assert_array_equal(truths, hashes(["yes", "yes", "no"]))
    np.testing.assert_array_equal(form.together(examples), examples.hashes)
    assert (form.name, form.truth) == ("conversations", "answers")


# --- anything may stand in a file ---------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["", " ", "user", "gpt", "[", "[1]", "{}", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "from", "content", "value", "tool_calls", "weight", "function", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    "messages",
                    "prompt",
                    "completion",
                    "tools",
                    "system",
                    "instruction",
                    "output",
                    "history",
                    "role",
                    "text",
                    "conversation_id",
                ]
            ),
            VALUES,
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_either_refused_or_every_row_accounted_for(rows, answered):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text(
            "".join(
                json.dumps(row) + "\n" for row in [{"messages": [turn("user", "q"), turn("assistant", "a")]}, *rows]
            )
        )
        try:
            found = one_file(path) if answered else asked(path)
        except UserError as error:
            assert all(problem.code[0] == "D" and problem.where and problem.what for problem in error.problems)
            return
        assert found.ledger.read == found.ledger.kept + sum(entry.count for entry in found.ledger.dropped)
        assert len(found.examples) == found.ledger.kept
        if answered:
            for row, answers in zip(found.examples.column("messages"), found.examples.column("answers"), strict=True):
                assert row[-1]["role"] in ("assistant", "completion")
                assert answers[0].strip()


# --- real sets ------------------------------------------------------------------------------------------

REAL = {
    "bitext_support_chat": (3611, 451, 452),
    "alpaca_5k": (3998, 499, 501),
    "lima": (823, 102, 104),
    "hh_rlhf_harmless": (1846, 230, 232),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(tmp_path, name):
    folder = real(name)
    found = reading.read(folder, into=tmp_path / "out", form=Conversations())
    assert tuple(len(found.splits[split]) for split in ("train", "validation", "test")) == REAL[name]
    assert all(not ledger.dropped and not ledger.changed for ledger in found.ledger.values())
    with gzip.open(folder / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if "messages" in rows[0]:
        expected = [[(one["role"], one["content"]) for one in row["messages"]] for row in rows]
    else:
        expected = [[("prompt", row["prompt"]), ("completion", row["chosen"])] for row in rows]
    assert spoken(found.splits["test"]) == expected
    assert [answers[0] for answers in found.splits["test"].column("answers")] == [row[-1][1] for row in expected]
    by_code = {finding.code: finding for finding in audit(found, Conversations()).findings}
    assert {"A030", "A031", "A032", "A033", "A034", "A036"} <= by_code.keys()


def test_private_data_of_answers_is_found(tmp_path):
    rows = [talk(sentence(n), f"Write to anna{n}@example.com.") for n in range(60)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    [finding] = [one for one in audit(found, Conversations()).findings if one.code == "A011"]
    assert finding.evidence["kinds"] == {"e-mail": 60}


def test_rows_in_memory_have_the_same_form():
    messages = [turn("user", "q"), turn("assistant", "a")]
    shape = Shape((("answers", pa.list_(pa.string())), ("messages", MESSAGES)))
    examples = Examples.of({"text": ["q"], "answers": [["a"]], "messages": [messages]}, shape)
    assert spoken(examples) == [[("user", "q"), ("assistant", "a")]]


def test_a_further_answer_that_is_no_text_is_told_with_its_line(tmp_path: Path):
    rows = [{"prompt": "where is my card", "completion": ["on its way", False]}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        one_file(path)
    assert [(one.code, one.where.rpartition("/")[2]) for one in caught.value.problems] == [("D023", "rows.jsonl:1")]
