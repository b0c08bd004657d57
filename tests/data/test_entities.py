from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data.made import csv_bytes, json_lines, problems_of, put, rows
from tests.data.made_entities import (
    ENTITIES,
    SENTENCES,
    examples_of,
    problems,
    refused,
    said,
    sentence_rows,
    taken,
    trained,
    unlabelled,
    words_of,
)
from whet.data import ROW_FORMS
from whet.data.entities import Entities
from whet.data.labelled import Labelled
from whet.data.reading import read, reopen
from whet.registry import load

TEXT = "Ann Lee lives in Oslo."
SPANS = [[0, 7, "PER"], [17, 21, "LOC"]]
TOLD = [[("Ann Lee", "PER"), ("Oslo", "LOC")]]


def one(folder: Path, name: str, content: str) -> Any:
    return taken(put(folder, name, content.encode()))


def test_the_form_is_that_of_the_task() -> None:
    assert isinstance(load(ROW_FORMS, "token-classification", "task")(), Entities)


# --- words with tags ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names", [("tokens", "tags"), ("words", "ner_tags"), ("token", "labels"), ("sentence", "ner"), ("w", "t")]
)
def test_tokens_and_tags(tmp_path: Path, names: tuple[str, str]) -> None:
    content = json_lines([{names[0]: r["tokens"], names[1]: r["tags"], "id": n} for n, r in enumerate(sentence_rows())])
    found = taken(put(tmp_path, "a.jsonl", content))
    assert words_of(found.examples) == [words.split() for words, _ in SENTENCES]
    assert found.examples.column("text") == [words for words, _ in SENTENCES]
    assert said(found.examples) == ENTITIES
    assert found.columns.tokens == found.columns.text == names[0]
    assert set(found.columns.reasons) == {"text", "label"}
    assert "a.jsonl: tags are IOB2 (entities begin with B-)" in found.notes


def test_other_columns_of_lists_do_not_confuse(tmp_path: Path) -> None:
    content = [{**row, "pos_tags": ["NN"] * len(row["tokens"]), "chunk_tags": row["tags"]} for row in sentence_rows()]
    content = [{**row, "ner_tags": row["tags"], "tags": 1, "text": "what"} for row in content]
    found = taken(put(tmp_path, "a.jsonl", json_lines(content)))
    assert (found.columns.tokens, found.columns.label) == ("tokens", "ner_tags")


def test_columns_may_be_named(tmp_path: Path) -> None:
    content = json_lines(
        [{"a": r["tokens"], "b": r["tokens"], "c": r["tags"], "d": r["tags"]} for r in sentence_rows()]
    )
    path = put(tmp_path, "a.jsonl", content)
    assert refused(path) == [("D021", "a.jsonl")]
    found = taken(path, text="b", label="d")
    assert (found.columns.tokens, found.columns.label) == ("b", "d")
    assert refused(path, text="b", label="e") == [("D020", "data.label")]
    expected = [("D050", "a.jsonl:1")] * 6 + [("D050", "a.jsonl:2")] * 3 + [("D050", "a.jsonl:3")] * 2
    assert refused(path, text="b", label="a") == expected


def test_parquet_with_the_names_of_its_numbers(tmp_path: Path) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    rows = sentence_rows()
    numbers = [[names.index(tag) for tag in row["tags"]] for row in rows]
    table = pa.table({"tokens": [row["tokens"] for row in rows], "ner_tags": numbers})
    pq.write_table(table, tmp_path / "bare.parquet")
    feature = {"feature": {"names": names, "_type": "ClassLabel"}, "_type": "Sequence"}
    described = {"info": {"features": {"ner_tags": feature}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(described)}), tmp_path / "a.parquet")
    assert said(taken(tmp_path / "a.parquet").examples) == ENTITIES
    (first, *_) = problems(tmp_path / "bare.parquet")
    assert (first.code, first.where) == ("D053", "bare.parquet:1")
    assert "[1, 2, 0, 0, 3, 0]" in first.what and "names" in first.remedy


