"""V006: parts of the data (classes, types of span, sorts of question) in which a model is weak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from whet.findings import Finding

WEAK = 0.5
FEWEST = 5
SHOWN = 5
"""How many parts a message names."""


class Part(NamedTuple):
    """What a part is called, what it is counted in, and what of it is looked at: a key of its figures."""

    one: str
    many: str
    items: str
    figure: str
    done: str


PARTS = {
    "classes": Part("class", "classes", "rows", "recall", "found"),
    "spans": Part("type", "types", "spans", "recall", "found"),
    "answers": Part("sort of question", "sorts of question", "questions", "f1", "answered"),
    "ranks": Part("part", "parts", "queries", "", ""),
    "texts": Part("part", "parts", "texts", "", ""),
    "preferences": Part("part", "parts", "pairs", "", ""),
}


def weak_parts(scores: Mapping[str, Any], subject: str) -> Finding:
    """V006: parts of which more than half is surely missed, or that cannot be judged.

    :param scores: what :func:`whet.evaluation.scoring.score_all` gave.
    """
    kind = scores.get("kind", "classes")
    rows = scores["per_class"][subject] if kind == "classes" else _rows(scores["details"][subject])
    if not rows:
        return Finding("V006", "not_applicable", "This task has no parts that could be weak by themselves.", subject)
    return weakest(rows, subject, PARTS[kind])


def _rows(details: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The figures of each part: label, support, f1, low, high and what the kind looks at."""
    found: Sequence[Mapping[str, Any]] = details.get("per_type") or details.get("per_slice") or ()
    return found


def weakest(rows: Sequence[Mapping[str, Any]], subject: str, part: Part = PARTS["classes"]) -> Finding:
    """The finding from the figures of each part."""
    weak = [row for row in rows if row["support"] and row["high"] < WEAK]
    low = [row for row in rows if row["support"] >= FEWEST and row["f1"] < WEAK and row not in weak]
    few = [row for row in rows if row["support"] < FEWEST]
    evidence = {name: [dict(row) for row in some] for name, some in (("weak", weak), ("low", low), ("few", few))}
    if weak:
        worst = sorted(weak, key=lambda row: float(row[part.figure]))
        named = [f"{row['label']} ({100 * row[part.figure]:.0f} % {part.done})" for row in worst]
        remedy = f"Add training rows of these {part.many}, or merge them with those they are confused with."
        if part.many != "classes":
            remedy = f"Add training rows of these {part.many}."
        message = f"More than half of the {part.items} is surely missed in {len(weak)} of {len(rows)} {part.many}: "
        return Finding("V006", "issue", f"{message}{listed(named)}.", subject, remedy, evidence)
    parts = []
    if low:
        parts.append(f"F1 is below {100 * WEAK:.0f} in {listed([row['label'] for row in low])}")
    if few:
        parts.append(
            f"{len(few)} of {len(rows)} {part.many} have fewer than {FEWEST} test {part.items} and cannot be judged: "
            f"{listed([row['label'] for row in few])}"
        )
    if parts:
        remedy = f"Label more rows of these {part.many}."
        return Finding("V006", "tip", "; ".join(parts) + ".", subject, remedy, evidence)
    return Finding("V006", "passed", f"No {part.one} among {len(rows)} is weak.", subject)


def listed(names: Sequence[str]) -> str:
    """The first :data:`SHOWN` names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
