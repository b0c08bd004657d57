"""Training rows chosen from a pool by their likeness to what they shall prepare for.

Leaves data/selection.json (what was chosen, how, and what it is like), data/selection.parquet (the weight of every row
of the pool, and whether it was chosen), and in the ledger how many were not. Validation and test stay as they are: a
part of the pool as it is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whet.data import likeness, other_reading, sources
from whet.data.forms import Examples, distribute
from whet.data.ledger import ledger_from_json, ledger_json
from whet.data.row_form import Choice
from whet.engine.events import Event
from whet.errors import Problem, UserError, concerning
from whet.files import beside, read_json, write_json
from whet.findings import Finding
from whet.folder import RunFolder, answering_run
from whet.recipe.stages import SelectionRecipe
from whet.seeds import generator
from whet.workflows.events import Said
from whet.workflows.rows import form_of
from whet.workflows.running import Running

FILE = "selection.json"
WEIGHTS = "selection.parquet"
POOL = "pool.arrow"
EXAMPLES = 5
MOST_TARGETS = 4096
"""Texts of the target that vectors are compared with; of more, so many are drawn."""
BLOCK = 1024
CODE = "D091"


def refuse(run: Running) -> None:
    """:raises UserError: D090, the pool is smaller than what is to be chosen of it."""
    wanted, pool = run.recipe.selection, len(_pool(run))
    if wanted.rows != "auto" and wanted.rows > pool:
        what = f"{wanted.rows:,} rows are to be chosen, but the pool has {pool:,} for training."
        remedy = "Lower selection.rows, give selection.share in its place, or name a larger pool."
        raise UserError(Problem("D090", "selection.rows", what, remedy))


def refuse_target(run: Running, target: str) -> None:
    """Read what rows shall be like, unless they are chosen already.

    :raises UserError: D092, the target has no texts; whatever reading it raises.
    """
    if not (run.folder.data / FILE).exists():
        with concerning("selection.target"):
            target_texts(target, run)


def stand_in(run: Running) -> None:
    """As many rows as would be chosen in the place of the pool, evenly spread: what follows from their number is so.

    :raises UserError: D090.
    """
    refuse(run)
    pool = _pool(run)
    count = number_of(run.recipe.selection, len(pool))
    _keep(run, pool, np.zeros(len(pool)), np.linspace(0, len(pool) - 1, count).astype(np.int64))
    _reopened(run)


def number_of(wanted: SelectionRecipe, pool: int) -> int:
    """How many rows are chosen of a pool."""
    return max(1, round(wanted.share * pool)) if wanted.rows == "auto" else int(wanted.rows)


def select(run: Running) -> Iterator[Event]:
    """The pool's training rows to those that are trained on.

    :raises UserError: D090; D092, the target has no texts; whatever reading it raises.
    """
    folder, wanted = run.folder.data, run.recipe.selection
    if not (folder / FILE).exists():
        refuse(run)
        pool = _pool(run)
        target = target_texts(str(wanted.target), run)
        count = number_of(wanted, len(pool))
        weights, chosen, about = (_by_importance if wanted.way == "dsir" else _by_vectors)(run, pool, target, count)
        about |= {"way": wanted.way, "pool": len(pool), "chosen": len(chosen), "target": wanted.target}
        about |= {"target_rows": len(target), **_told(pool, target, weights, chosen)}
        _keep(run, pool, weights, chosen)
        write_json(folder / FILE, about)  # last: from here on it is done
    (folder / POOL).unlink(missing_ok=True)
    _reopened(run)
    found = finding(run.folder)
    assert found is not None
    yield Said(found.message)


def _reopened(run: Running) -> None:
    """Let go of what was known of the pool."""
    for name in ("data", "task"):
        run.__dict__.pop(name, None)


def _pool(run: Running) -> Examples:
    """The training rows as they were read, however far an earlier process came."""
    aside = run.folder.data / POOL
    return Examples.open(aside, "train") if aside.exists() else run.examples("train")


def target_texts(source: str, run: Running) -> list[str]:
    """The training texts of a run, or of a data set of several splits, or all texts of a source; both texts of a pair.

    :raises UserError: D092, there are none; whatever reading raises.
    """
    place = Path(source).expanduser()
    rows = answering_run(place) / "data" / "train.arrow"
    if rows.exists():
        found = _joined(Examples.open(rows))
    else:
        splits = sources.find(place).files if place.is_dir() else {}
        files = [str(file.path) for file in splits["train"]] if "train" in splits else [source]
        found = [text for file in files for text in _read(file, run)]
    if not any(text.strip() for text in found):
        what = f"{source} holds no texts that rows could be like."
        raise UserError(Problem("D092", "selection.target", what, "Name texts of what is wanted."))
    return found


def _read(source: str, run: Running) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        form = form_of("language-modeling")
        read = other_reading.read_unlabelled(source, into=Path(work), form=form, choice=Choice(), progress=run.tell)
        return _joined(read.examples)


def _joined(rows: Examples) -> list[str]:
    return [text for block in rows.joined_blocks() for text in block]


Chosen = tuple[NDArray[np.float64], NDArray[np.int64], dict[str, Any]]


def _by_importance(run: Running, pool: Examples, target: list[str], count: int) -> Chosen:
    """DSIR."""
    buckets = likeness.Buckets()
    run.tell("words of the pool", 0, len(pool))
    ratios = likeness.log_ratios(buckets.counted(target), buckets.counted(_texts(pool)))
    even = run.recipe.selection.even_lengths
    weights = likeness.log_weights(_texts(pool), ratios, buckets, even)
    return weights, likeness.drawn(weights, count, run.recipe.seed), {"buckets": likeness.BUCKETS}


def _by_vectors(run: Running, pool: Examples, target: list[str], count: int) -> Chosen:
    """By the vectors of the run's base."""
    drawn = len(target)
    if drawn > MOST_TARGETS:
        rows = np.sort(generator(run.recipe.seed, "target texts").choice(drawn, MOST_TARGETS, replace=False))
        target = [target[int(row)] for row in rows]
    theirs = run.embed(target)
    wanted = run.recipe.selection
    parts = []
    for start in range(0, len(pool), BLOCK):
        run.tell("vectors of the pool", start, len(pool))
        ours = run.embed(pool.texts(np.arange(start, min(start + BLOCK, len(pool)))))
        parts.append(likeness.nearness(ours, theirs, wanted.neighbours))
    run.release()
    weights = np.concatenate(parts)
    about = {"neighbours": wanted.neighbours, "compared": len(target)}
    return weights, likeness.highest(weights, count), about


