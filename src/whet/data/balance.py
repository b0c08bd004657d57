"""What the labels themselves tell: imbalance, classes too rare, shift between splits, near-equal names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.findings import Finding

FEWEST_TRAINING_ROWS = 8
FEWEST_TEST_ROWS = 5
SHOWN_LABELS = 10

Counts = Mapping[str, NDArray[np.int64]]
"""Split -> (C,) rows per label."""


def imbalance(labels: Sequence[str], counts: Counts, num_rows: int, word: str = "label") -> Finding:
    """A006: the share of the most frequent label in training, and how much rarer the rarest is."""
    train = counts["train"]
    most, least = int(train.argmax()), int(train.argmin())
    share = float(train[most]) / max(1, num_rows)
    ratio = float(train[most]) / max(1, int(train[least]))
    evidence = {"label": labels[most], "share": share, "ratio": ratio, "rarest": labels[least]}
    message = (
        f"The most frequent {word} {labels[most]!r} has {share:.1%} of the training rows, "
        f"{ratio:,.1f} times as many as {labels[least]!r}."
    )
    if share >= 0.9 and word == "label":
        remedy = f"Always saying {labels[most]!r} is right {share:.1%} of the time: read macro F1, not accuracy."
        return Finding("A006", "issue", message, "train", remedy, evidence)
    if ratio >= 10:
        return Finding("A006", "tip", message, "train", "Read macro F1 and the scores per class.", evidence)
    return Finding("A006", "passed", message, "train", evidence=evidence)


def too_rare(labels: Sequence[str], counts: Counts, word: str = "label") -> Finding:
    """A007: labels with too few rows to learn from or to be tested on."""
    evidence: dict[str, Any] = {}
    parts = []
    for split, fewest, purpose in (("train", FEWEST_TRAINING_ROWS, "learn"), ("test", FEWEST_TEST_ROWS, "test")):
        if split in counts:
            rare = [number for number in np.argsort(counts[split], kind="stable") if counts[split][number] < fewest]
            evidence[split] = {labels[number]: int(counts[split][number]) for number in rare}
            if rare:
                verb = f"{word} has" if len(rare) == 1 else f"{word}s have"
                shown = _shown([f"{labels[number]!r} ({counts[split][number]})" for number in rare])
                parts.append(f"{len(rare)} {verb} fewer than {fewest} {split} rows to {purpose}: {shown}.")
    if not parts:
        message = f"Every {word} has {FEWEST_TRAINING_ROWS} training rows and {FEWEST_TEST_ROWS} test rows or more."
        return Finding("A007", "passed", message, evidence=evidence)
    remedy = f"Collect more rows of these {word}s, merge them with others, or do not rely on their scores."
    return Finding("A007", "issue" if evidence["train"] else "tip", " ".join(parts), "", remedy, evidence)


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_LABELS} more" if len(names) > SHOWN_LABELS else ""
    return ", ".join(names[:SHOWN_LABELS]) + more


def prior_shift(labels: Sequence[str], counts: Counts, rows: Mapping[str, int], multi_label: bool) -> Finding:
    """A008: whether labels are as frequent in validation and test as in training.

    One label a row: chi-square test of homogeneity (labels expected fewer than 5 times pooled) and total
    variation distance. Several: per label, the p values corrected by Bonferroni and the largest difference.
    """
    others = [split for split in ("validation", "test") if split in counts and rows[split]]
    evidence: dict[str, Any] = {}
    worst, bin = "", "passed"
    for split in others:
        compare = _several_shift if multi_label else _single_shift
        distance, p = compare(counts["train"], counts[split], rows["train"], rows[split])
        gaps = counts[split] / rows[split] - counts["train"] / max(1, rows["train"])
        # Rounded, so that of two equal gaps the first is named, whatever the last bit says.
        most = int(np.abs(gaps).round(12).argmax())
        evidence[split] = {"distance": distance, "p": p, "label": labels[most], "difference": float(gaps[most])}
        if p < 0.01 and distance >= 0.05:
            bin = "issue" if distance >= 0.1 or bin == "issue" else "tip"
            worst += (
                f" {split}: {distance:.1%} of the rows are distributed differently than in training (p = {p:.2g}), "
                f"most of all {labels[most]!r} ({gaps[most]:+.1%})."
            )
    if not others:
        return Finding("A008", "not_applicable", "There is only one split.")
    if bin == "passed":
        return Finding("A008", "passed", "Labels are about as frequent in all splits.", evidence=evidence)
    remedy = "If this is not how the data comes in later, draw the splits from the same source."
    return Finding("A008", "issue" if bin == "issue" else "tip", worst.strip(), ", ".join(others), remedy, evidence)


def _single_shift(
    train: NDArray[np.int64], other: NDArray[np.int64], num_train: int, num_other: int
) -> tuple[float, float]:
    distance = float(np.abs(train / max(1, num_train) - other / num_other).sum() / 2)
    table = np.stack([train, other])
    expected = table.sum(axis=0) * min(num_train, num_other) / max(1, num_train + num_other)
    rare = expected < 5
    pooled = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    return distance, _chi_square(pooled)


def _several_shift(
    train: NDArray[np.int64], other: NDArray[np.int64], num_train: int, num_other: int
) -> tuple[float, float]:
    distance = float(np.abs(train / max(1, num_train) - other / num_other).max())
    least = min(
        _chi_square(np.array([[mine, num_train - mine], [theirs, num_other - theirs]]))
        for mine, theirs in zip(train, other, strict=True)
    )
    return distance, min(1.0, least * len(train))


def _chi_square(table: NDArray[np.int64]) -> float:
    from scipy.stats import chi2_contingency

    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(table, correction=False).pvalue)


def nearly_alike(labels: Sequence[str]) -> Finding:
    """A015: labels that differ only in case, blanks, hyphens or underscores, as typing errors do."""
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(re.sub(r"(?<=\w)[\s_-]+(?=\w)", "_", label.strip().lower()), []).append(label)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return Finding("A015", "passed", "No two labels differ only in case, blanks or hyphens.")
    shown = _shown([" and ".join(map(repr, group)) for group in alike])
    message = f"Labels that differ only in case, blanks or hyphens count as different: {shown}."
    return Finding("A015", "issue", message, "", "If they mean the same, write them the same.", {"groups": alike})
