"""Vectors read before every text: plain PEFT says the same, padding changes nothing, the base stays what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import LAYERS, UNLISTED
from whet.batches import flat
from whet.batches.encoding import encode
from whet.errors import UserError
from whet.models import adaptations, parity, saving, soft_prompts, soft_reading, soft_starts
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import read_config
from whet.models.places import Place, find
from whet.models.task_model import TaskModel

from .kinds import EIGHT, KINDS, loss, overfit, ready_kind
from .ready import LIMIT, SECONDS, TEXTS, Ready, stir

Made = Callable[..., Ready]
Bases = Callable[..., Path]

NUM = 3
WORDS = [6, 7, 8]
ENCODERS = ("bert", "roberta", "distilbert", "electra", "albert", "deberta-v2", "modernbert", "xlnet", "t5")
DECODERS = ("llama", "gpt2", "mistral")
CACHED = ("bert", "roberta", "electra")


def options(**changes: Any) -> dict[str, Any]:
    return {
        "soft.tokens": NUM,
        "soft.start": "words",
        "soft.width": "auto",
        soft_starts.WORDS: WORDS,
        **{f"soft.{name}": value for name, value in changes.items()},
    }


def adapted(model: TaskModel, method: str, seed: int = 1, **changes: Any) -> Any:
    return soft_prompts.ADAPT[method](model, options(**changes), "somewhere", seed)


def moved(ready: Ready, method: str) -> Any:
    """An adapter that has learnt something."""
    adapter = adapted(ready.model, method)
    assert ready.model.soft is not None
    heads = [] if ready.model.kind.kind == "language" or ready.model.head is None else [ready.model.head]
    stir(ready.model.soft, *heads)
    ready.model.eval()
    return adapter


def language(folder: Path) -> Ready:
    place = find(str(folder))
    tokenizer = load_tokenizer(place)
    return Ready(load_model(place, Head("language"), tokenizer, seed=5).eval(), tokenizer, place)


def pairs(method: str) -> list[tuple[str, str]]:
    """Families and kinds of heads that take ``method``."""
    families = [*ENCODERS, *DECODERS] if method != "prefix" else [*CACHED, *DECODERS]
    return [(family, kind) for family in families for kind in KINDS]


def check_round_trip(ready: Ready, adapter: Any, folder: Path) -> None:
    """Saved, what answers flat answers so padded, loaded by us, and loaded by plain PEFT."""
    model = ready.model
    encoded = encode(ready.tokenizer, [(EIGHT, None)], LIMIT, into=None)
    batch = flat.make(encoded, np.arange(len(EIGHT)), None)
    before = ready.logits(batch)
    if model.use_flat_batches():
        torch.testing.assert_close(ready.logits(batch), before, atol=1e-4, rtol=1e-4)
    about = ready.about(adapter=True)
    saving.save(model, adapter, ready.tokenizer, about, folder)
    loaded, _, known = saving.load(folder)
    assert known == about
    torch.testing.assert_close(replace(ready, model=loaded).logits(batch), before, atol=1e-4, rtol=1e-4)
    plain = parity.outputs(folder, about, str(ready.place.folder), encoded)
    np.testing.assert_allclose(plain, before.numpy(), atol=2e-3)
    torch.testing.assert_close(ready.logits(batch), before, atol=1e-4, rtol=1e-4, msg="saving changed what was saved")


@pytest.mark.parametrize(("family", "kind"), [*pairs("prompt"), (UNLISTED, "classes"), (UNLISTED, "tokens")])
def test_prompts_come_back_and_plain_peft_says_the_same(bases: Bases, tmp_path: Path, family: str, kind: str):
    ready = ready_kind(bases(family, plain=True), kind)
    check_round_trip(ready, moved(ready, "prompt"), tmp_path / "model")


@pytest.mark.parametrize(("family", "kind"), [("bert", "classes"), ("bert", "vectors"), ("modernbert", "classes")])
def test_what_p_tuning_made_comes_back_without_the_net(bases: Bases, tmp_path: Path, family: str, kind: str):
    ready = ready_kind(bases(family, plain=True), kind)
    check_round_trip(ready, moved(ready, "p-tuning"), tmp_path / "model")
    from safetensors.torch import load_file

    names = set(load_file(tmp_path / "model" / "adapter_model.safetensors"))
    assert "prompt_embeddings" in names
    assert not [name for name in names if "mlp_head" in name]


@pytest.mark.parametrize(("family", "kind"), pairs("prefix"))
def test_prefixes_come_back_and_plain_peft_says_the_same(bases: Bases, tmp_path: Path, family: str, kind: str):
    ready = ready_kind(bases(family, plain=True), kind)
    check_round_trip(ready, moved(ready, "prefix"), tmp_path / "model")


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "bert", "t5", "bart"])
def test_language_models_come_back_and_plain_peft_says_the_same(bases: Bases, tmp_path: Path, family: str, method: str):
    ready = language(bases(family, language=True))
    model = ready.model
    adapter = moved(ready, method)
    encoded = encode(ready.tokenizer, [(EIGHT, None)], LIMIT, into=None)
    if model.guesses == "target":
        encoded = replace(encoded, parts=2)  # each second text is what is written of the first
    model.use_flat_batches()
    batch = flat.make(encoded, np.arange(len(encoded)), None)
    wanted = encoded.ids.astype(np.int64)
    sequences = np.arange(encoded.num_sequences)
    if model.guesses == "target":
        wanted[np.repeat(sequences % 2 == 0, np.diff(encoded.offsets))] = -1
    logits = ready.logits(batch).double()
    costs = torch.nn.functional.cross_entropy(logits, torch.from_numpy(wanted), ignore_index=-1, reduction="none")
    ours = np.add.reduceat(costs.numpy(), encoded.offsets[:-1])
    saving.save(model, adapter, ready.tokenizer, ready.about(adapter=True), tmp_path / "model")
    found = parity.nats(tmp_path / "model", ready.about(adapter=True), str(ready.place.folder), encoded, wanted)
    np.testing.assert_allclose(found, ours, rtol=1e-3, atol=1e-3)
    loaded, _, _ = saving.load(tmp_path / "model")
    torch.testing.assert_close(replace(ready, model=loaded).logits(batch).double(), logits, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
@pytest.mark.parametrize("kind", ["classes", "tokens", "vectors"])
def test_a_text_says_the_same_alone_and_beside_longer_ones(bases: Bases, kind: str, method: str):
    ready = ready_kind(bases("bert", plain=True), kind)
    moved(ready, method)
    together = ready.logits(ready.batch(TEXTS))
    lengths = ready.batch(TEXTS).where.lengths.tolist()
    parts = together.split(lengths) if kind == "tokens" else together.split(1)
    for text, part in zip(TEXTS, parts, strict=True):
        torch.testing.assert_close(ready.logits(ready.batch((text,))), part, atol=1e-5, rtol=1e-5)


def test_which_text_of_a_pair_a_token_is_of_is_known_where_peft_tells_it(made: Made, tmp_path: Path):
    ready = made("bert", None)
    adapter = moved(ready, "prompt")
    ready.model.use_flat_batches()
    before = ready.logits(ready.batch(pairs=SECONDS))
    about = ready.about(adapter=True)
    saving.save(ready.model, adapter, ready.tokenizer, about, tmp_path / "model")
    found = parity.probabilities(tmp_path / "model", about, TEXTS, SECONDS, str(ready.place.folder))
    np.testing.assert_allclose(found, before.softmax(-1).numpy(), atol=1e-4)


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
@pytest.mark.parametrize(("family", "kind"), [("bert", "vectors"), ("llama", "language"), ("t5", "language")])
def test_switched_off_it_is_the_base_to_the_bit(bases: Bases, family: str, kind: str, method: str):
    folder = bases(family, language=True) if kind == "language" else bases(family, plain=True)
    ready = language(folder) if kind == "language" else ready_kind(folder, kind)
    encoded = encode(ready.tokenizer, [(EIGHT, None)], LIMIT, into=None)
    encoded = replace(encoded, parts=2 if ready.model.guesses == "target" else 1)
    batch = flat.make(encoded, np.arange(len(encoded)), None)
    before = ready.logits(batch)
    adapter = moved(ready, method)
    assert not torch.allclose(ready.logits(batch), before, atol=1e-3)
    with adapter.disable_adapter():
        assert torch.equal(ready.logits(batch), before)
    assert not torch.allclose(ready.logits(batch), before, atol=1e-3)


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_nothing_moves_but_the_vectors_and_the_head(made: Made, family: str, method: str):
    ready = made(family, None)
    adapted(ready.model, method)
    ready.model.use_flat_batches()
    trained = {name for name, p in ready.model.named_parameters() if p.requires_grad}
    outside = {n for n in trained if not n.startswith("soft.") and "modules_to_save" not in n}
    assert not outside
    assert any(name.startswith("soft.") for name in trained)
    head = {id(p) for p in ready.model.linear_head.parameters()}
    assert head <= {id(p) for n, p in ready.model.named_parameters() if n in trained}
    groups = adaptations.rate_groups(ready.model)
    assert sorted(n for g in groups for n, _ in g.parameters) == sorted(trained)
    assert not [n for g in groups if g.decays for n, _ in g.parameters if "embedding" in n]


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
def test_all_of_it_learns(bases: Bases, method: str):
    ready = ready_kind(bases("bert", plain=True), "classes")
    adapted(ready.model, method)
    ready.model.use_flat_batches()
    batch = ready.batch(EIGHT)
    start = float(loss(ready.model, batch).detach())
    assert ready.model.soft is not None
    before = {name: p.detach().clone() for name, p in ready.model.soft.named_parameters()}
    assert overfit(ready.model, batch) < start / 2
    assert all(not torch.equal(p, before[name]) for name, p in ready.model.soft.named_parameters())


# --- where they start -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_vectors_that_start_from_words_read_as_these_words(bases: Bases, method: str):
    """A decoder's places behind them see what they would see behind the words themselves."""
    ready = language(bases("llama", language=True))
    ids = np.asarray([[*WORDS, 9, 10, 11]])
    with torch.inference_mode():
        plain = ready.model.network(input_ids=torch.from_numpy(ids)).logits[0, NUM:].float()
    adapted(ready.model, method)
    batch = ready.batch(("where",))
    batch = replace(batch, input_ids=torch.tensor([[9, 10, 11]]), where=flat.layout(torch.tensor([3])))
    torch.testing.assert_close(ready.logits(batch), plain, atol=1e-4, rtol=1e-4)


