"""The same optimum as scikit-learn's, found by its own solver on the same standardised features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import threadpoolctl
import torch
from sklearn.linear_model import LogisticRegression

from whet.kernels import logistic

ROWS, WIDTH, CLASSES = 240, 7, 4
STRENGTHS = (0.01, 0.1, 1.0)


CLOSE = 5e-3
"""Between probabilities: what the tolerance of the gradient and single precision leave."""


def features() -> torch.Tensor:
    random = np.random.default_rng(0)
    raw = random.normal(size=(ROWS, WIDTH)) * np.geomspace(0.1, 20, WIDTH) + np.linspace(-3, 8, WIDTH)
    return torch.from_numpy(raw.astype(np.float32))


def classes(number: int = CLASSES) -> torch.Tensor:
    random = np.random.default_rng(1)
    standard = (features().numpy() - features().numpy().mean(0)) / features().numpy().std(0)
    scores = standard @ random.normal(size=(WIDTH, number)) + random.gumbel(size=(ROWS, number))
    return torch.from_numpy(scores.argmax(1))


def standardised(x: torch.Tensor, centred: bool = True) -> np.ndarray:
    raw = x.double().numpy()
    return (raw - raw.mean(0)) / raw.std(0) if centred else raw / np.sqrt((raw**2).mean(0))


def peer(x: np.ndarray, y: np.ndarray, strength: float, **more: Any) -> Any:
    return LogisticRegression(C=strength, tol=1e-10, max_iter=10_000, **more).fit(x, y)


def test_softmax_over_classes_equals_scikit_learn():
    x, y = features(), classes()
    for fit, strength in zip(logistic.path(x, y, CLASSES, STRENGTHS), STRENGTHS, strict=True):
        assert fit.strength == strength
        expected = peer(standardised(x), y.numpy(), strength)
        found = fit.logits(x).softmax(1).numpy()
        np.testing.assert_allclose(found, expected.predict_proba(standardised(x)), atol=CLOSE)
        np.testing.assert_allclose(fit.weight.numpy() * x.std(0, unbiased=False).numpy(), expected.coef_, atol=0.02)


def test_several_labels_equal_one_regression_each():
    x = features()
    y = torch.nn.functional.one_hot(classes(), CLASSES).float()
    y[::3, 0] = 1.0
    for fit, strength in zip(logistic.path(x, y, CLASSES, STRENGTHS), STRENGTHS, strict=True):
        found = fit.logits(x).sigmoid().numpy()
        for label in range(CLASSES):
            expected = peer(standardised(x), y[:, label].numpy(), strength).predict_proba(standardised(x))[:, 1]
            np.testing.assert_allclose(found[:, label], expected, atol=CLOSE)


def test_two_classes_share_the_penalty_between_two_vectors():
    """scikit-learn penalises one vector w; a softmax holds w/2 and -w/2, half the penalty: twice the strength."""
    x, y = features(), classes(2)
    (fit,) = logistic.path(x, y, 2, [0.1])
    expected = peer(standardised(x), y.numpy(), 0.2).predict_proba(standardised(x))
    np.testing.assert_allclose(fit.logits(x).softmax(1).numpy(), expected, atol=CLOSE)


@pytest.mark.parametrize("several", [False, True])
def test_without_an_intercept(several: bool):
    x, y = features(), classes()
    scaled = standardised(x, centred=False)
    targets = torch.nn.functional.one_hot(y, CLASSES).float() if several else y
    (fit,) = logistic.path(x, targets, CLASSES, [0.1], intercept=False)
    assert not fit.bias.any()
    if several:
        expected = peer(scaled, (y == 0).numpy(), 0.1, fit_intercept=False).predict_proba(scaled)[:, 1]
        np.testing.assert_allclose(fit.logits(x).sigmoid()[:, 0].numpy(), expected, atol=CLOSE)
    else:
        expected = peer(scaled, y.numpy(), 0.1, fit_intercept=False).predict_proba(scaled)
        np.testing.assert_allclose(fit.logits(x).softmax(1).numpy(), expected, atol=CLOSE)


def test_the_penalised_loss_is_as_low_as_scikit_learns():
    x, y = features(), classes()
    standard = standardised(x)

    def loss(weight: np.ndarray, bias: np.ndarray, strength: float) -> float:
        logits = torch.from_numpy(standard @ weight.T + bias)
        data = float(torch.nn.functional.cross_entropy(logits, y, reduction="sum"))
        return strength * data + 0.5 * float((weight**2).sum())

    for fit, strength in zip(logistic.path(x, y, CLASSES, STRENGTHS), STRENGTHS, strict=True):
        expected = peer(standard, y.numpy(), strength)
        weight = fit.weight.double().numpy() * x.double().std(0, unbiased=False).numpy()
        bias = (fit.bias.double() + fit.weight.double() @ x.double().mean(0)).numpy()
        lowest = loss(expected.coef_, expected.intercept_, strength)
        assert lowest * (1 - 1e-9) <= loss(weight, bias, strength) <= lowest * (1 + 1e-5)
        assert 0 < fit.iterations < logistic.MAX_ITERATIONS


def test_a_constant_feature_gets_no_weight():
    x = features()
    x[:, 2] = 4.0
    (fit,) = logistic.path(x, classes(), CLASSES, [0.1])
    assert not fit.weight[:, 2].any()
    assert torch.isfinite(fit.logits(x)).all()


def test_a_class_without_rows_is_never_the_answer():
    x, y = features(), classes()
    (fit,) = logistic.path(x, y, CLASSES + 1, [0.1])
    assert (fit.logits(x).argmax(1) != CLASSES).all()


def test_threads_of_scipy_leave_the_cores_to_torch_while_it_fits(monkeypatch: pytest.MonkeyPatch):
    def blas() -> set[int]:
        return {one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"}

    seen: list[set[int]] = []
    plain = logistic._loss

    def watched(*given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(blas())
        return plain(*given)

    monkeypatch.setattr(logistic, "_loss", watched)
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        threads = torch.get_num_threads()
        list(logistic.path(features(), classes(), CLASSES, [0.1]))
        assert seen
        assert all(one == {1} for one in seen)
        assert blas() == {2}
    assert torch.get_num_threads() == threads
