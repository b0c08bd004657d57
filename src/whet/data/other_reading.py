"""Reading for a trained model: rows that only want a prediction, and rows to evaluate on."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from whet.data.columns import Columns
from whet.data.content import FileFacts
from whet.data.forms import Examples
from whet.data.ledger import SplitLedger
from whet.data.row_form import Choice, RowForm
from whet.data.rows import Told, silent
from whet.data.sources import COMPRESSIONS, SourceFile
from whet.data.transfer import Input, Transfer, inputs_of
from whet.errors import Problem, UserError
from whet.files import BESIDE, explained

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class OtherRows:
    """Rows read for a trained model, with the choice of columns and how many were left out."""

    examples: Examples
    columns: Columns
    ledger: SplitLedger
    fingerprint: tuple[FileFacts, ...]
    notes: tuple[str, ...]


def read_for_evaluation(
    source: str | Path,
    *,
    into: Path,
    form: RowForm,
    labels: Sequence[str],
    choice: Choice | None = None,
    progress: Told = silent,
) -> OtherRows:
    """Read one file, or the test split of a folder, as rows to score a model on; leaves ``into/test.arrow``.

    :param labels: those that the model knows.
    :raises UserError: as :func:`whet.data.reading.read`; D006 where no test split is found, D032 a
        label that the model does not know.
    """
    choice = choice or Choice()
    inputs, notes = inputs_of(source, form, choice)
    files = inputs.get("test") or inputs.get("all")
    if files is None:
        what = f"has no test split (found: {', '.join(inputs)})."
        raise UserError(Problem("D006", str(source), what, "Name the file to evaluate on."))
    with _workplace(into) as folder:
        transfer = Transfer(form, choice, Path(folder), progress)
        found = transfer.take({"test": files})["test"]
        form.refuse_unknown(found, labels)
        return _moved(found, into / "test.arrow", transfer, notes)


def read_unlabelled(
    source: str | Path,
    *,
    into: Path,
    form: RowForm,
    choice: Choice | None = None,
    progress: Told = silent,
    whole: bool = False,
) -> OtherRows:
    """Read texts that want a prediction; leaves ``into/predict.arrow``, without a label column.

    Every row stays, an empty one too, so that predictions stand in the order of the file.

    :param source: a file of a known format, a ``.txt`` file with a text on each line, or ``"-"`` for
        such lines from standard input.
    :param whole: of a data set of several splits all of them are read, one after the other.
    :raises UserError: as :func:`whet.data.reading.read`.
    """
    with _workplace(into) as name:
        folder = Path(name)
        choice = replace(choice or Choice(), labelled=False, label=None)
        transfer = Transfer(form, choice, folder, progress, keep_empty=True)
        lines = _plain_lines(source, folder)
        if lines is not None:
            inputs, notes = {"all": [Input(lines)]}, list[str]()
            transfer.chosen = Columns("text", reasons={"text": "one text on each line"})
            transfer.shape = form.shape(transfer.chosen, {}, choice)
        else:
            inputs, notes = inputs_of(source, form, choice)
        if whole:
            inputs = {"all": [one for files in inputs.values() for one in files]}
        if "all" not in inputs:
            remedy = "Name one of its files."
            raise UserError(Problem("D006", str(source), "is a data set of several splits.", remedy))
        return _moved(transfer.take({"predict": inputs["all"]})["predict"], into / "predict.arrow", transfer, notes)


def _workplace(into: Path) -> tempfile.TemporaryDirectory[str]:
    with explained(into):
        into.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=BESIDE, dir=into)


def _moved(found: Examples, target: Path, transfer: Transfer, notes: Sequence[str]) -> OtherRows:
    with explained(target):
        os.replace(found.path, target)
    return OtherRows(
        Examples.open(target, found.split),
        transfer.columns,
        transfer.ledger[found.split],
        tuple(transfer.facts),
        (*notes, *transfer.notes),
    )


def _plain_lines(source: str | Path, folder: Path) -> SourceFile | None:
    """The file if it is plain text by its name; for standard input, what comes from there put into a file."""
    if str(source) == STANDARD_INPUT:
        path = folder / "standard input"
        with explained(path), path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        if not path.stat().st_size:
            raise UserError(Problem("D002", "standard input", "is empty.", "Give a text on each line."))
        return SourceFile(path, "txt")
    name = Path(source).name.lower()
    for ending, compression in ((".txt", None), *((f".txt.{ending}", kind) for ending, kind in COMPRESSIONS.items())):
        if name.endswith(ending):
            return SourceFile(Path(source), "txt", compression)
    return None
