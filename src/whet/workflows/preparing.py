"""The first stages of a run: read, audit, encode, decide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from whet import registry
from whet.batches import encoding, flat
from whet.batches.flat import FlatBatch
from whet.batches.shared_beginnings import joined
from whet.data import audit
from whet.engine import devices
from whet.engine.events import Event, Noted
from whet.errors import Problem, UserError, concerning
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.models import loading
from whet.models.language import guesses_of
from whet.models.networks import read_config
from whet.models.task_model import TaskModel
from whet.recipe.names import SOFT
from whet.recipe.resolve import Facts, resolve
from whet.recipe.rules import SAYING, WINDOWED
from whet.tasks import TASKS
from whet.tasks.task import Setting
from whet.tasks.text_generation import TextGeneration
from whet.workflows import (
    contrasting,
    distilling,
    estimating,
    forgetting,
    general_rows,
    preferring,
    regularising,
    rounding,
    self_training,
    students,
    suitable,
)
from whet.workflows.asking import refuse_silent
from whet.workflows.events import OfModel, Said
from whet.workflows.learned_scores import refuse_missing
from whet.workflows.rows import read_rows
from whet.workflows.running import SPLITS, Running, fastest
from whet.workflows.task_words import refuse_soft


def read(run: Running) -> Iterator[Event]:
    """Source to checked splits."""
    with concerning("base"):
        _refuse_base(run)  # before a long file is read
    devices.chosen(run.recipe.training.device)
    refuse_silent(run)
    refuse_missing(run.recipe.evaluation.comet, run.recipe.task)
    if run.recipe.forgetting.measure or run.recipe.forgetting.replay:
        forgetting.refuse(run)
    with concerning("data.source"):
        found = read_rows(run.recipe, run.folder.data, run.tell)
    general_rows.keep(run.recipe, run.folder.data)
    run.data = found
    preferring.refuse(run)
    for reason in found.columns.reasons.values():
        yield Said(reason)
    for note in found.notes:
        yield Said(note)
    regularising.refuse_classes(run)
    distilling.refuse(run)
    self_training.refuse(run)
    rounding.refuse(run)
    if run.recipe.method == contrasting.CONTRASTIVE:
        contrasting.refuse_rows(run)
    sizes = ", ".join(f"{len(found.splits[split]):,} {split}" for split in SPLITS)
    several = " (several a row)" if found.multi_label else ""
    labels = f"; {len(found.labels)} labels{several}" if found.labels else ""
    yield Said(f"rows: {sizes}{labels}")


def _refuse_base(run: Running) -> None:
    """:raises UserError: the base, or its tokenizer, cannot do what the recipe asks of it."""
    loading.refuse_unusable(run.place, run.head_kind, run.recipe.head.pooling)
    if run.head_kind == "language":
        _refuse_other_guesses(run)
        _refuse_of_task(run)
    suitable.refuse(run)
    if run.recipe.method in SOFT:
        refuse_soft(run)
    _ = run.tokenizer


def _refuse_of_task(run: Running) -> None:
    """:raises UserError: what a task that writes refuses before rows are read."""
    task = registry.load(TASKS, run.recipe.task, "task")(Setting(options=run.options))
    if isinstance(task, TextGeneration):
        task.refuse(run.tokenizer)


BASES_OF = {
    "next": "a decoder (GPT-2, Llama, Qwen and the like)",
    "masked": "an encoder (BERT and the like)",
    "permuted": "an XLNet",
    "target": "an encoder-decoder (T5, BART, Marian and the like)",
}
"""What kind of base a language model of this way is."""
SAYS = {
    "next": "says the next token",
    "masked": "says hidden tokens",
    "permuted": "says tokens in any order",
    "target": "reads a source and writes a target",
    None: "says no token",
}
"""What language models do, in words."""


def _refuse_other_guesses(run: Running) -> None:
    """:raises UserError: M015, the base is a language model of another kind than the task trains."""
    task = registry.load(TASKS, run.recipe.task, "task")
    found = guesses_of(run.place)
    if found not in task.guesses:
        known = [name for name in TASKS if found in getattr(registry.load(TASKS, name, "task"), "guesses", ())]
        what = f"is a language model that {SAYS[found]}, which {run.recipe.task} does not train."
        fits = " or ".join(BASES_OF[one] for one in task.guesses)
        other = f", or use this base for {' or '.join(known)}" if known else ""
        remedy = f"Name {fits} with --base{other}."
        raise UserError(Problem("M015", str(run.place.folder), what, remedy))


def look(run: Running) -> Iterator[Event]:
    """Splits to audit findings."""
    found = audit.audit(run.data, run.form, run.tell)
    found.save(run.folder.data / "audit.json")
    issues = [finding for finding in found.findings if finding.bin == "issue"]
    yield Said(f"audit: {len(issues)} issue{'' if len(issues) == 1 else 's'} in the data")
    for finding in issues:
        yield Said(f"  {finding.code} {finding.message}")


def encode(run: Running) -> Iterator[Event]:
    """Texts to token ids, and what the length limit takes."""
    limit = run.limit
    cuts, windowed = {}, 0
    for split in SPLITS:
        total = len(run.examples(split))
        tell = run.telling(f"tokens of {split}", total)
        blocks = run.task.blocks(run.examples(split), run.embed, run.recipe.seed)
        encoded = run.task.encode(run.tokenizer, blocks, limit, run.tokens_folder(split), tell)
        cuts[split] = encoded.cut
        windowed += encoded.num_windowed if run.recipe.task in (*WINDOWED, "fill-mask") else 0
    _into_ledger(run, cuts)
    if any(cut.one_by_one for cut in cuts.values()):
        message = "words that are read at once do not have the tokens of their texts here, so texts are read one by one"
        yield OfModel("", Noted("E006", message, 0))
    rows = sum(cut.rows for cut in cuts.values())
    total = sum(len(run.examples(split)) for split in SPLITS)
    lost, whole = sum(cut.tokens_cut for cut in cuts.values()), sum(cut.tokens_total for cut in cuts.values())
    answers = sum(cut.answer_tokens_cut for cut in cuts.values()) if run.recipe.task in SAYING else None
    finding = audit.length_finding(rows, total, lost, whole, limit, windowed, answers)
    _into_audit(run, finding)
    if rows:
        yield Said(f"  {finding.code} {finding.message}")
    for one in run.task.findings(run.tokenizer, run.examples("train"), limit):
        _into_audit(run, one)
        if one.bin in ("issue", "tip"):
            yield Said(f"  {one.code} {one.message}")


def decide(run: Running) -> Iterator[Event]:
    """What ``auto`` becomes."""
    facts = facts_of(run)
    run.write_resolved(resolve(run.recipe, facts))
    for name in ("resolved", "task"):  # what was decided early is decided now
        run.__dict__.pop(name, None)
    regularising.refuse_method(run)
    contrasting.refuse(run)
    students.refuse_method(run)
    distilling.refuse_method(run)
    trained = ("training.precision", "training.epochs", "training.learning_rate")
    for name in ("method", "head.pooling", *(("quantisation.bits",) if rounding.wanted(run) else trained)):
        yield Said(f"{name} = {run.value(name)}: {run.resolved[name]['reason']}")


def foresee(run: Running) -> Iterator[Event]:
    """What each model is expected to take; everything that training reads lies there."""
    if not rounding.wanted(run):  # which trains nothing
        estimating.foresee(run, run.models)
    yield from ()


FAST_PATH_ROWS = 8
FAST_PATH_TOLERANCE = 1e-3
"""Largest difference of a vector's component that flat and padded batches may show, in fp32."""


