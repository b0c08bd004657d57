"""What a recipe changes in its base: vocabulary, length, labels and head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_rows
from tests.made_runs import TRAINED, Runs
from tests.made_tasks import entities

FAST = {name.replace(".", "__"): value for name, value in TRAINED.items()}


def said(events: list[Any]) -> list[str]:
    return [row["message"] for row in (event.to_json() for event in events) if row["kind"] == "said"]


def test_tokens_are_added_and_texts_may_be_longer(runs: Runs, tmp_path: Path):
    words = tmp_path / "words.txt"
    words.write_text("quagga\n\nokapi\n", encoding="utf-8")
    events: list[Any] = []
    run = whet.fit(
        made_rows.single(tmp_path),
        base=str(runs.base("mean")),
        method="full",
        out=tmp_path / "run",
        on_event=events.append,
        vocabulary__add=["zebra"],
        vocabulary__file=str(words),
        data__max_length=60,
        **FAST,
    )
    assert any("tokens added to the vocabulary: 3" in one for one in said(events))
    found = {finding.code: finding for finding in run.findings}
    assert found["E008"].bin == "passed"
    tokenizer = json.loads((run.path / "model" / "tokenizer.json").read_text())
    assert {"zebra", "quagga", "okapi"} <= {token["content"] for token in tokenizer["added_tokens"]}
    assert json.loads((run.path / "model" / "config.json").read_text())["max_position_embeddings"] >= 60
    (answer,) = run.predict(["zebra quagga " * 28])
    assert answer.to_json(False)["label"] in made_rows.TOPICS


def test_an_adapter_on_a_changed_base_is_saved_whole(runs: Runs, tmp_path: Path):
    run = whet.fit(
        made_rows.single(tmp_path),
        base=str(runs.base("mean")),
        method="lora",
        out=tmp_path / "run",
        vocabulary__add=["zebra"],
        **FAST,
    )
    abouts = [json.loads(path.read_text()) for path in run.path.glob("model*/**/whet.json")]
    assert abouts and all(about["kind"] == "own" for about in abouts)


def test_a_classifier_becomes_the_base_of_a_tagger(runs: Runs, tmp_path: Path):
    events: list[Any] = []
    base = runs.finished("full") / "model"
    run = whet.fit(
        entities(tmp_path),
        task="token-classification",
        base=str(base),
        method="full",
        out=tmp_path / "run",
        on_event=events.append,
        **FAST,
    )
    assert any("classifier" in one for one in said(events) if one.startswith(("starts anew", "of the base")))
    assert run.summary["verdict"]["metric"] == "entity_f1"


def test_known_labels_keep_their_rows(runs: Runs, tmp_path: Path):
    events: list[Any] = []
    base = runs.finished("full") / "model"
    whet.fit(
        made_rows.single(tmp_path),
        base=str(base),
        method="full",
        out=tmp_path / "run",
        on_event=events.append,
        **FAST,
    )
    kept = [one for one in said(events) if one.startswith("kept from the base's own head")]
    assert kept and all(label in kept[0] for label in made_rows.TOPICS)


def test_a_file_of_tokens_that_is_not_there(runs: Runs, tmp_path: Path):
    with pytest.raises(whet.UserError, match="R028"):
        whet.fit(
            made_rows.single(tmp_path),
            base=str(runs.base()),
            out=tmp_path / "run",
            vocabulary__file=str(tmp_path / "none.txt"),
        )
    assert not (tmp_path / "run").exists()
