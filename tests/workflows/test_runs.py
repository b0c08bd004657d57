"""Whole runs on tiny models: complete, loaded by others, moved elsewhere, and the same for the same seed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests import forked, made_rows
from tests.made_runs import KINDS, Runs
from whet.data import reading
from whet.data.predictions import load as load_predictions
from whet.inference.answers import ask

from .contents import check_same, left_over, states

FILES = (
    "recipe.yaml",
    "resolved.yaml",
    "environment.json",
    "events.jsonl",
    "findings.json",
    "data/fingerprint.json",
    "data/audit.json",
    "data/ledger.json",
    "data/train.arrow",
    "data/validation.arrow",
    "data/test.arrow",
    "model/whet.json",
    "model/README.md",
    "scores.json",
    "verdict.json",
    "report.html",
    "state.json",
)
BASELINES = ["label_names", "majority", "probe", "tfidf_linear"]
TUNED = {"probe": [], "full": ["full"], "auto-pairs": ["full"], "lora-several": ["lora"], "full-separator": ["full"]}
TEXTS = ["where is my card", "i want a refund for the broken item", "my order has not arrived yet"]


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


@pytest.fixture(params=KINDS)
def run(request: pytest.FixtureRequest, runs: Runs) -> Path:
    """A finished run of every kind."""
    return runs.finished(request.param)


def test_the_folder_is_complete(run: Path):
    assert [name for name in FILES if not (run / name).is_file()] == []
    assert states(run) == "finished"
    assert left_over(run) == []
    assert not (run / "checkpoints").exists()
    assert not (run / "tokens").exists()
    for model in read(run, "scores.json")["models"]:
        for split in ("validation", "test"):
            assert (run / "predictions" / f"{model}.{split}.parquet").is_file()


@pytest.mark.parametrize("kind", TUNED)
def test_every_model_has_scores(runs: Runs, kind: str):
    scores = read(runs.finished(kind), "scores.json")
    assert sorted(scores["models"]) == sorted([*BASELINES, *TUNED[kind]])
    for metrics in scores["models"].values():
        for metric in (scores["primary"], "macro_f1"):
            value = metrics[metric]
            assert 0 <= value["low"] <= value["value"] <= value["high"] <= 1


@pytest.mark.parametrize("kind", TUNED)
def test_the_verdict_names_a_model(runs: Runs, kind: str):
    verdict = read(runs.finished(kind), "verdict.json")
    assert verdict["code"] in ("ship", "keep_baseline", "cannot_tell")
    assert verdict["ship"] in read(runs.finished(kind), "scores.json")["models"]
    assert verdict["reason"].endswith(".")


def test_scores_are_those_of_the_predictions(run: Path):
    """Counted anew from the rows and the saved predictions."""
    scores = read(run, "scores.json")
    gold = reading.reopen(run / "data").splits["test"].label_ids(scores["labels"])
    for name, metrics in scores["models"].items():
        found = load_predictions(run / "predictions" / f"{name}.test.parquet")
        assert found.gold is not None
        assert np.array_equal(found.gold, gold)
        equal = found.predicted == gold
        share = equal.mean() if gold.ndim == 1 else equal.all(1).mean()
        key = "accuracy" if "accuracy" in metrics else "exact_match"
        if key in metrics:
            assert metrics[key]["value"] == pytest.approx(share)


def test_findings_cover_audit_training_parity_and_gates(run: Path):
    found = {finding["code"]: finding for finding in read(run, "findings.json")}
    assert {"A001", "A004", "A009", "A014", "V001", "V004", "V007", "E008"} <= set(found)
    assert found["E008"]["bin"] == "passed"
    assert list(found) == sorted(found)


def test_the_log_tells_of_every_stage(run: Path):
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    started = [one["stage"] for one in events if one["kind"] == "stage" and one["state"] == "started"]
    finished = [one["stage"] for one in events if one["kind"] == "stage" and one["state"] == "finished"]
    assert started == finished
    assert started[:5] == ["read", "audit", "encode", "decide", "prove"]
    assert started[-4:] == ["score", "judge", "ship", "report"]
    assert all("model" in one for one in events if one["kind"] in ("step", "evaluation", "end"))


def test_every_setting_has_a_reason(run: Path):
    import yaml

    resolved = yaml.safe_load((run / "resolved.yaml").read_text())
    assert all(one["reason"] for one in resolved.values())
    assert resolved["method"]["value"] in ("probe", "lora", "full")
    assert "auto" not in {one["value"] for name, one in resolved.items() if name.startswith("training")}


# --- others load what a run saved -----------------------------------------------------------------


def probabilities_by_transformers(
    model: Path, texts: list[str], pairs: list[str] | None = None
) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    inputs = AutoTokenizer.from_pretrained(model)(texts, pairs, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = network(**inputs).logits.double()
    several = network.config.problem_type == "multi_label_classification"
    return (logits.sigmoid() if several else logits.softmax(-1)).numpy()


def names_by_transformers(model: Path) -> list[str]:
    from transformers import AutoConfig

    known = AutoConfig.from_pretrained(model).id2label
    return [known[number] for number in range(len(known))]


@pytest.mark.parametrize("kind", ["probe", "full", "auto-pairs", "full-separator", "merged"])
def test_plain_transformers_say_what_the_run_said(runs: Runs, kind: str):
    """For a native head and for mean pooling alike."""
    run = runs.finished(kind)
    shipped = read(run, "shipped.json")["model"]
    said = load_predictions(run / "predictions" / f"{shipped}.test.parquet")
    rows = reading.reopen(run / "data").splits["test"]
    everything = np.arange(len(rows))
    pairs = rows.pairs(everything)
    found = probabilities_by_transformers(
        run / "model", list(rows.texts(everything)), None if pairs is None else list(pairs)
    )
    assert names_by_transformers(run / "model") == list(said.labels)
    np.testing.assert_allclose(found, said.scores, atol=1e-5)


def test_an_adapter_loads_in_peft(runs: Runs):
    """PEFT's own format, on the base that it names; the head lies beside it."""
    from peft import PeftConfig

    run = runs.finished("lora-several")
    model = next(
        place for place in (run / "model", run / "models" / "lora") if (place / "adapter_config.json").exists()
    )
    assert PeftConfig.from_pretrained(model).base_model_name_or_path == str(runs.base("mean"))
    assert (model / "adapter_model.safetensors").is_file()
    assert (model / "head.safetensors").is_file()


