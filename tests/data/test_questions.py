from __future__ import annotations

import csv
import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tests.data.made import ANIMALS, json_lines, problems_of, put, real
from tests.data.question_rows import PARIS, PLACED, ROME, ROWS, many, one_file, placed, read, row, squad
from whet.data import ROW_FORMS, other_reading, reading
from whet.data.forms import Examples
from whet.data.question_facts import answerable, context_hashes
from whet.data.questions import ANSWERS, Questions
from whet.data.row_form import Choice
from whet.errors import UserError


def listed(one: dict) -> list[dict]:
    """Answers as a list of objects."""
    pairs = zip(one["answers"]["text"], one["answers"]["answer_start"], strict=True)
    return [{"text": text, "answer_start": start} for text, start in pairs]


def table(values: list[list[str]], header: list[str]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([header, *values])
    return sink.getvalue().encode()


def in_cells(spell) -> bytes:
    return table([[r["question"], r["context"], spell(r["answers"])] for r in ROWS], ["question", "context", "answers"])


LAYOUTS = {
    "rows.jsonl": json_lines(ROWS),
    "rows.json": json.dumps(ROWS, indent=1, ensure_ascii=False).encode(),
    "data.json": json.dumps({"data": ROWS}).encode(),
    "listed.jsonl": json_lines([{**r, "answers": listed(r)} for r in ROWS]),
    "short.jsonl": json_lines(
        [{**r, "answers": [{"text": a["text"], "start": a["answer_start"]} for a in listed(r)]} for r in ROWS]
    ),
    "rows.jsonl.gz": json_lines(ROWS),
    "json.csv": in_cells(json.dumps),
    "python.csv": in_cells(repr),
    "squad.json": squad([ROWS[0], ROWS[1], ROWS[3], ROWS[2]]).encode(),
    "lines.json": squad([ROWS[0], ROWS[1], ROWS[3], ROWS[2]], indent=2).encode(),
    "first.json": squad([ROWS[0], ROWS[1], ROWS[3], ROWS[2]], version_2=False).encode(),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path, name):
    found = one_file(put(tmp_path, name, LAYOUTS[name])).examples
    order = [0, 1, 3, 2] if name in ("squad.json", "lines.json", "first.json") else [0, 1, 2, 3]
    assert found.column("text") == [ROWS[number]["question"] for number in order]
    assert found.column("text_pair") == [ROWS[number]["context"] for number in order]
    assert placed(found) == [PLACED[number] for number in order]


@pytest.mark.parametrize("ending", ["parquet", "arrow", "feather"])
@pytest.mark.parametrize("shape", ["struct of lists", "list of structs"])
def test_binary_files_hold_structures(tmp_path, ending, shape):
    answers = [r["answers"] for r in ROWS] if shape == "struct of lists" else [listed(r) for r in ROWS]
    made = pa.table(
        {"question": [r["question"] for r in ROWS], "context": [r["context"] for r in ROWS], "answers": answers}
    )
    path = tmp_path / f"rows.{ending}"
    (pq.write_table if ending == "parquet" else pyarrow.feather.write_feather)(made, path)
    assert placed(one_file(path).examples) == PLACED


def test_a_saved_data_set_of_the_hub(tmp_path):
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_list([{"id": str(n), "title": "Cities", **r} for n, r in enumerate(ROWS)])
    split.save_to_disk(str(tmp_path / "saved"))
    assert placed(one_file(tmp_path / "saved").examples) == PLACED


def test_plain_answers_are_looked_for(tmp_path):
    values = [["Which river?", PARIS, "Seine"], ["Which city?", PARIS, "Paris"], ["Who?", ROME, '["Romans", "Rome"]']]
    found = one_file(
        put(tmp_path, "rows.csv", table([*values, ["Why?", ROME, "[]"]], ["question", "context", "answer"]))
    )
    assert placed(found.examples) == [
        [(47, "Seine")],
        [(0, "Paris")],
        [(ROME.index("Romans"), "Romans"), (0, "Rome")],
        [],
    ]
    [entry] = found.ledger.changed
    assert (entry.code, entry.count, entry.lines) == ("A020", 1, [2]), "only the Seine stands there twice"


def test_answers_over_two_columns(tmp_path):
    header = ["question", "context", "answer_text", "answer_start", "is_impossible"]
    values = [
        ["Which river?", PARIS, "Seine", "62", "False"],
        ["Which?", PARIS, '["Paris", "France"]', "[0, 24]", "false"],
        ["Who?", ROME, "", "", "True"],
        ["Who?", ROME, "Romans", "", "0"],
    ]
    found = one_file(put(tmp_path, "rows.csv", table(values, header)))
    assert placed(found.examples) == [[(62, "Seine")], [(0, "Paris"), (24, "France")], [], [PLACED[2][0]]]
    assert found.ledger.changed == []


def test_a_document_is_read_with_the_line_of_every_question(tmp_path):
    text = squad(ROWS, indent=2)
    found = one_file(put(tmp_path, "dev.json", text.encode())).examples
    lines = text.split("\n")
    for number, question in enumerate(found.column("text")):
        line = int(found.place(number).rpartition(":")[2])
        assert question in "".join(lines[line - 1 : line + 1]), "the object begins one line before its question"
    assert len(set(found.column("group"))) == 2, "a title that all share does not tell documents apart"


def test_a_title_behind_its_paragraphs_and_articles_on_lines(tmp_path):
    article = json.loads(squad(ROWS))["data"][0]
    lines = [{"paragraphs": article["paragraphs"], "title": f"City {number}"} for number in range(2)]
    found = one_file(put(tmp_path, "articles.jsonl", json_lines(lines))).examples
    assert found.column("group") == ["City 0"] * 4 + ["City 1"] * 4
    assert [found.place(number) for number in (0, 4)] == ["articles.jsonl:1", "articles.jsonl:2"]
    paragraphs = put(tmp_path, "paragraphs.json", json.dumps(article["paragraphs"]).encode())
    assert placed(one_file(paragraphs).examples) == placed(found.take(range(4)))


def test_what_a_row_only_for_prediction_needs(tmp_path):
    path = put(
        tmp_path, "rows.jsonl", json_lines([{"question": "Who?", "context": ROME}, {"question": "", "context": ""}])
    )
    found = other_reading.read_unlabelled(path, into=tmp_path / "out", form=Questions()).examples
    assert found.column("text") == ["Who?", ""]
    assert [name for name, _ in found.shape.more] == ["text_pair"]
    document = put(tmp_path, "test.json", squad(ROWS).replace('"answers"', '"said"').encode())
    found = other_reading.read_unlabelled(document, into=tmp_path / "two", form=Questions()).examples
    assert len(found) == 4
    lines = put(tmp_path, "lines.txt", b"Who lives in Rome?\n")
    with pytest.raises(UserError, match="D060"):
        other_reading.read_unlabelled(lines, into=tmp_path / "three", form=Questions())


def test_the_stored_form(tmp_path):
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(ROWS)))
    schema = found.examples.shape.schema
    assert schema.field("answers").type == ANSWERS
    assert schema.field("group").type == pa.string()
    assert found.columns.to_json()["label"] == "answers"
    assert ROW_FORMS["question-answering"] == "whet.data.questions:Questions"


