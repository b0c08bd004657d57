"""What an architecture alone needs: no weights, no tokenizer, no rows but made ones of a given length."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.batches import flat
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import FlatBatch, Targets
from whet.errors import Problem, UserError
from whet.models import networks
from whet.models.heads import Head
from whet.models.places import Place
from whet.models.shapes import Shape, without_weights
from whet.models.task_model import TaskModel
from whet.tasks.language_loss import LanguageLoss, next_tokens, read_nats
from whet.tasks.text_classification import ClassificationLoss
from whet.workflows.estimating import Work, set_free

OPTIONS: dict[str, Any] = {
    "training.epochs": 1.0,
    "training.evaluations_per_epoch": 1,
    "training.micro_batch_tokens": 1 << 62,
    "training.optimiser": "adamw",
    "lora.rank": 16,
    "lora.alpha": 32.0,
    "lora.rank_stabilised": False,
    "lora.dropout": 0.05,
    "lora.target_modules": "auto",
    "lora.dora": False,
    "lora.rate_ratio": 1.0,
    "lora.start": "zeros",
    "layers.top": 8,
    "layers.decay": 1.0,
    "layers.gradual": 0.0,
    "soft.tokens": 20,
    "soft.start": "random",
    "soft.width": 1024,
    "quantisation.bits": 4,
    "quantisation.kind": "nf4",
    "quantisation.double": True,
}
"""Of methods, where no recipe says anything: their defaults, with rank 16."""
CLASSES = ("first", "second")
LOOK_SHARE = 0.1
"""Of validation, beside the tokens of training."""


def work_of_shape(shape: Shape, dtype: torch.dtype, length: int, batch_tokens: int, tokens: int) -> Work:
    """One pass over ``tokens`` tokens in texts of ``length``, in steps of ``batch_tokens``.

    :raises UserError: L003, an encoder-decoder, whose rows have a source and a target.
    """
    place = Place(shape.name, Path(shape.name), "")
    guess = networks.guesses(shape.config)
    if guess == "target":
        what = "is an encoder-decoder, whose rows are a source and a target."
        raise UserError(Problem("L003", f"shape {shape.name!r}", what, "Plan it with a base and data instead."))
    language = guess == "next"
    head = Head("language") if language else Head("classes", CLASSES, pooling="mean")
    number = max(1, batch_tokens // length)
    batch = _batch(number, length, language)
    look = batch if number == 1 else _batch(1, length, language)
    num_steps = max(1, round(tokens / batch.num_tokens))
    return Work(
        partial(_model, shape, head, place),
        lambda method, options, model: set_free(method, options, shape.name, 0, model),
        lambda method: LanguageLoss(next_tokens) if language else ClassificationLoss(),
        _read_language if language else _read_classes,
        dtype,
        batch,
        batch,
        look,
        num_steps,
        tokens,
        round(LOOK_SHARE * tokens),
        tokens,
        lambda method, total: 0,
    )


def _batch(number: int, length: int, language: bool) -> FlatBatch:
    ids = np.ones(number * length, np.uint32)
    offsets = np.arange(number + 1, dtype=np.int64) * length
    weights = np.ones(number * length, np.float32) if language else None
    cut = Cut(length, 0, 0, number * length)
    encoded = Encoded(ids, offsets, np.full(number, -1, np.int32), cut, weights=weights)
    return flat.make(encoded, np.arange(number), Targets(torch.zeros(number, dtype=torch.int64)))


def _model(shape: Shape, head: Head, place: Place) -> TaskModel:
    model = without_weights(shape.config, head, place)
    model.use_flat_batches()
    model.may_share = False  # made rows are all alike
    return model


def _read_language(model: TaskModel, batch: FlatBatch) -> Tensor:
    return read_nats(model, batch, next_tokens)


def _read_classes(model: TaskModel, batch: FlatBatch) -> Tensor:
    found: Tensor = model(batch)
    return found
