"""What a model knows that nobody trains it on: linear probes on its vectors, or what general text costs it.

Asked of a base and of the model tuned from it, on the same rows, the difference is what was forgotten
(:mod:`whet.evaluation.forgetting`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import collect
from whet.data.general import LabelledTexts
from whet.errors import UserError
from whet.evaluation.forgetting import AnsweredSet, Forgotten, ReadTexts, Way, by_probes, by_text
from whet.kernels import logistic
from whet.models import soft_reading
from whet.models.heads import Head
from whet.models.networks import guesses
from whet.models.task_model import TaskModel
from whet.seeds import generator
from whet.tasks.fill_mask import FillMask
from whet.tasks.language_loss import sums_by_row
from whet.tasks.language_modeling import LanguageModeling, LanguageTask, known_of
from whet.tasks.task import BATCH_TOKENS, Setting

FOLDS = 5
STRENGTHS = (0.01, 0.1, 1.0)
"""Of a probe's regularisation (the C of scikit-learn); rows that are neither learnt nor asked choose."""
LONGEST = 512
"""Tokens of a window of general text; more would only take longer."""
Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What models are asked: labelled sets, or pieces of general text; and how many tokens they read at once."""

    way: Way
    sets: tuple[LabelledTexts, ...] = ()
    texts: tuple[str, ...] = ()
    limit: int = LONGEST
    seed: int = 0

    @property
    def num_texts(self) -> int:
        """All of them."""
        return len(self.texts) + sum(len(one.texts) for one in self.sets)


@dataclass(frozen=True, slots=True)
class Known:
    """What a model said: of each set (n,) the label that its probe says, or (n,) nats and tokens of pieces of text."""

    said: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    nats: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def known(model: TaskModel, tokenizer: Any, asked: Asked, progress: Told | None = None) -> Known:
    """What ``model`` knows of what is asked.

    :raises UserError: as the tasks of language models, where text cannot be read by this one.
    """
    model.eval()
    if asked.way == "text":
        nats, tokens = costs(model, tokenizer, asked, progress)
        return Known(nats=nats, tokens=tokens)
    found, done = {}, 0
    for one in asked.sets:
        told = None if progress is None else _from(done, progress)
        features = vectors(model, tokenizer, one.texts, asked.limit, told)
        found[one.name] = answers(features, numbers(one), len(one.names), asked.seed, one.name)
        done += len(one.texts)
    return Known(found)


def _from(done: int, progress: Told) -> Told:
    return lambda more: progress(done + more)


def lost(base: Known, tuned: Known, asked: Asked) -> Forgotten | None:
    """The difference; None where the base knows too little for one to show."""
    if asked.way == "text":
        assert np.array_equal(base.tokens, tuned.tokens), "both models read the same tokens"
        return by_text(ReadTexts(base.nats, tuned.nats, base.tokens), seed=asked.seed)
    return by_probes(
        [AnsweredSet(one.name, numbers(one), base.said[one.name], tuned.said[one.name]) for one in asked.sets]
    )


def numbers(one: LabelledTexts) -> NDArray[np.int64]:
    """(n,) numbers of the labels of a set."""
    order = {label: number for number, label in enumerate(one.names)}
    return np.asarray([order[label] for label in one.labels], np.int64)


# --- by probes ----------------------------------------------------------------------------------------


def vectors(model: TaskModel, tokenizer: Any, texts: Sequence[str], limit: int, progress: Told | None = None) -> Tensor:
    """(n, H) the mean of the vectors that the pretrained model below the head gives the tokens of each text."""
    encoded = encoding.encode(tokenizer, [(list(texts), None)], limit, None)
    with _headless(model) as below:
        return collect(below.features, encoded, BATCH_TOKENS, False, progress)


@contextlib.contextmanager
def _headless(model: TaskModel) -> Iterator[TaskModel]:
    """The pretrained model below the head of ``model``, its own weights and not a copy."""
    soft = soft_reading.of(model.network)
    trunk = model.trunk
    borrowed = soft is not None and soft_reading.of(trunk) is None
    if borrowed:
        soft_reading.lend(trunk, soft)
    below = TaskModel(trunk, Head("vectors", pooling="mean"), None, model.family, model.pad_id, 0.0)
    below.flat, below.stream = model.flat, model.stream
    below.eval()
    try:
        yield below
    finally:
        if borrowed:
            soft_reading.lend(trunk, None)


def answers(features: Tensor, gold: NDArray[np.int64], num_labels: int, seed: int, name: str) -> NDArray[np.int64]:
    """(n,) what linear probes say of rows that they were not fitted on: one probe a fold.

    Of five folds one is answered, one chooses the strength, and the others are learnt. Folds depend on ``seed`` and
    ``name`` alone and hold labels in like shares, so that two models are asked in the very same way.
    """
    fold = folds(gold, seed, name)
    targets = torch.from_numpy(gold)
    found = np.zeros(len(gold), np.int64)
    for number in range(FOLDS):
        ask, choose = fold == number, fold == (number + 1) % FOLDS
        learn = torch.from_numpy(~ask & ~choose)
        fits = logistic.path(features[learn], targets[learn], num_labels, STRENGTHS)
        rows = torch.from_numpy(choose)
        best = min(fits, key=lambda fit: float(_loss(fit.logits(features[rows]), targets[rows])))
        found[ask] = best.logits(features[torch.from_numpy(ask)]).argmax(1).numpy()
    return found


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(logits, targets)


def folds(gold: NDArray[np.int64], seed: int, name: str) -> NDArray[np.int64]:
    """(n,) the fold of each row; rows of a label are dealt out in turn, in a drawn order."""
    drawn = generator(seed, "folds of probes", name).permutation(len(gold))
    order = drawn[np.argsort(gold[drawn], kind="stable")]
    found = np.zeros(len(gold), np.int64)
    found[order] = np.arange(len(gold)) % FOLDS
    return found


# --- on general text ----------------------------------------------------------------------------------


def costs(
    model: TaskModel, tokenizer: Any, asked: Asked, progress: Told | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n,) nats of each piece of text, (n,) tokens that they are nats of, in the way that the model was pretrained.

    A decoder says every token, a masked model hidden words, T5 spans that were taken out; which, is drawn by the
    seed and not by the model.
    """
    task = reading_task(model.network.config, tokenizer, asked.seed)
    encoded = read_text(task, tokenizer, asked.texts, asked.limit)
    counted = sums_by_row(task.outputs(model, encoded, progress), encoded, len(asked.texts))
    return counted[:, 1], counted[:, 0].round().astype(np.int64)