@pytest.mark.parametrize("as_json", [False, True])
def test_tables_hold_words_and_tags_in_cells(tmp_path: Path, as_json: bool) -> None:
    cells = [(json.dumps(w.split()), json.dumps(t.split())) if as_json else (w, t) for w, t in SENTENCES]
    found = taken(put(tmp_path, "a.csv", csv_bytes(cells, ("sentence", "tags"))))
    assert words_of(found.examples) == [words.split() for words, _ in SENTENCES]
    assert said(found.examples) == ENTITIES


def test_a_table_with_a_word_a_row_is_refused(tmp_path: Path) -> None:
    cells = [("Ann", "B-PER"), ("lives", "O")] * 5
    (problem,) = problems(put(tmp_path, "a.csv", csv_bytes(cells, ("word", "tag"))))
    assert problem.code == "D021" and "single word" in problem.what and ".conll" in problem.remedy


def test_schemes_are_read_as_the_entities_they_mean(tmp_path: Path) -> None:
    rows = [{"tokens": words.split(), "tags": tags.split()} for words, tags in SENTENCES]
    for scheme, first in (("IOB1", "I-PER I-PER O O I-LOC O"), ("BILOU", "B-PER L-PER O O U-LOC O")):
        last = "I-LOC B-LOC" if scheme == "IOB1" else "U-LOC U-LOC"
        content = [{**rows[0], "tags": first.split()}, rows[1], {**rows[2], "tags": last.split()}]
        found = taken(put(tmp_path, f"{scheme}.jsonl", json_lines(content)))
        assert said(found.examples) == ENTITIES
        assert any(note.startswith(f"{scheme}.jsonl: tags are {scheme}") for note in found.notes)


def test_bare_letters_are_of_one_type(tmp_path: Path) -> None:
    content = [{"tokens": ["a", "b", "c"], "tags": ["B", "I", "O"]}]
    assert said(taken(put(tmp_path, "a.jsonl", json_lines(content)), labels=("entity",)).examples) == [
        [("a b", "entity")]
    ]


def test_words_without_a_character_are_left_out_on_record(tmp_path: Path) -> None:
    content = [*sentence_rows(), {"tokens": ["in", "", "Oslo", "", "Rome"], "tags": ["O", "O", "B-LOC", "O", "B-LOC"]}]
    found = taken(put(tmp_path, "a.jsonl", json_lines(content)))
    assert words_of(found.examples)[3] == ["in", "Oslo", "Rome"]
    assert said(found.examples)[3] == [("Oslo", "LOC"), ("Rome", "LOC")]
    (entry,) = found.ledger.changed
    assert (entry.code, entry.count, entry.places) == ("A016", 1, ["a.jsonl:4"])


def test_rows_without_words_have_no_text(tmp_path: Path) -> None:
    content = [*sentence_rows(), {"tokens": [], "tags": []}, {"tokens": None, "tags": []}]
    found = taken(put(tmp_path, "a.jsonl", json_lines(content)))
    assert len(found.examples) == 3
    assert [(entry.code, entry.lines) for entry in found.ledger.dropped] == [("A001", [4, 5])]


def test_words_with_blanks_and_odd_characters_keep_their_places(tmp_path: Path) -> None:
    words = ["New York", "\u00a0", "e\u0301", "👩\u200d💻", "\u202e", "\n"]
    content = [{"tokens": words, "tags": ["B-LOC", "O", "O", "B-PER", "I-PER", "O"]}]
    found = taken(put(tmp_path, "a.jsonl", json_lines(content))).examples
    assert words_of(found) == [words]
    assert said(found) == [[("New York", "LOC"), ("👩\u200d💻 \u202e", "PER")]]


