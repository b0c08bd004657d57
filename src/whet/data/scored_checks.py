"""Whether scores and judged passages can be learnt from and measured on; the audit's findings about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.normal import raw_hashes
from whet.data.relevance import pool_of, query_keys, relevance_of
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

SHOWN = 5
BINS = 10
"""Of scores, by which made splits are balanced."""
FEWEST_PASSAGES = 20
"""Below, ten of them hold a relevant one by luck too often for recall@10 to say much."""

Splits = Mapping[str, Examples]


def refuse_constant(examples: Examples, where: str) -> None:
    """Check that rows differ in their scores.

    :raises UserError: D073.
    """
    scores = examples.scores
    if len(scores) and scores.min() < scores.max():
        return
    said = f"every row of {examples.split} has the score {scores[0]:g}" if len(scores) else "no row has a score"
    use = "learn" if examples.split == "train" else "measure"
    raise UserError(Problem("D073", where, f"{said}: nothing to {use}.", "Is --label the right column?"))


def refuse_few_pairs(examples: Examples, where: str) -> None:
    """Check that texts which belong together can be told from others.

    :raises UserError: D073.
    """
    if len(np.unique(raw_hashes(examples.column("text_pair")))) > 1:
        return
    what = f"all rows of {examples.split} have the same second text: nothing to tell apart."
    raise UserError(Problem("D073", where, what, "Are --text and --text-pair the right columns?"))


def refuse_judgements(examples: Examples, where: str) -> None:
    """Check the judged passages of a split.

    :raises UserError: D074, a passage is judged twice for one query and not alike; D075, no passage is
        relevant, or there is but one.
    """
    texts, pairs = examples.column("text"), examples.column("text_pair")
    keys, relevance = raw_hashes(texts, pairs), relevance_of(examples)
    order = np.lexsort((np.arange(len(keys)), keys))
    again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
    problems = Problems()
    again = again[relevance[order][again] != relevance[order][again + 1]]
    for place in again[np.argsort(order[again + 1])]:
        first, other = int(order[place]), int(order[place + 1])
        what = (
            f"the passage {pairs[other]!r:.60} has relevance {relevance[other]:g} for the query {texts[other]!r:.60}, "
            f"and {relevance[first]:g} in {examples.place(first)}."
        )
        problems.add("D074", examples.place(other), what, "Keep one judgement of each passage for a query.")
    problems.raise_if_any()
    if not (relevance > 0).any():
        what = f"no passage of {examples.split} is relevant to its query."
        raise UserError(Problem("D075", where, what, "A relevance above 0 says so; is --label the right column?"))
    if len(np.unique(raw_hashes(pairs))) < 2:
        what = f"{examples.split} has one passage only: nothing to rank."
        raise UserError(Problem("D075", where, what, "Are --text and --text-pair the right columns?"))


def bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) the tenth of the rows, in order of their scores, that a row belongs to; equal scores fall together."""
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    inner = np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1])
    return np.unique(np.searchsorted(np.unique(inner), scores, side="right"), return_inverse=True)[1].astype(np.int64)


def outside(splits: Splits) -> Finding:
    """A026: scores of validation and test that lie beyond those of training."""
    train = splits["train"].scores
    low, high = float(train.min()), float(train.max())
    evidence: dict[str, Any] = {"low": low, "high": high, "splits": {}, "examples": []}
    for split, examples in splits.items():
        scores = examples.scores
        rows = np.flatnonzero((scores < low) | (scores > high))
        if len(rows):
            evidence["splits"][split] = len(rows)
            evidence["examples"] += [
                {"split": split, "place": examples.place(int(row)), "score": float(scores[row])} for row in rows[:SHOWN]
            ]
    found = evidence["splits"]
    if not found:
        message = f"All scores lie in the range of training ({low:g} to {high:g})."
        return Finding("A026", "passed", message, evidence=evidence)
    # a few beyond the largest of many are no surprise
    much = any(count >= max(5, 0.01 * len(splits[split])) for split, count in found.items())
    parts = ", ".join(f"{count:,} of {split}" for split, count in found.items())
    message = f"Scores beyond those of training ({low:g} to {high:g}): {parts}."
    remedy = "They are measured as they stand; where they are errors of the file, correct them."
    return Finding("A026", "issue" if much else "tip", message, ", ".join(found), remedy, evidence)