def prove(run: Running) -> Iterator[Event]:
    """Flat batches against padded ones on a few training rows, before anything rests on them."""
    model = run.new_model().to(run.device)
    for note in _new(model):
        yield Said(note)
    model.eval()
    rounding.refuse_fresh(run, model)
    regularising.refuse_vain(run)
    _refuse_unknown_tokens(run, model)
    yield from _already_known(run, model)
    if not model.flat:
        yield Said("batches are padded: " + (model.why_padded if run.fast else "asked for"))
        return
    lengths = run.encoded["train"].lengths
    units = np.linspace(0, len(lengths) - 1, FAST_PATH_ROWS).astype(np.int64)
    rows = np.argsort(lengths, kind="stable")[units]
    batch = flat.make(run.encoded["train"], np.unique(rows), None)
    with torch.inference_mode():
        fast = model.features(batch)
        shared = _gap_of_sharing(run, model)
        model.use_padded_batches()
        plain = model.features(batch)
        gap = float((fast - plain).abs().max())
        also = _is_proven_in_few_bits(run, model, batch, plain)
    result = {"equal": gap <= FAST_PATH_TOLERANCE and also, "largest_difference": gap}
    if shared is not None:
        result |= {"sharing": shared <= FAST_PATH_TOLERANCE, "largest_difference_of_sharing": shared}
    write_json(run.folder.stages / "fast_path" / "result.json", result)
    if not result["equal"]:
        message = f"flat batches differ from padded ones by {gap:.2g}, so padded ones are used"
        message = message if also else f"flat batches cannot be had in {run.value('training.precision')} on this device"
        yield OfModel("", Noted("E006", message, 0))
    elif not result.get("sharing", True):
        message = f"beginnings read once differ from those read with every text by {shared:.2g}, so none are shared"
        yield OfModel("", Noted("E006", message, 0))


