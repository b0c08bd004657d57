"""A mean-pooled classifier as plain BERT: the same logits with padding, and the exact weights back."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from whet.models import averaging

from .ready import LABELS, SECONDS, TEXTS, Ready, apart

Made = Callable[..., Ready]


def test_plain_bert_with_padding_gives_the_same_logits(made: Made):
    ready = made("bert", "mean")
    ready.model.use_flat_batches()
    whole = averaging.as_own_classifier(ready.model)
    for pairs in (None, SECONDS):
        inputs = ready.tokenizer(list(TEXTS), pairs and list(pairs), padding=True, return_tensors="pt")
        with torch.inference_mode():
            plain = whole(**inputs).logits
        ours = ready.logits(ready.batch(pairs=pairs))
        assert apart(ours)
        # logits here spread over several units; tanh is linear to 1e-5 of that
        torch.testing.assert_close(plain, ours, atol=2e-3, rtol=1e-3)
        torch.testing.assert_close(plain.softmax(-1), ours.softmax(-1), atol=1e-3, rtol=0)
        assert torch.equal(plain.argmax(1), ours.argmax(1))


def test_its_configuration_says_what_it_is(made: Made):
    ready = made("bert", "mean")
    whole = averaging.as_own_classifier(ready.model)
    layers = ready.model.network.config.num_hidden_layers
    assert (whole.config.num_hidden_layers, whole.config.num_labels) == (layers + 1, len(LABELS))
    assert getattr(whole.config, averaging.CONFIG_KEY) is True
    assert whole.config.id2label == dict(enumerate(LABELS))


def test_taking_the_layer_off_restores_the_exact_weights(made: Made):
    ready = made("bert", "mean")
    model = ready.model
    expected = {name: value.clone() for name, value in model.network.state_dict().items()}
    whole = averaging.as_own_classifier(model)
    head = nn.Linear(whole.config.hidden_size, len(LABELS))
    trunk = averaging.without_layer(whole, head)
    assert torch.equal(head.weight, model.head.weight)
    assert torch.equal(head.bias, model.head.bias)
    found = trunk.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert trunk.config.num_hidden_layers == model.network.config.num_hidden_layers
