"""A teacher behind an endpoint that is asked for labels, entities or numbers, and answers in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests import made_rows, made_tasks
from tests.made_models import make_base
from tests.made_runs import MEAN
from tests.prompting.served import Answer, said, service
from whet.data.entity_arrays import Words, word_tags
from whet.data.entity_arrays import entities as spans_of
from whet.data.forms import Examples
from whet.errors import Interrupted, UserError
from whet.files import Lock
from whet.folder import RunFolder
from whet.recipe import Recipe
from whet.recipe.distillation_rules import distilled
from whet.report.distillation_section import distillation
from whet.report.page import page
from whet.report.run_files import read_run
from whet.workflows.fit import fit

SHORT: dict[str, Any] = {
    "method": "full",
    "evaluation__resamples": 100,
    "training__epochs": 1.0,
    "forgetting__measure": False,
    "distillation__teacher": "some-model",
}
Answers = Callable[[dict[str, Any], int], Answer]
UNLUCKY = ("please", "where")
"""Texts that begin so get no useful reply."""


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")


def text_of(body: dict[str, Any]) -> str:
    """The row that a service was asked about."""
    return str(body["messages"][-1]["content"]).rpartition("Text: ")[2].rpartition("\n")[0]


def topic(body: dict[str, Any], _: int = 0) -> Answer:
    """The first topic that the text has a word of."""
    words = text_of(body).split()
    if words[0] in UNLUCKY:
        return said("I would rather not say.")
    return said(next((name for name, some in made_rows.TOPICS.items() if set(some) & set(words)), "late"))


def run_of(folder: Path, rows: Path, answers: Answers, task: str = "text-classification", **more: Any) -> Path:
    """A finished run of a tiny student, taught by ``answers``."""
    baseline = {"text-classification": "majority", "regression": "mean"}.get(task, "dictionary")
    noise = {"evaluation__label_noise": False} if task == "text-classification" else {}
    base = make_base(folder / "base", "bert", MEAN)
    with service(answers) as there:
        named = {**SHORT, **noise, **more, "distillation__endpoint": there.url, "evaluation__baselines": [baseline]}
        return whet.fit(rows, task=task, base=str(base), out=folder / "run", **named).path


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def texts_without_labels(folder: Path) -> Path:
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text, _ in made_rows.texts(20, seed=9)))
    return path


def test_a_service_names_labels(tmp_path: Path):
    texts = texts_without_labels(tmp_path)
    prices = {"distillation__price_input": 1.0, "distillation__price_output": 1.0}
    more = {"distillation__unlabelled": str(texts), **prices}
    run = run_of(tmp_path, made_rows.single(tmp_path), topic, **more)
    told, replies = read(run, "distillation.json"), read(run, "teacher_replies.json")
    lost = {name: len(replies[name]["unread"]) for name in ("rows", "texts")}
    assert all(lost.values()) and told["replies"] == {
        "rows": {"asked": 72, "unread": lost["rows"]},
        "texts": {"asked": 20, "unread": lost["texts"]},
    }
    table = np.exp(np.load(run / "teacher" / "said.npy"))
    assert table.shape == (72 + 20 - lost["texts"], 3) and told["unlabelled"] == 20 - lost["texts"]
    assert np.allclose(np.sort(table), [0.05, 0.05, 0.9])
    rows = Examples.open(run / "data" / "train.arrow")
    own = rows.label_ids(["card", "late", "refund"])
    unread = replies["rows"]["unread"]
    assert np.array_equal(table[unread].argmax(1), own[unread]), "they keep their own label"
    there = np.setdiff1d(np.arange(72), unread)
    assert told["agreed"]["metric"] == "accuracy" and told["agreed"]["rows"] == len(there)
    assert told["agreed"]["value"] == pytest.approx((table[there].argmax(1) == own[there]).mean())
    assert told["spent"]["requests"] + told["spent"]["cached"] == 92 and told["spent"]["price"] > 0
    assert set(told["models"]) == {"full", "distilled"} and told["gain"]["against"] == "full"
    how = distillation(read_run(run)).content["how"]
    assert f"To {lost['rows']} of 72 training rows its reply is no answer: these rows keep their own label." in how
    assert f"To {lost['texts']} of 20 texts without labels its reply is no answer: these texts are left out." in how
    assert "temperature" not in how and "was spent" in how and "some-model at 127.0.0.1" in how
    assert "What was learnt from a teacher" in page(read_run(run))


def several(body: dict[str, Any], _: int) -> Answer:
    return said(json.dumps([name for name in ("refund", "question") if name in text_of(body)]))


def entities(body: dict[str, Any], _: int) -> Answer:
    words = text_of(body).split()
    if words[0] in UNLUCKY:
        return said("none that I know")
    return said(json.dumps([{"text": one, "type": "place"} for one in words if one in made_tasks.PLACES]))


def score(body: dict[str, Any], number: int) -> Answer:
    return said(f"{10 + number % 7}" if number % 10 else "a lot")


def pair(body: dict[str, Any], _: int) -> Answer:
    assert "Text 1: " in body["messages"][-1]["content"]
    return said("same")


@pytest.mark.parametrize(
    ("task", "rows", "answers", "unlabelled", "width"),
    [
        ("text-classification", made_rows.several_jsonl, several, True, 4),
        ("text-classification", made_rows.pairs, pair, False, 2),
        ("token-classification", lambda folder: made_tasks.entities(folder, 60), entities, True, 5),
        ("regression", lambda folder: made_tasks.numbers(folder, 60), score, True, 1),
    ],
)
def test_a_service_teaches_every_answer_that_can_be_put_in_words(
    tmp_path: Path, task: str, rows: Callable[[Path], Path], answers: Answers, unlabelled: bool, width: int
):
    more = {"distillation__unlabelled": str(texts_without_labels(tmp_path))} if unlabelled else {}
    run = run_of(tmp_path, rows(tmp_path), answers, task, **more)
    told, table = read(run, "distillation.json"), np.load(run / "teacher" / "said.npy")
    units = told["rows"] + told["unlabelled"]
    if task == "token-classification":  # a word each
        texts = [text for text, _ in made_rows.texts(20, seed=9) if text.split()[0] not in UNLUCKY]
        assert len(texts) == told["unlabelled"] < 20
        words = sum(len(one) for one in Examples.open(run / "data" / "train.arrow").column("words")) // 2
        units = words + sum(len(text.split()) for text in texts)
        train = Examples.open(run / "data" / "train.arrow")
        found, gold = Words.of(train), spans_of(train, ["person", "place"])
        unread = np.isin(found.rows, read(run, "teacher_replies.json")["rows"]["unread"])
        own = word_tags(found, gold)[unread]
        assert len(own) and np.array_equal(table[: len(found)][unread].argmax(1), own), "they keep their own tags"
    assert table.shape == (units, width) and np.isfinite(table).all()
    assert set(told["models"]) == {"full", "distilled"} and told["agreed"]["rows"] <= told["rows"]


def test_a_label_that_was_said_of_several(tmp_path: Path):
    run = run_of(tmp_path, made_rows.several_jsonl(tmp_path), several)
    chances = 1 / (1 + np.exp(-np.load(run / "teacher" / "said.npy")))
    train = Examples.open(run / "data" / "train.arrow")
    labels = ["card", "late", "question", "refund"]
    for text, row in zip(train.column("text"), chances, strict=True):
        meant = [0.9 if name in ("refund", "question") and name in text else 0.1 for name in labels]
        assert np.allclose(row, meant, atol=1e-6)


def test_whoever_goes_on_asks_nothing_again(tmp_path: Path):
    base, rows = make_base(tmp_path / "base", "bert", MEAN), made_rows.single(tmp_path)
    with service(topic) as there:
        recipe = Recipe.model_validate(
            {
                "data": {"source": str(rows)},
                "base": str(base),
                "method": "full",
                "training": {"epochs": 1.0},
                "forgetting": {"measure": False},
                "evaluation": {"baselines": ["majority"], "resamples": 100, "label_noise": False},
                "distillation": {"teacher": "some-model", "endpoint": there.url},
            }
        )
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        (folder.path / "state.json").write_text('{"id": "x", "state": "running"}')
        with pytest.raises(Interrupted), Lock(folder.path):
            list(fit(recipe, folder, lambda *_: None, lambda: len(there.asked) > 20))
        before = len(there.asked)
        assert 20 < before < 72 and not (folder.path / "teacher_replies.json").exists()
        seen = False

        def stop() -> bool:
            return seen

        with pytest.raises(Interrupted), Lock(folder.path):
            for event in fit(recipe, folder, lambda *_: None, stop):
                seen = event.to_json()["kind"] == "evaluation"
        assert len(there.asked) == 72 and len({text_of(body) for body in there.asked}) == 72
        with Lock(folder.path):
            list(fit(recipe, folder, lambda *_: None, lambda: False))
        assert len(there.asked) == 72
    spent = read(folder.path, "distillation.json")["spent"]
    assert spent["requests"] == 72 and spent["cached"] == 0, "each was paid for once, whoever asked"


def test_a_service_that_names_nothing_is_no_teacher(tmp_path: Path):
    with pytest.raises(UserError, match=r"T028.*none of which is an answer, such as 'well'"):
        run_of(tmp_path, made_rows.single(tmp_path), lambda *_: said("well"))


def test_a_key_that_is_missing_is_told_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    named = {**SHORT, "distillation__endpoint": "https://somewhere.example/v1", "task": "text-classification"}
    base = make_base(tmp_path / "base", "bert", MEAN)
    with pytest.raises(UserError, match="P02"):
        whet.fit(made_rows.single(tmp_path), base=str(base), out=tmp_path / "run", **named)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("task", "more", "option"),
    [
        ("text-classification", {}, None),
        ("token-classification", {"weight": 1.0}, None),
        ("regression", {"unlabelled": "texts.txt"}, None),
        ("text-classification", {"temperature": 3.0}, "distillation.temperature"),
        ("text-classification", {"hidden": 0.5}, "distillation.endpoint"),
        ("ranking", {}, "distillation.endpoint"),
        ("text-generation", {}, "distillation.endpoint"),
    ],
)
def test_which_tasks_a_service_can_teach(task: str, more: dict[str, Any], option: str | None):
    wish = {"teacher": "some-model", "endpoint": "http://localhost/v1", **more}
    recipe = Recipe.model_validate({"data": {"source": "rows.csv"}, "task": task, "distillation": wish})
    assert {one[1] for one in distilled(recipe) if one[0] == "R064"} == ({option} if option else set())
