from __future__ import annotations

import pyarrow as pa

from tests.data.chat_rows import call, talk, turn
from tests.data.made import sentence
from whet.data.answer_findings import Answers, copied_finding
from whet.data.chat_findings import findings, trained_on
from whet.data.chat_messages import MESSAGES, Raw, readable, said
from whet.data.chat_messages import MessageReader as Reader
from whet.data.forms import Examples, Shape
from whet.data.normal import hashes
from whet.data.values import Place
from whet.errors import Problems

SHAPE = Shape((("answers", pa.list_(pa.string())), ("messages", MESSAGES)))


def split(name: str, rows: list, groups: list[str] | None = None) -> Examples:
    """Rows of ``{"messages": [...]}``."""
    made = [Reader(Place("f", [1], "messages"), Problems()).read(Raw(row["messages"])) for row in rows]
    columns = {"text": [readable(row[:-1]) for row in made], "answers": [[said(row[-1])] for row in made]}
    columns["messages"] = made
    if groups is not None:
        return Examples.of({**columns, "group": groups}, SHAPE.having("group", pa.string()), name)
    return Examples.of(columns, SHAPE, name)


def found(**splits: Examples) -> dict:
    return {finding.code: finding for finding in findings(splits)}


def plain(count: int, answer=lambda n: f"answer {sentence(n)}", start: int = 0) -> list:
    return [talk(sentence(n), answer(n)) for n in range(start, start + count)]


def test_answers_of_many_prompts():
    rows = [*plain(94, lambda n: f"{sentence(n)} indeed, that is what it does"), *plain(6, lambda n: "Sorry.", 500)]
    one = found(train=split("train", rows))["A030"]
    assert (one.bin, one.evidence["count"], one.evidence["distinct"]) == ("tip", 6, 95)
    assert one.evidence["examples"][0] == {"answer": "Sorry.", "prompts": 6}
    assert "6 rows of training (6.0%)" in one.message
    many = [*plain(70), *plain(30, lambda n: "Sorry!", 500)]
    assert found(train=split("train", many))["A030"].bin == "issue"
    assert found(train=split("train", plain(100)))["A030"].bin == "passed"
    repeated = [talk("the same prompt", "Sorry.")] * 30 + plain(70)
    assert found(train=split("train", repeated))["A030"].evidence["count"] == 0, "one prompt, however often"


def test_a_closed_set_of_answers():
    one = found(train=split("train", plain(60, lambda n: ("yes", "no")[n % 2])))["A030"]
    assert one.bin == "tip"
    assert "2 different answers to 60 rows" in one.message
    assert "text-classification" in one.remedy


def test_long_and_short_answers():
    rows = [*plain(96, lambda n: "x" * 100), *plain(2, lambda n: "y" * 1001, 500), *plain(2, lambda n: "z" * 9, 600)]
    one = found(train=split("train", rows))["A031"]
    assert (one.bin, one.evidence["long"], one.evidence["short"]) == ("tip", 2, 2)
    assert (one.evidence["median"], one.evidence["max"]) == (100, 1001)
    assert {shown["characters"] for shown in one.evidence["examples"]} == {1001, 9}
    assert found(train=split("train", rows[:96]))["A031"].bin == "passed"


def test_answers_of_test_that_training_has():
    train, long = plain(20), "a long answer that hardly comes about twice by chance"
    known = [talk("new", "Answer " + sentence(3).upper() + "!"), talk("newer", long)]
    one = found(train=split("train", [*train, talk("x", long)]), test=split("test", [*known, *plain(8, start=700)]))[
        "A032"
    ]
    assert one.evidence == one.evidence | {"count": 2, "telling": 1, "long": 1, "rows": 10}
    assert one.bin == "issue"
    assert one.evidence["examples"][0]["answer"] == long
    assert found(train=split("train", train))["A032"].bin == "not_applicable"
    assert found(train=split("train", train), test=split("test", plain(8, start=700)))["A032"].bin == "passed"


def test_conversations_on_both_sides():
    train, test = (split(name, plain(4), groups) for name, groups in (("train", list("aabb")), ("test", list("bccc"))))
    one = found(train=train, test=test)["A033"]
    assert (one.bin, one.evidence["count"], one.evidence["groups"]) == ("issue", 1, 2)
    assert "1 of 4 test rows are of a conversation" in one.message
    apart = split("test", plain(2), ["c", "d"])
    assert found(train=train, test=apart)["A033"].bin == "passed"
    assert found(train=split("train", plain(2)), test=apart)["A033"].bin == "not_applicable"


def test_parts_of_conversations():
    system = {"messages": [turn("system", "s"), *talk("q", "a")["messages"]]}
    tools = {"messages": [turn("user", "q"), turn("assistant", "", tool_calls=[call()])]}
    train = split("train", [system, talk("q", "a", "r", "b"), tools, talk("r", "a")])
    shares = found(train=train)["A034"].evidence["shares"]["train"]
    assert list(shares.values()) == [0.25, 0.25, 0.25, 0]
    one = found(train=split("train", plain(4)), test=split("test", [system, talk("q", "a")]))["A034"]
    assert one.bin == "issue"
    assert "a system message (in 50% of test)" in one.message
    assert "Every row is one message" in found(train=split("train", plain(4)))["A034"].message


def test_rows_that_teach_nothing():
    def weighed(*weights):
        turns = [(turn("user", "q"), turn("assistant", "a", weight=weight)) for weight in weights]
        return {"messages": [one for pair in turns for one in pair]}

    train = split("train", [weighed(0), weighed(0, 1), weighed(0, 0), weighed(None), weighed(0.5)])
    assert trained_on(train).tolist() == [False, True, False, True, True]
    one = found(train=train)["A036"]
    assert (one.bin, one.evidence["count"]) == ("issue", 2)
    assert found(train=split("train", [weighed(1)]))["A036"].bin == "passed"
    assert found(train=split("train", plain(3)))["A036"].bin == "not_applicable"


def test_copies_of_the_source():
    shape = Shape((("answers", pa.list_(pa.string())),))
    rows = {
        "text": ["A house.", "A dog.", "A cat."],
        "answers": [["a house"], ["Ein Hund."], ["Eine Katze.", "A cat."]],
    }
    one = copied_finding({"train": Examples.of(rows, shape, "train")})
    assert (one.bin, one.evidence["count"]) == ("issue", 1)
    assert one.evidence["examples"][0]["text"] == "A house."


def test_the_answers_of_a_split():
    answers = Answers.of(split("train", plain(3)))
    assert answers.lengths.tolist() == [len(f"answer {sentence(n)}") for n in range(3)]
    assert answers.hashes.tolist() == hashes([f"answer {sentence(n)}" for n in range(3)]).tolist()
