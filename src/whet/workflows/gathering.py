"""Every finding of a run in one list: of its audit, its training, its saved models and its gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from whet.data import audit
from whet.evaluation.curves import read_curves
from whet.files import read_jsonl
from whet.findings import Finding
from whet.folder import RunFolder

Facts = Mapping[str, Mapping[str, Any]]


def gather(folder: RunFolder, gates: Sequence[Finding], models: Facts) -> list[Finding]:
    """In the order of their codes.

    :param models: what is known of each trained model, by name; see ``whet.workflows.evaluating.facts``.
    """
    events = _once(read_jsonl(folder.events))
    audited = audit.load(folder.data / "audit.json").findings
    tuned = {name: facts for name, facts in models.items() if "attempt" in facts}
    found = [*audited, *_notes(events), *_curves(events, tuned), *_endings(tuned), *_parity(models), *gates]
    return sorted(found, key=lambda finding: finding.code)


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


def _curves(events: Sequence[Mapping[str, Any]], tuned: Facts) -> Iterator[Finding]:
    if not tuned:
        yield Finding("V005", "not_applicable", "Nothing was fine-tuned.")
    for name, facts in tuned.items():
        of_model = [e for e in events if e["kind"] == "evaluation" and e["model"] == name]
        yield read_curves([e for e in of_model if e["attempt"] == facts["attempt"]], name)


def _endings(tuned: Facts) -> Iterator[Finding]:
    for name, facts in tuned.items():
        best = f"the best state, of step {facts['best_step']:,}, was kept"
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


def _parity(models: Facts) -> Iterator[Finding]:
    for facts in models.values():
        yield Finding.from_json(facts["parity"])
