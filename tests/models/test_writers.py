"""Encoder-decoders as language models: they say what plain transformers says, learn, and come through their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

from tests.made_models import POSITIONS, WRITERS, config, make_base
from whet.batches import flat
from whet.errors import UserError
from whet.generation.loop import Sampling, generate
from whet.kernels.token_loss import token_loss
from whet.models import adaptations, growth, language, networks, parity, saving, sequences
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer, longest_input, refuse_unusable
from whet.models.places import find
from whet.models.work import flops_per_token

from .kinds import ready_kind
from .ready import Ready, apart, stir
from .speaking import cost, nats_by_row, overfit_words
from .writing import NAMED, SOURCES, TARGETS, batch_of, begins, of_target, plain_logits, rows, writer

Bases = Callable[..., Path]
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
NEW = ("reimburse", "xq-7")
BIASED = ("bart", "mbart", "marian")
"""Families whose class adds to the logits."""


def about_of(ready: Ready, adapter: bool = False) -> saving.About:
    return ready.about(adapter, task="translation")


def written(network: Any, ready: Ready) -> list[list[int]]:
    given = np.asarray(begins(ready), np.int64)
    sources = [np.asarray(one) for one in rows(ready)[0]]
    return [one.ids for one in generate(network, ready.tokenizer, sources, Sampling(max_tokens=8), begins=given)]


def written_by(folder: Path, text: str) -> list[int]:
    """As the folder's user would: nothing is said but the text."""
    inputs = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    known = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    network = AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    found: list[int] = network.generate(**known, max_new_tokens=9, do_sample=False, forced_eos_token_id=None)[
        0
    ].tolist()
    return found


@pytest.mark.parametrize("family", WRITERS)
def test_logits_are_those_of_plain_transformers(bases: Bases, family: str):
    ready = writer(bases(family, language=True))
    model = ready.model
    assert (model.guesses, model.level, model.flat) == ("target", "token", False)
    assert (model.fresh, model.left_out, model.origin.notes) == ((), (), [])
    assert not model.use_flat_batches()
    assert "looks at another" in model.why_padded
    batch, _ = batch_of(ready)
    said = ready.logits(batch)
    assert said.shape == (batch.num_tokens, model.width)
    plain = AutoModelForSeq2SeqLM.from_pretrained(ready.place.folder).eval()
    for number, (source, target) in enumerate(zip(*rows(ready), strict=True)):
        theirs = plain_logits(plain, source, target)
        torch.testing.assert_close(said[of_target(batch, number)], theirs, **CLOSE)
    assert apart(said)


@pytest.mark.parametrize("family", WRITERS)
def test_features_stand_at_targets_and_may_be_chosen(bases: Bases, family: str):
    ready = writer(bases(family, language=True))
    batch, _ = batch_of(ready)
    with torch.inference_mode():
        features = ready.model.features(batch)
        assert features.shape == (batch.num_tokens, ready.model.feature_width)
        targets = torch.zeros(batch.num_tokens, dtype=torch.bool)
        for number in range(len(batch.rows)):
            targets[of_target(batch, number)] = True
        assert not features[~targets].any()
        assert bool(features[targets].any(1).all())
        chosen = torch.tensor([int(targets.nonzero()[2]), int(targets.nonzero()[-1])])
        torch.testing.assert_close(ready.model.logits(features[chosen]), ready.model(batch)[chosen], **CLOSE)


@pytest.mark.parametrize("family", WRITERS)
def test_a_batch_changes_nothing_and_nothing_is_seen_ahead(bases: Bases, family: str):
    ready = writer(bases(family, language=True))
    batch, _ = batch_of(ready)
    whole = ready.logits(batch)
    for number in range(len(SOURCES)):
        alone = flat.make(batch.encoded, np.array([number]), None)
        torch.testing.assert_close(ready.logits(alone)[of_target(alone, 0)], whole[of_target(batch, number)], **CLOSE)
    other, _ = batch_of(ready, SOURCES[:1], ("the card has cancel phone yet",))
    same = len(begins(ready)) + 3
    first, second = whole[of_target(batch, 0)], ready.logits(other)[of_target(other, 0)]
    torch.testing.assert_close(first[:same], second[:same], **CLOSE)
    assert not torch.allclose(first[same:], second[same:], atol=1e-2)