def test_no_pickle_anywhere(run: Path):
    allowed = {".json", ".jsonl", ".yaml", ".html", ".md", ".arrow", ".parquet", ".safetensors", ".txt", ""}
    assert {path.suffix for path in run.rglob("*") if path.is_file()} <= allowed


# --- the same again, and elsewhere ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "lora-several"])
def test_the_same_seed_gives_the_same_run(runs: Runs, tmp_path: Path, kind: str):
    """In another process, bit for bit: weights, predictions, scores, verdict and findings."""
    child = forked.run(runs.line(kind, tmp_path / "run"), tmp_path)
    assert child.code() == 0, child.err
    check_same(tmp_path / "run", runs.finished(kind))


def test_another_seed_gives_other_rows(runs: Runs, tmp_path: Path):
    other = runs.fit("probe", tmp_path / "run", seed=1)
    assert (
        read(other, "data/fingerprint.json")["files"] == read(runs.finished("probe"), "data/fingerprint.json")["files"]
    )
    for name in ("data/test.arrow", "predictions/probe.test.parquet"):
        assert (other / name).read_bytes() != (runs.finished("probe") / name).read_bytes()


def test_a_run_works_where_it_is_copied_to(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without its rows, its base, and the place where it was made."""
    base = Path(shutil.copytree(runs.base("mean"), tmp_path / "base"))
    source = made_rows.single(tmp_path, 60)
    original = whet.fit(source, base=str(base), method="full", out=tmp_path / "made", evaluation__resamples=100)
    before = original.predict(TEXTS)
    page = original.report.read_text(encoding="utf-8")
    copy = Path(shutil.copytree(original.path, tmp_path / "elsewhere" / "made"))
    for place in (original.path, base):
        shutil.rmtree(place)
    source.unlink()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = whet.open_run("made")
    assert run.predict(TEXTS) == before
    (copy / "report.html").unlink()
    child = forked.run(["report", str(copy)], tmp_path)
    assert child.code() == 0, child.err
    assert str(tmp_path / "made") not in run.report.read_text(encoding="utf-8")
    assert len(run.report.read_text(encoding="utf-8")) == pytest.approx(len(page), rel=0.01)
    (tmp_path / "some.txt").write_text("\n".join(TEXTS))
    child = forked.run(["predict", str(copy), str(tmp_path / "some.txt"), "--model", "full"], tmp_path)
    assert child.code() == 0, child.err
    assert len(child.out.splitlines()) == len(TEXTS)


def test_an_adapter_finds_its_base_from_anywhere(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A base named by a relative path is remembered by its whole path."""
    shutil.copytree(runs.base("mean"), tmp_path / "base")
    made_rows.single(tmp_path, 60)
    monkeypatch.chdir(tmp_path)
    more: dict[str, Any] = {"evaluation__resamples": 100, "training__epochs": 1.0, "training__restarts": 0}
    whet.fit("messages.csv", base="./base", method="lora", out="run", **more)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    from whet.workflows.using import open_model

    assert len(ask(open_model(tmp_path / "run", "lora"), TEXTS)) == 3


# --- from Python ----------------------------------------------------------------------------------


def test_the_run_object(runs: Runs):
    run = whet.open_run(runs.finished("full"))
    assert run.scores == run.summary["scores"]
    assert run.verdict["ship"] in run.scores
    assert run.report == run.path / "report.html"
    assert {finding.code for finding in run.findings} >= {"A001", "V001"}
    answers = run.predict(TEXTS)
    assert [answer.labels for answer in answers] == [(answer.label,) for answer in answers]
    for answer in answers:
        assert answer.score == max(answer.scores.values())
        assert sum(answer.scores.values()) == pytest.approx(1.0, abs=1e-4)
    assert run.predict([]) == []


def test_several_labels_from_python(runs: Runs):
    run = whet.open_run(runs.finished("lora-several"))
    assert set(run.predict(["where is the refund for my broken item"])[0].scores) == {
        "card",
        "late",
        "question",
        "refund",
    }


def test_pairs_from_python(runs: Runs):
    run = whet.open_run(runs.finished("auto-pairs"))
    answers = run.predict(TEXTS[:2], ["my card", "help"])
    assert len(answers) == 2
    assert set(answers[0].scores) == {"same", "other"}


def test_events_are_handed_out_as_they_happen(runs: Runs, tmp_path: Path):
    seen: list[dict[str, Any]] = []
    options = {name.replace(".", "__"): value for name, value in runs.options("probe").items()}
    run = whet.fit(
        options.pop("data__source"), **options, out=tmp_path / "run", on_event=lambda e: seen.append(e.to_json())
    )
    logged = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [one for one in seen if one["kind"] != "said"] == logged


def test_a_finished_run_is_not_resumed(runs: Runs):
    with pytest.raises(whet.UserError) as raised:
        whet.resume(runs.finished("probe"))
    assert [problem.code for problem in raised.value.problems] == ["F014"]
