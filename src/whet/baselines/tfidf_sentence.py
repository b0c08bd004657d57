"""Answer with the sentence of the context that shares most of the question's rare words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Fitted, Material, Said
from whet.baselines.sentences import Best, Row, Span, predictions, rows_of, sentences
from whet.data.answer_text import exact

NAME = "tfidf_sentence"
SHARPNESSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
KEPT = 5
MOST_ROWS = 2000
"""Training rows from which is learnt how sure to be."""

_WORD = re.compile(r"\w+")


def fit(material: Material, seed: int) -> Fitted:
    """Word weights from the sentences of training contexts; how sure it is, from training questions."""
    rows = rows_of(material.splits["train"])
    contexts = dict.fromkeys(row.context for row in rows)
    nearness = Nearness.of(context[start:end] for context in contexts for start, end in sentences(context))
    looked_at = [nearness.look(row) for row in rows[:: -(-len(rows) // MOST_ROWS)]]
    sure = Sureness.of(looked_at)
    said = {}
    for split in ANSWERED:
        examples = material.splits[split]
        found = [nearness.look(row) for row in rows_of(examples)]
        silent = sure.no_answer(found)
        best = [sure.best(one, float(none)) for one, none in zip(found, silent, strict=True)]
        said[split] = predictions(NAME, examples, best, silent)
    return Said(said)


@dataclass(frozen=True, slots=True)
class Looked:
    """A row with the cosine of each of its k sentences with the question."""

    row: Row
    spans: Sequence[Span]
    cosines: NDArray[np.float64]

    @property
    def holding(self) -> NDArray[np.bool_]:
        """(k,) which sentences hold a whole accepted answer."""
        answers = [(one["start"], one["start"] + len(one["text"])) for one in self.row.answers]
        return np.asarray([any(a <= start and end <= b for start, end in answers) for a, b in self.spans], dtype=bool)

    @property
    def held(self) -> list[str]:
        """Those sentences."""
        pairs = zip(self.spans, self.holding, strict=True)
        return [self.row.context[start:end] for (start, end), here in pairs if here]


@dataclass(frozen=True, slots=True)
class Nearness:
    """TF-IDF as scikit-learn counts it (smoothed, sublinear), a sentence a document.

    A word that training does not have is as rare as can be: names are what questions are about.
    """

    weights: Mapping[str, float]
    unseen: float

    @staticmethod
    def of(texts: Iterable[str]) -> Nearness:
        """Count in how many texts a word stands."""
        counts: Counter[str] = Counter()
        number = 0
        for text in texts:
            number += 1
            counts.update(set(words(text)))
        weights = {word: math.log((1 + number) / (1 + count)) + 1 for word, count in counts.items()}
        return Nearness(weights, math.log(1 + number) + 1)

    def vector(self, text: str) -> dict[str, float]:
        """The words of a text with their weights, of length 1."""
        counts = Counter(words(text))
        found = {word: (1 + math.log(count)) * self.weights.get(word, self.unseen) for word, count in counts.items()}
        length = math.sqrt(sum(value * value for value in found.values())) or 1.0
        return {word: value / length for word, value in found.items()}

    def look(self, row: Row) -> Looked:
        """Compare a question with the sentences of its context."""
        spans, question = sentences(row.context), self.vector(row.question)
        vectors = [self.vector(row.context[start:end]) for start, end in spans]
        cosines = [sum(value * vector.get(word, 0.0) for word, value in question.items()) for vector in vectors]
        return Looked(row, spans, np.asarray(cosines))


def words(text: str) -> list[str]:
    """In lower case."""
    return _WORD.findall(text.lower())


@dataclass(frozen=True, slots=True)
class Sureness:
    """From cosines to probabilities.

    - ``sharpness``: sentences are weighed by exp(sharpness * cosine).
    - ``right``: how often a sentence that holds the answer is the answer.
    - ``silent``: of the best cosine, the probability that there is no answer.
    """

    sharpness: float
    right: float
    silent: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    @staticmethod
    def of(looked_at: Sequence[Looked]) -> Sureness:
        """Fit to training questions."""
        with_answer = [one for one in looked_at if one.holding.any()]
        sharpness = max(SHARPNESSES, key=lambda value: sum(_log_share(one, value) for one in with_answer))
        texts = [
            (one.row, span) for one in with_answer for span, here in zip(one.spans, one.holding, strict=True) if here
        ]
        right = sum(exact(row.context[start:end], row.gold) for row, (start, end) in texts) / max(1, len(texts))
        return Sureness(sharpness, right, _silence(looked_at))

    def best(self, one: Looked, silent: float) -> Best:
        """The likeliest sentences to be the answer; of equals the first."""
        shares = (1 - silent) * self.right * _shares(one.cosines, self.sharpness)
        order = np.argsort(-one.cosines, kind="stable")[:KEPT]
        return [(one.spans[number], float(shares[number])) for number in order]

    def no_answer(self, found: Sequence[Looked]) -> NDArray[np.float64]:
        """(n,) probability that there is none."""
        return self.silent(_nearest(found))


def _shares(cosines: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    powers = np.exp(sharpness * (cosines - cosines.max()))
    return np.asarray(powers / powers.sum())


def _log_share(one: Looked, sharpness: float) -> float:
    return math.log(float(_shares(one.cosines, sharpness)[one.holding].sum()))


def _nearest(found: Sequence[Looked]) -> NDArray[np.float64]:
    return np.asarray([one.cosines.max(initial=0.0) for one in found])


def _silence(looked_at: Sequence[Looked]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Logistic regression on the best cosine; a constant where training knows only one kind."""
    from sklearn.linear_model import LogisticRegression

    silent = np.asarray([not one.row.answers for one in looked_at])
    if silent.all() or not silent.any():
        level = float(silent[0])
        return lambda nearest: np.full(len(nearest), level)
    model = LogisticRegression().fit(_nearest(looked_at)[:, None], silent)
    return lambda nearest: np.asarray(model.predict_proba(nearest[:, None])[:, 1])
