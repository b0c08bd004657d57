"""Predictions of every model, scores with intervals, gates and the verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from whet import registry
from whet.baselines import BASELINES
from whet.baselines.material import Fitted, Keepable, Material
from whet.data import audit
from whet.data.answer_format import in_format
from whet.data.predictions import Predictions, TextPredictions
from whet.data.predictions import load as load_predictions
from whet.data.predictions import save as save_predictions
from whet.engine.events import Event, Noted
from whet.evaluation.break_even import Prices, standing
from whet.evaluation.gates import gates, subject_of
from whet.evaluation.scoring import score_all
from whet.evaluation.settling import settle, settled
from whet.evaluation.verdict import Verdict, decide
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.generation import closed
from whet.recipe.names import PROMPTABLE, PROMPTED
from whet.tasks.closed_answers import among
from whet.tasks.text_generation import TextGeneration
from whet.workflows import asking, forgetting, rounding, self_training
from whet.workflows.diagnosing import validation_and_test
from whet.workflows.events import OfModel, Said
from whet.workflows.gathering import gather
from whet.workflows.learned_scores import comet
from whet.workflows.running import Running
from whet.workflows.training import Trained

SCORED = ("validation", "test")
UNREADABLE = 0.1
"""Share of the replies of a prompted model from which on it is said that they cannot be read."""


def baseline(run: Running, name: str) -> Iterator[Event]:
    """Answers of one baseline in the form of predictions."""
    material = _material(run)
    start = time.monotonic()
    fitted: Fitted = registry.load(BASELINES, name, "evaluation.baselines")(material, run.recipe.seed)
    trained_at = time.monotonic()
    said = {split: fitted.predictions(split) for split in SCORED}
    seconds = max(time.monotonic() - trained_at, 1e-9)
    found: dict[str, Any] = kept_predictions(run, said)
    if isinstance(fitted, Keepable):  # where it is enough, it is what ships
        folder = run.folder.models / name
        found |= fitted.save(folder, found)
        found["size_bytes"] = sum(path.stat().st_size for path in folder.iterdir())
        found["predict_rows_per_second"] = sum(map(len, said.values())) / seconds
    if name == rounding.BASE and rounding.wanted(run):
        weights = rounding.weights_bytes(run.place.folder)
        found |= {"weights_bytes": weights, "predict_rows_per_second": run.untouched_rate}
    more = dict(getattr(fitted, "facts", {}))
    write_json(run.folder.facts(name), {"train_seconds": time.monotonic() - start, **found, **more})
    if name in PROMPTED:
        yield from _of_labels(name, run.speaker.network)
    lost, rows = (more.get("prompting") or {}).get("unparsable", {}).get("test") or 0, len(said["test"])
    if lost > UNREADABLE * rows:
        yield Said(f"  {lost:,} of {rows:,} replies of {name} could not be read: look at prompting.max_tokens, or ask")
        yield Said("  otherwise with prompting.instruction; such rows got what is said without asking")


def _material(run: Running) -> Material:
    more: dict[str, Any] = {"options": run.options}
    if run.recipe.task in PROMPTABLE:
        more |= {"speaker": lambda: run.speaker, "prompted": asking.prompted(run)}
    if run.head_kind == "language":
        more |= {"tokens": run.asked, "vocabulary_size": len(run.tokenizer), "untouched": run.untouched}
    elif rounding.wanted(run):
        more |= {"untouched": run.untouched}
    return Material(
        run.recipe.task, run.data.splits, run.labels, run.multi_label, run.gold, run.unit_vectors, run.embed, **more
    )


def predict(run: Running, model: Trained) -> Iterator[Event]:
    """Predictions of a trained model; what was fitted on validation is folded into its head."""
    said = {}
    for split in SCORED:  # test comes last: its rows alone are answered in full where texts are written
        start = time.monotonic()
        encoded = run.encoded[split]
        tell = run.telling(f"{model.name} on {split}", len(encoded))
        said[split] = run.task.answer(model.name, model.model, run.tokenizer, encoded, run.examples(split), tell)
        seconds = max(time.monotonic() - start, 1e-9)
    fitted = kept_predictions(run, said)
    run.task.folded(model.model.head, fitted)
    rate = len(said["test"]) / seconds
    write_json(run.folder.facts(model.name), {**model.facts, "predict_rows_per_second": rate, **fitted})
    yield from _of_labels(model.name, model.model.network)


def _of_labels(name: str, network: Any) -> Iterator[Event]:
    """Whether closed answers could not be read in the fast way."""
    if network is not None and closed.differs(network):
        message = "answers read as a tree differ from those read side by side, so they are read side by side"
        yield OfModel(name, Noted("E006", message, 0))


def facts(run: Running, name: str) -> dict[str, Any]:
    """What is known of a model beside its predictions: seconds, weights, temperature."""
    return dict(read_json(run.folder.facts(name)))


def kept_predictions(run: Running, said: dict[str, Predictions]) -> dict[str, Any]:
    """Save the predictions of one model on both splits, after fitting on validation alone what can be fitted."""
    fitted = settle(said["validation"])
    for split, one in said.items():
        shaped = _answered(one, run.task) if isinstance(run.task, TextGeneration) else one
        save_predictions(settled(shaped, fitted), run.folder.predictions(one.model, split))
    return fitted


def _answered(one: Predictions, task: TextGeneration) -> Predictions:
    """With ``valid`` where a form is wanted, and where answers are a closed set with ``chosen``, as all have on test.

    Without likelihoods what is said is the choice, a text that is none of the set included: it is wrong.
    """
    shaped = in_format(one, task.answer_format)
    if not task.closed or not isinstance(shaped, TextPredictions) or shaped.split == "validation":
        return shaped  # trained models choose nothing on validation, as they say nothing there
    if shaped.said is None or shaped.chosen is not None:
        return shaped
    return replace(shaped, chosen=among(shaped.said, task.closed))


def score(run: Running, models: Sequence[str], baselines: Sequence[str]) -> Iterator[Event]:
    """Predictions to scores.json."""
    found = [load_predictions(run.folder.predictions(name, split)) for name in models for split in SCORED]
    leaked = audit.load(run.folder.data / "audit.json").leaked
    evaluation = run.recipe.evaluation
    scores = score_all(
        found,
        seed=run.recipe.seed,
        leaked_ids=leaked,
        task=run.recipe.task,
        num_resamples=evaluation.resamples,
        baselines=baselines,
    )
    kept = {name: facts(run, name).get("temperature") for name in models}
    scores["temperature_in_model"] = {name: value for name, value in kept.items() if value is not None}
    _by_learned_model(run, found, scores)
    write_json(run.folder.scores, scores)
    yield from ()


def _by_learned_model(run: Running, found: Sequence[Predictions], scores: dict[str, Any]) -> None:
    """Into the details of each model what COMET gives it, where the recipe names one."""
    wanted = run.recipe.evaluation.comet
    if wanted is None:
        return
    on_test = [one for one in found if one.split == "test"]
    sources = run.examples("test").column("text")
    number = run.recipe.evaluation.resamples
    for name, value in comet(wanted, on_test, sources, seed=run.recipe.seed, num_resamples=number).items():
        scores["details"].setdefault(name, {})["comet"] = value


def judge(run: Running, baselines: Sequence[str], candidates: Sequence[str]) -> Iterator[Event]:
    """Scores to verdict.json and findings.json."""
    test = {name: load_predictions(run.folder.predictions(name, "test")) for name in {*baselines, *candidates}}
    evaluation = run.recipe.evaluation
    scores = read_json(run.folder.scores)
    cheap, dear = rounding.sides(run, baselines, candidates)
    verdict = _decided(run, test, cheap, dear)
    write_json(run.folder.verdict, verdict.to_json())
    found = gates(verdict, list(test.values()), scores, seed=run.recipe.seed)
    if dear != list(candidates):
        found = _of_rounding(run, test, scores)
    steered = verdict.ship if verdict.ship in candidates else subject_of(verdict)
    found.append(_validation_and_test(run, steered, verdict.metric))
    found += self_training.findings(run, verdict.metric)
    gathered = gather(run.folder, found, {name: facts(run, name) for name in candidates})
    write_json(run.folder.findings, [finding.to_json() for finding in gathered])
    _stand(run, steered, candidates)
    forgetting.stand(run.folder, run.recipe.seed, evaluation.resamples)
    yield Said(verdict.reason)


def _decided(run: Running, test: Mapping[str, Predictions], cheap: Sequence[str], dear: Sequence[str]) -> Verdict:
    """The verdict on ``dear``, which are held against ``cheap``."""
    evaluation = run.recipe.evaluation
    return decide(
        [test[name] for name in dear],
        [test[name] for name in cheap],
        seed=run.recipe.seed,
        metric=read_json(run.folder.scores)["primary"],
        margin=evaluation.margin,
        alpha=evaluation.alpha,
        costs=_costs(run, sorted(test)),
        num_resamples=evaluation.resamples,
    )


def _of_rounding(run: Running, test: Mapping[str, Predictions], scores: dict[str, Any]) -> list[Finding]:
    """The gates of a rounded model against the base in whole weights, and what it lost."""
    both = {name: facts(run, name) for name in (rounding.NAME, rounding.BASE)}
    beside = _decided(run, test, [rounding.BASE], [rounding.NAME])
    found = gates(beside, list(test.values()), scores, seed=run.recipe.seed)
    lost = rounding.finding(run, test[rounding.NAME], test[rounding.BASE], beside.metric, both)
    none = Finding("V001", "not_applicable", f"Nothing was trained; what rounding costs is {lost.code}.", rounding.NAME)
    return [none, lost, *(one for one in found if one.code != "V001")]


def _validation_and_test(run: Running, model: str, metric: str) -> Finding:
    """W006."""
    wanted = run.recipe.evaluation
    return validation_and_test(
        run.folder,
        model,
        metric,
        seed=run.recipe.seed,
        margin=wanted.margin,
        alpha=wanted.alpha,
        num_resamples=wanted.resamples,
    )


def _stand(run: Running, tuned: str, candidates: Sequence[str]) -> None:
    """prompting.json: what asking a language model costs beside what training ``tuned`` costs, where one was asked."""
    asked = [name for name in PROMPTED if run.folder.facts(name).exists()]
    if not asked or tuned not in candidates:
        return
    wanted = run.recipe.prompting
    found = standing(
        {name: facts(run, name) for name in asked},
        tuned,
        facts(run, tuned),
        len(run.examples("train")),
        Prices(wanted.machine_price, wanted.label_price),
    )
    write_json(run.folder.prompting, found)


def _costs(run: Running, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    wanted = ("train_seconds", "predict_rows_per_second", "size_bytes", "trainable_parameters")
    known = {name: facts(run, name) for name in names}
    return {name: {key: value[key] for key in wanted if value.get(key) is not None} for name, value in known.items()}
