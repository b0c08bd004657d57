"""Losses of preferences against their formulas, written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.objectives.preference import Answers, Preferring, log_odds

POLICY = np.asarray([[-3.0, -4.5], [-7.0, -6.0], [-2.0, -9.0]])
REFERENCE = np.asarray([[-3.5, -4.0], [-6.5, -6.5], [-2.5, -8.0]])
TOKENS = np.asarray([[3.0, 5.0], [4.0, 4.0], [2.0, 6.0]])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def answers(policy: np.ndarray = POLICY, reference: np.ndarray = REFERENCE, tokens: np.ndarray = TOKENS, liked=None):
    tables = (torch.from_numpy(one) for one in (policy, reference, tokens))
    return Answers(*tables, None if liked is None else torch.from_numpy(liked))


def test_dpo():
    gap = (POLICY - REFERENCE) @ [1, -1]
    total, count = Preferring("dpo", 0.3)(answers())
    assert count == 3
    assert float(total) == pytest.approx(-np.log(sigmoid(0.3 * gap)).sum())


def test_dpo_with_labels_that_may_be_wrong():
    gap = 0.3 * (POLICY - REFERENCE) @ [1, -1]
    total, _ = Preferring("dpo", 0.3, label_smoothing=0.2)(answers())
    assert float(total) == pytest.approx(-(0.8 * np.log(sigmoid(gap)) + 0.2 * np.log(sigmoid(-gap))).sum())


def test_dpo_begins_at_log_two():
    total, count = Preferring("dpo", 0.1)(answers(reference=POLICY))
    assert float(total) / count == pytest.approx(np.log(2))


def test_ipo_by_the_answer_and_by_the_token():
    gap = (POLICY - REFERENCE) @ [1, -1]
    assert float(Preferring("ipo", 0.25)(answers())[0]) == pytest.approx(((gap - 2.0) ** 2).sum())
    by_token = ((POLICY - REFERENCE) / TOKENS) @ [1, -1]
    assert float(Preferring("ipo", 0.25, normalise=True)(answers())[0]) == pytest.approx(((by_token - 2.0) ** 2).sum())


def test_simpo_needs_no_reference():
    gap = 2.0 * (POLICY / TOKENS) @ [1, -1] - 0.5
    how = Preferring("simpo", 2.0, gamma=0.5, normalise=True)
    assert float(how(answers(reference=np.zeros_like(POLICY)))[0]) == pytest.approx(-np.log(sigmoid(gap)).sum())
    assert not how.referred


def test_orpo():
    mean = POLICY / TOKENS
    odds = np.log(np.exp(mean) / (1 - np.exp(mean)))
    wanted = -mean[:, 0] - 0.1 * np.log(sigmoid(odds @ [1, -1]))
    assert float(Preferring("orpo", 0.1, normalise=True)(answers())[0]) == pytest.approx(wanted.sum())
    assert log_odds(torch.tensor([-0.5])).item() == pytest.approx(np.log(np.exp(-0.5) / (1 - np.exp(-0.5))))


def test_kto_of_thumbs():
    policy, reference = np.asarray([[-3.0, -5.0], [-4.0, -6.0]]), np.asarray([[-3.5, -6.0], [-3.0, -6.5]])
    level = max(0.0, (policy - reference)[:, 1].mean())
    moved = (policy - reference)[:, 0]
    wanted = 1.5 * (1 - sigmoid(0.4 * (moved[0] - level))) + 0.5 * (1 - sigmoid(0.4 * (level - moved[1])))
    how = Preferring("kto", 0.4, desirable_weight=1.5, undesirable_weight=0.5)
    total, count = how(answers(policy, reference, np.ones((2, 2)), np.asarray([1.0, 0.0])))
    assert count == 2
    assert float(total) == pytest.approx(wanted)


def test_kto_of_pairs_counts_both_answers():
    total, count = Preferring("kto", 0.1)(answers())
    moved = 0.1 * (POLICY - REFERENCE)
    assert count == 6
    assert float(total) == pytest.approx((1 - sigmoid(moved[:, 0])).sum() + (1 - sigmoid(-moved[:, 1])).sum())


def test_the_level_of_kto_has_no_gradient_and_is_not_below_zero():
    policy = torch.tensor([[-3.0, -9.0]], dtype=torch.float64, requires_grad=True)
    known = Answers(policy, torch.full((1, 2), -4.0).double(), torch.ones(1, 2), torch.tensor([1.0]))
    total, _ = Preferring("kto", 1.0)(known)
    total.backward()
    assert float(total.detach()) == pytest.approx(1 - sigmoid(np.asarray(1.0)))
    assert policy.grad is not None and policy.grad[0, 1] == 0


@pytest.mark.parametrize("loss", ["dpo", "ipo", "orpo", "simpo"])
def test_rewards_order_answers_as_the_loss_does(loss: str):
    """Making the better answer likelier lowers the loss and raises its reward."""
    how = Preferring(loss, 0.5, normalise=loss in ("orpo", "simpo"))
    tables = torch.from_numpy(POLICY), torch.from_numpy(REFERENCE), torch.from_numpy(TOKENS)
    likelier = tables[0] + torch.tensor([[0.1, 0.0]])
    assert bool((how.rewards(likelier, *tables[1:])[:, 0] > how.rewards(*tables)[:, 0]).all())
    if loss != "ipo":  # which wants a certain gap, not a larger one
        assert how(Answers(likelier, *tables[1:]))[0] < how(Answers(*tables))[0]


def test_options_by_their_dotted_names():
    options = {"preference.loss": "simpo", "preference.beta": 2.5, "preference.gamma": 0.3, "preference.samples": 3}
    how = Preferring.of({**options, "preference.normalise": True, "training.epochs": 3})
    assert (how.loss, how.beta, how.gamma, how.normalise) == ("simpo", 2.5, 0.3, True)
    assert Preferring.of({"preference.loss": "auto", "preference.beta": "auto"}).loss == "dpo"
