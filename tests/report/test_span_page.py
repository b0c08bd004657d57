from __future__ import annotations

import re
from pathlib import Path

from whet.data.predictions import SpanPredictions, load

from .task_reading import flat, scores_of, shown_model, texts_of, words_without_tags
from .test_page import captioned, rows_of, tree_of


def spans_of(folder: Path) -> SpanPredictions:
    found = load(folder / "predictions" / f"{shown_model(folder)}.test.parquet")
    assert isinstance(found, SpanPredictions)
    return found


def test_types_have_their_scores(task_runs: dict[str, Path]) -> None:
    folder = task_runs["spans"]
    details = scores_of(folder)["details"][shown_model(folder)]
    section = tree_of(folder).one("section", id="types")
    shown = {row[0]: row for row in rows_of(captioned(section, "All 4 types"))}
    for one in details["per_type"]:
        row = shown[one["label"]]
        assert row[2] == str(one["support"])
        assert row[3:5] == [f"{100 * one['precision']:.1f} %", f"{100 * one['recall']:.1f} %"]
        assert row[5] == f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
    seen = rows_of(captioned(section, "Entities of"))
    assert [int(row[1]) for row in seen] == [details["seen"][name]["support"] for name in ("seen", "unseen")]


def test_errors_are_counted_as_in_the_scores(task_runs: dict[str, Path]) -> None:
    folder = task_runs["spans"]
    counts = scores_of(folder)["details"][shown_model(folder)]["errors"]
    section = tree_of(folder).one("section", id="errors")
    shown = {row[0]: int(row[1]) for row in rows_of(captioned(section, "Errors"))}
    assert shown == {
        "✗ Missed": counts["missed"],
        "+ False alarm": counts["spurious"],
        "⇄ Wrong type": counts["type"],
        "↔ Wrong border": counts["boundary"],
        "⇄↔ Wrong type and border": counts["type_and_boundary"],
    }


def test_missed_forms_are_counted(task_runs: dict[str, Path]) -> None:
    folder = task_runs["spans"]
    predictions, texts = spans_of(folder), texts_of(folder, "text")
    assert predictions.gold is not None
    occurs: dict[tuple[str, str], int] = {}
    for row, start, end, kind in zip(
        predictions.gold.rows, predictions.gold.starts, predictions.gold.ends, predictions.gold.types, strict=True
    ):
        key = (texts[row][start:end], predictions.labels[kind])
        occurs[key] = occurs.get(key, 0) + 1
    shown = rows_of(captioned(tree_of(folder).one("section", id="errors"), "Missed forms"))
    missed = [int(row[2]) for row in shown]
    assert missed == sorted(missed, reverse=True)
    assert sum(missed) == scores_of(folder)["details"][shown_model(folder)]["errors"]["missed"]
    for row in shown:
        assert int(row[3]) == occurs[row[0], row[1]]


def test_entities_are_marked_where_they_stand(task_runs: dict[str, Path]) -> None:
    folder = task_runs["spans"]
    predictions, texts = spans_of(folder), texts_of(folder, "text")
    section = tree_of(folder).one("section", id="spans")
    items = [item for group in section.all("ul", class_="texts") for item in group.all("li")]
    assert len(items) >= 15
    for item in items:
        line = int(item.one("dl", class_="told-facts").all("dd")[-1].text)
        row = line - 2
        quote = item.one("blockquote")
        shown = "".join(piece for piece in words_without_tags(quote))
        for part in shown.split("…"):
            assert flat(part) in flat(texts[row])
        true = [texts[row][a:b] for a, b, _ in predictions.gold.row(row)]  # type: ignore[union-attr]
        lined = "".join(mark.text for mark in quote.all("span", class_="true"))
        assert lined or "false" in quote.text
        assert lined.replace(" ", "") in flat("".join(true)).replace(" ", "")
        said = [texts[row][a:b] for a, b, _ in predictions.said.row(row)]
        boxed = "".join(mark.text for mark in quote.all("span", class_="said"))
        assert boxed.replace(" ", "") in flat("".join(said)).replace(" ", "")
    titles = [heading.text for heading in section.all("h3")]
    counts = scores_of(folder)["details"][shown_model(folder)]["errors"]
    assert [int(re.findall(r"\d+", title)[-1]) for title in titles] == [
        counts[name] for name in ("missed", "spurious", "type", "boundary", "type_and_boundary")
    ]


def test_a_legend_says_what_every_mark_means(task_runs: dict[str, Path]) -> None:
    for kind, count in (("spans", 6), ("answers", 4)):
        legend = tree_of(task_runs[kind]).one("dl", class_="legend")
        assert len(legend.all("dd")) == count and all(entry.text for entry in legend.all("dd"))
        assert len(legend.all("small", class_="tag")) >= count


def test_types_taken_for_each_other(task_runs: dict[str, Path]) -> None:
    folder = task_runs["spans"]
    section = tree_of(folder).one("section", id="confusion")
    counts = scores_of(folder)["details"][shown_model(folder)]["errors"]
    pairs = rows_of(captioned(section, "The 4 most frequent"))
    assert sum(int(row[2]) for row in pairs) == counts["type"] + counts["type_and_boundary"]
    matrix = rows_of(captioned(section, "The numbers"))
    assert matrix[-1][0] == "no entity" and matrix[-1][-1] == "0"
    assert sum(int(row[-1]) for row in matrix) == counts["missed"]
    assert sum(int(value) for value in matrix[-1][1:]) == counts["spurious"]
