"""What methods, tasks and baselines are called, and which belong together."""

from __future__ import annotations

from typing import Literal

Method = Literal[
    "auto",
    "probe",
    "prompt",
    "p-tuning",
    "ia3",
    "bitfit",
    "prefix",
    "lora",
    "qlora",
    "quantised",
    "top-layers",
    "contrastive",
    "full",
]
SOFT: tuple[Method, ...] = ("prompt", "p-tuning", "prefix")
"""Methods that learn vectors to be read before a text."""
ADAPTERS: tuple[Method, ...] = (*SOFT, "ia3", "lora", "qlora")
"""Methods that leave the base as it is and keep a few weights of their own (PEFT)."""
WHOLE: tuple[Method, ...] = ("contrastive", "full")
"""Methods that move every weight of the base."""
STILL: tuple[Method, ...] = ("probe", "quantised")
"""Methods that leave every weight of the base where it is: nothing is trained but, of the probe, a head."""
VARIANTS = ("together", "distilled", "self-trained")
"""Models that a run trains beside the one of its method: by the same method, with more to learn from."""
TaskName = Literal[
    "text-classification",
    "token-classification",
    "question-answering",
    "sentence-similarity",
    "regression",
    "ranking",
    "text-generation",
    "translation",
    "summarization",
    "language-modeling",
    "fill-mask",
    "preference",
]
BaselineName = Literal[
    "majority",
    "tfidf_linear",
    "label_names",
    "probe",
    "dictionary",
    "token_linear",
    "first_sentence",
    "tfidf_sentence",
    "mean",
    "tfidf_ridge",
    "base_cosine",
    "tfidf_cosine",
    "bm25",
    "nearest_answer",
    "copy_source",
    "lead3",
    "unigram",
    "base",
    "longer",
    "zero_shot",
    "few_shot",
    "nearest_shots",
]
PROMPTED: tuple[BaselineName, ...] = ("zero_shot", "few_shot", "nearest_shots")
"""What ``prompting`` among the baselines stands for."""
BASELINES: dict[TaskName, tuple[BaselineName, ...]] = {
    "text-classification": ("majority", "tfidf_linear", "label_names", "probe"),
    "token-classification": ("dictionary", "token_linear", "probe"),
    "question-answering": ("first_sentence", "tfidf_sentence"),
    "sentence-similarity": ("tfidf_cosine", "bm25", "base_cosine"),
    "regression": ("mean", "tfidf_ridge", "probe"),
    "ranking": ("tfidf_cosine", "bm25", "base_cosine"),
    "text-generation": ("nearest_answer", "base", "few_shot"),
    "translation": ("copy_source", "nearest_answer", "base"),
    "summarization": ("lead3", "nearest_answer", "base"),
    "language-modeling": ("unigram", "base"),
    "fill-mask": ("unigram", "base"),
    "preference": ("longer", "base"),
}
"""What each task is held against, cheapest first."""
PROBED: tuple[TaskName, ...] = ("text-classification", "token-classification", "regression")
"""Tasks of which a linear head on the frozen base can be fitted."""
PROMPTABLE: tuple[TaskName, ...] = (
    "text-classification",
    "token-classification",
    "question-answering",
    "sentence-similarity",
    "regression",
    "text-generation",
    "translation",
    "summarization",
)
"""Tasks that a language model can be asked to do in words."""
LANGUAGE: tuple[TaskName, ...] = ("text-generation", "translation", "summarization", "language-modeling", "fill-mask")
"""Tasks whose models say tokens."""
QUANTISABLE: tuple[TaskName, ...] = ("text-classification", "token-classification", "question-answering", *LANGUAGE)
"""Tasks that a base may answer as it is, with its own head, so that method quantised has something to round."""
