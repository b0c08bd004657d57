"""Texts without labels that a teacher is asked about: read once, kept with the run, and no text of any split."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.replay import joined
from whet.data import reading
from whet.data.forms import Examples
from whet.data.row_form import Choice
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.files import read_json, write_json
from whet.inference.answers import unanswered
from whet.workflows.events import Said
from whet.workflows.rows import form_of
from whet.workflows.running import SPLITS, Running

FILE, TOKENS = "unlabelled.json", "unlabelled"
OPTION = "distillation.unlabelled"


def keep(run: Running, source: str | None = None, option: str = OPTION) -> None:
    """Read the texts, leave out those that stand among the rows or twice, and keep the others (data/unlabelled.json).

    :param source: of the texts; None: what the teacher is asked about. :param option: that names it.
    :raises UserError: T025, none is left, or rows have two texts; as reading does.
    """
    source = source or str(run.recipe.distillation.unlabelled)
    if run.examples("train").has_pairs:
        raise UserError(Problem("T025", option, "is set, but rows are pairs of texts.", "Remove it."))
    texts = read(source, run.recipe.seed)
    seen = {int(one) for split in SPLITS for one in run.examples(split).hashes}
    rows = unanswered(texts)
    found, among = list[str](), 0
    for text, one in zip(texts, rows.hashes.tolist(), strict=True):
        if int(one) in seen:
            among += 1
            continue
        seen.add(int(one))
        found.append(text)
    if not found:
        what = f"{source!r} holds {len(texts):,} texts, all of which stand among the rows already."
        raise UserError(Problem("T025", option, what, "Name other texts, or remove it."))
    write_json(run.folder.data / FILE, {"source": source, "read": len(texts), "left_out": among, "texts": found})


def read(source: str, seed: int) -> list[str]:
    """The texts of a file, a folder or a hub id, whatever its splits; of a .txt file each line.

    :raises UserError: as reading does.
    """
    with tempfile.TemporaryDirectory() as folder:
        form = form_of("language-modeling")
        found = reading.read(source, into=Path(folder), form=form, choice=Choice(), seed=seed)
        return [
            text for split in found.splits.values() for block in split.column_blocks(["text"]) for text in block["text"]
        ]


def rows(run: Running) -> Examples:
    """The texts as rows that want an answer."""
    return unanswered(read_json(run.folder.data / FILE)["texts"])


def encode(run: Running, into: Path) -> Iterator[Event]:
    """Their tokens, and both those of the training rows and theirs in ``into``."""
    texts = rows(run)
    tell = run.telling("tokens of texts without labels", len(texts))
    blocks = run.task.blocks(texts, run.embed, run.recipe.seed)
    found = run.task.encode(run.tokenizer, blocks, int(run.value("data.max_length")), run.tokens_folder(TOKENS), tell)
    joined(run.encoded["train"], found, into)
    known = read_json(run.folder.data / FILE)
    yield Said(
        f"texts without labels: {len(texts):,} of {known['source']}"
        f" ({known['left_out']:,} of {known['read']:,} stand among the rows or twice and are left out)"
    )


def encoded(run: Running) -> Encoded:
    """Their tokens, once :func:`encode` is done."""
    return encoding.load(run.tokens_folder(TOKENS))
