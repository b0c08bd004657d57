from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tasks.made_pairs import Base, embedded, outputs, rows, setting, trained
from whet.data.normal import raw_hashes
from whet.data.predictions import RankPredictions, ValuePredictions
from whet.data.relevance import pool_of
from whet.data.relevance_words import Bm25
from whet.errors import UserError
from whet.tasks.pair_encoding import rows_of
from whet.tasks.ranking import Ranking

QUERIES = ["where is my card", "where is my card", "where is my card", "refund", "refund", "help me", "why", "why"]
PASSAGES = ["my card is here", "the phone", "cancel", "i want a refund", "an account", "help", "was it", "thank you"]
RELEVANCE = [2.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 3.0]
JUDGED = {"text": QUERIES, "text_pair": PASSAGES, "score": RELEVANCE}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Base:
    return Base(tmp_path_factory.mktemp("base") / "bert")


def learnt(examples, **options) -> Ranking:
    task = Ranking(setting(examples, **options))
    task.learn(examples)
    return task


def keys(texts):
    return [int(key) for key in raw_hashes(texts)]


def test_a_unit_for_every_judged_passage():
    examples = rows(**JUDGED)
    (block,) = learnt(examples).blocks(examples)
    assert block["text"] == QUERIES
    assert block["text_pair"] == [
        *("my card is here", "my card is here", "my card is here"),
        *("i want a refund", "an account", "help", "thank you", "thank you"),
    ]
    assert block["negative"] == [[], ["the phone"], ["cancel"], [], [], [], ["was it"], []]


def test_relevant_passages_take_turns_beside_negatives():
    examples = rows(text=["q"] * 5, text_pair=list("abcde"), score=[1.0, 0.0, 2.0, 0.0, 0.0])
    (block,) = learnt(examples).blocks(examples)
    assert block["text_pair"] == ["a", "a", "c", "c", "a"]
    assert block["negative"] == [[], ["b"], [], ["d"], ["e"]]


def test_rows_of_a_query_need_not_follow_one_another():
    examples = rows(text=["q", "r", "q"], text_pair=["a", "b", "c"], score=[0.0, 1.0, 1.0])
    (block,) = learnt(examples).blocks(examples)
    assert block["text_pair"] == ["c", "b", "c"] and block["negative"] == [["a"], [], []]


def test_targets_know_which_units_have_a_positive(base):
    examples = rows(**JUDGED)
    task = learnt(examples)
    encoded = base.encode(task, examples)
    assert encoded.parts == 3 and rows_of(encoded).tolist() == list(range(8))
    targets = task.targets(examples, encoded).values
    assert targets[:, 3].tolist() == [1, 1, 1, 1, 1, 0, 1, 1]
    assert (targets[:, 2] != 0).tolist() == [False, True, True, False, False, False, True, False]
    plain = task.encode(base.tokenizer, examples.column_blocks(("text", "text_pair")), 24, None)
    assert task.targets(examples, plain).values[:, 3].tolist() == [1, 0, 0, 1, 1, 0, 0, 1]


def test_only_relevant_passages_make_units_of_two(base):
    examples = rows(text=QUERIES[:4], text_pair=PASSAGES[:4], score=[1.0] * 4)
    assert base.encode(learnt(examples), examples).parts == 2


def test_hard_negatives_are_mined_for_queries_that_have_none():
    examples = rows(**JUDGED)
    (block,) = learnt(examples, hard_negatives=1).blocks(examples, embed=embedded, seed=0)
    assert [bool(several) for several in block["negative"]] != [False] * 8
    assert block["negative"][0] == [] and block["negative"][7] == []  # their queries have judged ones
    for row in (3, 4):
        assert not set(block["negative"][row]) & {"i want a refund", "an account", "refund"}


def test_every_query_ranks_all_passages_of_the_split(base):
    examples = rows("test", **JUDGED)
    task = learnt(rows(**JUDGED))
    encoded = base.encode(task, examples)
    assert encoded.parts == 2
    found = outputs(base.model(task), encoded)
    said = task.predictions("m", found, encoded, examples)
    assert isinstance(said, RankPredictions)
    assert said.ids.tolist() == [0, 3, 6]  # "help me" has no relevant passage
    assert dict(said.gold.row(0)) == dict(zip(keys(PASSAGES[:3]), RELEVANCE[:3], strict=True))
    vectors = found.view(8, 2, -1)
    near = (vectors[0, 0] @ vectors[:, 1].T).tolist()
    expected = sorted(range(8), key=lambda one: -near[one])
    assert [key for key, _ in said.said.row(0)] == keys([PASSAGES[one] for one in expected])


def test_a_look_at_training_units_finds_the_passages_in_their_places(base):
    train, test = rows(**JUDGED), rows("test", **JUDGED)
    task = learnt(train)
    model = base.model(task)
    whole, lean = base.encode(task, train), base.encode(task, test)
    one = task.way.ranks("m", outputs(model, whole), whole, train)
    other = task.predictions("m", outputs(model, lean), lean, test)
    assert one.said.keys.tolist() == other.said.keys.tolist()
    assert one.said.values == pytest.approx(other.said.values, abs=1e-5)
    assert task.look(outputs(model, whole), whole, train)["ndcg_at_10"] == pytest.approx(
        task.look(outputs(model, lean), lean, test)["ndcg_at_10"]
    )
    assert 0 < task.floor(test) < 1


