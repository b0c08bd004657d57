"""What a tuned model no longer knows: measured on the model as it was saved, against the base as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation.forgetting import Forgotten, gate, unmoved
from whet.evaluation.forgetting import knows as is_known
from whet.evaluation.intervals import paired_difference
from whet.evaluation.kinds import shared_metrics, values_of
from whet.evaluation.measures import lower_is_better
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.inference import remembering
from whet.inference.remembering import Asked, Known
from whet.models import saving
from whet.models.language import guesses_of
from whet.models.networks import read_config
from whet.models.task_model import TaskModel
from whet.workflows import general_rows, interpolations, training
from whet.workflows.events import Said
from whet.workflows.running import Running

STILL = ("probe",)
"""Methods that leave the base as it is."""
LIKELIHOOD = "token_nats"
"""By what language models are said to have learnt: whatever they write, it is measured for all."""


# --- before anything is trained -----------------------------------------------------------------------


def refuse(run: Running) -> None:
    """Read what the recipe names, and refuse what could not be measured or replayed after hours of training.

    :raises UserError: F022, forgetting.limit or forgetting.replay needs general text that this base cannot be asked;
        F024 and F025, as :func:`whet.workflows.general_rows.keep`.
    """
    wanted = run.recipe.forgetting
    why = why_not(run)
    if why and wanted.limit is not None:
        remedy = "Remove forgetting.limit, or use a T5, a decoder or an encoder."
        raise UserError(Problem("F022", "forgetting.limit", f"cannot be measured: {why}", remedy))
    if why and wanted.replay:
        remedy = "Remove forgetting.replay, or use a T5 or a decoder."
        raise UserError(Problem("F022", "forgetting.replay", f"cannot be done: {why}", remedy))


def why_not(run: Running) -> str:
    """Why nothing can be measured on this base; empty where something can."""
    if run.head_kind != "language":
        return ""
    config, guess = read_config(run.place), guesses_of(run.place)
    found = remembering.why_unreadable(config, run.tokenizer)
    if not found:
        return ""
    if guess == "target":
        return (
            "the base reads a source and writes a target, and nothing says how it was taught general text: "
            f"{found.rstrip('.')}."
        )
    return f"the base cannot be asked general text: {found.rstrip('.')}."


def check_base(run: Running) -> Iterator[Event]:
    """Before training, where there is a limit: whether the base knows anything that could be forgotten.

    :raises UserError: F023, it does not.
    """
    asked = what_is_asked(run, run.new_model())
    if asked.way == "text":
        return
    measure = Measure(run, asked)
    known = [one.name for one in asked.sets if is_known(measure.base.said[one.name], remembering.numbers(one))]
    if not known:
        names = ", ".join(one.name for one in asked.sets)
        what = f"cannot be held: probes on the base answer none of the sets ({names}) better than by their commonest"
        remedy = "Name sets that the base knows with forgetting.probes, or remove the limit."
        raise UserError(Problem("F023", "forgetting.limit", f"{what} label.", remedy))
    yield Said(f"the base knows {', '.join(known)}: forgetting can be measured")


# --- measuring ----------------------------------------------------------------------------------------


def what_is_asked(run: Running, base: TaskModel) -> Asked:
    """Language models are asked general text; others, and those whose language head is new, labelled sets."""
    recipe, folder = run.recipe, run.folder.data
    limit = int(run.value("data.max_length"))
    if run.head_kind == "language" and not base.fresh:
        texts = general_rows.asked_texts(recipe, folder)
        return Asked("text", texts=texts, limit=limit, seed=recipe.seed)
    return Asked("probes", general_rows.labelled(recipe, folder), limit=limit, seed=recipe.seed)


@dataclass
class Measure:
    """Asks models of one run; the untouched base once."""

    run: Running
    asked: Asked

    @cached_property
    def base(self) -> Known:
        """What the untouched base knows."""
        return self.known(self.run.new_model().to(self.run.device), "base")

    def known(self, model: TaskModel, name: str) -> Known:
        """What ``model`` knows."""
        told = self.run.telling(f"what {name} knows", self.asked.num_texts)
        return remembering.known(model, self.run.tokenizer, self.asked, told)

    def forgotten(self, model: TaskModel, name: str) -> tuple[Forgotten | None, str]:
        """What ``model`` lost, and which base it was held against.

        Where an adapter can be switched off, the base is the same object without it.
        """
        if not remembering.switchable(model):
            return remembering.lost(self.base, self.known(model, name), self.asked), "the untouched base"
        tuned = self.known(model, name)
        with remembering.switched_off(model):
            base = self.known(model, "base")
        against = "the same model with its adapter switched off"
        if model.quantised is not None:
            against += f", in {model.quantised.scheme.bits} bits: what these took is not counted"
        return remembering.lost(base, tuned, self.asked), against


def measure(run: Running, models: Sequence[str]) -> Iterator[Event]:
    """forgetting.json: what every model of the run lost."""
    yield from measured(run, models, run.folder.models)


def measured(run: Running, models: Sequence[str], saved: Path) -> Iterator[Event]:
    """The same of models that lie in ``saved``, or in model/."""
    told: dict[str, Any] = {"limit": run.recipe.forgetting.limit, "models": {}}
    moving = [name for name in models if name not in STILL]
    why = why_not(run) if moving else ""
    asking = None
    if moving and not why:
        asking = Measure(run, what_is_asked(run, run.new_model()))
        told["way"] = asking.asked.way
        told["asked"] = general_rows.digests(asking.asked.sets, asking.asked.texts)
    findings: list[Finding] = []
    for name in models:
        entry, finding = _entry(run, name, asking, saved, why)
        told["models"][name] = entry
        if name not in STILL or not moving:
            findings.append(finding)
            yield Said(f"{name}: {finding.message}")
    told["findings"] = [one.to_json() for one in findings]
    write_json(run.folder.forgetting, told)


def _entry(run: Running, name: str, asking: Measure | None, saved: Path, why: str) -> tuple[dict[str, Any], Finding]:
    limit = run.recipe.forgetting.limit
    if name in STILL:
        return {"forgotten": None, "moves": False, "against": "it is the base"}, unmoved(name)
    if asking is None:
        return {"forgotten": None, "moves": True, "why": why}, gate(None, name, limit, why[:1].upper() + why[1:])
    model = _saved(run, name, saved)
    found, against = asking.forgotten(model, name)
    stands = model.quantised is not None and remembering.switchable(model)
    beside = " The base is the quantised one: what its few bits took is not counted." if stands else ""
    del model
    if found is None:
        why = "Probes on the base answer none of the sets better than by their commonest label."
        if asking.asked.way == "text":
            why = "There is too little general text."
        return {"forgotten": None, "moves": True, "why": why}, gate(None, name, limit, why)
    entry = {"forgotten": found.to_json(), "moves": True, "against": against}
    path = interpolations.way_of(run, name)
    if path is not None and (run.folder.checkpoints / name).is_dir():  # of a finished run they are gone
        entry["chosen"] = path["chosen"]
        some = [one for number, one in enumerate(path["path"]) if number % 2 == 0 or one["share"] == path["chosen"]]
        entry["path"] = [_on_path(run, name, asking, one) for one in some]
    return entry, gate(found, name, limit, beside=beside)


def _saved(run: Running, name: str, saved: Path) -> TaskModel:
    place = saved / name
    model, _, _ = saving.load(place if place.is_dir() else run.folder.model)
    if run.fast:
        model.use_flat_batches()
    return model.to(run.device)


def _on_path(run: Running, name: str, asking: Measure, one: Mapping[str, Any]) -> dict[str, Any]:
    """A point between base and tuned model: what it forgot, and how well it does on the test rows."""
    share = float(one["share"])
    model = training.finished(run, name, share).model
    found, _ = asking.forgotten(model, f"{name} at {share:g}")
    task, encoded, examples = run.task, run.encoded["test"], run.examples("test")
    said = task.predictions(name, task.outputs(model, encoded), encoded, examples)
    values = values_of(said)
    return {**one, "values": values, "forgotten": None if found is None else found.to_json()}


# --- beside what was learnt ---------------------------------------------------------------------------


def stand(run: RunFolder, seed: int, num_resamples: int) -> None:
    """Add to forgetting.json what every model learnt: its gain on test over the base, or over the best baseline."""
    if not run.forgetting.exists():
        return
    told = read_json(run.forgetting)
    verdict, scores = read_json(run.verdict), read_json(run.scores)
    against, metric = verdict["best_baseline"], verdict["metric"]
    if scores["kind"] == "texts" and "base" in scores["models"]:
        against, metric = "base", LIKELIHOOD
    other = load_predictions(run.predictions(against, "test"))
    sign = -1.0 if lower_is_better(metric) else 1.0
    told["learned"] = {"metric": metric, "against": against, "value": values_of(other).get(metric)}
    for name, entry in told["models"].items():
        entry["learned"] = {"value": 0.0, "low": 0.0, "high": 0.0} if name == against else None
        mine = load_predictions(run.predictions(name, "test"))
        if name == against or metric not in shared_metrics(mine, other):
            continue
        found = paired_difference(mine, other, metric, seed=seed, num_resamples=num_resamples)
        ends = sorted((sign * found.low, sign * found.high))
        entry["learned"] = {"value": sign * found.value, "low": ends[0], "high": ends[1]}
    write_json(run.forgetting, told)


def models_of(run: Running) -> list[str]:
    """The models that a run trains."""
    return run.models
