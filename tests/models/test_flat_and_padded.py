"""Batches without padding give the logits of padded ones, family by family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.made_models import BERT_LIKE, DECODERS, ENCODERS, FAMILIES, POSITIONS
from whet.models import flat_attention, task_model
from whet.models.families import FAMILIES as TABLE

from .kinds import ready_kind
from .ready import SECONDS, TEXTS, Ready, apart

Made = Callable[..., Ready]
CASES = [
    (family, pooling)
    for family in FAMILIES
    for pooling in (None, "mean", "first", "last")
    if (family, pooling) != ("llama", "first")  # a causal model's first token knows nothing of the rest
]


@pytest.mark.parametrize("pairs", [None, SECONDS], ids=["single", "pairs"])
@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_flat_logits_equal_padded_ones(made: Made, family: str, pooling: str | None, pairs: tuple[str, ...] | None):
    ready = made(family, pooling)
    batch = ready.batch(pairs=pairs)
    assert batch.num_tokens > POSITIONS, "more tokens than positions, so that a batch is no sequence"
    padded = ready.logits(batch)
    assert ready.model.use_flat_batches()
    flat = ready.logits(batch)
    assert apart(padded), padded
    torch.testing.assert_close(flat, padded, atol=1e-5, rtol=1e-5)
    ready.model.use_padded_batches()
    torch.testing.assert_close(ready.logits(batch), padded, atol=1e-6, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_native_logits_are_those_of_plain_transformers(made: Made, family: str):
    ready = made(family, None)
    inputs = ready.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    with torch.inference_mode():
        plain = ready.model.network(**inputs).logits
    torch.testing.assert_close(ready.logits(), plain, atol=1e-5, rtol=1e-5)
    ready.model.use_flat_batches()
    torch.testing.assert_close(ready.logits(), plain, atol=1e-5, rtol=1e-5)


def test_token_types_of_pairs_reach_bert(made: Made):
    ready = made("bert", None)
    inputs = ready.tokenizer(list(TEXTS), list(SECONDS), padding=True, return_tensors="pt")
    assert inputs["token_type_ids"].sum() > 0
    with torch.inference_mode():
        plain = ready.model.network(**inputs).logits
        without = ready.model.network(**{k: v for k, v in inputs.items() if k != "token_type_ids"}).logits
    ready.model.use_flat_batches()
    found = ready.logits(ready.batch(pairs=SECONDS))
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    assert (plain - without).abs().max() > 0.01


@pytest.mark.parametrize("family", BERT_LIKE)
def test_gradients_of_flat_batches_equal_those_of_padded_ones(made: Made, family: str):
    def gradients(flat: bool) -> dict[str, torch.Tensor]:
        ready = made(family, "mean")  # in evaluation mode, since dropout draws differ
        if flat:
            ready.model.use_flat_batches()
        ready.model(ready.batch()).square().sum().backward()
        return {n: p.grad for n, p in ready.model.named_parameters() if p.grad is not None}

    plain, fast = gradients(flat=False), gradients(flat=True)
    assert plain.keys() == fast.keys()
    for name, grad in plain.items():
        torch.testing.assert_close(fast[name], grad, atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_neighbour_changes_nothing(made: Made, family: str):
    ready = made(family, None)
    ready.model.use_flat_batches()
    together = ready.logits()
    for number, text in enumerate(TEXTS):
        alone = ready.logits(ready.batch((text,)))
        torch.testing.assert_close(together[number : number + 1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("texts", [TEXTS, ("where is my card", "i want a refund")], ids=["uneven", "even"])
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_that_fill_a_batch_up_change_nothing(
    made: Made, family: str, texts: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    def found() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        ready = made(family, None)
        ready.model.use_flat_batches()
        logits = ready.model(ready.batch(texts))
        logits.square().sum().backward()
        return logits.detach(), {n: p.grad for n, p in ready.model.named_parameters() if p.grad is not None}

    plain, by_weight = found()
    monkeypatch.setattr(task_model.TaskModel, "_is_compiled_by_shape", True)
    monkeypatch.setattr(task_model, "filled", lambda where: replace(where, extra=7))
    filled, same = found()
    torch.testing.assert_close(filled, plain, atol=1e-5, rtol=1e-5)
    assert same.keys() == by_weight.keys()
    for name, grad in by_weight.items():
        torch.testing.assert_close(same[name], grad, atol=1e-4, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


def test_only_bf16_on_a_cpu_is_filled_up(made: Made):
    model = made("bert", "mean").model
    assert not model._is_compiled_by_shape
    assert model.to(torch.bfloat16)._is_compiled_by_shape


def test_rows_of_equal_length_take_the_path_without_slots(made: Made):
    ready = made("bert", "mean")
    batch = ready.batch(("where is my card", "i want a refund", "please cancel the order"))
    assert batch.where.slots is None
    padded = ready.logits(batch)
    ready.model.use_flat_batches()
    torch.testing.assert_close(ready.logits(batch), padded, atol=1e-5, rtol=1e-5)


def test_dropout_is_drawn_from_the_seed_and_absent_in_evaluation(made: Made):
    model = (ready := made("bert", "mean")).model
    model.use_flat_batches()
    still = ready.logits()
    model.train()
    drawn = []
    for seed in (1, 1, 2):
        model.reseed(seed)
        drawn.append(ready.logits())
    model.eval()
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.allclose(drawn[0], drawn[2])
    assert not torch.allclose(drawn[0], still)
    assert torch.equal(ready.logits(), still)


def test_flat_attention_refuses_to_run_without_boundaries(made: Made):
    model = made("bert", "mean").model
    model.use_flat_batches()
    with pytest.raises(ValueError, match="needs the layout"):
        model.network(input_ids=torch.ones(1, 4, dtype=torch.int64))


def test_an_unlisted_family_stays_padded(made: Made):
    ready = made("bert", "mean")
    ready.model.family = None
    assert not ready.model.use_flat_batches()
    assert not ready.model.flat
    assert "'bert' is not a family known" in ready.model.why_padded


def test_why_batches_are_padded_is_said(bases: Callable[..., Path]):
    for family in (*ENCODERS, *DECODERS):
        model = ready_kind(bases(family, plain=True), "tokens").model
        assert bool(model.why_padded) != TABLE[family].flat
    model.network.config.is_causal = False
    assert "causal" in model.why_padded


@pytest.mark.parametrize("family", (*ENCODERS, *DECODERS))
def test_compact_embedding_gives_the_same_logits_and_comes_off_again(bases: Callable[..., Path], family: str):
    ready = ready_kind(bases(family, plain=True), "tokens")
    ready.model.use_flat_batches()
    before = ready.logits()
    table = {n: p.clone() for n, p in ready.model.named_parameters() if "embed" in n}
    used = torch.from_numpy(ready.batch().encoded.used(len(ready.tokenizer)))
    assert ready.model.compact_embedding(used)
    torch.testing.assert_close(ready.logits(), before, atol=1e-6, rtol=0)
    assert not ready.model.compact_embedding(used), "not a plain table any more"
    ready.model(ready.batch()).square().sum().backward()
    rows = ready.model.trunk.get_input_embeddings().rows
    assert rows.grad is not None
    assert rows.grad.any()
    ready.model.dense_embedding()
    assert torch.equal(ready.logits(), before)
    assert {n: p.shape for n, p in ready.model.named_parameters() if "embed" in n}.items() == {
        n: t.shape for n, t in table.items()
    }.items()


@pytest.mark.parametrize("kind", ["tokens", "span", "value", "vectors"])
@pytest.mark.parametrize("family", [f for f in (*ENCODERS, *DECODERS) if TABLE[f].flat])
def test_gradients_are_those_of_padded_batches(bases: Callable[..., Path], family: str, kind: str):
    def gradients(flat: bool) -> dict[str, torch.Tensor]:
        model = (ready := ready_kind(bases(family, plain=True), kind)).model
        if flat:
            assert model.use_flat_batches()
        model(ready.batch()).square().sum().backward()
        return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}

    plain, fast = gradients(flat=False), gradients(flat=True)
    assert plain.keys() == fast.keys()
    for name, grad in plain.items():
        scale = float(grad.abs().max())
        torch.testing.assert_close(
            fast[name], grad, atol=1e-5 + 1e-4 * scale, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_positions_follow_another_pad_token(bases: Callable[..., Path]):
    ready = ready_kind(bases("roberta", plain=True), "tokens")
    network = ready.model.network
    network.config.pad_token_id = ready.model.pad_id = network.base_model.embeddings.padding_idx = 0
    batch = ready.batch(("where is my card", "i want a refund for this item", "help"))
    padded = ready.logits(batch)
    assert ready.model.use_flat_batches()
    torch.testing.assert_close(ready.logits(batch), padded, atol=1e-5, rtol=1e-5)


def test_local_attention_is_local(bases: Callable[..., Path]):
    """A token far away moves a model that sees everything, and leaves one alone that sees its neighbours."""
    for family, moves in (("mistral", False), ("llama", True)):
        ready = ready_kind(bases(family, plain=True), "tokens")
        assert ready.model.use_flat_batches()
        rest = "where is my card " * 5
        first, second = (ready.logits(ready.batch((f"{word} {rest}",))) for word in ("help", "card"))
        assert torch.allclose(first[-1], second[-1], atol=1e-6) != moves, family


def test_a_decoder_reads_the_last_token_that_is_no_padding(bases: Callable[..., Path]):
    """As transformers does, where the pad token ends a text."""
    ready = ready_kind(bases("llama", plain=True), "classes")
    texts = ("where is my card <pad>", "help", "<pad>")
    inputs = ready.tokenizer(list(texts), padding=True, return_tensors="pt")
    with torch.inference_mode():
        plain = ready.model.network(**inputs).logits
    batch = ready.batch(texts)
    torch.testing.assert_close(ready.logits(batch)[:2], plain[:2], atol=1e-5, rtol=1e-5)
    ready.model.use_flat_batches()
    torch.testing.assert_close(ready.logits(batch)[:2], plain[:2], atol=1e-5, rtol=1e-5)


def test_flat_attention_is_in_the_public_registry():
    from transformers import AttentionInterface

    flat_attention.register()
    flat_attention.register()
    assert AttentionInterface()[flat_attention.NAME] is flat_attention.for_transformers