def reading_task(config: Any, tokenizer: Any, seed: int) -> LanguageTask:
    """How plain text is said by a language model with this configuration of transformers."""
    setting = Setting(options={"seed": seed, "data.stride": 0}, settled=known_of(tokenizer, config))
    return FillMask(setting) if guesses(config) == "masked" else LanguageModeling(setting)


def read_text(task: LanguageTask, tokenizer: Any, texts: Sequence[str], limit: int) -> Encoded:
    """Pieces of text as ``task`` reads them, in windows."""
    return task.encode(tokenizer, [{"text": list(texts)}], min(limit, LONGEST), None)


def why_unreadable(config: Any, tokenizer: Any) -> str:
    """Why plain text cannot be asked of a language model with this configuration; empty where it can."""
    try:
        read_text(reading_task(config, tokenizer, 0), tokenizer, ["One."], LONGEST)
    except UserError as error:
        return error.problems[0].what
    return ""


# --- an adapter switched off --------------------------------------------------------------------------


def switchable(model: TaskModel) -> bool:
    """Whether the base is still there as it was, below an adapter that can be switched off."""
    return soft_reading.of(model.network) is not None or bool(_adapters(model))


def _adapters(model: TaskModel) -> list[Any]:
    """PEFT's layers of a model: adapters, and modules that were trained whole beside them."""
    return [module for module in model.network.modules() if hasattr(module, "_disable_adapters")]


@contextlib.contextmanager
def switched_off(model: TaskModel) -> Iterator[None]:
    """The base on the same object: every adapter of ``model`` is left out, and so is what was trained beside it."""
    layers = _adapters(model)
    for layer in layers:
        layer.enable_adapters(False)
    try:
        with soft_reading.switched_off(model.network):
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
