"""The file of doubtful labels that people go through, and their corrections on the way back.

A CSV with a row for each doubtful row of the data: where it stands (``file``, ``line``), what it says, which label it
has and which one is suggested, and an empty column ``corrected``. Only what is written there counts; several labels
are parted by the first of :data:`SEPARATORS` that none of them holds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whet.data.forms import Examples, writing
from whet.data.ledger import Ledger
from whet.data.normal import hashes
from whet.errors import Problem, Problems, UserError, did_you_mean
from whet.files import write_text

COLUMNS = ("file", "line", "text", "text_pair", "label", "suggested", "quality", "confidence", "corrected")
NEEDED = ("file", "line", "text", "label", "corrected")
SEPARATORS = (";", "|", "/", "+", "\t")
DELIMITERS = (",", ";", "\t")
"""A spreadsheet may write the file back with another one."""
SHOWN = 20
"""Labels that a message lists at most."""
CODE = "D080"
NOTED = "W007"
"""The finding under which the ledger keeps what was corrected."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One row of the file; ``place`` is where it stands there."""

    file: str
    line: int
    text: str
    text_pair: str | None
    label: str
    corrected: str
    place: str


def separator(labels: Iterable[str]) -> str:
    """What parts several labels in one cell."""
    known = list(labels)
    return next((mark for mark in SEPARATORS if not any(mark in label for label in known)), "\n")


def in_cell(label: str | Sequence[str], mark: str) -> str:
    """A label, or several, as they stand in a cell."""
    return label if isinstance(label, str) else f"{mark} ".join(label)


def refuse_precious(path: Path) -> None:
    """Check that nothing of anybody's is lost when the file is written to ``path``.

    :raises UserError: D086, a file is there that is none of ours, or somebody wrote corrections into it.
    """
    if not path.exists():
        return
    try:
        corrected = len(read_corrections(path))
        what = f"holds {corrected:,} corrections already, which would be lost." if corrected else ""
    except UserError:
        what = "is there already, and no list of suspects that nobody has touched."
    if what:
        raise UserError(Problem("D086", str(path), what, "Name another file with --out, or move this one."))