BAD_TAGS = [
    ({"tokens": ["a", "b"], "tags": ["O", "person"]}, "D050", "the tag of word 2 is 'person'"),
    ({"tokens": ["a", "b"], "tags": ["O", ""]}, "D050", "the tag of word 2 is ''"),
    ({"tokens": ["a", "b"], "tags": ["O", None]}, "D050", "the tag of word 2 is None"),
    ({"tokens": ["a", "b"], "tags": ["O", "I-PER"]}, "D051", "word 2: 'I-PER' follows 'O'"),
    ({"tokens": ["a", "b"], "tags": ["B-LOC", "I-PER"]}, "D051", "word 2: 'I-PER' follows 'B-LOC'"),
    ({"tokens": ["a", "b"], "tags": ["O"]}, "D052", "there are 2 words and 1 tags"),
    ({"tokens": ["a", "b"], "tags": []}, "D052", "there are 2 words and 0 tags"),
    ({"tokens": ["a", "b"], "tags": [0, 1]}, "D053", "tags are numbers ([0, 1])"),
    ({"tokens": ["a", "b"], "tags": {"x": 1}}, "D057", "is no list of tags"),
    ({"tokens": ["a", 5], "tags": ["O", "O"]}, "D057", "is no list of words"),
    ({"tags": ["O", "O"]}, "D057", "has no words"),
    ({"tokens": ["a", ""], "tags": ["O", "B-PER"]}, "D058", "word 2 has a tag and no character"),
    ({"tokens": ["a", "\ud800"], "tags": ["O", "O"]}, "D018", "surrogate"),
    ({"tokens": ["a"], "tags": None}, "D030", "1 row has no entities in column 'tags' (line 4)"),
    ({"tokens": ["a"]}, "D030", "1 row has no entities"),
]


@pytest.mark.parametrize(("row", "code", "words"), BAD_TAGS)
def test_bad_words_and_tags_are_named_by_their_line(tmp_path: Path, row: dict[str, Any], code: str, words: str) -> None:
    content = "".join(json.dumps(one) + "\n" for one in [*sentence_rows(), row])
    (problem,) = problems(put(tmp_path, "a.jsonl", content.encode()))
    assert problem.code == code
    assert problem.where == ("a.jsonl" if code == "D030" else "a.jsonl:4")
    assert words in problem.what
    assert problem.remedy


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    content = "".join(json.dumps(one) + "\n" for one in [*sentence_rows(), *(row for row, *_ in BAD_TAGS)])
    codes = {code for code, _ in refused(put(tmp_path, "a.jsonl", content.encode()))}
    assert codes == {code for _, code, _ in BAD_TAGS}


def test_unlabelled_rows_may_be_dropped(tmp_path: Path) -> None:
    content = json_lines([*sentence_rows(), {"tokens": ["a"], "tags": None}])
    found = taken(put(tmp_path, "a.jsonl", content), drop_unlabelled=True)
    assert len(found.examples) == 3
    assert [(entry.code, entry.reason) for entry in found.ledger.dropped] == [("A013", "no entities")]


# --- texts with spans --------------------------------------------------------------------------------------

