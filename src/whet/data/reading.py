"""Reading labelled data: from what the user named to checked splits in Arrow files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.columns import Columns
from whet.data.content import FileFacts, checked_hash
from whet.data.forms import SPLIT_NAMES, Examples, distribute, open_splits
from whet.data.ledger import Ledger, SplitLedger, ledger_from_json, ledger_json
from whet.data.row_form import Choice, RowForm
from whet.data.rows import Told, silent
from whet.data.splitting import FEWEST_ROWS, TEST_SHARE, VALIDATION_SHARE, Made, carve, joined, missing_splits, shares
from whet.data.suspects import correct, read_corrections
from whet.data.transfer import Transfer, inputs_of
from whet.errors import Problem, UserError
from whet.files import BESIDE, explained, read_json, write_json


@dataclass(frozen=True, slots=True)
class ReadResult:
    """Everything that reading found out. ``save`` and :func:`reopen` carry it through a run folder.

    ``labels`` are those of training, in stored order; ``fingerprint`` has one entry per file read;
    ``made`` lists the splits that were carved out here; ``notes`` are decisions, in words.
    """

    splits: dict[str, Examples]
    labels: tuple[str, ...]
    multi_label: bool
    columns: Columns
    ledger: Ledger
    fingerprint: tuple[FileFacts, ...]
    made: tuple[Made, ...]
    notes: tuple[str, ...]
    form: str = "labelled"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The Arrow columns of the training rows, the shared ones aside."""
        return tuple(name for name, _ in self.splits["train"].shape.more)

    def save(self, folder: Path) -> None:
        """Write fingerprint.json and ledger.json beside the splits."""
        about = {
            "files": [facts.to_json() for facts in self.fingerprint],
            "columns": self.columns.to_json(),
            "labels": list(self.labels),
            "multi_label": self.multi_label,
            "made": [made.to_json() for made in self.made],
            "notes": list(self.notes),
            "form": self.form,
        }
        write_json(folder / "ledger.json", ledger_json(self.ledger))
        write_json(folder / "fingerprint.json", about)


def reopen(folder: Path) -> ReadResult:
    """What :func:`read` left in ``folder``.

    :raises UserError: F010 missing, F011 damaged.
    """
    about = read_json(folder / "fingerprint.json")
    return ReadResult(
        splits=open_splits(folder),
        labels=tuple(about["labels"]),
        multi_label=about["multi_label"],
        columns=Columns(**about["columns"]),
        ledger=ledger_from_json(read_json(folder / "ledger.json")),
        fingerprint=tuple(FileFacts(**facts) for facts in about["files"]),
        made=tuple(Made(**made) for made in about["made"]),
        notes=tuple(about["notes"]),
        form=about.get("form", "labelled"),
    )


def read(
    source: str | Path,
    *,
    into: Path,
    form: RowForm,
    choice: Choice | None = None,
    seed: int = 0,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    corrections: Path | None = None,
    progress: Told = silent,
) -> ReadResult:
    """Read, check and split; leave train.arrow, validation.arrow, test.arrow, ledger.json and fingerprint.json.

    :param source: one file, a folder with a file per split, a folder of ``save_to_disk``, or a hub id.
    :param into: the folder to write to, made if it is not there.
    :param form: what the rows hold.
    :param choice: what the user said about columns and encoding.
    :param validation_share: share of the training rows, where there is no validation file.
    :param test_share: share of the training rows, where there is no test file.
    :param corrections: a file with labels that were corrected by hand; see :mod:`whet.data.suspects`.
    :raises UserError: D001 to D040, D080 to D085; all problems of all files at once.
    """
    with explained(into):
        into.mkdir(parents=True, exist_ok=True)
        corrected = [] if corrections is None else read_corrections(corrections)  # before a long file is read
        work = tempfile.TemporaryDirectory(prefix=BESIDE, dir=into)
    with work as folder:
        transfer = Transfer(form, choice or Choice(), Path(folder), progress)
        inputs, notes = inputs_of(source, form, transfer.choice)
        given = transfer.take({("train" if split == "all" else split): files for split, files in inputs.items()})
        if corrections is not None:
            given, told = correct(given, corrected, transfer.ledger)
            notes = [*notes, f"{told} ({corrections.name}, sha256 {checked_hash(corrections)[:12]})"]
        labels = form.labels(given["train"])
        form.check(given, labels, str(source))
        _refuse_bound(form, given, transfer.columns, str(source))
        made = _finish(form, given, labels, into, seed, validation_share, test_share, str(source))
    _count_made(transfer.ledger, made)
    result = ReadResult(
        splits=open_splits(into),
        labels=labels,
        multi_label=transfer.multi_label,
        columns=transfer.columns,
        ledger={split: transfer.ledger[split] for split in SPLIT_NAMES},
        fingerprint=tuple(transfer.facts),
        made=made,
        notes=(*notes, *transfer.notes, *_about_made(given, made, labels)),
        form=form.name,
    )
    result.save(into)
    return result