@pytest.mark.parametrize("family", WRITERS)
def test_what_a_class_adds_is_among_the_logits_and_in_the_loss(bases: Bases, family: str):
    ready = writer(bases(family, language=True))
    model = ready.model
    batch, wanted = batch_of(ready)
    assert (model.logit_bias is not None) == (family in BIASED)
    some = torch.from_numpy(wanted >= 0)
    ids = torch.from_numpy(wanted)[some]
    counts = torch.ones(len(ids))
    features = model.features(batch)[some]
    total = token_loss(features, model.linear_head.weight, model.logit_bias, ids, counts)
    assert float(total.detach()) == pytest.approx(float(nats_by_row(model, batch, wanted).sum()), rel=1e-5)
    if model.logit_bias is not None:
        model.network.final_logits_bias.zero_()
        assert model.logit_bias is None


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_the_bias_of_a_layer_is_its_own(bases: Bases, family: str):
    model = writer(bases(family, language=True)).model
    assert model.logit_bias is model.linear_head.bias


@pytest.mark.parametrize("family", WRITERS)
def test_gradients_are_those_of_plain_transformers(bases: Bases, family: str):
    ready = writer(bases(family, language=True))
    batch, wanted = batch_of(ready)
    adaptations.adapt_full(ready.model)
    cost(ready.model, batch, wanted).backward()
    ours = {name.removeprefix("network."): p.grad for name, p in ready.model.named_parameters() if p.grad is not None}
    plain = AutoModelForSeq2SeqLM.from_pretrained(ready.place.folder).eval()
    given = len(begins(ready))
    total, count = torch.zeros(()), 0
    for source, target in zip(*rows(ready), strict=True):
        logits = plain(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([target])).logits[0]
        true = torch.tensor(target[given:])
        total = total + torch.nn.functional.cross_entropy(logits[given - 1 : -1], true, reduction="sum")
        count += len(true)
    (total / count).backward()
    theirs = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
    assert ours.keys() == theirs.keys()
    for name, grad in theirs.items():
        scale = float(grad.abs().max())
        torch.testing.assert_close(ours[name], grad, atol=1e-5 + 1e-4 * scale, rtol=1e-3, msg=name)


@pytest.mark.parametrize("family", WRITERS)
def test_it_learns_pairs_and_comes_through_its_files(bases: Bases, tmp_path: Path, family: str):
    ready = writer(bases(family, language=True))
    model, folder = ready.model, tmp_path / "model"
    assert model.shares_embedding
    adaptations.adapt_full(model)
    batch, wanted = batch_of(ready)
    assert any(overfit_words(model, batch, wanted, 0.05) < 0.05 for _ in range(4))
    sequences.declare(model.network, begins(ready))
    said = written(model.network, ready)
    expected = [one[len(begins(ready)) :] for one in rows(ready)[1]]
    assert said == [one[:8] for one in expected]

    about = about_of(ready)
    saving.save(model, None, ready.tokenizer, about, folder)
    before, mine = ready.logits(batch), nats_by_row(model, batch, wanted)
    loaded, tokenizer, known = saving.load(folder)
    assert known == about
    assert loaded.shares_embedding
    again = replace(ready, model=loaded, tokenizer=tokenizer)
    torch.testing.assert_close(again.logits(batch), before, **CLOSE)
    assert rows(again) == rows(ready)
    assert written(loaded.network, again) == said
    found = parity.nats(folder, about, "", batch.encoded, wanted, rows_at_once=3)
    np.testing.assert_allclose(found, mine, atol=1e-3)
    assert not found[0::2].any()
    plain, info = AutoModelForSeq2SeqLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert plain.get_output_embeddings().weight is plain.get_input_embeddings().weight
    for name, value in model.network.state_dict().items():
        assert torch.equal(plain.state_dict()[name], value), name
    for text, ids in zip(SOURCES, expected, strict=True):
        assert written_by(folder, text)[: len(begins(ready)) + 8] == [*begins(ready), *ids][: len(begins(ready)) + 8]


@pytest.mark.parametrize("family", WRITERS)
def test_what_is_saved_says_how_targets_begin_and_end(bases: Bases, tmp_path: Path, family: str):
    ready = writer(bases(family, language=True))
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    start = ready.model.network.config.decoder_start_token_id
    assert settings.get("decoder_start_token_id") == start
    assert (start is None) == (family == "mbart"), "which starts with a language"
    assert settings["eos_token_id"] == ready.tokenizer.eos_token_id
    assert settings["pad_token_id"] == ready.tokenizer.pad_token_id
    assert settings.get("forced_bos_token_id") == (ready.tokenizer.bos_token_id if family == "bart" else None)
    words = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert words.padding_side == "right"