DOCCANO = {"id": 1, "text": TEXT, "label": SPANS}
DOCCANO_2 = {
    "id": 1,
    "text": TEXT,
    "relations": [],
    "entities": [{"id": n, "label": s[2], "start_offset": s[0], "end_offset": s[1]} for n, s in enumerate(SPANS)],
}
PRODIGY = {
    "text": TEXT,
    "tokens": [{"text": "Ann", "start": 0, "end": 3, "id": 0}],
    "spans": [{"start": s[0], "end": s[1], "token_start": 0, "label": s[2]} for s in SPANS],
    "answer": "accept",
}
LABEL_STUDIO = {
    "id": 1,
    "data": {"text": TEXT, "id": 7},
    "annotations": [
        {
            "id": 3,
            "was_cancelled": False,
            "result": [
                {
                    "type": "labels",
                    "value": {"start": s[0], "end": s[1], "text": TEXT[s[0] : s[1]], "labels": [s[2]]},
                }
                for s in SPANS
            ]
            + [{"type": "relation", "from_id": "a", "to_id": "b"}, {"type": "choices", "value": {"choices": ["x"]}}],
        }
    ],
    "predictions": [],
}
LAYOUTS = {
    "spans": ("a.jsonl", json.dumps({"text": TEXT, "spans": SPANS})),
    "of mappings": ("a.jsonl", json.dumps({"text": TEXT, "ents": [{"start": 0, "end": 7, "type": "PER"}, SPANS[1]]})),
    "of lists": (
        "a.json",
        json.dumps([{"text": TEXT, "entities": {"start": [0, 17], "end": [7, 21], "label": ["PER", "LOC"]}}]),
    ),
    "spaCy JSON": ("a.json", json.dumps([[TEXT, {"entities": SPANS}]], indent=1)),
    "spaCy JSON, bare lists": ("a.json", json.dumps([[TEXT, SPANS]])),
    "spaCy JSON lines": ("a.jsonl", json.dumps([TEXT, {"entities": SPANS}]) + "\n\n"),
    "spaCy JSON, compressed": ("a.json.gz", json.dumps([[TEXT, {"entities": SPANS}]])),
    "Doccano": ("a.jsonl", json.dumps(DOCCANO)),
    "Doccano with relations": ("a.jsonl", json.dumps(DOCCANO_2)),
    "Prodigy": ("a.jsonl", json.dumps(PRODIGY)),
    "Label Studio": ("a.json", json.dumps([LABEL_STUDIO])),
    "Label Studio, min": (
        "a.json",
        json.dumps(
            [
                {
                    "id": 1,
                    "text": TEXT,
                    "label": LABEL_STUDIO["annotations"][0]["result"][0]["value"]
                    and [  # type: ignore[index]
                        {"start": s[0], "end": s[1], "text": TEXT[s[0] : s[1]], "labels": [s[2]]} for s in SPANS
                    ],
                }
            ]
        ),
    ),
    "cells of a table": (
        "a.tsv",
        f'text\tspans\n{TEXT}\t"{json.dumps(SPANS)}"\n'.replace('"PER"', '""PER""').replace('"LOC"', '""LOC""'),
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_texts_with_spans(tmp_path: Path, layout: str) -> None:
    name, content = LAYOUTS[layout]
    found = one(tmp_path, name, content)
    assert found.examples.column("text") == [TEXT]
    assert said(found.examples) == TOLD
    assert words_of(found.examples) == [["Ann", "Lee", "lives", "in", "Oslo", "."]]
    assert found.ledger.changed == []


def test_rows_without_an_entity_stay(tmp_path: Path) -> None:
    content = [{"text": TEXT, "label": SPANS}, {"text": "nothing", "label": []}]
    assert said(taken(put(tmp_path, "a.jsonl", json_lines(content))).examples) == [*TOLD, []]


def test_spans_come_in_the_order_of_the_text(tmp_path: Path) -> None:
    content = [{"text": TEXT, "label": SPANS[::-1]}]
    assert said(taken(put(tmp_path, "a.jsonl", json_lines(content))).examples) == TOLD


def test_types_may_be_numbers(tmp_path: Path) -> None:
    content = [{"text": TEXT, "label": [[0, 7, 1], [17.0, 21.0, 10]]}]
    found = taken(put(tmp_path, "a.jsonl", json_lines(content)), labels=("1", "10"))
    assert said(found.examples) == [[("Ann Lee", "1"), ("Oslo", "10")]]


def test_positions_count_characters_of_any_kind(tmp_path: Path) -> None:
    text = "😀 Ünal e\u0301 Oslo"
    spans = [[2, 6, "PER"], [text.index("Oslo"), len(text), "LOC"]]
    found = one(tmp_path, "a.jsonl", json.dumps({"text": text, "spans": spans}))
    assert said(found.examples) == [[("Ünal", "PER"), ("Oslo", "LOC")]]


def test_positions_in_utf_16_are_turned_into_characters(tmp_path: Path) -> None:
    text = "😀😀 Oslo"
    spans = [{"start": 5, "end": 9, "text": "Oslo", "labels": ["LOC"]}]
    found = one(tmp_path, "a.jsonl", json.dumps({"text": text, "spans": spans}))
    assert said(found.examples) == [[("Oslo", "LOC")]]
    assert [(entry.code, "UTF-16" in entry.reason, entry.lines) for entry in found.ledger.changed] == [
        ("A016", True, [1])
    ]


@pytest.mark.parametrize(
    ("spans", "kept", "reason"),
    [
        ([[0, 6, "PER"]], [("Ann Le", "PER")], "within a word"),
        ([[1, 7, "PER"]], [("nn Lee", "PER")], "within a word"),
        ([[7, 17, "PER"]], [("lives in", "PER")], "blanks"),
        ([[0, 7, "PER"], [0, 7, "PER"]], [("Ann Lee", "PER")], "twice"),
    ],
)
def test_what_is_not_as_it_stands_is_on_record(
    tmp_path: Path, spans: list[Any], kept: list[tuple[str, str]], reason: str
) -> None:
    found = one(tmp_path, "a.jsonl", json.dumps({"text": TEXT, "spans": spans}))
    assert said(found.examples) == [kept]
    (entry,) = found.ledger.changed
    assert entry.code == "A016" and reason in entry.reason and entry.places == ["a.jsonl:1"]


BAD_SPANS = [
    ([[0, 23, "PER"]], "D054", "entity 1 (0 to 23, 'PER') lies outside the text, which has 22 characters"),
    ([[-1, 3, "PER"]], "D054", "lies outside the text"),
    ([[30, 40, "PER"]], "D054", "lies outside the text"),
    ([[3, 3, "PER"]], "D054", "is empty"),
    ([[5, 3, "PER"]], "D054", "entity 1 (5 to 3, 'PER') ends before it begins."),
    ([[3, 4, "PER"]], "D054", "nothing but blanks"),
    ([[0, 7, "PER"], [4, 13, "LOC"]], "D055", "'LOC' 'Lee lives' (4 to 13) lies across 'PER' 'Ann Lee' (0 to 7)"),
    ([[0, 7, "PER"], [0, 3, "PER"]], "D055", "lies across"),
    ([[0, 7, "PER"], [0, 7, "LOC"]], "D055", "lies across"),
    ([{"start": 0, "end": 2, "label": "PER", "text": "Ann"}], "D056", "calls itself 'Ann', but there stands 'An'"),
    ([{"start": 0, "end": 3, "label": "PER", "text": "Lee"}], "D056", "calls itself 'Lee'"),
    ([[0, 7]], "D057", "entity 1 is [0, 7], neither"),
    ([[0, "7", "PER"]], "D057", "entity 1 has no start and end as whole numbers"),
    ([[0, 7.5, "PER"]], "D057", "entity 1 has no start and end as whole numbers"),
    ([[False, True, "PER"]], "D057", "entity 1 has no start and end as whole numbers"),
    ([[0, 7, ""]], "D057", "entity 1 has no label"),
    ([[0, 7, None]], "D057", "entity 1 has no label"),
    ([{"start": 0, "end": 7, "labels": ["A", "B"]}], "D057", "entity 1 has 2 labels"),
    ("PER", "D057", "'PER' is no list of entities"),
    ({"start": [0], "end": [1, 2], "label": ["x"]}, "D057", "is no list of entities"),
    (7, "D057", "7 is no list of entities"),
    (None, "D030", "1 row has no entities in column 'spans' (line 2)"),
]


@pytest.mark.parametrize(("spans", "code", "words"), BAD_SPANS)
def test_bad_spans_are_named_by_their_line(tmp_path: Path, spans: Any, code: str, words: str) -> None:
    content = json_lines([{"text": TEXT, "spans": SPANS}, {"text": TEXT, "spans": spans}])
    (problem,) = problems(put(tmp_path, "a.jsonl", content))
    assert problem.code == code
    assert problem.where == ("a.jsonl" if code == "D030" else "a.jsonl:2")
    assert words in problem.what
    assert problem.remedy


def test_an_inclusive_end_is_guessed_at(tmp_path: Path) -> None:
    content = json_lines([{"text": TEXT, "spans": [{"start": 0, "end": 2, "label": "PER", "text": "Ann"}]}])
    (problem,) = problems(put(tmp_path, "a.jsonl", content))
    assert problem.remedy == "Ends are exclusive: add 1."


def test_a_text_that_is_none(tmp_path: Path) -> None:
    content = json_lines([{"text": TEXT, "spans": SPANS}, {"text": 5, "spans": []}])
    assert refused(put(tmp_path, "a.jsonl", content)) == [("D023", "a.jsonl:2")]


# --- exports -----------------------------------------------------------------------------------------------


def studio(*annotations: dict[str, Any], **data: str) -> str:
    return json.dumps([{"id": 1, "data": data or {"text": TEXT}, "annotations": list(annotations)}])


def annotation(start: int, end: int, label: str, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": [label]}
    return {"result": [{"type": "labels", "value": value}], **more}


def test_cancelled_annotations_do_not_count(tmp_path: Path) -> None:
    content = studio(annotation(0, 7, "LOC", was_cancelled=True), annotation(0, 7, "PER"))
    assert said(one(tmp_path, "a.json", content).examples) == [[("Ann Lee", "PER")]]


def test_several_annotations_that_differ_are_on_record(tmp_path: Path) -> None:
    content = studio(annotation(0, 3, "LOC"), annotation(0, 7, "PER", ground_truth=True))
    found = one(tmp_path, "a.json", content)
    assert said(found.examples) == [[("Ann Lee", "PER")]]
    assert ["more than once" in entry.reason for entry in found.ledger.changed] == [True]
    alike = one(tmp_path, "b.json", studio(annotation(0, 7, "PER"), annotation(0, 7, "PER")))
    assert alike.ledger.changed == []


def test_tasks_that_nobody_annotated_have_no_entities(tmp_path: Path) -> None:
    assert refused(put(tmp_path, "a.json", studio().encode())) == [("D030", "a.json")]


def test_the_text_of_an_export_under_another_key(tmp_path: Path) -> None:
    found = one(tmp_path, "a.json", studio(annotation(0, 7, "PER"), review=TEXT))
    assert (found.columns.text, said(found.examples)) == ("review", [[("Ann Lee", "PER")]])
    content = studio(annotation(0, 7, "PER"), title="Letter", review=TEXT)
    assert refused(put(tmp_path, "b.json", content.encode())) == [("D021", "b.json")]
    assert said(taken(put(tmp_path, "c.json", content.encode()), text="review").examples) == [[("Ann Lee", "PER")]]


def test_marks_in_hypertext_are_refused(tmp_path: Path) -> None:
    value = {"start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]", "hypertextlabels": ["PER"]}
    content = studio({"result": [{"type": "hypertextlabels", "value": value}]})
    assert refused(put(tmp_path, "a.json", content.encode())) == [("D057", "a.json:1")]


def test_rejected_answers_are_not_annotated(tmp_path: Path) -> None:
    content = json_lines([PRODIGY, {**PRODIGY, "answer": "reject"}])
    assert refused(put(tmp_path, "a.jsonl", content)) == [("D030", "a.jsonl")]
    assert said(taken(put(tmp_path, "b.jsonl", content), drop_unlabelled=True).examples) == TOLD


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.json",
            f'[["{TEXT}", {{"entities": []}}],\n["x"],\n [3, []]]',
            [("D059", "a.json:2"), ("D059", "a.json:3")],
        ),
        ("a.json", f'[["{TEXT}", {{"entities": []}}],\n["x", ]', [("D015", "a.json:2")]),
        (
            "a.jsonl",
            f'["{TEXT}", {{"entities": [[0, 7, "PER"]]}}]\n{{"text": "x"}}\n["x", \n',
            [("D059", "a.jsonl:2"), ("D015", "a.jsonl:3")],
        ),
        ("a.jsonl", '["x", "y"]\n', [("D016", "a.jsonl:1")]),
        ("a.json", "[[]]", [("D059", "a.json:1")]),
        ("a.json", "[ [", [("D015", "a.json:1")]),
    ],
)
def test_pairs_that_are_none(tmp_path: Path, name: str, content: str, expected: list[tuple[str, str]]) -> None:
    assert refused(put(tmp_path, name, content.encode())) == expected


