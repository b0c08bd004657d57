"""General text among the rows that a language model is trained on (``forgetting.replay``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.batches.replay import ReplayBatches, joined
from whet.engine.events import Event
from whet.files import read_json, write_json
from whet.inference import remembering
from whet.models.networks import read_config
from whet.workflows import general_rows
from whet.workflows.events import Said
from whet.workflows.running import Running

FILE, TOKENS = "replay.json", "replayed"


def prepare(run: Running) -> Iterator[Event]:
    """Put general text behind the training rows, and what is replayed on record (data/replay.json)."""
    texts = general_rows.replayed_texts(run.folder.data)
    general = _general(run, texts)
    train = run.encoded["train"]
    joined(train, general, run.tokens_folder(TOKENS))
    found = batches(run, 0)
    record = {
        "share": run.recipe.forgetting.replay,
        "tokens_per_epoch": found.budget,
        "tokens_of_rows": train.num_tokens,
        "pieces": len(texts),
        "tokens_of_pieces": general.num_tokens,
        "asked": general_rows.digests((), texts),
    }
    write_json(run.folder.data / FILE, record)
    yield Said(
        f"replay: {found.budget:,} tokens of general text an epoch beside {train.num_tokens:,} of training rows, "
        f"out of {len(texts):,} pieces of {general.num_tokens:,} tokens, none of which is asked when forgetting is "
        "measured"
    )


def drawn_from(run: Running) -> Encoded:
    """The units that training draws its batches from: those of the rows, and of general text where it is replayed."""
    return encoding.load(run.tokens_folder(TOKENS)) if run.recipe.forgetting.replay else run.encoded["train"]


def batches(run: Running, seed: int) -> ReplayBatches:
    """Training rows and general text together."""
    whole = drawn_from(run)
    none = Targets(torch.zeros(len(whole), 0))  # the truth of a language model are its tokens
    tokens, share = run.value("training.batch_tokens"), run.recipe.forgetting.replay
    own = len(run.encoded["train"])
    return ReplayBatches(whole, none, tokens, seed, whole=run.task.coupled, own=own, share=share)


def record(run: Running) -> dict[str, Any] | None:
    """What :func:`prepare` put on record; None where nothing is replayed."""
    path = run.folder.data / FILE
    return dict(read_json(path)) if path.exists() else None


def _general(run: Running, texts: list[str]) -> Encoded:
    """General text as units like those of the training rows: windows, or a source with spans taken out and those."""
    task = remembering.reading_task(read_config(run.place), run.tokenizer, run.recipe.seed)
    found = remembering.read_text(task, run.tokenizer, texts, int(run.value("data.max_length")))
    return task.shown(found)[0] if run.encoded["train"].parts == 2 else found
