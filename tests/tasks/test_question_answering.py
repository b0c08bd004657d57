from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.tasks.made_questions import MADE, columns_of, examples_of, made_tokenizer, shared_tokenizer
from whet.batches import flat
from whet.batches.encoding import Encoded
from whet.data.answer_text import f1
from whet.data.forms import Examples
from whet.tasks import TASKS, question_answering
from whet.tasks.question_answering import IGNORED, QuestionAnswering, SpanLoss, span_targets
from whet.tasks.task import Setting

SHARED = ("bert-base-cased", "gpt2", "t5")
WORDS = "where is my card the order has not arrived yet please help i want a refund"
LONG = {"answers.max_tokens": 200}


def task(unanswerable: bool = True, **options: object) -> QuestionAnswering:
    return QuestionAnswering(Setting(options=options, settled={"unanswerable": unanswerable}))


def tokenizer_of(kind: str):
    return made_tokenizer(kind) if kind in MADE else shared_tokenizer(kind)


def sure(targets: torch.Tensor, encoded: Encoded) -> torch.Tensor:
    """Scores by which every window is certain of its target."""
    outputs = torch.zeros(encoded.num_tokens, 2)
    first = torch.from_numpy(np.asarray(encoded.offsets[:-1]))
    for part in (0, 1):
        outputs[first + targets[:, part].clamp_min(0), part] = 50.0
    return outputs


def spans_of_tokens(tokenizer, context: str) -> list[tuple[int, int]]:
    """Characters of each token without spaces at its ends, those of nothing left out."""
    found = []
    for start, end in tokenizer.backend_tokenizer.encode(context, add_special_tokens=False).offsets:
        part = context[start:end]
        if part.strip():
            found.append((start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())))
    return found


@pytest.mark.parametrize("kind", (*MADE, *SHARED))
@settings(max_examples=25)
@given(
    question=st.text(max_size=20),
    context=st.text(min_size=1, max_size=60),
    data=st.data(),
    limit=st.sampled_from([14, 24, 400]),
)
def test_answers_come_back_from_tokens(kind, question, context, data, limit):
    """Exactly, where an answer begins and ends with a token; else widened to the borders of its tokens."""
    tokenizer = tokenizer_of(kind)
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    touched = [(a, b) for a, b in spans_of_tokens(tokenizer, context) if a < end and b > start]
    examples = examples_of([(question, context, [(start, end)])])
    model = task(**LONG)
    encoded = model.encode(tokenizer, columns_of(examples), limit, None)
    targets = model.targets(examples, encoded).values
    if not touched:
        assert (targets == IGNORED).all(), "no token has a character of the answer"
        return
    low, high = min(a for a, _ in touched), max(b for _, b in touched)
    said = model.predictions("m", sure(targets, encoded), encoded, examples)
    if limit == 400:
        assert (targets > 0).all()
    assume((targets[:, 0] > 0).any())  # too long for any of the small windows
    assert said.said == (context[low:high],)
    assert said.starts.tolist() == [low]
    if (start, end) == (low, high):
        assert said.correct.all()


@pytest.mark.parametrize("kind", MADE)
@settings(max_examples=40)
@given(context=st.text(min_size=1, max_size=60), data=st.data())
def test_an_answer_of_whole_tokens_is_exact(kind, context, data):
    tokenizer = made_tokenizer(kind)
    tokens = sorted(set(spans_of_tokens(tokenizer, context)))
    assume(tokens)
    first, last = sorted((data.draw(st.sampled_from(tokens)), data.draw(st.sampled_from(tokens))))
    start, end = first[0], max(first[1], last[1])
    assume(all(a >= start and b <= end for a, b in tokens if a < end and b > start))
    examples = examples_of([("why", context, [(start, end)])])
    model = task(**LONG)
    encoded = model.encode(tokenizer, columns_of(examples), 400, None)
    said = model.predictions("m", sure(model.targets(examples, encoded).values, encoded), encoded, examples)
    assert said.said == (context[start:end],)
    assert said.starts.tolist() == [start]


ROWS = [
    ("where is it", WORDS, [(12, 16)]),  # card
    ("what has not arrived", WORDS, [(21, 26), (17, 26), (17, 26)]),  # order, the order
    ("who", WORDS, []),
    ("what do i want", "a refund", [(2, 8)]),
]


def made(limit: int = 14, labelled: bool = True) -> tuple[Examples, Encoded]:
    examples = examples_of(ROWS, labelled)
    return examples, task(**{"data.stride": 3}).encode(made_tokenizer("words"), columns_of(examples), limit, None)