@pytest.mark.parametrize(
    "row",
    [
        {"text": "hello there", "label": "greeting"},
        {"tokens": ["a", "b"], "other": ["c", "d"]},
        {"text": "hello there"},
        {"tokens": ["a", "b"], "entities": [[0, 1, "x"]]},
        {"text": "hello there", "one": [[0, 5, "x"]], "other": [[0, 5, "x"]]},
    ],
)
def test_rows_of_another_kind_are_refused(tmp_path: Path, row: dict[str, Any]) -> None:
    (problem,) = problems(put(tmp_path, "a.jsonl", json_lines([row, row])))
    assert problem.code == "D021"
    assert all(name in problem.what for name in row)


# --- rows to predict, whole data sets, what the form says of them -------------------------------------------


def test_rows_to_predict(tmp_path: Path) -> None:
    content = json_lines([{"tokens": ["Ann", "Lee"]}, {"tokens": []}])
    assert words_of(unlabelled(put(tmp_path, "a.jsonl", content))) == [["Ann", "Lee"], []]
    content = json_lines([{"text": "Ann, Lee", "tags": ["O"]}, {"text": ""}])
    found = unlabelled(put(tmp_path, "b.jsonl", content))
    assert words_of(found) == [["Ann", ",", "Lee"], []]
    assert not found.shape.has("spans")
    assert words_of(unlabelled(put(tmp_path, "c.csv", b"id,message\n1,Ann is here now\n"))) == [
        ["Ann", "is", "here", "now"]
    ]


