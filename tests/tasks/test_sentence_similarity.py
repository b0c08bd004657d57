from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from tests.made_models import WORDS
from tests.tasks.made_pairs import Base, embedded, outputs, rows, setting, trained
from whet.data.normal import raw_hashes
from whet.data.predictions import RankPredictions, ValuePredictions
from whet.errors import UserError
from whet.tasks.pair_answers import Scale
from whet.tasks.pair_ways import spearman
from whet.tasks.sentence_similarity import SentenceSimilarity

FIRSTS = ["where is my card", "why", "help me cancel this order", "refund", "no one answers the phone", "password"]
SECONDS = ["my card is where", "thank you", "how do i cancel an order", "item", "i was charged twice", "account"]
SCORES = [5.0, 1.0, 4.5, 2.0, 3.0, 3.0]
SCORED = rows(text=FIRSTS, text_pair=SECONDS, score=SCORES)
PAIRS = rows(text=FIRSTS, text_pair=SECONDS)
NEGATIVES = [["why", "thank you"], [], ["refund"], ["phone"], [], ["was"]]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Base:
    return Base(tmp_path_factory.mktemp("base") / "bert")


def learnt(examples=SCORED, **options) -> SentenceSimilarity:
    task = SentenceSimilarity(setting(examples, **options))
    task.learn(examples)
    return task


# --- what is learnt from the training rows --------------------------------------------------------


def test_the_range_of_training_scores_is_carried_with_the_model():
    task = learnt()
    assert task.carried == {"low": 1.0, "high": 5.0}
    again = SentenceSimilarity(setting(SCORED))
    assert again.scale == Scale() and SentenceSimilarity(setting(PAIRS)).carried == {}
    again = SentenceSimilarity(replace(setting(SCORED), settled=task.carried))
    assert again.scale == Scale(1.0, 5.0)


def test_scores_become_shares_of_the_range():
    scale = Scale(1.0, 5.0)
    assert scale.shares(np.array([1.0, 2.0, 5.0, 6.0, 0.0])).tolist() == [0.0, 0.25, 1.0, 1.0, 0.0]
    assert scale.spread(np.array([0.0, 0.25, 1.0, -0.5])).tolist() == [1.0, 2.0, 5.0, -1.0]


@pytest.mark.parametrize(
    ("examples", "options", "expected"),
    [
        (SCORED, {}, ("spearman", False, "vectors")),
        (SCORED, {"loss": "cosent"}, ("spearman", True, "vectors")),
        (SCORED, {"encoder": "cross"}, ("spearman", False, "value")),
        (PAIRS, {}, ("ndcg_at_10", True, "vectors")),
        (PAIRS, {"encoder": "cross", "hard_negatives": 1}, ("ndcg_at_10", False, "value")),
    ],
)
def test_the_way_follows_from_rows_and_options(examples, options, expected):
    task = learnt(examples, **options)
    assert (task.score, task.coupled, task.head_kind) == expected
    assert task.head("mean").kind == task.head_kind
    assert SentenceSimilarity(type(setting(PAIRS))(options=setting(PAIRS, **options).options)).head_kind == expected[2]


@pytest.mark.parametrize(
    ("examples", "options"),
    [
        (SCORED, {"loss": "contrastive"}),
        (SCORED, {"hard_negatives": 1}),
        (PAIRS, {"loss": "cosent"}),
        (PAIRS, {"loss": "cosine"}),
        (PAIRS, {"encoder": "cross"}),
    ],
)
def test_options_that_do_not_fit_the_rows_are_refused(examples, options):
    with pytest.raises(UserError) as caught:
        learnt(examples, **options)
    assert [problem.code for problem in caught.value.problems] == ["D078"]