def test_targets_are_the_tokens_of_the_answer():
    examples, encoded = made(64)
    found = task().targets(examples, encoded).values.tolist()
    words = WORDS.split()
    assert found == [
        [5 + words.index("card")] * 2,
        [6 + words.index("the"), 6 + words.index("order")],
        [0, 0],
        [6 + 1, 6 + 1],
    ], "[CLS], the question, [SEP], and of several answers the one that shares most with the others"


def test_windows_without_the_whole_answer_say_nothing():
    examples, encoded = made()
    found = task().targets(examples, encoded).values
    rows, places = np.asarray(encoded.rows), np.asarray(encoded.places)
    for window, (first, last) in enumerate(found.tolist()):
        start, end = encoded.offsets[window : window + 2]
        inside = places[start:end]
        answers = ROWS[rows[window]][2]
        whole = (
            bool(answers)
            and inside[:, 1].max() >= answers[-1][1]
            and inside[inside[:, 0] >= 0, 0].min() <= answers[-1][0]
        )
        assert (first > 0) == whole
        if whole:
            assert (inside[first, 0], inside[last, 1]) == answers[-1]
    assert (found[rows == 2] == 0).all()


def test_an_answer_that_is_cut_by_every_window_teaches_nothing_but_silence():
    examples = examples_of([("why", WORDS, [(0, len(WORDS))])])
    encoded = task().encode(made_tokenizer("words"), columns_of(examples), 14, None)
    assert len(encoded) > 1
    assert task().targets(examples, encoded).values.abs().sum() == 0


def test_silence_is_taught_no_more_than_answers_where_every_question_has_one():
    rows = [(question, WORDS, [(12, 16)]) for question in ("why", "who", "where")]
    examples = examples_of(rows)
    encoded = task().encode(made_tokenizer("words"), columns_of(examples), 10, None)
    whole = task().targets(examples, encoded).values
    found = task(unanswerable=False).targets(examples, encoded).values
    answered = whole[:, 0] > 0
    assert (found[answered] == whole[answered]).all()
    silent = found[~answered]
    assert len(silent) > int((silent[:, 0] == 0).sum()) == int(answered.sum())
    assert set(silent.flatten().tolist()) == {0, IGNORED}
    few, encoded = made(64)
    assert (
        task(unanswerable=False).targets(few, encoded).values.tolist() == task().targets(few, encoded).values.tolist()
    )


def test_what_is_learnt_goes_with_the_model():
    examples, _ = made()
    model = QuestionAnswering(Setting())
    assert model.carried == {"unanswerable": True}
    model.learn(examples.take([0, 1, 3]))
    assert model.carried == {"unanswerable": False}
    assert QuestionAnswering(Setting(settled=model.carried)).unanswerable is False
    model.learn(examples)
    assert model.carried == {"unanswerable": True}


def test_the_loss_is_the_mean_of_two_cross_entropies_over_what_may_be_said():
    examples, encoded = made(64)
    targets = task().targets(examples, encoded)
    outputs = torch.from_numpy(np.random.default_rng(3).normal(size=(encoded.num_tokens, 2))).float()
    outputs.requires_grad_()
    places = np.asarray(encoded.places)
    expected = 0.0
    for window in range(4):
        start, end = encoded.offsets[window : window + 2]
        allowed = np.flatnonzero(places[start:end, 0] >= 0)
        for part in (0, 1):
            scores = outputs.detach()[start:end, part].double()
            chosen = [0, *allowed.tolist()]
            expected -= float(scores[int(targets.values[window, part])] - scores[chosen].logsumexp(0)) / 2

    class Fixed(nn.Module):
        def forward(self, batch: flat.FlatBatch) -> torch.Tensor:
            return torch.cat([outputs[encoded.offsets[one] : encoded.offsets[one + 1]] for one in batch.rows])

    batch = flat.make(encoded, np.asarray([2, 0, 3, 1]), targets)
    found = SpanLoss()(Fixed(), batch)
    assert found.num_counted == 4
    assert float(found.total.detach()) == pytest.approx(expected, rel=1e-5)
    pieces = [SpanLoss()(Fixed(), piece) for piece in batch.split(20)]
    assert len(pieces) > 1
    assert sum(float(piece.total.detach()) for piece in pieces) == pytest.approx(expected, rel=1e-5)
    found.total.backward()
    assert torch.isfinite(outputs.grad).all()
    question = (places[:, 0] < 0) & ~np.isin(np.arange(len(places)), encoded.offsets[:-1])
    assert (outputs.grad[torch.from_numpy(question)] == 0).all()
    assert task().look(outputs.detach(), encoded, examples)["loss"] == pytest.approx(expected / 4, rel=1e-5)


