"""Texts without labels that a teacher is asked about: read once, kept with the run, and no text of any split."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.replay import joined
from whet.data import other_reading
from whet.data.forms import Examples
from whet.data.row_form import Choice
from whet.engine.events import Event
from whet.errors import Problem, UserError, concerning
from whet.files import read_json, write_json
from whet.inference.answers import unanswered
from whet.workflows.events import Said
from whet.workflows.rows import Tell, form_of
from whet.workflows.running import SPLITS, Running

FILE, TOKENS = "unlabelled.json", "unlabelled"
OPTION = "distillation.unlabelled"
LINES = "one text on each line"


def keep(run: Running, source: str | None = None, option: str = OPTION) -> None:
    """Read the texts, leave out those that stand among the rows or twice, and keep the others (data/unlabelled.json).

    :param source: of the texts; None: what the teacher is asked about. :param option: that names it.
    :raises UserError: T025, none is left, or rows have two texts; as reading does.
    """
    source = source or str(run.recipe.distillation.unlabelled)
    if run.examples("train").has_pairs:
        raise UserError(Problem("T025", option, "is set, but rows are pairs of texts.", "Remove it."))
    with concerning(option):
        texts, column = read(source, _column(run), run.tell)
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
    known = {"source": source, "column": column, "read": len(texts), "left_out": among, "texts": found}
    write_json(run.folder.data / FILE, known)


def _column(run: Running) -> str | None:
    """Where the texts of the run's own rows stand, as far as columns have names."""
    chosen = run.data.columns
    return chosen.tokens or chosen.text or None


def read(source: str, column: str | None, tell: Tell) -> tuple[list[str], str]:
    """The texts of a file, a folder or a hub id, whatever its splits, and where they stand; of a .txt file each line.

    :param column: taken where the source has it; else one is chosen by its name and what it holds.
    :raises UserError: as reading does.
    """
    try:
        found, where = _read(source, Choice(text=column), tell)
    except UserError as error:
        if column is None or {problem.code for problem in error.problems} != {"D020"}:
            raise
        found, where = _read(source, Choice(), tell)
    return [text for text in found if text.strip()], where


def _read(source: str, choice: Choice, tell: Tell) -> tuple[list[str], str]:
    form = form_of("language-modeling")
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        read = other_reading.read_unlabelled(
            source, into=Path(work), form=form, choice=choice, progress=tell, whole=True
        )
        texts = [text for block in read.examples.column_blocks(["text"]) for text in block["text"]]
    lines = read.columns.reasons.get("text") == LINES
    return texts, LINES if lines else f"column {read.columns.text!r}"


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
    yield Said(in_words(run))


def in_words(run: Running) -> str:
    """How many texts there are, and what they were taken from."""
    known = read_json(run.folder.data / FILE)
    return (
        f"texts without labels: {len(known['texts']):,} of {known['source']}, {known['column']}"
        f" ({known['left_out']:,} of {known['read']:,} stand among the rows or twice and are left out)"
    )


def encoded(run: Running) -> Encoded:
    """Their tokens, once :func:`encode` is done."""
    return encoding.load(run.tokens_folder(TOKENS))