def many(count: int = 60) -> list[dict[str, Any]]:
    """Rows of different texts; every fourth has no entity, LOC is rare."""
    found = []
    for number, (text, _) in enumerate(rows(count)):
        tags = ["O"] * 6
        if number % 4:
            tags[1:3] = ["B-PER", "I-PER"]
        if number % 10 == 1:
            tags[4] = "B-LOC"
        found.append({"tokens": text.split(), "tags": tags})
    return found


def test_splits_are_made_by_type(tmp_path: Path) -> None:
    found = trained(tmp_path, many())
    assert found.labels == ("LOC", "PER")
    assert found.form == "entities"
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 36,
        "validation": 12,
        "test": 12,
    }
    form = Entities()
    counts = {split: form.counts(examples, found.labels).tolist() for split, examples in found.splits.items()}
    assert [sum(count[n] for count in counts.values()) for n in (0, 1)] == [6, 45]
    assert counts["test"][0] >= 1 and counts["train"][0] >= 1
    assert reopen(tmp_path / "out").columns.tokens == "tokens"
    assert any(said(found.splits["test"])) and words_of(found.splits["test"])[0]


def test_without_entities_there_is_nothing_to_learn(tmp_path: Path) -> None:
    content = [{**row, "tags": ["O"] * 6} for row in many()]
    source = put(tmp_path, "rows.jsonl", json_lines(content))
    (problem,) = problems_of(read, source, into=tmp_path / "out", form=Entities())
    assert problem.code == "D031"


