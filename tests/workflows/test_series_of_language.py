"""A series of a language model: texts of a domain, answers, and which of two is better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import whet
from tests.made_models import WORDS
from tests.made_runs import Runs
from tests.made_tasks import preferences
from whet.folder import RunFolder
from whet.recipe import load
from whet.seeds import generator

STAGES = """\
base: {base}
evaluation: {{resamples: 100}}
forgetting: {{measure: false}}
generation: {{max_tokens: 4}}
training: {{epochs: 2, learning_rate: 0.01}}
stages:
  - name: read
    task: language-modeling
    method: full
    data: {{source: {texts}}}
  - name: answer
    task: text-generation
    method: lora
    data: {{source: {chats}}}
  - name: prefer
    task: preference
    method: full
    data: {{source: {pairs}}}
    preference: {{samples: 4}}
"""


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def test_texts_then_answers_then_preferences(runs: Runs, tmp_path: Path, undrawn: None):
    texts = [" ".join(str(w) for w in generator(0, "texts", row).choice(WORDS, 12)) for row in range(60)]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    rows = [{"text": f"where {text}", "completion": " ".join(text.split()[:3])} for text in texts]
    chats = [
        {"messages": [{"role": "user", "content": row["text"]}, {"role": "assistant", "content": row["completion"]}]}
        for row in rows
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    recipe = tmp_path / "series.yaml"
    recipe.write_text(
        STAGES.format(
            base=runs.base("decoder"),
            texts=tmp_path / "texts.txt",
            chats=tmp_path / "chats.jsonl",
            pairs=preferences(tmp_path),
        )
    )
    series = whet.fit(recipe, out=tmp_path / "run")
    folders = {name: RunFolder(series.path / "runs" / name) for name in ("read", "answer", "prefer")}
    for folder in folders.values():
        assert folder.read_state()["state"] == "finished"
    for name, before in (("answer", "read"), ("prefer", "answer")):
        assert Path(load(folders[name].recipe).base).is_relative_to(folders[before].path)
    # what a stage begins from is what the one before it became
    ends = json.loads(folders["read"].scores.read_text())["models"]["full"]["token_nats"]["value"]
    assert np.isfinite(ends)
    found = json.loads(folders["prefer"].scores.read_text())["models"]
    assert {"full", "base"} <= set(found)
    assert whet.open_run(series.path).predict(["where order"], ["thank item"])[0].rewards