# --- rows with scores -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"loss": "cosent"}, {"encoder": "cross"}])
def test_look_and_predictions_of_scored_rows(base, options):
    task = learnt(**options)
    examples = rows("test", text=FIRSTS, text_pair=SECONDS, score=SCORES)
    encoded = base.encode(task, examples)
    model = base.model(task)
    found = outputs(model, encoded)
    targets = task.targets(examples, encoded)
    assert targets.values.tolist() == [1.0, 0.0, 0.875, 0.25, 0.5, 0.5]
    said = task.predictions("m", found, encoded, examples)
    assert isinstance(said, ValuePredictions)
    assert said.purpose == "similarity" and said.gold.tolist() == SCORES
    if options.get("encoder") == "cross":
        expected = found[:, 0].double().sigmoid().numpy()
    else:
        expected = (found[0::2] * found[1::2]).sum(1).double().numpy()
    assert said.said == pytest.approx(1.0 + 4.0 * expected, abs=1e-5)
    numbers = task.look(found, encoded, examples)
    assert numbers["spearman"] == pytest.approx(spearmanr(expected, SCORES).statistic, abs=1e-9)
    assert numbers["loss"] == pytest.approx(float(task.objective().of(found, targets.values)) / 6, rel=1e-5)
    assert task.floor(examples) == 0.0


@pytest.mark.parametrize(("options", "rate"), [({}, 3e-3), ({"loss": "cosent"}, 3e-3), ({"encoder": "cross"}, 1e-2)])
def test_six_pairs_are_learnt_by_heart(base, options, rate):
    task = learnt(**options)
    encoded = base.encode(task, SCORED)
    model = base.model(task)
    trained(model, task, encoded, SCORED, steps=60, rate=rate)
    assert task.look(outputs(model, encoded), encoded, SCORED)["spearman"] > 0.95


def test_spearman_is_that_of_scipy_with_ties():
    draw = np.random.default_rng(0)
    one, other = draw.integers(0, 5, 50), draw.normal(size=50)
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert spearman(np.ones(4), np.arange(4)) == 0.0


def test_scored_rows_that_only_want_a_prediction(base):
    task = learnt()
    examples = rows("predict", text=FIRSTS, text_pair=SECONDS)
    encoded = base.encode(task, examples)
    said = task.predictions("m", outputs(base.model(task), encoded), encoded, examples)
    assert isinstance(said, ValuePredictions) and said.gold is None and len(said) == 6


def test_a_text_has_one_vector_alone_and_in_a_batch(base):
    task = learnt()
    encoded = base.encode(task, SCORED)
    model = base.model(task)
    whole = outputs(model, encoded)
    for row in range(6):
        alone = rows(text=[FIRSTS[row]], text_pair=[SECONDS[row]], score=[1.0])
        assert outputs(model, base.encode(task, alone)) == pytest.approx(whole[2 * row : 2 * row + 2], abs=1e-5)


# --- texts that belong together -------------------------------------------------------------------


def test_anchors_find_their_positives_among_those_of_the_split(base):
    task = learnt(PAIRS)
    firsts = [*FIRSTS, FIRSTS[0]]
    examples = rows("test", text=firsts, text_pair=[*SECONDS, "thank you"])
    encoded = base.encode(task, examples)
    assert encoded.parts == 2
    found = outputs(base.model(task), encoded)
    said = task.predictions("m", found, encoded, examples)
    assert isinstance(said, RankPredictions) and said.ids.tolist() == list(range(6))
    keys = dict(zip(raw_hashes(SECONDS).tolist(), range(6), strict=True))
    assert [dict(said.gold.row(row)) for row in range(2)] == [
        {int(raw_hashes([SECONDS[0]])[0]): 1.0, int(raw_hashes(["thank you"])[0]): 1.0},
        {int(raw_hashes(["thank you"])[0]): 1.0},
    ]
    vectors = found.view(7, 2, -1)
    for row in range(6):
        near = (vectors[row, 0] @ vectors[:6, 1].T).tolist()
        assert [keys[key] for key, _ in said.said.row(row)] == sorted(range(6), key=lambda one: -near[one])
    numbers = task.look(found, encoded, examples)
    assert 0 < numbers["ndcg_at_10"] <= 1 and numbers["loss"] > 0 and 0 < task.floor(examples) < 1


def test_given_negatives_make_units_of_three(base):
    examples = rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(examples)
    encoded = base.encode(task, examples)
    assert encoded.parts == 3 and len(encoded) == 7
    targets = task.targets(examples, encoded).values
    assert targets.shape == (7, 4) and (targets[:, 3] == 1).all()
    assert (targets[:, 2] == 0).tolist() == [False, False, True, False, False, True, False]
    assert targets[0, :2].tolist() == targets[1, :2].tolist()


def test_validation_is_asked_without_negatives(base):
    examples = rows("validation", text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES))
    assert base.encode(task, examples).parts == 2


