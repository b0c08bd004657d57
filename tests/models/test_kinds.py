"""Every family with every kind of head: it learns, and what is saved says the same in plain libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from tests.made_models import DECODERS, ENCODERS, MORE_DECODERS, UNLISTED
from whet.batches.flat import FlatBatch
from whet.models import adaptations, parity, saving
from whet.models.families import FAMILIES

from .kinds import EIGHT, GOOD, KINDS, listed, overfit, ready_kind
from .ready import SECONDS, TEXTS, Ready, stir

Bases = Callable[..., Path]
LACKS = [("opt", "tokens"), ("gemma3_text", "tokens"), ("gemma3_text", "span")]
"""Heads for which transformers has no class."""
FAMILY_NAMES = (*ENCODERS, *DECODERS, *MORE_DECODERS, UNLISTED)
EVERY = [(family, kind) for family in FAMILY_NAMES for kind in KINDS if (family, kind) not in LACKS]
PECULIAR = ("bert", "modernbert", "xlnet", "t5", "llama", "gpt2", UNLISTED)
ADAPTED = [(family, kind) for family, kind in EVERY if kind in ("classes", "tokens") or family in PECULIAR]
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def plain_outputs(folder: Path, ready: Ready, text: str) -> Tensor:
    """One text alone through the classes that people use, its own tokenising included: (1 or T, width)."""
    kind, model = ready.model.kind, ready.model
    if kind.kind == "vectors" or kind.pooling is not None:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu").encode([text], convert_to_tensor=True)
    tagger = model.family is not None and model.family.span_is_tagger
    cls = {
        "classes": transformers.AutoModelForSequenceClassification,
        "value": transformers.AutoModelForSequenceClassification,
        "tokens": transformers.AutoModelForTokenClassification,
        "span": transformers.AutoModelForTokenClassification if tagger else transformers.AutoModelForQuestionAnswering,
    }[kind.kind]
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        said = cls.from_pretrained(folder).eval()(**inputs)
    if "start_logits" in said:
        return torch.stack([said.start_logits[0], said.end_logits[0]], -1)
    return said.logits if model.level == "text" else said.logits[0]


def check_saved(ready: Ready, folder: Path, tolerance: dict[str, float]) -> None:
    """Saved and loaded by us, by plain libraries batched, and by plain libraries one text alone."""
    before = ready.logits()
    about = ready.about()
    saving.save(ready.model, None, ready.tokenizer, about, folder)
    loaded, tokenizer, known = saving.load(folder)
    assert known == about
    again = replace(ready, model=loaded, tokenizer=tokenizer)
    torch.testing.assert_close(again.logits(), before, **CLOSE)
    for pairs in (None, SECONDS):
        batch = ready.batch(pairs=pairs)
        found = parity.outputs(folder, about, "", batch.encoded, rows_at_once=2)
        np.testing.assert_allclose(found, ready.logits(batch).numpy(), **tolerance)
    alone = plain_outputs(folder, ready, TEXTS[0])
    here = before[: len(alone)]
    np.testing.assert_allclose(alone.numpy(), here.numpy(), **tolerance)


def one_by_one(ready: Ready, pairs: tuple[str, ...] | None) -> Tensor:
    rows = [ready.batch((text,), None if pairs is None else (pairs[n],)) for n, text in enumerate(TEXTS)]
    return torch.cat([ready.logits(row) for row in rows])


@pytest.mark.parametrize(("family", "kind"), EVERY)
def test_a_family_with_a_head(bases: Bases, tmp_path: Path, family: str, kind: str):
    ready = ready_kind(bases(family, plain=True), kind)
    model = ready.model
    batch: FlatBatch = ready.batch(EIGHT)
    can_be_flat = listed(family) and FAMILIES[family].flat
    assert model.use_flat_batches() == can_be_flat

    value = overfit(model, batch)
    assert value < GOOD[kind], f"{family} did not learn eight rows: loss {value:.3f}"

    for pairs in (None, SECONDS):
        flat = ready.logits(ready.batch(pairs=pairs))
        assert flat.dtype == torch.float32
        assert float(flat.std(0).mean()) > 0.02, "rows so much alike that they say nothing about an equality"
        torch.testing.assert_close(one_by_one(ready, pairs), flat, **CLOSE, msg=lambda m: f"alone: {m}")
        if can_be_flat:
            model.use_padded_batches()
            padded = ready.logits(ready.batch(pairs=pairs))
            torch.testing.assert_close(padded, flat, **CLOSE, msg=lambda m: f"padded: {m}")
            model.use_flat_batches()

    averaged = model.adds_first  # tanh is linear to 1e-5 only
    check_saved(ready, tmp_path / "model", {"atol": 2e-3 if averaged else 5e-5, "rtol": 1e-3})


@pytest.mark.parametrize(("family", "kind"), ADAPTED)
def test_an_adapter_with_a_head(bases: Bases, tmp_path: Path, family: str, kind: str):
    ready = ready_kind(bases(family, plain=True), kind)
    before = ready.logits()
    adapter = adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    ready.model.eval()
    torch.testing.assert_close(ready.logits(), before, **CLOSE, msg=lambda m: f"a fresh adapter changes nothing: {m}")
    moved = [m for n, m in ready.model.network.named_modules() if n.endswith(("lora_A", "lora_B"))]
    stir(*moved, *([] if ready.model.head is None else [ready.model.head]))
    assert ready.model.use_flat_batches() == (listed(family) and FAMILIES[family].flat)
    after = ready.logits()
    assert not torch.allclose(after, before, atol=1e-3)
    about = ready.about(adapter=True)
    folder = tmp_path / "model"
    saving.save(ready.model, adapter, ready.tokenizer, about, folder)
    loaded, tokenizer, known = saving.load(folder)
    assert known == about
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=tokenizer).logits(), after, **CLOSE)
    for pairs in (None, SECONDS):
        batch = ready.batch(pairs=pairs)
        found = parity.outputs(folder, about, str(ready.place.folder), batch.encoded, rows_at_once=2)
        np.testing.assert_allclose(found, ready.logits(batch).numpy(), atol=5e-5, rtol=1e-3)
