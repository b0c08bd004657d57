"""Tokens and positions that a base is given: what they start from, and that they come through a save."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.made_models import DECODERS, ENCODERS, POSITIONS, config, tokenizer
from whet.batches.encoding import encode
from whet.errors import UserError
from whet.models import adaptations, growth, parity, saving
from whet.models.changes import Changes
from whet.models.families import FAMILIES
from whet.models.loading import load_model, load_tokenizer, longest_input
from whet.models.places import find

from .kinds import ready_kind
from .ready import Ready

Bases = Callable[..., Path]
NEW = ("cardrefund", "phone-order")
TEXTS = ("where is my cardrefund please", "help with the phone-order", "thank you")
FAMILY_NAMES = (*ENCODERS, *DECODERS)


def changed(folder: Path, kind: str, seed: int = 5, **changes: Any) -> Ready:
    from .kinds import head_of

    place = find(str(folder))
    words = load_tokenizer(place, changes.get("add_tokens", ()))
    model = load_model(place, head_of(kind, folder), words, seed, Changes(**changes)).eval()
    return Ready(model, words, place)


# --- tokens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_a_new_token_is_the_mean_of_its_old_parts(bases: Bases, family: str):
    folder = bases(family, plain=True)
    old = ready_kind(folder, "tokens")
    now = changed(folder, "tokens", add_tokens=NEW)
    before = old.model.trunk.get_input_embeddings().weight
    after = now.model.trunk.get_input_embeddings().weight
    assert torch.equal(after[: len(before)], before)
    assert now.model.network.config.vocab_size == len(after)
    for word in NEW:
        number = now.tokenizer.convert_tokens_to_ids(word)
        parts = old.tokenizer.encode(word, add_special_tokens=False)
        known = [i for i in parts if i != old.tokenizer.unk_token_id] or parts[:1]
        torch.testing.assert_close(after[number], before[known].mean(0))
        assert number in now.model.origin.new_tokens
    ids = now.tokenizer(list(TEXTS))["input_ids"]
    assert [sum(i in now.model.origin.new_tokens for i in row) for row in ids] == [1, 1, 0]
    torch.testing.assert_close(now.logits(now.batch((TEXTS[2],))), old.logits(old.batch((TEXTS[2],))))


def test_a_known_token_is_reported_and_not_added(bases: Bases):
    folder = bases("bert", plain=True)
    now = changed(folder, "tokens", add_tokens=("card", "Card", "cardrefund", "cardrefund"))
    assert len(now.model.origin.new_tokens) == 1
    (note,) = [note for note in now.model.origin.notes if "already" in note]
    assert "card, Card" in note
    assert "cardrefund" not in note
    again = changed(folder, "tokens", add_tokens=("card",))
    assert again.model.origin.new_tokens == ()
    assert not again.model.origin.unlike


def test_a_word_is_found_as_a_word_and_in_any_case(bases: Bases):
    words = load_tokenizer(find(str(bases("bert"))), NEW)
    number = words.convert_tokens_to_ids("cardrefund")
    for text, times in (("CardRefund!", 1), ("a cardrefund b cardrefund", 2), ("cardrefunds xcardrefund", 0)):
        assert words.encode(text).count(number) == times, text


def test_positions_of_characters_stay_right_around_new_tokens(bases: Bases):
    text = "help, the PHONE-order of my cardrefund"
    for family in FAMILY_NAMES:
        words = load_tokenizer(find(str(bases(family, plain=True))), NEW)
        encoded = words(text, return_offsets_mapping=True, add_special_tokens=False)
        for word in ("cardrefund",):
            place = encoded["input_ids"].index(words.convert_tokens_to_ids(word))
            start, end = encoded["offset_mapping"][place]
            assert text[start:end] == word, family


@pytest.mark.parametrize("token", ["", "  ", "\t"])
def test_an_empty_token_is_refused(bases: Bases, token: str):
    with pytest.raises(UserError, match="M012"):
        load_tokenizer(find(str(bases("bert"))), (token,))


@pytest.mark.parametrize("family", ["bert", "roberta", "t5", "llama", "xlnet"])
def test_new_tokens_come_through_a_save(bases: Bases, tmp_path: Path, family: str):
    ready = changed(bases(family, plain=True), "tokens", add_tokens=NEW)
    with torch.no_grad():
        ready.model.trunk.get_input_embeddings().weight[list(ready.model.origin.new_tokens)] += 0.3
    before = ready.logits(ready.batch(TEXTS))
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    model, words, about = saving.load(tmp_path / "model")
    again = replace(ready, model=model, tokenizer=words)
    batch = again.batch(TEXTS)
    assert np.array_equal(batch.encoded.ids, ready.batch(TEXTS).encoded.ids)
    torch.testing.assert_close(again.logits(batch), before, atol=1e-5, rtol=1e-5)
    found = parity.outputs(tmp_path / "model", about, "", batch.encoded)
    np.testing.assert_allclose(found, before.numpy(), atol=1e-4)
    further = changed(tmp_path / "model", "tokens", add_tokens=NEW)
    assert further.model.origin.new_tokens == (), "they are known by now"


def test_new_tokens_train_beside_an_adapter_and_are_merged(bases: Bases, tmp_path: Path):
    ready = changed(bases("bert", plain=True), "tokens", add_tokens=NEW)
    model = ready.model
    adapter = adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=1)
    moving = {name for name, p in model.named_parameters() if p.requires_grad and "embeddings" in name}
    assert moving == {"network.bert.embeddings.word_embeddings.rows"}
    table = model.trunk.get_input_embeddings()
    old = table.table.clone()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(ready.batch(TEXTS)).square().sum().backward()
    optimiser.step()
    model.dense_embedding()
    new = model.trunk.get_input_embeddings().weight
    changed_rows = (new != old).any(1).nonzero()[:, 0].tolist()
    assert changed_rows == list(model.origin.new_tokens)
    with pytest.raises(ValueError, match="tokens were added"):
        saving.save(model, adapter, ready.tokenizer, ready.about(adapter=True), tmp_path / "adapter")
    before = ready.logits(ready.batch(TEXTS))
    model.network = adapter.merge_and_unload()
    saving.save(model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    again = replace(ready, model=loaded, tokenizer=words)
    torch.testing.assert_close(again.logits(again.batch(TEXTS)), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "auto"),
    [
        ("bert", transformers.AutoModelForMaskedLM),
        ("roberta", transformers.AutoModelForMaskedLM),
        ("llama", transformers.AutoModelForCausalLM),
        ("gpt2", transformers.AutoModelForCausalLM),
        ("t5", transformers.AutoModelForSeq2SeqLM),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_output_weights_follow_and_tied_ones_stay_tied(family: str, auto: Any, tied: bool, tmp_path: Path):
    if not tied and family in ("bert", "roberta"):
        pytest.skip("transformers itself does not load an untied masked language model of this family whole")
    words = tokenizer(family)
    settings = config(family, len(words), words.pad_token_id)
    settings.tie_word_embeddings = tied
    network = auto.from_config(settings)
    if family == "t5":  # its halves share a table whether or not the last layer does
        network.set_input_embeddings(network.shared)
    torch.nn.init.normal_(network.get_output_embeddings().weight)
    parts = {len(words): [5, 6], len(words) + 1: [7]}
    before = network.get_output_embeddings().weight.clone()
    bias = getattr(network.get_output_embeddings(), "bias", None)
    bias = None if bias is None else torch.nn.init.normal_(bias).clone()
    growth.grow_vocabulary(network, parts)
    table, output = network.get_input_embeddings().weight, network.get_output_embeddings()
    assert (output.weight is table) == tied
    assert output.weight.shape == table.shape == (len(words) + 2, before.shape[1])
    torch.testing.assert_close(output.weight[len(words)], before[[5, 6]].mean(0))
    torch.testing.assert_close(output.weight[len(words) + 1], before[7])
    if bias is not None:
        torch.testing.assert_close(output.bias[len(words)], bias[[5, 6]].mean())
    network.save_pretrained(tmp_path)
    again, info = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert (again.get_output_embeddings().weight is again.get_input_embeddings().weight) == tied
    torch.testing.assert_close(again.get_output_embeddings().weight, output.weight)


def test_spare_rows_of_a_table_are_used_first(bases: Bases):
    network = ready_kind(bases("bert", plain=True), "tokens").model.network
    network.resize_token_embeddings(100, mean_resizing=False)
    growth.grow_vocabulary(network, {80: [5, 6]})
    table = network.get_input_embeddings().weight
    assert len(table) == 100
    torch.testing.assert_close(table[80], table[[5, 6]].mean(0))


# --- positions ----------------------------------------------------------------------------------------

LONG = " ".join(["where is my card and why was i charged twice"] * 8)


def long_batch(ready: Ready, limit: int) -> Any:
    from whet.batches import flat

    encoded = encode(ready.tokenizer, [((LONG, "help"), None)], limit, into=None)
    assert int(encoded.lengths[0]) > POSITIONS
    return flat.make(encoded, np.arange(2), None)


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_longer_texts_are_taken(bases: Bases, tmp_path: Path, family: str):
    folder = bases(family, plain=True)
    wanted = 70
    old, ready = ready_kind(folder, "tokens"), changed(folder, "tokens", max_length=wanted)
    short, long = ready.batch(), long_batch(ready, wanted)
    torch.testing.assert_close(ready.logits(short), old.logits(short), atol=1e-6, rtol=1e-6)
    before = ready.logits(long)
    if ready.model.use_flat_batches():
        torch.testing.assert_close(ready.logits(long), before, atol=1e-4, rtol=1e-4)
    facts = FAMILIES[family]
    grown = facts.positions != "relative"
    assert bool(ready.model.origin.notes) == grown
    assert bool(ready.model.origin.unlike) == grown
    about = ready.about(max_length=wanted)
    saving.save(ready.model, None, ready.tokenizer, about, tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    again = replace(ready, model=loaded, tokenizer=words)
    torch.testing.assert_close(again.logits(long), before, atol=1e-4, rtol=1e-4)
    assert words.model_max_length == wanted
    assert longest_input(find(str(tmp_path / "model")), words) == wanted
    found = parity.outputs(tmp_path / "model", about, "", long.encoded)
    np.testing.assert_allclose(found, before.numpy(), atol=1e-4)


@pytest.mark.parametrize("family", [f for f in FAMILY_NAMES if "." in FAMILIES[f].positions or f == "gpt2"])
def test_a_table_of_positions_is_repeated(bases: Bases, family: str):
    folder = bases(family, plain=True)
    facts = FAMILIES[family]
    old = ready_kind(folder, "tokens").model.trunk.get_submodule(facts.positions).weight
    model = changed(folder, "tokens", max_length=2 * POSITIONS + 5).model
    new = model.trunk.get_submodule(facts.positions).weight
    first = facts.first(model.network.config.pad_token_id)
    real = POSITIONS - first
    assert len(new) == 2 * POSITIONS + 5 + first
    assert torch.equal(new[:POSITIONS], old)
    for place in (0, 1, real - 1, real, real + 3, 2 * POSITIONS + 4):
        assert torch.equal(new[first + place], old[first + place % real]), place


def test_what_fits_already_changes_nothing(bases: Bases):
    for wanted in (None, 10, POSITIONS):
        origin = changed(bases("bert", plain=True), "tokens", max_length=wanted).model.origin
        assert not origin.notes
        assert not origin.unlike


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_rotary_positions_that_look_at_the_batch_are_not_extended_and_not_flat(bases: Bases, kind: str):
    ready = ready_kind(bases("llama", plain=True), "tokens")
    ready.model.network.config.rope_parameters = {"rope_type": kind, "factor": 2.0, "rope_theta": 10000.0}
    assert not ready.model.use_flat_batches()
    with pytest.raises(UserError, match="M010"):
        growth.grow_positions(ready.model.network, ready.model.family, 100, "here")


def test_positions_of_an_unlisted_family_are_not_extended(bases: Bases):
    with pytest.raises(UserError, match="M010"):
        changed(bases("roformer", plain=True), "tokens", max_length=POSITIONS + 1)


def test_tokens_of_a_sequence_without_types() -> None:
    parts: Sequence[int] = growth.parts(tokenizer("bert"), "nothingknown")
    assert list(parts) == [1], "the unknown token, where a word has no part that is known"
