from __future__ import annotations

import numpy as np
import pytest

from whet.tasks import hard_negatives
from whet.tasks.hard_negatives import mine

ANGLES = {"a": 0.0, "b": 90.0, "pa": 10.0, "pa2": 5.0, "pb": 60.0, "near": 20.0, "far": 45.0, "c": 180.0, "pc": 200.0}


def embed(texts):
    angles = np.radians([ANGLES[text] for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_nearest_text_that_does_not_belong():
    anchors, positives = ["a", "b", "c", "b"], ["pa", "pb", "pc", "far"]
    assert mine(anchors, positives, embed, 2, 0) == [["far", "pb"], ["pa", "pc"], ["pb", "far"], ["pa", "pc"]]
    assert mine(anchors, positives, embed, 1, 0) == [["far"], ["pa"], ["pb"], ["pa"]]


def test_texts_that_belong_in_another_row_are_no_negatives():
    # of "a" both are positives; "pb" is not
    assert mine(["a", "a", "b"], ["pa", "near", "pb"], embed, 3, 0) == [["pb"], ["pb"], ["near", "pa"]]


def test_those_nearer_than_the_positive_less_a_margin_are_skipped():
    # cos 10 = .985, cos 20 = .940: .045 apart, less than the margin; cos 45 = .707
    assert mine(["a", "b", "b"], ["pa", "near", "far"], embed, 2, 0)[0] == ["far"]


def test_an_anchor_is_not_its_own_negative(monkeypatch):
    monkeypatch.setattr(hard_negatives, "MARGIN", -3.0)
    assert mine(["a", "b"], ["pa", "a"], embed, 2, 0) == [[], ["pa"]]


def test_a_pair_belongs_together_in_either_order():
    found = mine(["a", "pb"], ["pa2", "a"], embed, 2, 0)
    assert "a" not in found[0] and found[1] == []


def test_of_very_many_texts_some_are_drawn_by_seed(monkeypatch):
    draw = np.random.default_rng(0)
    table = {f"t{n}": vector / np.linalg.norm(vector) for n, vector in enumerate(draw.normal(size=(80, 4)))}

    def vectors(texts):
        return np.asarray([table[text] for text in texts], np.float32)

    anchors, positives = [f"t{n}" for n in range(40)], [f"t{n}" for n in range(40, 80)]
    monkeypatch.setattr(hard_negatives, "MOST_CANDIDATES", 10)
    monkeypatch.setattr(hard_negatives, "MARGIN", -3.0)
    found = mine(anchors, positives, vectors, 1, 7)
    assert len({text for several in found for text in several}) <= 10
    assert found == mine(anchors, positives, vectors, 1, 7) != mine(anchors, positives, vectors, 1, 8)


def test_mining_agrees_with_a_plain_search():
    draw = np.random.default_rng(1)
    names = [f"t{n}" for n in range(300)]
    table = dict(zip(names, draw.normal(size=(300, 3)), strict=True))
    table = {name: vector / np.linalg.norm(vector) for name, vector in table.items()}

    def vectors(texts):
        return np.asarray([table[text] for text in texts], np.float32)

    anchors, positives = names[:290], [names[n] for n in draw.integers(0, 300, 290)]
    found = mine(anchors, positives, vectors, 1, 0)
    belong: dict[str, set[str]] = {}
    for one, other in zip(anchors, positives, strict=True):
        belong.setdefault(one, {one}).add(other)
        belong.setdefault(other, {other}).add(one)
    for anchor, positive, several in zip(anchors, positives, found, strict=True):
        most = table[anchor] @ table[positive] - hard_negatives.MARGIN
        near = {text: table[anchor] @ table[text] for text in set(positives) - belong[anchor]}
        allowed = {text: value for text, value in near.items() if value <= most + 1e-6}
        assert len(several) == bool(allowed)
        if several:
            assert near[several[0]] == pytest.approx(max(allowed.values()), abs=1e-5)
