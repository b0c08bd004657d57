"""Language heads, family by family: they say what plain transformers says, learn, and come through their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.made_models import CAUSAL, MASKED, UNLISTED, make_base
from whet.batches import flat
from whet.errors import UserError
from whet.models import adaptations, language, parity, saving
from whet.models.families import FAMILIES
from whet.models.heads import Head
from whet.models.loading import choose_pooling, load_model, load_tokenizer, refuse_unusable
from whet.models.places import find

from .kinds import EIGHT, ready_kind
from .ready import LIMIT, TEXTS, Ready, apart, stir
from .speaking import cost, nats_by_row, overfit_words, speaker, task_of

Bases = Callable[..., Path]
FAMILY_NAMES = (*CAUSAL, *MASKED, UNLISTED)
FLAT = [name for name in (*CAUSAL, *MASKED) if FAMILIES[name].flat]
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def auto(ready: Ready) -> Any:
    next_token = ready.model.guesses == "next"
    return transformers.AutoModelForCausalLM if next_token else transformers.AutoModelForMaskedLM


def about_of(ready: Ready, adapter: bool = False) -> saving.About:
    task = "language-modeling" if ready.model.guesses == "next" else "fill-mask"
    return ready.about(adapter, task=task)


def greedy(network: Any, tokenizer: Any, text: str) -> list[int]:
    inputs = tokenizer(text, return_tensors="pt")
    known = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    return network.generate(**known, max_new_tokens=6, do_sample=False)[0].tolist()


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_logits_are_those_of_plain_transformers(bases: Bases, family: str):
    ready = speaker(bases(family, language=True))
    model = ready.model
    assert model.level == "token"
    assert (model.fresh, model.left_out) == ((), ())
    batch = ready.batch()
    plain = auto(ready).from_pretrained(ready.place.folder).eval()
    found = []
    for text in TEXTS:
        inputs = ready.tokenizer(text, truncation=True, max_length=LIMIT, return_tensors="pt")
        with torch.inference_mode():
            found.append(plain(**inputs).logits[0])
    said = ready.logits(batch)
    assert said.dtype == torch.float32
    assert said.shape == (batch.num_tokens, model.width)
    assert apart(said)
    torch.testing.assert_close(said, torch.cat(found), **CLOSE)
    can_be_flat = family in FLAT
    assert model.use_flat_batches() == can_be_flat
    torch.testing.assert_close(ready.logits(batch), torch.cat(found), **CLOSE)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_rows_may_be_chosen_before_the_last_layer(bases: Bases, family: str):
    ready = speaker(bases(family, language=True))
    ready.model.use_flat_batches()
    batch = ready.batch()
    whole = ready.logits(batch)
    rows = torch.tensor([5, 0, 17])
    with torch.inference_mode():
        features = ready.model.features(batch)
        assert features.shape == (batch.num_tokens, ready.model.feature_width)
        torch.testing.assert_close(ready.model.logits(features[rows]), whole[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FLAT)
def test_a_packed_text_sees_neither_its_neighbours_nor_what_comes_behind(bases: Bases, family: str):
    ready = speaker(bases(family, language=True))
    assert ready.model.use_flat_batches()
    texts = ("where is my card", "i want a refund for this item", "help me please")
    other = ("thank you", texts[1], "no one answers the phone and why was i charged twice")
    batches = [ready.batch(texts), ready.batch(other), ready.batch(texts[1:2])]
    found = []
    for batch in batches:
        starts = batch.where.starts.tolist()
        place = starts[1] if len(starts) > 1 else 0
        found.append(ready.logits(batch)[place : place + int(batches[2].num_tokens)])
    torch.testing.assert_close(found[0], found[2], **CLOSE)
    torch.testing.assert_close(found[1], found[2], **CLOSE)
    behind = ready.batch(("i want a refund for the order",))
    same = 0 if family in MASKED else int((behind.input_ids[0] == batches[2].input_ids[0]).int().cumprod(0).sum())
    torch.testing.assert_close(ready.logits(behind)[:same], found[2][:same], **CLOSE)
    assert (family in MASKED) == (same == 0)


@pytest.mark.parametrize("family", FLAT)
def test_gradients_are_those_of_padded_batches(bases: Bases, family: str):
    def gradients(packed: bool) -> dict[str, torch.Tensor]:
        ready = speaker(bases(family, language=True))
        if packed:
            assert ready.model.use_flat_batches()
        cost(ready.model, *task_of(ready)).backward()
        return {n: p.grad for n, p in ready.model.named_parameters() if p.grad is not None}

    plain, fast = gradients(packed=False), gradients(packed=True)
    assert plain.keys() == fast.keys()
    for name, grad in plain.items():
        scale = float(grad.abs().max())
        torch.testing.assert_close(
            fast[name], grad, atol=1e-5 + 1e-4 * scale, rtol=1e-3, msg=lambda m, name=name: f"{name}: {m}"
        )


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_it_learns_eight_texts_and_comes_through_its_files(bases: Bases, tmp_path: Path, family: str):
    ready = speaker(bases(family, language=True))
    model, folder = ready.model, tmp_path / "model"
    tied = model.shares_embedding
    ready.tokenizer.chat_template = TEMPLATE
    adaptations.adapt_full(model)
    model.use_flat_batches()
    batch, targets = task_of(ready)
    floor = 0.45 if model.guesses == "next" else 0.1  # first words of texts can only be guessed at
    assert overfit_words(model, batch, targets, floor) < floor
    assert model.shares_embedding == tied

    about = about_of(ready)
    saving.save(model, None, ready.tokenizer, about, folder)
    before, mine = ready.logits(batch), nats_by_row(model, batch, targets)
    loaded, tokenizer, known = saving.load(folder)
    assert known == about
    assert loaded.shares_embedding == tied
    assert tokenizer.chat_template == TEMPLATE
    again = replace(ready, model=loaded, tokenizer=tokenizer)
    torch.testing.assert_close(again.logits(batch), before, **CLOSE)
    found = parity.nats(folder, about, "", batch.encoded, targets, rows_at_once=3)
    np.testing.assert_allclose(found, mine, atol=1e-3)
    plain, info = auto(ready).from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert (plain.get_output_embeddings().weight is plain.get_input_embeddings().weight) == tied
    for name, value in model.network.state_dict().items():
        assert torch.equal(plain.state_dict()[name], value), name


@pytest.mark.parametrize("family", CAUSAL)
def test_what_is_saved_writes_by_itself(bases: Bases, tmp_path: Path, family: str):
    ready = speaker(bases(family, language=True))
    ready.model.use_flat_batches()
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert settings["eos_token_id"] in (ready.tokenizer.eos_token_id, [ready.tokenizer.eos_token_id])
    assert settings["pad_token_id"] == ready.tokenizer.pad_token_id
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert words.padding_side == "left"
    assert "whet_flat" not in (tmp_path / "model" / "config.json").read_text()
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    first = transformers.AutoModelForCausalLM.from_pretrained(ready.place.folder).eval()
    assert greedy(plain, ready.tokenizer, "where is") == greedy(first, ready.tokenizer, "where is")
    ready.model.use_padded_batches()
    assert greedy(ready.model.network, ready.tokenizer, "where is") == greedy(plain, ready.tokenizer, "where is")


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_an_adapter_comes_through_its_files_and_is_merged(bases: Bases, tmp_path: Path, family: str):
    ready = speaker(bases(family, language=True))
    model, folder = ready.model, tmp_path / "model"
    batch, targets = task_of(ready)
    before = ready.logits(batch)
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    model.eval()
    torch.testing.assert_close(ready.logits(batch), before, **CLOSE)
    moving = {n for n, p in model.named_parameters() if p.requires_grad}
    assert moving
    assert all("lora_" in name for name in moving), "the head is a part of the base"
    stir(*[m for n, m in model.network.named_modules() if n.endswith(("lora_A", "lora_B"))])
    model.use_flat_batches()
    after = ready.logits(batch)
    assert not torch.allclose(after, before, atol=1e-2)
    about = about_of(ready, adapter=True)
    saving.save(model, adapter, ready.tokenizer, about, folder)
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["task_type"] == ("CAUSAL_LM" if model.guesses == "next" else None)
    assert not settings["modules_to_save"]
    loaded, tokenizer, _ = saving.load(folder)
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=tokenizer).logits(batch), after, **CLOSE)
    found = parity.nats(folder, about, str(ready.place.folder), batch.encoded, targets)
    np.testing.assert_allclose(found, nats_by_row(model, batch, targets), atol=1e-3)
    model.network = adapter.merge_and_unload()
    torch.testing.assert_close(ready.logits(batch), after, atol=1e-3, rtol=1e-3)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "merged")
    merged, _, _ = saving.load(tmp_path / "merged")
    torch.testing.assert_close(replace(ready, model=merged).logits(batch), after, atol=1e-3, rtol=1e-3)


def test_the_head_of_a_decoder_cannot_be_given_an_adapter(bases: Bases):
    ready = speaker(bases("llama", language=True))
    with pytest.raises(UserError, match="M020"):
        adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, ["lm_head"], "here", seed=3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_a_head_moves_at_the_rate_of_the_base(bases: Bases, family: str):
    model = speaker(bases(family, language=True)).model
    adaptations.adapt_full(model)
    groups = adaptations.rate_groups(model)
    assert not any(group.is_head for group in groups)
    moved = {id(p) for group in groups for _, p in group.parameters}
    assert {id(p) for p in model.parameters()} == moved
    assert model.head_name is None
    decays = {id(p) for group in groups if group.decays for _, p in group.parameters}
    assert (id(model.linear_head.weight) in decays) == (not model.shares_embedding)
    adaptations.freeze(model)
    assert not any(p.requires_grad for p in model.parameters())


def test_a_table_that_more_than_the_data_touches_is_not_made_compact(bases: Bases):
    used = torch.tensor([5, 6, 7])
    for family, possible in (("llama", True), ("gpt2", False), ("bert", False)):
        assert speaker(bases(family, language=True)).model.compact_embedding(used) == possible


# --- what the base brings -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", MASKED)
def test_a_masked_head_that_is_missing_starts_anew_and_is_told(tmp_path: Path, family: str):
    ready = speaker(make_base(tmp_path / "base", family))
    model = ready.model
    assert model.shares_embedding
    assert model.fresh
    assert all(model.network.get_submodule(name) is not model.head for name in model.fresh)
    assert "starts anew" in " ".join(model.origin.notes)
    assert "multiplies by the base's own embeddings" in " ".join(model.origin.notes)
    output = model.family.output("language") if model.family else None
    if output is not None and output.dense:
        dense = model.network.get_submodule(output.dense)
        assert torch.equal(dense.weight, torch.eye(len(dense.weight))), "which learns faster than one drawn at random"
    plain = transformers.AutoModel.from_pretrained(tmp_path / "base").state_dict()
    for name, value in model.trunk.state_dict().items():
        assert torch.equal(value, plain[name]), name
    model.use_flat_batches()
    batch, targets = task_of(ready)
    adaptations.adapt_full(model)
    assert overfit_words(model, batch, targets, 0.2) < 0.2
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(
        replace(ready, model=loaded, tokenizer=words).logits(batch), ready.logits(batch), **CLOSE
    )
    again = speaker(tmp_path / "model")
    assert (again.model.fresh, again.model.left_out, again.model.origin.notes) == ((), (), [])


@pytest.mark.parametrize("family", MASKED)
def test_a_new_head_trains_beside_an_adapter(tmp_path: Path, family: str):
    ready = speaker(make_base(tmp_path / "base", family))
    model = ready.model
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    moving = {n for n, p in model.named_parameters() if p.requires_grad}
    assert any("modules_to_save" in name for name in moving)
    table = model.trunk.get_input_embeddings().weight
    assert not table.requires_grad
    assert model.shares_embedding
    batch, targets = task_of(ready)
    overfit_words(model, batch, targets, 0.5)
    model.eval()
    about = about_of(ready, adapter=True)
    saving.save(model, adapter, ready.tokenizer, about, tmp_path / "model")
    before = ready.logits(batch)
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)
    found = parity.nats(tmp_path / "model", about, str(ready.place.folder), batch.encoded, targets)
    np.testing.assert_allclose(found, nats_by_row(model, batch, targets), atol=1e-3)
    model.network = adapter.merge_and_unload()
    torch.testing.assert_close(ready.logits(batch), before, atol=1e-3, rtol=1e-3)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "merged")
    merged, _, _ = saving.load(tmp_path / "merged")
    torch.testing.assert_close(replace(ready, model=merged).logits(batch), before, atol=1e-3, rtol=1e-3)


def test_a_decoder_without_its_last_layer_is_refused(tmp_path: Path):
    folder = make_base(tmp_path / "base", "llama")
    place = find(str(folder))
    with pytest.raises(UserError, match=r"M008.*layer over its vocabulary"):
        refuse_unusable(place, "language", "auto")
    with pytest.raises(UserError, match=r"M008.*layer over its vocabulary"):
        load_model(place, Head("language"), load_tokenizer(place), 1)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_tied_decoder_needs_no_last_layer_in_its_files(tmp_path: Path, family: str):
    folder = make_base(tmp_path / "base", family, tie_word_embeddings=True)
    refuse_unusable(find(str(folder)), "language", "auto")
    model = speaker(folder).model
    assert model.shares_embedding
    assert (model.fresh, model.left_out, model.origin.notes) == ((), (), [])


def test_a_head_of_another_kind_is_left_out(tmp_path: Path):
    for family, kind in (("bert", "SequenceClassification"), ("gpt2", "TokenClassification")):
        folder = make_base(tmp_path / family, family)
        cls = getattr(transformers, f"AutoModelFor{kind}")
        cls.from_pretrained(folder).save_pretrained(folder)
        assert "classifier" in speaker(folder).model.left_out


def test_a_part_of_the_head_that_is_not_used_is_named_by_itself(tmp_path: Path):
    folder = make_base(tmp_path / "base", "bert", language=True)
    transformers.BertForPreTraining.from_pretrained(folder).save_pretrained(folder)
    model = speaker(folder).model
    assert model.left_out == ("cls.seq_relationship", "pooler")
    assert model.fresh == ()


def test_every_family_is_refused_or_not_before_it_is_loaded(bases: Bases):
    for family in (*CAUSAL, *MASKED, UNLISTED, "xlnet"):
        place = find(str(bases(family, language=True)))
        refuse_unusable(place, "language", "mean")
        assert choose_pooling(place, "mean", "language")[0] is None
    assert language.guesses_of(find(str(bases("gpt2", language=True)))) == "next"
    assert language.guesses_of(find(str(bases("bert", plain=True)))) == "masked"
    assert language.guesses_of(find(str(bases("t5", plain=True)))) == "target"


@pytest.mark.parametrize(
    ("family", "settings", "why"),
    [
        ("bert", {"is_decoder": True}, "makes it a decoder"),
        ("deberta-v2", {"legacy": False}, "table of embeddings itself"),
        ("gemma3_text", {"use_bidirectional_attention": True}, "lets tokens see those behind them"),
    ],
)
def test_what_is_no_language_model_is_refused_with_a_reason(
    tmp_path: Path, family: str, settings: dict[str, Any], why: str
):
    place = find(str(make_base(tmp_path / "base", family, **settings)))
    with pytest.raises(UserError, match=rf"M008.*{why}"):
        refuse_unusable(place, "language", "auto")


def test_an_unlisted_family_whose_logits_are_more_than_a_product_is_refused(tmp_path: Path):
    from tests.made_models import tokenizer

    words = tokenizer("llama")
    for scaling, fits in ((1.0, True), (4.0, False)):
        settings = transformers.GraniteConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            logits_scaling=scaling,
            pad_token_id=1,
        )
        folder = tmp_path / f"granite-{scaling}"
        transformers.GraniteForCausalLM(settings).save_pretrained(folder)
        words.save_pretrained(folder)
        if fits:
            assert speaker(folder).model.guesses == "next"
        else:
            with pytest.raises(UserError, match=r"M008.*not what its last layer says"):
                speaker(folder)


def test_two_tables_where_the_configuration_speaks_of_one_stay_two(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    folder = make_base(tmp_path / "base", "gpt2", language=True)
    state = load_file(folder / "model.safetensors")
    state["lm_head.weight"] = state["transformer.wte.weight"].flip(0).contiguous()
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    ready = speaker(folder, add_tokens=NEW)
    assert not ready.model.shares_embedding
    size = len(state["lm_head.weight"])
    assert torch.equal(ready.model.linear_head.weight[:size], state["lm_head.weight"])
    before = ready.logits()
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(), before, **CLOSE)


def test_a_classifier_of_ours_that_averages_becomes_a_masked_model(made: Callable[..., Ready], tmp_path: Path):
    old = made("bert", "mean")
    saving.save(old.model, None, old.tokenizer, old.about(), tmp_path / "model")
    model = speaker(tmp_path / "model").model
    assert model.left_out == ("classifier",)
    assert "averages" in " ".join(model.origin.notes)
    for name, value in old.model.network.state_dict().items():
        assert torch.equal(model.trunk.state_dict()[name], value), name


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "mistral", "gemma2", "bert", "distilbert"])
def test_a_language_model_of_ours_is_a_base_for_any_head(bases: Bases, tmp_path: Path, family: str):
    ready = speaker(bases(family, language=True))
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    for kind in ("classes", "tokens", "span", "vectors"):
        model = ready_kind(tmp_path / "model", kind).model
        known = ready.model.trunk.state_dict()
        assert all(torch.equal(v, known[n]) for n, v in model.trunk.state_dict().items() if "pooler" not in n)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bert", "modernbert"])
def test_it_trains_in_bf16_with_one_master_of_a_tied_table(bases: Bases, family: str):
    from whet.engine.precision import Weights

    ready = speaker(bases(family, language=True))
    model = ready.model
    adaptations.adapt_full(model)
    assert model.use_flat_batches()
    batch, targets = task_of(ready)
    exact = float(cost(model, batch, targets).detach())
    weights = Weights(model, torch.bfloat16, exact=[] if model.head_name is None else [model.head_name])
    rough = cost(model, batch, targets)
    assert rough.dtype == torch.float32
    assert abs(float(rough.detach()) - exact) < 0.15 * exact
    rough.backward()
    assert all(master.grad is not None for name, master in weights.masters.items() if "pooler" not in name)
    table = model.trunk.get_input_embeddings().weight
    assert sum(p is table for p in weights.trained.values()) == 1
    with torch.no_grad():
        for master in weights.masters.values():
            master.sub_(0.01 * master.grad.sign())
    weights.publish()
    assert float(cost(model, batch, targets).detach()) < float(rough.detach())
    assert model.linear_head.weight.dtype == torch.bfloat16


# --- details --------------------------------------------------------------------------------------------


def test_logits_of_gemma_are_capped(bases: Bases):
    ready = speaker(bases("gemma2", language=True))
    assert ready.model.logit_cap == 5.0
    features = ready.model.features(ready.batch())
    product = features @ ready.model.linear_head.weight.T
    assert float(product.detach().abs().max()) > 5.0
    torch.testing.assert_close(ready.model.logits(features), 5.0 * torch.tanh(product / 5.0), **CLOSE)
    assert speaker(bases("llama", language=True)).model.logit_cap is None


def test_the_token_that_ends_texts_learns_though_it_also_pads(tmp_path: Path):
    folder = make_base(tmp_path / "base", "llama", language=True, pad_token_id=3)
    ready = speaker(folder)
    text = ready.batch(("where is my card </s> help",))
    ends = (text.input_ids[0] == 3).nonzero()[:, 0]
    assert len(ends) == 1
    ready.model(text)[int(ends[0])].square().sum().backward()
    grad = ready.model.trunk.get_input_embeddings().weight.grad
    assert grad is not None
    assert grad[3].any()


def test_settings_of_sampling_that_contradict_each_other_do_not_stop_a_save(bases: Bases, tmp_path: Path):
    import shutil

    folder = Path(shutil.copytree(bases("llama", language=True), tmp_path / "base"))
    settings = {"do_sample": False, "temperature": 0.6, "eos_token_id": [3, 5], "bos_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    ready = speaker(folder)
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    kept = json.loads((tmp_path / "model" / "generation_config.json").read_text())
    assert kept["eos_token_id"] == [3, 5], "several tokens that end an answer stay"
    assert "temperature" not in kept


def test_nats_of_hand_made_logits(bases: Bases, tmp_path: Path):
    """A model whose last layer is zero finds every word equally likely."""
    ready = speaker(bases("llama", language=True))
    with torch.no_grad():
        ready.model.linear_head.weight.zero_()
    about = about_of(ready)
    saving.save(ready.model, None, ready.tokenizer, about, tmp_path / "model")
    batch, targets = task_of(ready, EIGHT[:3])
    counted = [
        int((targets[s:e] >= 0).sum()) for s, e in zip(batch.encoded.offsets, batch.encoded.offsets[1:], strict=False)
    ]
    found = parity.nats(tmp_path / "model", about, "", batch.encoded, targets, rows_at_once=2)
    np.testing.assert_allclose(found, np.array(counted) * np.log(ready.model.width), rtol=1e-5)
    none = parity.nats(tmp_path / "model", about, "", batch.encoded, np.full_like(targets, -1))
    assert not none.any()


def test_the_last_layer_counts_as_work_where_tokens_go_through_it(bases: Bases):
    from whet.models.work import flops_per_token

    model = speaker(bases("llama", language=True)).model
    adaptations.adapt_full(model)
    few, more = (flops_per_token(model, 10.0, share) for share in (0.0, 0.5))
    assert more - few == 3.0 * model.width * model.feature_width
    adaptations.freeze(model)
    assert flops_per_token(model, 10.0, 1.0) - flops_per_token(model, 10.0) == 4.0 * model.width * model.feature_width


# --- growth ---------------------------------------------------------------------------------------------

NEW = ("reimburse", "xq-7")


@pytest.mark.parametrize(
    "family", ["llama", "gpt2", "opt", "gemma2", "phi", "bert", "roberta", "electra", "modernbert"]
)
def test_new_words_can_be_read_and_said(bases: Bases, tmp_path: Path, family: str):
    folder = bases(family, language=True)
    old, ready = speaker(folder), speaker(folder, add_tokens=NEW)
    model = ready.model
    tied = old.model.shares_embedding
    numbers = list(model.origin.new_tokens)
    assert len(numbers) == 2
    assert model.width == len(ready.tokenizer)
    assert model.shares_embedding == tied
    assert model.head is model.network.get_output_embeddings()
    same = old.batch()
    torch.testing.assert_close(ready.logits(same)[:, : old.model.width], old.logits(same), **CLOSE)
    batch = ready.batch(("i want to reimburse the xq-7",))
    assert set(numbers) <= set(batch.input_ids[0].tolist())
    before = ready.logits(batch)
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    assert loaded.shares_embedding == tied
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)


@pytest.mark.parametrize("family", ["bert", "electra", "modernbert"])
def test_new_words_of_a_masked_model_that_is_not_tied(tmp_path: Path, family: str):
    folder = make_base(tmp_path / "base", family, language=True, tie_word_embeddings=False)
    ready = speaker(folder, add_tokens=NEW)
    assert not ready.model.shares_embedding
    batch = ready.batch(("i want to reimburse the xq-7",))
    before = ready.logits(batch)
    saving.save(ready.model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_new_words_alone_move_beside_an_adapter(bases: Bases, tmp_path: Path, family: str):
    ready = speaker(bases(family, language=True), add_tokens=NEW)
    model = ready.model
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=1)
    model.eval()
    tables = {"in": model.trunk.get_input_embeddings().weight, "out": model.linear_head.weight}
    old = {name: table.detach().clone() for name, table in tables.items()}
    batch, targets = task_of(ready, ("i want to reimburse the xq-7", "help me xq-7 please"))
    groups = adaptations.rate_groups(model)
    assert {name for group in groups for name, _ in group.parameters} == {
        name for name, p in model.named_parameters() if p.requires_grad
    }
    settings = [{"params": [p for _, p in g.parameters], "weight_decay": 0.1 * g.decays} for g in groups]
    optimiser = torch.optim.AdamW(settings, lr=0.1)
    for _ in range(2):
        cost(model, batch, targets).backward()
        optimiser.step()
        optimiser.zero_grad()
    for name, table in tables.items():
        rows = (table != old[name]).any(1).nonzero()[:, 0].tolist()
        assert rows == list(model.origin.new_tokens), name
    before = ready.logits(batch)
    model.network = adapter.merge_and_unload()
    saving.save(model, None, ready.tokenizer, about_of(ready), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(
        replace(ready, model=loaded, tokenizer=words).logits(batch), before, atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize("family", ["gpt2", "opt", "gpt_neox", "gemma3_text", "phi", "phi3"])
def test_longer_texts_are_taken(bases: Bases, tmp_path: Path, family: str):
    from whet.batches.encoding import encode

    folder = bases(family, language=True)
    old, ready = speaker(folder), speaker(folder, max_length=70)
    short = old.batch()
    torch.testing.assert_close(ready.logits(short), old.logits(short), atol=1e-5, rtol=1e-5)
    encoded = encode(ready.tokenizer, [((" ".join(EIGHT), "help"), None)], 70, into=None)
    assert int(encoded.lengths[0]) > 40
    batch = flat.make(encoded, np.arange(2), None)
    before = ready.logits(batch)
    assert ready.model.use_flat_batches()
    torch.testing.assert_close(ready.logits(batch), before, **CLOSE)
    saving.save(ready.model, None, ready.tokenizer, replace(about_of(ready), max_length=70), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=words).logits(batch), before, **CLOSE)
