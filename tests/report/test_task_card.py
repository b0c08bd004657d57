from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from whet.report import write_card, write_report
from whet.report.run_files import read_run

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
        ("texts", "transformers", "text-generation", ["text-generation", "whet"]),
        ("language", "transformers", "text-generation", ["text-generation", "language-modeling", "whet"]),
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
    by_token = "token cross-entropy, perplexity" + (
        " and bits per byte." if kind == "language" else ", bits per byte and"
    )
    assert (f"Smaller is better for {by_token}" in text) == (kind in ("texts", "language"))
    assert (
        ("same tokenizer only" in text) == ("nats of token cross-entropy" in limits) == (kind in ("texts", "language"))
    )
    assert ("the limit on their length cut off" in limits) == (kind == "texts")
    assert ("fine-tuned for language modelling" in text) == (kind == "language")
    assert ("4 types: `person`" in text) == (kind == "spans")
    assert ("Weakest types" in text) == (kind == "spans")


@pytest.mark.parametrize("kind", list(MAKERS))
def test_a_run_without_a_card_is_used_by_our_command(task_runs: dict[str, Path], kind: str) -> None:
    use = tree_of(task_runs[kind]).one("section", id="use").text
    assert f"whet predict {kind} rows.csv" in use


def test_the_card_is_of_the_network_that_was_saved(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs["language"], folder)
    (folder / "shipped.json").write_text('{"model": "base"}', encoding="utf-8")
    text = write_card(folder, "Use it.").read_text(encoding="utf-8")
    assert "| **base** |" in text and "**full**" not in text
    metrics = yaml.safe_load(text.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    assert metrics[0]["value"] == round(scores_of(folder)["models"]["base"]["token_nats"]["value"], 6)


@pytest.mark.parametrize(
    ("task", "tag", "words"),
    [("fill-mask", "fill-mask", "for filling in masked words"), ("language-modeling", "text-generation", "go on with")],
)
def test_cards_of_tasks_that_learn_texts(
    tmp_path: Path, task_runs: dict[str, Path], task: str, tag: str, words: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs["language"], folder)
    path = folder / "scores.json"
    path.write_text(path.read_text(encoding="utf-8").replace("language-modeling", task), encoding="utf-8")
    text = write_card(folder, "Use it.").read_text(encoding="utf-8")
    assert yaml.safe_load(text.split("---\n")[1])["pipeline_tag"] == tag
    assert words in text.replace("goes on with", "go on with")


def won_by(folder: Path, ships: str, saved: str) -> Path:
    """The verdict of a made run ships ``ships``, and the weights in model/ are those of ``saved``."""
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    (folder / "verdict.json").write_text(json.dumps(told | {"ship": ships}), encoding="utf-8")
    (folder / "shipped.json").write_text(json.dumps({"model": saved}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kept", [False, True])
def test_the_card_is_about_the_weights_beside_it(tmp_path: Path, task_runs: dict[str, Path], kept: bool) -> None:
    folder = won_by(Path(shutil.copytree(task_runs["answers"], tmp_path / "won")), "first_sentence", "full")
    if kept:
        (folder / "models" / "first_sentence").mkdir(parents=True)
    text = write_card(folder, "Use it.", "someone/base").read_text(encoding="utf-8").replace("\u00a0", " ")
    scores = scores_of(folder)["models"]
    about = yaml.safe_load(text.split("---\n")[1])
    said = {one["type"]: one["value"] for one in about["model-index"][0]["results"][0]["metrics"]}
    assert said == {name: pytest.approx(one["value"], abs=1e-6) for name, one in scores["full"].items()}
    assert [line.split(" ")[1] for line in text.splitlines() if line.startswith("| **")] == ["**full**"]
    ours, others = (100 * scores[name]["answer_f1"]["value"] for name in ("full", "first_sentence"))
    assert ours > others
    told = (
        "**The verdict ships another model.** This one is `full`; the verdict ships `first_sentence` (the first "
        f"sentence), {ours - others:.1f} points worse on the same questions "
        f"(Answer F1 {others:.1f} % against {ours:.1f} %)."
    )
    assert told in text
    use = text.split("## Use\n\n")[1]
    if kept:
        assert use.startswith("whet answers with `first_sentence`, which lies in `models/first_sentence` of the run")
    else:
        assert use.startswith(
            "The verdict ships 'first_sentence', which is not saved; 'full' answers in its place.\n\nUse it."
        )


@pytest.mark.parametrize(("kept", "shown"), [(False, "full"), (True, "first_sentence")])
def test_the_page_describes_the_model_that_answers(
    tmp_path: Path, task_runs: dict[str, Path], kept: bool, shown: str
) -> None:
    folder = won_by(Path(shutil.copytree(task_runs["answers"], tmp_path / "won")), "first_sentence", "full")
    if kept:
        (folder / "models" / "first_sentence").mkdir(parents=True)
    assert read_run(folder).shown_model == shown
    write_report(folder)
    verdict = tree_of(folder).one("section", id="verdict").text
    assert ("The verdict ships 'first_sentence', which is not saved; 'full' answers in its place." in verdict) == (
        not kept
    )


@pytest.mark.parametrize(
    ("base", "saved", "opening"),
    [
        ("someone/base", "full", "`someone/base`, fine-tuned for regression with whet."),
        ("someone/base", "probe", "The frozen base `someone/base` with a linear head, for regression with whet."),
        ("", "probe", "A frozen base with a linear head, for regression with whet."),
    ],
)
def test_a_probe_is_not_called_fine_tuned(
    tmp_path: Path, task_runs: dict[str, Path], base: str, saved: str, opening: str
) -> None:
    folder = won_by(Path(shutil.copytree(task_runs["regression"], tmp_path / "probe")), saved, saved)
    assert opening in write_card(folder, "Use it.", base).read_text(encoding="utf-8")
