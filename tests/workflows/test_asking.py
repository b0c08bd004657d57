"""Runs that ask a language model elsewhere: prompting beside an encoder, and a judge of texts."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_rows
from tests.made_models import WORDS, make_base
from tests.made_runs import quiet_machine
from tests.prompting.served import Answer, Service, refused, said, service
from whet.errors import Interrupted, UserError
from whet.files import read_json
from whet.generation.reading_prompts import Reading
from whet.workflows import starting
from whet.workflows.fit import fit

FAST = {"evaluation.resamples": 200}
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


@pytest.mark.parametrize("allowed", [True, False])
def test_labels_that_cannot_be_a_tree_are_read_side_by_side_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    def branches(*_: object) -> None:
        raise ValueError("a mask of two dimensions is wanted")

    monkeypatch.setattr(Reading, "branches", branches)
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    asked = {
        "evaluation.baselines": ["majority", "zero_shot"],
        "evaluation.resamples": 200,
        "prompting.base": str(make_base(tmp_path / "other", "gpt2", language=True)),
        "prompting.instruction": WORDS[0],
        "training.fast_paths": allowed,
    }
    run = whet.fit(rows, base=str(base), method="probe", out=tmp_path / "run", **asked)
    said = [one["message"] for one in read(run.path, "findings.json") if one["code"] == "E006"]
    assert said == (
        ["answers read as a tree differ from those read side by side, so they are read side by side"] * allowed
    )
    assert "zero_shot" in read(run.path, "scores.json")["models"]


PRICED = {"price_input": 0.0, "price_output": 1000.0}
"""A token that is written costs 0.001."""


def charged(there: Service) -> float:
    """What the service has counted; each reply below has 3 tokens."""
    return 0.003 * len(there.asked)


def with_limit(run: Path, part: str, limit: float) -> None:
    """As somebody edits the recipe of a run."""
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    head, found, tail = text.partition(f"\n{part}:\n")
    assert found
    (run / "recipe.yaml").write_text(head + found + re.sub(r"max_cost: .*", f"max_cost: {limit}", tail, count=1))


def go_on(run: Path, should_stop: Callable[[], bool], told: list[Any]) -> None:
    for _ in fit(*starting.reopen(run), lambda *one: told.append(one), should_stop):
        pass


def test_a_limit_holds_for_a_run_that_goes_on(tmp_path: Path) -> None:
    base, rows, run = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path), tmp_path / "run"
    options = {f"prompting.{name}": value for name, value in PRICED.items()}
    asked = {
        "evaluation.baselines": ["majority", "zero_shot", "nearest_shots"],
        "prompting.base": "m",
        **options,
        **FAST,
    }
    more = {"prompting.max_tokens": 10, "prompting.max_cost": 0.101, "prompting.orders": 1}
    with service(refund) as there:
        for number in range(4):
            with pytest.raises(UserError, match="P025") as caught:
                if number:
                    whet.resume(run)
                else:
                    url = {"prompting.endpoint": there.url}
                    whet.fit(rows, base=str(base), method="probe", out=run, **asked, **more, **url)
            assert f"Raise prompting.max_cost in {run}/recipe.yaml" in str(caught.value)
            assert str(caught.value).endswith(f"Go on with: whet resume {run}")
            first = len(there.asked)
            assert charged(there) <= 0.101 and first == 31  # 0.003 for each, and room for 0.01 before it
        # enough for the first of two ways of asking, and for a part of the second
        enough = 0.003 * (48 + 20)
        with_limit(run, "prompting", enough)
        for _ in range(2):
            with pytest.raises(UserError, match="P025"):
                whet.resume(run)
            assert enough - 0.013 < charged(there) <= enough
        with_limit(run, "prompting", 10.0)
        whet.resume(run)
        (known,) = read_json(run / "stages" / "spent" / "prompting.json").values()
        assert known["requests"] == len(there.asked) and known["unsure"] == 0
        assert known["price"] == pytest.approx(charged(there))
        facts = [read(run, f"stages/facts/{name}.json")["prompting"] for name in ("zero_shot", "nearest_shots")]
    assert [(one["spent"]["requests"], one["spent"]["cached"]) for one in facts] == [(48, 0), (48, 0)]
    assert sum(one["spent"]["price"] for one in facts) == pytest.approx(charged(there))


def test_nothing_new_is_asked_once_a_run_is_to_stop(tmp_path: Path) -> None:
    base, rows, run = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path), tmp_path / "run"
    stopping = threading.Event()

    def answers(body: dict[str, Any], number: int) -> Answer:
        if number == 9:
            stopping.set()
        threading.Event().wait(0.03)
        return refund(body, number)

    asked = {"evaluation.baselines": ["zero_shot"], "prompting.base": "m", "prompting.requests_at_once": 2}
    with service(answers) as there:
        options = {"data.source": str(rows), "base": str(base), "method": "probe", "prompting.endpoint": there.url}
        recipe, folder = starting.start(starting.recipe_of({**options, **FAST, **asked}, None), run)
        told: list[Any] = []
        with pytest.raises(Interrupted):
            for _ in fit(recipe, folder, lambda *one: told.append(one), stopping.is_set):
                pass
        made = len(there.asked)
        assert 10 <= made < 20 and read(run, "state.json")["state"] == "interrupted"
        assert ("answers of m at " + there.url.split("/")[2], 3) in [one[:2] for one in told]
        stopping.clear()
        there.answers = refund
        go_on(run, lambda: False, told)
        assert len(there.asked) == len(set(there.prompts))  # those that were under way were kept
    assert read(run, "stages/facts/zero_shot.json")["prompting"]["spent"]["requests"] == len(there.asked)


def test_an_endpoint_that_is_down_names_what_goes_on(tmp_path: Path) -> None:
    base, rows, run = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path), tmp_path / "run"
    asked = {"evaluation.baselines": ["zero_shot"], "prompting.base": "m", "prompting.retries": 0}
    with service(lambda *_: refused(503, "down")) as there, pytest.raises(UserError, match="P024") as caught:
        whet.fit(rows, base=str(base), out=run, **{**asked, "prompting.endpoint": there.url})
    assert str(caught.value).endswith(f"Go on with: whet resume {run}")


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


def test_a_judge_keeps_to_its_limit_and_can_be_stopped(tmp_path: Path) -> None:
    base, run = make_base(tmp_path / "base", "gpt2", language=True), tmp_path / "run"
    rows = tmp_path / "rows.jsonl"
    pairs = [{"prompt": f"{WORDS[n % 9]} {WORDS[n % 5]}", "completion": f" {WORDS[n % 9]}"} for n in range(60)]
    rows.write_text("".join(json.dumps(one) + "\n" for one in pairs), encoding="utf-8")
    stopping = threading.Event()

    def answers(_: dict[str, Any], number: int) -> Answer:
        if number == 4:
            stopping.set()
        return said("FIRST", usage=(100, 3))

    options = {f"judge.{name}": value for name, value in PRICED.items()}
    with service(answers) as there:
        asked = {"judge.endpoint": there.url, "judge.model": "j", "judge.max_rows": 5, "judge.max_cost": 0.52}
        quick = {"generation.max_tokens": 4, "training.epochs": 4.0, "training.learning_rate": 0.01}
        named = {**asked, **options, **quick, "evaluation.baselines": ["base"], "evaluation.resamples": 200}
        for number in range(3):
            with pytest.raises(UserError, match=f"P025 .*judge.max_cost in {run}/recipe.yaml"):
                if number:
                    whet.resume(run)
                else:
                    whet.fit(rows, task="text-generation", base=str(base), out=run, **named)
            assert len(there.asked) == 3  # 512 tokens are set aside for each
        with_limit(run, "judge", 10.0)
        told: list[Any] = []
        with pytest.raises(Interrupted):
            go_on(run, stopping.is_set, told)
        assert len(there.asked) >= 5
        assert any(one[0] == "judged" for one in told)
        whet.resume(run)
        assert len(there.asked) == len(set(there.prompts))
    spent = read(run, "judge.json")["spent"]
    assert spent["requests"] == len(there.asked) and spent["cached"] == 10 - len(there.asked)
    assert spent["price"] == pytest.approx(charged(there))


def test_a_judge_against_nobody_is_refused(tmp_path: Path) -> None:
    base, rows = make_base(tmp_path / "base", "bert"), made_rows.single(tmp_path)
    with pytest.raises(UserError, match="R027"):
        whet.fit(rows, base=str(base), out=tmp_path / "run", judge__endpoint="http://localhost:1/v1", judge__model="m")
