"""A checkpoint changes its head: rows kept by name, everything else new and on record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.made_models import config, make_base, tokenizer
from whet.errors import UserError
from whet.models import saving
from whet.models.changes import Changes
from whet.models.heads import Head
from whet.models.loading import choose_pooling, load_model, load_tokenizer, refuse_unusable
from whet.models.places import find

from .kinds import KINDS, head_of, ready_kind
from .ready import LABELS, Ready, ready, stir

Bases = Callable[..., Path]
Made = Callable[..., Ready]
TAGS = ("O", "B-x", "I-x")
AUTO: dict[str, Any] = {
    "classes": transformers.AutoModelForSequenceClassification,
    "value": transformers.AutoModelForSequenceClassification,
    "tokens": transformers.AutoModelForTokenClassification,
    "span": transformers.AutoModelForQuestionAnswering,
    "masked language model": transformers.AutoModelForMaskedLM,
    "causal language model": transformers.AutoModelForCausalLM,
}


def checkpoint(folder: Path, family: str, kind: str, labels: tuple[str, ...] = ()) -> Path:
    """A model as plain transformers saves it, with its head drawn at random."""
    words = tokenizer(family)
    settings = config(family, len(words), words.pad_token_id)
    if kind in AUTO and "language" not in kind:
        names = labels or ({"value": ("v",), "span": ("LABEL_0", "LABEL_1")}.get(kind) or LABELS)
        settings.id2label = dict(enumerate(names))
        settings.label2id = {name: number for number, name in enumerate(names)}
    torch.manual_seed(11)
    model = AUTO[kind].from_config(settings)
    stir(model)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def load(folder: Path, head: Head, **changes: Any) -> Any:
    place = find(str(folder))
    return load_model(place, head, load_tokenizer(place), seed=4, changes=Changes(**changes)).eval()


def last_layer(folder: Path, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    from safetensors.torch import load_file

    state = load_file(folder / "model.safetensors")
    return state[f"{name}.weight"], state.get(f"{name}.bias", torch.zeros(len(state[f"{name}.weight"])))


OLD = ("classes", "value", "tokens", "span")
LAST = {
    ("bert", "classes"): "classifier",
    ("bert", "value"): "classifier",
    ("bert", "tokens"): "classifier",
    ("bert", "span"): "qa_outputs",
    ("roberta", "classes"): "classifier.out_proj",
    ("roberta", "value"): "classifier.out_proj",
    ("roberta", "tokens"): "classifier",
    ("roberta", "span"): "qa_outputs",
}


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", [*OLD, "masked language model"])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_any_head_becomes_any_other(tmp_path: Path, family: str, old: str, new: str):
    folder = checkpoint(tmp_path / "old", family, old)
    labels = {"classes": ("x", "y", "z"), "tokens": TAGS}.get(new, ())  # as many as the old head has, of other names
    model = load(folder, Head(new, labels, pooling="mean" if new == "vectors" else None))

    trunk = AUTO[old].from_pretrained(folder).base_model.state_dict()
    for name, value in model.trunk.state_dict().items():
        if "pooler" not in name:
            assert torch.equal(value, trunk[name]), name

    meant_alike = old == new and new in ("value", "span")
    if new == "vectors":
        assert model.fresh == ()
    else:
        head = LAST[family, new]
        assert (head in model.fresh) != meant_alike
        assert model.head is model.network.get_submodule(head)
        if old in OLD:
            weight, _ = last_layer(folder, LAST[family, old])
            same = weight.shape == model.head.weight.shape and torch.allclose(weight, model.head.weight)
            assert same == meant_alike
    language = "cls" if family == "bert" else "lm_head"
    top = LAST[family, old].partition(".")[0] if old in OLD else language
    assert (top in model.left_out) != meant_alike
    assert set(model.fresh) <= {name for name, _ in model.network.named_modules()}


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("bert", "classes"),
        ("roberta", "classes"),
        ("llama", "classes"),
        ("bert", "tokens"),
        ("roformer", "tokens"),
        ("modernbert", "tokens"),
    ],
)
@pytest.mark.parametrize("given", [("c", "a", "b"), ("b", "new", "a", "c"), ("a",), ("a", "x", "y")], ids=str)
def test_rows_are_kept_by_the_names_of_labels(tmp_path: Path, family: str, kind: Any, given: tuple[str, ...]):
    folder = checkpoint(tmp_path / "old", family, kind, ("a", "b", "c"))
    model = load(folder, Head(kind, given))
    name = next(n for n, m in model.network.named_modules() if m is model.head)
    weight, bias = last_layer(folder, name)
    for row, label in enumerate(given):
        kept = label in "abc"
        old = "abc".find(label)
        assert torch.equal(model.head.weight[row], weight[old]) == kept, label
        if model.head.bias is not None:
            assert torch.equal(model.head.bias[row], bias[old]) == kept, label
    assert model.origin.kept_labels == tuple(label for label in given if label in "abc")
    assert (name in model.fresh) == (not set(given) <= set("abc"))
    assert (name.partition(".")[0] in model.left_out) == (not set("abc") <= set(given))


def test_rows_are_not_kept_when_that_is_not_wanted(tmp_path: Path):
    folder = checkpoint(tmp_path / "old", "bert", "classes", ("a", "b", "c"))
    model = load(folder, Head("classes", ("a", "b", "c")), keep_labels=False)
    weight, _ = last_layer(folder, "classifier")
    assert not torch.allclose(model.head.weight, weight)
    assert model.origin.kept_labels == ()
    assert "classifier" in model.fresh
    assert "classifier" in model.left_out


def test_a_causal_language_model_becomes_a_tagger(tmp_path: Path):
    folder = checkpoint(tmp_path / "old", "gpt2", "causal language model")
    model = load(folder, Head("tokens", TAGS))
    assert model.fresh == ("classifier",)


# --- models that whet saved --------------------------------------------------------------------------


def saved(ready: Ready, folder: Path) -> Path:
    saving.save(ready.model, None, ready.tokenizer, ready.about(), folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_averaging_layer_comes_off_a_base(made: Made, tmp_path: Path, kind: str):
    old = made("bert", "mean")
    folder = saved(old, tmp_path / "model")
    head = head_of(kind, folder)
    assert head.pooling == ("mean" if kind in ("classes", "value", "vectors") else None)
    model = load(folder, head)
    before = old.model.network.state_dict()
    after = model.trunk.state_dict()
    assert {n: v for n, v in after.items() if "pooler" not in n}.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert "averages" in " ".join(model.origin.notes)
    assert model.left_out == (() if kind == "classes" else ("classifier",))  # the same labels: its rows are kept
    assert not any("layer" in name for name in model.fresh)


def test_an_averaging_base_keeps_the_rows_of_its_labels(made: Made, tmp_path: Path):
    old = made("bert", "mean")
    folder = saved(old, tmp_path / "model")
    given = (LABELS[2], "new", LABELS[0], LABELS[1])
    model = load(folder, Head("classes", given, pooling="mean"))
    assert model.origin.kept_labels == (LABELS[2], LABELS[0], LABELS[1])
    assert model.left_out == ()
    batch = old.batch()
    with torch.inference_mode():
        now, then = model(batch), old.model(batch)
    torch.testing.assert_close(now[:, [2, 3, 0]], then, atol=1e-5, rtol=1e-5)
    assert not now[:, 1].any(), "a new row of our own starts as zeros"


def test_an_averaging_base_with_its_own_classifier_starts_it_anew(made: Made, tmp_path: Path):
    folder = saved(made("bert", "mean"), tmp_path / "model")
    model = load(folder, Head("classes", LABELS))  # the same labels, but over other features
    assert model.fresh == ("bert.pooler.dense", "classifier")
    assert model.origin.kept_labels == ()
    assert torch.equal(model.network.bert.pooler.dense.weight, torch.eye(model.network.config.hidden_size))


def test_an_averaging_base_is_not_trained_by_an_adapter_alone(made: Made, tmp_path: Path):
    from whet.models import adaptations

    folder = saved(made("bert", "mean"), tmp_path / "model")
    again = ready(folder, "mean")
    adapter = adaptations.adapt_lora(again.model, 2, 4.0, 0.0, "auto", str(folder), seed=1)
    with pytest.raises(ValueError, match="merge it first"):
        saving.save(again.model, adapter, again.tokenizer, again.about(adapter=True), tmp_path / "adapter")
    before = again.logits()
    again.model.network = adapter.merge_and_unload()
    folder = saved(again, tmp_path / "merged")
    loaded, words, _ = saving.load(folder)
    torch.testing.assert_close(Ready(loaded, words, again.place).logits(), before, atol=1e-4, rtol=1e-4)


def test_a_sentence_folder_of_ours_is_a_base(made: Made, tmp_path: Path):
    old = made("roberta", "mean")
    folder = saved(old, tmp_path / "model")
    place = find(str(folder))
    assert (place.folder.name, place.around) == ("0_Transformer", folder.resolve())
    assert choose_pooling(place, "auto")[0] == "mean"
    same = load(folder, Head("classes", tuple(reversed(LABELS)), pooling="mean"))
    assert (same.fresh, same.left_out) == ((), ())
    batch = old.batch()
    with torch.inference_mode():
        torch.testing.assert_close(same(batch).flip(1), old.model(batch), atol=1e-5, rtol=1e-5)
    tagger = load(folder, Head("tokens", TAGS))
    assert tagger.left_out == ("3_Dense",)
    assert tagger.fresh == ("classifier",)


def test_vectors_of_ours_are_a_base(bases: Bases, tmp_path: Path):
    old = ready_kind(bases("bert", plain=True), "vectors")
    folder = saved(old, tmp_path / "model")
    model = load(folder, Head("vectors", pooling="mean"))
    assert (model.fresh, model.left_out) == ((), ())
    batch = old.batch()
    with torch.inference_mode():
        assert torch.equal(model(batch), old.model(batch))


def test_modules_beyond_pooling_are_reported_as_left_out(tmp_path: Path):
    import json

    folder = make_base(tmp_path / "base", "bert", {"pooling_mode_mean_tokens": True})
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "2_Dense" in load(folder, Head("vectors", pooling="mean")).left_out


# --- refusals -----------------------------------------------------------------------------------------


def codes(call: Callable[[], object]) -> list[str]:
    with pytest.raises(UserError) as caught:
        call()
    assert all(problem.remedy for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]


def test_what_a_family_cannot_do_is_refused_with_a_reason(bases: Bases):
    t5, llama, bert = (find(str(bases(f, plain=True))) for f in ("t5", "llama", "bert"))
    assert codes(lambda: refuse_unusable(t5, "classes", "native")) == ["M008"]
    assert codes(lambda: load_model(t5, Head("classes", LABELS), load_tokenizer(t5), 0)) == ["M008"]
    assert codes(lambda: refuse_unusable(llama, "vectors", "first")) == ["M009"]
    assert codes(lambda: refuse_unusable(bert, "vectors", "native")) == ["M009"]
    for place in (t5, llama, bert):
        for kind in KINDS:
            refuse_unusable(place, kind, "auto")  # type: ignore[arg-type]
    assert choose_pooling(t5, "auto", "classes")[0] == "mean"
    assert choose_pooling(llama, "auto", "vectors")[0] == "last"
    assert choose_pooling(bert, "auto", "vectors")[0] == "mean"
    assert choose_pooling(bert, "mean", "tokens")[0] is None


def test_a_base_with_weights_missing_is_refused(bases: Bases, tmp_path: Path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(bases("bert", plain=True), tmp_path / "base"))
    state = load_file(folder / "model.safetensors")
    del state["encoder.layer.1.output.dense.weight"]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    for head in (Head("tokens", TAGS), Head("vectors", pooling="mean")):
        with pytest.raises(UserError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
            load(folder, head)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("classes", {}),
        ("tokens", {"labels": ("a", "a")}),
        ("vectors", {}),
        ("span", {"pooling": "mean"}),
        ("value", {"labels": ("a",)}),
    ],
)
def test_heads_whose_parts_do_not_fit(kind: Any, more: dict[str, Any]):
    with pytest.raises(ValueError):
        Head(kind, **more)