def shifted(splits: Splits) -> Finding:
    """A027: whether scores lie as in training, by the Kolmogorov-Smirnov distance (the largest gap of shares)."""
    from scipy.stats import ks_2samp

    others = [split for split in ("validation", "test") if split in splits and len(splits[split])]
    if not others:
        return Finding("A027", "not_applicable", "There is only one split.")
    train = splits["train"].scores
    evidence, parts, worst = {}, [], 0.0
    for split in others:
        scores = splits[split].scores
        found = ks_2samp(train, scores, method="asymp")
        distance, p = float(found.statistic), float(found.pvalue)
        evidence[split] = {"distance": distance, "p": p, "mean": float(scores.mean())}
        if p < 0.01 and distance >= 0.1:
            worst = max(worst, distance)
            parts.append(f"{split} (mean {scores.mean():.3g} against {train.mean():.3g}, distance {distance:.2f})")
    evidence["train"] = {"mean": float(train.mean())}
    if not parts:
        return Finding("A027", "passed", "Scores are distributed alike in all splits.", evidence=evidence)
    message = f"Scores are distributed differently than in training: {' and '.join(parts)}."
    remedy = "If this is not how the data comes in later, draw the splits from the same source."
    return Finding("A027", "issue" if worst >= 0.2 else "tip", message, ", ".join(others), remedy, evidence)


def without_relevant(splits: Splits) -> Finding:
    """A025: queries none of whose judged passages is relevant; they are neither trained on nor measured."""
    evidence: dict[str, Any] = {"count": 0, "splits": {}, "examples": []}
    total = 0
    for split, examples in splits.items():
        pool = pool_of(examples)
        total += len(pool.queries)
        rows = pool.queries[~pool.has_relevant]
        if len(rows):
            evidence["count"] += len(rows)
            evidence["splits"][split] = len(rows)
            shown = rows[:SHOWN]
            evidence["examples"] += [
                {"split": split, "place": examples.place(int(row)), "text": text}
                for row, text in zip(shown, examples.texts(shown), strict=True)
            ]
    if not evidence["count"]:
        return Finding("A025", "passed", "Every query has a relevant passage.", evidence=evidence)
    parts = ", ".join(f"{count:,} of {split}" for split, count in evidence["splits"].items())
    message = f"Queries without a relevant passage: {parts}. They are neither trained on nor measured; "
    message += "their passages stay, as some that could be found wrongly."
    remedy = "If they should have one, look at the lines: is something wrong where the data comes from?"
    much = evidence["count"] >= 0.01 * total
    return Finding("A025", "issue" if much else "tip", message, ", ".join(evidence["splits"]), remedy, evidence)


def known_queries(splits: Splits) -> Finding:
    """A029: test queries that training has judgements of; its passages may be others, and still give them away."""
    if "test" not in splits:
        return Finding("A029", "not_applicable", "There is no test split.")
    train, test = (query_keys(splits[split]) for split in ("train", "test"))
    asked = np.unique(test)
    count = int(np.isin(asked, train).sum())
    evidence = {"count": count, "queries": len(asked)}
    if not count:
        return Finding("A029", "passed", "No test query is in training.", "test", evidence=evidence)
    message = f"{count:,} of {len(asked):,} test queries are in training as well."
    remedy = "If new queries are to be answered, divide the data by query: let whet make the splits."
    return Finding("A029", "issue" if count >= 0.01 * len(asked) else "tip", message, "test", remedy, evidence)


def few_passages(splits: Splits) -> Finding:
    """A028: how many passages a query's relevant ones are to be found among, in validation and test."""
    counts = {split: len(pool_of(splits[split]).passages) for split in ("validation", "test") if split in splits}
    if not counts:
        return Finding("A028", "not_applicable", "There is only one split.")
    rows = ", ".join(f"{count:,} in {split}" for split, count in counts.items())
    message = f"Different passages to find the relevant ones among: {rows}."
    if min(counts.values()) >= FEWEST_PASSAGES:
        return Finding("A028", "passed", message, evidence={"splits": counts})
    remedy = "Among so few, a relevant one is often found by luck: add passages that could be found wrongly."
    return Finding("A028", "issue", message, ", ".join(counts), remedy, {"splits": counts})
