"""A closer look at one model that answers questions: which kinds it can, and its answers in their contexts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from whet.report import numbers
from whet.report.answer_examples import LEGEND, groups
from whet.report.answer_outcomes import WORDS, Answered, answered, kinds_of_question
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, words

if TYPE_CHECKING:
    from whet.data.predictions import AnswerPredictions

COLUMNS = [
    Column("Questions", True),
    Column("Exact match", True, "Share answered exactly, or rightly left open."),
    Column("F1", True, "Words shared with the nearest accepted answer, averaged."),
    Column("Left open", True, "Questions that were given no answer."),
]


def _answered(run: RunFiles) -> tuple[AnswerPredictions, list[Answered]] | str:
    """The saved answers of the shown model against the truth, or why there are none."""
    from whet.data.predictions import AnswerPredictions

    predictions = run.judged(AnswerPredictions)
    return predictions if isinstance(predictions, str) else (predictions, answered(predictions))


def questions(run: RunFiles) -> Section:
    """Exact match and F1 by answerable or not and by question word, and what became of the questions."""
    made = _answered(run)
    if isinstance(made, str):
        return Section("questions", "Kinds of questions", absent=made)
    predictions, found = made
    from whet.evaluation.shares import share_interval

    assert predictions.gold is not None
    gold, said = predictions.gold, predictions.said

    def table(caption: str, title: str, name_of: Callable[[int], str], order: Iterable[str]) -> Table:
        rows = []
        for name in order:
            mine = [one for one in found if name_of(one.row) == name]
            rows_of = np.asarray([one.row for one in mine])
            groups_of = None if predictions.groups is None else predictions.groups[rows_of]
            cells = [number(len(mine), numbers.count(len(mine)))]
            for values in ([float(one.is_exact) for one in mine], [one.f1 for one in mine]):
                mean, ends = sum(values) / len(mine), share_interval(np.asarray(values), groups_of)
                cells.append(number(mean, numbers.percent(mean), numbers.interval(*ends, "exact_match")))
            opened = sum(not said[one.row] for one in mine)
            cells.append(number(opened, numbers.count(opened)))
            rows.append(Row([words(name), *cells]))
        return Table(caption, [Column(title), *COLUMNS], rows, sortable=len(rows) > 2)

    texts = run.sources(predictions, range(len(predictions)), ["text"])
    kinds = kinds_of_question({row: str(one.get("text") or "") for row, one in texts.items()})
    often = [name for name, _ in sorted(Counter(kinds.values()).items(), key=lambda one: (-one[1], one[0]))]
    names = {True: "Has an answer", False: "Has none"}
    there = [name for known, name in names.items() if any(bool(accepted) is known for accepted in gold)]
    content = {
        "model": run.shown_model,
        "outcomes": _outcomes(found),
        "answerable": table(
            "Questions with and without an answer", "Question", lambda row: names[bool(gold[row])], there
        ),
        "words": table("By question word", "Question word", lambda row: kinds.get(row, ""), often) if often else None,
    }
    return Section("questions", "Kinds of questions", content)


def _outcomes(found: list[Answered]) -> Table:
    """How many questions came to each outcome."""
    rows = []
    for outcome, (sign, name, meaning) in WORDS.items():
        times = sum(one.outcome == outcome for one in found)
        share = times / len(found) if found else None
        cells = [number(times, numbers.count(times)), number(share, numbers.percent(share)), words(meaning)]
        rows.append(Row([words(f"{sign} {name}"), *cells]))
    columns = [Column("Outcome"), Column("Questions", True), Column("Share", True), Column("What it means", prose=True)]
    return Table("What became of the questions", columns, rows)


def answers(run: RunFiles) -> Section:
    """Answers in their contexts, by what is wrong with them."""
    made = _answered(run)
    if isinstance(made, str):
        return Section("answers", "Answers in their contexts", absent=made)
    predictions, found = made
    shown = groups(run, predictions, found)
    if not shown:
        return Section("answers", "Answers in their contexts", absent="The texts are not in this run folder.")
    return Section(
        "answers", "Answers in their contexts", {"model": run.shown_model, "legend": LEGEND, "groups": shown}
    )
