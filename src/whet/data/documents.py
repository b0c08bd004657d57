"""The form of documents: texts to learn a language from. Nothing is true of a row but its text.

Columns: ``text``, and ``group``, the document that texts have in common where a column names it. A ``.txt`` file
has a text on each line; in a folder of such files, or of folders ``train``, ``validation`` and ``test`` with
such files, each file is one text. Of other files it is the column of texts, or of lists of words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data import columns as labelled_columns
from whet.data.answer_findings import groups_finding
from whet.data.columns import Columns
from whet.data.content import Stat, head
from whet.data.forms import SPLIT_NAMES, Examples, Shape
from whet.data.opening import checked_head, open_file, text_lines
from whet.data.question_tables import DOCUMENT_NAMES
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import Block, Opened, Told
from whet.data.scored_columns import Look, Names
from whet.data.sources import Found, SourceFile, bare_name, is_data, split_of
from whet.data.values import texts
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

TEXTS: Names = (("text",), ("document", "article", "content", "body", "passage", "context", "page"), ("story",))
WORDS: Names = (("tokens", "words"),)

FORMAT = "document"
"""A file that is one text."""


class Documents(RowForm):
    """Rows of :mod:`whet.data.documents`."""

    name = "documents"
    truth = ""
    truth_words = "text"
    truths_words = "texts"

    def files(self, folder: Path, choice: Choice) -> Found | None:
        """A text a file, where a folder holds nothing but text files."""
        return _parted(folder) or _whole(folder)

    def open(self, file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
        """Plain text: a file, or a line, is a text."""
        if file.format == FORMAT:
            return _open_document(file, choice.encoding, problems, told)
        if file.format == "words" and _is_text(file.name):
            opened = open_file(replace(file, format="txt"), choice.encoding, problems, told)
            opened.notes.append(f"{file.name}: read as a text on each line")
            return opened
        return None

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """The column of texts, by name and then by content; the document by name.

        :raises UserError: D020, D021.
        """
        look = Look(where, columns, sample, choice)
        text = look.one("text", "text", TEXTS, set()) or _words(look)
        if text is None:
            found = labelled_columns.choose(columns, sample, where=where, labelled=False, pairs=False)
            text = found.text
            look.reasons.update(found.reasons)
        return Columns(text, reasons=look.reasons, group=_document(look, text))

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """Nothing but the text."""
        return Shape(())

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand; words are joined by blanks."""
        column = taking.columns.text
        values = [_joined(value) for value in block.column(column)]
        return Taken({"text": texts(values, taking.place(block, column), taking.problems)})

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """Any text will do."""

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """One: texts are drawn alike."""
        return np.zeros(len(examples), dtype=np.int64)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """Of all texts alike."""
        return np.zeros(len(examples), dtype=np.uint64)

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A024 documents in several splits."""
        return [groups_finding(splits, "A024", "texts", "document")]


def _joined(value: Any) -> Any:
    words = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return " ".join(value) if words else value


def _words(look: Look) -> str | None:
    """The column of lists of words."""
    for column in look.known(WORDS, set()):
        if any(isinstance(value, list) for value in look.sample.get(column, ())):
            look.reasons["text"] = f"column {column!r}: words, which are joined by blanks"
            return column
    return None


def _document(look: Look, text: str) -> str | None:
    """The column of what texts have in common; None where none tells them apart, or the user said."""
    if not look.choice.labelled or look.choice.group not in (None, "auto"):
        return None
    for column in look.known(DOCUMENT_NAMES, {text}):
        values = look.sample.get(column, ())
        if all(isinstance(value, str | int) and value != "" for value in values) and len({*map(str, values)}) > 1:
            look.reasons["group"] = f"column {column!r}: its name is a known one for the document of a text"
            return column
    return None


# --- folders of text files --------------------------------------------------------------------------


def _is_text(name: str) -> bool:
    return bare_name(name)[0].lower().endswith(".txt")


def _texts_below(folder: Path) -> list[SourceFile]:
    """All text files of a folder and of those in it, in the order of their paths."""
    found = [path for path in folder.rglob("*") if path.is_file() and _is_text(path.name)]
    kept = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return [SourceFile(path, FORMAT, bare_name(path.name)[1]) for path in sorted(kept)]


def _parted(folder: Path) -> Found | None:
    """Folders named for splits, with text files in them.

    :raises UserError: D006, none of them is for training, or two are for one split.
    """
    files: dict[str, list[SourceFile]] = {}
    unused = []
    for entry in sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".")):
        split = split_of(entry.name) if entry.is_dir() else None
        below = _texts_below(entry) if split is not None else []
        if split is None or not below:
            unused.append(entry.name)
        elif split in files:
            what = f"has two folders for {split}."
            raise UserError(Problem("D006", str(folder), what, "Keep one folder per split."))
        else:
            files[split] = below
    if not files or any(split_of(name) == "train" and is_data(name) for name in unused):
        return None
    if "train" not in files:
        what = f"has no folder for training (found: {', '.join(files)})."
        raise UserError(Problem("D006", str(folder), what, "Name one train."))
    notes = [f"not used in {folder}: {', '.join(unused)}"] if unused else []
    ordered = {split: files[split] for split in SPLIT_NAMES if split in files}
    return Found(ordered, [*notes, f"{folder}: each text file is one text"])


def _whole(folder: Path) -> Found | None:
    """A folder of text files that are not named for splits."""
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    if any(is_data(name) or name in ("dataset_dict.json", "state.json") for name in names):
        return None
    if any(split_of(name) is not None for name in names if _is_text(name)):
        return None
    below = _texts_below(folder)
    return Found({"all": below}, [f"{folder}: each of {len(below):,} text files is one text"]) if below else None


def _open_document(file: SourceFile, encoding: str, problems: Problems, told: Told) -> Opened:
    """A file as one row. An empty one is an empty text, so that the ledger says which it was."""
    text = ""
    if Stat.of(file.path).size and head(file).strip():
        checked_head(file, encoding)
        text = "".join(text_lines(file, encoding, problems, told)).replace("\r\n", "\n").replace("\r", "\n")
    sample = {"text": [text]}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        yield Block([1], sample.__getitem__)

    return Opened(["text"], sample, blocks)
