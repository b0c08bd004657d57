"""A teacher that writes targets: a model here, or one behind an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import whet
from tests import made_rows
from tests.made_models import make_base, tokenizer
from tests.prompting.served import said, service
from whet.batches import encoding
from whet.errors import UserError
from whet.report.distillation_section import distillation
from whet.report.page import page
from whet.report.run_files import read_run
from whet.workflows import written

SHORT: dict[str, Any] = {
    "task": "text-generation",
    "method": "full",
    "evaluation__resamples": 100,
    "evaluation__baselines": ["nearest_answer"],
    "training__epochs": 1.0,
    "forgetting__measure": False,
    "generation__max_tokens": 4,
    "distillation__weight": 0.0,
}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
    monkeypatch.setattr("whet.workflows.fit.training.forget_checkpoints", lambda folder: None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")


def rows_of(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    rows = [{"prompt": text, "completion": f" {label}"} for text, label in made_rows.texts(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_service_writes_the_targets(tmp_path: Path):
    base = make_base(tmp_path / "base", "llama", language=True)
    with service(lambda body, _: said("thank you")) as there:
        run = whet.fit(
            rows_of(tmp_path),
            base=str(base),
            out=tmp_path / "run",
            distillation__teacher="some-model",
            distillation__endpoint=there.url,
            distillation__texts="join",
            distillation__price_input=1.0,
            distillation__price_output=1.0,
            **SHORT,
        ).path
        assert {body["model"] for body in there.asked} == {"some-model"}
        assert all(body["messages"][-1]["role"] == "user" for body in there.asked)
    texts = json.loads((run / "data" / "teacher_texts.json").read_text())["texts"]
    own, both = (encoding.load(run / "tokens" / name) for name in ("train", "distilled"))
    assert set(texts) == {"thank you"} and len(both) == 2 * len(own) == 2 * len(texts)
    assert np.array_equal(both.ids[: own.num_tokens], own.ids)
    scores = json.loads((run / "scores.json").read_text())["models"]
    assert {"full", "distilled"} <= set(scores) and "teacher" not in scores
    findings = {one["code"]: one for one in json.loads((run / "findings.json").read_text())}
    assert findings["X010"]["evidence"]["gain"]["against"] == "full"
    told = json.loads((run / "distillation.json").read_text())
    spent = told["spent"]
    assert spent["requests"] + spent["cached"] == len(texts) == told["written"]
    assert spent["tokens_in"] == 10 * spent["requests"] and spent["price"] == pytest.approx(12e-6 * spent["requests"])
    section = distillation(read_run(run)).content
    assert f"wrote to {len(texts)} of {len(texts)} training rows" in section["how"]
    assert f"{spent['requests']} requests" in section["how"] and "was spent" in section["how"]
    assert "temperature" not in section["how"] and not section["beside"] and section["control"]
    page_of = page(read_run(run))
    assert "The teacher stands beside" not in page_of and f"some-model at {there.url.split('/')[2]}" in page_of


def test_nothing_that_can_be_learnt_is_said(tmp_path: Path):
    base = make_base(tmp_path / "base", "llama", language=True)
    with service(lambda body, _: said("", "stop")) as there, pytest.raises(UserError, match=r"T028") as caught:
        whet.fit(
            rows_of(tmp_path),
            base=str(base),
            out=tmp_path / "run",
            distillation__teacher="some-model",
            distillation__endpoint=there.url,
            distillation__texts="replace",
            **SHORT,
        )
    (problem,) = caught.value.problems
    assert "are empty" in problem.what and "max_tokens" not in problem.remedy, "no limit cut them off"
    cut = written._nothing_written("some-model", [("thank", False), ("", True), ("you", False)])
    assert "max_tokens" in cut.remedy


def test_a_service_writes_to_prompts_without_a_target(tmp_path: Path):
    """A prompt that stands among the rows is left out, and one that gets no text."""
    base = make_base(tmp_path / "base", "llama", language=True)
    texts = [text for text, _ in made_rows.texts(60)][30:]
    (tmp_path / "prompts.txt").write_text("\n".join(texts))
    with service(lambda body, _: said("" if body["messages"][-1]["content"] == texts[-1] else "thank you")) as there:
        run = whet.fit(
            rows_of(tmp_path),
            base=str(base),
            out=tmp_path / "run",
            distillation__teacher="some-model",
            distillation__endpoint=there.url,
            distillation__texts="join",
            distillation__unlabelled=str(tmp_path / "prompts.txt"),
            **SHORT,
        ).path
        assert {one["role"] for body in there.asked for one in body["messages"]} == {"user"}
    known, written_to = (
        json.loads((run / "data" / f"{name}.json").read_text()) for name in ("unlabelled", "teacher_texts")
    )
    assert known["left_out"] == 10 and known["texts"] == texts[10:]
    assert written_to["unlabelled"] == ["thank you"] * 19 + [None]
    own, both = (encoding.load(run / "tokens" / name) for name in ("train", "distilled"))
    assert len(both) == 2 * len(own) + 19
    assert tokenizer("llama").decode(both.row(len(both) - 1)) == f"<s> {texts[-2]} thank you </s>"
    told = json.loads((run / "distillation.json").read_text())
    assert told["unlabelled"] == 19 and told["spent"]["requests"] + told["spent"]["cached"] == len(own) + 20
    assert "training rows and 19 prompts without a target" in distillation(read_run(run)).content["how"]


@pytest.mark.parametrize(("task", "family"), [("translation", "t5"), ("summarization", "llama")])
def test_a_teacher_here_writes_to_sources_without_a_target(tmp_path: Path, task: str, family: str):
    base = make_base(tmp_path / "base", family, language=True)
    texts = [text for text, _ in made_rows.texts(50)]
    rows = [{"source": text, "target": text.split()[0]} for text in texts[:40]]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sources.jsonl").write_text("".join(json.dumps({"source": text}) + "\n" for text in texts[40:]))
    options = {**SHORT, "task": task, "distillation__weight": 0.5, "evaluation__baselines": ["nearest_answer"]}
    options |= {"distillation__unlabelled": str(tmp_path / "sources.jsonl"), "distillation__texts": "replace"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written, "_from_model", lambda run, examples: [("thank you", True)] * len(examples))
        run = whet.fit(
            tmp_path / "rows.jsonl", base=str(base), out=tmp_path / "run", distillation__teacher=str(base), **options
        ).path
    own, both = (encoding.load(run / "tokens" / name) for name in ("train", "distilled"))
    assert len(both) == len(own) + 10
    said_last = tokenizer(family).decode(both.row((len(both) - 1) * both.parts + both.parts - 1))
    assert "thank you" in said_last
    about = json.loads((run / "teacher" / "teacher.json").read_text())
    assert about["unlabelled"] == 10 and len(np.load(run / "teacher" / "places.npy")) == both.num_tokens
    assert "distilled" in json.loads((run / "scores.json").read_text())["models"]


def test_prompts_take_the_form_of_the_rows():
    from whet.data.conversations import MESSAGES
    from whet.data.forms import Examples, Shape
    from whet.workflows.unlabelled import _like_rows

    def talks(*rows: list[str]) -> Any:
        spoken = [[{"role": role, "content": "why"} for role in row] for row in rows]
        return Examples.of({"text": ["why"] * len(rows), "messages": spoken}, Shape((("messages", MESSAGES),)))

    def roles(own: str, *rows: list[str]) -> list[list[str]]:
        run: Any = SimpleNamespace(examples=lambda split: talks([own, "assistant"]))
        return [[one["role"] for one in row] for row in _like_rows(run, talks(*rows), "x").column("messages")]

    assert roles("user", ["prompt"], ["system", "user"]) == [["user"], ["system", "user"]]
    assert roles("prompt", ["user"], ["prompt"]) == [["prompt"], ["prompt"]]
    with pytest.raises(UserError, match=r"T025.*holds conversations"):
        roles("prompt", ["system", "user"])


@pytest.mark.parametrize(
    "how", [{"distillation__weight": 0.0, "distillation__hidden": 0.5}, {"distillation__weight": 0.5}]
)
def test_a_teacher_of_tokens_whose_table_is_padded(tmp_path: Path, how: dict[str, float]):
    base = make_base(tmp_path / "base", "llama", language=True)
    wide = make_base(tmp_path / "wide", "llama", language=True, vocab_size=100)
    options = {**SHORT, **how, "distillation__teacher": str(wide)}
    run = whet.fit(rows_of(tmp_path), base=str(base), out=tmp_path / "run", **options).path
    words = run / "teacher" / "words.npy"
    assert words.exists() == (how["distillation__weight"] > 0)
    assert not words.exists() or np.load(words).max() < len(tokenizer("llama"))
    assert "distilled" in json.loads((run / "scores.json").read_text())["models"]


def test_a_teacher_here_writes_as_much_as_is_said():
    from whet.recipe import Recipe
    from whet.tasks.task import Setting
    from whet.tasks.text_generation import TextGeneration

    task = TextGeneration(Setting(options={"generation.max_tokens": 4}))
    for asked, longest in (("auto", 4), (9, 9)):
        recipe = Recipe.model_validate(
            {"data": {"source": "x"}, "distillation": {"teacher": "a", "texts": "join", "max_tokens": asked}}
        )
        run: Any = SimpleNamespace(recipe=recipe, task=task, examples=lambda split: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TextGeneration, "learn", lambda self, examples: None)
            assert written._writer(run).sampling.max_tokens == longest