@pytest.mark.parametrize("family", WRITERS)
def test_an_adapter_comes_through_its_files_and_is_merged(bases: Bases, tmp_path: Path, family: str):
    ready = writer(bases(family, language=True))
    model, folder = ready.model, tmp_path / "model"
    batch, wanted = batch_of(ready)
    before = ready.logits(batch)
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    model.eval()
    torch.testing.assert_close(ready.logits(batch), before, **CLOSE)
    moving = {n for n, p in model.named_parameters() if p.requires_grad}
    assert all("lora_" in name for name in moving)
    assert {any(f"{half}." in name for name in moving) for half in ("encoder", "decoder")} == {True}
    stir(*[m for n, m in model.network.named_modules() if n.endswith(("lora_A", "lora_B"))])
    after = ready.logits(batch)
    assert not torch.allclose(after, before, atol=1e-2)
    about = about_of(ready, adapter=True)
    saving.save(model, adapter, ready.tokenizer, about, folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["task_type"] == "SEQ_2_SEQ_LM"
    loaded, tokenizer, _ = saving.load(folder)
    again = replace(ready, model=loaded, tokenizer=tokenizer)
    torch.testing.assert_close(again.logits(batch), after, **CLOSE)
    assert written(loaded.network, again) == written(model.network, ready)
    found = parity.nats(folder, about, str(ready.place.folder), batch.encoded, wanted)
    np.testing.assert_allclose(found, nats_by_row(model, batch, wanted), atol=1e-3)
    model.network = adapter.merge_and_unload()
    torch.testing.assert_close(ready.logits(batch), after, atol=1e-3, rtol=1e-3)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "merged")
    merged, _, _ = saving.load(tmp_path / "merged")
    torch.testing.assert_close(replace(ready, model=merged).logits(batch), after, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("family", WRITERS)
def test_rates_and_frozen_tables(bases: Bases, family: str):
    model = writer(bases(family, language=True)).model
    adaptations.adapt_full(model)
    groups = adaptations.rate_groups(model)
    assert not any(group.is_head for group in groups)
    fixed = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert all("embed_positions" in name for name in fixed), "tables of sines"
    assert bool(fixed) == (family == "marian")
    decays = {id(p) for group in groups if group.decays for _, p in group.parameters}
    assert id(model.linear_head.weight) not in decays, "it is the table of embeddings"
    assert not model.compact_embedding(torch.tensor([5, 6, 7]))


@pytest.mark.parametrize("family", ["t5", "marian", "m2m_100"])
def test_it_trains_in_bf16_with_one_master_of_a_tied_table(bases: Bases, family: str):
    from whet.engine.precision import Weights

    ready = writer(bases(family, language=True))
    model = ready.model
    adaptations.adapt_full(model)
    batch, wanted = batch_of(ready)
    exact = float(cost(model, batch, wanted).detach())
    weights = Weights(model, torch.bfloat16, exact=[])
    rough = cost(model, batch, wanted)
    assert abs(float(rough.detach()) - exact) < 0.15 * exact
    rough.backward()
    table = model.trunk.get_input_embeddings().weight
    assert sum(p is table for p in weights.trained.values()) == 1
    with torch.no_grad():
        for master in weights.masters.values():
            master.sub_(0.002 * master.grad.sign())
    weights.publish()
    assert float(cost(model, batch, wanted).detach()) < float(rough.detach())


# --- two tables -----------------------------------------------------------------------------------------


def two_tables(folder: Path) -> None:
    """Make the last layer of a base another one than its table of embeddings, as mT5's is."""
    state = load_file(folder / "model.safetensors")
    name = "shared.weight" if "shared.weight" in state else "model.shared.weight"
    state["lm_head.weight"] = state[name].flip(0).contiguous()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("family", WRITERS)
@pytest.mark.parametrize("added", [(), NEW], ids=["as it is", "grown"])
def test_two_tables_stay_two(tmp_path: Path, family: str, added: tuple[str, ...]):
    folder = make_base(tmp_path / "base", family, language=True)
    two_tables(folder)
    ready = writer(folder, add_tokens=added)
    model = ready.model
    assert not model.shares_embedding
    old = load_file(folder / "model.safetensors")["lm_head.weight"]
    assert torch.equal(model.linear_head.weight[: len(old)], old)
    batch, wanted = batch_of(ready)
    adaptations.adapt_full(model)
    overfit_words(model, batch, wanted, 1.0)
    before = ready.logits(batch)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    assert not loaded.shares_embedding
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)
    found = parity.nats(tmp_path / "model", about_of(ready), "", batch.encoded, wanted)
    np.testing.assert_allclose(found, nats_by_row(model, batch, wanted), atol=1e-3)