def test_an_encoders_prefix_starts_from_keys_and_values_of_words(bases: Bases):
    ready = ready_kind(bases("bert", plain=True), "classes")
    seen: list[torch.Tensor] = []
    layer = ready.model.network.get_submodule("bert.encoder.layer.1.attention.self.value")
    hook = layer.register_forward_hook(lambda _, __, found: seen.append(found[0]))
    with torch.inference_mode():
        ready.model.trunk(input_ids=torch.tensor([WORDS]))
    hook.remove()
    adapted(ready.model, "prefix")
    soft = soft_reading.of(ready.model.network)
    assert soft is not None
    values = soft.cache(1).layers[1].values[0].transpose(0, 1).flatten(1)
    torch.testing.assert_close(values, seen[0])
    assert len(soft.cache(1).layers) == LAYERS


@pytest.mark.parametrize("method", list(soft_prompts.ADAPT))
def test_random_starts_are_drawn_from_the_seed(bases: Bases, method: str):
    def states(seed: int) -> dict[str, torch.Tensor]:
        ready = ready_kind(bases("bert", plain=True), "classes")
        torch.rand(3)  # somebody else drew in between
        adapted(ready.model, method, seed, start="random")
        assert ready.model.soft is not None
        return {name: p.detach().clone() for name, p in ready.model.soft.named_parameters()}

    first, again, other = states(1), states(1), states(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_net_of_p_tuning_makes_vectors_as_large_as_those_of_words(bases: Bases):
    ready = ready_kind(bases("bert", plain=True), "classes")
    adapted(ready.model, "p-tuning", width=7)
    soft = soft_reading.of(ready.model.network)
    assert soft is not None
    table = ready.model.trunk.get_input_embeddings().weight
    assert float(soft.vectors().detach().std()) == pytest.approx(float(table.std()), rel=0.05)
    assert {tuple(p.shape) for p in soft.encoder.parameters()} >= {(7, 32), (7, 7), (32, 7)}


# --- what is refused ------------------------------------------------------------------------------------


def refused(folder: Path, method: str, kind: Any) -> str:
    place = find(str(folder))
    with pytest.raises(UserError) as caught:
        soft_prompts.refuse(place, read_config(place), method, kind)
    (problem,) = caught.value.problems
    assert "method=" in problem.remedy
    return problem.code


@pytest.mark.parametrize("family", ["distilbert", "deberta-v2", "t5", UNLISTED])
def test_a_base_that_takes_no_keys_and_values_takes_no_prefix(bases: Bases, family: str):
    assert refused(bases(family, plain=True), "prefix", "classes") == "M070"


def test_what_peft_has_no_class_for_is_refused(bases: Bases):
    assert refused(bases("xlnet", language=True), "prompt", "language") == "M070"
    assert refused(bases("bart", language=True), "prompt", "classes") == "M070"


def place_of(positions: int | None, folder: Path) -> Place:
    known: dict[str, Any] = {"model_type": "bert", "pad_token_id": 0}
    if positions is not None:
        known["max_position_embeddings"] = positions
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(known), encoding="utf-8")
    return Place(str(folder), folder, "")


