"""What a card says of using its model, done."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import whet
from tests.made_runs import Runs
from whet.inference.answers import ask as ask_model
from whet.models.about import load_about
from whet.workflows.usage import usage
from whet.workflows.using import open_model


def code_of(run: Path, model: Path | None = None) -> list[str]:
    """The Python of the card, whet's own first."""
    text = usage(load_about(model or run / "model"), "the/base").replace("RUN", str(run))
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("silent_from", [None, 0.5, 2.0], ids=["as fitted", "unsure", "never"])
def test_the_code_for_questions_answers_as_whet_does(
    fitted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], silent_from: float | None
):
    run = Path(shutil.copytree(fitted("questions"), tmp_path / "run"))
    if silent_from is not None:
        about = json.loads((run / "model" / "whet.json").read_text())
        about["task_facts"]["settled"]["no_answer_from"] = silent_from
        (run / "model" / "whet.json").write_text(json.dumps(about))
    ours, plain = code_of(run)
    assert "run.predict(['a question'], ['its context'])[0].answer" in ours
    load, ask = plain.split("question, context = 'a question', 'its context'\n")
    names: dict[str, Any] = {}
    exec(load, names)
    asked = [
        (f"{word} is it", f"{before} {person} is at the {place} . not yet")
        for word in ("who", "where")
        for person, place in (("help", "card"), ("thank", "phone"), ("please", "account"))
        for before in ("", "order arrived .", "where item refund not . ")
    ]
    capsys.readouterr()
    for question, context in asked:
        exec(ask, names | {"question": question, "context": context})
    found = capsys.readouterr().out.splitlines()
    contexts = [context for _, context in asked]
    said = ask_model(open_model(run, "full"), [question for question, _ in asked], contexts)
    assert found == [one.answer for one in said]
    assert silent_from != 2.0 or all(found), "an answer is always given"
    capsys.readouterr()
    exec(ask, names | {"question": "who is it", "context": "order arrived . " * 100 + "help is at the card"})


@pytest.mark.parametrize(("name", "what"), [("similarity", "cosine"), ("similarity, both texts at once", "sigmoid")])
def test_the_range_of_similarities_is_said_with_its_two_numbers(
    fitted: Any, capsys: pytest.CaptureFixture[str], name: str, what: str
):
    run = fitted(name)
    text = usage(load_about(run / "model"), "the/base")
    assert f"low = 0 and high = 6: its value is 0 + 6 × {what}." in text
    pytest.importorskip("sentence_transformers")
    capsys.readouterr()
    exec(code_of(run)[1], {})
    (share,) = re.findall(r"-?\d\.\d*", capsys.readouterr().out)
    (said,) = whet.open_run(run).predict(["some text"], ["another text"])
    assert said.value == pytest.approx(6 * float(share), abs=1e-2)  # torch prints four digits


def test_how_entities_of_a_pipeline_differ_is_said(fitted: Any):
    text = usage(load_about(fitted("entities") / "model"), "the/base")
    assert text.index("import whet") < text.index("pipeline(") < text.index("without a break in it")


def test_an_adapter_is_loaded_on_the_base_as_others_know_it(runs: Runs):
    run = runs.finished("lora-several")
    model = next(place for place in (run / "model", run / "models" / "lora") if (place / "head.safetensors").exists())
    assert "AutoModel.from_pretrained('the/base')" in code_of(run, model)[1]