def test_outputs_of_a_t5_without_scaling_are_not_scaled(tmp_path: Path):
    """A file of T5 1.1 says so by saying that its tables are not tied."""
    folder = make_base(tmp_path / "base", "t5", language=True)
    two_tables(folder)
    scaled = writer(folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["tie_word_embeddings"] = False
    settings.pop("scale_decoder_outputs")
    (folder / "config.json").write_text(json.dumps(settings))
    ready = writer(folder)
    batch, wanted = batch_of(ready)
    theirs = scaled.model.features(batch) * scaled.model.feature_width**0.5
    torch.testing.assert_close(ready.model.features(batch), theirs, **CLOSE)
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    again, _, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(again.features(batch), theirs, **CLOSE)
    found = parity.nats(tmp_path / "model", about_of(ready), "", batch.encoded, wanted)
    np.testing.assert_allclose(found, nats_by_row(ready.model, batch, wanted), atol=1e-3)


def two_vocabularies(folder: Path) -> Path:
    """A Marian whose halves know words of their own."""
    make_base(folder, "marian", language=True, share_encoder_decoder_embeddings=False)
    return folder


def test_halves_with_words_of_their_own(tmp_path: Path):
    ready = writer(two_vocabularies(tmp_path / "base"))
    model = ready.model
    assert model.shares_embedding, "the last layer and the table of the half that writes"
    batch, wanted = batch_of(ready)
    adaptations.adapt_full(model)
    assert overfit_words(model, batch, wanted, 0.5) < 0.5
    before = ready.logits(batch)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)
    with pytest.raises(UserError, match=r"M012.*two halves"):
        writer(tmp_path / "base", add_tokens=NEW)


# --- growth ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", WRITERS)
def test_new_words_can_be_read_and_said(bases: Bases, tmp_path: Path, family: str):
    folder = bases(family, language=True)
    old, ready = writer(folder), writer(folder, add_tokens=NEW)
    model = ready.model
    numbers = list(model.origin.new_tokens)
    assert len(numbers) == 2
    assert model.width == len(ready.tokenizer) == old.model.width + 2
    assert model.shares_embedding
    same, _ = batch_of(old)
    torch.testing.assert_close(ready.logits(same)[:, : old.model.width], old.logits(same), **CLOSE)
    for word, number in zip(NEW, sorted(numbers), strict=True):
        parts = growth.parts(old.tokenizer, word)
        for now, before in (
            (model.linear_head.weight, old.model.linear_head.weight),
            (model.logit_bias, old.model.logit_bias),
        ):
            if before is not None:
                torch.testing.assert_close(now[number], before[parts].mean(0))
    batch, wanted = batch_of(ready, ("i want to reimburse the xq-7",), ("xq-7 is my reimburse",))
    assert set(numbers) <= set(batch.input_ids[0].tolist())
    before = ready.logits(batch)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    assert loaded.shares_embedding
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)
    found = parity.nats(tmp_path / "model", about_of(ready), "", batch.encoded, wanted)
    np.testing.assert_allclose(found, nats_by_row(model, batch, wanted), atol=1e-3)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_new_words_alone_move_beside_an_adapter(bases: Bases, tmp_path: Path, family: str):
    ready = writer(bases(family, language=True), add_tokens=NEW)
    model = ready.model
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=1)
    model.eval()
    table = model.linear_head.weight
    old = table.detach().clone()
    batch, wanted = batch_of(ready, ("i want to reimburse the xq-7",), ("xq-7 is my reimburse",))
    groups = adaptations.rate_groups(model)
    settings = [{"params": [p for _, p in g.parameters], "weight_decay": 0.1 * g.decays} for g in groups]
    optimiser = torch.optim.AdamW(settings, lr=0.1)
    for _ in range(2):
        cost(model, batch, wanted).backward()
        optimiser.step()
        optimiser.zero_grad()
    assert (table != old).any(1).nonzero()[:, 0].tolist() == list(model.origin.new_tokens)
    before = ready.logits(batch)
    model.network = adapter.merge_and_unload()
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(
        replace(ready, model=loaded, tokenizer=words).logits(batch), before, atol=1e-3, rtol=1e-3
    )


def test_positions_of_halves_are_not_extended(bases: Bases):
    for family in ("bart", "marian"):
        with pytest.raises(UserError, match="M010"):
            writer(bases(family, language=True), max_length=70)
    place = find(str(bases("bart", language=True)))
    assert longest_input(place, load_tokenizer(place)) <= POSITIONS
    writer(bases("t5", language=True), max_length=70)  # which knows distances only


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", WRITERS)
def test_a_base_is_looked_at_before_it_is_loaded(bases: Bases, family: str):
    place = find(str(bases(family, language=True)))
    refuse_unusable(place, "language", "auto")
    assert language.guesses_of(place) == "target"


