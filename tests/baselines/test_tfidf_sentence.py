from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from tests.baselines.made_material import material, split
from tests.data.made import real
from whet.baselines import first_sentence, tfidf_sentence
from whet.baselines.material import Material
from whet.baselines.sentences import Row
from whet.baselines.tfidf_sentence import Nearness, Sureness
from whet.data.answer_text import f1
from whet.data.questions import Questions
from whet.data.reading import read

CITY = "Paris is the capital of France. It lies on the Seine. Romans founded it under the name Lutetia."
BIRD = "The owl hunts at night. It eats mice and voles. Its feathers are soft."
TRAIN = [
    ("What is the capital of France?", CITY, ["Paris"]),
    ("Under which name was it founded by the Romans?", CITY, ["Lutetia"]),
    ("What does the owl eat, mice or seeds?", BIRD, ["mice and voles", "mice"]),
    ("When does the owl hunt?", BIRD, ["night"]),
]
TEST = [
    ("Which city lies on the Seine?", CITY, ["Paris"]),
    ("What is soft, its feathers?", BIRD, ["Its feathers are soft."]),
]
SENTENCES = ["the owl hunts the mouse", "the mouse hunts nobody nobody", "feathers are soft"]


def test_weights_are_those_of_scikit_learn():
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit(SENTENCES)
    nearness = Nearness.of(SENTENCES)
    for text in (SENTENCES[1], "soft mouse mouse", "the the the"):
        expected = words.transform([text]).toarray()[0]
        found = nearness.vector(text)
        assert {word: pytest.approx(value) for word, value in found.items()} == {
            word: expected[number] for word, number in words.vocabulary_.items() if expected[number]
        }
    assert nearness.vector("never") == {"never": 1.0}
    assert nearness.unseen == max(nearness.unseen, *nearness.weights.values())
    assert nearness.vector("?!") == {}


def test_the_nearest_sentence_is_the_answer():
    found = tfidf_sentence.fit(material({"train": TRAIN, "validation": TEST, "test": TEST}), 0).predictions("test")
    assert found.said == ("It lies on the Seine.", "Its feathers are soft.")
    assert found.starts.tolist() == [CITY.index("It lies"), BIRD.index("Its")]
    assert found.correct.tolist() == [False, True]
    assert found.no_answer.tolist() == [0.0, 0.0]
    assert [len(one) for one in found.nbest] == [3, 3]
    for row in found.nbest:
        assert [share for _, _, share in row] == sorted((share for _, _, share in row), reverse=True)
    assert found.model == "tfidf_sentence"
    assert found.groups is not None


def test_how_sure_it_is_comes_from_training():
    nearness = Nearness.of(SENTENCES)
    rows = [Row("the owl", "The owl hunts. Nobody is here.", [{"start": 0, "text": "The owl hunts."}])]
    rows += [Row("nobody", "The owl hunts. Nobody is here.", [{"start": 15, "text": "Nobody"}])]
    looked_at = [nearness.look(row) for row in rows]
    assert [one.holding.tolist() for one in looked_at] == [[True, False], [False, True]]
    sure = Sureness.of(looked_at)
    assert sure.sharpness == 32.0, "the nearest always holds it"
    assert sure.right == 0.5
    best = sure.best(looked_at[1], 0.2)
    cosines = 32.0 * looked_at[1].cosines
    share = 1 / (1 + math.exp(cosines[0] - cosines[1]))
    assert best[0] == ((15, 30), pytest.approx(0.8 * 0.5 * share))


def test_silence_is_learnt_from_the_nearest_sentence():
    rows = [(f"Does the {word} lie on the Seine?", CITY, ["Seine"]) for word in ("city", "town", "tower")]
    strange = [(f"{word} {word}?", CITY, []) for word in ("xylophone", "zebra", "quark", "quasar")]
    train = [*rows, *strange] * 10
    found = tfidf_sentence.fit(material({"train": train, "validation": TEST, "test": [rows[0], strange[0]]}), 0)
    said = found.predictions("test")
    assert said.said == ("It lies on the Seine.", "")
    assert said.no_answer[0] < 0.5 < said.no_answer[1]
    assert said.confidence[1] == said.no_answer[1]


def test_questions_of_no_words_and_rows_of_one_kind():
    train = [("?", CITY, []), ("What is it?", BIRD, [])]
    found = tfidf_sentence.fit(material({"train": train, "validation": TEST, "test": [("?", CITY, ["Paris"])]}), 0)
    said = found.predictions("test")
    assert (said.said, said.no_answer.tolist()) == (("",), [1.0])
    assert said.nbest[0][0][0] == "Paris is the capital of France."


def test_on_squad_it_is_twice_as_good_as_the_first_sentence(tmp_path):
    found = read(real("squad_v1_dev_articles"), into=tmp_path / "out", form=Questions())
    few = {name: examples.take(np.arange(min(400, len(examples)))) for name, examples in found.splits.items()}
    made = Material("question-answering", few, (), False, {}, lambda _: None, lambda _: None)
    scores = []
    for baseline in (first_sentence, tfidf_sentence):
        said = baseline.fit(made, 0).predictions("validation")
        scores.append(np.mean([f1(one, gold) for one, gold in zip(said.said, said.gold, strict=True)]))
    assert 0.08 < scores[0] < 0.16
    assert 0.19 < scores[1] < 0.30


def test_splits_are_answered_as_they_stand():
    made = material({"train": TRAIN, "validation": TEST, "test": TRAIN})
    fitted = tfidf_sentence.fit(made, 0)
    for name in ("validation", "test"):
        assert fitted.predictions(name).ids.tolist() == list(range(len(made.splits[name])))
    assert split("x", TRAIN).shape.has("answers")
