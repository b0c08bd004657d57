"""Reading for a trained model: rows that only want a prediction, and rows to evaluate on."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from whet.data.columns import Columns
from whet.data.content import FileFacts, chunks, head, refuse_binary
from whet.data.decoding import in_whole_lines, is_utf8, refuse_unknown
from whet.data.forms import Examples, Shape, writing
from whet.data.intake import Intake
from whet.data.labels import refuse_unknown_labels
from whet.data.ledger import SplitLedger
from whet.data.rows import ROWS_PER_BLOCK, Block, Told, silent
from whet.data.sources import COMPRESSIONS, SourceFile
from whet.data.transfer import Choice, Transfer, inputs_of
from whet.errors import Problem, Problems, UserError
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
    labels: Sequence[str],
    text: str | None = None,
    label: str | None = None,
    text_pair: str | None = None,
    label_separator: str | None = None,
    encoding: str = "utf-8",
    drop_unlabelled: bool = False,
    progress: Told = silent,
) -> OtherRows:
    """Read one file, or the test split of a folder, as rows to score a model on; leaves ``into/test.arrow``.

    :param labels: those that the model knows.
    :raises UserError: as :func:`whet.data.reading.read`; D006 where no test split is found, D032 a
        label that the model does not know.
    """
    choice = Choice(text, label, text_pair, label_separator, encoding, drop_unlabelled)
    inputs, notes = inputs_of(source)
    files = inputs.get("test") or inputs.get("all")
    if files is None:
        what = f"has no test split (found: {', '.join(inputs)})."
        raise UserError(Problem("D006", str(source), what, "Name the file to evaluate on."))
    with _workplace(into) as folder:
        transfer = Transfer(choice, Path(folder), progress)
        found = transfer.take({"test": files})["test"]
        refuse_unknown_labels(found, labels)
        return _moved(found, into / "test.arrow", transfer, notes)


def read_unlabelled(
    source: str | Path,
    *,
    into: Path,
    text: str | None = None,
    text_pair: str | None = None,
    encoding: str = "utf-8",
    progress: Told = silent,
) -> OtherRows:
    """Read texts that want a prediction; leaves ``into/predict.arrow``, without a label column.

    Every row stays, an empty one too, so that predictions stand in the order of the file.

    :param source: a file of a known format, a ``.txt`` file with a text on each line, or ``"-"`` for
        such lines from standard input.
    :raises UserError: as :func:`whet.data.reading.read`.
    """
    lines = _plain_lines(source)
    with _workplace(into) as folder:
        if lines is not None:
            refuse_unknown(encoding)
            return _take_lines(source, lines, Path(folder), into / "predict.arrow", encoding, progress)
        transfer = Transfer(
            Choice(text, None, text_pair, encoding=encoding, labelled=False), Path(folder), progress, keep_empty=True
        )
        inputs, notes = inputs_of(source)
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


def _plain_lines(source: str | Path) -> SourceFile | None:
    """The file if it is plain text by its name, or standard input."""
    if str(source) == STANDARD_INPUT:
        return SourceFile(Path("/dev/stdin"), "txt")
    parts = Path(source).name.lower().split(".")
    compression = COMPRESSIONS.get(parts[-1])
    is_text = parts[-2 if compression else -1] == "txt" if len(parts) > (2 if compression else 1) else False
    return SourceFile(Path(source), "txt", compression) if is_text else None


def _take_lines(
    source: str | Path, file: SourceFile, folder: Path, target: Path, encoding: str, progress: Told
) -> OtherRows:
    from_input = str(source) == STANDARD_INPUT
    name = "standard input" if from_input else file.name
    raw = _input_chunks() if from_input else chunks(file, lambda done: progress(f"reading {name}", done, None))
    first = next(raw, b"") if from_input else head(file)
    refuse_binary(
        file if not from_input else SourceFile(Path(name), "txt"), first, "utf-8" if is_utf8(encoding) else encoding
    )
    problems = Problems()
    texts = in_whole_lines(chain([first], raw) if from_input else raw, encoding, name, problems)
    columns = Columns("text", reasons={"text": "one text on each line"})
    ledger = SplitLedger()
    with writing(target, Shape(labelled=False)) as writer:
        Intake(name, columns, writer, ledger, problems, keep_empty=True).take(_line_blocks(texts))
        problems.raise_if_any()
    return OtherRows(Examples.open(target, "predict"), columns, ledger, (), ())


def _input_chunks() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(1 << 20):
        yield chunk


def _line_blocks(texts: Iterator[str]) -> Iterator[Block]:
    line = 1
    for text in texts:
        rows = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        for start in range(0, len(rows), ROWS_PER_BLOCK):
            part = rows[start : start + ROWS_PER_BLOCK]
            yield Block(range(line, line + len(part)), _always(part))
            line += len(part)


def _always(values: list[str]):  # type: ignore[no-untyped-def]
    return lambda name: values
