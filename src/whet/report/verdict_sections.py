"""The top of the page: the verdict, its gates, and the comparison it rests on."""

from __future__ import annotations

from typing import Any

from whet.folder import instead
from whet.report import kinds, numbers
from whet.report.noted import noted
from whet.report.numbers import GAP, interval, measured, written
from whet.report.run_files import RunFiles
from whet.report.section import Section

HEADLINES = {"ship": "Ship {ship}", "keep_baseline": "Keep the baseline {ship}", "cannot_tell": "Cannot tell"}
MARKS = {"ship": "✓", "keep_baseline": "=", "cannot_tell": "?"}


def verdict(run: RunFiles) -> Section:
    """One sentence, and the numbers behind it."""
    told = run.verdict
    if told is None:
        reason = "There is no verdict: the run has not come that far."
        return Section("verdict", "Verdict", absent=reason)
    code = str(told.get("code", ""))
    headline = HEADLINES.get(code, code.replace("_", " ").capitalize()).format(ship=told.get("ship") or "")
    return Section(
        "verdict",
        "Verdict",
        {
            "code": code if code in HEADLINES else "other",
            "mark": MARKS.get(code, "·"),
            "headline": headline.strip(),
            "reason": told.get("reason", ""),
            "instead": _instead(run),
            "facts": _facts(run, told),
        },
    )


def _instead(run: RunFiles) -> str:
    """That what the verdict ships is not what answers; "" where it is."""
    ships, shown = run.ships, run.shown_model
    return instead(ships, shown) if ships and shown and ships != shown else ""


def _facts(run: RunFiles, told: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, note) of the numbers that matter most."""
    metric = str(told.get("metric") or (run.scores or {}).get("primary", "accuracy"))
    title, rows = numbers.metric(metric).title, kinds.words(run.kind).rows
    models = (run.scores or {}).get("models") or {}
    facts = []
    shipped, rival = told.get("ship"), told.get("best_baseline")
    for model, role in ((shipped, ""), (rival, "best baseline")):
        value, low, high = measured((models.get(model) or {}).get(metric))
        if value is not None and not (role and rival == shipped):
            name = f"{title} of {model}" + (f", {role}" if role else "")
            facts.append((name, written(value, metric), interval(low, high, metric)))
    facts += _difference_fact(told, metric, rows)
    facts += [_beside_fact(one, rows) for one in told.get("beside") or [] if numbers.is_number(one.get("difference"))]
    if numbers.is_number(told.get("num_rows")):
        facts.append((f"Test {rows}", numbers.count(told["num_rows"]), ""))
    if numbers.is_number(told.get("minimum_detectable_effect")):
        effect = numbers.amount(told["minimum_detectable_effect"], metric)
        facts.append((f"Smallest difference these {rows} can show", effect, ""))
    if numbers.is_number(told.get("rows_to_decide")):
        facts.append((f"Test {rows} that would decide", f"about{GAP}{numbers.count(told['rows_to_decide'])}", ""))
    return facts


def _difference_fact(told: dict[str, Any], metric: str, rows: str) -> list[tuple[str, str, str]]:
    """The paired difference that matters: that of the shipped model, else the largest."""
    pairs = [one for one in told.get("comparisons") or [] if numbers.is_number(one.get("difference"))]
    if not pairs:
        return []
    one = max(pairs, key=lambda pair: _relevance(pair, told))
    metric = str(one.get("metric", metric))
    name = f"{one.get('candidate')} minus {one.get('against')}, same {rows}"
    gap = numbers.difference(one["difference"], metric) + numbers.unit(metric)
    return [(name, gap, interval(one.get("low"), one.get("high"), metric))]


def _beside_fact(pair: dict[str, Any], rows: str) -> tuple[str, str, str]:
    """The difference to a baseline that the metric of the verdict cannot measure, by the one that can."""
    metric = str(pair.get("metric"))
    name = f"{pair.get('candidate')} minus {pair.get('against')} by {numbers.spoken(metric)}, same {rows}"
    gap = numbers.difference(pair["difference"], metric) + numbers.unit(metric)
    return name, gap, interval(pair.get("low"), pair.get("high"), metric)


def _relevance(pair: dict[str, Any], told: dict[str, Any]) -> tuple[bool, bool, float]:
    of_shipped = pair.get("candidate") == told.get("ship")
    better = 1 if numbers.metric(str(pair.get("metric") or told.get("metric"))).higher_is_better else -1
    return pair.get("against") == told.get("best_baseline"), of_shipped, better * float(pair["difference"])


def gates(run: RunFiles) -> Section:
    """The gates beside quality as a checklist."""
    if run.findings is None:
        return Section("gates", "Gates", absent="The gates were not looked at: the run has not come that far.")
    found = noted(run.findings, "V")
    if not found:
        return Section("gates", "Gates", absent="No gate was recorded for this run.")
    return Section("gates", "Gates", {"findings": found})
