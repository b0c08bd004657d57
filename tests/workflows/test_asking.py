"""Runs that ask a language model elsewhere: prompting beside an encoder, and a judge of texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_rows
from tests.made_models import WORDS, make_base
from tests.made_runs import quiet_machine
from tests.prompting.served import Answer, refused, said, service
from whet.errors import UserError

QUICK = {"training.epochs": 1.0, "evaluation.resamples": 200}
KEY = "sk-a-long-secret-of-a-test"


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with quiet_machine(tmp_path / "index.db"):
        yield


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def refund(body: dict[str, Any], _: int) -> Answer:
    """Knows one rule of the made rows, and says nothing useful where it does not hold."""
    asked = str(body["messages"][-1]["content"])
    return said("refund" if "refund" in asked.rsplit("\n", 1)[-1] else "I do not know", usage=(100, 3))


def test_an_encoder_is_held_against_an_endpoint(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    with service(refund) as there:
        asked = {
            "evaluation.baselines": ["majority", "prompting"],
            "prompting.endpoint": there.url,
            "prompting.base": "some-model",
            "prompting.price_input": 1.0,
            "prompting.price_output": 2.0,
            "prompting.label_price": 0.1,
            "prompting.machine_price": 1.0,
        }
        run = whet.fit(rows, base=str(base), method="full", out=tmp_path / "run", **QUICK, **asked)
        first = len(there.asked)
        again = whet.fit(rows, base=str(base), method="full", out=tmp_path / "again", **QUICK, **asked)
        assert len(there.asked) == first > 0  # every reply was known
    scores = read(run.path, "scores.json")
    assert {"zero_shot", "few_shot", "nearest_shots"} < set(scores["models"])
    assert read(again.path, "scores.json")["models"]["zero_shot"] == scores["models"]["zero_shot"]
    told = read(run.path, "prompting.json")
    facts = read(run.path, "stages/facts/zero_shot.json")["prompting"]
    assert facts["unparsable"]["test"] > 0 and facts["spent"]["price"] > 0
    assert told["ways"]["zero_shot"]["words"]
    assert "some-model at 127.0.0.1" in (run.path / "report.html").read_text(encoding="utf-8")
    for path in [*run.path.rglob("*"), tmp_path / "index.db"]:
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_an_endpoint_that_refuses_ends_the_run_in_words(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    with service(lambda *_: refused(401, "no such key")) as there, pytest.raises(UserError, match="no such key"):
        whet.fit(
            rows,
            base=str(base),
            out=tmp_path / "run",
            evaluation__baselines=["zero_shot"],
            prompting__endpoint=there.url,
            prompting__base="some-model",
        )


def test_a_base_that_cannot_be_asked_is_refused_at_once(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    with pytest.raises(UserError, match="P030"):
        whet.fit(rows, base=str(base), out=tmp_path / "run", evaluation__baselines="prompting")
    assert not (tmp_path / "run").exists()


def test_a_decoder_on_this_machine_is_asked(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    other = make_base(tmp_path / "other", "gpt2", language=True)
    run = whet.fit(
        rows,
        base=str(base),
        method="probe",
        out=tmp_path / "run",
        evaluation__baselines=["majority", "zero_shot"],
        evaluation__resamples=200,
        prompting__base=str(other),
        prompting__instruction=WORDS[0],
    )
    assert "zero_shot" in read(run.path, "scores.json")["models"]


def test_a_judge_is_shown_both_orders(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "gpt2", language=True)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"prompt": f"{WORDS[n % 9]} {WORDS[n % 5]}", "completion": f" {WORDS[n % 9]}"}) + "\n"
            for n in range(60)
        ),
        encoding="utf-8",
    )
    with service(lambda *_: said("FIRST")) as there:
        run = whet.fit(
            rows,
            task="text-generation",
            base=str(base),
            out=tmp_path / "run",
            evaluation__baselines=["base"],
            judge__endpoint=there.url,
            judge__model="a-judge",
            judge__max_rows=5,
            generation__max_tokens=4,
            training__epochs=4.0,
            training__learning_rate=0.01,
            evaluation__resamples=200,
        )
    told = read(run.path, "judge.json")
    assert told["model"] == "full" and told["against"] == "base" and len(told["ids"]) == 5
    # whoever stands first wins both times, which is no win
    assert told["wins"] == told["losses"] == 0 and told["flips"] == 5
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "What a judge says" in page and "this is no proof that either is better" in page


def test_a_judge_against_nobody_is_refused(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    with pytest.raises(UserError, match="R027"):
        whet.fit(rows, base=str(base), out=tmp_path / "run", judge__endpoint="http://localhost:1/v1", judge__model="m")
