from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.made_models import make_base
from tests.models.ready import LABELS, SECONDS, TEXTS, ready
from whet.data.predictions import ClassPredictions
from whet.errors import UserError
from whet.inference import trained
from whet.inference.answers import ask, unanswered
from whet.inference.trained import TrainedModel
from whet.models import saving
from whet.tasks import task

Saved = Callable[..., TrainedModel]


def probabilities(model: TrainedModel, texts: Any, pairs: Any = None, progress: Any = None) -> Any:
    found = model.predict(unanswered(texts, pairs), progress)
    assert isinstance(found, ClassPredictions)
    return found.scores


def rethought(model: TrainedModel, **about: Any) -> TrainedModel:
    changed = replace(model.about, **about)
    return replace(model, about=changed, how=trained.task_of(changed))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A model saved and loaded: of a family, with a pooling, and with thresholds where rows have several labels."""
    root = tmp_path_factory.mktemp("saved")

    def make(family: str = "bert", pooling: str | None = "mean", thresholds: list[float] | None = None) -> TrainedModel:
        base, folder = root / family, root / f"{family}-{pooling}-{thresholds}"
        if not folder.exists():
            made = ready(base if base.exists() else make_base(base, family), pooling)
            about = made.about(multi_label=thresholds is not None, thresholds=thresholds)
            saving.save(made.model, None, made.tokenizer, about, folder)
        return TrainedModel.load(folder)

    return make


@pytest.mark.parametrize(("family", "pooling"), [("bert", "mean"), ("distilbert", None), ("llama", None)])
def test_alone_and_in_a_batch_the_answer_is_the_same(saved: Saved, family: str, pooling: str | None):
    model = saved(family, pooling)
    together = ask(model, TEXTS)
    assert len({a.score for a in together}) == len(TEXTS)
    for text, answer in zip(TEXTS, together, strict=True):
        (alone,) = ask(model, [text])
        assert alone.label == answer.label
        assert alone.scores == pytest.approx(answer.scores, abs=1e-6)


def test_an_answer_names_the_likeliest(saved: Saved):
    for answer in ask(saved(), TEXTS):
        assert tuple(answer.scores) == LABELS
        assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-6)
        assert answer.label == max(answer.scores, key=lambda label: answer.scores[label])
        assert answer.score == answer.scores[answer.label]
        assert answer.labels == (answer.label,)


def test_several_labels_are_those_at_their_threshold(saved: Saved):
    model = saved(thresholds=[0.5] * 3)
    found = probabilities(model, TEXTS)
    assert not np.allclose(found.sum(1), 1)
    cuts = [float(found[0, 0]), 0.0, 1.0]  # at the threshold counts, always, never
    strict = rethought(model, thresholds=cuts)
    answers = ask(strict, TEXTS)
    for row, answer in zip(found, answers, strict=True):
        assert answer.labels == ((LABELS[0],) if row[0] >= cuts[0] else ()) + (LABELS[1],)
        assert answer.label == LABELS[int(row.argmax())]
    nobody = rethought(model, thresholds=[1.0] * 3)
    assert [a.labels for a in ask(nobody, TEXTS)] == [()] * len(TEXTS)


def test_pairs_are_read_together(saved: Saved):
    single = saved()
    model = rethought(single, pairs=True)
    pairs = probabilities(model, TEXTS, SECONDS)
    assert np.abs(pairs - probabilities(single, TEXTS)).max() > 1e-3
    assert np.abs(pairs - probabilities(model, TEXTS, SECONDS[::-1])).max() > 1e-3


def test_pairs_and_single_texts_are_not_mistaken_for_each_other(saved: Saved):
    single = saved()
    model = rethought(single, pairs=True)
    with pytest.raises(UserError, match=r"M041 .* trained on pairs of texts and got single texts"):
        probabilities(model, TEXTS)
    with pytest.raises(UserError, match=r"M041 .* trained on single texts and got pairs"):
        probabilities(single, TEXTS, SECONDS)


def test_odd_texts_have_answers_and_none_has_none(saved: Saved):
    for model in (saved(), saved("llama", None)):
        assert ask(model, []) == []
        odd = ["", " ", "\n", "where " * 500, "日本語", "\x00", "🙂"]
        assert [a.label in LABELS for a in ask(model, odd)] == [True] * len(odd)


def test_a_text_longer_than_the_limit_is_cut_at_its_end(saved: Saved):
    model = saved()
    room = model.about.max_length - 2
    long, same = "card " * (room + 40), "card " * room
    np.testing.assert_allclose(probabilities(model, [long]), probabilities(model, [same]), atol=1e-6)


def test_progress_and_order_over_many_batches(saved: Saved, monkeypatch: pytest.MonkeyPatch):
    model = saved()
    many = [text for text in TEXTS for _ in range(3)]
    whole = probabilities(model, many)
    monkeypatch.setattr(task, "BATCH_TOKENS", 24)
    heard: list[int] = []
    np.testing.assert_allclose(probabilities(model, many, progress=heard.append), whole, atol=1e-6)
    assert len(heard) > 3 and heard[-1] == len(many)
