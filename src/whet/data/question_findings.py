"""What the audit finds of questions: A008 and A020 to A024."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.answer_text import exact, f1
from whet.data.balance import prior_shift
from whet.data.forms import Examples
from whet.data.question_answers import Answer, places
from whet.data.question_facts import answerable, context_hashes
from whet.data.shown import rows_in_words, shown_row
from whet.findings import Finding

MOST_ROWS = 2000
"""Rows of a split that are compared answer by answer."""

LONG = 30
"""Words; a longer answer is hardly ever found whole."""

KINDS = ("answerable", "without answer")


def findings(splits: Mapping[str, Examples]) -> list[Finding]:
    """A008 shift of the share without answer, A020 to A024."""
    there = {split: answerable(examples) for split, examples in splits.items()}
    found = [places_finding(splits), unanswerable_finding(there), long_finding(splits), agreement_finding(splits)]
    if any(not one.all() for one in there.values()):
        counts = {split: np.asarray([one.sum(), (~one).sum()]) for split, one in there.items()}
        found.append(prior_shift(KINDS, counts, {split: len(one) for split, one in there.items()}, False))
    return [*found, documents_finding(splits)]


def _answers(examples: Examples) -> list[list[Answer]]:
    return [row or [] for row in examples.column("answers")]


def places_finding(splits: Mapping[str, Examples]) -> Finding:
    """A020: training answers whose text stands at several places of the context, so that the place matters."""
    train, several, total = splits["train"], list[int](), 0
    start = 0
    for block in train.column_blocks(["text_pair", "answers"]):
        for row, (context, answers) in enumerate(zip(block["text_pair"], block["answers"], strict=True), start):
            total += bool(answers)
            if answers and len(list(places(answers[0]["text"], context))) > 1:
                several.append(row)
        start += len(block["answers"])
    evidence: dict[str, Any] = {"count": len(several), "rows": total}
    evidence["examples"] = [shown_row(train, row) for row in several[:3]]
    message = f"{len(several):,} of {rows_in_words(total)} with an answer have it at several places of the context."
    if len(several) < 0.1 * max(1, total):
        return Finding("A020", "passed", message, "train", evidence=evidence)
    remedy = "Training learns places: see that the starts are those that were meant, and not merely the first ones."
    return Finding("A020", "tip", message, "train", remedy, evidence)


def unanswerable_finding(there: Mapping[str, NDArray[np.bool_]]) -> Finding:
    """A021: how many questions have no answer in their context, and whether training knows such ones."""
    shares = {split: float(1 - one.mean()) if len(one) else 0.0 for split, one in there.items()}
    shown = ", ".join(f"{split} {share:.1%}" for split, share in shares.items())
    message, evidence = f"Questions without an answer in their context: {shown}.", {"shares": shares}
    others = [split for split, share in shares.items() if split != "train" and share > 0]
    if not any(shares.values()):
        message = "Every question has an answer in its context: a model trained on them always gives one."
        return Finding("A021", "passed", message, evidence=evidence)
    if not shares["train"]:
        remedy = "A model trained on these rows always gives an answer: add training questions that have none."
        return Finding("A021", "issue", message, ", ".join(others), remedy, evidence)
    if len(there) > 1 and not others:
        remedy = "Whether the model knows when to be silent cannot be measured: add such questions to test."
        return Finding("A021", "tip", message, "train", remedy, evidence)
    return Finding("A021", "passed", message, evidence=evidence)


def long_finding(splits: Mapping[str, Examples]) -> Finding:
    """A022: answers of so many words that the limit on their length may cut them."""
    words, longest = list[int](), list[int]()
    for row, answers in enumerate(_answers(splits["train"])):
        if answers:
            words.append(len(answers[0]["text"].split()))
            if words[-1] > LONG:
                longest.append(row)
    median, p95, most = np.quantile(words or [0], [0.5, 0.95, 1.0])
    evidence: dict[str, Any] = {"median": float(median), "p95": float(p95), "max": int(most), "count": len(longest)}
    evidence["examples"] = [shown_row(splits["train"], row) for row in longest[:3]]
    message = f"Answers have {median:.0f} words in the median, {p95:.0f} at the 95th percentile, {most:.0f} at most."
    if len(longest) <= 0.01 * max(1, len(words)):
        return Finding("A022", "passed", message, "train", evidence=evidence)
    message += f" {rows_in_words(len(longest))} of training {'has' if len(longest) == 1 else 'have'} more than {LONG}."
    return Finding("A022", "tip", message, "train", "Raise answers.max_tokens, or shorten the answers.", evidence)


def agreement_finding(splits: Mapping[str, Examples]) -> Finding:
    """A023: how well one of several given answers agrees with the others, where there are several."""
    split = "test" if "test" in splits else "train"
    several = [[one["text"] for one in row] for row in _answers(splits[split]) if len(row) > 1]
    if not several:
        return Finding("A023", "not_applicable", "No question has several answers to compare.")
    chosen = several[:: -(-len(several) // MOST_ROWS)]
    shared, same = np.mean([_agreement(texts) for texts in chosen], axis=0)
    message = (
        f"Of the {len(several):,} {split} questions with several answers, one answer agrees with the others "
        f"at {100 * shared:.1f} F1 and {100 * same:.1f} % exact match."
    )
    evidence = {"rows": len(several), "compared": len(chosen), "f1": float(shared), "exact_match": float(same)}
    return Finding("A023", "passed", message, split, evidence=evidence)


def _agreement(texts: Sequence[str]) -> tuple[float, float]:
    """F1 and exact match of each answer against the best of the others, in the mean."""
    others = [[*texts[:one], *texts[one + 1 :]] for one in range(len(texts))]
    pairs = list(zip(texts, others, strict=True))
    return float(np.mean([f1(*pair) for pair in pairs])), float(np.mean([exact(*pair) for pair in pairs]))


def documents_finding(splits: Mapping[str, Examples]) -> Finding:
    """A024: test questions on a document, or a context, that training has questions on."""
    if "test" not in splits:
        return Finding("A024", "not_applicable", "There is no test split.")
    train, test = splits["train"], splits["test"]
    contexts = np.isin(context_hashes(test), context_hashes(train))
    documents = contexts
    if train.groups is not None and test.groups is not None:
        documents = contexts | np.isin(test.groups, train.groups)
    count, evidence = int(documents.sum()), {"count": int(documents.sum()), "contexts": int(contexts.sum())}
    evidence["rows"] = len(test)
    if not count:
        return Finding("A024", "passed", "No test question is on a document of training.", "test", evidence=evidence)
    message = (
        f"{count:,} of {len(test):,} test questions are on a document that training has questions on, "
        f"{int(contexts.sum()):,} of them on the same context."
    )
    remedy = "If questions on new documents are to be answered, divide the data by document."
    return Finding("A024", "tip", message, "test", remedy, evidence)
