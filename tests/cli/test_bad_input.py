"""Whatever is wrong with what the user gave: exit code 2, a message that says what and where, and nothing left."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import made_rows
from tests.made_runs import Runs

from .calling import Whet


@dataclass(frozen=True)
class Place:
    """Where a case is prepared."""

    folder: Path
    runs: Runs

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def fit(self, source: Path | str, *more: str, base: Path | str | None = None) -> list[str]:
        words = ["fit", str(source), "--base", str(base or self.runs.base()), "--method", "probe"]
        return [*words, "--out", str(self.folder / "run"), *more]

    def good(self) -> Path:
        return self.runs.data()


Case = Callable[[Place], list[str]]


def rows(labels: str = "ab", count: int = 40) -> str:
    return "text,label\n" + "".join(f"my order number {n},{labels[n % len(labels)]}\n" for n in range(count))


def of_text(name: str, content: str | bytes, *more: str) -> Case:
    """Fitting on a file of that content."""
    return lambda place: place.fit(place.write(name, content), *more)


def with_options(*more: str) -> Case:
    """Fitting on good rows with these options."""
    return lambda place: place.fit(place.good(), *more)


def with_recipe(text: str, *more: str) -> Case:
    """Fitting on good rows with this recipe."""
    return lambda place: ["fit", str(place.good()), "--recipe", str(place.write("recipe.yaml", text)), *more]


def split_folder(place: Place) -> list[str]:
    place.write("set/train.csv", rows())
    place.write("set/test.csv", rows("abc", 12))
    return place.fit(place.folder / "set")


def cut_parquet(place: Place) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = place.folder / "rows.parquet"
    pq.write_table(pa.table({"text": ["a", "b"] * 50, "label": ["x", "y"] * 50}), path)
    path.write_bytes(path.read_bytes()[:-40])
    return place.fit(path)


def no_model(place: Place) -> list[str]:
    place.write("base/notes.txt", "nothing")
    return place.fit(place.good(), base=place.folder / "base")


def pickled_weights(place: Place) -> list[str]:
    base = Path(shutil.copytree(place.runs.base(), place.folder / "base"))
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    return place.fit(place.good(), base=base)


def cut_weights(place: Place) -> list[str]:
    base = Path(shutil.copytree(place.runs.base(), place.folder / "base"))
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    return place.fit(place.good(), base=base)


def of_type(model_type: str) -> Case:
    """A base whose configuration is of another kind of model."""

    def case(place: Place) -> list[str]:
        base = Path(shutil.copytree(place.runs.base(), place.folder / "base"))
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({**config, "model_type": model_type}))
        return place.fit(place.good(), base=base)

    return case


def evaluate_several_labels(place: Place) -> list[str]:
    several = place.runs.data(made_rows.several_jsonl)
    rows = [
        {**row, "labels": [one for one in row["labels"] if one != "question"]}
        for row in map(json.loads, several.read_text().splitlines())
    ]
    source = place.write("new.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return ["evaluate", str(place.runs.finished("full")), str(source)]


def no_tokenizer(place: Place) -> list[str]:
    base = Path(shutil.copytree(place.runs.base(), place.folder / "base"))
    for path in base.glob("tokenizer*"):
        path.unlink()
    return place.fit(place.good(), base=base)


def full_folder(place: Place) -> list[str]:
    place.write("run/notes.txt", "mine")
    return place.fit(place.good())


def out_is_a_file(place: Place) -> list[str]:
    place.write("run", "mine")
    return place.fit(place.good())


def of_run(*words: str) -> Case:
    """A command on a finished run, which stands for RUN, and on the rows it was fitted on, which stand for ROWS."""

    def case(place: Place) -> list[str]:
        known = {"RUN": str(place.runs.finished("full")), "ROWS": str(place.good()), "HERE": str(place.folder)}
        return [known.get(word, word) for word in words]

    return case


def unfinished(command: str) -> Case:
    def case(place: Place) -> list[str]:
        run = place.folder / "begun"
        (run / "stages").mkdir(parents=True)
        (run / "state.json").write_text(json.dumps({"state": "running", "id": "x", "name": "begun"}))
        return [command, str(run), *([] if command == "resume" else [str(place.good())])]

    return case


def damaged(command: str, *more: str) -> Case:
    """A command on a run whose state.json holds an object and nothing in it."""

    def case(place: Place) -> list[str]:
        known = {"RUN": str(place.runs.finished("full")), "ROWS": str(place.good())}
        place.write("broken/state.json", "{}")
        return [command, str(place.folder / "broken"), *(known.get(word, word) for word in more)]

    return case


def search(command: str, *more: str) -> Case:
    """A command on a search that is under way."""

    def case(place: Place) -> list[str]:
        place.write("search/state.json", json.dumps({"state": "interrupted", "id": "x", "sweep": True}))
        known = {"RUN": str(place.runs.finished("full")), "ROWS": str(place.good())}
        return [command, str(place.folder / "search"), *(known.get(word, word) for word in more)]

    return case


def evaluate_unknown_label(place: Place) -> list[str]:
    rows = place.write("new.csv", "message,intent\nwhere is my card,card\nwhere is it,Card\nwhat,lost\n")
    return ["evaluate", str(place.runs.finished("full")), str(rows)]


def compare_other_rows(place: Place) -> list[str]:
    return ["compare", str(place.runs.finished("full")), str(place.runs.fit("probe", place.folder / "other", seed=1))]


def compare_other_labels(place: Place) -> list[str]:
    return ["compare", str(place.runs.finished("full")), str(place.runs.finished("auto-pairs"))]


CASES: dict[str, tuple[Case, tuple[str, ...]]] = {
    # the rows
    "no rows named": (lambda place: ["fit"], ("R012 data: is required",)),
    "missing file": (
        lambda place: place.fit("nowhere/rows.csv"),
        ("D001 nowhere/rows.csv: does not exist. Check the path.",),
    ),
    "missing file, nearly named": (
        lambda place: place.fit(place.write("rows.csv", rows()).with_name("row.csv")),
        ("D001", "row.csv", "Did you mean 'rows.csv'?"),
    ),
    "empty file": (of_text("rows.csv", ""), ("D002", "rows.csv: is empty")),
    "header only": (of_text("rows.csv", "text,label\n"), ("D003", "rows.csv")),
    "unknown ending": (of_text("rows.docx", "text"), ("D005", "rows.docx")),
    "no such column": (
        with_options("--text", "mesage"),
        (
            "D020 data.text: 'mesage' is not a column of messages.csv (columns: message, intent)",
            "Did you mean 'message'?",
        ),
    ),
    "two columns that do not exist": (
        with_options("--text", "mesage", "--label", "intention"),
        ("'mesage'",),
    ),
    "one column for two things": (with_options("--text", "intent", "--label", "intent"), ("R020", "'intent'")),
    "one class": (of_text("rows.csv", rows("a")), ("D031", "every row has the same label: 'a'", "--label")),
    "missing labels": (
        of_text("rows.csv", rows() + "no label,\nnone either,\n"),
        ("D030 rows.csv: 2 rows have no label", "(line 42, 43)", "--set data.drop_unlabelled=true"),
    ),
    "label in test that train lacks": (
        split_folder,
        ("D032 test: the label 'c' does not occur in training (test.csv:4", "Add training rows"),
    ),
    "ragged": (of_text("rows.csv", rows() + "one,two,three\n"), ("rows.csv:42", "3")),
    "many ragged rows": (
        of_text("rows.csv", rows() + "one,two,three\n" * 50),
        ("rows.csv:42", "... and 30 more problems of this kind"),
    ),
    "unclosed quote": (of_text("rows.csv", rows() + '"no end,a\n'), ("rows.csv:42",)),
    "wrong encoding": (
        of_text("rows.csv", rows().replace("order", "Größe").encode("latin-1")),
        ("rows.csv", "encoding"),
    ),
    "unknown encoding": (with_options("--set", "data.encoding=klingon"), ("klingon",)),
    "binary": (of_text("rows.csv", bytes(range(256)) * 20), ("D007", "rows.csv")),
    "a picture named csv": (of_text("rows.csv", b"\x89PNG\r\n\x1a\n" + bytes(2000)), ("rows.csv",)),
    "malformed JSON at a line": (
        of_text("rows.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": \n'),
        ("rows.jsonl:2",),
    ),
    "JSON that is no list": (of_text("rows.json", '{"text": "a"}'), ("rows.json",)),
    "cut gzip": (of_text("rows.csv.gz", b"\x1f\x8b\x08\x00rest"), ("rows.csv.gz",)),
    "cut parquet": (cut_parquet, ("rows.parquet",)),
    "folder without rows": (
        lambda place: place.fit(place.write("set/notes.md", "nothing").parent),
        ("D006",),
    ),
    "data set of the hub without network": (
        lambda place: place.fit("somebody/nothing"),
        ("D011 somebody/nothing: there is no such file or folder here, and as a hub data set",),
    ),
    # the base
    "base is no folder": (lambda place: place.fit(place.good(), base="./nothing"), ("M003 base './nothing'",)),
    "base is no model": (no_model, ("M003", "base: is not a model: it has no config.json (found notes.txt)")),
    "base of pickles": (pickled_weights, ("M005", "holds its weights as pickle (.bin) only", "safetensors")),
    "base of cut weights": (cut_weights, ("M007", "base")),
    "base without tokenizer": (no_tokenizer, ("M006", "base")),
    "base for pictures": (of_type("vit"), ("M008", "is a model of type 'vit', which transformers cannot make")),
    "base of a type that nobody knows": (of_type("nonsense"), ("M007", "model type `nonsense`")),
    "base of the hub without network": (
        lambda place: place.fit(place.good(), base="somebody/model"),
        ("M004 base 'somebody/model'", "the hub cannot be reached", "--base minilm"),
    ),
    # options and recipes
    "unknown method": (with_options("--method", "magic"), ("R011 method: got 'magic'", "'auto' or 'probe'")),
    "unknown task": (with_options("--task", "poetry"), ("R011 task: got 'poetry'", "'text-classification'")),
    "unknown option": (
        with_options("--set", "training.epoch=3"),
        ("R010 training.epoch: is not an option. Did you mean 'epochs'?",),
    ),
    "set without a value": (
        with_options("--set", "training.epochs"),
        ("R004 --set training.epochs: is not of the form NAME=VALUE", "--set training.epochs=3"),
    ),
    "out of range": (with_options("--set", "data.test_share=1.5"), ("R011 data.test_share: got 1.5", "below 1")),
    "not a number": (with_options("--set", "seed=many"), ("R011 seed: got 'many'", "a whole number")),
    "several mistakes at once": (
        with_options("--set", "seed=-1", "--set", "training.epochs=0", "--set", "hed.start=probe"),
        ("R011 seed", "R011 training.epochs", "R010 hed", "Did you mean 'head'?"),
    ),
    "one option given twice": (
        with_options("--seed", "1", "--set", "seed=2"),
        ("R005 seed: is given as 1 and, by --set, as 2",),
    ),
    "set twice": (
        with_options("--set", "training.patience=1", "--set", "training.patience=2"),
        ("R004 --set training.patience: is given twice: 1 and 2",),
    ),
    "probe with options of LoRA": (
        with_options("--set", "lora.rank=4"),
        ("R021 lora: is set, but method is 'probe'. Set method to lora or qlora",),
    ),
    "probe with options of training": (with_options("--set", "training.epochs=2"), ("R022 training",)),
    "missing recipe": (
        lambda place: ["fit", str(place.good()), "--recipe", str(place.folder / "none.yaml")],
        ("R001", "none.yaml: there is no such recipe"),
    ),
    "recipe with an unknown key": (
        with_recipe("method: probe\ntraining:\n  epochs: 2\n  patiense: 1\n"),
        ("R010", "recipe.yaml:4 training.patiense: is not an option. Did you mean 'patience'?"),
    ),
    "recipe that is no YAML": (with_recipe("method: [probe\n"), ("R002", "recipe.yaml:")),
    "recipe with a value out of range": (with_recipe("seed: -3\n"), ("recipe.yaml:1 seed: got -3",)),
    "recipe to check with an unknown key": (
        lambda place: ["check", str(place.write("recipe.yaml", "methud: probe\ndata: {source: x.csv}\n"))],
        ("recipe.yaml:1 methud", "Did you mean 'method'?"),
    ),
    "audit of nothing": (lambda place: ["audit", str(place.folder / "none.csv")], ("D001", "none.csv")),
    # folders
    "out holds something": (full_folder, ("F013", "run: exists and is not empty. Choose another folder with --out.")),
    "out is a file": (out_is_a_file, ("F013", "run: exists")),
    "out holds a run": (
        lambda place: [*place.fit(place.good())[:-1], str(place.runs.finished("full"))],
        ("F013", "holds a run already", "whet resume"),
    ),
    "resume of a finished run": (of_run("resume", "RUN"), ("F014", "is finished", "report.html")),
    "resume of no run": (of_run("resume", "HERE"), ("F012", "is not a run folder (it has no state.json)")),
    "resume of nothing": (of_run("resume", "nowhere"), ("F012 nowhere: is not a run folder",)),
    "resume of a run that never began": (
        unfinished("resume"),
        ("F010", "recipe.yaml: is missing: the run never began", "start again"),
    ),
    "predict with no run": (of_run("predict", "HERE", "ROWS"), ("F012", "is not a run folder")),
    "predict with an unfinished run": (unfinished("predict"), ("F015", "is running, not finished", "whet resume")),
    "predict of a missing file": (of_run("predict", "RUN", "none.csv"), ("D001 none.csv",)),
    "predict with an unknown model": (of_run("predict", "RUN", "ROWS", "--model", "ful"), ("Did you mean 'full'?",)),
    "predict with a baseline": (
        of_run("predict", "RUN", "ROWS", "--model", "majority"),
        ("M033 --model: 'majority' is a baseline of which only the answers of the run are kept", "Use 'full', 'probe'"),
    ),
    "predict into an ending that says nothing": (
        of_run("predict", "RUN", "ROWS", "--out", "answers.xlsx"),
        ("F017 answers.xlsx: the ending '.xlsx' says no format. End its name in '.jsonl' or '.csv'.",),
    ),
    "predict into no ending": (of_run("predict", "RUN", "ROWS", "--out", "answers"), ("F017", "has no ending")),
    "predict of a column that is not there": (
        of_run("predict", "RUN", "ROWS", "--text", "massage"),
        ("D020", "Did you mean 'message'?"),
    ),
    "evaluate with no run": (of_run("evaluate", "HERE", "ROWS"), ("F012",)),
    "evaluate with an unfinished run": (unfinished("evaluate"), ("F015",)),
    "evaluate with an unknown label": (
        evaluate_unknown_label,
        ("D032 test: the label 'Card' does not occur in training (new.csv:3)", "Training has 'card'", "'lost'"),
    ),
    "evaluate on several labels a row": (
        evaluate_several_labels,
        ("M040", "has several labels a row, unlike what the model was trained for"),
    ),
    "compare one run": (of_run("compare", "RUN"), ("F016",)),
    "compare a run with itself": (of_run("compare", "RUN", "RUN"), ("F016",)),
    "compare with no run": (of_run("compare", "RUN", "HERE"), ("F012",)),
    "compare on other rows": (compare_other_rows, ("V101",)),
    "compare on other labels": (
        compare_other_labels,
        ("V102", "answer with different labels: only", "Compare models of the same labels."),
    ),
    "predict with a search under way": (search("predict", "ROWS"), ("F015", "Go on with: whet sweep --resume")),
    "compare with a search under way": (search("compare", "RUN"), ("F015", "Go on with: whet sweep --resume")),
    "a damaged state, by gate": (damaged("gate", "--against", "RUN"), ("F011", "state.json: is damaged")),
    "a damaged state, by compare": (damaged("compare", "RUN"), ("F011", "'state' is missing")),
    "a damaged state, by predict": (damaged("predict", "ROWS"), ("F011", "Put back a whole copy")),
    "a damaged state, by report": (damaged("report"), ("F011",)),
    "a damaged state, by show": (damaged("show"), ("F011",)),
    "a damaged state, by resume": (damaged("resume"), ("F011",)),
    "report of no run": (of_run("report", "HERE"), ("F012",)),
}


def listed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_clearly_and_nothing_is_left(
    whet: Whet, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    case, wanted = CASES[name]
    folder = tmp_path / "here"
    folder.mkdir()
    words = case(Place(folder, runs))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cwd"))
    before = listed(tmp_path)
    answer = whet(words)
    assert answer.code == 2, answer
    for part in wanted:
        assert part in answer.err, answer.err
    assert "Traceback" not in answer.err + answer.out
    assert not re.search(r"\b\w+(Error|Exception): ", answer.err)
    for line in answer.err.strip().splitlines():  # a code and a place, or the count of what is not shown
        assert (line[:1].isupper() and line[1:4].isdigit()) or line.startswith("... and "), line
        assert ": " in line or line.startswith("... and ")
    assert listed(tmp_path) == before, "something was left behind"


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "--nonsense"],
        ["nonsense"],
        ["predict"],
        ["fit", "a.csv", "--seed", "x"],
        ["compare"],
        ["runs", "--limit", "x"],
    ],
)
def test_a_command_that_is_no_command(whet: Whet, words: list[str]):
    answer = whet(words)
    assert answer.code == 2
    assert "Usage: whet" in answer.err
    assert answer.out == ""


def test_the_message_comes_with_json_too(whet: Whet, runs: Runs, tmp_path: Path):
    answer = whet(["fit", "none.csv", "--base", str(runs.base()), "--out", str(tmp_path / "run"), "--json"])
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.splitlines()[-1].startswith("D001 none.csv")


def test_rows_without_labels_can_be_dropped(whet: Whet, runs: Runs, tmp_path: Path):
    """What the message about them offers."""
    source = made_rows.single(tmp_path)
    with source.open("a") as file:
        file.write("no label at all,\n")
    place = Place(tmp_path, runs)
    answer = whet(place.fit(source, "--set", "data.drop_unlabelled=true", "--set", "evaluation.resamples=100"))
    assert answer.code == 0, answer.err
    ledger = json.loads((tmp_path / "run" / "data" / "ledger.json").read_text())["splits"]["train"]
    assert [one["lines"] for one in ledger["dropped"]] == [[122]]
