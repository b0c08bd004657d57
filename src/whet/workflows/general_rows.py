"""Labelled sets and general text that forgetting is measured on and that is replayed: the user's, or what comes along.

What a recipe names is read once, before anything is trained, and the rows that are looked at are kept with the run
(``data/general.json``), so that it can be measured again when the file is long gone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.data import general, reading
from whet.data.general import LabelledTexts
from whet.data.reading import ReadResult
from whet.data.row_form import Choice
from whet.errors import Problem, UserError, concerning
from whet.evaluation.forgetting import FEWEST_PIECES
from whet.files import read_json, write_json
from whet.recipe import Recipe
from whet.workflows.rows import form_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whet.data.forms import Examples

FILE = "general.json"
FEWEST_ROWS = 50
"""Rows of a labelled set: ten a fold."""


def keep(recipe: Recipe, folder: Path) -> None:
    """Read what ``recipe`` names and keep what will be asked in ``folder`` (the run's data).

    :raises UserError: F024, a set that probes cannot be fitted on; F025, too little text; as reading does.
    """
    wanted = recipe.forgetting
    with concerning("forgetting.probes"):
        sets = [_labelled(name, recipe).to_json() for name in wanted.probes]
    with concerning("forgetting.text"):
        asked, replayed = (None, None) if wanted.text is None else _text(wanted.text, recipe)
    if sets or asked:
        write_json(folder / FILE, {"probes": sets, "texts": asked, "replayed": replayed})


def labelled(recipe: Recipe, folder: Path) -> tuple[LabelledTexts, ...]:
    """The sets that are asked: at most ``forgetting.max_rows`` rows of each."""
    named = _kept(folder).get("probes") or ()
    sets = [LabelledTexts.from_json(one) for one in named] or general.labelled_sets()
    return tuple(_some(one, recipe) for one in sets)


def asked_texts(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """The pieces of text that are asked; with replay those that are not replayed."""
    if named := _kept(folder).get("texts"):
        return tuple(named)
    texts = general.prose()
    if recipe.forgetting.replay:
        texts = general.halves(texts)[0]
    chosen = general.some(len(texts), recipe.forgetting.max_rows, recipe.seed, general.PROSE)
    return tuple(texts[number] for number in chosen)


def replayed_texts(folder: Path) -> list[str]:
    """The pieces of text that are replayed."""
    return _kept(folder).get("replayed") or general.halves(general.prose())[1]


def _kept(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    return dict(read_json(path)) if path.exists() else {}


def _some(one: LabelledTexts, recipe: Recipe) -> LabelledTexts:
    rows = general.some(len(one.texts), recipe.forgetting.max_rows, recipe.seed, one.name)
    return LabelledTexts(one.name, tuple(one.texts[row] for row in rows), tuple(one.labels[row] for row in rows))


# --- what the user names ------------------------------------------------------------------------------


def _labelled(source: str, recipe: Recipe) -> LabelledTexts:
    with tempfile.TemporaryDirectory() as folder:
        found = _read(source, "text-classification", Path(folder), recipe)
        if found.multi_label or any(split.has_pairs for split in found.splits.values()):
            what = "has several labels or two texts a row; probes of forgetting need one of each."
            raise UserError(Problem("F024", f"forgetting.probes: {source}", what, "Name a set of single texts."))
        texts: list[str] = []
        labels: list[str] = []
        for split in found.splits.values():
            ids = split.label_ids(found.labels)
            texts += _column(split)
            labels += [found.labels[int(one)] for one in ids]
    rows = general.some(len(texts), recipe.forgetting.max_rows, recipe.seed, source)
    whole = LabelledTexts(_name(source), tuple(texts[row] for row in rows), tuple(labels[row] for row in rows))
    if len(whole.names) < 2 or len(whole.texts) < FEWEST_ROWS:
        what = f"has {len(whole.texts):,} rows of {len(whole.names)} labels."
        remedy = f"Probes need two labels and {FEWEST_ROWS} rows at least; look at forgetting.max_rows, too."
        raise UserError(Problem("F024", f"forgetting.probes: {source}", what, remedy))
    return whole


def _text(source: str, recipe: Recipe) -> tuple[list[str], list[str]]:
    """The pieces that are asked, and with replay all others, which are replayed."""
    path = Path(source).expanduser()
    if path.suffix == ".txt" and path.is_file():
        try:
            texts = general.paragraphs(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot be read: {error}."
            raise UserError(Problem("F025", f"forgetting.text: {source}", what, "Give a text in UTF-8.")) from None
        asked, replayed = _parted(len(texts), source, recipe)
        return [texts[row] for row in asked], [texts[row] for row in replayed]
    with tempfile.TemporaryDirectory() as folder:
        splits = list(_read(source, "language-modeling", Path(folder), recipe).splits.values())
        asked, replayed = _parted(sum(map(len, splits)), source, recipe)
        return _rows(splits, asked), _rows(splits, replayed)


def _parted(count: int, source: str, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Of ``count`` pieces the numbers of those that are asked and replayed; at most every second one is asked then."""
    replays = recipe.forgetting.replay > 0
    every = 2 if replays else 1
    most, seed = recipe.forgetting.max_rows, recipe.seed
    asked = [every * number for number in general.some(-(-count // every), most, seed, source)]
    if count < FEWEST_PIECES * every or len(asked) < FEWEST_PIECES:
        what = f"holds {count:,} pieces of text, {len(asked):,} of which would be asked: too few."
        remedy = (
            f"Give {FEWEST_PIECES * every} at least (in a .txt file blank lines part them, in a table each row is "
            f"one), and let forgetting.max_rows be {FEWEST_PIECES} or more."
        )
        raise UserError(Problem("F025", f"forgetting.text: {source}", what, remedy))
    return asked, sorted(set(range(count)).difference(asked)) if replays else []


def _rows(splits: Sequence[Examples], rows: Sequence[int]) -> list[str]:
    """The texts of ``rows``, counted through ``splits``; no others are read."""
    found, start = list[str](), 0
    for split in splits:
        found += split.texts([row - start for row in rows if start <= row < start + len(split)])
        start += len(split)
    return found


def _read(source: str, task: str, into: Path, recipe: Recipe) -> ReadResult:
    return reading.read(source, into=into, form=form_of(task), choice=Choice(), seed=recipe.seed)


def _column(examples: Any) -> Sequence[str]:
    return [text for block in examples.column_blocks(["text"]) for text in block["text"]]


def _name(source: str) -> str:
    return Path(source).stem or source


def digests(sets: Sequence[LabelledTexts], texts: Sequence[str]) -> list[dict[str, Any]]:
    """What was asked, for the record: names, rows and hashes."""
    found: list[dict[str, Any]] = [
        {"name": one.name, "rows": len(one.texts), "labels": len(one.names), "sha": general.digest(one.texts)}
        for one in sets
    ]
    if texts:
        size = int(np.mean([len(text) for text in texts]))
        found.append({"name": "text", "rows": len(texts), "mean_characters": size, "sha": general.digest(texts)})
    return found