def test_empty_lists_are_rows_and_missing_answers_are_missing(tmp_path):
    rows = [*ROWS, {"question": "Who?", "context": ROME, "answers": None}, {"question": "Why?", "context": ROME}]
    path = put(tmp_path, "rows.jsonl", json_lines(rows))
    [problem] = problems_of(one_file, path)
    assert problem.code == "D030"
    assert "2 rows have no answer in column 'answers' (line 5, 6)" in problem.what
    found = one_file(path, drop_unlabelled=True)
    assert answerable(found.examples).tolist() == [True, True, True, False]
    assert [(entry.code, entry.reason, entry.count) for entry in found.ledger.dropped] == [("A013", "no answer", 2)]


def test_empty_questions_and_contexts_are_left_out_on_record(tmp_path):
    rows = [*ROWS, row("", PARIS), row("Who?", "  "), row(" ", ROME, (5, "nowhere"))]
    [*_, last] = problems_of(one_file, put(tmp_path, "bad.jsonl", json_lines(rows)))
    assert (last.code, last.where) == ("D062", "bad.jsonl:7")
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows[:-1])))
    entries = [(entry.code, entry.reason, entry.lines) for entry in found.ledger.dropped]
    assert entries == [("A001", "empty text", [5]), ("A001", "empty context", [6])]
    assert len(found.examples) == 4


def test_questions_on_one_context_stay_on_one_side(tmp_path):
    found = read(put(tmp_path, "rows.jsonl", json_lines(many(200))))
    sides = {split: set(examples.column("text_pair")) for split, examples in found.splits.items()}
    assert sum(map(len, sides.values())) == 20 == len(set.union(*sides.values()))
    assert "questions on one context belong together" in found.columns.reasons["group"]
    groups = found.splits["train"].groups
    assert groups is not None
    assert len(set(groups.tolist())) == len(sides["train"])
    shares = [answerable(examples).mean() for examples in found.splits.values()]
    assert max(shares) - min(shares) <= 0.1, "made splits are balanced by whether there is an answer"
    assert reading.reopen(tmp_path / "read").columns == found.columns


