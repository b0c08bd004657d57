"""A saved model is loaded whole or not at all; descriptions of older versions are read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from whet.errors import UserError
from whet.models import adaptations, parity, saving
from whet.models.about import About, load_about

from .kinds import KINDS, ready_kind
from .ready import SECONDS, TEXTS, Ready, stir

Bases = Callable[..., Path]
Made = Callable[..., Ready]


def spoil(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def refused(folder: Path, code: str = "M032") -> str:
    with pytest.raises(UserError) as caught:
        saving.load(folder)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert problem.remedy
    return str(problem.what)


def saved(ready: Ready, folder: Path, adapter: bool = False) -> Path:
    lora = None
    if adapter:
        lora = adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    saving.save(ready.model, lora, ready.tokenizer, ready.about(adapter=adapter), folder)
    return folder


def whole(made: Made, bases: Bases, form: str, folder: Path) -> tuple[Path, Path, str]:
    """A saved model; the file with its head, and the head's name in it."""
    if form in KINDS:
        saved(ready_kind(bases("bert", plain=True), form), folder)
        return folder, folder / "model.safetensors", "qa_outputs.weight" if form == "span" else "classifier.weight"
    if form == "averaging":
        return saved(made("bert", "mean"), folder), folder / "model.safetensors", "classifier.weight"
    if form == "pooled":
        return saved(made("roberta", "mean"), folder), folder / "3_Dense" / "model.safetensors", "linear.weight"
    if form == "adapter":
        saved(made("bert", None), folder, adapter=True)
        return folder, folder / "adapter_model.safetensors", "base_model.model.classifier.weight"
    saved(made("bert", "first"), folder, adapter=True)
    return folder, folder / "head.safetensors", "weight"


FORMS = ["classes", "value", "tokens", "span", "averaging", "pooled", "adapter", "pooled adapter"]


@pytest.mark.parametrize("form", FORMS)
def test_a_head_that_is_missing_is_named(made: Made, bases: Bases, tmp_path: Path, form: str):
    folder, file, name = whole(made, bases, form, tmp_path / "model")
    saving.load(folder)
    spoil(file, lambda state: state.pop(name))
    what = refused(folder)
    assert name.rpartition(".")[0].rpartition(".")[2] in what or "weight" in what


@pytest.mark.parametrize("form", FORMS)
def test_a_head_of_another_shape_is_refused(made: Made, bases: Bases, tmp_path: Path, form: str):
    folder, file, name = whole(made, bases, form, tmp_path / "model")
    spoil(file, lambda state: state.update({name: torch.zeros(7, state[name].shape[1])}))
    refused(folder)


@pytest.mark.parametrize("form", [*FORMS, "vectors"])
def test_a_weight_that_nobody_knows_is_refused(made: Made, bases: Bases, tmp_path: Path, form: str):
    folder, file, _ = whole(made, bases, form, tmp_path / "model")
    spoil(file, lambda state: state.update({"encoder.more.weight": torch.zeros(2)}))
    refused(folder)


@pytest.mark.parametrize("form", ["classes", "averaging", "vectors", "pooled"])
def test_a_layer_that_is_missing_is_refused(made: Made, bases: Bases, tmp_path: Path, form: str):
    folder, _, _ = whole(made, bases, form, tmp_path / "model")
    files = sorted(folder.rglob("model.safetensors"))
    file = next(path for path in files if not {"2_LayerNorm", "3_Dense"} & set(path.parts))
    lost = next(name for name in load_file(file) if name.endswith("layer.1.attention.self.query.weight"))
    spoil(file, lambda state: state.pop(lost))
    assert "query" in refused(folder)


def test_a_missing_head_file_is_refused(made: Made, tmp_path: Path):
    folder = saved(made("roberta", "mean"), tmp_path / "model")
    (folder / "3_Dense" / "model.safetensors").unlink()
    refused(folder)


# --- whet.json ----------------------------------------------------------------------------------------

FIRST_VERSION = {
    "kind": "own",
    "task": "text-classification",
    "labels": ["a", "b"],
    "multi_label": False,
    "thresholds": None,
    "temperature": 1.0,
    "pooling": None,
    "max_length": 30,
    "base": "minilm",
    "base_sha256": "",
}


def test_a_description_of_the_first_version_is_read(tmp_path: Path):
    (tmp_path / "whet.json").write_text(json.dumps(FIRST_VERSION))
    about = load_about(tmp_path)
    assert about == About(**FIRST_VERSION)  # type: ignore[arg-type]
    assert (about.head_kind, about.head.kind, about.head.labels, about.task_facts) == (
        "classes",
        "classes",
        ("a", "b"),
        {},
    )


