"""Extractive question answering: where in a context the answer stands, or that it has none.

The model scores every token as the start and as the end of the answer. The first token of a window
(CLS where the family puts one in front, else whatever stands there, such as <s> or the question's first
token) stands for "no answer here".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.encoding import Encoded, token_numbers
from whet.batches.flat import FlatBatch, Targets
from whet.data.answer_text import f1
from whet.data.forms import Examples
from whet.data.predictions import AnswerPredictions
from whet.data.question_facts import answerable
from whet.data.saying import UNSURE, accepted, say_answers
from whet.engine.protocols import Objective, StepLoss
from whet.models.heads import Head, HeadKind
from whet.models.pooling import Pooling
from whet.tasks import question_windows
from whet.tasks.span_search import Found, search
from whet.tasks.task import Columns, Setting, Task, Told

IGNORED = -100
"""Target of a window that carries no loss."""


WINDOWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class SpanLoss:
    """Cross-entropy over the tokens of the context and the first one: the mean of that of start and end."""

    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over the windows of ``batch``, in nats."""
        known = self.known(model, batch)
        return self.loss(model, known, self.said(model, known))

    def known(self, model: nn.Module, batch: FlatBatch) -> tuple[FlatBatch, Tensor, Tensor]:
        """The batch, (T,) among which of its tokens is chosen, and its targets."""
        targets = batch.targets
        assert targets is not None
        tokens = token_numbers(batch.encoded.offsets, batch.sequences)
        first = batch.encoded.offsets[batch.sequences]
        return batch, torch.from_numpy(_choices(batch.encoded, tokens) | np.isin(tokens, first)), targets

    def said(self, model: nn.Module, known: tuple[FlatBatch, Tensor, Tensor]) -> Tensor:
        """(T, 2) logits of start and end."""
        found: Tensor = model(known[0])
        return found

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor, Tensor], said: Tensor) -> StepLoss:
        """Summed over the windows that carry loss, in nats."""
        batch, choices, targets = known
        total, counted = self.of(said, choices, batch.where.lengths, targets)
        # a batch of windows without loss: nothing to divide, and nothing to learn from
        return StepLoss(total, max(1, counted))

    def of(self, logits: Tensor, choices: Tensor, lengths: Tensor, targets: Tensor) -> tuple[Tensor, int]:
        """The summed loss, and over how many windows.

        :param logits: (T, 2); :param choices: (T,) bool, the tokens among which is chosen.
        :param lengths: (S,) tokens per window; :param targets: (S, 2) start and end within the window, or -100.
        """
        device = logits.device
        counted = (targets[:, 0] != IGNORED).to(device)
        inside = (torch.arange(int(lengths.max()))[None, :] < lengths.cpu()[:, None]).to(device)
        allowed = torch.zeros_like(inside)
        allowed[inside] = choices.to(device)
        table = logits.new_full((*inside.shape, 2), float("-inf"))
        table[inside] = logits
        logs = table.masked_fill(~allowed[..., None], float("-inf")).log_softmax(1)
        chosen = targets.to(device).clamp_min(0)[:, None, :]
        loss = -logs.gather(1, chosen)[:, 0].sum(1)
        if self.label_smoothing:
            even = -logs.masked_fill(~allowed[..., None], 0.0).sum((1, 2)) / allowed.sum(1)
            loss = (1 - self.label_smoothing) * loss + self.label_smoothing * even
        return loss.masked_fill(~counted, 0.0).sum() / 2, int(counted.sum())