def _refuse_bound(form: RowForm, given: Mapping[str, Examples], columns: Columns, where: str) -> None:
    """Check that rows which must stay on one side leave something to make the missing splits of.

    :raises UserError: D040, with what binds the rows.
    """
    train, wanted = given["train"], missing_splits(list(given))
    if not wanted or len(train) < FEWEST_ROWS:
        return
    sets = len(np.unique(_together(form, train)))
    if sets > len(wanted):
        return
    groups = train.groups
    remedy = "Give files for train, validation and test."
    if len(np.unique(train.hashes)) <= len(wanted):
        binding = (
            f"have {'the same text' if sets == 1 else f'one of {sets} texts'} but for case, digits and punctuation"
        )
    elif groups is not None and len(np.unique(groups)) <= len(wanted):
        of = f"column {columns.group!r}" if columns.group else "rows of one context belong together"
        binding = f"belong to {'one group' if sets == 1 else f'{sets} groups'} ({of})"
        remedy = f"{remedy[:-1]}, or divide the rows all the same with --set data.group=none."
    else:
        binding = "hang together by texts that they have in common"
    left = f"{'nothing' if sets == 1 else 'too little'} is left to set aside for {' and '.join(wanted)}"
    what = f"all {len(train):,} rows {binding}: what belongs together stays on one side, and {left}."
    raise UserError(Problem("D040", where, what, remedy))


def _finish(
    form: RowForm,
    given: Mapping[str, Examples],
    labels: Sequence[str],
    into: Path,
    seed: int,
    validation_share: float,
    test_share: float,
    where: str,
) -> tuple[Made, ...]:
    """Carve the missing splits out of training and put every file in its place."""
    train = given["train"]
    wanted = shares(len(train), missing_splits(list(given)), validation_share=validation_share, test_share=test_share)
    found = carve(form.strata(train, labels), _together(form, train), wanted, seed, where) if wanted else {}
    if wanted:
        parts = np.zeros(len(train), dtype=np.int8)
        for number, rows in enumerate(found.values()):
            parts[rows] = number
        distribute(train, parts, [into / f"{split}.arrow" for split in found])
    for split, examples in given.items():
        if split != "train" or not wanted:
            with explained(into):
                os.replace(examples.path, into / f"{split}.arrow")
    return tuple(Made(split, len(found[split]), "train") for split in wanted)


def _together(form: RowForm, train: Examples) -> NDArray[np.uint64]:
    """(n,) one key for rows that must stay on one side: of one text, of one group, or bound by the form."""
    keys = [train.hashes, form.together(train)]
    if train.groups is not None:
        keys.append(train.groups)
    return joined(keys)


def _count_made(ledger: Ledger, made: Sequence[Made]) -> None:
    """Rows that went to a made split count there; what was dropped stays where it was read."""
    for part in made:
        ledger[part.split] = SplitLedger(part.rows, part.rows)
        ledger["train"].read -= part.rows
        ledger["train"].kept -= part.rows


def _about_made(given: Mapping[str, Any], made: Sequence[Made], labels: Sequence[str]) -> list[str]:
    how = ", by label" if labels else ""
    notes = [f"no {part.split} file: {part.rows:,} training rows are set aside for it{how}" for part in made]
    if "validation" in given and "test" not in given:
        notes.append("validation decides when training stops, so it cannot serve as test as well")
    return notes
