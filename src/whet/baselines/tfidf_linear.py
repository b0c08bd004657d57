"""Word counts and a linear classifier: no pretrained model, seconds to train, thousands of rows a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material
from whet.data.forms import Examples
from whet.data.predictions import ClassPredictions
from whet.data.saying import say_classes
from whet.files import folder_beside, read_json, write_json

NAME = "tfidf_linear"
NGRAMS = (1, 2)


@dataclass(frozen=True, slots=True)
class TfidfLinear:
    """TF-IDF over words and pairs of words (sublinear), and a linear SVM with C = 1.

    - ``words``: scikit-learn's fitted vectoriser.
    - ``weight`` (C, V) and ``bias`` (C,) float32; the temperature is folded into them.
    - ``thresholds``: per label, only with several labels a row.
    """

    words: Any
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    labels: Sequence[str]
    thresholds: Sequence[float] | None
    multi_label: bool

    task = "text-classification"

    @property
    def columns(self) -> Sequence[str]:
        """What it reads of a row."""
        return ("text",)

    def predict(self, examples: Examples, progress: Callable[[int], None] | None = None) -> ClassPredictions:
        """Answers to any rows, with the truth where they hold it."""
        found = say_classes(NAME, examples, self.labels, self.multi_label, self.probabilities(examples))
        return found if self.thresholds is None else replace(found, thresholds=np.asarray(self.thresholds, np.float32))

    def probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """(n, C): margins through a softmax, or a sigmoid a label."""
        parts = [np.zeros((0, len(self.labels)))]
        for rows in examples.joined_blocks():
            parts.append(np.asarray(self.words.transform(rows) @ self.weight.T + self.bias, dtype=np.float64))
        return _probabilities(np.concatenate(parts), self.multi_label)


@dataclass(frozen=True, slots=True)
class FittedTfidf:
    """The model with the rows it answers."""

    model: TfidfLinear
    splits: Mapping[str, Examples]

    def predictions(self, split: str) -> ClassPredictions:
        """Not yet calibrated."""
        return self.model.predict(self.splits[split])

    def save(self, folder: Path, settled: Mapping[str, Any]) -> dict[str, Any]:
        """Calibrated, as it may ship."""
        save(calibrated(self.model, float(settled.get("temperature", 1.0)), settled.get("thresholds")), folder)
        return {"trainable_parameters": self.model.weight.size + self.model.bias.size}


def fit(material: Material, seed: int) -> FittedTfidf:
    """Fit on the training rows."""
    return FittedTfidf(train(material, seed), material.splits)


def train(material: Material, seed: int) -> TfidfLinear:
    """Fit on the training rows; probabilities are as the margins give them, not yet calibrated."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=NGRAMS, sublinear_tf=True, dtype=np.float32)
    rows = words.fit_transform(material.texts("train"))
    linear = LinearSVC(C=1.0, random_state=seed)
    if material.multi_label:
        model = OneVsRestClassifier(linear).fit(rows, material.gold["train"])
        parts = [(one.coef_[0], one.intercept_[0]) if hasattr(one, "coef_") else None for one in model.estimators_]
        weight = np.stack([np.zeros(rows.shape[1]) if part is None else part[0] for part in parts])
        bias = np.array([-10.0 if part is None else part[1] for part in parts])  # a label never seen in training
    else:
        linear.fit(rows, material.gold["train"])
        weight, bias = linear.coef_, linear.intercept_
        if len(weight) == 1:  # two classes: one margin
            weight, bias = np.concatenate([-weight, weight]), np.concatenate([-bias, bias])
    return TfidfLinear(
        words, weight.astype(np.float32), bias.astype(np.float32), material.labels, None, material.multi_label
    )


def calibrated(model: TfidfLinear, temperature: float, thresholds: Sequence[float] | None) -> TfidfLinear:
    """The same model with its margins divided by ``temperature``."""
    return TfidfLinear(
        model.words, model.weight / temperature, model.bias / temperature, model.labels, thresholds, model.multi_label
    )


def save(model: TfidfLinear, folder: Path) -> None:
    """Write JSON and safetensors to ``folder``; never pickle."""
    from safetensors.numpy import save_file

    with folder_beside(folder) as inside:
        about = {
            "form": NAME,
            "labels": list(model.labels),
            "multi_label": model.multi_label,
            "thresholds": None if model.thresholds is None else [float(t) for t in model.thresholds],
            "ngrams": list(NGRAMS),
        }
        write_json(inside / "tfidf.json", about)
        words = {word: int(number) for word, number in model.words.vocabulary_.items()}
        (inside / "vocabulary.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        tensors = {"idf": model.words.idf_, "weight": model.weight, "bias": model.bias}
        save_file(
            {name: np.ascontiguousarray(t, np.float32) for name, t in tensors.items()}, inside / "weights.safetensors"
        )


def is_saved(folder: Path) -> bool:
    """Whether ``folder`` was written by :func:`save`."""
    return (folder / "tfidf.json").exists()


def load(folder: Path) -> TfidfLinear:
    """Read what :func:`save` wrote.

    :raises UserError: F010, F011 as :func:`whet.files.read_json`.
    """
    from safetensors.numpy import load_file
    from sklearn.feature_extraction.text import TfidfVectorizer

    about = read_json(folder / "tfidf.json")
    tensors = load_file(folder / "weights.safetensors")
    words = TfidfVectorizer(
        ngram_range=tuple(about["ngrams"]),
        sublinear_tf=True,
        dtype=np.float32,
        vocabulary=read_json(folder / "vocabulary.json"),
    )
    words.idf_ = tensors["idf"]
    return TfidfLinear(
        words, tensors["weight"], tensors["bias"], about["labels"], about["thresholds"], about["multi_label"]
    )


def _probabilities(margins: NDArray[np.float64], multi_label: bool) -> NDArray[np.float32]:
    if multi_label:
        return np.asarray(1 / (1 + np.exp(-margins)), dtype=np.float32)
    powers = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)
