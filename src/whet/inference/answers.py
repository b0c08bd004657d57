"""What a model in use says, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from whet.data.forms import Examples, Shape
from whet.data.predictions import (
    AnswerPredictions,
    ClassPredictions,
    Predictions,
    PreferencePredictions,
    SpanPredictions,
    TextPredictions,
    ValuePredictions,
)


class InUse(Protocol):
    """A model in use."""

    @property
    def task(self) -> str:
        """What it was trained for."""
        ...

    @property
    def labels(self) -> Sequence[str]:
        """C names; () where rows have none."""
        ...

    @property
    def multi_label(self) -> bool:
        """Whether a text may carry several labels."""
        ...

    def predict(self, examples: Examples, progress: Callable[[int], None] | None = None) -> Predictions:
        """Answers to all rows, with the truth beside them where they hold it."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a classifier says about one text.

    ``label`` is the likeliest; ``labels`` all that reach their threshold (one, with a single label a row).
    ``several``: whether a text may carry several.
    """

    label: str
    score: float
    labels: tuple[str, ...]
    scores: dict[str, float]
    several: bool = False

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``; the probability of every label with ``everything``."""
        row: dict[str, Any] = {"label": self.label, "score": round(self.score, 6)}
        row |= {"labels": list(self.labels)} if self.several else {}
        return row | ({"scores": {k: round(v, 6) for k, v in self.scores.items()}} if everything else {})


@dataclass(frozen=True, slots=True)
class Entity:
    """A piece of a text and its type: characters ``start`` to ``end`` (exclusive)."""

    text: str
    label: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Entities:
    """The entities of one text, in its order."""

    entities: tuple[Entity, ...]

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``."""
        rows = [asdict(entity) for entity in self.entities]
        return {"entities": [{**row, "score": round(row["score"], 6)} for row in rows]}


@dataclass(frozen=True, slots=True)
class Found:
    """An answer taken from a context; "" with ``start`` -1 where there is none.

    ``others``: further answers as (text, start, probability), likeliest first.
    """

    answer: str
    start: int
    score: float
    others: tuple[tuple[str, int, float], ...]

    @property
    def end(self) -> int:
        """Exclusive; -1 where there is no answer."""
        return self.start + len(self.answer) if self.start >= 0 else -1

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``; further answers with ``everything``."""
        row: dict[str, Any] = {
            "answer": self.answer,
            "start": self.start,
            "end": self.end,
            "score": round(self.score, 6),
        }
        others = [{"answer": text, "start": start, "score": round(p, 6)} for text, start, p in self.others]
        return row | ({"others": others} if everything else {})


@dataclass(frozen=True, slots=True)
class Value:
    """A number: how alike two texts are, how relevant a passage is, or what was to be estimated."""

    value: float

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``."""
        return {"score": round(self.value, 6)}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that was generated, or how likely a given one is.

    - ``text``: None where nothing was generated; ``finished``: whether it ended by itself.
    - ``nats``: negative log likelihood of the given text per token; None where none was given.
    """

    text: str | None
    finished: bool | None
    nats: float | None

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``."""
        row: dict[str, Any] = {} if self.text is None else {"text": self.text, "finished": self.finished}
        return row | ({} if self.nats is None else {"nats": round(self.nats, 6)})


@dataclass(frozen=True, slots=True)
class Preferred:
    """What a model makes of two answers, or of one.

    - ``better``: 1 or 2, which of two answers has the larger reward; None of one answer.
    - ``rewards``: of each answer, on the scale of the loss; only differences mean something.
    """

    better: int | None
    rewards: tuple[float, ...]

    def to_json(self, everything: bool) -> dict[str, Any]:
        """A row of ``whet predict``."""
        row: dict[str, Any] = {} if self.better is None else {"better": self.better}
        return row | {"rewards": [round(one, 6) for one in self.rewards]}


OneAnswer = Answer | Entities | Found | Value | Text | Preferred


def ask(model: InUse, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[OneAnswer]:
    """One answer per text, in their order; ``pairs`` are second texts: of a pair, contexts, passages."""
    if not len(texts):
        return []
    rows = unanswered(texts, pairs)
    return answers_of(model.predict(rows), rows)


def unanswered(texts: Sequence[str], pairs: Sequence[str] | None = None) -> Examples:
    """Rows of texts, or of pairs of texts, that want an answer."""
    columns = {"text": list(texts), **({} if pairs is None else {"text_pair": list(pairs)})}
    return Examples.of(columns, Shape.labelled_rows(pairs is not None, labelled=False))


def answers_of(predictions: Predictions, examples: Examples) -> list[OneAnswer]:
    """One answer a row, in their order."""
    return list(_OF_KIND[predictions.kind](predictions, examples))


def _classes(found: ClassPredictions, examples: Examples) -> list[Answer]:
    several = found.predicted if found.multi_label else None
    result = []
    for number, row in enumerate(found.scores):
        best = int(row.argmax())
        chosen: tuple[str, ...] = (found.labels[best],)
        if several is not None:
            chosen = tuple(label for label, there in zip(found.labels, several[number], strict=True) if there)
        scores = dict(zip(found.labels, map(float, row), strict=True))
        result.append(Answer(found.labels[best], float(row[best]), chosen, scores, found.multi_label))
    return result


def _spans(found: SpanPredictions, examples: Examples) -> list[Entities]:
    texts = examples.column("text")
    result = []
    for number, text in enumerate(texts):
        first = int(found.said.offsets[number])
        entities = [
            Entity(text[start:end], found.labels[kind], start, end, float(found.confidence[first + place]))
            for place, (start, end, kind) in enumerate(found.said.row(number))
        ]
        result.append(Entities(tuple(entities)))
    return result


def _answers(found: AnswerPredictions, examples: Examples) -> list[Found]:
    columns = (found.said, found.starts.tolist(), found.confidence.tolist(), found.nbest)
    return [
        Found(said, start, score, tuple(one for one in nbest if (one[0], one[1]) != (said, start)))
        for said, start, score, nbest in zip(*columns, strict=True)
    ]


def _values(found: ValuePredictions, examples: Examples) -> list[Value]:
    return [Value(value) for value in found.said.tolist()]


def _texts(found: TextPredictions, examples: Examples) -> list[Text]:
    result = []
    for row in range(len(found)):
        said = None if found.said is None else found.said[row]
        finished = None if found.finished is None else bool(found.finished[row])
        count = 0 if found.tokens is None else int(found.tokens[row])
        nats = float(found.nats[row]) / count if found.nats is not None and count else None
        result.append(Text(said, finished, nats))
    return result


def _preferences(found: PreferencePredictions, examples: Examples) -> list[Preferred]:
    rows = [tuple(map(float, row)) for row in found.rewards]
    return [Preferred((1 if row[0] > row[1] else 2) if found.paired else None, row) for row in rows]


_OF_KIND: Mapping[str, Callable[[Any, Examples], Sequence[OneAnswer]]] = {
    "classes": _classes,
    "spans": _spans,
    "answers": _answers,
    "values": _values,
    "texts": _texts,
    "preferences": _preferences,
}
