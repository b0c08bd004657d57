"""Carrying the rows of every input file into one Arrow file per split, with all problems at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from whet.data import hub
from whet.data.columns import Columns, refuse_absent
from whet.data.content import FileFacts, Stat, checked_hash, refuse_if_changed
from whet.data.file_problems import FileProblems
from whet.data.forms import Examples, ExamplesWriter, Shape, writing
from whet.data.intake import Intake
from whet.data.ledger import Ledger, SplitLedger
from whet.data.opening import open_file
from whet.data.row_form import Choice, RowForm, Taking, named
from whet.data.rows import Opened, Told
from whet.data.sources import SourceFile, find
from whet.errors import Problem, Problems, UserError, did_you_mean


@dataclass(frozen=True, slots=True)
class Input:
    """One file, or one split of a hub data set (``rows``, its memory-mapped table)."""

    file: SourceFile
    hub: tuple[str, str] | None = None
    rows: Any = None


def inputs_of(source: str | Path, form: RowForm, choice: Choice) -> tuple[dict[str, list[Input]], list[str]]:
    """The inputs of each split (``"all"`` where there is but one), and notes.

    :raises UserError: D001, D004, D005, D006 (see :func:`whet.data.sources.find`), D011; what ``form.files`` raises.
    """
    own = None
    with contextlib.suppress(PermissionError):  # told by ``find``
        own = form.files(Path(source), choice) if Path(source).is_dir() else None
    found = own or find(source)
    if found.hub is None:
        return {split: [Input(file) for file in files] for split, files in found.files.items()}, found.notes
    splits, notes = hub.load(found.hub)
    return {
        split: [Input(SourceFile(Path(f"{found.hub}.{split}"), "hub"), (found.hub, split), rows)]
        for split, rows in splits.items()
    }, notes


@dataclass(slots=True)
class Transfer:
    """One reading in progress: what was chosen at the first file, and what was found so far."""

    form: RowForm
    choice: Choice
    folder: Path
    progress: Told
    keep_empty: bool = False
    problems: Problems = field(default_factory=Problems)
    ledger: Ledger = field(default_factory=dict)
    facts: list[FileFacts] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    chosen: Columns | None = None
    shape: Shape | None = None

    @property
    def columns(self) -> Columns:
        """The columns, chosen when the first file was opened."""
        assert self.chosen is not None
        return self.chosen

    def take(self, inputs: Mapping[str, Sequence[Input]]) -> dict[str, Examples]:
        """Read every split into ``folder``; training first, for it decides about the columns.

        :raises UserError: all problems of all files.
        """
        paths = {}
        for split, files in inputs.items():
            self.ledger[split] = SplitLedger()
            paths[split] = self.folder / f"{split}.arrow"
            self._split(split, files, paths[split])
            if self.chosen is None:
                break
        self.problems.raise_if_any()
        return {split: Examples.open(path, split) for split, path in paths.items()}

    def _split(self, split: str, files: Sequence[Input], path: Path) -> None:
        with contextlib.ExitStack() as stack:
            writer: ExamplesWriter | None = None
            for number, one in enumerate(files):
                with self._collected(), self._unchanged(one):
                    opened = self._open(one)
                    self._decide(one, opened)
                    writer = writer or stack.enter_context(writing(path, self.shape or Shape()))
                    self._file(split, one, opened, writer, last=number == len(files) - 1)

    @contextlib.contextmanager
    def _collected(self) -> Iterator[None]:
        """Keep what stops one file, so that the others are looked at as well."""
        try:
            yield
        except UserError as error:
            if any(problem not in self.problems.kept for problem in error.problems):
                for problem in error.problems:
                    self.problems.add(problem.code, problem.where, problem.what, problem.remedy)
                self.problems.count += error.num_problems - len(error.problems)

    @contextlib.contextmanager
    def _unchanged(self, one: Input) -> Iterator[None]:
        """Hold that the file stays the same; if not, that is the problem, whatever else it led to."""
        before = [] if one.hub else [(file.path, Stat.of(file.path)) for file in _with_partner(one.file)]
        try:
            yield
        except UserError:
            _refuse_changes(before)
            raise
        _refuse_changes(before)

    def _open(self, one: Input) -> Opened:
        if one.hub is not None:
            opened = hub.open_hub(*one.hub, one.rows, self.progress)[1]
        else:
            own = self.form.open(one.file, self.choice, self.problems, self.progress)
            if own is not None:
                return own
            opened = open_file(one.file, self.choice.encoding, self.problems, self.progress)
        return self.form.arranged(opened, one.file.name, self.choice, self.problems)

    def _decide(self, one: Input, opened: Opened) -> None:
        """Choose the columns at the first file; hold every further one to that choice."""
        choice, name = self.choice, one.file.name
        if self.chosen is not None:
            for column in self.chosen.wanted:
                if column not in opened.columns:
                    what = f"has no column {column!r}, which the first file has (columns: {', '.join(opened.columns)})."
                    raise UserError(Problem("D022", name, what, did_you_mean(column, opened.columns)))
            return
        self.chosen = self.form.choose(opened.columns, opened.sample, name, choice)
        if named(choice.group) is not None and self.chosen.group is None:
            refuse_absent("data.group", str(choice.group), opened.columns, name)
            self.chosen = replace(self.chosen, group=choice.group)
        self.shape = self.form.shape(self.chosen, opened.sample, choice)
        if self.chosen.group is not None:
            self.shape = self.shape.having("group", pa.string())

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels."""
        return self.shape is not None and self.shape.multi_label

    def _file(self, split: str, one: Input, opened: Opened, writer: ExamplesWriter, last: bool) -> None:
        assert self.shape is not None
        problems = FileProblems()
        taking = Taking(one.file.name, self.columns, self.shape, self.choice, problems, self.ledger[split])
        intake = Intake(self.form, taking, writer, self.keep_empty)
        try:
            intake.take(opened.blocks(self.columns.wanted))
        finally:
            problems.hand_over(self.problems, intake.rows)
        self.notes += opened.notes
        if last and not self.ledger[split].kept and not self.problems.count:
            has = f"both text and {self.form.truth_words}" if self.form.truth else "a text"
            what = f"none of the {self.ledger[split].read:,} rows of {split} has {has}."
            self.problems.add("D035", one.file.name, what, f"Is {self.columns.text!r} the right text column?")
        self.facts += _fingerprints(one, intake.rows)


def _refuse_changes(before: Sequence[tuple[Path, Stat]]) -> None:
    for path, stat in before:
        refuse_if_changed(path, stat)


def _with_partner(file: SourceFile) -> list[SourceFile]:
    return [file] if file.partner is None else [file, file.partner]


def _fingerprints(one: Input, rows: int) -> list[FileFacts]:
    if one.hub is not None:
        # A hub data set has no one file; its own fingerprint stands for its bytes.
        return [FileFacts(one.file.name, int(one.rows.data.nbytes), str(getattr(one.rows, "_fingerprint", "")), rows)]
    files = _with_partner(one.file)
    return [FileFacts(file.name, Stat.of(file.path).size, checked_hash(file.path), rows) for file in files]
