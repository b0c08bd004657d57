"""One file a task: rows to tensors, tensors to answers. See :mod:`whet.tasks.task`."""

from __future__ import annotations

TASKS = {
    "text-classification": "whet.tasks.text_classification:TextClassification",
    "token-classification": "whet.tasks.token_classification:TokenClassification",
    "question-answering": "whet.tasks.question_answering:QuestionAnswering",
    "sentence-similarity": "whet.tasks.sentence_similarity:SentenceSimilarity",
    "regression": "whet.tasks.regression:Regression",
    "ranking": "whet.tasks.ranking:Ranking",
    "text-generation": "whet.tasks.text_generation:TextGeneration",
    "translation": "whet.tasks.rewriting:Translation",
    "summarization": "whet.tasks.rewriting:Summarization",
    "language-modeling": "whet.tasks.language_modeling:LanguageModeling",
    "fill-mask": "whet.tasks.fill_mask:FillMask",
    "preference": "whet.tasks.preference:Preference",
}
"""Task -> its class."""
