from __future__ import annotations

import pytest

from tests.data.chat_rows import asked, noted, one_file, read, spoken
from tests.data.made import ANIMALS, csv_bytes, json_lines, problems_of, put, sentence

HEADER = ["ticket_id", "author", "message", "shop"]
ROWS = [
    ["A1", "customer", "My parcel is late.", "north"],
    ["A1", "agent", "Which one?", "north"],
    ["A1", "customer", "The red one.", "south"],
    ["A1", "agent", "It comes today.", "north"],
    ["A2", "customer", "Hello?", "south"],
    ["A3", "customer", "Thanks", "north"],
    ["A3", "support", "Welcome.", "north"],
    ["A3", "support", "Anything else?", "north"],
    ["A3", "customer", "No.", "north"],
]


def test_turns_of_a_conversation_become_a_row(tmp_path):
    found = one_file(put(tmp_path, "log.csv", csv_bytes(ROWS, HEADER)))
    assert spoken(found.examples) == [
        [("user", ROWS[0][2]), ("assistant", ROWS[1][2]), ("user", ROWS[2][2]), ("assistant", ROWS[3][2])],
        [("user", "Thanks"), ("assistant", "Welcome."), ("assistant", "Anything else?")],
    ]
    assert found.examples.numbers("line").tolist() == [2, 7]
    assert found.examples.column("group") == ["A1", "A3"]
    assert noted(found.ledger.dropped) == [("A013", "no answer", [6])]
    assert noted(found.ledger.changed) == [("A013", "messages behind the last answer, left out", [7])]
    assert found.ledger.read == 3
    assert "log.csv: 9 turns were put together as 3 conversations" in found.notes


def test_who_speaks_is_named(tmp_path):
    rows = [[row[0], {"customer": "Kundin", "agent": "Anna", "support": "Anna"}[row[1]], *row[2:]] for row in ROWS]
    path = put(tmp_path, "log.csv", csv_bytes(rows, ["fall", "wer", "was", "laden"]))
    named = {"text": "was", "group": "fall", "speaker": "wer"}
    problems = problems_of(one_file, path, **named)
    assert {problem.code for problem in problems} == {"D081"}
    assert (len(problems), problems[1].where) == (9, "log.csv:3")
    found = one_file(path, **named, roles="Anna=assistant, Kundin=user")
    assert [len(row) for row in spoken(found.examples)] == [4, 3]
    assert problems_of(one_file, path, **named | {"speaker": "who"})[0].code == "D020"


def test_a_group_of_its_own(tmp_path):
    found = one_file(put(tmp_path, "log.csv", csv_bytes(ROWS, HEADER)), group="shop")
    assert len(found.examples) == 2, "the ticket still says what belongs together"
    assert found.examples.column("group") == ["north", "north"]
    assert one_file(tmp_path / "log.csv", group="none").examples.groups is None


def test_turns_without_a_conversation_or_out_of_order(tmp_path):
    rows = [*ROWS, ["A1", "agent", "One more.", "north"], ["", "agent", "Who?", "north"]]
    problems = problems_of(one_file, put(tmp_path, "log.csv", csv_bytes(rows, HEADER)))
    assert [(problem.code, problem.where) for problem in problems] == [("D088", "log.csv:11"), ("D088", "log.csv:12")]
    assert "Sort the rows" in problems[0].remedy
    alone = put(tmp_path, "alone.csv", csv_bytes([row[1:3] for row in ROWS], ["speaker", "text"]))
    [problem] = problems_of(one_file, alone)
    assert problem.code == "D021"
    assert "data.group" in problem.remedy


def test_json_lines_with_an_empty_turn(tmp_path):
    rows = [
        {"conversation_id": 1, "role": "user", "content": "q", "tools": '[{"name": "f"}]'},
        {"conversation_id": 1, "role": "assistant", "content": ""},
        {"conversation_id": 1, "role": "assistant", "content": "a"},
    ]
    found = one_file(put(tmp_path, "log.jsonl", json_lines(rows)))
    assert spoken(found.examples) == [[("user", "q"), ("assistant", "a")]]
    assert noted(found.ledger.changed) == [("A013", "an empty turn, left out", [1])]
    assert found.examples.column("tools") == ['[{"name": "f"}]']
    open_end = asked(put(tmp_path, "open.jsonl", json_lines(rows[:1])))
    assert spoken(open_end.examples) == [[("user", "q")]]


@pytest.mark.parametrize("turns", [2, 6])
def test_a_long_log_is_read_block_by_block(tmp_path, turns):
    """The rows of a conversation may lie in two blocks of the file."""
    talks = 20_000 // turns
    rows = [
        [f"c{talk}", ("user", "agent")[number % 2], f"{sentence(talk)} {talk} {number}"]
        for talk in range(talks)
        for number in range(turns)
    ]
    found = one_file(put(tmp_path, "log.csv", csv_bytes(rows, ["conversation_id", "role", "text"]))).examples
    assert len(found) == talks
    assert {len(row) for row in spoken(found)} == {turns}
    lines = found.numbers("line").tolist()
    assert lines == [2 + turns * number for number in range(talks)]


def test_made_splits_keep_customers_together(tmp_path):
    rows = []
    for number in range(100):
        animal = ANIMALS[number % 10]
        rows += [[f"t{number}", "user", sentence(number), animal], [f"t{number}", "agent", f"a {number}", animal]]
    found = read(put(tmp_path, "log.csv", csv_bytes(rows, ["ticket_id", "role", "text", "customer"])), group="customer")
    sides = [set(examples.column("group")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 10
    assert sum(map(len, found.splits.values())) == 100