def test_ranking_is_learnt_by_heart(base):
    examples = rows(**JUDGED)
    task = learnt(examples)
    encoded = base.encode(task, examples)
    model = base.model(task)
    trained(model, task, encoded, examples, steps=80, rate=3e-3)
    assert task.look(outputs(model, encoded), encoded, examples)["ndcg_at_10"] > 0.95


def test_a_cross_encoder_puts_the_best_of_bm25_in_a_new_order(base):
    train, test = rows(**JUDGED), rows("test", **JUDGED)
    task = learnt(train, encoder="cross", depth=3)
    learning = base.encode(task, train)
    assert len(learning) == 8
    assert task.targets(train, learning).values.tolist() == [1, 0, 0, 1, 1, 0, 0, 1]
    asked = base.encode(task, test)
    model = base.model(task)
    found = outputs(model, asked)
    said = task.predictions("m", found, asked, test)
    pool = pool_of(test)
    texts = test.rows(pool.passages, "text_pair")
    searched = Bm25.of(texts)
    added = 0
    for place, (query, own) in enumerate((("where is my card", [0, 1, 2]), ("refund", [3, 4]), ("why", [6, 7]))):
        scores = searched.scores([query])[0].tolist()
        best = sorted(range(len(texts)), key=lambda one: (-scores[one], one))
        added += len({texts[one] for one in best[:3]} - {PASSAGES[row] for row in own})
        alone = rows("predict", text=[query] * 3, text_pair=[texts[one] for one in best[:3]])
        logits = outputs(model, base.encode(task, alone))[:, 0].tolist()
        head = sorted(range(3), key=lambda one: -logits[one])
        expected = [*(texts[best[one]] for one in head), *(texts[one] for one in best[3:])]
        assert [key for key, _ in said.said.row(place)] == keys(expected)
        values = [value for _, value in said.said.row(place)]
        assert values[:3] == pytest.approx([logits[one] for one in head], abs=1e-5)
        assert values == sorted(values, reverse=True)
    assert len(asked) == 8 + added
    assert 0 < task.look(found, asked, test)["ndcg_at_10"] <= 1


def test_a_relevant_passage_that_bm25_does_not_find_gains_nothing_by_being_judged(base):
    texts = [f"{word} refund" for word in ("my", "this", "an", "it", "the")]
    test = rows("test", text=["refund"] * 6, text_pair=["phone", *texts], score=[1.0] + [0.0] * 5)
    task = learnt(test, encoder="cross", depth=2)
    asked = base.encode(task, test)
    logits = torch.full((len(asked), 1), -1.0)
    logits[0] = 9.0  # the model is sure of the relevant one
    said = task.predictions("m", logits, asked, test)
    assert said.said.row(0)[-1][0] == keys(["phone"])[0]


def test_a_look_at_training_rows_ranks_what_was_encoded(base):
    train = rows(**JUDGED)
    task = learnt(train, encoder="cross")
    encoded = base.encode(task, train)
    perfect = torch.tensor(RELEVANCE)[:, None]
    assert task.look(perfect, encoded, train)["ndcg_at_10"] == 1.0
    assert task.look(-perfect, encoded, train)["ndcg_at_10"] < 1.0


def test_rows_encoded_without_what_is_to_be_ranked_are_refused(base):
    test = rows("test", **JUDGED)
    task = learnt(rows(**JUDGED), encoder="cross")
    encoded = task.encode(base.tokenizer, test.column_blocks(("text", "text_pair")), 24, None)
    with pytest.raises(ValueError, match="other passages"):
        task.predictions("m", outputs(base.model(task), encoded), encoded, test)


@pytest.mark.parametrize("encoder", ["bi", "cross"])
def test_pairs_that_only_want_a_prediction_get_a_number(base, encoder):
    task = learnt(rows(**JUDGED), encoder=encoder)
    examples = rows("predict", text=QUERIES, text_pair=PASSAGES)
    encoded = base.encode(task, examples)
    said = task.predictions("m", outputs(base.model(task), encoded), encoded, examples)
    assert isinstance(said, ValuePredictions) and said.gold is None
    assert (np.abs(said.said) <= 1 + 1e-6).all() and len(said) == 8


def test_options_that_do_not_fit_are_refused():
    only = rows(text=QUERIES[:4], text_pair=PASSAGES[:4], score=[1.0] * 4)
    for examples, options in ((rows(**JUDGED), {"loss": "cosent"}), (only, {"encoder": "cross"})):
        with pytest.raises(UserError) as caught:
            learnt(examples, **options)
        assert caught.value.problems[0].code == "D078"


def test_a_cross_encoder_mines_where_nothing_was_judged_as_not_relevant(base):
    only = rows(text=QUERIES[:4], text_pair=PASSAGES[:4], score=[1.0] * 4)
    task = learnt(only, encoder="cross", hard_negatives=1)
    encoded = base.encode(task, only, embed=embedded, seed=0)
    targets = task.targets(only, encoded).values
    assert targets.sum() == 4 and len(targets) > 4
