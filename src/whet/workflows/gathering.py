"""Every finding of a run in one list: of its audit, its training, its saved models and its gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from whet.data import audit
from whet.evaluation import label_noise, retention
from whet.files import read_json, read_jsonl
from whet.findings import Finding
from whet.folder import RunFolder
from whet.models import quantising
from whet.workflows import as_planned, interpolations, merging, preferring, rates, selecting
from whet.workflows.diagnosing import diagnosis

Facts = Mapping[str, Mapping[str, Any]]


def gather(folder: RunFolder, gates: Sequence[Finding], models: Facts) -> list[Finding]:
    """In the order of their codes.

    :param models: what is known of each trained model, by name; see ``whet.workflows.evaluating.facts``.
    """
    events = _once(read_jsonl(folder.events))
    audited = audit.load(folder.data / "audit.json").findings
    tuned = {name: facts for name, facts in models.items() if "attempt" in facts}
    found = [*audited, *_notes(events), *diagnosis(folder, events, tuned), *_endings(tuned), *_rates(folder, tuned)]
    found += [
        *_quantised(models),
        *_parity(models),
        *as_planned.findings(folder, models),
        *_interpolations(tuned),
        *_forgotten(folder),
        *_retained(folder),
        *_chosen(folder),
        *preferring.findings(folder, list(models)),
        *gates,
    ]
    found = [*(one for one in found if one.code != "W007"), _labels(folder, audited)]
    return sorted(found, key=lambda finding: finding.code)


def _labels(folder: RunFolder, audited: Sequence[Finding]) -> Finding:
    """W007: what is doubtful, and what was corrected before."""
    path = folder.data / "label_noise.json"
    found = label_noise.finding(read_json(path) if path.exists() else None)
    corrected = next((one for one in audited if one.code == "W007"), None)
    if corrected is None:
        return found
    evidence = {**found.evidence, "changed": corrected.evidence["changed"]}
    return replace(found, message=f"{found.message} {corrected.message}", evidence=evidence)


def _chosen(folder: RunFolder) -> list[Finding]:
    found = selecting.finding(folder)
    return [] if found is None else [found]


def _once(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A run that was killed and resumed says again what it said after its last checkpoint."""
    found = {}
    for event in events:
        if event["kind"] in ("note", "evaluation"):
            what = ("model", "attempt", "step", "code", "message")
            found[(event["kind"], *(event.get(name) for name in what))] = event
    return list(found.values())


def _notes(events: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for event in events:
        if event["kind"] == "note":
            groups.setdefault((event["code"], event["model"]), []).append(event)
    for (code, model), group in groups.items():
        times = f" ({len(group)} times)" if len(group) > 1 else ""
        yield Finding(code, "issue", group[-1]["message"] + times, model)


def _endings(tuned: Facts) -> Iterator[Finding]:
    for name, facts in tuned.items():
        best = f"the best state, of step {facts['best_step']:,}, was kept"
        if facts["best_step"] == 0 and facts["steps"]:
            message = (
                f"{name}: no state of {facts['steps']:,} steps was better on validation than the start, which is kept: "
                "what this model says, and what it forgot, is not of its training."
            )
            remedy = "Try training.learning_rate=range-test, more training.epochs, or more rows for validation."
            yield Finding("E014", "issue", message, name, remedy)
        if facts["ended"] == "patience":
            message = f"Training stopped after {facts['steps']:,} steps, as validation got no better; {best}."
            yield Finding("E007", "passed", message, name)
        elif facts["ended"] == "max_seconds":
            message = f"Training stopped at its time limit, after {facts['steps']:,} steps; {best}."
            yield Finding("E005", "tip", message, name, "Raise training.max_seconds to train to the end.")
        elif facts["ended"] == "diverged":
            message = f"Training was given up after {facts['steps']:,} steps, its losses no longer finite; {best}."
            remedy = "Lower training.learning_rate, or set training.precision to fp32."
            yield Finding("E002", "issue", message, name, remedy)


def _rates(folder: RunFolder, tuned: Facts) -> Iterator[Finding]:
    for name in tuned:
        if (found := rates.finding(folder, name)) is not None:
            yield found


def _interpolations(tuned: Facts) -> Iterator[Finding]:
    for name, facts in tuned.items():
        if "interpolation" in facts:
            yield interpolations.finding(name, facts["interpolation"])


def _forgotten(folder: RunFolder) -> Iterator[Finding]:
    if not folder.forgetting.exists():
        yield Finding("V009", "not_applicable", "It was not measured (forgetting.measure=false).")
        return
    for one in read_json(folder.forgetting)["findings"]:
        yield Finding.from_json(one)


def _retained(folder: RunFolder) -> Iterator[Finding]:
    """X010 to X012, where a model learnt from a teacher."""
    path = folder.path / retention.FILE
    if path.exists():
        told = read_json(path)
        yield from (retention.finding(told), retention.seen_before(told), retention.who_teaches(told))


def _quantised(models: Facts) -> Iterator[Finding]:
    for name, facts in models.items():
        if "quantisation" in facts:
            yield quantising.finding(facts["quantisation"], name)
        if "merged" in facts:
            yield merging.finding(facts["merged"], name)


def _parity(models: Facts) -> Iterator[Finding]:
    for facts in models.values():
        yield Finding.from_json(facts["parity"])
