"""The pages of models that write, and of those that only learn texts: what they show of what the files say."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF

from whet.data.predictions import TextPredictions, load, save
from whet.report import write_report
from whet.report.charts import split_scale
from whet.report.text_rows import nearness, units
from whet.report.text_sections import chosen

from .task_reading import flat, scores_of, texts_of
from .test_page import captioned, rows_of, tree_of


def saved(folder: Path, model: str) -> TextPredictions:
    found = load(folder / "predictions" / f"{model}.test.parquet")
    assert isinstance(found, TextPredictions)
    return found


def test_rows_are_as_near_as_sacrebleu_says(task_runs: dict[str, Path]) -> None:
    full = saved(task_runs["texts"], "full")
    assert full.said is not None and full.gold is not None
    expected = [CHRF().sentence_score(said, list(row)).score for said, row in zip(full.said, full.gold, strict=True)]
    assert nearness(full) * 100 == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 12, 13, 60])
def test_worst_middle_and_best_are_chosen_once_each(size: int) -> None:
    near = np.linspace(0, 1, size)
    groups = list(chosen(near[::-1]).values())
    rows = [row for group in groups for row in group]
    assert len(rows) == len(set(rows)) <= 12 and len(rows) >= min(size, 3)
    assert groups[0][0] == size - 1, "the worst comes first"
    if size > 2:
        assert groups[-1][0] == 0, "the best leads the last group"


def test_examples_stand_beside_the_accepted_text_and_other_models(task_runs: dict[str, Path]) -> None:
    folder = task_runs["texts"]
    prompts, models = (
        texts_of(folder, "text"),
        {name: saved(folder, name) for name in ("full", "base", "nearest_answer")},
    )
    near = nearness(models["full"])
    items = [item for group in tree_of(folder).one("section", id="examples").all("ol") for item in group.children]
    assert len(items) == 12
    shown = []
    for item in items:
        row = prompts.index(item.all("blockquote")[0].text)
        shown.append(row)
        by = [one.all("p", class_="by")[0].text for one in item.all("div", class_="saying")]
        assert [one.split()[0] for one in by] == ["Accepted", "full", "base", "nearest_answer"]
        accepted = models["full"].gold
        assert accepted is not None and item.all("blockquote")[1].text == flat(accepted[row][0])
        assert ("Others accepted 1" in by[0]) == (row % 4 == 0)
        assert f"chrF {100 * near[row]:.1f} %" in by[1]
        finished = models["full"].finished
        assert finished is not None and ("by the limit" in by[1]) == (not finished[row])
        texts = [one.text for one in item.all("blockquote")]
        for model in models.values():
            assert model.said is not None and (not model.said[row].strip() or flat(model.said[row]) in texts)
    assert near[shown[0]] == near.min() and near[shown[8]] == near.max()


def test_endings_and_lengths_agree_with_the_files(task_runs: dict[str, Path]) -> None:
    folder = task_runs["texts"]
    section = tree_of(folder).one("section", id="writing")
    rows = {row[0]: row[1:] for row in rows_of(captioned(section, "How texts end"))}
    assert set(rows) == {"full", "base", "nearest_answer"}
    full = saved(folder, "full")
    assert full.finished is not None and full.said is not None and full.gold is not None
    assert rows["full"][0] == f"{100 * full.finished.mean():.1f} %"
    assert int(rows["full"][1]) == int((~full.finished).sum())
    lengths = [sum(map(len, full.said)), sum(len(row[0]) for row in full.gold)]
    assert rows["full"][6] == f"{lengths[0] / lengths[1]:.2f}"
    assert rows["nearest_answer"][:2] == ["–", "–"], "what is copied neither ends nor is cut"
    assert sum(int(row[1]) for row in rows_of(section.one("figure").one("table"))) == len(full)
    assert "nrefs" in section.text, "the signature of chrF"


@pytest.mark.parametrize("kind", ["texts", "language"])
def test_loss_is_told_by_row_or_document(task_runs: dict[str, Path], kind: str) -> None:
    folder = task_runs[kind]
    full = saved(folder, "full")
    assert full.nats is not None and full.tokens is not None
    places = [np.flatnonzero(full.groups == group) for group in dict.fromkeys(full.groups)] if kind == "language" else [
        np.asarray([row]) for row in range(len(full))
    ]  # fmt: skip
    assert len(places) == (20 if kind == "language" else 60)
    rates = [full.nats[rows].sum() / full.tokens[rows].sum() for rows in places]
    assert [one.rate for one in units(full)] == pytest.approx(rates)
    section = tree_of(folder).one("section", id="loss")
    assert sum(int(row[1]) for row in rows_of(section.one("figure").one("table"))) == len(places)
    table = {row[0]: row[1:] for row in rows_of(captioned(section, "Nats per token by"))}
    assert set(table) == {"full", "base", "unigram"}, "a model without probabilities has no line"
    score = scores_of(folder)["models"]["full"]["token_nats"]["value"]
    assert float(table["full"][0]) == pytest.approx(score, abs=5e-4)
    assert float(table["full"][2]) == pytest.approx(float(np.median(rates)), abs=5e-4)
    easier = sum(one.nats < mine.nats for one, mine in zip(units(saved(folder, "base")), units(full), strict=True))
    assert table["base"][4] == str(easier)
    assert sum(int(row[1]) for row in rows_of(captioned(section, "By length"))) == len(places)


@pytest.mark.parametrize("kind", ["texts", "language"])
def test_the_hardest_texts_come_first(task_runs: dict[str, Path], kind: str) -> None:
    folder = task_runs[kind]
    found = sorted(units(saved(folder, "full")), key=lambda one: -one.rate)
    texts = texts_of(folder, "text")
    hardest, easiest = tree_of(folder).one("section", id="hardest").all("ol")
    for item, one in zip(hardest.children, found[:8], strict=True):
        assert float(item.all("dd")[0].text) == pytest.approx(one.rate, abs=5e-4)
        assert item.one("blockquote").text.startswith(flat(texts[one.rows[0]])[:40])
    assert float(easiest.children[0].all("dd")[0].text) == pytest.approx(found[-1].rate, abs=5e-4)
    assert ("Rows 4" in hardest.text) == (kind == "language")


def test_a_model_that_wrote_nothing_is_shown_by_the_next_that_did(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs["texts"], folder)
    path = folder / "verdict.json"
    told = json.loads(path.read_text(encoding="utf-8")) | {"ship": "unigram"}
    path.write_text(json.dumps(told), encoding="utf-8")
    write_report(folder)
    section = tree_of(folder).one("section", id="examples")
    assert "those of the model full" in section.text and "The model unigram wrote none." in section.text


def test_what_the_verdict_cannot_measure_is_compared_beside_it(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    folder = task_runs["texts"]
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert [one["against"] for one in told["beside"]] == ["nearest_answer"]
    section = tree_of(folder).one("section", id="comparison")
    row = rows_of(captioned(section, "Compared by another metric"))[0]
    assert row[0] == told["ship"] and row[1] == "nearest_answer chrF"
    assert row[2].startswith(f"{100 * told['beside'][0]['difference']:+.1f}".replace("-", "−"))
    assert "goes by token cross-entropy" in section.text
    assert "another metric" not in tree_of(task_runs["language"]).one("section", id="comparison").text


def test_the_first_numbers_name_what_stands_beside_the_verdict(task_runs: dict[str, Path]) -> None:
    folder = task_runs["texts"]
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    tiles = tree_of(folder).one("section", id="verdict").one("dl", class_="facts")
    [one] = [one.text for one in tiles.children if "nearest_answer" in one.text]
    assert one.startswith(f"{told['ship']} minus nearest_answer by chrF, same rows")
    assert f"{100 * told['beside'][0]['difference']:+.1f}".replace("-", "−") in one
    other = tree_of(task_runs["language"]).one("section", id="verdict").one("dl", class_="facts")
    assert "by chrF" not in other.text


def test_forms_known_answers_and_learned_scores_have_columns_where_they_are_known(
    tmp_path: Path, task_runs: dict[str, Path]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs["texts"], folder)
    full = saved(folder, "full")
    assert full.gold is not None
    valid = np.arange(len(full)) % 3 > 0
    chosen = tuple(f"label {row}" for row in range(len(full)))
    save(replace(full, valid=valid, chosen=chosen), folder / "predictions" / "full.test.parquet")
    scores = scores_of(folder)
    assert "comet" not in scores["details"]["full"]
    scores["details"]["full"]["comet"] = {"value": 0.8123, "low": 0.8, "high": 0.82, "model": "wmt"}
    scores["models"]["full"] |= {"format_valid": {"value": 0.5, "low": 0.4, "high": 0.6}}
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    write_report(folder)
    page = tree_of(folder)
    rows = {row[0]: row[1:] for row in rows_of(captioned(page.one("section", id="writing"), "How texts end"))}
    assert rows["full"][7:] == ["50.0 %", "0.812"] and rows["base"][7:] == ["–", "–"]
    texts, shown = texts_of(folder, "text"), page.one("section", id="examples")
    items = [item for group in shown.all("ol") for item in group.children]
    for item in items:
        row = texts.index(item.all("blockquote")[0].text)
        by = item.all("p", class_="by")[2].text
        assert ("Form not the one asked for" in by) == (not valid[row]) and f"answer label {row}" in by


def test_no_model_lies_off_a_scale_without_an_upper_end() -> None:
    rows = [{"value": 1.0}, {"value": 5.1}, {"value": 5.3}]
    assert split_scale(rows, 1, less_is_better=True) == (rows, [])
