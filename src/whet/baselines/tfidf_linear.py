"""Word counts and a linear classifier: no pretrained model, seconds to train, thousands of rows a second."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Scores
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

    def probabilities(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """(n, C): margins through a softmax, or a sigmoid a label."""
        rows = texts if pairs is None else [f"{one}\n{other}" for one, other in zip(texts, pairs, strict=True)]
        margins = self.words.transform(rows) @ self.weight.T + self.bias
        return _probabilities(np.asarray(margins, dtype=np.float64), self.multi_label)


def scores(material: Material, seed: int) -> Scores:
    """Fit on training, answer for the other splits."""
    return answers(fit(material, seed), material)


def fit(material: Material, seed: int) -> TfidfLinear:
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


def answers(model: TfidfLinear, material: Material) -> Scores:
    """(n, C) of the rows that the model was not fitted on."""
    result: Scores = {}
    for split in ("validation", "test"):
        margins = model.words.transform(material.texts(split)) @ model.weight.T + model.bias
        result[split] = _probabilities(np.asarray(margins, dtype=np.float64), model.multi_label)
    return result


def _probabilities(margins: NDArray[np.float64], multi_label: bool) -> NDArray[np.float32]:
    if multi_label:
        return np.asarray(1 / (1 + np.exp(-margins)), dtype=np.float32)
    powers = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)