@pytest.mark.parametrize("family", WRITERS)
def test_weights_that_are_missing_are_told(tmp_path: Path, family: str):
    folder = make_base(tmp_path / "base", family, language=True)
    state = load_file(folder / "model.safetensors")
    gone = next(name for name in state if "decoder" in name and name.endswith("weight") and "norm" not in name)
    save_file({n: v for n, v in state.items() if n != gone}, folder / "model.safetensors", metadata={"format": "pt"})
    place = find(str(folder))
    with pytest.raises(UserError, match=r"M007.*not complete"):
        load_model(place, Head("language"), load_tokenizer(place), 1)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_half_that_reads_alone_writes_nothing(tmp_path: Path, family: str):
    folder = make_base(tmp_path / "base", family, language=True)
    state = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in state.items() if "decoder" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    place = find(str(folder))
    with pytest.raises(UserError, match=r"M007.*not complete"):
        load_model(place, Head("language"), load_tokenizer(place), 1)


@pytest.mark.parametrize("family", ["mt5", "bart"])
def test_a_last_layer_that_is_missing_and_not_tied_is_told(tmp_path: Path, family: str):
    """transformers would tie mT5's to the embeddings, which it was not trained with."""
    folder = make_base(tmp_path / "base", family, language=True)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | {"tie_word_embeddings": False}))
    with pytest.raises(UserError, match=r"M008.*layer over its vocabulary"):
        refuse_unusable(find(str(folder)), "language", "auto")


def test_a_saved_model_that_lost_a_weight_is_told(bases: Bases, tmp_path: Path):
    ready = writer(bases("bart", language=True))
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    state = load_file(tmp_path / "model" / "model.safetensors")
    for gone in ("model.decoder.layers.1.encoder_attn.q_proj.weight", "final_logits_bias"):
        kept = {name: value for name, value in state.items() if name != gone}
        save_file(kept, tmp_path / "model" / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(UserError, match="M032"):
            saving.load(tmp_path / "model")


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_a_tuned_writer_is_a_base_for_other_heads(bases: Bases, tmp_path: Path, family: str):
    ready = writer(bases(family, language=True))
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    for kind in ("classes", "vectors"):
        model = ready_kind(tmp_path / "model", kind).model
        known = ready.model.trunk.state_dict()
        same = [n for n, v in model.trunk.state_dict().items() if n in known and torch.equal(v, known[n])]
        assert len(same) > 10


def test_a_mixture_of_experts_is_refused():
    experts = AutoConfig.for_model("switch_transformers")
    assert networks.guesses(experts) is None
    assert "mixture of experts" in networks.why_no_language(experts)


# --- work -----------------------------------------------------------------------------------------------


def test_each_half_works_on_its_own_tokens(bases: Bases):
    model = writer(bases("bart", language=True)).model
    adaptations.adapt_full(model)
    few, some, all_said = (flops_per_token(model, 10.0, share) for share in (0.0, 0.5, 1.0))
    matrices = {
        half: sum(
            p.numel()
            for n, p in model.network.named_parameters()
            if n.startswith(f"model.{half}.layers") and p.ndim > 1
        )
        for half in ("encoder", "decoder")
    }
    last = model.linear_head.weight.numel()
    assert all_said - few == 6.0 * (matrices["decoder"] + last - matrices["encoder"])
    assert some == pytest.approx((few + all_said) / 2)


def test_a_batch_of_single_texts_is_a_mistake(bases: Bases):
    ready = writer(bases("t5", language=True))
    with pytest.raises(ValueError, match="sources and targets"):
        ready.model.features(ready.batch())


def test_settings_stand_in_either_file(tmp_path: Path):
    folder = make_base(tmp_path / "base", "bart", language=True)
    settings = json.loads((folder / "config.json").read_text())
    del settings["decoder_start_token_id"]
    (folder / "config.json").write_text(json.dumps(settings))
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(generation | {"decoder_start_token_id": 5}))
    ready = writer(folder)
    assert sequences.start_id(ready.model.network.config) == 5
    (folder / "config.json").write_text(json.dumps(settings | {"decoder_start_token_id": 3}))
    assert sequences.start_id(writer(folder).model.network.config) == 3
    assert config("bart", 50, 1).decoder_start_token_id == 3
    assert NAMED.keys() < set(WRITERS)
    assert len(TARGETS) == len(SOURCES)