def test_windows_without_loss_are_not_counted():
    examples, encoded = made(64)
    targets = task().targets(examples, encoded).values
    targets[1:] = IGNORED
    outputs = torch.randn(encoded.num_tokens, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    places = torch.from_numpy(np.asarray(encoded.places))
    choices = places[:, 1] > places[:, 0]
    choices[torch.from_numpy(np.asarray(encoded.offsets[:-1]))] = True
    lengths = torch.from_numpy(encoded.lengths)
    total, counted = SpanLoss().of(outputs, choices, lengths, targets)
    assert counted == 1
    total.backward()
    assert outputs.grad is not None
    assert (outputs.grad[encoded.offsets[1] :] == 0).all()

    class Same(nn.Module):
        def forward(self, batch: flat.FlatBatch) -> torch.Tensor:
            return outputs[: batch.num_tokens]

    nothing = SpanLoss()(Same(), flat.make(encoded, np.asarray([1]), flat.Targets(targets)))
    assert (float(nothing.total.detach()), nothing.num_counted) == (0.0, 1)


def test_label_smoothing_spreads_a_share_evenly():
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [5.0, 5.0]])
    choices = torch.tensor([True, True, True, False])
    lengths, targets = torch.tensor([4]), torch.tensor([[1, 2]])
    logs = logits[:3].double().log_softmax(0)
    plain = -(logs[1, 0] + logs[2, 1]) / 2
    even = -logs.mean(0).sum() / 2
    assert float(SpanLoss().of(logits, choices, lengths, targets)[0]) == pytest.approx(float(plain))
    found = float(SpanLoss(0.2).of(logits, choices, lengths, targets)[0])
    assert found == pytest.approx(float(0.8 * plain + 0.2 * even))


def scores(encoded: Encoded, row: int, word: str, level: float, none: float = 0.0) -> torch.Tensor:
    """Nothing but one word, and "no answer", of one row."""
    outputs = torch.full((encoded.num_tokens, 2), -40.0)
    start, end = encoded.offsets[row : row + 2]
    outputs[start] = none / 2
    context = ROWS[row][1]
    [token] = np.flatnonzero(np.asarray(encoded.places[start:end, 0]) == context.index(word))
    outputs[start + token] = level / 2
    return outputs


@pytest.mark.parametrize(("level", "said"), [(math.log(3), "card"), (-math.log(3), "")])
def test_probabilities_are_over_all_spans_and_none(level, said):
    examples, encoded = made(64)
    found = task().predictions("m", scores(encoded, 0, "card", level), encoded, examples).take(np.asarray([0]))
    share = math.exp(level) / (1 + math.exp(level))
    assert found.said == (said,)
    assert found.starts.tolist() == [12 if said else -1]
    assert found.no_answer[0] == pytest.approx(1 - share, rel=1e-4)
    assert found.confidence[0] == pytest.approx(max(share, 1 - share), rel=1e-4)
    assert found.nbest[0][0][:2] == ("card", 12)
    assert found.nbest[0][0][2] == pytest.approx(share, rel=1e-4)
    assert len(found.nbest[0]) == 5
    assert found.correct.tolist() == [said == "card"]
    assert (found.model, found.split, found.gold) == ("m", "test", (("card",),))


def test_where_every_question_has_an_answer_one_is_always_given():
    examples, encoded = made(64)
    outputs = scores(encoded, 0, "card", -9.0)
    found = task(unanswerable=False).predictions("m", outputs, encoded, examples)
    assert found.said[0] == "card"
    assert found.no_answer.tolist() == [0.0] * 4
    assert found.confidence[0] == pytest.approx(1.0, abs=1e-4)
    every = task(unanswerable=False, **{"answers.nbest": 1000, "answers.max_tokens": 1000})
    shares = [sum(share for _, _, share in row) for row in every.predictions("m", outputs, encoded, examples).nbest]
    assert shares == pytest.approx([1.0] * 4, rel=1e-4)


