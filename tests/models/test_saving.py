"""Saved models: what is loaded again answers as what was saved, through us and through plain libraries."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import FAMILIES, UNLISTED
from whet.errors import UserError
from whet.models import adaptations, parity, places, saving

from .ready import LABELS, SECONDS, TEXTS, Ready, stir

Made = Callable[..., Ready]

WHOLE = [(family, None) for family in FAMILIES] + [
    ("bert", "mean"),  # one more layer that averages
    ("bert", "first"),  # the rest: sentence-transformers folders
    ("roberta", "mean"),
    ("distilbert", "mean"),
    ("llama", "last"),
]
ADAPTED = [(family, None) for family in FAMILIES] + [("bert", "mean"), ("bert", "first"), ("llama", "last")]


def expected_kind(family: str, pooling: str | None) -> str:
    return "own" if pooling is None or (family, pooling) == ("bert", "mean") else "sentence"


def adapt(ready: Ready) -> Any:
    """LoRA with adapters that have moved, so that forgetting one would show."""
    adapter = adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    stir(*[m for n, m in ready.model.network.named_modules() if n.endswith(("lora_A", "lora_B"))], ready.model.head)
    ready.model.eval()
    return adapter


def check_round_trip(ready: Ready, adapter: Any, about: saving.About, folder: Path) -> None:
    ready.model.use_flat_batches()
    before = ready.logits()
    saving.save(ready.model, adapter, ready.tokenizer, about, folder)
    loaded, tokenizer, known = saving.load(folder)
    assert known == about
    assert not loaded.training
    again = replace(ready, model=loaded, tokenizer=tokenizer)
    torch.testing.assert_close(again.logits(), before, atol=1e-5, rtol=1e-5)
    assert loaded.use_flat_batches() == ready.model.flat
    torch.testing.assert_close(again.logits(), before, atol=1e-5, rtol=1e-5)
    found = parity.probabilities(folder, about, TEXTS, None, str(ready.place.folder), rows_at_once=2)
    np.testing.assert_allclose(found, before.softmax(-1).numpy(), atol=2e-3)
    torch.testing.assert_close(
        ready.logits(), before, atol=1e-5, rtol=1e-5, msg="saving changed the model that was saved"
    )


@pytest.mark.parametrize(("family", "pooling"), WHOLE)
def test_a_whole_model_comes_back(made: Made, tmp_path: Path, family: str, pooling: str | None):
    ready = made(family, pooling)
    about = ready.about()
    assert about.kind == expected_kind(family, pooling)
    check_round_trip(ready, None, about, tmp_path / "model")


@pytest.mark.parametrize(("family", "pooling"), ADAPTED)
def test_an_adapter_comes_back(made: Made, tmp_path: Path, family: str, pooling: str | None):
    ready = made(family, pooling)
    adapter = adapt(ready)
    check_round_trip(ready, adapter, ready.about(adapter=True), tmp_path / "model")
    assert (tmp_path / "model" / "adapter_model.safetensors").exists()
    assert not (tmp_path / "model" / "README.md").exists()


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_a_base_without_a_pooler_comes_back(made: Made, tmp_path: Path, pooling: str | None):
    check_round_trip(made("bert", pooling, pooler=False), None, made("bert", pooling).about(), tmp_path / "whole")
    ready = made("bert", pooling, pooler=False)
    check_round_trip(ready, adapt(ready), ready.about(adapter=True), tmp_path / "adapter")


@pytest.mark.parametrize(
    ("family", "pooling"), [("bert", None), ("bert", "mean"), ("distilbert", None), ("llama", None)]
)
def test_a_merged_adapter_is_a_whole_model(made: Made, tmp_path: Path, family: str, pooling: str | None):
    ready = made(family, pooling)
    adapter = adapt(ready)
    before = ready.logits()
    ready.model.network = adapter.merge_and_unload()
    torch.testing.assert_close(ready.logits(), before, atol=1e-4, rtol=1e-4)
    check_round_trip(ready, None, ready.about(), tmp_path / "model")


@pytest.mark.parametrize("pooling", [None, "mean"], ids=str)
def test_a_family_that_is_not_listed_comes_back_padded(made: Made, tmp_path: Path, pooling: str | None):
    ready = made(UNLISTED, pooling)
    before = ready.logits()
    assert not ready.model.use_flat_batches()
    if pooling is None:
        inputs = ready.tokenizer(list(TEXTS), padding=True, return_tensors="pt")
        with torch.inference_mode():
            torch.testing.assert_close(before, ready.model.network(**inputs).logits, atol=1e-6, rtol=0)
    check_round_trip(ready, None, ready.about(), tmp_path / "whole")
    check_round_trip(ready, adapt(ready), ready.about(adapter=True), tmp_path / "adapter")


def test_pairs_and_several_labels_agree_with_plain_transformers(made: Made, tmp_path: Path):
    ready = made("bert", "mean")
    ready.model.use_flat_batches()
    logits = ready.logits(ready.batch(pairs=SECONDS))
    about = ready.about(multi_label=True, thresholds=[0.5] * len(LABELS))
    saving.save(ready.model, None, ready.tokenizer, about, tmp_path / "model")
    found = parity.probabilities(tmp_path / "model", about, TEXTS, SECONDS, "")
    np.testing.assert_allclose(found, logits.sigmoid().numpy(), atol=1e-3)


def test_sentence_transformers_itself_gives_the_logits(made: Made, tmp_path: Path):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    ready = made("roberta", "mean")
    ready.model.use_flat_batches()
    before = ready.logits()
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    model = library.SentenceTransformer(str(tmp_path / "model"), device="cpu")
    found = model.encode(list(TEXTS), convert_to_tensor=True)
    torch.testing.assert_close(found, before, atol=1e-4, rtol=1e-4)


def test_the_saved_configuration_holds_nothing_of_ours_that_transformers_would_trip_over(made: Made, tmp_path: Path):
    for family, pooling, place in (("bert", None, "."), ("roberta", "mean", "0_Transformer"), ("llama", None, ".")):
        ready = made(family, pooling)
        ready.model.use_flat_batches()
        folder = tmp_path / family
        saving.save(ready.model, None, ready.tokenizer, ready.about(), folder)
        assert "whet_flat" not in (folder / place / "config.json").read_text()
        assert not [*folder.rglob("*.bin"), *folder.rglob("*.pt")]


@pytest.mark.parametrize("pooling", [None, "mean"], ids=str)
def test_an_adapter_of_the_bundled_base_names_it_as_the_hub_does(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: str | None
):
    """And is opened without asking the hub, nor warning of anything."""
    ready = made("bert", pooling)
    adapter = adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", places.MINILM_HUB_ID, seed=3)
    ready.model.eval()
    before = ready.logits()
    monkeypatch.setattr(places, "_MINILM_SHA256", saving.weights_sha256(ready.place))
    monkeypatch.setattr(places, "_bundled", lambda: ready.place)
    folder = tmp_path / "model"
    saving.save(ready.model, adapter, ready.tokenizer, ready.about(adapter=True, base=places.MINILM_HUB_ID), folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == places.MINILM_HUB_ID
    loaded, tokenizer, _ = saving.load(folder)
    torch.testing.assert_close(replace(ready, model=loaded, tokenizer=tokenizer).logits(), before)


def test_an_adapter_has_no_part_in_a_pooler_that_was_not_trained(made: Made, tmp_path: Path):
    """transformers puts one on the bare model; PEFT would warn that its adapter is missing."""
    from peft import PeftModel
    from transformers import AutoModel

    ready = made("bert", "mean")
    saving.save(ready.model, adapt(ready), ready.tokenizer, ready.about(adapter=True), tmp_path / "model")
    plain = PeftModel.from_pretrained(AutoModel.from_pretrained(ready.place.folder), tmp_path / "model")
    assert not [name for name, _ in plain.named_parameters() if "pooler" in name and "lora" in name]


def test_an_adapter_refuses_another_base(made: Made, tmp_path: Path):
    ready = made("bert", "mean")
    adapter = adapt(ready)
    saving.save(ready.model, adapter, ready.tokenizer, ready.about(adapter=True, base_sha256="0" * 64), tmp_path / "m")
    with pytest.raises(UserError) as caught:
        saving.load(tmp_path / "m")
    assert [p.code for p in caught.value.problems] == ["M031"]


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="M030"):
        saving.load(tmp_path)


def test_a_failed_save_leaves_what_was_there(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ready = made("bert", "mean")
    folder = tmp_path / "model"
    saving.save(ready.model, None, ready.tokenizer, ready.about(), folder)
    known = json.loads((folder / "whet.json").read_text())

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ready.tokenizer, "save_pretrained", full)
    with pytest.raises(UserError, match="F001"):
        saving.save(ready.model, None, ready.tokenizer, ready.about(temperature=2.0), folder)
    assert json.loads((folder / "whet.json").read_text()) == known
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
