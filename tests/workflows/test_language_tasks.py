"""Language models from rows to a model in use, through the same command as every other task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import whet
from tests.made_models import WORDS, make_base
from whet.data.predictions import TextPredictions
from whet.data.predictions import load as load_predictions
from whet.data.row_form import Choice
from whet.errors import UserError
from whet.seeds import generator
from whet.store.index import open_store
from whet.workflows import using

OPTIONS = {"training.epochs": 4.0, "training.learning_rate": 0.005, "evaluation.resamples": 200}
MODELS = {
    "text-generation": {"nearest_answer", "base", "few_shot", "full"},
    "translation": {"copy_source", "nearest_answer", "base", "full"},
    "summarization": {"lead3", "nearest_answer", "base", "full"},
    "language-modeling": {"unigram", "base", "full"},
    "fill-mask": {"unigram", "base", "full"},
}


REWRITES = {"translation": "t5", "summarization": "gpt2"}
"""Task -> the family that it is tried with."""


WRITES = ("text-generation", *REWRITES)


def rows_of(task: str, folder: Path) -> Path:
    rows: list[dict[str, Any]] = []
    for number in range(60):
        draw = generator(0, "texts", number)
        words = [str(word) for word in draw.choice(WORDS, 6)]
        if task == "text-generation":
            said = {"role": "assistant", "content": f"{words[0]} {words[1]}"}
            rows.append({"messages": [{"role": "user", "content": " ".join(words)}, said]})
        elif task in REWRITES:
            rows.append({"source": " ".join(words), "target": " ".join(reversed(words[:3]))})
        else:
            rows.append({"text": " ".join(words + words)})
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=MODELS)
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def run(task: str, tmp_path_factory: pytest.TempPathFactory) -> whet.Run:
    folder = tmp_path_factory.mktemp(task)
    family = REWRITES.get(task, "bert" if task == "fill-mask" else "gpt2")
    base = make_base(folder / "base", family, language=True)
    if task == "fill-mask":
        path = base / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    options = OPTIONS | ({"generation.max_tokens": 8} if task in WRITES else {})
    return whet.fit(rows_of(task, folder), task=task, base=str(base), method="full", out=folder / "run", **options)


def read(run: whet.Run, name: str) -> Any:
    return json.loads((run.path / name).read_text())


def test_a_run_is_complete(run: whet.Run, task: str) -> None:
    scores, verdict = read(run, "scores.json"), read(run, "verdict.json")
    assert set(scores["models"]) == MODELS[task] and scores["kind"] == "texts"
    primary = {"translation": "bleu", "summarization": "rouge_l"}.get(task, "token_nats")
    assert scores["primary"] == verdict["metric"] == primary
    models = scores["models"]
    assert models["full"]["token_nats"]["value"] < models["base"]["token_nats"]["value"]
    found = {finding["code"]: finding for finding in read(run, "findings.json")}
    assert found["E008"]["bin"] == "passed", found["E008"]["message"]
    assert (run.path / "report.html").stat().st_size > 10_000
    if task == "text-generation":
        assert [one["against"] for one in verdict["beside"]] == ["nearest_answer"]
        assert "no rival here" in verdict["reason"] and "label_accuracy" not in models["full"]
    assert found["V008"]["bin"] == "not_applicable" if task not in WRITES else found["V008"]["evidence"]["num_rows"]


def test_where_answers_are_a_closed_set_label_accuracy_decides(tmp_path: Path) -> None:
    rows = []
    for number in range(80):
        words = [str(word) for word in generator(0, "closed", number).choice(WORDS[:20], 3)]
        answer = WORDS[30 + (number + number // 7) % 2]
        rows.append(
            {"messages": [{"role": "user", "content": " ".join(words)}, {"role": "assistant", "content": answer}]}
        )
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    options = {"training.epochs": 1.0, "evaluation.resamples": 100, "generation.max_tokens": 4}
    options["evaluation.baselines"] = ["nearest_answer", "base"]
    base = str(make_base(tmp_path / "base", "gpt2", language=True))
    run = whet.fit(path, task="text-generation", base=base, method="full", out=tmp_path / "run", **options)
    scores, verdict = read(run, "scores.json"), read(run, "verdict.json")
    assert scores["primary"] == verdict["metric"] == "label_accuracy" and verdict["beside"] == []
    assert set(verdict["values"]) == set(scores["models"]) == {"nearest_answer", "base", "full"}
    assert all(one["test"] == "McNemar exact" for one in verdict["comparisons"])
    for name in verdict["values"]:
        saved = load_predictions(run.path / "predictions" / f"{name}.test.parquet")
        assert isinstance(saved, TextPredictions) and saved.chosen is not None and saved.gold is not None
        right = [one == row[0] for one, row in zip(saved.chosen, saved.gold, strict=True)]
        assert scores["models"][name]["label_accuracy"]["value"] == pytest.approx(sum(right) / len(right))
        assert set(saved.chosen) <= {WORDS[30], WORDS[31]}
        validation = load_predictions(run.path / "predictions" / f"{name}.validation.parquet")
        assert isinstance(validation, TextPredictions) and validation.chosen is None
    assert all("label_accuracy" not in one for one in scores["validation"].values())
    assert (run.path / "report.html").stat().st_size > 10_000


def test_the_saved_model_says_what_the_run_said(run: whet.Run, task: str) -> None:
    from whet.data.forms import Examples

    said = load_predictions(run.path / "predictions" / "full.test.parquet")
    again = using.open_model(run.path, "full").predict(Examples.open(run.path / "data" / "test.arrow"))
    assert isinstance(said, TextPredictions) and isinstance(again, TextPredictions)
    assert again.said == said.said and (said.said is None) == (task not in WRITES)
    assert again.nats == pytest.approx(said.nats, rel=1e-4)


def test_rows_are_predicted_and_evaluated(run: whet.Run, task: str, tmp_path: Path) -> None:
    path = tmp_path / "ask.jsonl"
    asked = {"messages": [{"role": "user", "content": WORDS[0]}]} if task == "text-generation" else {"text": WORDS[0]}
    path.write_text(json.dumps(asked) + "\n", encoding="utf-8")
    (found,) = using.predict(run.path, str(path), Choice(labelled=False), lambda *_: None)
    row = found.answer.to_json(everything=False)
    assert set(row) == ({"text", "finished"} if task in WRITES else {"nats"})
    scores = using.evaluate(run.path, str(rows_of(task, tmp_path)), Choice(), None, lambda *_: None)
    assert scores["num_rows"] == 60 and "token_nats" in scores["models"][scores["model"]]


def test_a_base_of_another_kind_is_refused(task: str, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "gpt2" if task == "fill-mask" else "bert", language=True)
    with pytest.raises(UserError, match="M015"):
        whet.fit(rows_of(task, tmp_path), task=task, base=str(base), out=tmp_path / "run")


def test_prompting_is_held_against_training(run: whet.Run, task: str) -> None:
    if task != "text-generation":
        assert not (run.path / "prompting.json").exists()
        return
    told = read(run, "prompting.json")
    way = told["ways"]["few_shot"]
    assert told["tuned"] == "full" and told["num_train"] > 0
    facts = read(run, "stages/facts/few_shot.json")["prompting"]
    assert facts["shots"] and len(facts["spread"]["validation"]) == 5, facts
    assert way
    page = (run.path / "report.html").read_text()
    assert "Fine-tune or prompt" in page


@pytest.mark.parametrize(
    ("task", "family", "options", "code"),
    [
        ("translation", "t5", {"sources__template": "no place"}, "R031"),
        ("translation", "t5", {"sources__target_language": "de"}, "M051"),
        ("language-modeling", "t5", {}, "M014"),
    ],
)
def test_what_is_refused_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, family: str, options: dict[str, Any], code: str
) -> None:
    monkeypatch.setenv("WHET_STORE", f"sqlite:///{tmp_path / 'index.db'}")
    base = make_base(tmp_path / "base", family, language=True)
    rows = rows_of(task, tmp_path)
    with pytest.raises(UserError, match=code):
        whet.fit(rows, task=task, base=str(base), out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
    with open_store(None) as store:
        assert not list(store.runs())


def test_the_saved_tokenizer_lays_conversations_out(run: whet.Run, task: str) -> None:
    from transformers import AutoTokenizer

    from whet.batches.chat import render_prompt

    tokenizer = AutoTokenizer.from_pretrained(run.path / "model")
    if task != "text-generation":
        assert tokenizer.chat_template is None
        return
    messages = [{"role": "user", "content": WORDS[0]}]
    said = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(said) == render_prompt(tokenizer, messages, template="plain").tolist()
    assert "G001" in {one["code"] for one in read(run, "findings.json")}
