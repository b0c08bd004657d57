"""The data as it was found: splits, audit findings with examples, the ledger of rows."""

from __future__ import annotations

from typing import Any

from whet.report import numbers
from whet.report.noted import BINS, noted
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, plain, words

REASONS = (
    "Why rows were dropped",
    [Column("Reason"), Column("Split"), Column("Rows", True), Column("Lines", prose=True)],
)


def data(run: RunFiles) -> Section:
    """What the audit saw, by bin."""
    found = noted(_audit_findings(run), "A")
    splits = _splits_table(run)
    if not found and splits is None:
        return Section("data", "Data audit", absent="The data was not audited: the run has not come that far.")
    groups = [(name, word, [one for one in found if one.bin == name]) for name, word in BINS.items()]
    return Section("data", "Data audit", {"splits": splits, "groups": [group for group in groups if group[2]]})


def _audit_findings(run: RunFiles) -> list[dict[str, Any]]:
    """Those of findings.json, or those of the audit where the run stopped before all were collected."""
    return run.findings if run.findings is not None else (run.audit or {}).get("findings") or []


def _splits_table(run: RunFiles) -> Table | None:
    splits = (run.audit or {}).get("splits") or {}
    if not splits:
        return None
    rows = []
    for name, about in splits.items():
        labels, characters = about.get("labels") or {}, about.get("characters") or {}
        counts = list(labels.values())
        rarest = f"{numbers.count(min(counts))} to {numbers.count(max(counts))}" if counts else numbers.ABSENT
        lengths = [numbers.count(characters.get(key)) for key in ("median", "p95", "max")]
        rows.append([name, numbers.count(about.get("rows")), numbers.count(len(labels)), rarest, *lengths])
    titles = ["Split", "Rows", "Classes", "Rows per class", "Characters, median", "95 % below", "Longest"]
    return plain("The splits", titles, rows)


def ledger(run: RunFiles) -> Section:
    """Rows kept, cut and dropped: nothing disappears silently."""
    splits = (run.ledger or {}).get("splits")
    if not splits:
        return Section("ledger", "Ledger of rows", absent="No ledger was written: the run has not come that far.")
    rows, reasons = [], []
    for name, one in splits.items():
        dropped = one.get("dropped") or []
        num_dropped = sum(entry.get("count") or 0 for entry in dropped)
        cut = one.get("cut") or {}
        rows.append(
            [
                name,
                numbers.count(one.get("read")),
                numbers.count(one.get("kept")),
                numbers.count(num_dropped),
                numbers.count(cut.get("rows")),
                _cut_tokens(cut),
                numbers.count(cut.get("limit")),
            ]
        )
        for entry in dropped:
            lines = entry.get("lines") or []
            more = " …" if (entry.get("count") or 0) > len(lines) else ""
            where = ", ".join(str(line) for line in lines) + more
            why = f"{entry.get('code', '')} {entry.get('reason', '')}".strip()
            times = number(entry.get("count"), numbers.count(entry.get("count")))
            reasons.append(Row([words(why), words(name), times, words(where)]))
    titles = ["Split", "Read", "Kept", "Dropped", "Cut", "Tokens cut off", "Length limit, tokens"]
    table = plain("Rows read, kept, dropped and cut", titles, rows)
    return Section(
        "ledger", "Ledger of rows", {"table": table, "reasons": Table(*REASONS, reasons) if reasons else None}
    )


def _cut_tokens(cut: dict[str, Any]) -> str:
    tokens, total = cut.get("tokens_cut"), cut.get("tokens_total")
    if not numbers.is_number(tokens) or not numbers.is_number(total) or not total:
        return numbers.count(tokens)
    return f"{numbers.count(tokens)} ({numbers.percent(tokens / total)})"
