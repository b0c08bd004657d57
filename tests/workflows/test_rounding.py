"""Method quantised: a tuned model rounded to few bits, held against itself, saved so, and gone on from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import whet
from tests import made_models, made_rows, made_runs, made_sources
from whet.data.predictions import load as load_predictions
from whet.errors import UserError
from whet.folder import RunFolder
from whet.models.about import load_about
from whet.workflows import using

FEW = {"resamples": 100, "label_noise": False, "baselines": ["base"]}
TRAINED = {"epochs": 3, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("rounding")
    made_models.make_base(root / "base", "bert", width=64)
    made_rows.single(root)
    with made_runs.quiet_machine(root / "store.sqlite"):
        yield root


def recipe(place: Path, folder: Path, *stages: dict[str, Any], **more: Any) -> Path:
    values = {
        "base": str(place / "base"),
        "data": {"source": str(place / "messages.csv")},
        "forgetting": {"measure": False},
        "training": TRAINED,
        "method": "full",
        **({"stages": list(stages)} if stages else {}),
        **more,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def chain(place: Path) -> whet.Run:
    """The task, then rounding; what stands above of training is of the first alone."""
    stages = [{"name": "sort"}, {"name": "small", "method": "quantised", "evaluation": FEW}]
    return whet.fit(recipe(place, place, *stages, evaluation={**FEW, "baselines": ["majority"]}), out=place / "chain")


def test_the_last_stage_is_the_model_before_in_few_bits(chain: whet.Run, place: Path):
    small = RunFolder(chain.path / "runs" / "small")
    config = read(small.model / "config.json")
    assert config["quantization_config"]["load_in_8bit"] and small.saved == "quantised"
    assert load_about(small.model).quantisation["bits"] == 8
    facts = read(small.facts("quantised"))
    assert facts["trainable_parameters"] == 0 and facts["parity"]["bin"] == "passed", facts["parity"]["message"]
    assert facts["weights_bytes"] < read(small.facts("base"))["weights_bytes"]
    resolved = yaml.safe_load(small.resolved.read_text())
    assert resolved["quantisation.bits"]["value"] == 8 and not (small.checkpoints / "quantised").exists()


def test_the_base_beside_it_is_the_model_of_the_stage_before(chain: whet.Run):
    """On the very rows: its head was kept, and its answers are those of the model that was trained."""
    small, sort = (RunFolder(chain.path / "runs" / name) for name in ("small", "sort"))
    mine = load_predictions(small.predictions("base", "test"))
    theirs = load_predictions(sort.predictions("full", "test"))
    assert mine.ids.tolist() == theirs.ids.tolist()
    assert (mine.scores.argmax(1) == theirs.scores.argmax(1)).all()
    rounded = load_predictions(small.predictions("quantised", "test"))
    assert 0 < np.abs(rounded.scores - mine.scores).max() < 0.2, "rounded, and still the same model"


def test_the_verdict_and_a_finding_tell_what_was_lost_and_saved(chain: whet.Run):
    small = RunFolder(chain.path / "runs" / "small")
    verdict = read(small.verdict)
    assert [one["candidate"] for one in verdict["comparisons"]] == ["base"], "the dearer one must show its worth"
    assert {"low", "high", "difference"} <= verdict["comparisons"][0].keys() and verdict["ship"] == "quantised"
    found = {one["code"]: one for one in read(small.findings)}
    assert verdict["reason"].startswith("The untouched base is ") and "the base in few bits" in verdict["reason"]
    lost = found["E015"]
    assert lost["evidence"]["costs"]["quantised"].keys() == {"weights_bytes", "predict_rows_per_second"}
    assert "In 8 bits, accuracy is" in lost["message"] and "MB on disk instead of" in lost["message"]
    assert "ms instead of" in lost["message"] and "95 % interval" in lost["message"]
    assert found["V001"]["bin"] == "not_applicable" and found["E009"]["bin"] == "passed"
    assert (small.path / "report.html").exists() and "E015" in small.report.read_text()


def test_the_whole_answers_in_few_bits(chain: whet.Run):
    said = chain.predict(["where is my order", "my card was charged"])
    assert len(said) == 2 and chain.summary["stages"][-1]["method"] == "quantised"
    assert using.open_model(chain.path).model.quantised is not None


def test_plain_transformers_reads_what_was_saved(chain: whet.Run):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = RunFolder(chain.path / "runs" / "small").model
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert any(type(one).__name__ == "Linear8bitLt" for one in network.modules())
    inputs = AutoTokenizer.from_pretrained(folder)(["where is my order"], return_tensors="pt")
    label = network.config.id2label[int(network(**inputs).logits.argmax())]
    assert label == chain.predict(["where is my order"])[0].label


def test_a_training_begins_from_a_rounded_model(chain: whet.Run, place: Path, tmp_path: Path):
    """By an adapter, too, which is then merged: no base that lies anywhere is the one it stands on."""
    base = str(chain.path / "runs" / "small" / "model")
    path = recipe(place, tmp_path, base=base, method="lora", lora={"rank": 2}, evaluation={**FEW, "baselines": "auto"})
    run = whet.fit(path, out=tmp_path / "run", **{"evaluation.baselines": ["majority"]})
    about = load_about(using.kept_models(RunFolder(run.path))["lora"])
    assert about.kind == "own" and about.quantisation is None
    assert len(run.predict(["where is my order"])) == 1


def test_four_bits_of_a_run_on_its_own(chain: whet.Run, place: Path, tmp_path: Path):
    kept = using.kept_models(RunFolder(chain.path / "runs" / "sort"))["full"]
    bits = {"bits": 4, "double": False}
    values = {"base": str(kept), "method": "quantised", "quantisation": bits, "training": {}, "evaluation": FEW}
    run = whet.fit(recipe(place, tmp_path, **values), out=tmp_path / "run")
    assert "In 4 bits (NF4), accuracy is" in next(f.message for f in run.findings if f.code == "E015")
    config = read(run.path / "model" / "config.json")["quantization_config"]
    assert config["load_in_4bit"] and not config["bnb_4bit_use_double_quant"]


def test_a_language_model_is_rounded_as_it_is(place: Path, tmp_path: Path):
    base = made_models.make_base(tmp_path / "base", "llama", width=64, language=True)
    source = made_sources.documents(tmp_path)
    values = {
        "base": str(base),
        "task": "language-modeling",
        "method": "quantised",
        "data": {"source": str(source)},
        "training": {},
        "evaluation": {"resamples": 100},
        "forgetting": {"measure": True},
    }
    run = whet.fit(recipe(place, tmp_path, **values), out=tmp_path / "run")
    found = {one.code: one for one in run.findings}
    assert "nats" in found["E015"].message and found["E008"].bin == "passed", found["E008"].message
    assert found["V009"].bin != "not_applicable", "what few bits took of general text is measured"
    assert run.predict(["where is my card"])[0].nats is not None


# --- what is refused ------------------------------------------------------------------------------------


def refused(path: Path, out: Path) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        whet.fit(path, out=out)
    assert not out.exists(), "nothing was begun"
    return [(one.code, one.what) for one in caught.value.problems]


def test_a_base_without_a_head_is_refused_before_anything_is_done(place: Path, tmp_path: Path):
    path = recipe(place, tmp_path, method="quantised", training={}, evaluation=FEW)
    ((code, what),) = refused(path, tmp_path / "run")
    assert code == "M075" and "has no trained head for these rows" in what


def test_a_stage_of_another_task_or_with_fewer_labels_is_refused_before_it_is_trained(place: Path, tmp_path: Path):
    rare = tmp_path / "rare.csv"
    lines = (place / "messages.csv").read_text().splitlines()
    new = [f"{made_models.WORDS[number]} {made_models.WORDS[-number]} {number},rare" for number in range(1, 31)]
    rare.write_text("\n".join([*lines, *new]) + "\n")
    small = {"name": "small", "method": "quantised", "evaluation": FEW, "data": {"source": str(rare)}}
    ((code, what),) = refused(recipe(place, tmp_path, {"name": "sort"}, small), tmp_path / "run")
    assert code == "M075" and "has no rows of: rare." in what
    tags = {"name": "tag", "task": "token-classification", "data": {"source": str(made_rows_of_entities(tmp_path))}}
    small = {"name": "small", "method": "quantised", "evaluation": FEW}
    ((code, what),) = refused(recipe(place, tmp_path, tags, small), tmp_path / "run")
    assert code == "M075" and "tags words, not classifies texts" in what


def made_rows_of_entities(folder: Path) -> Path:
    from tests import made_tasks

    return made_tasks.entities(folder)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"training": {"epochs": 2}}, "R038"),
        ({"training": {}, "lora": {"rank": 2}}, "R021"),
        ({"training": {}, "student": {"layers": 1}}, "R038"),
        ({"training": {}, "vocabulary": {"add": ["parcel"]}}, "R038"),
        ({"training": {}, "head": {"keep_labels": False}}, "R038"),
        ({"training": {}, "search": {"space": {"method": ["full", "quantised"]}}}, "R038"),
        ({"training": {}, "task": "regression"}, "R039"),
        ({"training": {}, "evaluation": {"baselines": ["majority"]}}, "R038"),
        ({"training": {}, "quantisation": {"bits": 8, "kind": "fp4"}}, "R037"),
    ],
)
def test_what_belongs_to_a_training_is_refused(place: Path, tmp_path: Path, more: dict[str, Any], code: str):
    path = recipe(place, tmp_path, method="quantised", **more)
    assert code in [one for one, _ in refused(path, tmp_path / "run")]
