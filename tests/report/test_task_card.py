from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from whet.report import write_card

from .synthetic_tasks import MAKERS
from .task_reading import scores_of
from .test_page import tree_of


@pytest.mark.parametrize(
    ("kind", "library", "tag", "tags"),
    [
        ("spans", "transformers", "token-classification", ["token-classification", "whet"]),
        ("answers", "transformers", "question-answering", ["question-answering", "whet"]),
        ("similarity", "sentence-transformers", "sentence-similarity", ["sentence-similarity", "whet"]),
        ("regression", "transformers", "text-classification", ["text-classification", "regression", "whet"]),
        ("ranks", "transformers", "text-ranking", ["text-ranking", "ranking", "whet"]),
        ("ranks", "sentence-transformers", "sentence-similarity", ["sentence-similarity", "ranking", "whet"]),
    ],
)
def test_card_of_every_kind(
    tmp_path: Path, task_runs: dict[str, Path], kind: str, library: str, tag: str, tags: list[str]
) -> None:
    folder = tmp_path / kind
    shutil.copytree(task_runs[kind], folder)
    text = write_card(folder, "Use it.", "someone/base", "someone/data", library=library).read_text(encoding="utf-8")
    text = text.replace("\u00a0", " ")
    about = yaml.safe_load(text.split("---\n")[1])
    assert (about["pipeline_tag"], about["tags"], about["library_name"]) == (tag, tags, library)
    scores = scores_of(folder)
    metrics = about["model-index"][0]["results"][0]["metrics"]
    assert metrics[0]["type"] == scores["primary"]
    assert {one["type"] for one in metrics} == set(scores["models"]["full"])
    assert about["model-index"][0]["results"][0]["task"]["type"] == tag
    shown = [line for line in text.splitlines() if line.startswith("| **full**")]
    assert len(shown) == 1
    limits = text.split("## Limits")[1].split("## ")[0]
    assert ("knows only the labels" in limits) is False and len(limits.strip().splitlines()) >= 3
    assert ("Smaller is better for ECE." in text) == (kind in ("spans", "answers"))
    assert ("Smaller is better for MAE and MSE." in text) == (kind == "regression")
    assert ("4 types: `person`" in text) == (kind == "spans")
    assert ("Weakest types" in text) == (kind == "spans")


@pytest.mark.parametrize("kind", list(MAKERS))
def test_a_run_without_a_card_is_used_by_our_command(task_runs: dict[str, Path], kind: str) -> None:
    use = tree_of(task_runs[kind]).one("section", id="use").text
    assert f"whet predict {kind} rows.csv" in use
