"""What the rows of a task hold, and how a file's values become them: the part of reading that differs by task.

Everything else (finding files, decoding, ledgers, splitting, hashes) is the same for all. A form is
one file here: ``labelled`` (a label or several), ``entities`` (spans in a text), ``questions`` (answers
in a context), ``scored`` (a number a row, or pairs that belong together), ``conversations`` (messages and
the answer that comes last), ``referenced`` (texts with those that stand for them), ``documents`` (texts alone).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.ledger import SplitLedger
from whet.data.rows import Block, Opened, Told
from whet.data.sources import Found, SourceFile
from whet.data.values import Place
from whet.errors import Problems
from whet.findings import Finding


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user said about the data; None or "auto" is left to be found out.

    ``text_pair`` may be "none": rows have one text, even if the columns look like a pair.
    ``group`` names the column of what rows have in common (a document, a customer); "none" for nothing.
    Of logs with a turn on each row, ``speaker`` names the column of who speaks, and ``roles`` says which role
    a speaker has: ``"Anna=assistant, Kunde=user"``.
    """

    text: str | None = None
    label: str | None = None
    text_pair: str | None = None
    label_separator: str | None = None
    encoding: str = "utf-8"
    drop_unlabelled: bool = False
    labelled: bool = True
    negative: str | None = None
    group: str | None = None
    speaker: str | None = None
    roles: str | None = None


def named(column: str | None) -> str | None:
    """A column that the user named; None where it is to be found out or there is none."""
    return None if column in ("auto", "none") else column


@dataclass(frozen=True, slots=True)
class Taken:
    """One block as rows of the form: a list for every column of the shape but id, line, hash and group.

    ``unlabelled``: positions of rows whose truth is missing, maybe with the column that lacks it, where that is not
    always the one of the truth; ``dropped``: (code, reason, positions) of
    rows that cannot be used, ``changed``: the same of rows that are kept, but not as they stood.
    """

    columns: dict[str, list[Any]]
    unlabelled: Sequence[int] | Mapping[int, str] = ()
    dropped: Sequence[tuple[str, str, Sequence[int]]] = ()
    changed: Sequence[tuple[str, str, Sequence[int]]] = ()


@dataclass(frozen=True, slots=True)
class Taking:
    """What a form is given with every block of one file."""

    file: str
    columns: Columns
    shape: Shape
    choice: Choice
    problems: Problems
    ledger: SplitLedger = field(default_factory=SplitLedger)

    def place(self, block: Block, column: str) -> Place:
        """Where the values of a column of ``block`` stand."""
        return Place(self.file, block.lines, column)


class RowForm(ABC):
    """How the rows of one kind of task are read and looked at. C labels, n rows.

    What is not abstract holds for rows without labels that stand by themselves.

    - ``name``: of the form, kept in fingerprint.json.
    - ``truth``: the Arrow column that holds what is to be predicted, or "" where rows have none.
    - ``truth_words``: what messages call it: "label", "entities", "answer", "score"; ``truths_words``: of many rows.
    - ``label_words``: what messages call one of its labels, where it has any.
    """

    name: ClassVar[str]
    truth: ClassVar[str]
    truth_words: ClassVar[str]
    truths_words: ClassVar[str]
    label_words: ClassVar[str] = "label"

    def files(self, folder: Path, choice: Choice) -> Found | None:
        """The files of a folder that is laid out in a way of this form's own; None: look at it as any other.

        :raises UserError: D006, D021.
        """
        return None

    def open(self, file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
        """The file as rows if it is laid out in a way of this form's own; None: read it as any other."""
        return None

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """A file or data set ``name`` read as any other, its rows brought into this form's shape."""
        return opened

    @abstractmethod
    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """The columns of a file, by name and then by content.

        :raises UserError: D020 a named column does not exist, D021 the choice is not clear.
        """

    @abstractmethod
    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """The Arrow columns that rows of this file need; ``group`` is added by the reader."""

    @abstractmethod
    def take(self, block: Block, taking: Taking) -> Taken:
        """Values into rows; what is wrong becomes a problem with its line."""

    def labels(self, train: Examples) -> tuple[str, ...]:
        """The C names that training knows, in stored order; () where rows have none."""
        return ()

    @abstractmethod
    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """Whether something can be learnt and tested.

        :raises UserError: D031 nothing to tell apart, D032 a label that training lacks, or the form's own codes.
        """

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:  # noqa: B027  (any truth will do)
        """Whether rows to evaluate on can be measured, and speak of ``labels`` alone.

        :raises UserError: D032, or the form's own codes.
        """

    @abstractmethod
    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """What made splits are balanced by: (n,) int64, or (n, C) bool where a row counts for several."""

    def together(self, examples: Examples) -> NDArray[np.uint64]:
        """(n,) rows of equal keys stay on one side of a made split, beside those of equal texts and groups."""
        return examples.hashes

    def counts(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.int64]:
        """(C,) how often each label occurs."""
        return np.zeros(0, dtype=np.int64)

    @abstractmethod
    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """(n,) one number for what is true of a row, equal for equal truths: to find contradictions."""

    @abstractmethod
    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """The audit's findings that only this form can have."""