def test_predictions_do_not_depend_on_negatives_beside_them(base):
    examples = rows("test", text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES))
    model = base.model(task)
    lean = base.encode(task, examples)
    full = task.encode(base.tokenizer, examples.column_blocks(("text", "text_pair", "negative")), 24, None)
    one, other = (task.predictions("m", outputs(model, encoded), encoded, examples) for encoded in (lean, full))
    assert one.said.keys.tolist() == other.said.keys.tolist()
    assert one.said.values == pytest.approx(other.said.values, abs=1e-5)


def test_hard_negatives_are_mined_where_rows_have_none():
    examples = rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(examples, hard_negatives=1)
    (block,) = task.blocks(examples, embed=embedded, seed=0)
    assert [several for several in block["negative"] if several and len(several) == 1 and several[0] in SECONDS]
    for row, several in enumerate(block["negative"]):
        assert several == NEGATIVES[row] if NEGATIVES[row] else len(several) <= 1
        assert SECONDS[row] not in several and FIRSTS[row] not in several
    without = learnt(PAIRS)
    assert all("negative" not in block for block in without.blocks(PAIRS))


@pytest.mark.parametrize("negatives", [False, True])
def test_pairs_are_learnt_by_heart(base, negatives):
    more = {"negative": NEGATIVES} if negatives else {}
    examples = rows(text=FIRSTS, text_pair=SECONDS, **more)
    task = learnt(examples)
    encoded = base.encode(task, examples)
    model = base.model(task)
    trained(model, task, encoded, examples, steps=60, rate=3e-3)
    assert task.look(outputs(model, encoded), encoded, examples)["ndcg_at_10"] == 1.0


def test_a_part_of_the_training_rows_can_be_looked_at(base):
    examples = rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(examples)
    encoded = base.encode(task, examples)
    chosen = np.array([0, 2, 5])
    part = encoded.of_rows(chosen)
    numbers = task.look(outputs(base.model(task), part), part, examples.take(chosen))
    assert np.isfinite(list(numbers.values())).all()


def test_a_cross_encoder_learns_positives_from_negatives(base):
    examples = rows(text=FIRSTS, text_pair=SECONDS, negative=NEGATIVES)
    task = learnt(examples, encoder="cross")
    encoded = base.encode(task, examples)
    assert len(encoded) == 6 + 5
    assert task.targets(examples, encoded).values.tolist() == [1, 0, 0, 1, 1, 0, 1, 0, 1, 1, 0]
    model = base.model(task)
    trained(model, task, encoded, examples, steps=60, rate=1e-2)
    chosen = np.array([0, 2, 5])
    part = encoded.of_rows(chosen)
    assert task.look(outputs(model, part), part, examples.take(chosen))["ndcg_at_10"] == 1.0
    backwards = task.look(-outputs(model, part), part, examples.take(chosen))["ndcg_at_10"]
    assert backwards == pytest.approx((1 / 2 + 1 / np.log2(3) + 1 / np.log2(3)) / 3)  # last of 3, of 2, of 2
    test = rows("test", text=FIRSTS, text_pair=SECONDS)
    asked = base.encode(task, test)
    assert len(asked) > 6
    said = task.predictions("m", outputs(base.model(task), asked), asked, test)
    assert isinstance(said, RankPredictions) and len(said) == 6


def test_pairs_that_only_want_a_prediction_get_a_cosine(base):
    task = learnt(PAIRS)
    examples = rows("predict", text=["card", WORDS[3]], text_pair=["card", WORDS[9]])
    encoded = base.encode(task, examples)
    said = task.predictions("m", outputs(base.model(task), encoded), encoded, examples)
    assert isinstance(said, ValuePredictions) and said.said[0] == pytest.approx(1.0, abs=1e-5)


def test_mining_needs_vectors():
    task = learnt(PAIRS, hard_negatives=1)
    with pytest.raises(ValueError, match="vectors of a base"):
        list(task.blocks(PAIRS))


def test_outputs_of_another_precision_are_taken(base):
    task = learnt()
    encoded = base.encode(task, SCORED)
    found = outputs(base.model(task), encoded).to(torch.bfloat16)
    assert np.isfinite(task.look(found, encoded, SCORED)["loss"])
