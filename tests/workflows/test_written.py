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