class QuestionAnswering(Task):
    """Questions with contexts to answers cut from them."""

    name = "question-answering"
    score = "answer_f1"
    head_kind: HeadKind = "span"

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.unanswerable = bool(setting.settled.get("unanswerable", True))

    def learn(self, train: Examples) -> None:
        """Whether there are questions without answer; where there are none, an answer is always given."""
        self.unanswerable = not bool(answerable(train).all())

    @property
    def carried(self) -> dict[str, Any]:
        """``unanswerable``."""
        return {"unanswerable": self.unanswerable}

    def head(self, pooling: Pooling | None) -> Head:
        """A start and an end score a token."""
        return Head("span")

    def encode(
        self, tokenizer: Any, blocks: Iterable[Columns], limit: int, into: Path | None, progress: Told | None = None
    ) -> Encoded:
        """A window or several a row."""
        stride = self.setting.options.get("data.stride")
        stride = limit // 4 if stride is None else int(stride)
        return question_windows.encode(tokenizer, blocks, limit, stride, into, progress)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(U, 2) int64: first and last token of the answer within its window; 0 and 0 where it is not in it.

        Where every question has an answer, windows without it teach only to be silent: there are no more
        of them than of those with it, evenly chosen; the others carry no loss.
        """
        found = span_targets([_gold(row) for row in examples.column("answers")], encoded)
        if not self.unanswerable:
            silent = np.flatnonzero(found[:, 0] == 0)
            most = int((found[:, 0] > 0).sum())
            kept = silent[
                np.unique(np.linspace(0, max(0, len(silent) - 1), min(most, len(silent))).round().astype(int))
            ]
            found[np.setdiff1d(silent, kept)] = IGNORED
        return Targets(torch.from_numpy(found))

    def objective(self) -> Objective[Any]:
        """Cross-entropy over places."""
        return SpanLoss(float(self.setting.options.get("training.label_smoothing", 0.0)))

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per window) and F1 of the answers, with "no answer" from a probability of a half on."""
        found = self._search(outputs, encoded, examples, 1)
        silent = self._no_answer(found)
        rows = zip(examples.column("answers"), examples.column("text_pair"), found.spans, silent, strict=True)
        shares = [f1(_cut(context, spans, none), accepted(answers)) for answers, context, spans, none in rows]
        return {"loss": self._loss(outputs, encoded, examples), "answer_f1": float(np.mean(shares or [0.0]))}

    def predictions(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> AnswerPredictions:
        """The best spans with their probabilities among all spans and "no answer"."""
        found = self._search(outputs, encoded, examples, int(self.setting.options.get("answers.nbest", 5)))
        silent = self._no_answer(found)
        level = np.logaddexp(found.total, 0.0) if self.unanswerable else found.total
        contexts = examples.column("text_pair")
        nbest = [
            [(context[start:end], start, float(np.exp(score - one))) for start, end, score in spans]
            for context, spans, one in zip(contexts, found.spans, level, strict=True)
        ]
        return say_answers(model, examples, nbest, silent)

    def floor(self, examples: Examples) -> float:
        """Nothing: before its threshold is fitted, a sound model may be below what silence gets."""
        return 0.0

    def _search(self, outputs: Tensor, encoded: Encoded, examples: Examples, nbest: int) -> Found:
        longest = int(self.setting.options.get("answers.max_tokens", 30))
        return search(outputs.float().numpy(), encoded, len(examples), longest, nbest)

    def _no_answer(self, found: Found) -> NDArray[np.float64]:
        """(n,) probability that there is none: its score is 0."""
        if not self.unanswerable:
            return np.isneginf(found.total).astype(np.float64)
        return np.asarray(np.exp(-np.logaddexp(found.total, 0.0)))

    def _loss(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> float:
        targets = self.targets(examples, encoded).values
        total, counted, loss = 0.0, 0, SpanLoss()
        offsets = encoded.offsets
        for start in range(0, len(targets), WINDOWS_AT_ONCE):
            end = min(start + WINDOWS_AT_ONCE, len(targets))
            tokens = np.arange(offsets[start], offsets[end])
            choices = torch.from_numpy(_choices(encoded, tokens) | np.isin(tokens, offsets[start:end]))
            lengths = torch.from_numpy(np.diff(offsets[start : end + 1]))
            more, number = loss.of(outputs[tokens[0] : tokens[-1] + 1].float(), choices, lengths, targets[start:end])
            total, counted = total + float(more), counted + number
        return total / max(1, counted)


def _choices(encoded: Encoded, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(t,) whether a token of a context has a character to begin or end an answer with."""
    assert encoded.places is not None
    places = encoded.places[tokens]
    return np.asarray(places[:, 1] > places[:, 0])


def span_targets(gold: Sequence[tuple[int, int] | None], encoded: Encoded) -> NDArray[np.int64]:
    """(S, 2) first and last token of each row's answer, counted within the window.

    0 and 0 where it is not, or not whole, in the window; -100 where no token of the row has a character of it.

    :param gold: (n,) first character and end of the answer, None for no answer.
    """
    places, offsets = encoded.places, encoded.offsets
    assert places is not None
    windows = encoded.num_sequences
    rows = np.arange(windows) if encoded.rows is None else np.asarray(encoded.rows)
    spans = np.asarray([(-1, -1) if one is None else one for one in gold], np.int64).reshape(len(gold), 2)
    window = np.repeat(np.arange(windows), np.diff(offsets))
    start, end = spans[rows[window]].T
    within = np.flatnonzero((places[:, 0] < end) & (places[:, 1] > start) & (places[:, 1] > places[:, 0]))
    having, first = np.unique(window[within], return_index=True)
    last = np.append(first, len(within))[1:] - 1
    first, last = within[first], within[last]
    # the whole answer is what it covers in the widest window of the row
    begins, ends = np.full(len(gold), np.iinfo(np.int64).max), np.full(len(gold), -1)
    np.minimum.at(begins, rows[having], places[first, 0])
    np.maximum.at(ends, rows[having], places[last, 1])
    whole = (places[first, 0] == begins[rows[having]]) & (places[last, 1] == ends[rows[having]])
    found = np.zeros((windows, 2), np.int64)
    found[(spans[rows, 0] >= 0) & (ends[rows] < 0)] = IGNORED
    having, first, last = having[whole], first[whole], last[whole]
    found[having] = np.stack([first, last], 1) - offsets[having][:, None]
    return found


def _gold(answers: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """Of several answers the one that covers most of what all of them cover; of equals the first."""
    spans = [(int(one["start"]), int(one["start"]) + len(one["text"])) for one in answers]
    if len(spans) < 2:
        return spans[0] if spans else None
    return max(dict.fromkeys(spans), key=lambda one: sum(_share(one, other) for other in spans))


def _share(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Characters that both cover, of those that either does."""
    both = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return both / (one[1] - one[0] + other[1] - other[0] - both)


def _cut(context: str, spans: Sequence[tuple[int, int, float]], none: float) -> str:
    return "" if none >= UNSURE or not spans else context[spans[0][0] : spans[0][1]]
