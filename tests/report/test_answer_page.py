from __future__ import annotations

import re
from pathlib import Path

from whet.data.predictions import AnswerPredictions, load

from .task_reading import flat, scores_of, shown_model, texts_of, words_without_tags
from .test_page import captioned, rows_of, tree_of


def test_questions_are_counted_by_outcome_and_kind(task_runs: dict[str, Path]) -> None:
    folder = task_runs["answers"]
    scores = scores_of(folder)
    model = shown_model(folder)
    details = scores["details"][model]
    section = tree_of(folder).one("section", id="questions")
    outcomes = {row[0]: int(row[1]) for row in rows_of(captioned(section, "What became"))}
    assert sum(outcomes.values()) == scores["num_rows"]
    assert outcomes["✓ Exact"] + outcomes["✓ Rightly left open"] == details["counts"]["exact"]
    assert outcomes["+ Answered the unanswerable"] == details["counts"]["answered_without_answer"]
    rows = rows_of(captioned(section, "Questions with"))
    for row, one in zip(rows, details["per_slice"], strict=True):
        interval = f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"
        assert row[1] == str(one["support"])
        assert row[2].startswith(f"{100 * one['exact_match']:.1f} %")
        assert row[3] == f"{100 * one['f1']:.1f} % {interval}"
    words = rows_of(captioned(section, "By question word"))
    assert words[0][0] == "what" and sum(int(row[1]) for row in words) == scores["num_rows"]


def test_answers_stand_in_their_contexts(task_runs: dict[str, Path]) -> None:
    folder = task_runs["answers"]
    predictions = load(folder / "predictions" / f"{shown_model(folder)}.test.parquet")
    assert isinstance(predictions, AnswerPredictions)
    questions, contexts = texts_of(folder, "text"), texts_of(folder, "text_pair")
    section = tree_of(folder).one("section", id="answers")
    titles = [re.sub(r"[\d ]+of[\d ]+$", "", heading.text) for heading in section.all("h3")]
    assert titles == [
        "↔ Partly right",
        "✗ Another place",
        "+ Answered the unanswerable",
        "✗ Missed an answer",
        "✓ Exact",
        "✓ Rightly left open",
    ]
    items = [item for group in section.all("ul", class_="texts") for item in group.children]
    assert 20 <= len(items) <= 30
    for item in items:
        row = questions.index(item.one("p", class_="question").text)
        quote, said = item.one("blockquote"), predictions.said[row]
        shown = "".join(words_without_tags(quote))
        assert all(flat(part) in flat(contexts[row]) for part in shown.split("…"))
        assert len(shown) < 1000
        assert flat("".join(mark.text for mark in quote.all("span", class_="said"))).replace(" ", "") == said.replace(
            " ", ""
        )
        assert predictions.gold is not None
        lined = "".join(mark.text for mark in quote.all("span", class_="true")).replace(" ", "")
        assert lined == (predictions.gold[row][0].replace(" ", "") if predictions.gold[row] else "")
        facts = dict(zip([one.text for one in item.all("dt")], [one.text for one in item.all("dd")], strict=True))
        assert facts["Said"] == (said or "(no answer)")


def test_mistakes_show_what_else_was_thought_of(task_runs: dict[str, Path]) -> None:
    section = tree_of(task_runs["answers"]).one("section", id="answers")
    for group in section.all("ul", class_="texts")[:4]:
        for item in group.children:
            shares = [float(one.text.rstrip(" %").strip()) for one in item.one("ol").all("small")]
            assert len(shares) >= 3 and shares == sorted(shares, reverse=True)
    assert all(not group.all("ol") for group in section.all("ul", class_="texts")[4:])