def _is_proven_in_few_bits(run: Running, model: TaskModel, batch: FlatBatch, plain: Tensor) -> bool:
    """Whether the kernel that a GPU has for 16 bits alone is as near to the truth as plain attention in 16 bits.

    :param plain: vectors by plain attention in fp32. ``model`` is of no use afterwards.
    """
    if run.device.type == "cpu" or run.dtype == torch.float32:
        return True
    model.to(run.dtype)
    rounded = model.features(batch).float()
    model.use_flat_batches()
    try:
        fast = model.features(batch).float()
    except (RuntimeError, ValueError, NotImplementedError):  # a device, or a width, that it was not made for
        return False
    noise = float((rounded - plain).abs().max())
    return float((fast - plain).abs().max()) <= 2 * noise + FAST_PATH_TOLERANCE


def _gap_of_sharing(run: Running, model: TaskModel) -> float | None:
    """How far vectors behind shared beginnings are from those of texts by themselves; None where nothing is shared."""
    encoded = run.encoded["train"]
    batch = flat.make(encoded, np.arange(min(FAST_PATH_ROWS, len(encoded))), None)
    found = joined(batch, worth=0.0) if model.shares_beginnings else None
    if found is None:
        return None
    return float((model.features(found.batch)[found.place] - model.features(batch)).abs().max())


def _refuse_unknown_tokens(run: Running, model: TaskModel) -> None:
    """:raises UserError: M053, the tokenizer gives ids that the base has no row for."""
    table = model.trunk.get_input_embeddings()
    num_rows = table.weight.shape[0]
    highest = max(int(np.max(run.encoded[split].ids, initial=0)) for split in SPLITS)
    if highest >= num_rows:
        what = f"its tokenizer gives the id {highest:,}, and the base has {num_rows:,} embeddings."
        raise UserError(Problem("M053", str(run.place.folder), what, "Is this the base's own tokenizer?"))


def _already_known(run: Running, model: TaskModel) -> Iterator[Event]:
    """G009: answers of training that the untouched base says by itself."""
    if not isinstance(run.task, TextGeneration) or model.guesses != "next":
        return
    found = run.task.known(model, run.encoded["train"], run.examples("train"))
    _into_audit(run, found)
    if found.bin in ("issue", "tip"):
        yield Said(f"  {found.code} {found.message}")


def _new(model: TaskModel) -> Iterator[str]:
    """What loading did to the base, in words."""
    origin = model.origin
    if origin.fresh:
        yield f"starts anew: {', '.join(origin.fresh)}"
    if origin.left_out:
        yield f"of the base's files not used: {', '.join(origin.left_out)}"
    if origin.kept_labels:
        yield f"kept from the base's own head: {', '.join(origin.kept_labels)}"
    if origin.new_tokens:
        yield f"tokens added to the vocabulary: {len(origin.new_tokens):,}"
    yield from origin.notes


def facts_of(run: Running) -> Facts:
    """What the decisions rest on."""
    train = run.encoded["train"]
    pooling, why = loading.choose_pooling(run.place, run.recipe.head.pooling, run.head_kind)
    device, why_there = devices.chosen(run.recipe.training.device)
    dtype, reason = fastest(device)
    shapes = loading.linear_shapes(run.place)
    config = read_config(run.place)
    return Facts(
        num_rows=len(run.examples("train")),
        num_tokens=train.num_tokens,
        longest=int(np.max(train.lengths)),
        num_labels=len(run.labels),
        num_parameters=loading.count_parameters(run.place),
        limit=run.limit,
        dtype=dtype,
        dtype_reason=reason,
        pooling=pooling or "native",
        pooling_reason=why,
        memory_bytes=devices.free_bytes(device),
        device=device.type,
        device_reason=why_there,
        columns=run.data.column_names,
        adapter_width=sum(map(sum, shapes)),
        narrowest=min(map(min, shapes), default=0),
        num_layers=int(getattr(config, "num_hidden_layers", 0) or 0),
        hidden_size=int(getattr(config, "hidden_size", 0) or 0),
        class_rows=() if run.multi_label or not run.labels or "train" not in run.gold else class_rows(run),
    )


def class_rows(run: Running) -> tuple[int, ...]:
    """(C,) training rows of each class."""
    return tuple(int(count) for count in np.bincount(run.gold["train"], minlength=len(run.labels)))


def _into_ledger(run: Running, cuts: dict[str, encoding.Cut]) -> None:
    path = run.folder.data / "ledger.json"
    ledger = read_json(path)
    for split, cut in cuts.items():
        ledger["splits"][split]["cut"] = cut.to_json()
    write_json(path, ledger)


def _into_audit(run: Running, finding: Finding) -> None:
    path = run.folder.data / "audit.json"
    audit.load(path).with_finding(finding).save(path)
