"""What a run of preferences does beside training: the reference's likelihoods, answers of its own, findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.data.predictions import PreferencePredictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.engine.precision import Weights
from whet.errors import Problem, UserError
from whet.evaluation import preferred
from whet.files import beside, read_json, write_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.generation.loop import Said as Written
from whet.inference.referring import stand
from whet.models import adaptations
from whet.models.task_model import TaskModel
from whet.tasks.preference import BASE, Preference, prompts_of
from whet.workflows import training
from whet.workflows.events import Said
from whet.workflows.running import SPLITS, Running

PAIRED = ("dpo", "ipo", "orpo", "simpo")
"""Losses that compare two answers to one prompt."""
SHOWN = 5


def is_one(run: Running) -> bool:
    """Whether the run learns from preferences."""
    return run.recipe.task == "preference"


def refuse(run: Running) -> None:
    """:raises UserError: D104, a loss that compares two answers, and rows with one each."""
    loss = run.recipe.preference.loss
    if is_one(run) and loss in PAIRED and run.examples("train").shape.has("completion"):
        what = f"is {loss}, which compares two answers, but rows have one each and a thumb."
        raise UserError(Problem("D104", "preference.loss", what, "Choose kto, or leave it at auto."))


def reference(run: Running) -> Iterator[Event]:
    """Log-probabilities of all answers by the untouched base, once: an adapter switched off would say the same.

    What training and its looks at validation are held to is in the precision of training, so that a run begins at no
    distance; what the finished model is held to, in fp32 as its own.
    """
    task = run.task
    assert isinstance(task, Preference)
    merged = run.recipe.lora.merge and run.value("method") == "qlora"
    exact, fast = reference_model(run, merged=merged), None
    wanted = [(split, True) for split in SPLITS if split != "train"]
    wanted += [(split, False) for split in SPLITS if split != "test" and task.how.referred]
    for split, is_exact in wanted:
        if not is_exact and (merged or run.dtype != torch.float32):
            fast = fast or reference_model(run, run.dtype)
        model = exact if is_exact or fast is None else fast
        encoded, path = run.encoded[split], task.kept(split, is_exact)
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        outputs = task.outputs(model, encoded, run.telling(f"reference on {split}", len(encoded)))
        with beside(path) as file:
            np.save(file, task.likelihoods(outputs, encoded)[0], allow_pickle=False)
    sizes = sum(run.encoded[split].num_sequences for split in {split for split, _ in wanted})
    yield Said(f"reference: the base's likelihoods of {sizes:,} answers, computed once")


def reference_model(run: Running, dtype: torch.dtype = torch.float32, merged: bool = False) -> TaskModel:
    """The base as the adapter of the run's method stands on it, or was merged into it: of qlora not as it came."""
    model = run.new_model()
    stand(model, run.options, merged)
    model.to(run.device)
    if dtype != torch.float32:
        adaptations.freeze(model)
        Weights(model, dtype, exact=adaptations.exact_names(model))
    model.eval()
    return model


# --- answers of its own -------------------------------------------------------------------------------


def sampled(run: Running) -> bool:
    """Whether models of the run are to write answers."""
    return is_one(run) and run.recipe.preference.samples > 0


def sample(run: Running, models: Sequence[str]) -> Iterator[Event]:
    """Test prompts answered by base and tuned models, each drawn from its own distribution: preference.json."""
    task, test = run.task, run.examples("test")
    assert isinstance(task, Preference)
    count = min(run.recipe.preference.samples, len(test))
    rows = np.unique(np.linspace(0, len(test) - 1, count).astype(np.int64))
    encoded, examples = run.encoded["test"].of_rows(rows), test.take(rows)
    completes = task.completes(run.tokenizer, examples)
    base = reference_model(run)
    seed = run.recipe.seed
    before = task.write(base, run.tokenizer, encoded, completes, seed)
    found: dict[str, Any] = {}
    for name in models:
        model = training.finished(run, name).model
        after = task.write(model, run.tokenizer, encoded, completes, seed)
        apart = -np.asarray([one.nats for one in after]) - likelihoods(task, base, prompts_of(encoded), after)
        of_base, of_tuned = (np.asarray([len(one.ids) for one in some], np.float64) for some in (before, after))
        found[name] = {
            "prompts": len(rows),
            "kl": preferred.interval(apart, seed),
            "kl_per_token": float(apart.sum() / max(1.0, of_tuned.sum())),
            "tokens": preferred.mean_tokens(of_base, of_tuned, seed),
            "finished": {"base": _finished(before), "tuned": _finished(after)},
            "examples": [
                {"line": int(line), "prompt": _prompt(messages), "base": one.text.strip(), "tuned": other.text.strip()}
                for line, messages, one, other in zip(
                    examples.numbers("line")[:SHOWN], examples.column("messages"), before, after, strict=False
                )
            ],
        }
        yield Said(f"{name}: {found[name]['kl']['value']:.2f} nats from the base on its own answers")
    write_json(run.folder.preference, found)


def _finished(written: Sequence[Written]) -> float:
    return float(np.mean([one.finished for one in written]))


def _prompt(messages: Sequence[Mapping[str, Any]]) -> str:
    return str(messages[-1]["content"]) if messages else ""


def likelihoods(
    task: Preference, model: TaskModel, prompts: Sequence[NDArray[np.int64]], written: Sequence[Written]
) -> NDArray[np.float64]:
    """(n,) log-probability in nats that ``model`` gives to what was written behind each prompt."""
    answers = [np.asarray(one.ids, np.int64) for one in written]
    pieces = [
        Piece(
            np.concatenate([prompt, answer]).astype(np.uint32),
            np.asarray([len(prompt) + len(answer)], np.int64),
            weights=np.concatenate([np.zeros(len(prompt)), np.ones(len(answer))]).astype(np.float32),
        )
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    encoded: Encoded = gather(pieces, Counted(0), None)
    return task.likelihoods(task.outputs(model, encoded), encoded)[0][:, 0]


# --- what is said of it -------------------------------------------------------------------------------


def findings(folder: RunFolder, models: Sequence[str]) -> list[Finding]:
    """X020, X021, X022 and X024 of every model of a run of preferences; nothing of others."""
    scores = read_json(folder.scores) if folder.scores.exists() else {}
    if scores.get("kind") != "preferences":
        return []
    written = read_json(folder.preference) if folder.preference.exists() else {}
    path = folder.predictions(BASE, "test")
    base = load_predictions(path) if path.exists() else None
    assert base is None or isinstance(base, PreferencePredictions)
    found = []
    for name in models:
        tuned = load_predictions(folder.predictions(name, "test"))
        assert isinstance(tuned, PreferencePredictions)
        found += [
            preferred.told_apart(tuned, base, scores["primary"], int(scores.get("seed", 0))),
            preferred.by_length(name, scores, written.get(name)),
            preferred.distance(name, written.get(name)),
            preferred.displaced(name, scores["details"].get(name, {})),
        ]
    return found
