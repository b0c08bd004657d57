"""From what the user named to files: one file, a folder of splits, a saved data set, or a hub id."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError, did_you_mean, one_of

FORMATS = {
    "csv": "csv",
    "tsv": "tsv",
    "json": "json",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "arrow": "arrow",
    "feather": "arrow",
}
"""File name ending -> format. A test of the readers runs over all of them."""

WORD_FORMATS = {"conll": "words", "bio": "words", "iob": "words", "iob2": "words", "txt": "words"}
"""The same of files with a word on each line, which only token classification reads."""

COMPRESSIONS = {"gz": "gzip", "zst": "zstd"}
BINARY = ("parquet", "arrow")

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""How a file name may begin -> split. Longer beginnings are tried first."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")
_SHARD = re.compile(r"[-_.](\d+)(?:[-_]of[-_](\d+))?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read. ``name`` is how messages call it.

    ``format`` is one of :data:`FORMATS` or :data:`WORD_FORMATS`, or a form's own. ``partner`` is a file with
    the other texts of the same rows, line by line.
    """

    path: Path
    format: str
    compression: str | None = None
    partner: SourceFile | None = None

    @property
    def name(self) -> str:
        """The file's own name, without its folder."""
        return self.path.name


@dataclass(slots=True)
class Found:
    """The files of each split; a lone file stands under ``"all"``. With ``hub`` there are no files."""

    files: dict[str, list[SourceFile]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    hub: str | None = None


def find(source: str | Path) -> Found:
    """Look at what ``source`` names, without opening any file.

    :raises UserError: D001 nothing there, D004 not allowed, D005 unknown ending, D006 a folder
        whose files do not make up a data set.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return _folder(path)
        if path.exists():
            return Found({"all": [source_file(path)]})
    except PermissionError:
        raise not_allowed(path) from None
    except OSError as error:
        raise UserError(Problem("D001", str(source)[:200], f"cannot be looked up: {error.strerror}.")) from None
    # A name with an ending that is nearly one of a file here is a slip, not a name on the hub.
    if _looks_like_hub_id(str(source)) and not (path.suffix and _suggestion(path)):
        return Found(hub=str(source))
    raise missing(path)


def missing(path: Path) -> UserError:
    """The error for a path that leads nowhere."""
    return UserError(Problem("D001", str(path), "does not exist.", _suggestion(path) or "Check the path."))


def _suggestion(path: Path) -> str:
    with contextlib.suppress(OSError):
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    return ""


def not_allowed(path: Path) -> UserError:
    """The error for a path that this user may not read."""
    return UserError(
        Problem("D004", str(path), "may not be read by this user.", f"Give read permission: chmod +r {path}")
    )


def source_file(path: Path) -> SourceFile:
    """The format of a file by its name.

    :raises UserError: D005, an ending that no reader knows.
    """
    format, compression = _ending(path.name)
    if format is None:
        raise unknown_ending(path)
    if compression is not None and format in BINARY:
        raise UserError(
            Problem(
                "D005", str(path), f"is a compressed {format} file.", "Unpack it first: the format compresses itself."
            )
        )
    return SourceFile(path, format, compression)


def unknown_ending(path: Path) -> UserError:
    """The error for a file that no reader takes, or none for this task."""
    endings = one_of([f".{ending}" for ending in FORMATS])
    extra = " Spreadsheets: save the sheet as CSV (UTF-8)." if path.suffix.lower() in (".xlsx", ".xls", ".ods") else ""
    known = _ending(path.name)[0] is not None
    words = f"is read for token classification alone: {path.suffix!r}." if known else ""
    what = words or f"has an ending that is not known: {path.suffix or 'none'!r}."
    remedy = f"Use {endings}; text formats also with .gz or .zst.{extra}"
    return UserError(Problem("D005", str(path), what, remedy))


def _ending(name: str) -> tuple[str | None, str | None]:
    parts = name.lower().split(".")
    compression = COMPRESSIONS.get(parts[-1])
    if compression:
        parts.pop()
    format = FORMATS.get(parts[-1]) or WORD_FORMATS.get(parts[-1])
    return (format if len(parts) > 1 else None), compression


def _looks_like_hub_id(source: str) -> bool:
    """``owner/name`` or ``name``, with ``:configuration`` behind it if the set has several."""
    return bool(_HUB_ID.fullmatch(source)) and _ending(source) == (None, None) and not source.startswith(".")


def _folder(folder: Path) -> Found:
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        return _saved(folder)
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    data = _data_of([entry for entry in entries if entry.is_file()])
    if not data:
        found = ", ".join(entry.name for entry in entries[:8]) or "nothing"
        raise UserError(
            Problem("D006", str(folder), f"holds no data files (found: {found}).", f"Put train{_example()} there.")
        )
    by_split: dict[str, list[Path]] = {}
    for entry in data:
        split = split_of(entry.name)
        if split:
            by_split.setdefault(split, []).append(entry)
    if not by_split and len(data) == 1:
        return Found({"all": [source_file(data[0])]}, [f"{data[0].name} is the only data file of {folder}"])
    if "train" not in by_split:
        names = ", ".join(entry.name for entry in data[:8])
        raise UserError(
            Problem("D006", str(folder), f"has no file for training (found: {names}).", f"Name one train{_example()}.")
        )
    files = {split: [source_file(path) for path in _shards(folder, split, paths)] for split, paths in by_split.items()}
    used = {file.path for split in files.values() for file in split}
    unused = [entry.name for entry in entries if entry not in used]
    notes = [f"not used in {folder}: {', '.join(unused)}"] if unused else []
    return Found({split: files[split] for split in ("train", "validation", "test") if split in files}, notes)


def _data_of(files: list[Path]) -> list[Path]:
    """The files that hold rows. A .txt file is one only where nothing else is for training: it may say anything."""
    known = [file for file in files if _ending(file.name)[0]]
    plain = [file for file in known if re.search(r"\.txt(\.\w+)?$", file.name.lower())]
    others = [file for file in known if file not in plain]
    parts = [file for file in plain if split_of(file.name)]
    lacking = "train" not in map(split_of, (file.name for file in others))
    return others + parts if lacking and "train" in map(split_of, (file.name for file in parts)) else others


def _example() -> str:
    return ".csv, train.jsonl, train.parquet or another known format"


def bare_name(name: str) -> tuple[str, str | None]:
    """A file's name without the ending of its compression, and that compression."""
    stem, _, ending = name.rpartition(".")
    compression = COMPRESSIONS.get(ending.lower()) if stem else None
    return (stem if compression else name), compression


def is_data(name: str) -> bool:
    """Whether a file with this name holds rows of data."""
    return bare_name(name)[0].rpartition(".")[2].lower() in FORMATS


def split_of(name: str) -> str | None:
    """The split that a file or split name begins with, or None."""
    lower = name.lower()
    for beginning in sorted(SPLITS, key=len, reverse=True):
        if lower.startswith(beginning) and not lower[len(beginning) : len(beginning) + 1].isalnum():
            return SPLITS[beginning]
    return None


def _shards(folder: Path, split: str, paths: list[Path]) -> list[Path]:
    """The files that make up one split: the one named exactly so, or its numbered shards."""
    exact = [path for path in paths if path.name.lower().split(".")[0] in SPLITS]
    numbered = [path for path in paths if _shard(path)]
    if len(exact) == 1:
        return exact
    if not exact and numbered and _complete(numbered):
        return sorted(numbered, key=lambda path: int(_shard(path)[0]))
    if len(paths) == 1 and not numbered:
        return paths
    names = ", ".join(path.name for path in paths)
    raise UserError(
        Problem(
            "D006",
            str(folder),
            f"it is not clear which files are the {split} split: {names}.",
            "Keep one file, or all shards, per split.",
        )
    )


def _shard(path: Path) -> tuple[str, ...]:
    """``("00001", "00002")`` for ``train-00001-of-00002.parquet``; empty for no shard."""
    stem = path.name
    while "." in stem and _ending(stem) != (None, None):
        stem = stem.rpartition(".")[0]
    match = _SHARD.search(stem)
    return tuple(part or "" for part in match.groups()) if match else ()


def _complete(paths: list[Path]) -> bool:
    """Whether shards ``i-of-n`` are all there, once each, in one format."""
    numbers = sorted(int(_shard(path)[0]) for path in paths)
    totals = {_shard(path)[1] for path in paths}
    if len(set(numbers)) != len(numbers) or len(totals) != 1 or len({_ending(path.name) for path in paths}) != 1:
        return False
    total = totals.pop()
    return not total or len(numbers) == int(total)


def _saved(folder: Path) -> Found:
    """A folder that the ``datasets`` library wrote with ``save_to_disk``: Arrow streams, listed in JSON."""
    if not (folder / "dataset_dict.json").exists():
        return Found({"all": _saved_split(folder)})
    files, notes = {}, []
    for name in map(str, _listed(folder / "dataset_dict.json", "splits")):
        split = split_of(name)
        if split is None or split in files:
            notes.append(f"not used in {folder}: {name}")
        else:
            files[split] = _saved_split(folder / name)
    if "train" not in files:
        raise UserError(Problem("D006", str(folder), "has no split for training.", "Name one of its splits 'train'."))
    return Found(files, notes)


def _saved_split(folder: Path) -> list[SourceFile]:
    names = [
        entry.get("filename", "") for entry in _listed(folder / "state.json", "_data_files") if isinstance(entry, dict)
    ]
    paths = [folder / name for name in names]
    absent = [path for path in paths if not path.is_file()]
    if absent or not paths:
        what = f"is missing {absent[0].name}." if absent else "lists no files."
        raise UserError(Problem("D006", str(folder), what, "Save the data set anew with save_to_disk."))
    return [SourceFile(path, "arrow") for path in paths]


def _listed(path: Path, key: str) -> list[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, list):
        raise UserError(Problem("D006", os.fspath(path), "is missing or damaged.", "Save the data set anew."))
    return value
