"""One pass over all texts: lengths, broken encoding (A010), private data (A011), languages (A012)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from whet.data import encoding, privacy
from whet.data.forms import Examples
from whet.data.languages import LOOKED_AT, SAMPLED_ROWS, language
from whet.data.lengths import characters, summary
from whet.data.rows import Told
from whet.data.shown import rows_in_words, shown_row
from whet.findings import Finding

EXAMPLES = 3
"""Rows shown per kind."""

LEAST_CLEAR = 20
"""Texts of a clear language, without which nothing is said about languages."""


@dataclass(frozen=True, slots=True)
class Texts:
    """``characters``: split -> median, p95, max; ``findings``: A010, A011, A012."""

    characters: dict[str, dict[str, int]]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Tally:
    """What was found of each kind: rows per split, and the first rows by position."""

    rows: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, split: str, start: int, hits: Iterator[tuple[int, str]]) -> None:
        """Count hits of one block that begins at row ``start``."""
        seen: set[int] = set()
        for row, kind in hits:
            seen.add(row)
            self.kinds[kind] += 1
            places = self.first.setdefault(kind, [])
            if len(places) < EXAMPLES:
                places.append((split, start + row))
        if seen:
            self.rows[split] += len(seen)

    def evidence(self, splits: Mapping[str, Examples]) -> dict[str, Any]:
        """Counts and examples, JSON only."""
        examples = [
            {"kind": kind} | shown_row(splits[split], row) for kind, rows in self.first.items() for split, row in rows
        ]
        return {"count": self.rows.total(), "splits": dict(self.rows), "kinds": dict(self.kinds), "examples": examples}


def look_at_texts(splits: Mapping[str, Examples], progress: Told) -> Texts:
    """Look at every text of every split, and at a sample for its language."""
    broken, private = Tally(), Tally()
    lengths = {}
    total, done = sum(map(len, splits.values())), 0
    for split, examples in splits.items():
        parts, start = [], 0
        for batch in examples.blocks():
            pairs = batch["text_pair"] if examples.has_pairs else None
            parts.append(characters(batch["text"], pairs))
            whole = _whole(batch["text"], pairs)
            if _writes(examples):
                whole = _whole(whole, pc.binary_join(batch["answers"], "\n"))
            broken.add(split, start, encoding.hits(whole))
            private.add(split, start, privacy.hits(whole))
            start += batch.num_rows
            progress("looking at texts", done + start, total)
        done += start
        lengths[split] = summary(parts)
    findings = (
        encoding_finding(splits, broken, total),
        privacy_finding(splits, private),
        language_finding(splits, progress),
    )
    return Texts(lengths, findings)


def _writes(examples: Examples) -> bool:
    """Whether rows have answers to be written: a model repeats those, so they are looked at too."""
    return ("answers", pa.list_(pa.string())) in examples.shape.more


def _whole(texts: pa.Array, pairs: pa.Array | None) -> pa.Array:
    return texts if pairs is None else pc.binary_join_element_wise(texts, pairs, "\n")


def encoding_finding(splits: Mapping[str, Examples], broken: Tally, total: int) -> Finding:
    """A010."""
    evidence = broken.evidence(splits)
    for example in evidence["examples"]:
        if example["kind"] == encoding.TWICE:
            example["reads_as"] = encoding.repaired(example["text"])
    count = broken.rows.total()
    if not count:
        return Finding("A010", "passed", "No sign of broken encoding.", evidence=evidence)
    kinds = ", ".join(f"{kind} in {rows:,}" for kind, rows in broken.kinds.most_common())
    return Finding(
        "A010",
        "issue" if count >= 0.01 * total else "tip",
        f"Signs of damage in {count:,} of {rows_in_words(total)}: {kinds}.",
        ", ".join(broken.rows),
        "Export the data anew as UTF-8, or set data.encoding to what the file is in.",
        evidence,
    )


def privacy_finding(splits: Mapping[str, Examples], private: Tally) -> Finding:
    """A011. Examples are masked."""
    evidence = private.evidence(splits)
    if not private.rows:
        return Finding("A011", "passed", "Nothing that looks like a secret or personal data.", evidence=evidence)
    kinds = ", ".join(f"{kind} in {rows:,}" for kind, rows in private.kinds.most_common())
    secret = any(kind in private.kinds for kind in privacy.SECRETS)
    return Finding(
        "A011",
        "issue" if secret else "tip",
        f"Signs of secrets or personal data in {rows_in_words(private.rows.total())}: {kinds}.",
        ", ".join(private.rows),
        "A model can repeat what it was trained on: mask them if you may not use them.",
        evidence,
    )


def language_finding(splits: Mapping[str, Examples], progress: Told) -> Finding:
    """A012: languages of an evenly spaced sample of each split, where they are clear."""
    counts: dict[str, Counter[str]] = {}
    first: dict[str, tuple[str, int]] = {}
    sampled = 0
    for done, (split, examples) in enumerate(splits.items(), start=1):
        counts[split] = Counter()
        for row, text in _sample(examples):
            sampled += 1
            name = language(text)
            if name:
                counts[split][name] += 1
                first.setdefault(name, (split, row))
        progress("looking at languages", done, len(splits))
    together = sum(counts.values(), Counter())
    shares = {name: count / together.total() for name, count in together.most_common()}
    evidence = {
        "sampled": sampled,
        "clear": together.total(),
        "splits": {split: dict(c) for split, c in counts.items()},
    }
    if together.total() < LEAST_CLEAR:
        message = f"Only {together.total()} of {sampled:,} texts are of a clear language."
        return Finding("A012", "not_applicable", message, evidence=evidence)
    among = f"of {together.total():,} texts whose language is clear"
    main, *others = shares
    mixed = [name for name in others if together[name] >= 3 and shares[name] >= 0.01]
    if not mixed:
        return Finding("A012", "passed", f"{shares[main]:.1%} {among} are {main}.", evidence=evidence)
    evidence["examples"] = [{"language": name} | shown_row(splits[first[name][0]], first[name][1]) for name in mixed]
    parts = ", ".join(f"{name} {shares[name]:.1%}" for name in (main, *mixed))
    remedy = "Choose a base that knows these languages, and look at the scores of each by itself."
    return Finding("A012", "tip", f"Several languages, {among}: {parts}.", "", remedy, evidence)


def _sample(examples: Examples) -> Iterator[tuple[int, str]]:
    step = max(1, -(-len(examples) // SAMPLED_ROWS))
    start = 0
    for batch in examples.blocks():
        rows = list(range(-start % step, batch.num_rows, step))
        for row, text in zip(rows, batch["text"].take(pa.array(rows, pa.int64())).to_pylist(), strict=True):
            yield start + row, text[:LOOKED_AT]
        start += batch.num_rows
