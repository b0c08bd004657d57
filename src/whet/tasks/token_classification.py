"""Token classification: entities in a text, by a tag for each of its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.encoding import Counted, Encoded, gather
from whet.batches.flat import FlatBatch, Targets
from whet.data.entity_arrays import Words, entities, known_forms, seen_in, tag_names, word_tags
from whet.data.forms import Examples
from whet.data.predictions import SpanPredictions
from whet.data.saying import say_spans
from whet.engine.protocols import Objective, StepLoss
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.objectives.classes import Weighing, weights_of
from whet.objectives.logit_loss import LogitLoss
from whet.objectives.two_passes import class_divergence
from whet.seeds import generator
from whet.tasks.tag_decoding import Decoded, decode, quick_f1
from whet.tasks.task import Columns, FittedHead, Setting, Task, Told
from whet.tasks.text_classification import best_logistic, class_weights_of, focal_of
from whet.tasks.word_pieces import Pieces, first_tokens, pieces_of

UNCOUNTED = -100
"""Target of tokens that carry no loss: all but the first of each word."""

OUTSIDE = "O"
"""The class of words that belong to no entity."""

STRIDE = 64
"""Tokens that two windows have in common where nothing else is said."""

MOST_TOKENS = 200_000
MOST_WORK = 3 * 10**9
"""Tokens that the probe is fitted on at most; and tokens times features times tags."""


@dataclass(frozen=True, slots=True)
class TaggingLoss(LogitLoss):
    """Cross-entropy over tags, of the first token of each word."""

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over the words, in nats; words count as their tags weigh."""
        targets = known[1]
        counted = targets != UNCOUNTED
        if not self.weighing:
            return StepLoss(self.of(said, targets), int(counted.sum()))
        nats = self.weighing.single(said[counted], targets[counted], self.label_smoothing)
        return StepLoss(nats.sum(), float(self.weighing.counts(targets[counted]).sum()))

    def divergence(self, model: nn.Module, known: tuple[FlatBatch, Tensor], one: Tensor, other: Tensor) -> Tensor:
        """Of two answers, summed over words as the loss is."""
        counted = known[1] != UNCOUNTED
        apart = class_divergence(one[counted], other[counted])
        return (apart * self.weighing.counts(known[1][counted])).sum()

    def of(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The summed loss of ``logits`` (T, K) against ``targets`` (T,)."""
        return F.cross_entropy(
            logits, targets, reduction="sum", label_smoothing=self.label_smoothing, ignore_index=UNCOUNTED
        )


class TokenClassification(Task):
    """Texts to spans of C types. K = 2 C + 1 tags; W words.

    ``seen_forms``: words and type of every entity of training, to tell what is new in other rows.
    """

    name = "token-classification"
    score = "entity_f1"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.seen_forms: frozenset[tuple[str, str]] | None = None
        self._weighing = Weighing(None, focal_of(setting))

    @property
    def head_kind(self) -> HeadKind:
        """Of tokens."""
        return "tokens"

    @property
    def tags(self) -> tuple[str, ...]:
        """O, and two for each type."""
        return tag_names(self.setting.labels)

    def learn(self, train: Examples) -> None:
        """Keep which entities stand in training, and how much each class of words weighs."""
        self.seen_forms = known_forms(train)
        wanted, classes = class_weights_of(self.setting), (OUTSIDE, *self.setting.labels)
        if wanted == "none":
            return
        words, spans = Words.of(train), entities(train, self.setting.labels)
        assert spans is not None
        counts = np.bincount((word_tags(words, spans) + 1) // 2, minlength=len(classes))
        found = weights_of(wanted, classes, counts.tolist())
        # a type is the class of two tags, of first words and of those behind
        self._weighing = Weighing((found[0], *(one for one in found[1:] for _ in "BI")), focal_of(self.setting))

    @property
    def class_weights(self) -> dict[str, float]:
        """Weights of words in the loss, by the type of their entity or 'O'; empty where all count alike."""
        found = self._weighing.classes or ()
        return dict(zip((OUTSIDE, *self.setting.labels), (*found[:1], *found[1::2]), strict=False))

    def head(self, pooling: Pooling | None) -> Head:
        """One output a tag."""
        return Head("tokens", self.tags)

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """Each word by itself, so that it knows its tokens; a long row in several windows."""
        counted = Counted(limit)
        pieces = Pieces(tokenizer)
        stride = self.setting.options.get("data.stride", STRIDE)
        stride = min(stride if isinstance(stride, int) else STRIDE, limit // 2)
        return gather(pieces_of(pieces, _told(blocks, progress), limit, stride, counted), counted, into)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(N,) int64: a tag for the token that stands for a word, :data:`UNCOUNTED` for all others."""
        words, spans = Words.of(examples), entities(examples, self.setting.labels)
        assert spans is not None
        values = np.full(encoded.num_tokens, UNCOUNTED, np.int64)
        values[_standing(encoded, words)] = word_tags(words, spans)
        return Targets(torch.from_numpy(values), per_token=True)

    def objective(self) -> Objective[Any]:
        """Cross-entropy."""
        return TaggingLoss(float(self.setting.options.get("training.label_smoothing", 0.0)), self._weighing)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per word) and the F1 of whole entities."""
        words, gold = Words.of(examples), entities(examples, self.setting.labels)
        assert gold is not None
        logs = _log_probabilities(outputs, _standing(encoded, words))
        true = word_tags(words, gold)
        loss = -float(logs[np.arange(len(true)), true].mean(dtype=np.float64)) if len(true) else 0.0
        return {"loss": loss, "entity_f1": quick_f1(decode(words, logs).said, gold)}

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> SpanPredictions:
        """The likeliest entities without a break in their tags, each with a confidence."""
        words = Words.of(examples)
        found = decode(words, _log_probabilities(outputs, _standing(encoded, words)))
        return span_predictions(model, found, examples, tuple(self.setting.labels), self.seen_forms)

    def floor(self, examples: Examples) -> float:
        """What saying nothing gets."""
        return 0.0

    def fit_head(
        self,
        train: tuple[Tensor, Targets],
        validation: tuple[Tensor, Targets],
        intercept: bool,
        tell: Callable[[int, int], None],
    ) -> FittedHead:
        """Logistic regression on the tokens that stand for words; the strength with the least loss on validation."""
        number = len(self.tags)
        most = min(MOST_TOKENS, MOST_WORK // max(1, number * train[0].shape[1]))
        seed = int(self.setting.options.get("seed", 0))
        fitted, chosen = (_standing_features(*part, most, seed) for part in (train, validation))
        return best_logistic(fitted, chosen, number, intercept, tell, TaggingLoss().of)


def span_predictions(
    model: str,
    found: Decoded,
    examples: Examples,
    labels: tuple[str, ...],
    forms: frozenset[tuple[str, str]] | None,
) -> SpanPredictions:
    """Entities in the form of predictions, with the truth and whether it stood in training where both are known."""
    gold = entities(examples, labels)
    seen = None if gold is None or forms is None else seen_in(examples, forms)
    return say_spans(model, examples, labels, found.said, found.confidence, gold, seen)


def _told(blocks: Iterable[Columns], progress: Told | None) -> Iterable[Columns]:
    """The blocks; when the next one is asked for, all rows before it are done."""
    done = 0
    for block in blocks:
        yield block
        done += len(block["text"])
        if progress:
            progress(done)


def standing(encoded: Encoded, examples: Examples) -> NDArray[np.int64]:
    """(W,) the token that stands for each word of ``examples``."""
    return _standing(encoded, Words.of(examples))


def _standing(encoded: Encoded, words: Words) -> NDArray[np.int64]:
    """(W,) the token that stands for each word."""
    assert encoded.places is not None and encoded.rows is not None
    tokens, _ = first_tokens(np.asarray(encoded.offsets), np.asarray(encoded.places), np.asarray(encoded.rows))
    assert len(tokens) == len(words), "rows and tokens are of the same texts"
    return tokens


def _log_probabilities(outputs: Tensor, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    """(W, K) of (N, K) logits."""
    found: NDArray[np.float32] = outputs[torch.from_numpy(tokens)].float().log_softmax(-1).numpy()
    return found


def _standing_features(features: Tensor, targets: Targets, most: int, seed: int) -> tuple[Tensor, Targets]:
    """Features and targets of the tokens that stand for words, ``most`` of them, drawn by seed."""
    tokens = torch.nonzero(targets.values != UNCOUNTED).squeeze(1)
    if len(tokens) > most:
        drawn = generator(seed, "probe tokens", len(tokens)).choice(len(tokens), most, replace=False)
        tokens = tokens[torch.from_numpy(np.sort(drawn))]
    return features[tokens], Targets(targets.values[tokens])
