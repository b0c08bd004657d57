"""What the audit finds of texts that are to be written: A030 to A032, A035, and groups in several splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.normal import hashes
from whet.data.shown import rows_in_words, shown_row, shown_text
from whet.findings import Finding

Splits = Mapping[str, Examples]

SHOWN = 3
MANY = 5
"""Different prompts that share an answer, from which on it counts as repeated."""

CLOSED = 100
"""Different answers at most that make up a closed set."""

TELLING = 40
"""Characters; a shorter answer may stand in two rows by chance."""

EXTREME = 10
"""Times the median length, above or below which an answer is very long or very short."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The first answers of a split: (n,) hashes of the normalised texts, and their lengths in characters."""

    hashes: NDArray[np.uint64]
    lengths: NDArray[np.int64]

    @staticmethod
    def of(examples: Examples) -> Answers:
        """Read them block by block."""
        parts = [(hashes(texts), [len(text) for text in texts]) for texts in first_answers(examples)]
        return Answers(
            np.concatenate([part for part, _ in parts] or [np.zeros(0, np.uint64)]),
            np.asarray([length for _, several in parts for length in several], dtype=np.int64),
        )


def first_answers(examples: Examples) -> Iterator[list[str]]:
    """The answer of each row that is trained on, block by block."""
    for block in examples.column_blocks(["answers"]):
        yield [answers[0] for answers in block["answers"]]


def answers_of(splits: Splits) -> dict[str, Answers]:
    """Of every split."""
    return {split: Answers.of(examples) for split, examples in splits.items()}


def repeated_finding(splits: Splits, found: Mapping[str, Answers]) -> Finding:
    """A030: one answer to many different prompts, in training."""
    train, answers = splits["train"], found["train"].hashes
    distinct, place, counts = np.unique(answers, return_index=True, return_inverse=False, return_counts=True)
    pairs = np.unique(np.stack([answers, train.hashes]), axis=1)[0]
    prompts = np.unique(pairs, return_counts=True)[1]  # (D,) different prompts of each answer, in its order
    many = prompts >= MANY
    rows = int(counts[many].sum())
    most = np.argsort(-prompts, kind="stable")[:SHOWN]
    shown = [
        {"answer": shown_text(train.rows([place[one]], "answers")[0][0]), "prompts": int(prompts[one])} for one in most
    ]
    evidence: dict[str, Any] = {"distinct": len(distinct), "rows": len(train), "count": rows, "examples": shown}
    share = rows / max(1, len(train))
    if len(distinct) <= CLOSED and len(train) >= MANY * len(distinct):
        message = f"Training has {len(distinct):,} different answers to {rows_in_words(len(train))}: a closed set."
        remedy = "If these are labels, text-classification learns them cheaper and says how sure it is."
        return Finding("A030", "tip", message, "train", remedy, evidence)
    message = f"{rows_in_words(rows)} of training ({share:.1%}) have an answer that {MANY} or more prompts share."
    if share < 0.05:
        return Finding("A030", "passed", message, "train", evidence=evidence)
    remedy = "A model falls back on an answer that it saw often: keep fewer rows of it if it says little."
    return Finding("A030", "issue" if share >= 0.2 else "tip", message, "train", remedy, evidence)


def length_finding(splits: Splits, found: Mapping[str, Answers]) -> Finding:
    """A031: answers that are very long or very short beside the others of training."""
    lengths = found["train"].lengths
    median, p95, most = np.quantile(lengths, [0.5, 0.95, 1.0]) if len(lengths) else (0.0, 0.0, 0.0)
    long, short = lengths > max(EXTREME * median, TELLING), lengths * EXTREME < median
    evidence: dict[str, Any] = {"median": float(median), "p95": float(p95), "max": int(most)}
    evidence |= {"long": int(long.sum()), "short": int(short.sum())}
    rows = [*np.flatnonzero(long)[:SHOWN].tolist(), *np.flatnonzero(short)[:SHOWN].tolist()]
    evidence["examples"] = [shown_row(splits["train"], row) | {"characters": int(lengths[row])} for row in rows]
    message = (
        f"Answers have {median:,.0f} characters in the median, {p95:,.0f} at the 95th percentile, {most:,.0f} at most."
    )
    odd = int(long.sum() + short.sum())
    if odd <= 0.01 * len(lengths):
        return Finding("A031", "passed", message, "train", evidence=evidence)
    message += (
        f" {int(long.sum()):,} are over {EXTREME} times as long as the median, "
        f"{int(short.sum()):,} under a {EXTREME}th of it."
    )
    remedy = "Look whether they are whole: an answer that was cut teaches to stop early."
    return Finding("A031", "tip", message, "train", remedy, evidence)


