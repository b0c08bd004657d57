"""Trained models become files: predictions, the saved model, its parity, its card."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.predictions import ClassPredictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.evaluation.measures import lower_is_better
from whet.evaluation.settling import SETTLED
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.folder import instead
from whet.inference import trained
from whet.models import parity, saving
from whet.models.about import About
from whet.models.pooling import FIRST_SHARE
from whet.seeds import generator
from whet.tasks.language_loss import rows_of, sums_by_row
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.text_generation import TextGeneration
from whet.workflows import evaluating, merging, rounding, training
from whet.workflows.events import Said
from whet.workflows.running import Running
from whet.workflows.training import Trained

PARITY_ROWS = 128
PARITY_TOLERANCE = 1e-3
"""Largest difference of an output, as a share of the largest output."""
_EIGHT_BITS = 0.1
"""The same where inputs are rounded to 8 bits: what differs in the last digit may be rounded to its neighbour."""


def keep(run: Running, name: str) -> Iterator[Event]:
    """Predict with a trained model, save it, and prove that what was saved says the same."""
    model = training.finished(run, name)
    whole = merging.wanted(run, model)
    if whole and model.model.quantised is not None:
        model = merging.into_16_bits(run, model)
    yield from evaluating.predict(run, model)
    merged = whole and model.adapter is not None
    about = _about(run, model, merged)
    folder = run.folder.models / name
    if merged:
        model.model.network = model.adapter.merge_and_unload()
    with _speaking(run):
        precision = merging.HALF if "merged" in model.facts else rounding.kept_in(run)
        saving.save(model.model, None if merged else model.adapter, run.tokenizer, about, folder, precision)
    finding = check_parity(run, model, about, folder)
    known = evaluating.facts(run, name)
    sizes = {"size_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}
    if rounding.wanted(run):
        sizes["weights_bytes"] = rounding.weights_bytes(folder)
    if about.kind == "adapter":  # which is of no use without it
        sizes["base_bytes"] = sum(path.stat().st_size for path in run.place.folder.glob("*.safetensors"))
    write_json(run.folder.facts(name), {**known, **sizes, "parity": finding.to_json()})
    yield Said(f"{name}: {finding.message}")


@contextlib.contextmanager
def _speaking(run: Running) -> Iterator[None]:
    """The tokenizer with the template that conversations were laid out by, so that it is saved with it."""
    words = run.tokenizer
    own = words.chat_template
    spoken = run.task.spoken(words, run.examples("train")) if isinstance(run.task, TextGeneration) else None
    try:
        words.chat_template = spoken or own
        yield
    finally:
        words.chat_template = own


def _about(run: Running, model: Trained, merged: bool) -> About:
    known = evaluating.facts(run, model.name)
    kind = model.model.kind
    about = About(
        kind=saving.kind_of(model.model, model.adapter is not None and not merged),
        task=run.recipe.task,
        labels=list(kind.labels),
        multi_label=run.multi_label,
        thresholds=known.get("thresholds"),
        temperature=known.get("temperature", 1.0),
        pooling=kind.pooling,
        max_length=run.value("data.max_length"),
        base=run.place.hub_id or str(run.place.folder),  # found from any working folder
        base_sha256=saving.weights_sha256(run.place),
        first_share=FIRST_SHARE if model.model.adds_first else 0.0,
        pairs=run.examples("train").has_pairs,
        head_kind=kind.kind,
        normalise=kind.normalise,
        quantisation=None if model.model.quantised is None else model.model.quantised.scheme.to_json(),
    )
    return trained.with_facts(about, run.task, {**settled_of(known), **_ways(run)})


def _ways(run: Running) -> dict[str, Any]:
    """Of a task that writes, whether its rows are texts that go on."""
    if not isinstance(run.task, TextGeneration):
        return {}
    return {"completes": run.task.completes(run.tokenizer, run.examples("train"))}


def settled_of(known: dict[str, Any]) -> dict[str, Any]:
    """Of a model's facts, what was fitted on validation."""
    return {name: known[name] for name in SETTLED if name in known}


TOOLS = {"own": "transformers", "sentence": "transformers and sentence-transformers", "adapter": "PEFT"}