def _texts(pool: Examples) -> Iterator[str]:
    for block in pool.joined_blocks():
        yield from block


def _told(pool: Examples, target: list[str], weights: NDArray[np.float64], chosen: NDArray[np.int64]) -> dict[str, Any]:
    """What is said of a choice: how near it came to the target, its weights, and examples."""
    buckets = likeness.Buckets()
    counts = [buckets.counted(texts) for texts in (target, _texts(pool), pool.texts(chosen))]
    order = np.argsort(-weights, kind="stable")
    left = np.setdiff1d(np.arange(len(pool)), chosen)
    most, least = order[:EXAMPLES], order[::-1][:EXAMPLES]
    return {
        "divergence_pool": likeness.divergence(counts[0], counts[1]),
        "divergence_chosen": likeness.divergence(counts[0], counts[2]),
        "median_words_pool": likeness.median_words(_texts(pool)),
        "median_words_chosen": likeness.median_words(pool.texts(chosen)),
        "mean_weight_chosen": float(weights[chosen].mean()),
        "mean_weight_left": float(weights[left].mean()) if len(left) else None,
        "most_like": likeness.shown(pool.texts(most), weights, most),
        "least_like": likeness.shown(pool.texts(least), weights, least),
    }


def _keep(run: Running, pool: Examples, weights: NDArray[np.float64], chosen: NDArray[np.int64]) -> None:
    """Put the chosen rows into the place of the pool; done again, it leaves the same."""
    folder = run.folder.data
    parts = np.full(len(pool), -1, dtype=np.int8)
    parts[chosen] = 0
    columns = {"row": np.arange(len(pool)), "line": pool.numbers("line"), "weight": weights, "chosen": parts == 0}
    with beside(folder / WEIGHTS) as sink:
        pq.write_table(pa.table(columns), sink)
    if not (folder / POOL).exists():
        os.replace(folder / "train.arrow", folder / POOL)
        pool = Examples.open(folder / POOL, "train")
    distribute(pool, parts, [folder / "train.arrow"])
    ledger = ledger_from_json(read_json(folder / "ledger.json"))
    train = ledger["train"]
    if not any(entry.code == CODE for entry in train.dropped):
        start = 0
        for file, batch in pool.files():
            here = parts[start : start + batch.num_rows] < 0
            lines = [int(line) for line in batch["line"].to_numpy()[here]]
            train.drop(CODE, "not chosen from the pool (selection.json)", file, lines)
            train.kept -= len(lines)
            start += batch.num_rows
        write_json(folder / "ledger.json", ledger_json(ledger))


def finding(folder: RunFolder) -> Finding | None:
    """X002: what was chosen of the pool, and whether it is nearer to the target; None where nothing was."""
    path = folder.data / FILE
    if not path.exists():
        return None
    told = read_json(path)
    before, after = told["divergence_pool"], told["divergence_chosen"]
    how = "by importance resampling" if told["way"] == "dsir" else "as the nearest by their vectors"
    what = f"{told['chosen']:,} of {told['pool']:,} rows of the pool were chosen {how}"
    gap = f"their words are {after:.2f} nats from those of the target, those of the whole pool {before:.2f}"
    nearer = after < before
    remedy = "" if nearer else "Look at the examples: is the target what the rows shall be like?"
    message = f"{what}; {gap}{_how_long(told)}."
    return Finding("X002", "passed" if nearer else "issue", message, str(told["target"]), remedy, dict(told))


def _how_long(told: dict[str, Any]) -> str:
    if "median_words_pool" not in told:  # of a run before it was known
        return ""
    chosen, pool = told["median_words_chosen"], told["median_words_pool"]
    return f"; half of them have at most {chosen:,.0f} words, of the pool {pool:,.0f}"