def test_a_description_says_everything_again(bases: Bases, tmp_path: Path):
    ready = ready_kind(bases("bert", plain=True), "span")
    about = ready.about(task="question-answering", task_facts={"threshold": 0.25, "stride": 64})
    saving.save(ready.model, None, ready.tokenizer, about, tmp_path / "model")
    _, _, known = saving.load(tmp_path / "model")
    assert known == about
    assert asdict(known)["task_facts"]["stride"] == 64


@pytest.mark.parametrize("content", [json.dumps(FIRST_VERSION | {"moon": 1}), "[]", json.dumps({"kind": "own"})])
def test_a_description_that_cannot_be_read_is_refused(tmp_path: Path, content: str):
    (tmp_path / "whet.json").write_text(content)
    with pytest.raises(UserError, match="M030"):
        load_about(tmp_path)


# --- other tools --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", [None, "mean"], ids=str)
def test_a_value_is_what_a_cross_encoder_gives(bases: Bases, tmp_path: Path, pooling: Any):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    ready = ready_kind(bases("bert", plain=True), "value", pooling=pooling)
    stir(ready.model.linear_head)
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    found = library.CrossEncoder(str(tmp_path / "model"), device="cpu").predict(list(zip(TEXTS, SECONDS, strict=True)))
    np.testing.assert_allclose(found, ready.logits(ready.batch(pairs=SECONDS))[:, 0].numpy(), atol=2e-3)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    ("family", "pooling"),
    [("bert", "mean"), ("roberta", "first"), ("llama", "last"), ("t5", "mean"), ("xlnet", "mean")],
)
def test_vectors_are_what_sentence_transformers_encodes(
    bases: Bases, tmp_path: Path, family: str, pooling: Any, normalise: bool
):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    ready = ready_kind(bases(family, plain=True), "vectors", pooling=pooling, normalise=normalise)
    folder = saved(ready, tmp_path / "model")
    model = library.SentenceTransformer(str(folder), device="cpu")
    found = model.encode(list(TEXTS), convert_to_tensor=True)
    torch.testing.assert_close(found, ready.logits(), atol=1e-5, rtol=1e-4)
    assert torch.allclose(found.norm(dim=1), torch.ones(len(TEXTS))) == normalise
    assert model.max_seq_length == ready.about().max_length


def test_vectors_are_proven_without_sentence_transformers(
    bases: Bases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ready = ready_kind(bases("bert", plain=True), "vectors")
    folder = saved(ready, tmp_path / "model")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    found = parity.outputs(folder, ready.about(), "", ready.batch().encoded)
    np.testing.assert_allclose(found, ready.logits().numpy(), atol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about the adapter's own loading
@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("llama", "last")])
def test_vectors_by_an_adapter_are_what_sentence_transformers_encodes(
    bases: Bases, tmp_path: Path, family: str, pooling: Any
):
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    ready = ready_kind(bases(family, plain=True), "vectors", pooling=pooling)
    adapter = adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", str(ready.place.folder), seed=3)
    stir(*[m for n, m in ready.model.network.named_modules() if n.endswith(("lora_A", "lora_B"))])
    ready.model.eval()
    folder = tmp_path / "model"
    saving.save(ready.model, adapter, ready.tokenizer, ready.about(adapter=True), folder)
    found = library.SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS), convert_to_tensor=True)
    torch.testing.assert_close(found, ready.logits(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["tokens", "span"])
def test_pipelines_take_what_was_saved(bases: Bases, tmp_path: Path, kind: str):
    from transformers import pipeline

    ready = ready_kind(bases("bert", plain=True), kind)
    stir(ready.model.linear_head)
    folder = saved(ready, tmp_path / "model")
    if kind == "tokens":
        found = pipeline("token-classification", str(folder), device="cpu")(TEXTS[0])
        probabilities = ready.logits(ready.batch((TEXTS[0],))).softmax(-1)[1:-1]
        best = [ready.model.kind.labels[i] for i in probabilities.argmax(1)]
        assert [word["entity"] for word in found] == [tag for tag in best if tag != "O"]
    else:
        from transformers import AutoModelForQuestionAnswering

        assert AutoModelForQuestionAnswering.from_pretrained(folder).qa_outputs.out_features == 2
