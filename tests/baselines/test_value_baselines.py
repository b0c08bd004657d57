"""The mean, and ridge regression on word counts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from tests.baselines.made_pairs import material, rows
from tests.data.made import real, sentence
from whet.baselines import mean, tfidf_ridge
from whet.baselines.tfidf_cosine import Tfidf
from whet.data import reading
from whet.data.row_form import Choice
from whet.data.scored import Scored

SPLITS = ("train", "validation", "test")
PRICES = {"cat": 5.0, "dog": 9.0, "owl": 1.0}


def priced(split: str, numbers: range, pairs: bool = False):
    texts = [sentence(number) for number in numbers]
    scores = [sum(price * text.split().count(animal) for animal, price in PRICES.items()) for text in texts]
    more = {"text_pair": texts[::-1]} if pairs else {}
    return rows(split, text=texts, score=scores, **more)


def test_the_mean_of_training_for_all():
    train = rows("train", text=["a", "b", "c"], score=[1.0, 2.0, 6.0])
    others = {split: rows(split, text=["x", "y"], score=[0.0, 8.0]) for split in SPLITS[1:]}
    found = mean.fit(material("regression", train=train, **others), 0).predictions("test")
    assert found.said.tolist() == [3.0, 3.0] and found.gold.tolist() == [0.0, 8.0]
    assert (found.model, found.purpose) == ("mean", "regression")


@pytest.mark.parametrize("pairs", [False, True])
def test_prices_of_words_are_learnt(pairs):
    numbers = np.random.default_rng(0).permutation(1000)
    splits = {
        split: priced(split, numbers[part].tolist(), pairs)
        for split, part in zip(SPLITS, (slice(0, 700), slice(700, 800), slice(800, 1000)), strict=True)
    }
    found = tfidf_ridge.fit(material("regression", **splits), 0).predictions("test")
    assert r2_score(found.gold, found.said) > 0.9
    assert (found.model, found.purpose, found.ids.tolist()) == ("tfidf_ridge", "regression", list(range(200)))


def test_features_of_pairs_hold_what_they_share():
    given = rows("train", text=["a b", "c c d", ""], text_pair=["b", "c e", "x"], score=[0.0, 1.0, 2.0])
    known = Tfidf.of(["a b", "b", "c d", "c e"])
    table = tfidf_ridge.features(known, given).toarray()
    assert table.shape == (3, 2 * 5 + 3)
    assert table[:, -3] == pytest.approx(known.cosines(["a b", "c c d", ""], ["b", "c e", "x"]))
    assert table[:, -2].tolist() == pytest.approx([1 / 2, 1 / 3, 0.0])
    assert table[:, -1].tolist() == pytest.approx([1 / 2, 2 / 3, 0.0])


def test_the_same_seed_gives_the_same_numbers():
    splits = {split: priced(split, range(number * 60, number * 60 + 60)) for number, split in enumerate(SPLITS)}
    one, other = (tfidf_ridge.fit(material("regression", **splits), 3).predictions("test").said for _ in range(2))
    assert np.array_equal(one, other)


def test_real_scores(tmp_path):
    data = reading.read(real("sick_nli"), into=tmp_path, form=Scored(), choice=Choice(label="score"))
    found = tfidf_ridge.fit(material("regression", **data.splits), 0).predictions("validation")
    assert r2_score(found.gold, found.said) == pytest.approx(0.459, abs=0.01)
    plain = mean.fit(material("regression", **data.splits), 0).predictions("validation")
    assert r2_score(plain.gold, plain.said) == pytest.approx(0.0, abs=0.01)
