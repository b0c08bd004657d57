"""What the audit says of entities alone: their places, whether they agree, what the test asks that is new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from whet.data.entity_arrays import Words, covered, entities, known_forms, seen_in
from whet.data.entity_forms import NONE, Form, Forms, InWords
from whet.data.forms import Examples
from whet.data.privacy import masked
from whet.data.shown import rows_in_words, shown_row
from whet.findings import Finding

EXAMPLES = 10
FEWEST = 3
"""Times a form must stand in training before its two readings are called a disagreement."""

SOME = 0.05
"""Share of the mentions that disagree, from which it is worth a look: words do mean different things."""


def entity_findings(splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
    """A016 to A018."""
    return [places_finding(splits, labels), agreement_finding(splits["train"], labels), novelty_finding(splits)]


def places_finding(splits: Mapping[str, Examples], labels: Sequence[str]) -> Finding:
    """A016: entities that begin or end within a word, which no tagger of words can say."""
    counts: dict[str, int] = {}
    total = 0
    examples: list[dict[str, Any]] = []
    for split, rows in splits.items():
        words, spans = Words.of(rows), entities(rows, labels)
        if spans is None:
            continue
        first, last = covered(words, spans)
        some = last > first
        within = ~some
        within[some] = words.starts[first[some]] != spans.starts[some]
        within[some] |= words.ends[last[some] - 1] != spans.ends[some]
        total += len(within)
        if within.any():
            counts[split] = int(within.sum())
            some_rows = np.unique(spans.rows[within])[: EXAMPLES - len(examples)]
            examples += [shown_row(rows, int(row)) for row in some_rows]
    evidence = {"count": sum(counts.values()), "splits": counts, "entities": total, "examples": examples}
    if not counts:
        return Finding("A016", "passed", "Every entity begins and ends where a word does.", evidence=evidence)
    share = sum(counts.values()) / total
    message = f"{sum(counts.values()):,} of {total:,} entities ({share:.1%}) begin or end within a word."
    remedy = "They are trained on as whole words and count as wrong in the scores; correct their positions."
    return Finding("A016", "issue" if share >= 0.01 else "tip", message, ", ".join(counts), remedy, evidence)


def agreement_finding(train: Examples, labels: Sequence[str]) -> Finding:
    """A017: words that are an entity in some rows of training and in others none, or one of another type."""
    counts = Forms.of(InWords(train, labels)).counts
    mentions = sum(sum(count.values()) - count[NONE] for count in counts.values())
    doubtful = {form: _minority(count) for form, count in counts.items() if sum(count.values()) >= FEWEST}
    against = sum(doubtful.values())
    worst = sorted((form for form in doubtful if doubtful[form]), key=lambda form: (-doubtful[form], form))[:EXAMPLES]
    shown = [_shown(form, counts[form], labels) for form in worst]
    share = against / max(1, mentions)
    evidence = {"count": against, "mentions": mentions, "share": share, "examples": shown}
    if share < SOME:
        return Finding("A017", "passed", "The same words are nearly always the same entity.", "", "", evidence)
    some = ", ".join(f"{one['words']!r} ({one['reads']})" for one in shown[:3])
    message = (
        f"{against:,} places in training ({share:.0%} of its {mentions:,} mentions) read words otherwise than most "
        f"other rows do: {some}."
    )
    remedy = "Some of it is meaning, some oversight: look at these words, and annotate them alike where they are."
    return Finding("A017", "tip", message, "train", remedy, evidence)


def _minority(count: Counter[int]) -> int:
    """Places that do not read a form as most do."""
    return sum(count.values()) - max(count.values())


def _shown(form: Form, count: Counter[int], labels: Sequence[str]) -> dict[str, Any]:
    names = {("no entity" if kind == NONE else labels[kind]): times for kind, times in count.most_common() if times}
    reads = ", ".join(f"{name} {times}" for name, times in names.items())
    return {"words": masked(" ".join(form)), "counts": names, "reads": reads}


def novelty_finding(splits: Mapping[str, Examples]) -> Finding:
    """A018: how many of the entities of test and validation never stood in training."""
    forms = known_forms(splits["train"])
    shares: dict[str, float] = {}
    evidence: dict[str, Any] = {"training_forms": len(forms)}
    for split in ("validation", "test"):
        if split in splits and splits[split].shape.has("spans"):
            seen = seen_in(splits[split], forms)
            evidence[split] = {"entities": len(seen), "new": int((~seen).sum())}
            if len(seen):
                shares[split] = float(1 - seen.mean())
    if not shares:
        return Finding("A018", "not_applicable", "No entity stands outside training.", evidence=evidence)
    parts = ", ".join(f"{share:.0%} of {split}" for split, share in shares.items())
    message = f"Entities that never stood in training with their type: {parts}."
    test = shares.get("test", shares.get("validation", 0.0))
    if test >= 0.1:
        return Finding("A018", "passed", message, evidence=evidence)
    remedy = f"{rows_in_words(len(splits['train']))} of training know nearly all of it: a dictionary may do as well."
    return Finding("A018", "tip", message, ", ".join(shares), remedy, evidence)