def test_questions_on_one_document_stay_on_one_side(tmp_path):
    rows = [{**one, "title": f"Street of the {ANIMALS[number % 20 // 2]}"} for number, one in enumerate(many(200))]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.columns.group == "title"
    sides = {split: set(examples.column("group")) for split, examples in found.splits.items()}
    assert sum(map(len, sides.values())) == 10 == len(set.union(*sides.values()))


@pytest.mark.parametrize("case", ["none", "one context", "named"])
def test_when_the_context_does_not_bind(tmp_path, case):
    rows = many(60, 1 if case == "one context" else 12)
    rows = [{**one, "asker": ANIMALS[number % 6]} for number, one in enumerate(rows)]
    path = put(tmp_path, "rows.jsonl", json_lines(rows))
    found = read(path, **{"none": {"group": "none"}, "one context": {}, "named": {"group": "asker"}}[case])
    if case == "named":
        sides = [set(examples.column("group")) for examples in found.splits.values()]
        assert sum(map(len, sides)) == 6
        assert found.columns.reasons["group"] == "column 'asker': named by the user"
    else:
        assert found.splits["train"].groups is None
        everywhere = [set(examples.column("text_pair")) for examples in found.splits.values()]
        assert sum(map(len, everywhere)) > len(set.union(*everywhere)), "contexts are spread over splits"


def test_a_title_that_all_share_does_not_tell_rows_apart(tmp_path):
    rows = [{**one, "title": "The street"} for one in many(60)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.columns.group is None
    assert "no column names their documents" in found.columns.reasons["group"]


def test_training_without_any_answer_is_refused(tmp_path):
    [problem] = problems_of(
        read, put(tmp_path, "rows.jsonl", json_lines([row(f"Who is {n}?", ROME) for n in range(30)]))
    )
    assert problem.code == "D031"


def test_what_the_form_says_of_rows(tmp_path):
    form = Questions()
    again = row("what is the capital of france", PARIS, (0, "Paris"), (0, "Paris"))
    rows = [*ROWS, again, row("Who lives in Paris?", PARIS, (24, "France"))]
    examples = one_file(put(tmp_path, "rows.jsonl", json_lines(rows))).examples
    assert form.labels(examples) == ()
    assert form.counts(examples, ()).shape == (0,)
    assert form.strata(examples, ()).tolist() == [1, 1, 1, 0, 1, 1]
    truths = form.truths(examples, ())
    assert truths[0] == truths[4]
    assert truths[3] != truths[5]
    assert len(set(form.together(examples).tolist())) == 2
    np.testing.assert_array_equal(context_hashes(examples), form.together(examples))
    form.refuse_unknown(examples, ())


# --- real sets -------------------------------------------------------------------------------------

REAL = {
    "squad_v1_dev_articles": ((4610, 409, 1516), (4610, 409, 1516)),
    "squad_v2_dev_articles": ((5778, 517, 1773), (3043, 218, 866)),
    "subjqa": ((4077, 941, 1726), (2551, 597, 1109)),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(tmp_path, name):
    folder = real(name)
    found = reading.read(folder, into=tmp_path / "out", form=Questions())
    sizes = tuple(len(found.splits[split]) for split in ("train", "validation", "test"))
    assert (sizes, tuple(int(answerable(found.splits[s]).sum()) for s in ("train", "validation", "test"))) == REAL[name]
    assert all(not ledger.dropped and not ledger.changed for ledger in found.ledger.values())
    for split, examples in found.splits.items():
        with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            given = [json.loads(line) for line in file]
        assert examples.column("text") == [one["question"] for one in given]
        assert placed(examples) == [
            list(zip(one["answers"]["answer_start"], one["answers"]["text"], strict=True)) for one in given
        ]
        _stands(examples)


def _stands(examples: Examples) -> None:
    for context, answers in zip(examples.column("text_pair"), placed(examples), strict=True):
        assert all(context[start : start + len(text)] == text for start, text in answers)


def test_a_choice_of_columns_is_kept(tmp_path):
    rows = [{"q": one["question"], "p": one["context"], "a": one["answers"], "b": 1} for one in ROWS]
    path = put(tmp_path, "rows.jsonl", json_lines(rows))
    found = one_file(path, text="q", text_pair="p", label="a")
    assert found.columns.wanted == ["q", "p", "a"]
    assert placed(found.examples) == PLACED
    assert problems_of(one_file, path, text="nothing")[0].code == "D020"
    with pytest.raises(UserError, match="D060"):
        one_file(path, text_pair="none")
    assert Choice(text_pair="none").text_pair == "none"
