"""The first stages of a run: read, audit, encode, decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import psutil
import torch

from whet.batches import encoding, flat
from whet.data import audit
from whet.engine.events import Event, Noted
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.models import loading
from whet.recipe.resolve import Facts, resolve
from whet.workflows.events import OfModel, Said
from whet.workflows.rows import read_rows
from whet.workflows.running import SPLITS, Running, fastest


def read(run: Running) -> Iterator[Event]:
    """Source to checked splits."""
    loading.refuse_unusable(run.place, run.recipe.head.pooling)  # before a long file is read
    _ = run.tokenizer
    found = read_rows(run.recipe, run.folder.data, run.tell)
    run.data = found
    for reason in found.columns.reasons.values():
        yield Said(reason)
    for note in found.notes:
        yield Said(note)
    sizes = ", ".join(f"{len(found.splits[split]):,} {split}" for split in SPLITS)
    several = " (several a row)" if found.multi_label else ""
    yield Said(f"rows: {sizes}; {len(found.labels)} labels{several}")


def look(run: Running) -> Iterator[Event]:
    """Splits to audit findings."""
    found = audit.audit(run.data, run.tell)
    found.save(run.folder.data / "audit.json")
    issues = [finding for finding in found.findings if finding.bin == "issue"]
    yield Said(f"audit: {len(issues)} issue{'' if len(issues) == 1 else 's'} in the data")
    for finding in issues:
        yield Said(f"  {finding.code} {finding.message}")


def encode(run: Running) -> Iterator[Event]:
    """Texts to token ids, and what the length limit takes."""
    limit = _limit(run)
    cuts = {}
    for split in SPLITS:
        total = len(run.examples(split))
        tell = _telling(run, f"tokens of {split}", total)
        encoded = encoding.encode(run.tokenizer, run.blocks(split), limit, run.tokens_folder(split), tell)
        cuts[split] = encoded.cut
    _into_ledger(run, cuts)
    rows = sum(cut.rows for cut in cuts.values())
    total = sum(len(run.examples(split)) for split in SPLITS)
    lost, whole = sum(cut.tokens_cut for cut in cuts.values()), sum(cut.tokens_total for cut in cuts.values())
    finding = audit.length_finding(rows, total, lost, whole, limit)
    _into_audit(run, finding)
    if rows:
        yield Said(f"  {finding.code} {finding.message}")


def decide(run: Running) -> Iterator[Event]:
    """What ``auto`` becomes."""
    facts = facts_of(run)
    run.write_resolved(resolve(run.recipe, facts))
    run.__dict__.pop("resolved", None)
    for name in ("method", "head.pooling", "training.precision", "training.epochs", "training.learning_rate"):
        yield Said(f"{name} = {run.value(name)}: {run.resolved[name]['reason']}")


FAST_PATH_ROWS = 8
FAST_PATH_TOLERANCE = 1e-3
"""Largest difference of a vector's component that flat and padded batches may show, in fp32."""


def prove(run: Running) -> Iterator[Event]:
    """Flat batches against padded ones on a few training rows, before anything rests on them."""
    model = run.new_model()
    if not model.flat:
        yield Said("batches are padded: " + ("not a family known to take flat ones" if run.fast else "asked for"))
        return
    model.eval()
    lengths = run.encoded["train"].lengths
    rows = np.argsort(lengths, kind="stable")[np.linspace(0, len(lengths) - 1, FAST_PATH_ROWS).astype(np.int64)]
    batch = flat.make(run.encoded["train"], np.unique(rows), None)
    with torch.inference_mode():
        fast = model.features(batch)
        model.use_padded_batches()
        gap = float((fast - model.features(batch)).abs().max())
    equal = gap <= FAST_PATH_TOLERANCE
    write_json(run.folder.stages / "fast_path" / "result.json", {"equal": equal, "largest_difference": gap})
    if not equal:
        message = f"flat batches differ from padded ones by {gap:.2g}, so padded ones are used"
        yield OfModel("", Noted("E006", message, 0))


def facts_of(run: Running) -> Facts:
    """What the decisions rest on."""
    train = run.encoded["train"]
    pooling, why = loading.choose_pooling(run.place, run.recipe.head.pooling)
    dtype, reason = fastest()
    return Facts(
        num_rows=len(train),
        num_tokens=train.num_tokens,
        longest=int(np.max(train.lengths)),
        num_labels=len(run.labels),
        num_parameters=loading.count_parameters(run.place),
        limit=_limit(run),
        dtype=dtype,
        dtype_reason=reason,
        pooling=pooling or "native",
        pooling_reason=why,
        memory_bytes=int(psutil.virtual_memory().available),
    )


def _limit(run: Running) -> int:
    wanted = run.recipe.data.max_length
    longest = loading.longest_input(run.place, run.tokenizer)
    return longest if wanted == "auto" else min(int(wanted), longest)


def _telling(run: Running, what: str, total: int) -> Callable[[int], None]:
    return lambda done: run.tell(what, done, total)


def _into_ledger(run: Running, cuts: dict[str, encoding.Cut]) -> None:
    path = run.folder.data / "ledger.json"
    ledger = read_json(path)
    for split, cut in cuts.items():
        ledger["splits"][split]["cut"] = cut.to_json()
    write_json(path, ledger)


def _into_audit(run: Running, finding: Finding) -> None:
    path = run.folder.data / "audit.json"
    audit.load(path).with_finding(finding).save(path)
