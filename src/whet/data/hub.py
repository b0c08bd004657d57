"""Data sets of the Hugging Face hub, through the optional package ``datasets``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from whet.data.arrow_rows import open_batches
from whet.data.rows import ROWS_PER_BLOCK, Opened, Told
from whet.data.sources import SourceFile, split_of
from whet.errors import Problem, UserError


def load(name: str) -> tuple[dict[str, Any], list[str]]:
    """The splits of ``owner/name`` (``:configuration`` behind it where the set has several), and notes.

    :raises UserError: D011, neither a file here nor a data set that can be fetched.
    """
    repository, _, configuration = name.partition(":")
    try:
        from datasets import load_dataset
    except ImportError:
        raise _neither(
            name, "the package that fetches hub data sets is not installed", "pip install 'whet[hub]'"
        ) from None
    try:
        found = load_dataset(repository, configuration or None)
    # The package raises errors of a dozen libraries, from sockets to YAML; whichever it is, the set is not here.
    except Exception as error:
        first = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise _neither(name, f"fetching it failed ({first[:200].rstrip('.')})", _remedy(error)) from None
    return _by_split(name, dict(found))


def _by_split(name: str, found: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    splits: dict[str, Any] = {}
    unused = []
    for key, rows in found.items():
        split = split_of(str(key))
        if split is None or split in splits:
            unused.append(str(key))
        else:
            splits[split] = rows
    if not splits and len(found) == 1:
        return {"all": next(iter(found.values()))}, []
    if "train" not in splits:
        raise UserError(Problem("D006", name, f"has no split for training (found: {', '.join(unused)})."))
    return splits, [f"not used of {name}: {', '.join(unused)}"] if unused else []


def _neither(name: str, why: str, remedy: str) -> UserError:
    what = f"there is no such file or folder here, and as a hub data set: {why}."
    return UserError(Problem("D011", name, what, remedy))


def _remedy(error: Exception) -> str:
    if "config name" in str(error).lower():
        return "Add the configuration after a colon: name:configuration."
    return "Check the spelling and the network, or download the files and give their folder."


def open_hub(name: str, split: str, rows: Any, told: Told) -> tuple[SourceFile, Opened]:
    """One split of a loaded data set, memory-mapped, read by record batch.

    :raises UserError: D003 no rows, D014, D017.
    """
    file = SourceFile(Path(f"{name}.{split}"), "hub")
    schema = rows.features.arrow_schema

    def batches(wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        chosen = rows if wanted is None else rows.select_columns(list(wanted))
        done = 0
        for table in chosen.with_format("arrow").iter(batch_size=ROWS_PER_BLOCK):
            yield from table.to_batches()
            done += table.num_rows
            told(f"reading {name} {split}", done, len(rows))

    return file, open_batches(file, schema, batches)
