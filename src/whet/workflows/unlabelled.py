"""Texts without labels that a teacher is asked about: read once, kept with the run, and no text of any split.

Where the teacher writes, they are prompts or sources without a target, read as the task's own rows are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.replay import joined
from whet.data import other_reading
from whet.data.chat_messages import MESSAGES
from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.other_reading import OtherRows
from whet.data.row_form import Choice, RowForm
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
PROMPTS = {"messages": MESSAGES, "tools": pa.string()}
"""Columns that prompts of conversations have beside their text, with what they hold."""
PLAIN = "prompt"
"""The role of a text that simply goes on."""


def keep(run: Running, source: str | None = None, option: str = OPTION) -> None:
    """Read the texts, leave out those that stand among the rows or twice, and keep the others (data/unlabelled.json).

    :param source: of the texts; None: what the teacher is asked about. :param option: that names it.
    :raises UserError: T025, none is left, or rows have two texts; as reading does.
    """
    source = source or str(run.recipe.distillation.unlabelled)
    if run.examples("train").has_pairs:
        raise UserError(Problem("T025", option, "is set, but rows are pairs of texts.", "Remove it."))
    with concerning(option):
        given, column = _given(run, source)
    seen = {int(one) for split in SPLITS for one in run.examples(split).hashes}
    new = list[int]()
    for number, one in enumerate(given.hashes.tolist()):
        if one not in seen:
            seen.add(one)
            new.append(number)
    if not new:
        what = f"{source!r} holds {len(given):,} texts, all of which stand among the rows already."
        raise UserError(Problem("T025", option, what, "Name other texts, or remove it."))
    known = {"source": source, "column": column, "read": len(given), "left_out": len(given) - len(new)}
    kept = given.take(new)
    columns = {f"{name}s" if name == "text" else name: kept.column(name) for name in ("text", *_more(kept))}
    write_json(run.folder.data / FILE, known | columns)


def _more(examples: Examples) -> list[str]:
    """What prompts have beside their text."""
    return [name for name in PROMPTS if examples.shape.has(name)]


def _given(run: Running, source: str) -> tuple[Examples, str]:
    """All rows of ``source`` that are not empty, and where they stand."""
    if run.recipe.distillation.texts == "none":
        texts, where = read(source, _column(run), run.tell)
        return unanswered(texts), where
    choice = Choice(text=_column(run), speaker=run.recipe.data.speaker, roles=run.recipe.data.roles)
    with _reading(source, choice, form_of(run.recipe.task), run.tell) as found:
        rows, columns = found.examples, found.columns
        full = [number for number, text in enumerate(rows.column("text")) if text.strip()]
        return _like_rows(run, rows.take(full), source), _where(columns)


def _like_rows(run: Running, prompts: Examples, source: str) -> Examples:
    """Prompts of a single text in the role that those of the run's own rows have.

    :raises UserError: T025, they are conversations, and the rows are none.
    """
    if not prompts.shape.has("messages"):
        return prompts
    role = str(run.examples("train").rows([0], "messages")[0][0]["role"])
    talks = prompts.column("messages")
    if role == PLAIN and any(len(talk) > 1 for talk in talks):
        what = f"{source!r} holds conversations, and the rows are prompts with completions."
        raise UserError(Problem("T025", OPTION, what, "Give one text for each prompt, or conversations as rows."))
    alone = role if role == PLAIN else "user"
    alike = [[{**talk[0], "role": alone}] if len(talk) == 1 else talk for talk in talks]
    columns = {name: prompts.column(name) for name in ("text", *_more(prompts))}
    return Examples.of({**columns, "messages": alike}, prompts.shape)


def _column(run: Running) -> str | None:
    """Where the texts of the run's own rows stand, as far as columns have names."""
    chosen = run.data.columns
    return chosen.tokens or chosen.text or None


def read(source: str, column: str | None, tell: Tell) -> tuple[list[str], str]:
    """The texts of a file, a folder or a hub id, whatever its splits, and where they stand; of a .txt file each line.

    :param column: taken where the source has it; else one is chosen by its name and what it holds.
    :raises UserError: as reading does.
    """
    with _reading(source, Choice(text=column), form_of("language-modeling"), tell) as found:
        texts = [text for block in found.examples.column_blocks(["text"]) for text in block["text"]]
        return [text for text in texts if text.strip()], _where(found.columns)


@contextmanager
def _reading(source: str, choice: Choice, form: RowForm, tell: Tell) -> Iterator[OtherRows]:
    """The rows of ``source``, as long as they are looked at; of a column that it has not, of whatever it has."""
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        how: dict[str, Any] = {"into": Path(work), "form": form, "progress": tell, "whole": True}
        try:
            found = other_reading.read_unlabelled(source, choice=choice, **how)
        except UserError as error:
            if choice.text is None or {problem.code for problem in error.problems} != {"D020"}:
                raise
            found = other_reading.read_unlabelled(source, choice=replace(choice, text=None, speaker=None), **how)
        yield found


def _where(columns: Columns) -> str:
    return LINES if columns.reasons.get("text") == LINES else f"column {columns.text!r}"


def rows(run: Running) -> Examples:
    """The texts as rows that want an answer."""
    known = read_json(run.folder.data / FILE)
    if "messages" not in known:
        return unanswered(known["texts"])
    more = {name: known[name] for name in PROMPTS if name in known}
    return Examples.of({"text": known["texts"], **more}, Shape(tuple((name, PROMPTS[name]) for name in more)))


def encode(run: Running, into: Path, texts: Examples) -> Iterator[Event]:
    """The tokens of ``texts``, which are all or some, and both those of the training rows and theirs in ``into``."""
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
