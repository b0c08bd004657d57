"""The proof that what is trained with vectors before every text is what plain PEFT reads, made before training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from whet.batches import flat
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import FlatBatch
from whet.errors import Problem, UserError
from whet.models import soft_reading, targets
from whet.models.networks import quiet
from whet.models.reading import caught
from whet.models.soft_reading import Soft
from whet.models.task_model import TaskModel

_TOLERANCE = 1e-3
"""Largest difference, as a share of the largest number."""


@torch.no_grad()
def prove(model: TaskModel, words: Sequence[int] = ()) -> None:
    """Hold what ``model`` makes of two texts of unequal length, read together, beside plain PEFT's of each alone.

    :raises UserError: M071, they differ, or PEFT cannot ask this base at all.
    """
    soft = soft_reading.of(model.network)
    assert soft is not None
    was = model.training
    model.eval()
    try:
        ours = model.features(_texts(model, words, (0, 1)))
        with quiet():
            theirs = torch.cat([_plainly(model, soft, _texts(model, words, (one,))) for one in (0, 1)])
    except (AttributeError, TypeError, IndexError, RuntimeError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(_unlike(model, f"PEFT cannot ask it: {reason}")) from error
    finally:
        model.train(was)
    gap = float((ours.float() - theirs.float()).abs().max()) if ours.shape == theirs.shape else float("inf")
    if not gap <= _TOLERANCE * max(1.0, float(theirs.abs().max())):
        raise UserError(_unlike(model, f"what PEFT reads differs from what is trained by {gap:.2g}"))


def _unlike(model: TaskModel, why: str) -> Problem:
    about = f"is a model of type {model.network.config.model_type!r} that cannot read vectors before a text"
    return Problem("M071", "the base", f"{about}: {why}.", "Use method=lora or full.")


def _texts(model: TaskModel, words: Sequence[int], numbers: Sequence[int]) -> FlatBatch:
    """Two texts, of 3 and 5 tokens; of an encoder-decoder with a target each."""
    size = int(model.trunk.get_input_embeddings().weight.shape[0])
    known = [one for one in (*words, *range(5, 13)) if one < size and one != model.pad_id]
    ids = (known or [0]) * 8
    parts = [ids[:3], ids[1:6]]
    if model.guesses == "target":
        parts = [ids[:3], ids[2:5], ids[1:6], ids[:4]]
        numbers = [place for one in numbers for place in (2 * one, 2 * one + 1)]
    chosen = [parts[one] for one in numbers]
    offsets = np.cumsum([0, *map(len, chosen)]).astype(np.int64)
    second = np.full(len(chosen), -1 if model.guesses == "target" else 2, np.int32)
    joined = np.concatenate([np.asarray(one, np.uint32) for one in chosen])
    encoded = Encoded(joined, offsets, second, Cut(0, 0, 0, 0), 2 if model.guesses == "target" else 1)
    return flat.make(encoded, np.arange(len(encoded)), None)


def _plainly(model: TaskModel, soft: Soft, batch: FlatBatch) -> Tensor:
    """Of one text, or source and target: what PEFT's own class brings to the last layer, or its vectors pooled."""
    attention = model.network.config._attn_implementation
    model.network.set_attn_implementation("eager")
    try:
        if model.guesses == "target":
            given, real = targets.inputs(batch, model.pad_id)
            return targets.placed(targets.reaching(soft.adapter, model.linear_head, given), real, batch)
        inputs = model.padded_inputs(batch)
        if not soft.keeps_types:
            inputs.pop("token_type_ids", None)
        size = inputs["input_ids"].shape[1]
        if model.pooling is not None:
            hidden = soft.adapter(**inputs).last_hidden_state[:, -size:]
            return model.finish(hidden, batch, inputs["attention_mask"], None)
        found = caught(soft.adapter, model.linear_head, inputs)
        if found.ndim == 2:
            return found
        return found[0, -size:] if model.level == "token" else found[:, -1]
    finally:
        model.network.set_attn_implementation(attention)
