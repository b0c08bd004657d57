"""Parallel files: the line of one is the translation of the same line of the other.

``train.en`` and ``train.de``, and the like for validation and test; or the endings ``source`` and ``target``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path

from whet.data.opening import checked_head, text_lines
from whet.data.row_form import Choice, named
from whet.data.rows import ROWS_PER_BLOCK, Block, Opened, Told
from whet.data.sources import FORMATS, WORD_FORMATS, Found, SourceFile, bare_name, is_data, split_of
from whet.errors import Problem, Problems, UserError

FORMAT = "parallel"
DIRECTIONS = (("source", "target"), ("src", "tgt"), ("src", "trg"))
LANGUAGE = re.compile(r"[a-z]{2,3}([_-][a-z]{2,4})?", re.IGNORECASE)
"""``de``, ``deu``, ``de_DE``, ``zh-Hans``."""

Sides = dict[str, Path]
"""Ending -> file."""


def language_of(name: str) -> str | None:
    """The ending of a parallel file, its language; None for any other file."""
    stem, _, ending = bare_name(name)[0].rpartition(".")
    known = {*FORMATS, *WORD_FORMATS, "md", "py", "sh", "log", "yml"}
    either = any(ending.lower() in direction for direction in DIRECTIONS)
    is_one = bool(stem) and ending.lower() not in known and (either or LANGUAGE.fullmatch(ending))
    return ending if is_one else None


def parallel_files(folder: Path, choice: Choice) -> Found | None:
    """The pairs of files of a folder; None where it holds a data set of another kind.

    :raises UserError: D006 a file without its other side, several of one side, or none for training; D021 which
        side is the source is not clear.
    """
    by_split: dict[str, Sides] = {}
    unused = []
    for path in sorted(folder.iterdir()):
        split, language = split_of(path.name), language_of(path.name)
        if split is None or language is None or not path.is_file():
            unused.append(path.name)
        elif language in by_split.setdefault(split, {}):
            names = f"{by_split[split][language].name} and {path.name}"
            raise UserError(Problem("D006", str(folder), f"both {names} could be it.", "Keep one file per split."))
        else:
            by_split[split][language] = path
    others = any(split_of(name) == "train" and is_data(name) for name in unused)
    if others or not any(len(sides) > 1 for sides in by_split.values()):
        return None
    if "train" not in by_split:
        raise UserError(Problem("D006", str(folder), "has no pair of files for training.", "Name them train.*."))
    source, target = direction(list(by_split["train"]), choice, str(folder))
    files = {}
    for split in ("train", "validation", "test"):
        if split in by_split:
            pair = [_side(by_split[split], side, folder, split) for side in (source, target)]
            files[split] = [SourceFile(pair[0].path, FORMAT, pair[0].compression, pair[1])]
    notes = [f"not used in {folder}: {', '.join(unused)}"] if unused else []
    return Found(files, notes)


def direction(languages: Sequence[str], choice: Choice, where: str) -> tuple[str, str]:
    """Which of the languages is the source, and which the target.

    :raises UserError: D021.
    """
    text, label = named(choice.text), named(choice.label)
    if len(languages) == 2 and (text in languages) != (label in languages) and None in (text, label):
        text = text or next(one for one in languages if one != label)
        label = label or next(one for one in languages if one != text)
    if text in languages and label in languages and text != label:
        return str(text), str(label)
    for pair in DIRECTIONS:
        if {one.lower() for one in languages} == {*pair} and text is None and label is None:
            return tuple(sorted(languages, key=lambda one: pair.index(one.lower())))  # type: ignore[return-value]
    what = f"which language is the source and which the target is not clear ({', '.join(languages)})."
    first, second = [*languages, "de"][:2]
    raise UserError(Problem("D021", where, what, f"Name them: --text {first} --label {second}, or the other way."))


def _side(sides: Sides, side: str, folder: Path, split: str) -> SourceFile:
    if side not in sides:
        what = f"has no file of {split} that ends with .{side}."
        raise UserError(Problem("D006", str(folder), what, "Give both sides of every split."))
    return SourceFile(sides[side], FORMAT, bare_name(sides[side].name)[1])


def open_parallel(file: SourceFile, encoding: str, problems: Problems, told: Told) -> Opened:
    """Both files as rows; each column is called as its file ends.

    :raises UserError: as :func:`whet.data.opening.open_file`.
    """
    assert file.partner is not None
    sides = [file, file.partner]
    for side in sides:
        checked_head(side, encoding)
    names = [str(language_of(side.name)) for side in sides]
    lines = zip_longest(*(_lines(text_lines(side, encoding, problems, told)) for side in sides))
    blocks = _blocks(lines, sides, names, problems)
    first = next(blocks)
    sample = {name: first.column(name) for name in names}
    return Opened(names, sample, lambda wanted: chain([first], blocks))


def _lines(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        yield from text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def _blocks(
    lines: Iterator[tuple[str | None, ...]], sides: Sequence[SourceFile], names: Sequence[str], problems: Problems
) -> Iterator[Block]:
    begin = 1
    while rows := list(islice(lines, ROWS_PER_BLOCK)):
        whole = [row for row in rows if None not in row]
        columns = {name: [row[side] for row in whole] for side, name in enumerate(names)}
        yield Block(range(begin, begin + len(whole)), columns.__getitem__)
        begin += len(whole)
        if len(whole) < len(rows):
            more = len(rows) - len(whole) + sum(1 for _ in lines)
            longer = sides[0 if rows[-1][1] is None else 1].name
            what = f"has {more:,} lines more than its other side, which ends after line {begin - 1:,}."
            problems.add("D089", f"{longer}:{begin}", what, "Line by line, both files say the same.")
