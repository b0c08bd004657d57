"""The data as it was found: splits, audit findings with examples, the ledger of rows."""

from __future__ import annotations

from typing import Any

from whet.report import kinds, numbers
from whet.report.noted import BINS, noted
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, plain, words


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
    """Rows and lengths of every split; where rows have labels, how many and how often each occurs."""
    splits = (run.audit or {}).get("splits") or {}
    if not splits:
        return None
    kind = kinds.words(run.kind)
    labelled = any(about.get("labels") for about in splits.values())
    rows = []
    for name, about in splits.items():
        labels, characters = about.get("labels") or {}, about.get("characters") or {}
        counts = list(labels.values())
        rarest = f"{numbers.count(min(counts))} to {numbers.count(max(counts))}" if counts else numbers.ABSENT
        lengths = [numbers.count(characters.get(key)) for key in ("median", "p95", "max")]
        known = [numbers.count(len(labels)), rarest] if labelled else []
        rows.append([name, numbers.count(about.get("rows")), *known, *lengths])
    named = [kind.labels.capitalize() or "Labels", kind.counted or "Rows per label"] if labelled else []
    titles = ["Split", "Rows", *named, "Characters, median", "95 % below", "Longest"]
    return plain("The splits", titles, rows)


def ledger(run: RunFiles) -> Section:
    """Rows kept, changed, cut and dropped: nothing disappears silently."""
    splits = (run.ledger or {}).get("splits")
    if not splits:
        return Section("ledger", "Ledger of rows", absent="No ledger was written: the run has not come that far.")
    with_changes = any(one.get("changed") for one in splits.values())
    rows = []
    for name, one in splits.items():
        cut = one.get("cut") or {}
        told = [one.get("read"), one.get("kept"), _total(one.get("dropped"))]
        told += [_total(one.get("changed"))] if with_changes else []
        told.append(cut.get("rows"))
        limit = numbers.count(cut.get("limit"))
        rows.append([name, *(numbers.count(value) for value in told), _cut_tokens(cut), limit])
    titles = ["Split", "Read", "Kept", "Dropped", *(["Changed"] if with_changes else []), "Cut"]
    caption = f"Rows read, kept, dropped{', changed' if with_changes else ''} and cut"
    content = {
        "table": plain(caption, [*titles, "Tokens cut off", "Length limit, tokens"], rows),
        "reasons": _reasons("Why rows were dropped", splits, "dropped"),
        "changes": _reasons("Rows that were kept, but not as they stood", splits, "changed"),
    }
    return Section("ledger", "Ledger of rows", content)


def _total(entries: list[dict[str, Any]] | None) -> int:
    return sum(entry.get("count") or 0 for entry in entries or [])


def _reasons(caption: str, splits: dict[str, Any], what: str) -> Table | None:
    """Every reason with its split, how many rows it concerns and the lines of the first."""
    rows = []
    for name, one in splits.items():
        for entry in one.get(what) or []:
            lines = entry.get("lines") or []
            more = " …" if (entry.get("count") or 0) > len(lines) else ""
            where = ", ".join(str(line) for line in lines) + more
            why = f"{entry.get('code', '')} {entry.get('reason', '')}".strip()
            times = number(entry.get("count"), numbers.count(entry.get("count")))
            rows.append(Row([words(why), words(name), times, words(where)]))
    columns = [Column("Reason"), Column("Split"), Column("Rows", True), Column("Lines", prose=True)]
    return Table(caption, columns, rows) if rows else None


def _cut_tokens(cut: dict[str, Any]) -> str:
    tokens, total = cut.get("tokens_cut"), cut.get("tokens_total")
    if not numbers.is_number(tokens) or not numbers.is_number(total) or not total:
        return numbers.count(tokens)
    return f"{numbers.count(tokens)} ({numbers.percent(tokens / total)})"
