"""Which rows a model of a run learns from: those of training, and for some models others beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.batches.replay import joined
from whet.files import beside, read_json
from whet.objectives.classes import sampling_shares
from whet.recipe import resolve
from whet.workflows import distilling, replaying, unlabelled
from whet.workflows.running import Running

SELF_TRAINED = "self-trained"
"""The model that learns from what another one said of texts without labels."""
AS_LONG = 1000
"""Attempts from this number on begin as those before, and are of as many steps as :data:`SELF_TRAINED` took."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """``encoded``: U units. ``targets``: their truth, or what is taken for it."""

    encoded: Encoded
    targets: Targets


def rows(run: Running, name: str | None = None) -> Learnt:
    """Those of model ``name``; None: of the one of the method."""
    own = run.targets("train")
    if name != SELF_TRAINED:
        return Learnt(run.encoded["train"], own)
    number = len(rounds_of(run))
    said = torch.from_numpy(np.load(_labels_file(run, number), allow_pickle=False))
    values = own.values if said.ndim == 1 else F.one_hot(own.values, len(run.labels)).to(said.dtype)
    return Learnt(encoding.load(_tokens(run, number)), Targets(torch.cat([values, said])))


def epochs(run: Running, name: str | None = None) -> float:
    """Passes of model ``name`` over what it learns from: of its own rows, where the recipe leaves them to be chosen."""
    decided = float(run.value("training.epochs"))
    if name not in (SELF_TRAINED, distilling.NAME) or run.recipe.training.epochs != "auto":
        return decided
    learnt = distilling.learnt(run) if name == distilling.NAME else rows(run, name).encoded
    more = len(learnt) - len(run.encoded["train"])
    return float(resolve.epochs(str(run.value("method")), len(run.examples("train")) + more).value)


def as_long_as(run: Running, name: str, attempt: int) -> str | None:
    """The variant that learns from more, whose control an attempt of model ``name`` is and as many steps takes."""
    if name != run.value("method"):
        return None
    if attempt >= AS_LONG:
        return SELF_TRAINED
    return distilling.NAME if distilling.wanted(run) and distilling.learns_more(run) else None


def shares(known: Learnt, kind: str) -> NDArray[np.float64] | None:
    """(U,) how often each unit is seen beside the others, by the class that is taken for its truth.

    :param kind: as ``regularisation.sampling`` has it.
    """
    values = known.targets.values
    classes = values if values.ndim == 1 else values.argmax(1)
    return None if kind == "none" else sampling_shares(classes.numpy(), kind)


def used(run: Running, size: int) -> NDArray[np.int64]:
    """(R,) ids, ascending, of ``size`` tokens that any model of the run reads while it is trained.

    The same for all of its models, so that each table of embeddings has the same rows.
    """
    found = replaying.drawn_from(run).used(size)
    for other in run.sharing:
        if other.tokens_folder("train").exists():  # which they are before any is trained
            found = np.union1d(found, other.encoded["train"].used(size))
    if run.recipe.self_training.source is not None and run.tokens_folder(unlabelled.TOKENS).exists():
        return np.union1d(found, unlabelled.encoded(run).used(size))
    return np.union1d(found, distilling.learnt(run).used(size)) if distilling.ready(run) else found


# --- texts that a model of the run labelled -----------------------------------------------------------------


def keep_labels(run: Running, number: int, rows: NDArray[np.int64], said: NDArray[Any]) -> None:
    """Put texts behind the training rows, with what was said of them.

    :param number: of the round, from 1. :param rows: (k,) numbers of the texts, ascending.
    :param said: (k,) labels by their numbers, or (k, C) probabilities.
    """
    joined(run.encoded["train"], unlabelled.encoded(run).of_rows(rows), _tokens(run, number))
    with beside(_labels_file(run, number)) as file:
        np.save(file, said.astype(np.int64 if said.ndim == 1 else np.float32), allow_pickle=False)


def rounds_of(run: Running) -> list[dict[str, Any]]:
    """What was taken in each round so far, in order."""
    known = sorted(round_file(run, 1).parent.glob("*.json"), key=lambda path: int(path.stem))
    return [dict(read_json(path)) for path in known]


def round_file(run: Running, number: int) -> Path:
    """Where it is on record what was taken in a round."""
    return run.folder.data / "self_training" / f"{number}.json"


def _labels_file(run: Running, number: int) -> Path:
    return round_file(run, number).with_suffix(".npy")


def _tokens(run: Running, number: int) -> Path:
    return Path(run.tokens_folder(f"{SELF_TRAINED} {number}"))