def test_texts_are_as_much_shorter_as_there_are_vectors(tmp_path: Path):
    place = place_of(40, tmp_path / "a")
    assert soft_prompts.longest(place, 38, 10, "prompt") == 30
    assert soft_prompts.longest(place, 25, 10, "prompt") == 25, "there is room anyway"
    assert soft_prompts.longest(place_of(None, tmp_path / "b"), 38, 10, "prompt") == 38, "nothing limits it"
    soft_prompts.refuse_long(place, 30, 10, "prompt")
    for length, num in ((31, 10), (5, 35)):
        with pytest.raises(UserError, match="M072"):
            soft_prompts.refuse_long(place, length, num, "prompt")


def test_a_base_that_was_changed_cannot_be_saved_so(bases: Bases):
    ready = ready_kind(bases("bert", plain=True), "classes")
    ready.model.origin.unlike.append("tokens were added")
    with pytest.raises(UserError, match="M073"):
        adapted(ready.model, "prompt")


def test_a_base_that_reads_otherwise_than_peft_is_refused_before_training(
    bases: Bases, monkeypatch: pytest.MonkeyPatch
):
    ready = ready_kind(bases("bert", plain=True), "classes")
    monkeypatch.setattr(soft_reading.Soft, "mask", lambda self, mask: torch.cat([mask[:, :1] * 0] * NUM + [mask], 1))
    with pytest.raises(UserError, match="M071"):
        adapted(ready.model, "prompt")
