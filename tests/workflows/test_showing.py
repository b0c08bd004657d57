"""Rows as the model sees them: tokens, loss and cuts, held against what the tasks themselves do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import made_talks
from tests.made_models import make_base, tokenizer
from tests.made_runs import Runs
from tests.made_tasks import JOBS
from whet.batches import chat
from whet.data.reading import reopen
from whet.errors import UserError
from whet.report.shown_tokens import Gap, Shown, ShownRow
from whet.workflows.showing import show
from whet.workflows.token_marks import read_tokens


def quiet(*_: object) -> None:
    return


def shown(source: Path, base: Path, count: int = 3, **changes: Any) -> Shown:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return show(str(source), {"base": str(base), **named}, "train", count, quiet)


def ids(row: ShownRow) -> list[list[int]]:
    return [[token.id for token in strip.tokens] for strip in row.strips]


def lost(row: ShownRow) -> list[float]:
    return [token.loss for strip in row.strips for token in strip.tokens]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_talks.decoder(tmp_path_factory.mktemp("bases") / "decoder")


def test_conversations_are_those_of_training(decoder: Path, tmp_path: Path):
    """Ids and weights of what renders rows for training, whatever turns are trained on."""
    rows = [
        {
            "messages": [
                *made_talks.talk("where is it", "not yet", weight=0.5)["messages"],
                *made_talks.talk("help " * n + "me", "thank you")["messages"],
            ]
        }  # type: ignore[misc]
        for n in range(12)
    ]
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for train in ("answers", "last", "weights", "all"):
        found = shown(source, decoder, task="text-generation", chat__train=train)
        for row in found.rows:
            line = int(row.place.rpartition(":")[2])
            wanted = chat.render(tokenizer("llama"), rows[line - 1]["messages"], train=train)  # type: ignore[arg-type]
            assert ids(row) == [wanted.ids.tolist()]
            assert lost(row) == wanted.weights.tolist()
            assert row.num_counted == int((wanted.weights > 0).sum())
            assert row.num_cut == 0
    assert [row.strips[0].tokens[0].special for row in found.rows] == [True] * 3


@pytest.mark.parametrize("where", ["prompt", "answer"])
def test_a_cut_has_its_place(decoder: Path, tmp_path: Path, where: str):
    """Putting what is missing back where the gap is gives the whole row."""
    question, answer = ("please help", made_talks.LONG) if where == "answer" else (made_talks.LONG, "thank you")
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(made_talks.talk("help " * n + question, answer)) + "\n" for n in range(12)))
    found = shown(source, decoder, 1, task="text-generation", chat__cut=where, data__max_length=24)
    (row,) = found.rows
    line = int(row.place.rpartition(":")[2])
    whole = chat.render(tokenizer("llama"), made_talks.talk("help " * (line - 1) + question, answer)["messages"])  # type: ignore[arg-type]
    (strip,) = row.strips
    (gap,) = strip.gaps
    assert len(strip.tokens) == found.limit == 24
    assert row.num_cut == gap.tokens == len(whole.ids) - 24
    seen = ids(row)[0]
    assert [*seen[: gap.at], *whole.ids[gap.at : gap.at + gap.tokens].tolist(), *seen[gap.at :]] == whole.ids.tolist()
    assert sum(isinstance(piece, Gap) for piece in strip.pieces) == 1
    assert f"{gap.tokens} more cut" in row.summary


def test_documents_in_windows(decoder: Path, tmp_path: Path):
    """Every token of a document counts once, and reads as it stands."""
    text = " ".join(["where is my card", "the order has not arrived yet"] * 8)
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"{text} {'help ' * n}\n" for n in range(12)))
    found = shown(source, decoder, 1, task="language-modeling", data__max_length=20, data__stride=4)
    (row,) = found.rows
    assert len(row.strips) > 2 and row.strips[0].title == f"window 1 of {len(row.strips)}"
    counted = [token for strip in row.strips for token in strip.tokens if token.loss]
    size = len(reopen_text(row, source).split())
    assert len(counted) == size + 1  # with the token that ends it
    assert row.num_cut == 0 and all(not strip.gaps for strip in row.strips)
    read = "".join(token.text for token in counted[:-1])
    assert read.split() == reopen_text(row, source).split()


def reopen_text(row: ShownRow, source: Path) -> str:
    return source.read_text().splitlines()[int(row.place.rpartition(":")[2]) - 1]


def test_hidden_words_are_those_of_every_look(tmp_path: Path):
    base = make_base(tmp_path / "base", "bert", language=True)
    words = tokenizer("bert")
    words.add_special_tokens({"mask_token": "<unk>"})
    words.save_pretrained(base)
    source = tmp_path / "texts.txt"
    source.write_text("".join(f"where is my card the order has not arrived yet {'help ' * n}\n" for n in range(12)))
    found = shown(source, base, 4, task="fill-mask", masking__share=0.4)
    assert any("drawn anew" in note for note in found.notes)
    again = shown(source, base, 2, task="fill-mask", masking__share=0.4)
    assert [row.to_json() for row in again.rows] == [row.to_json() for row in found.rows[:2]]
    for row in found.rows:
        true = reopen_text(row, source).split()
        (strip,) = row.strips
        read = [token.tag or token.text.strip() for token in strip.tokens[1:-1]]
        assert read == true, "the hidden word stands as the tag"
        assert row.num_counted >= 1


def test_tags_of_words(tmp_path: Path):
    base, job = make_base(tmp_path / "base", "bert"), JOBS["entities"]
    source = job.rows(tmp_path)
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    for row in shown(source, base, 5, task=job.task).rows:
        true = rows[int(row.place.rpartition(":")[2]) - 1]
        tagged = [(token.text.strip(), token.tag) for strip in row.strips for token in strip.tokens if token.loss]
        assert tagged == list(zip(true["tokens"], true["tags"], strict=True))


def test_answers_within_windows(tmp_path: Path):
    base, job = make_base(tmp_path / "base", "bert"), JOBS["questions"]
    found = shown(
        job.rows(tmp_path), base, 12, task=job.task, **{k.replace(".", "__"): v for k, v in job.options.items()}
    )
    for row in found.rows:
        truth = dict(row.facts)["answers"]
        inside = [token for strip in row.strips for token in strip.tokens if "start" in token.tag]
        assert all(token.text.strip() in (truth, "<unk>") for token in inside)
        assert bool(inside) == (truth != "none")
        assert all(any(token.loss for token in strip.tokens) for strip in row.strips)
    assert any(len(row.strips) > 1 for row in found.rows)


@pytest.mark.parametrize("name", ["similarity", "similarity, both texts at once", "pairs", "regression", "ranking"])
def test_every_other_task(tmp_path: Path, name: str):
    base, job = make_base(tmp_path / "base", "bert"), JOBS[name]
    options = {key.replace(".", "__"): value for key, value in job.options.items()}
    found = shown(job.rows(tmp_path), base, 4, task=job.task, **options)
    assert len(found.rows) == 4
    assert all(row.strips and not row.num_counted for row in found.rows)
    assert any("whole row" in note for note in found.notes)
    json.dumps(found.to_json(), allow_nan=False)


def test_pairs_that_are_cut_in_both_texts(tmp_path: Path):
    base = make_base(tmp_path / "base", "bert")
    source = tmp_path / "rows.jsonl"
    rows = [{"a": "where is my card " * 3 + "help " * n, "b": "thank you " * 6, "score": n % 4} for n in range(20)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = shown(
        source,
        base,
        1,
        task="sentence-similarity",
        similarity__encoder="cross",
        data__max_length=15,
        data__text="a",
        data__text_pair="b",
        data__label="score",
    )
    (strip,) = found.rows[0].strips
    assert len(strip.gaps) == 2
    assert sum(gap.tokens for gap in strip.gaps) == found.rows[0].num_cut > 0
    assert strip.tokens[strip.gaps[0].at].text == strip.tokens[strip.gaps[1].at].text == "[SEP]"


def test_a_run_shows_its_own_rows(runs: Runs):
    """Its recipe, base and splits; options that its rows rest on are refused."""
    run = runs.finished("probe")
    before = sorted(path for path in run.rglob("*"))
    found = show(str(run), {"data.max_length": 8}, "test", 3, quiet)
    test = reopen(run / "data").splits["test"]
    assert found.num_rows == len(test) and found.limit == 8 and found.base == str(runs.base())
    assert [row.place for row in found.rows] == [test.place(number) for number in range(3)]
    assert [dict(row.facts)["label"] for row in found.rows] == test.rows([0, 1, 2], "label")
    assert all(len(row.strips[0].tokens) <= 8 for row in found.rows)
    assert sorted(path for path in run.rglob("*")) == before, "nothing is left in the run"
    for name, value in {"task": "regression", "base": "x", "data.text": "y"}.items():
        with pytest.raises(UserError, match="F018"):
            show(str(run), {name: value}, "train", 1, quiet)
    with pytest.raises(UserError, match="G001"):
        show(str(run), {}, "tset", 1, quiet)


def test_how_tokens_read():
    """Together they read as the text does, characters of several tokens among it."""
    words = tokenizer("qwen2")
    text = "naïve 😀 café\nwhere"
    encoded = np.asarray(words(text, add_special_tokens=False)["input_ids"], np.int64)
    nothing = np.full(len(encoded), -1, np.int64)
    found = read_tokens(words, (encoded, np.zeros(len(encoded), np.float32), [""] * len(encoded), nothing))
    assert "".join(token.text for token in found).replace("\ufffd", "").strip() == text
    assert not any(token.special for token in found)
