from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from whet.data.predictions import RankPredictions, ValuePredictions, load
from whet.evaluation import ranks as measured_ranks
from whet.report import write_report

from .task_reading import flat, scores_of, shown_model, texts_of
from .test_page import rows_of, tree_of


@pytest.mark.parametrize("kind", ["similarity", "regression"])
def test_the_furthest_rows_come_first(task_runs: dict[str, Path], kind: str) -> None:
    folder = task_runs[kind]
    predictions = load(folder / "predictions" / f"{shown_model(folder)}.test.parquet")
    assert isinstance(predictions, ValuePredictions) and predictions.gold is not None
    texts = texts_of(folder, "text")
    items = tree_of(folder).one("ol", class_="mistakes").all("li")
    assert len(items) == 16
    gaps = []
    for item in items:
        facts = [one.text.replace("−", "-") for one in item.all("dd")]
        row = int(facts[3]) - 2
        assert item.one("blockquote").text.startswith(flat(texts[row]))
        assert float(facts[0]) == pytest.approx(predictions.gold[row], abs=1e-3)
        assert float(facts[1]) == pytest.approx(predictions.said[row], abs=1e-3)
        gaps.append(abs(float(re.findall(r"[-+]?[\d.]+", facts[2])[0])))
    assert gaps == sorted(gaps, reverse=True)
    if kind == "regression":
        assert gaps[0] == pytest.approx(np.abs(predictions.said - predictions.gold).max(), abs=1e-3)


def test_many_values_are_thinned_out_and_it_is_said(task_runs: dict[str, Path]) -> None:
    section = tree_of(task_runs["regression"]).one("section", id="scatter")
    assert "Drawn is one row in 2." in section.text and "dotted diagonal" in section.text
    rows = rows_of(section.one("table"))
    assert sum(int(row[1].replace(",", "")) for row in rows) == 1000
    similar = tree_of(task_runs["similarity"]).one("section", id="scatter")
    assert "one row in" not in similar.text and "diagonal" not in similar.text
    assert len(similar.all("path")) > 240


def test_ranked_lists_show_the_relevant_passages_and_their_ranks(task_runs: dict[str, Path]) -> None:
    folder = task_runs["ranks"]
    predictions = load(folder / "predictions" / f"{shown_model(folder)}.test.parquet")
    assert isinstance(predictions, RankPredictions) and predictions.gold is not None
    queries, passages = texts_of(folder, "text"), texts_of(folder, "text_pair")
    relevant = np.asarray([one > 0 for one in score_column(folder)])
    section = tree_of(folder).one("section", id="lists")
    items = [item for group in section.all("ul", class_="texts") for item in group.children]
    assert len(items) == 12
    firsts = []
    for item in items:
        query = item.one("p", class_="question").text
        mine = {flat(passages[row]) for row in np.flatnonzero(relevant) if queries[row] == query}
        listed = item.all("span", class_="passage")
        marked = [one.one("span", class_="passage").text for one in item.all("li", class_="relevant")]
        assert len(listed) >= 5
        assert {text.rstrip(" …") for text in marked} == {text[:220].rstrip() for text in mine}
        ranks = [one.one("span", class_="rank").text for one in item.all("li", class_="relevant")]
        found = [int(rank) for rank in ranks if rank != "not in 100"]
        assert found == sorted(found) and ranks[: len(found)] == [str(rank) for rank in found]
        firsts.append(min(found))
        assert f"stands at rank {firsts[-1]};" in item.text
    assert firsts[:8] == sorted(firsts[:8], reverse=True) and firsts[7] > 1


def score_column(folder: Path) -> list[float]:
    return [float(one) for one in texts_of(folder, "score")]


def test_depth_agrees_with_the_scores(task_runs: dict[str, Path]) -> None:
    folder = task_runs["ranks"]
    scores = scores_of(folder)["models"][shown_model(folder)]
    section = tree_of(folder).one("section", id="depth")
    first, by_depth = (rows_of(table) for table in section.all("table"))
    assert sum(int(row[1]) for row in first) == 40
    recall = {row[0]: row[1] for row in by_depth}
    assert recall["1"] == f"{100 * scores['recall_at_1']['value']:.1f} %"
    assert recall["10"] == f"{100 * scores['recall_at_10']['value']:.1f} %"
    predictions = load(folder / "predictions" / f"{shown_model(folder)}.test.parquet")
    assert int(first[0][1]) == measured_ranks.details(predictions)["first_is_relevant"]  # type: ignore[arg-type]


def test_passages_of_other_rows_are_not_shown(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs["ranks"], folder)
    shutil.copy(task_runs["evil-ranks"] / "data" / "test.arrow", folder / "data" / "test.arrow")
    write_report(folder)
    section = tree_of(folder).one("section", id="lists")
    assert {one.text for one in section.all("p", class_="question")} == {
        "(the text of the query is not in this run folder)"
    }
    assert {one.text for one in section.all("span", class_="passage")} == {"(its text is not in this run folder)"}