def check_parity(run: Running, model: Trained, about: About, folder: Path) -> Finding:
    """Load a saved model as its ecosystem does and compare what it says with the run's own model."""
    if model.model.guesses == "permuted":
        why = "A model that says its tokens in any order cannot be asked padded: not compared."
        return Finding("E008", "not_applicable", why, model.name)
    size = min(PARITY_ROWS, len(run.examples("test")))
    draw = generator(run.recipe.seed, "parity")
    rows = np.sort(draw.choice(len(run.examples("test")), size, replace=False))
    agree = {"classes": _classes_agree, "language": _likelihoods_agree}.get(about.head_kind, _outputs_agree)
    same, gap = agree(run, model, about, folder, rows)
    tools = TOOLS[about.kind]
    evidence = {"rows": size, "same": same, "largest_difference": gap, "loaded_with": tools}
    give = "give" if " and " in tools else "gives"
    words = f"{tools} {give} the same {_WORDS[about.head_kind]} on {same} of {size} test rows"
    message = f"Saved and loaded anew, {words} (largest difference {gap:.1g})."
    remedy = "" if same == size else "Use whet to predict, and report this as a bug."
    return Finding("E008", "passed" if same == size else "issue", message, model.name, remedy, evidence)


_WORDS = {
    "classes": "labels",
    "tokens": "tags",
    "span": "answers",
    "value": "numbers",
    "vectors": "vectors",
    "language": "likelihoods",
}


def _tolerance(about: About) -> float:
    return _EIGHT_BITS if (about.quantisation or {}).get("bits") == 8 else PARITY_TOLERANCE


def _classes_agree(
    run: Running, model: Trained, about: About, folder: Path, rows: NDArray[np.int64]
) -> tuple[int, float]:
    """Rows of equal labels, from texts to probabilities, against the saved predictions."""
    said = load_predictions(run.folder.predictions(model.name, "test"))
    assert isinstance(said, ClassPredictions)
    examples = run.examples("test")
    found = parity.probabilities(folder, about, examples.texts(rows), examples.pairs(rows), str(run.place.folder))
    scores = said.scores[rows]
    if said.thresholds is None:
        same = found.argmax(1) == scores.argmax(1)
    else:
        same = ((found >= said.thresholds) == (scores >= said.thresholds)).all(1)
    return int(same.sum()), float(np.abs(found - scores).max())


def _outputs_agree(
    run: Running, model: Trained, about: About, folder: Path, rows: NDArray[np.int64]
) -> tuple[int, float]:
    """Rows of equal outputs, from token ids on, against the model that was saved."""
    encoded = run.encoded["test"].of_rows(rows)
    ours = run.task.outputs(model.model, encoded).numpy()
    found = parity.outputs(folder, about, str(run.place.folder), encoded)
    scale = max(1.0, float(np.abs(ours).max()))
    near = (np.abs(found - ours) <= _tolerance(about) * scale).all(1)
    if about.head_kind == "tokens":
        near |= found.argmax(1) == ours.argmax(1)
    wrong = np.flatnonzero(~near)
    if model.model.level == "token":
        wrong = np.searchsorted(encoded.offsets, wrong, side="right") - 1
    origin = np.arange(encoded.num_sequences) // encoded.parts if encoded.rows is None else encoded.rows
    return len(rows) - len(np.unique(origin[wrong])), float(np.abs(found - ours).max())


def _likelihoods_agree(
    run: Running, model: Trained, about: About, folder: Path, rows: NDArray[np.int64]
) -> tuple[int, float]:
    """Rows whose truth is as likely, against the language model that was saved."""
    task, encoded = run.task, run.encoded["test"].of_rows(rows)
    assert isinstance(task, LanguageTask)
    shown, wanted = task.shown(encoded)
    theirs = parity.nats(folder, about, str(run.place.folder), shown, wanted)
    size = encoded.num_sequences
    of_sequence = replace(encoded, rows=np.arange(size))
    ours = sums_by_row(task.outputs(model.model, encoded), of_sequence, size)[:, 1]
    theirs = theirs.reshape(size, -1).sum(1)  # a window may be shown as a source and a target
    gap = np.abs(theirs - ours)
    wrong = rows_of(encoded)[gap > _tolerance(about) * np.maximum(1.0, np.abs(theirs))]
    return len(rows) - len(np.unique(wrong)), float(gap.max(initial=0.0))


def ship(run: Running, models: list[str]) -> Iterator[Event]:
    """Put the model to ship into run/model."""
    verdict = read_json(run.folder.verdict)
    sign = -1.0 if lower_is_better(verdict["metric"]) else 1.0
    best = max(models, key=lambda one: sign * float(verdict["values"][one]))
    name = verdict["ship"] if verdict["ship"] in models else best
    if not run.folder.model.exists():
        shutil.copytree(run.folder.models / name, run.folder.path / ".partial-model", dirs_exist_ok=True)
        (run.folder.path / ".partial-model").replace(run.folder.model)
    shutil.rmtree(run.folder.models / name, ignore_errors=True)
    if name != verdict["ship"]:
        ships = str(verdict["ship"])
        kept = f"the verdict ships {ships}, which lies in models/; model/ holds {name}"
        yield Said(kept if (run.folder.models / ships).is_dir() else instead(ships, name))
    write_json(run.folder.shipped, {"model": name})