def test_probabilities_of_all_spans_and_none_sum_to_one_over_windows():
    examples, encoded = made()
    outputs = torch.from_numpy(np.random.default_rng(0).normal(size=(encoded.num_tokens, 2))).float()
    every = task(**{"answers.nbest": 1000, "answers.max_tokens": 4})
    found = every.predictions("m", outputs, encoded, examples)
    shares = [sum(share for _, _, share in row) for row in found.nbest] + found.no_answer
    assert shares == pytest.approx([1.0] * 4, rel=1e-4)
    for number, row in enumerate(found.nbest):
        context = ROWS[number][1]
        assert all(context[start : start + len(text)] == text for text, start, _ in row)
        assert [share for _, _, share in row] == sorted((share for _, _, share in row), reverse=True)


def test_the_quick_score_is_the_mean_f1():
    examples, encoded = made(64)
    model = task()
    outputs = sure(model.targets(examples, encoded).values, encoded)
    assert model.look(outputs, encoded, examples)["answer_f1"] == 1.0
    wrong = outputs.clone()
    wrong[: encoded.offsets[1]] = scores(encoded, 0, "yet", 9.0)[: encoded.offsets[1]]
    assert model.look(wrong, encoded, examples)["answer_f1"] == 0.75
    outputs[encoded.offsets[1] :] = scores(encoded, 1, "order", 90.0)[encoded.offsets[1] :]
    expected = [1.0, f1("order", ["order", "the order"]), 0.0, 0.0]
    outputs[encoded.offsets[2] :] = 0.0
    outputs[encoded.offsets[2], 0] = 90.0
    expected[2] = 1.0
    outputs[encoded.offsets[3], 0] = 90.0
    assert model.look(outputs, encoded, examples)["answer_f1"] == pytest.approx(np.mean(expected))
    few = np.asarray([1, 3])
    part = model.look(outputs[encoded.offsets[1] :], encoded.of_rows(np.asarray([1, 2, 3])), examples.take([1, 2, 3]))
    assert part["answer_f1"] == pytest.approx(np.mean(expected[1:]))
    assert model.floor(examples.take(few)) == 0.0


def test_rows_without_truth_get_answers_without_gold():
    examples, encoded = made(64, labelled=False)
    found = task().predictions("m", scores(encoded, 0, "card", 9.0), encoded, examples)
    assert found.gold is None
    assert found.said[0] == "card"
    assert found.groups is None


def test_an_empty_context_has_no_answer():
    examples = examples_of([("why", "", []), ("why", "card", [(0, 4)])])
    for unanswerable in (True, False):
        model = task(unanswerable)
        encoded = model.encode(made_tokenizer("words"), columns_of(examples), 16, None)
        found = model.predictions("m", torch.zeros(encoded.num_tokens, 2), encoded, examples)
        assert (found.said[0], found.nbest[0], found.no_answer[0], found.starts[0]) == ("", (), 1.0, -1)
        assert found.confidence[0] == 1.0


def test_what_the_house_knows_of_the_task():
    assert TASKS["question-answering"] == "whet.tasks.question_answering:QuestionAnswering"
    model = task()
    assert model.head(None).kind == model.head_kind == "span"
    assert model.folded(None, {}) is None
    assert model.objective() == SpanLoss(0.0)
    assert task(**{"training.label_smoothing": 0.1}).objective() == SpanLoss(0.1)


def test_the_stride_comes_from_the_recipe(monkeypatch):
    strides = []
    monkeypatch.setattr(question_answering.question_windows, "encode", lambda *given: strides.append(given[2:4]))
    for options in ({}, {"data.stride": 7}, {"data.stride": 0}):
        task(**options).encode(None, [], 100, None)
    assert strides == [(100, 25), (100, 7), (100, 0)]


def test_targets_by_hand_for_windows_in_memory():
    """Two windows of one row that both hold the answer, one of another row without."""
    places = np.asarray([[-1, -1], [0, 2], [3, 5], [-1, -1], [3, 5], [6, 8], [-1, -1], [0, 2]], np.int32)
    _, like = made()
    encoded = Encoded(
        np.zeros(8, np.uint32),
        np.asarray([0, 3, 6, 8]),
        np.full(3, -1, np.int32),
        like.cut,
        1,
        np.asarray([0, 0, 1]),
        places,
    )
    assert span_targets([(3, 5), None], encoded).tolist() == [[2, 2], [1, 1], [0, 0]]
    assert span_targets([(0, 5), (1, 2)], encoded).tolist() == [[1, 2], [0, 0], [1, 1]]
    assert span_targets([(2, 3), None], encoded).tolist() == [[IGNORED] * 2, [IGNORED] * 2, [0, 0]]
