"""Repeats as findings A002 to A005."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from whet.data.duplicates import EXAMPLES, Across, Within
from whet.data.forms import Examples
from whet.data.shown import rows_in_words, shown_row
from whet.findings import Finding

Splits = Mapping[str, Examples]
Between = Mapping[tuple[str, str], Across]


def _pair(splits: Splits, here: str, row: int, there: str, other: int) -> dict[str, Any]:
    return shown_row(splits[here], row) | {"repeats": shown_row(splits[there], other)}


def _examples(splits: Splits, found: Iterable[tuple[str, list[tuple[int, int]]]]) -> list[dict[str, Any]]:
    shown = [_pair(splits, split, later, split, first) for split, pairs in found for first, later in pairs]
    return shown[:EXAMPLES]


def exact_finding(splits: Splits, inside: Mapping[str, Within]) -> Finding:
    """A002: rows whose input repeats an earlier one of the same split character by character."""
    counts = {split: found.exact for split, found in inside.items()}
    examples = _examples(splits, ((split, found.exact_examples) for split, found in inside.items()))
    return _inside("A002", splits, counts, examples, "an earlier row word for word")


def near_finding(splits: Splits, inside: Mapping[str, Within]) -> Finding:
    """A003: rows that repeat an earlier one of the same split but for case, digits, punctuation or blanks."""
    counts = {split: found.near for split, found in inside.items()}
    examples = _examples(splits, ((split, found.near_examples) for split, found in inside.items()))
    return _inside("A003", splits, counts, examples, "an earlier row but for case, digits or punctuation")


def _inside(code: str, splits: Splits, counts: Mapping[str, int], examples: list[dict[str, Any]], what: str) -> Finding:
    evidence = {"count": sum(counts.values()), "splits": dict(counts), "examples": examples}
    some = {split: count for split, count in counts.items() if count}
    if not some:
        return Finding(code, "passed", f"No row repeats {what}.", evidence=evidence)
    parts = ", ".join(
        f"{rows_in_words(count)} of {split} ({count / len(splits[split]):.1%})" for split, count in some.items()
    )
    much = any(count >= 0.05 * len(splits[split]) for split, count in some.items())
    verb = "repeats" if sum(some.values()) == 1 else "repeat"
    remedy = "Repeats weigh a text more than once; in test they make an interval look narrower than it is."
    return Finding(code, "issue" if much else "tip", f"{parts} {verb} {what}.", ", ".join(some), remedy, evidence)


def across_finding(splits: Splits, between: Between, num_leaked: int, truths: str) -> Finding:
    """A004: rows of test and validation that stand in another split as well."""
    if not between:
        return Finding("A004", "not_applicable", "There is only one split.")
    evidence: dict[str, Any] = {
        f"{here}_in_{there}": found.to_json() | {"rows": len(splits[here])} for (here, there), found in between.items()
    }
    shown = [
        _pair(splits, here, row, there, other)
        for (here, there), found in between.items()
        for row, other in found.examples
    ]
    evidence |= {"count": num_leaked, "examples": shown[:EXAMPLES]}
    some = {pair: found for pair, found in between.items() if found.normalised}
    if not some:
        return Finding("A004", "passed", "No row of one split stands in another.", evidence=evidence)
    message = " ".join(
        f"{rows_in_words(found.normalised)} of {here} ({found.normalised / len(splits[here]):.1%}) also in {there}"
        f" ({found.raw:,} as it stands, {found.lowered:,} in lower case, {found.other_label:,} with other {truths})."
        for (here, there), found in some.items()
    )
    remedy = "Scores are given with and without these test rows; take them out of training to be rid of them."
    place = ", ".join(dict.fromkeys(here for here, _ in some))
    return Finding("A004", "issue" if num_leaked else "tip", message, place, remedy, evidence)


def contradiction_finding(splits: Splits, inside: Mapping[str, Within], between: Between, truths: str) -> Finding:
    """A005: one text, different ``truths``: within a split, and across splits."""
    counts = {split: found.contradicting for split, found in inside.items()}
    exact = {split: found.exactly_contradicting for split, found in inside.items()}
    others = {f"{here}_in_{there}": found.other_label for (here, there), found in between.items()}
    total = sum(counts.values()) + sum(others.values())
    examples = _examples(splits, ((split, found.contradicting_examples) for split, found in inside.items()))
    evidence = {"count": total, "splits": counts, "word_for_word": exact, "across": others, "examples": examples}
    if not total:
        return Finding("A005", "passed", "Texts equal but for case, digits or punctuation agree.", evidence=evidence)
    parts = [
        f"{rows_in_words(count)} of {split} ({exact[split]:,} word for word)"
        for split, count in counts.items()
        if count
    ]
    parts += [
        f"{rows_in_words(count)} of {pair.replace('_in_', ' against ')}" for pair, count in others.items() if count
    ]
    # Punctuation may carry meaning here (markers around a word), so only exact repeats make an issue.
    much = any(count >= 0.01 * len(splits[split]) for split, count in exact.items())
    return Finding(
        "A005",
        "issue" if much else "tip",
        f"Texts equal but for case, digits or punctuation differ in their {truths}: {', '.join(parts)}.",
        ", ".join(split for split, count in counts.items() if count) or "across splits",
        f"Decide which {truths} are right: of equal inputs a model can learn one truth only.",
        evidence,
    )
