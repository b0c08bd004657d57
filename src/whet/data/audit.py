"""The audit: what the rows are like before anything is trained on them, as findings with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.balance import imbalance, too_rare
from whet.data.duplicate_findings import across_finding, contradiction_finding, exact_finding, near_finding
from whet.data.duplicates import Across, Keys, Within, across, leaked, within
from whet.data.forms import Examples
from whet.data.ledger import Ledger
from whet.data.lengths import length_finding, length_not_counted
from whet.data.reading import ReadResult
from whet.data.row_form import RowForm
from whet.data.rows import Told, silent
from whet.data.splitting import Made
from whet.data.text_findings import Texts, look_at_texts
from whet.files import read_json, write_json
from whet.findings import Finding

__all__ = ["Audit", "audit", "length_finding", "load"]

ACROSS = (("test", "train"), ("test", "validation"), ("validation", "train"))


@dataclass(frozen=True, slots=True)
class Audit:
    """What the audit found.

    ``splits``: per split ``rows``, ``labels`` (label -> rows) and ``characters`` (median, p95, max).
    ``findings``: one per code, A001 to A015. ``leaked``: (k,) ids of test rows whose normalised input
    stands in training or validation as well, ascending.
    """

    splits: dict[str, dict[str, Any]]
    findings: tuple[Finding, ...]
    leaked: NDArray[np.int64]

    def with_finding(self, finding: Finding) -> Audit:
        """The same audit with the finding in the place of the one of that code, or behind all others."""
        known = any(old.code == finding.code for old in self.findings)
        kept = tuple(finding if old.code == finding.code else old for old in self.findings)
        return replace(self, findings=kept if known else (*kept, finding))

    def save(self, path: Path) -> None:
        """Write audit.json; :func:`load` is the inverse."""
        findings = [finding.to_json() for finding in self.findings]
        write_json(path, {"splits": self.splits, "findings": findings, "leaked": self.leaked.tolist()})


def load(path: Path) -> Audit:
    """Read what :meth:`Audit.save` wrote.

    :raises UserError: F010 missing, F011 damaged.
    """
    value = read_json(path)
    findings = tuple(Finding.from_json(finding) for finding in value["findings"])
    return Audit(value["splits"], findings, np.asarray(value["leaked"], dtype=np.int64))


def audit(data: ReadResult, form: RowForm, progress: Told = silent) -> Audit:
    """Look at every row of every split, block by block.

    :param form: what the rows hold, as they were read.

    Memory: some hashes and a length per row, no texts.
    """
    splits, labels = data.splits, data.labels
    counts = {split: form.counts(examples, labels) for split, examples in splits.items()}
    truths = {split: form.truths(examples, labels) for split, examples in splits.items()}
    repeats = _repeats(splits, truths, progress)
    texts = look_at_texts(splits, progress)
    findings = [
        empty_finding(data.ledger),
        exact_finding(splits, repeats.inside),
        near_finding(splits, repeats.inside),
        across_finding(splits, repeats.between, len(repeats.leaked), form.truths_words),
        contradiction_finding(splits, repeats.inside, repeats.between, form.truths_words),
        *([imbalance(labels, counts, len(splits["train"]), form.label_words)] if len(labels) > 1 else []),
        *([too_rare(labels, counts, form.label_words)] if labels else []),
        length_not_counted(),
        *texts.findings,
        unused_finding(data.ledger),
        made_finding(data.made),
        *form.findings(splits, labels),
    ]
    findings = with_changes(findings, data.ledger)
    return Audit(
        _summary(splits, labels, counts, texts), tuple(sorted(findings, key=lambda one: one.code)), repeats.leaked
    )


@dataclass(frozen=True, slots=True)
class _Repeats:
    inside: dict[str, Within]
    between: dict[tuple[str, str], Across]
    leaked: NDArray[np.int64]


def _repeats(splits: Mapping[str, Examples], truths: Mapping[str, NDArray[np.uint64]], progress: Told) -> _Repeats:
    keys = {split: Keys.of(examples, truths[split]) for split, examples in splits.items()}
    inside = {}
    pairs = [pair for pair in ACROSS if set(pair) <= keys.keys()]
    steps = len(keys) + len(pairs)
    for done, split in enumerate(keys, start=1):
        inside[split] = within(keys[split])
        progress("looking for repeats", done, steps)
    between = {}
    for done, (here, there) in enumerate(pairs, start=len(keys) + 1):
        between[here, there] = across(keys[here], keys[there])
        progress("looking for repeats", done, steps)
    others = [keys[split] for split in ("train", "validation") if split in keys]
    ids = leaked(keys["test"], *others) if "test" in keys else np.zeros(0, dtype=np.int64)
    return _Repeats(inside, between, ids)


def _summary(
    splits: Mapping[str, Examples], labels: Sequence[str], counts: Mapping[str, NDArray[np.int64]], texts: Texts
) -> dict[str, dict[str, Any]]:
    return {
        split: {
            "rows": len(examples),
            "labels": dict(zip(labels, counts[split].tolist(), strict=True)),
            "characters": texts.characters[split],
        }
        for split, examples in splits.items()
    }


def empty_finding(ledger: Ledger) -> Finding:
    """A001: rows left out because they have no text."""
    return _dropped_finding(ledger, "A001", "no text", "No row is without text.")


def unused_finding(ledger: Ledger) -> Finding:
    """A013: rows left out for another reason."""
    return _dropped_finding(ledger, "A013", "no label", "Every row with a text could be used.")


def _dropped_finding(ledger: Ledger, code: str, what: str, fine: str) -> Finding:
    found = {split: [entry for entry in one.dropped if entry.code == code] for split, one in ledger.items()}
    counts = {split: sum(entry.count for entry in entries) for split, entries in found.items() if entries}
    total = sum(counts.values())
    if not total:
        return Finding(code, "passed", fine, evidence={"count": 0})
    read = sum(one.read for one in ledger.values())
    rows = "1 row has" if total == 1 else f"{total:,} rows have"
    examples = [
        {"split": split, "line": line, "place": place, "reason": entry.reason}
        for split, entries in found.items()
        for entry in entries
        for line, place in zip(entry.lines, entry.places, strict=True)
    ]
    return Finding(
        code,
        "issue" if total >= 0.01 * read else "tip",
        f"{rows} {what} and {'was' if total == 1 else 'were'} left out.",
        ", ".join(counts),
        "Look at the lines in the ledger: is something wrong where the data comes from?",
        {"count": total, "splits": counts, "examples": examples[:20]},
    )


def with_changes(findings: Sequence[Finding], ledger: Ledger) -> list[Finding]:
    """The findings, those that had nothing to say of rows which were kept but changed saying so.

    A change is noted under the code of a finding: of that one, or of a tip of its own where there is none.
    """
    found = list(findings)
    codes = sorted({entry.code for one in ledger.values() for entry in one.changed})
    for code in codes:
        change = _changed_finding(ledger, code)
        at = next((place for place, one in enumerate(found) if one.code == code), None)
        if at is None:
            found.append(change)
        elif found[at].bin == "passed":
            found[at] = replace(change, evidence=found[at].evidence | change.evidence)
        else:
            evidence = found[at].evidence | {"changed": change.evidence["changed"]}
            message = f"{found[at].message} {change.message}"
            found[at] = replace(found[at], message=message, evidence=evidence)
    return found


def _changed_finding(ledger: Ledger, code: str) -> Finding:
    """Which rows were kept, but not as they stood, by reason."""
    entries = [(split, entry) for split, one in ledger.items() for entry in one.changed if entry.code == code]
    counts: dict[str, int] = {}
    for _, entry in entries:
        counts[entry.reason] = counts.get(entry.reason, 0) + entry.count
    reasons = "; ".join(f"{count:,} {'row' if count == 1 else 'rows'}: {why}" for why, count in counts.items())
    examples = [
        {"split": split, "place": place, "reason": entry.reason} for split, entry in entries for place in entry.places
    ]
    return Finding(
        code,
        "tip",
        f"Kept, but not as they stood: {reasons}.",
        ", ".join(dict.fromkeys(split for split, _ in entries)),
        "Look at the lines in the ledger: is this what they mean?",
        {"changed": counts, "examples": examples[:20]},
    )


def made_finding(made: Sequence[Made]) -> Finding:
    """A014: which splits were carved out of training here."""
    if not made:
        return Finding("A014", "not_applicable", "Train, validation and test were given.")
    parts = " and ".join(f"{part.rows:,} rows for {part.split}" for part in made)
    message = f"{parts} were set aside from training: by label, equal texts on one side, the same for the same seed."
    remedy = "Where rows have a date, a person or a document in common, give your own test file cut along it."
    evidence = {"made": [part.to_json() for part in made]}
    return Finding("A014", "tip", message, ", ".join(part.split for part in made), remedy, evidence)
