"""Findings as the page shows them: a mark and a word for the bin, so that colour alone never says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from whet.findings import in_words, parts_in_words
from whet.report.mistakes import shortened

BINS = {"issue": "Issue", "tip": "Tip", "not_applicable": "Not applicable", "passed": "Passed"}
"""Bins in the order in which they deserve attention."""
MARKS = {"issue": "!", "tip": "→", "not_applicable": "–", "passed": "✓"}
EXAMPLES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Noted:
    """One finding, ready to be shown; ``examples``: (place, text, whatever else is known)."""

    code: str
    bin: str
    bin_word: str
    mark: str
    title: str
    message: str
    place: str
    remedy: str
    examples: list[tuple[str, str, str]]


def noted(found: Iterable[Mapping[str, Any]], letters: str) -> list[Noted]:
    """The findings whose code begins with one of ``letters``, those to act on first."""
    order = {name: index for index, name in enumerate(BINS)}
    chosen = [one for one in found if str(one.get("code", ""))[:1] in letters]
    shown = [_shown(one) for one in chosen]
    return sorted(shown, key=lambda one: (order.get(one.bin, len(order)), one.code))


def _shown(one: Mapping[str, Any]) -> Noted:
    name = str(one.get("bin", ""))
    return Noted(
        code=str(one["code"]),
        bin=name,
        bin_word=BINS.get(name, name.replace("_", " ").capitalize()),
        mark=MARKS.get(name, "·"),
        title=str(one.get("title") or one["code"]),
        message=str(one.get("message", "")),
        place=str(one.get("place") or ""),
        remedy=str(one.get("remedy") or ""),
        examples=_examples(one.get("evidence")),
    )


def _examples(evidence: Any) -> list[tuple[str, str, str]]:
    examples = evidence.get("examples") if isinstance(evidence, Mapping) else None
    if not isinstance(examples, list):
        return []
    return [_example(one) for one in examples[:EXAMPLES_SHOWN]]


def _example(one: Any) -> tuple[str, str, str]:
    if not isinstance(one, Mapping):
        return "", shortened(in_words(one), 300), ""
    line = f"line {one['line']}" if one.get("line") is not None else ""
    place = " ".join(part for part in (str(one.get("split") or ""), line) if part)
    others = parts_in_words({key: value for key, value in one.items() if key not in ("split", "line", "text")})
    more = "; ".join(f"{name}: {shortened(text, 200)}" for name, text in others.items())
    return place, shortened(str(one.get("text") or ""), 300), more
