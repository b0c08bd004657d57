"""Every adaptation with every family and every kind of head: it learns, goes on bit for bit, is saved and switched off.

A method is a row of ``METHODS``; which kinds of heads it meets with which family is drawn so that every family meets
every method, and every method every kind. What a family cannot take is refused with a code.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.made_models import WRITERS, make_base
from whet.batches.flat import FlatBatch
from whet.engine.precision import Weights
from whet.errors import UserError
from whet.kernels import dropout
from whet.models import adaptations, parity, saving, soft_prompts, soft_reading, starting
from whet.models.families import FAMILIES
from whet.models.quantising import Scheme
from whet.models.task_model import TaskModel

from . import kinds, speaking, writing
from .ready import SECONDS, Ready
from .told import TOLD

WIDTH = 64
"""A block of bitsandbytes' 4 bits."""
HEADS = ("classes", "tokens", "span", "value", "vectors", "language")
OF_ENCODERS = ("bert", "distilbert", "roberta", "deberta-v2", "modernbert", "albert", "xlnet")
OF_DECODERS = ("llama", "gpt2", "qwen2", "gemma2")
FAMILIES_HERE = (*OF_ENCODERS, *OF_DECODERS, "t5", "bart")
OPTIONS: dict[str, Any] = TOLD | {
    "lora.rank": 4,
    "lora.alpha": 8.0,
    "lora.dropout": 0.1,
    "soft.tokens": 3,
    "soft.start": "random",
    "soft.width": 16,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A method with its options, and the rate at which it learns eight rows.

    ``tolerance``: of what is said when it is loaded anew, as a share of the largest output.
    """

    method: str
    rate: float
    options: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-4


METHODS = {
    "full": Row("full", 1e-3),
    "top-layers": Row("top-layers", 1e-3),
    "bitfit": Row("bitfit", 3e-3),
    "lora": Row("lora", 2e-3),
    "lora, rank-stabilised": Row("lora", 2e-3, {"lora.rank_stabilised": True}),
    "lora, dora": Row("lora", 2e-3, {"lora.dora": True}),
    "lora, pissa": Row("lora", 1e-3, {"lora.start": "pissa"}),
    "qlora": Row("qlora", 2e-3),
    "qlora, fp4": Row("qlora", 2e-3, {"quantisation.kind": "fp4", "quantisation.double": False}),
    "qlora, 8 bits": Row("qlora", 2e-3, {"quantisation.bits": 8}, 0.1),
    "qlora, loftq, dora": Row("qlora", 2e-3, {"lora.start": "loftq", "lora.dora": True}),
    "ia3": Row("ia3", 1e-2),
    "prompt": Row("prompt", 2e-3),
    "p-tuning": Row("p-tuning", 2e-3),
    "prefix": Row("prefix", 1e-2),
}
REFUSED = {
    **{("bitfit", family): "M060" for family in ("llama", "t5", "modernbert", "gemma2")},
    ("top-layers", "albert"): "M061",
}
SOFT_CODES = ("M070", "M071")
STEPS = 6
MASKS = 7
"""Seed of dropout in every step: with the same weights left out each time, small steps must lower the loss."""
ALL_HEADS = ("full", "top-layers", "bitfit", "lora", "qlora", "ia3", "prompt", "prefix")
"""Methods that meet every kind of head with a BERT and a Llama."""


def heads_of(family: str) -> tuple[str, ...]:
    """The kinds of heads that the family can carry here; XLNet's language model says tokens in any order."""
    known = FAMILIES.get(family)
    if known is None:
        return ("language",)
    lacking = {"xlnet": ("language",), "opt": ("tokens", "span"), "gemma2": ("span",)}.get(family, ())
    return tuple(kind for kind in HEADS if kind not in lacking)


def cases() -> Iterator[tuple[str, str, str]]:
    """Every family with every method, and for two families most methods with every kind of head as well."""
    for i, family in enumerate(FAMILIES_HERE):
        heads = heads_of(family)
        for j, method in enumerate(METHODS):
            every = family in ("bert", "llama") and method in ALL_HEADS
            chosen = heads if every else (heads[(i + j) % len(heads)],)
            yield from ((family, kind, method) for kind in chosen)


Bases = Callable[[str, bool], Path]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    """Tiny bases by family, with or without their language head, made once."""
    root = tmp_path_factory.mktemp("wide")

    def base(family: str, language: bool) -> Path:
        folder = root / f"{family}{'-language' if language else ''}"
        return folder if folder.exists() else make_base(folder, family, width=WIDTH, language=language)

    return base


def made(folder: Path, kind: str) -> Ready:
    ready = speaking.speaker(folder) if kind == "language" else kinds.ready_kind(folder, kind)
    ready.model.use_flat_batches()
    return ready


def rows_of(ready: Ready) -> tuple[FlatBatch, Any]:
    """A batch, and for language what is to be said where."""
    if ready.model.kind.kind != "language":
        return ready.batch(kinds.EIGHT), None
    return writing.batch_of(ready) if ready.model.guesses == "target" else speaking.task_of(ready)


def loss(model: TaskModel, rows: tuple[FlatBatch, Any]) -> Tensor:
    batch, wanted = rows
    return kinds.loss(model, batch) if wanted is None else speaking.cost(model, batch, wanted)


def masked_loss(ready: Ready, rows: tuple[FlatBatch, Any]) -> float:
    """Of a step, under its dropout."""
    ready.model.train()
    ready.model.reseed(MASKS)
    with torch.no_grad():
        found = float(loss(ready.model, rows))
    ready.model.eval()
    return found


def adapted(ready: Ready, row: Row, changed: Mapping[str, Any] | None = None) -> Any:
    options = {**OPTIONS, **row.options, **(changed or {})}
    adapter = adaptations.adapt(ready.model, row.method, options, str(ready.place.folder), seed=3)
    if adapter is not None and ready.model.flat:
        dropout.install(ready.model, ready.model.stream)
    return adapter


def steps(ready: Ready, row: Row, first: int, last: int, state: Any = None) -> Any:
    """Train from step ``first`` to before ``last``, with dropout, as the engine does; returns what it would keep."""
    weights = Weights(ready.model, torch.float32)
    masters = weights.masters
    optimiser = torch.optim.AdamW(list(masters.values()), lr=row.rate)
    if state is not None:
        weights.load(state[0])
        optimiser.load_state_dict(copy.deepcopy(state[1]))
    rows = rows_of(ready)
    ready.model.train()
    for _ in range(first, last):
        ready.model.reseed(MASKS)
        optimiser.zero_grad()
        loss(ready.model, rows).backward()
        optimiser.step()
    ready.model.eval()
    known = {name: tensor.clone() for name, tensor in weights.state().items()}
    moments = optimiser.state_dict()
    kept = {n: {k: v.clone() for k, v in one.items()} for n, one in moments["state"].items()}
    return known, {**moments, "state": kept}


@contextlib.contextmanager
def switched_off(model: TaskModel, adapter: Any) -> Iterator[None]:
    soft = soft_reading.of(model.network)
    if soft is None:
        with adapter.disable_adapter():
            yield
        return
    soft.on = False
    copies = [module for module in model.network.modules() if hasattr(module, "original_module")]
    for module in copies:
        module.enable_adapters(False)
    try:
        yield
    finally:
        soft.on = True


@pytest.mark.parametrize(("family", "kind", "method"), list(cases()))
def test_trains_resumes_saves_loads_and_switches_off(wide: Bases, tmp_path: Path, family: str, kind: str, method: str):
    row, folder = METHODS[method], wide(family, kind == "language")
    ready = made(folder, kind)
    try:
        if row.method in soft_prompts.ADAPT:
            soft_prompts.refuse(ready.place, ready.model.network.config, row.method, ready.model.kind.kind)
        adapter = adapted(ready, row)
    except UserError as error:
        codes = SOFT_CODES if row.method in soft_prompts.ADAPT else (REFUSED.get((method, family)),)
        assert error.problems[0].code in codes, error
        assert error.problems[0].remedy
        return
    assert (method, family) not in REFUSED
    ready.model.eval()
    rows = rows_of(ready)
    before = masked_loss(ready, rows)
    with torch.no_grad():
        start = {name: p.clone() for name, p in Weights(ready.model, torch.float32).state().items()}
    half = steps(ready, row, 0, STEPS // 2)
    whole = steps(ready, row, STEPS // 2, STEPS, half)
    assert masked_loss(ready, rows) < before, "it did not learn"

    again = made(folder, kind)  # nothing but what a checkpoint keeps
    adapted(again, row)
    resumed = steps(again, row, STEPS // 2, STEPS, half)
    assert whole[0].keys() == resumed[0].keys() == start.keys()
    for name, tensor in whole[0].items():
        assert torch.equal(tensor, resumed[0][name]), name

    trained = whole[0]
    if starting.takes_from_base(row.method, {**OPTIONS, **row.options}):
        with torch.inference_mode():
            taken = ready.model(rows[0]).clone()
        changed, trained = starting.as_plain({**OPTIONS, **row.options}, start, trained)
        ready = made(folder, kind)
        adapter = adapted(ready, row, changed)
        Weights(ready.model, torch.float32).load(trained)
        ready.model.eval()
        with torch.inference_mode():
            torch.testing.assert_close(ready.model(rows[0]), taken, atol=1e-4 * float(taken.abs().max() + 1), rtol=1e-3)
    check_saved(ready, adapter, tmp_path / "model", row)
    if adapter is not None:
        check_off(made(folder, kind), ready, adapter)


def check_saved(ready: Ready, adapter: Any, folder: Path, row: Row) -> None:
    """The model comes back here, and in PEFT or transformers, as it was."""
    quantised = ready.model.quantised
    about = ready.about(adapter is not None, quantisation=None if quantised is None else quantised.scheme.to_json())
    saving.save(ready.model, adapter, ready.tokenizer, about, folder)
    loaded, _, known = saving.load(folder)
    assert known == about
    loaded.use_flat_batches()
    batch, wanted = rows_of(ready)
    with torch.inference_mode():
        ours, theirs = ready.model(batch), loaded(batch)
    scale = max(1.0, float(ours.abs().max()))
    torch.testing.assert_close(theirs, ours, atol=row.tolerance * scale, rtol=0)
    base = str(ready.place.folder)
    if wanted is not None:
        found = parity.nats(folder, about, base, batch.encoded, wanted, rows_at_once=2)
        np.testing.assert_allclose(found, _nats(ready.model, batch, wanted), rtol=max(1e-4, row.tolerance), atol=1e-3)
        return
    batch = ready.batch() if ready.model.kind.kind == "vectors" else ready.batch(pairs=SECONDS)
    found = parity.outputs(folder, about, base, batch.encoded, rows_at_once=2)
    averaged = 20.0 if ready.model.adds_first and adapter is None else 1.0  # tanh is linear to 1e-5 only
    np.testing.assert_allclose(found, ready.logits(batch).numpy(), atol=averaged * row.tolerance * scale, rtol=1e-3)


def _nats(model: TaskModel, batch: FlatBatch, wanted: Any) -> Any:
    return speaking.nats_by_row(model, batch, wanted)


def check_off(base: Ready, ready: Ready, adapter: Any) -> None:
    """Without the adapter, what reaches the head is the base's own, quantised as it is kept."""
    if ready.model.quantised is not None:
        from whet.models import quantising

        scheme = Scheme.from_json(ready.model.quantised.scheme.to_json())
        quantising.quantise(base.model, scheme)
    if base.model.flat and not ready.model.flat:  # a prefix is read padded
        base.model.use_padded_batches()
    batch, _ = rows_of(ready)
    base.model.eval()
    with torch.inference_mode(), switched_off(ready.model, adapter):
        off, own = ready.model.features(batch), base.model.features(batch)
    assert torch.equal(off, own), f"{float((off - own).abs().max())}"


def test_the_table_of_methods_is_whole() -> None:
    """But for contrastive, which moves the same weights as full by another loss (tests/workflows/test_few_shot.py), and
    quantised, which moves none (tests/models/test_rounding.py)."""
    assert {row.method for row in METHODS.values()} == set(adaptations.ADAPTATIONS) - {"contrastive", "quantised"}
    assert set(WRITERS) & set(FAMILIES_HERE) == {"t5", "bart"}