def known_finding(splits: Splits, found: Mapping[str, Answers]) -> Finding:
    """A032: test answers that stand in training, where they are long enough to tell something."""
    if "test" not in splits:
        return Finding("A032", "not_applicable", "There is no test split.")
    test, train = found["test"], found["train"]
    known = np.isin(test.hashes, train.hashes)
    telling = known & (test.lengths >= TELLING)
    long = int((test.lengths >= TELLING).sum())
    evidence: dict[str, Any] = {"count": int(known.sum()), "telling": int(telling.sum()), "long": long}
    evidence["rows"] = len(test.hashes)
    rows = np.flatnonzero(telling)[:SHOWN].tolist()
    shown = splits["test"].rows(rows, "answers")
    evidence["examples"] = [
        shown_row(splits["test"], row) | {"answer": shown_text(answers[0])}
        for row, answers in zip(rows, shown, strict=True)
    ]
    share = int(telling.sum()) / max(1, len(test.hashes))
    message = (
        f"{int(known.sum()):,} of {len(test.hashes):,} test answers stand in training as well, "
        f"{int(telling.sum()):,} of them of {TELLING} characters or more."
    )
    if share < 0.01:
        return Finding("A032", "passed", message, "test", evidence=evidence)
    remedy = "A model can know them by heart: divide the data so that no answer is on both sides, or read with care."
    return Finding("A032", "issue" if share >= 0.1 else "tip", message, "test", remedy, evidence)


def copied_finding(splits: Splits) -> Finding:
    """A035: rows whose reference is their source, but for case and punctuation."""
    counts, examples = Counter[str](), list[dict[str, Any]]()
    for split, rows in splits.items():
        start = 0
        for block in rows.column_blocks(["text", "answers"]):
            same = hashes(block["text"]) == hashes([answers[0] for answers in block["answers"]])
            counts[split] += int(same.sum())
            examples += [shown_row(rows, start + int(row)) for row in np.flatnonzero(same)[: SHOWN - len(examples)]]
            start += len(block["text"])
    evidence = {"splits": dict(counts), "count": counts.total(), "examples": examples}
    share = max((counts[split] / max(1, len(rows)) for split, rows in splits.items()), default=0.0)
    message = f"{rows_in_words(counts.total())} {'has' if counts.total() == 1 else 'have'} the source as its reference."
    if share < 0.01:
        return Finding("A035", "passed", message, evidence=evidence)
    remedy = "Copies teach to copy: take them out of training if they are texts that nobody has worked on."
    return Finding("A035", "issue" if share >= 0.05 else "tip", message, "", remedy, evidence)


def groups_finding(splits: Splits, code: str, rows: str, group: str) -> Finding:
    """``code``: test rows whose group training has rows of; ``rows`` and ``group`` are what messages call them."""
    train, test = splits["train"], splits.get("test")
    if test is None or train.groups is None or test.groups is None:
        why = "There is no test split." if test is None else f"No column says which {rows} have a {group} in common."
        return Finding(code, "not_applicable", why)
    known = np.isin(test.groups, train.groups)
    evidence: dict[str, Any] = {"count": int(known.sum()), "rows": len(test), "groups": len(np.unique(test.groups))}
    evidence["examples"] = [shown_row(test, int(row)) for row in np.flatnonzero(known)[:SHOWN]]
    if not known.any():
        return Finding(code, "passed", f"No {group} of test stands in training.", "test", evidence=evidence)
    message = f"{int(known.sum()):,} of {len(test):,} test {rows} are of a {group} that training has {rows} of."
    remedy = f"If a new {group} is what the model will meet, divide the data by {group}."
    return Finding(code, "issue" if known.mean() >= 0.1 else "tip", message, "test", remedy, evidence)
