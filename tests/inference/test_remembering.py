from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import WORDS, make_base
from whet.data.general import LabelledTexts
from whet.inference import remembering
from whet.inference.remembering import Asked
from whet.models import adaptations, loading, places
from whet.models.heads import Head
from whet.models.networks import guesses, quiet, read_config
from whet.models.task_model import TaskModel
from whet.seeds import generator

TEXTS = tuple(
    " ".join(str(word) for word in generator(0, "texts", row).choice(WORDS, 4 + row % 5)) for row in range(80)
)
LABELS = tuple("card" if "card" in text or "phone" in text else "no" for text in TEXTS)
SET = LabelledTexts("words", TEXTS, LABELS)
EASY = LabelledTexts(
    "easy",
    tuple(f"{word} {text} {word} {word}" for text in TEXTS * 2 for word in ("card", "phone")),
    tuple(word for _ in TEXTS * 2 for word in ("card", "phone")),
)


def model_of(folder: Path, family: str, head: Head, flat: bool = True, **settings: Any) -> tuple[TaskModel, Any]:
    base = make_base(folder / family, family, language=head.kind == "language", **settings)
    place = places.find(str(base))
    tokenizer = loading.load_tokenizer(place)
    if tokenizer.mask_token is None:
        tokenizer.mask_token = tokenizer.unk_token
    model = loading.load_model(place, head, tokenizer, seed=0)
    if flat:
        model.use_flat_batches()
    model.eval()
    return model, tokenizer


@pytest.mark.parametrize("family", ["bert", "llama", "roformer", "t5"])
@pytest.mark.parametrize("pooling", [None, "mean"])
def test_vectors_are_the_mean_of_what_transformers_gives_each_token(tmp_path: Path, family: str, pooling: Any) -> None:
    if family == "t5" and pooling is None:
        pytest.skip("it has no classifier of its own kind here")
    model, tokenizer = model_of(tmp_path, family, Head("classes", ("a", "b"), pooling=pooling))
    found = remembering.vectors(model, tokenizer, TEXTS[:5], 30)
    from transformers import AutoModel, AutoModelForTextEncoding

    cls = AutoModelForTextEncoding if family == "t5" else AutoModel
    with quiet():
        plain = cls.from_pretrained(tmp_path / family).eval()
    for text, vector in zip(TEXTS, found, strict=False):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            hidden = plain(input_ids=ids).last_hidden_state[0]
        assert torch.allclose(vector, hidden.mean(0), atol=1e-4), family


def test_no_row_is_answered_by_a_probe_that_saw_its_label() -> None:
    """Turning round the labels of a fold changes what is said of others, and nothing of that fold."""
    gold = remembering.numbers(SET)
    features = torch.from_numpy(generator(0, "features").normal(size=(80, 6)).astype(np.float32))
    before = remembering.answers(features, gold, 2, 0, "words")
    fold = remembering.folds(gold, 0, "words")
    turned = gold.copy()
    turned[fold == 2] = 1 - turned[fold == 2]
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(remembering, "folds", lambda *_: fold)
        after = remembering.answers(features, turned, 2, 0, "words")
    assert np.array_equal(before[fold == 2], after[fold == 2])
    assert not np.array_equal(before, after)


def test_folds_hold_labels_in_like_shares() -> None:
    gold = np.asarray([0] * 33 + [1] * 47)
    fold = remembering.folds(gold, 0, "any")
    for label, size in ((0, 33), (1, 47)):
        counts = np.bincount(fold[gold == label], minlength=remembering.FOLDS)
        assert counts.sum() == size and counts.max() - counts.min() <= 1
    assert np.array_equal(fold, remembering.folds(gold, 0, "any"))
    assert not np.array_equal(fold, remembering.folds(gold, 0, "other"))


def test_a_decoder_pays_what_transformers_says(tmp_path: Path) -> None:
    model, tokenizer = model_of(tmp_path, "gpt2", Head("language"))
    nats, tokens = remembering.costs(model, tokenizer, Asked("text", texts=TEXTS[:6], limit=30))
    from transformers import AutoModelForCausalLM

    with quiet():
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2").eval()
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    for row, text in enumerate(TEXTS[:6]):
        own = tokenizer(text, add_special_tokens=False)["input_ids"]
        ids = torch.tensor([[start, *own, tokenizer.eos_token_id]])
        with torch.inference_mode():
            logs = plain(input_ids=ids).logits[0].double().log_softmax(-1)
        true = -float(logs[:-1].gather(1, ids[0, 1:, None]).sum())
        assert tokens[row] == len(own) + 1 and nats[row] == pytest.approx(true, rel=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "bert", "xlnet"])
def test_the_same_model_forgot_nothing(tmp_path: Path, family: str) -> None:
    model, tokenizer = model_of(tmp_path, family, Head("language"))
    asked = Asked("text", texts=TEXTS[:12], limit=30)
    first, second = (remembering.known(model, tokenizer, asked) for _ in range(2))
    found = remembering.lost(first, second, asked)
    assert found is not None and found.value == 0 and found.base == found.tuned > 0


def test_a_model_that_was_shaken_forgot_something(tmp_path: Path) -> None:
    model, tokenizer = model_of(tmp_path, "bert", Head("classes", ("a", "b"), pooling="mean"))
    asked = Asked("probes", sets=(EASY,), limit=30)
    base = remembering.known(model, tokenizer, asked)
    with torch.no_grad():
        model.trunk.get_input_embeddings().weight.normal_()
        for parameter in model.trunk.encoder.parameters():
            parameter.zero_()
    found = remembering.lost(base, remembering.known(model, tokenizer, asked), asked)
    assert found is not None and found.base > 0.7 and found.value > 0.1


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_an_adapter_that_is_switched_off_leaves_the_base_exactly(tmp_path: Path, pooling: Any) -> None:
    model, tokenizer = model_of(tmp_path, "bert", Head("classes", ("a", "b"), pooling=pooling))
    before = remembering.vectors(model, tokenizer, TEXTS, 30)
    assert not remembering.switchable(model)
    adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", "base", seed=1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
    model.eval()
    assert remembering.switchable(model)
    on = remembering.vectors(model, tokenizer, TEXTS, 30)
    with remembering.switched_off(model):
        off = remembering.vectors(model, tokenizer, TEXTS, 30)
    assert torch.equal(off, before) and not torch.allclose(on, before, atol=1e-3)
    assert torch.equal(remembering.vectors(model, tokenizer, TEXTS, 30), on), "and on again afterwards"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    for family, readable in (("gpt2", True), ("bart", False)):
        place = places.find(str(make_base(tmp_path / family, family, language=True)))
        config, tokenizer = read_config(place), loading.load_tokenizer(place)
        assert guesses(config) in ("next", "target")
        assert (remembering.why_unreadable(config, tokenizer) == "") == readable
