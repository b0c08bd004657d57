"""Rows as a model sees them: the tokens of each, what of them carries loss, and what was cut."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Encoded, token_numbers
from whet.data.forms import SPLIT_NAMES, Examples
from whet.errors import Problem, UserError
from whet.folder import RunFolder, run_behind
from whet.recipe import load
from whet.registry import unknown
from whet.report.shown_tokens import Shown, ShownRow, Strip
from whet.tasks.pair_encoding import ABSENT
from whet.workflows import preparing
from whet.workflows.events import Said
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.starting import recipe_of
from whet.workflows.token_marks import Marks, marks_of, read_tokens, strip_gaps

NO_LIMIT = 10_000_000
"""Tokens that no row has: with it nothing is cut."""
TRUTH = ("label", "score", "relevance", "answers", "group")
"""Columns that are shown beside a row, as far as it has them."""
KEPT_OF_RUN = ("task", "base", "data")
"""Options of a run that its rows rest on."""
STILL_FREE = ("data.max_length", "data.stride")


def show(source: str, changes: Mapping[str, Any], split: str, count: int, tell: Tell) -> Shown:
    """The first ``count`` rows of a split of ``source``: data, or a run with its recipe, base and splits.

    Nothing is trained, and nothing is kept.

    :param changes: options by dotted name; of a run those that leave its rows and base as they are.
    :raises UserError: whatever a run would stop at before training; F018, a run is to be shown with other rows or
        another base; G001, there is no such split.
    """
    if split not in SPLIT_NAMES:
        raise UserError(unknown(split, list(SPLIT_NAMES), "--split"))
    folder = RunFolder(run_behind(Path(source)))
    if folder.is_run:
        return _shown(_of_run(folder, changes, tell), source, split, count, [])
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        recipe = recipe_of({**changes, "data.source": source}, None)
        run = Running(recipe, RunFolder(Path(work)), tell, lambda: False)
        notes = [event.message for event in preparing.read(run) if isinstance(event, Said)]
        return _shown(run, source, split, count, notes)


def _of_run(folder: RunFolder, changes: Mapping[str, Any], tell: Tell) -> Running:
    kept = [name for name in changes if name.split(".")[0] in KEPT_OF_RUN and name not in STILL_FREE]
    if kept:
        what = f"{folder.path} is a run, which has its own {', '.join(kept)}."
        raise UserError(Problem("F018", ", ".join(kept), what, "Name the data instead of the run, or leave this out."))
    if not folder.recipe.exists():
        raise UserError(Problem("F010", str(folder.recipe), "is missing: the run never began."))
    run = Running(load(folder.recipe, changes), folder, tell, lambda: False)
    if folder.resolved.exists():
        run.resolved = {
            **run.resolved,
            **{name: {"value": value, "reason": "asked for"} for name, value in changes.items()},
        }
    return run


def _shown(run: Running, source: str, split: str, count: int, notes: list[str]) -> Shown:
    examples, task, limit = run.examples(split), run.task, run.limit
    options = task.setting.options
    if options.get("similarity.hard_negatives") not in (None, 0, "auto"):
        task.setting = replace(task.setting, options={**options, "similarity.hard_negatives": 0})
        notes = [*notes, "hard negatives are mined while a run prepares its rows; they are not shown"]
    first = examples.take(np.arange(min(count, len(examples))))
    marks = marks_of(run, first, _encoded(run, first, limit))
    rows = [_row(run, examples, first, number, marks) for number in range(len(first))]
    findings = [one for one in task.findings(run.tokenizer, examples, limit) if one.bin in ("issue", "tip")]
    return Shown(
        source, task.name, run.recipe.base, split, limit, len(examples), rows, [*notes, *marks.notes], findings
    )


def _encoded(run: Running, examples: Examples, limit: int) -> Encoded:
    blocks = run.task.blocks(examples, None, run.recipe.seed)
    return run.task.encode(run.tokenizer, blocks, limit, None)


def _row(run: Running, examples: Examples, first: Examples, number: int, marks: Marks) -> ShownRow:
    encoded = marks.encoded
    sequences = np.flatnonzero(marks.rows == number)
    strips = [
        Strip(title, read_tokens(run.tokenizer, marks.tokens(token_numbers(encoded.offsets, np.asarray([sequence])))))
        for sequence, title in zip(sequences, _titles(encoded, sequences, run.head_kind), strict=True)
        if not _stands_for_none(encoded, int(sequence))
    ]
    num_cut = 0
    if encoded.cut.rows:
        alone = first.take([number])
        found = _encoded(run, alone, run.limit)
        num_cut = found.cut.tokens_cut
        if num_cut:
            strips = _with_gaps(strips, found, _encoded(run, alone, NO_LIMIT))
    return ShownRow(examples.place(number), list(_truth(first, number)), strips, num_cut)


def _with_gaps(strips: list[Strip], cut: Encoded, whole: Encoded) -> list[Strip]:
    """The same with what is missing from each, where that can be told."""
    if whole.num_sequences != cut.num_sequences or len(strips) > cut.num_sequences:
        return strips
    shown = [one for one in range(cut.num_sequences) if not _stands_for_none(cut, one)]
    return [replace(strip, gaps=strip_gaps(cut, whole, one)) for strip, one in zip(strips, shown, strict=True)]


def _stands_for_none(encoded: Encoded, sequence: int) -> bool:
    return encoded.parts > 1 and int(encoded.second[sequence]) == ABSENT


def _titles(encoded: Encoded, sequences: NDArray[np.int64], head_kind: str) -> list[str]:
    """Which sequence of its row each is; "" where there is but one."""
    if encoded.parts > 1:
        if head_kind == "language":
            return ["source" if one % 2 == 0 else "target" for one in sequences]
        names = ("first text", "second text", "a text that does not belong to the first")
        return [names[int(one) % encoded.parts] for one in sequences]
    total = len(sequences)
    if total == 1:
        return [""]
    windows = head_kind in ("language", "tokens", "span")
    return [f"{'window' if windows else 'sequence'} {number} of {total}" for number in range(1, total + 1)]


def _truth(examples: Examples, number: int) -> Iterator[tuple[str, str]]:
    """(name, value) of what is true of a row; answers of conversations are in its tokens."""
    for name in TRUTH:
        if examples.shape.has(name) and not (name == "answers" and examples.shape.has("messages")):
            value = examples.rows([number], name)[0]
            listed = value if isinstance(value, list) else [value]
            words = [str(one["text"]) if isinstance(one, dict) else str(one) for one in listed]
            yield name, ", ".join(dict.fromkeys(words)) or "none"