def write_suspects(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the file for people.

    :raises UserError: F001 to F003, it cannot be written.
    """
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, sink.getvalue())


def read_corrections(path: Path) -> list[Correction]:
    """The rows of the file in which something is corrected.

    :raises UserError: D080, it cannot be read or is no such file; D081, a row of it without place.
    """
    problems = Problems()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not in UTF-8"
        problems.add(CODE, "data.corrections", f"{str(path)!r} cannot be read: {why}.", "Name a CSV in UTF-8.")
        problems.raise_if_any()
        raise
    head = text.partition("\n")[0].strip("\r")
    titles = {mark: {*next(csv.reader([head], delimiter=mark), [])} for mark in DELIMITERS}
    delimiter = next((mark for mark in DELIMITERS if {*NEEDED} <= titles[mark]), None)
    if delimiter is None:
        what = f"has no columns {', '.join(NEEDED)}."
        problems.add(
            CODE, f"{path.name}:1", what, "Give the file that 'whet suspects' wrote, with 'corrected' filled in."
        )
        problems.raise_if_any()
    found = []
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter or ",")
    for row in reader:
        if not (row.get("corrected") or "").strip():
            continue
        place = f"{path.name}:{reader.line_num}"
        line = (row.get("line") or "").strip()
        if not line.isdecimal() or not row.get("file"):
            problems.add(
                "D081", place, "does not say which file and line it corrects.", "Leave those columns as they were."
            )
            continue
        found.append(
            Correction(
                str(row["file"]),
                int(line),
                str(row.get("text") or ""),
                row.get("text_pair") or None,
                str(row.get("label") or "").strip(),
                str(row["corrected"]).strip(),
                place,
            )
        )
    problems.raise_if_any()
    return found


def correct(
    given: Mapping[str, Examples], corrections: Sequence[Correction], ledger: Ledger
) -> tuple[dict[str, Examples], str]:
    """The splits as they were read, with their labels corrected, on record; and what was done, in words.

    :raises UserError: D081 a row that is not in the data, D082 one whose text is another there, D083 a label that is
        not known, D084 two corrections of one row, D085 one whose label there is neither the old nor the new one.
    """
    known = sorted({label for examples in given.values() for label in examples.vocabulary()})
    several = next(iter(given.values())).multi_label
    mark = separator(known)
    problems = Problems()
    wanted = _by_place(corrections, problems)
    found: dict[str, Examples] = {}
    changed, same = 0, 0
    missing = dict(wanted)
    for split, examples in given.items():
        new: dict[int, Any] = {}
        for row, one in _rows(examples, wanted):
            missing.pop((one.file, one.line), None)
            now = examples.rows([row], "label")[0]
            label = _checked(one, examples, row, now, known, mark, several, problems)
            if label is None:
                continue
            if label == now:
                same += 1
                continue
            new[row] = label
            ledger[split].change(NOTED, "label corrected by data.corrections", one.file, [one.line])
        changed += len(new)
        found[split] = _written(examples, new) if new and not problems.count else examples
    for one in missing.values():
        what = f"corrects {one.file}:{one.line}, and there is no such row in the data."
        problems.add("D081", one.place, what, "Is data.source the data that the file was written for?")
    problems.raise_if_any()
    note = f"labels corrected: {changed:,}"
    return found, note + (f"; {same:,} were so already" if same else "")


def _by_place(corrections: Sequence[Correction], problems: Problems) -> dict[tuple[str, int], Correction]:
    wanted: dict[tuple[str, int], Correction] = {}
    for one in corrections:
        before = wanted.setdefault((one.file, one.line), one)
        if before.corrected != one.corrected:
            what = f"{one.file}:{one.line} becomes {one.corrected!r} here and {before.corrected!r} in {before.place}."
            problems.add("D084", one.place, what, "Decide for one.")
    return wanted


def _rows(examples: Examples, wanted: Mapping[tuple[str, int], Correction]) -> Iterable[tuple[int, Correction]]:
    """Rows of a split that are corrected, with their corrections."""
    start = 0
    lines: dict[str, list[int]] = {}
    for file, line in wanted:
        lines.setdefault(file, []).append(line)
    for file, batch in examples.files():
        here = np.flatnonzero(np.isin(batch["line"].to_numpy(), lines.get(file, [])))
        for place in here.tolist():
            yield start + place, wanted[file, int(batch["line"][place].as_py())]
        start += batch.num_rows


def _checked(
    one: Correction,
    examples: Examples,
    row: int,
    now: Any,
    known: Collection[str],
    mark: str,
    several: bool,
    problems: Problems,
) -> Any:
    """The new label of a row; None with a problem where it cannot be taken."""
    text = np.asarray(hashes([one.text], None if one.text_pair is None else [one.text_pair]))
    if int(text[0]) != int(examples.rows([row], "hash")[0]):
        what = f"the text of {one.file}:{one.line} is another than the one that was corrected."
        problems.add("D082", one.place, what, "Write the suspects of the data as it is now, and correct those.")
        return None
    label = sorted({part.strip() for part in one.corrected.split(mark)} - {""}) if several else one.corrected
    unknown = [part for part in ([label] if isinstance(label, str) else label) if part not in known]
    if unknown:
        what = f"{unknown[0]!r} is no label of the data."
        listed = f"Labels: {', '.join(sorted(known)[:SHOWN])}."
        problems.add("D083", one.place, what, did_you_mean(unknown[0], list(known)) or listed)
        return None
    before = {part.strip() for part in one.label.split(mark)} - {""} if several else {one.label}
    if {*(now if several else [now])} not in (before, {*label} if several else {label}):
        what = f"{one.file}:{one.line} has the label {in_cell(now, mark)!r} by now, and had {one.label!r}."
        problems.add("D085", one.place, what, "Remove the row, or write the suspects of the data as it is now.")
        return None
    if several and set(label) == set(now):
        return now
    return label


def _written(examples: Examples, new: Mapping[int, Any]) -> Examples:
    """The rows of a split, some with another label, in a file beside the old one."""
    path = examples.path.with_suffix(".corrected.arrow")
    start = 0
    with writing(path, examples.shape) as writer:
        for file, batch in examples.files():
            columns = {name: batch[name] for name in batch.schema.names if name != "id"}
            here = [row for row in range(start, start + batch.num_rows) if row in new]
            if here:
                labels = batch["label"].to_pylist()
                for row in here:
                    labels[row - start] = new[row]
                columns["label"] = pa.array(labels, batch["label"].type)
            writer.append(file, columns)
            start += batch.num_rows
    return Examples.open(path, examples.split)
