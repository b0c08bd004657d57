"""Cosines of the base and of words, and BM25: a number for each pair, or passages in order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.feature_extraction.text import TfidfVectorizer

from tests.baselines.made_pairs import embed, material, rows
from tests.data.made import real
from whet.baselines import base_cosine, bm25, tfidf_cosine
from whet.baselines.tfidf_cosine import Tfidf
from whet.data import reading
from whet.data.normal import raw_hashes
from whet.data.predictions import RankPredictions, ValuePredictions
from whet.data.relevance_words import Bm25
from whet.data.row_form import Choice
from whet.data.scored import Similar

FIRSTS = ["the cat sat", "a dog runs", "red cars drive", "the sun is hot"]
SECONDS = ["the cat sat down", "the sea is cold", "cars drive fast", "dogs run"]
SCORES = [5.0, 1.0, 4.0, 2.0]
SCORED = {"text": FIRSTS, "text_pair": SECONDS, "score": SCORES}
SPLITS = ("train", "validation", "test")
EACH = pytest.mark.parametrize("baseline", [base_cosine, tfidf_cosine, bm25])


@EACH
def test_a_number_for_each_pair(baseline):
    given = material("sentence-similarity", **{split: rows(split, **SCORED) for split in SPLITS})
    fitted = baseline.fit(given, 0)
    for split in ("validation", "test"):
        found = fitted.predictions(split)
        assert isinstance(found, ValuePredictions)
        assert (found.model, found.split, found.purpose) == (baseline.NAME, split, "similarity")
        assert found.gold.tolist() == SCORES and found.ids.tolist() == [0, 1, 2, 3]
        assert found.said[[0, 2]].min() > found.said[1]


def test_cosines_are_spread_over_the_range_of_training():
    train = rows("train", text=FIRSTS, text_pair=SECONDS, score=[1.0, 2.0, 3.0, 11.0])
    given = material("sentence-similarity", train=train, **{split: rows(split, **SCORED) for split in SPLITS[1:]})
    expected = 1.0 + 10.0 * (embed(FIRSTS) * embed(SECONDS)).sum(1)
    assert base_cosine.fit(given, 0).predictions("test").said == pytest.approx(expected, rel=1e-5)


def test_tfidf_is_that_of_scikit_learn():
    train = [*FIRSTS, *SECONDS]
    theirs = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit(train)
    new = ["the the cat unicorn", "cars", "unicorn"]
    expected = theirs.transform(new).multiply(theirs.transform(FIRSTS[:3])).sum(axis=1)
    assert Tfidf.of(train).cosines(new, FIRSTS[:3]) == pytest.approx(np.asarray(expected).ravel())


def test_bm25_of_pairs_lies_on_the_scale_of_scores_in_its_own_order():
    given = material("sentence-similarity", **{split: rows(split, **SCORED) for split in SPLITS})
    said = bm25.fit(given, 0).predictions("test").said
    plain = Bm25.of(SECONDS).pairs(FIRSTS, SECONDS)
    slope, level = np.polyfit(plain, SCORES, 1)
    assert said == pytest.approx(level + slope * plain)
    assert bm25.rising_line(np.array([1.0, 2.0]), np.array([5.0, 1.0]))[1] > 0
    assert bm25.rising_line(np.array([1.0, 1.0]), np.array([5.0, 1.0])) == (2.0, 1.0)


@EACH
@pytest.mark.parametrize("task", ["ranking", "sentence-similarity"])
def test_passages_in_order_where_rows_belong_together(baseline, task):
    queries = ["cat sat", "cat sat", "dog runs", "hot sun"]
    passages = ["the cat sat down", "cold sea", "a dog runs", "sun so hot"]
    score = {"score": [2.0, 0.0, 1.0, 1.0]} if task == "ranking" else {}
    splits = {split: rows(split, text=queries, text_pair=passages, **score) for split in SPLITS}
    found = baseline.fit(material(task, **splits), 0).predictions("test")
    assert isinstance(found, RankPredictions) and found.model == baseline.NAME
    assert found.ids.tolist() == [0, 2, 3]
    best = [found.said.row(row)[0][0] for row in range(3)]
    assert best == [int(key) for key in raw_hashes(["the cat sat down", "a dog runs", "sun so hot"])]
    assert all(len(found.said.row(row)) == 4 for row in range(3))


@EACH
def test_all_baselines_know_the_same_truth(baseline):
    splits = {split: rows(split, text=["a b", "c d"], text_pair=["a", "d"], group=["x", "y"]) for split in SPLITS}
    found = baseline.fit(material("ranking", **splits), 0).predictions("validation")
    assert found.groups.tolist() == splits["validation"].groups.tolist()
    assert [dict(found.gold.row(row)) for row in range(2)] == [
        {int(key): 1.0} for key in raw_hashes(["a", "d"]).tolist()
    ]


@EACH
def test_texts_without_words_are_no_trouble(baseline):
    splits = {split: rows(split, text=["?!", "x y"], text_pair=["...", "?"], score=[1.0, 2.0]) for split in SPLITS}
    given = material("sentence-similarity", **splits)
    if baseline is base_cosine:
        given = replace(given, embed=lambda texts: np.eye(4, dtype=np.float32)[: len(texts)])
    assert np.isfinite(baseline.fit(given, 0).predictions("test").said).all()


def test_words_on_real_scores(tmp_path):
    data = reading.read(real("sick_nli"), into=tmp_path, form=Similar(), choice=Choice(label="score"))
    given = material("sentence-similarity", **data.splits)
    for baseline, expected in ((tfidf_cosine, 0.610), (bm25, 0.538)):
        found = baseline.fit(given, 0).predictions("validation")
        assert spearmanr(found.said, found.gold).statistic == pytest.approx(expected, abs=0.005)
