from __future__ import annotations

import numpy as np
import pytest

from tests.baselines.made_entities import material, said
from tests.data.made import real
from whet.baselines import token_linear
from whet.baselines.material import Material
from whet.baselines.word_features import WordFeatures, of_the_word, shape
from whet.data.entities import Entities
from whet.data.predictions import SpanPredictions
from whet.data.reading import read

NAMES = ["Ann", "Bob", "Eva", "Kim", "Lea", "Max", "Tom", "Zoe"]
CITIES = ["Oslo", "Rome", "Bern", "Riga", "Kyiv", "Bonn", "Lima", "Doha"]
TRAIN = [f"dear [{name} Lee]PER went to [{city}]LOC today" for name in NAMES for city in CITIES]


def fitted(train: list[str], validation: list[str], test: list[str], seed: int = 0) -> SpanPredictions:
    found = token_linear.fit(material(train, validation, test), seed).predictions("test")
    assert isinstance(found, SpanPredictions)
    return found


def test_new_names_are_known_by_what_stands_around_them() -> None:
    found = fitted(TRAIN, TRAIN[:9], ["dear Una Lee went to Cork today", "went to Cork", "", "today"])
    assert said(found, 0) == [(5, 12, "PER"), (21, 25, "LOC")]
    assert said(found, 1) == [(8, 12, "LOC")]
    assert said(found, 2) == said(found, 3) == []
    assert found.confidence.min() > 0.5
    assert found.model == "token_linear"
    assert found.seen is not None


def test_the_same_seed_gives_the_same() -> None:
    tests = ["dear Una went Lee to Cork Rome today", "Ann to"]
    one, other = (fitted(TRAIN, TRAIN[:9], tests, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.confidence, other.confidence)
    assert one.said.row(0) == other.said.row(0)


def test_types_of_which_little_is_known() -> None:
    found = fitted(["[Ann]PER"] * 3, ["[Ann]PER"], ["Ann Bob"])
    assert said(found, 0) == [(0, 3, "PER"), (4, 7, "PER")], "of words outside entities training has none"
    found = fitted(["[Ann]PER came"] * 3, ["came"], ["Ann came"])
    assert said(found, 0) == [(0, 3, "PER")]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Oslo", "Xxx"),
        ("McDonald's", "XxXxx'x"),
        ("COVID-19", "XX-99"),
        ("2019", "99"),
        ("...", ".."),
        ("x", "x"),
        ("", ""),
    ],
)
def test_the_shape_of_a_word(word: str, expected: str) -> None:
    assert shape(word) == expected


def test_features_of_a_word() -> None:
    assert of_the_word("Oslo") == [
        "w:Oslo", "l:oslo", "s:Xxx", "1:o", "2:os", "3:osl", "4:oslo", "-1:o", "-2:lo", "-3:slo", "-4:oslo"
    ]  # fmt: skip


def test_a_word_has_the_features_of_its_neighbours() -> None:
    features = WordFeatures()
    rows = [["a", "b", "c"], [], ["c", "b", "a"], ["a", "b"]]
    known = features.fit(rows).toarray()
    assert known.shape[0] == 8
    np.testing.assert_array_equal(features.transform(rows).toarray(), known)
    np.testing.assert_array_equal(features.transform([["a", "b", "c"]]).toarray(), known[:3])
    assert (known[0] != known[6]).any(), "another word follows the next"
    new = features.transform([["b", "new"]]).toarray()
    assert (new[0] != known[1]).any()
    assert 0 < new[1].sum() < known[1].sum(), "of a new word only what is known counts"


def test_on_real_rows(tmp_path) -> None:
    folder = real("ncbi_disease_ner")
    found = read(folder, into=tmp_path / "out", form=Entities())
    splits = {split: examples.take(np.arange(min(len(examples), 900))) for split, examples in found.splits.items()}
    rows = Material("token-classification", splits, found.labels, False, {}, lambda _: None, lambda _: None)
    said_there = token_linear.fit(rows, 0).predictions("test")
    hits = said_there.said.stand_in(said_there.gold).sum()
    assert 2 * hits / (len(said_there.said.starts) + len(said_there.gold.starts)) > 0.5
