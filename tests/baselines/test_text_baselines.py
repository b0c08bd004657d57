"""The nearest answer, the source itself, its first sentences, and how often each token occurs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.baselines.made_pairs import material
from whet.baselines import BASELINES, copy_source, lead3, nearest_answer, tfidf_cosine, unigram
from whet.baselines.material import Material, Targets
from whet.data.forms import Examples, Shape
from whet.data.saying import say_texts
from whet.evaluation.kinds import values_of
from whet.registry import load

SPLITS = ("train", "validation", "test")


def rows(split: str, texts: list[str], answers: list[list[str]] | None = None, group: str = "talk") -> Examples:
    columns: dict[str, list[Any]] = {"text": texts, "group": [group] * len(texts)}
    shape = Shape((("group", pa.string()),))
    if answers is not None:
        columns["answers"], shape = answers, shape.having("answers", pa.list_(pa.string()))
    return Examples.of(columns, shape, split)


TRAIN = rows(
    "train",
    ["how do I reset my password", "where is my parcel", "cancel the order please", "cancel my plan please"],
    [["Click on 'forgot'."], ["It is on its way.", "Soon there."], ["Done."], ["Done."]],
)
ASKED = rows(
    "test",
    ["My parcel, where is it?", "PASSWORD reset", "quux", "cancel please"],
    [["Soon there.", "Soon there."], ["?"], ["Done."], ["Done."]],
)


def support(task: str = "text-generation") -> Material:
    return material(task, train=TRAIN, validation=ASKED.take([0]), test=ASKED)


def test_the_answer_of_the_nearest_prompt():
    found = nearest_answer.fit(support(), 0).predictions("test")
    # nothing is like "quux": the most frequent answer
    assert found.said == ("It is on its way.", "Click on 'forgot'.", "Done.", "Done.")
    assert (found.model, found.purpose, found.split) == ("nearest_answer", "generation", "test")
    assert found.gold == (("Soon there.",), ("?",), ("Done.",), ("Done.",))
    assert found.correct.tolist() == [False, False, True, True]
    assert found.nats is None and found.finished is None and found.has_gold
    np.testing.assert_array_equal(found.groups, ASKED.groups)
    np.testing.assert_array_equal(found.hashes, ASKED.hashes)
    assert len(nearest_answer.fit(support(), 0).predictions("validation")) == 1
    assert nearest_answer.fit(support("translation"), 0).predictions("test").purpose == "translation"


def test_the_nearest_of_many_is_found_piece_by_piece(monkeypatch):
    whole = nearest_answer.fit(support(), 0).predictions("test").said
    monkeypatch.setattr(tfidf_cosine, "CELLS_AT_ONCE", 5)
    assert nearest_answer.fit(support(), 0).predictions("test").said == whole


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab c", max_size=8), min_size=1, max_size=6), st.lists(st.text("ab cd", max_size=8)))
def test_the_nearest_is_that_of_cosines_one_by_one(known, asked):
    found = nearest_answer.Known.of(known, [str(number) for number in range(len(known))])
    for text, said in zip(asked, found.answers(asked), strict=True):
        cosines = found.texts.words.cosines([text] * len(known), known)
        assert cosines[int(said)] == pytest.approx(cosines.max())


def test_the_source_itself():
    found = copy_source.fit(support("translation"), 0).predictions("test")
    assert found.said == tuple(ASKED.column("text"))
    assert (found.model, found.purpose) == ("copy_source", "translation")
    assert set(values_of(found)) == {"bleu", "chrf", "rouge1", "rouge2", "rouge_l", "repetition"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("One. Two!  Three? Four.", "One. Two!  Three?"),
        ("  Dr. Who came.\nHe left. ", "Dr. Who came.\nHe left."),
        ("no end at all", "no end at all"),
        ("A: Hi.\nB: Bye.\nA: So long.\nB: Ok.", "A: Hi.\nB: Bye.\nA: So long."),
        ("\n \n", ""),
    ],
)
def test_the_first_three_sentences(source, said):
    assert lead3.lead(source) == said
    made = material("summarization", validation=ASKED, test=rows("test", [source], [["x"]]))
    found = lead3.fit(made, 0).predictions("test")
    assert found.said == (said,) and (found.model, found.purpose) == ("lead3", "summarization")


IDS = {
    "train": [[0, 0, 1], [], [0, 2]],
    "validation": [[0]],
    "test": [[0, 1, 3], [], [3]],
}


def counted(split: str) -> Targets:
    ids = [np.asarray(row, dtype=np.int64) for row in IDS[split]]
    return Targets(iter(ids), np.asarray([3 * len(row) for row in ids]))


def documents() -> Material:
    splits = {split: rows(split, ["x"] * len(IDS[split])) for split in SPLITS}
    return replace(material("language-modeling", **splits), tokens=counted, vocabulary_size=4)


def test_tokens_as_often_as_training_has_them():
    found = unigram.fit(documents(), 0).predictions("test")
    # of 5 tokens 0 stands there three times, 1 and 2 once, 3 never; each once more, of 9
    np.testing.assert_allclose(found.nats, [-np.log(4 / 9 * 2 / 9 * 1 / 9), 0, -np.log(1 / 9)])
    assert found.tokens.tolist() == [3, 0, 1]
    assert found.num_right.tolist() == [1, 0, 0]
    assert found.num_bytes.tolist() == [9, 0, 3]
    assert (found.model, found.purpose, found.said, found.gold) == ("unigram", "language", None, None)
    assert values_of(found)["token_nats"] == pytest.approx(found.nats.sum() / 4)


def test_probabilities_of_all_tokens_are_one_together():
    counts = unigram.Counts.of(map(np.asarray, IDS["train"][::2]), 7)
    assert np.exp(-counts.nats).sum() == pytest.approx(1.0)
    assert counts.usual == 0


def test_without_tokens_there_is_nothing_to_count():
    with pytest.raises(ValueError, match="needs the tokens"):
        unigram.fit(replace(documents(), tokens=None), 0)


def test_what_is_said_stands_beside_its_truth():
    found = say_texts("m", ASKED, "generation", ["a"] * 4, nats=[1, 2, 3, 4], tokens=None)
    assert found.nats.dtype == np.float64 and found.tokens is None
    assert say_texts("m", ASKED, "language", None, nats=np.ones(4)).gold is None
    unknown = say_texts("m", rows("predict", ["a"]), "generation", ["b"])
    assert unknown.gold is None and not unknown.has_gold


def test_all_are_in_the_table():
    for name in ("nearest_answer", "copy_source", "lead3", "unigram"):
        assert callable(load(BASELINES, name, "evaluation.baselines"))