def test_types_that_training_lacks_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "train.jsonl", json_lines(many()))
    other = [
        {**row, "tags": [tag.replace("LOC", "loc").replace("PER", "ORG") for tag in row["tags"]]} for row in many(30)
    ]
    put(tmp_path, "test.jsonl", json_lines(other))
    found = problems_of(read, tmp_path, into=tmp_path / "out", form=Entities())
    assert [(problem.code, problem.where) for problem in found] == [("D032", "test"), ("D032", "test")]
    assert "'ORG'" in found[0].what and "test.jsonl:2" in found[0].what and "more rows" in found[0].what
    assert found[1].remedy == "Training has 'LOC': make them the same."
    assert refused(tmp_path / "test.jsonl") == [("D032", "test")] * 2


def test_equal_truths_have_equal_numbers() -> None:
    examples = examples_of(
        [
            ("Ann, in Oslo", [(0, 3, "PER"), (8, 12, "LOC")]),
            ("Ann in OSLO!", [(0, 3, "PER"), (7, 11, "LOC")]),
            ("Ann in Oslo", [(0, 3, "PER")]),
            ("Ann in Oslo", [(0, 3, "LOC")]),
            ("Ann in Oslo", []),
        ]
    )
    truths = Entities().truths(examples, ("LOC", "PER"))
    assert truths[0] == truths[1]
    assert len(set(truths.tolist())) == 4


def test_strata_are_the_types_of_a_row() -> None:
    examples = examples_of([("Ann Oslo", [(0, 3, "PER"), (4, 8, "LOC")]), ("x", []), ("Rome", [(0, 4, "LOC")])])
    expected = np.asarray([[True, True], [False, False], [True, False]])
    np.testing.assert_array_equal(Entities().strata(examples, ("LOC", "PER")), expected)


def test_files_with_a_word_a_line_are_of_no_other_task(tmp_path: Path) -> None:
    for name in ("a.conll", "a.txt"):
        source = put(tmp_path, name, b"Ann B-PER\n\n")
        (problem,) = problems_of(read, source, into=tmp_path / "out", form=Labelled())
        assert problem.code == "D005" and "token classification" in problem.what
