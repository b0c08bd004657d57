"""What a fine-tuned model must beat; every baseline answers in the form of the model."""

BASELINES = {
    "majority": "whet.baselines.majority:fit",
    "tfidf_linear": "whet.baselines.tfidf_linear:fit",
    "label_names": "whet.baselines.label_names:fit",
    "dictionary": "whet.baselines.dictionary:fit",
    "token_linear": "whet.baselines.token_linear:fit",
    "first_sentence": "whet.baselines.first_sentence:fit",
    "tfidf_sentence": "whet.baselines.tfidf_sentence:fit",
    "mean": "whet.baselines.mean:fit",
    "tfidf_ridge": "whet.baselines.tfidf_ridge:fit",
    "base_cosine": "whet.baselines.base_cosine:fit",
    "base": "whet.baselines.untouched:fit",
    "longer": "whet.baselines.longer:fit",
    "tfidf_cosine": "whet.baselines.tfidf_cosine:fit",
    "bm25": "whet.baselines.bm25:fit",
    "copy_source": "whet.baselines.copy_source:fit",
    "lead3": "whet.baselines.lead3:fit",
    "nearest_answer": "whet.baselines.nearest_answer:fit",
    "unigram": "whet.baselines.unigram:fit",
    "zero_shot": "whet.baselines.prompted:zero_shot",
    "few_shot": "whet.baselines.prompted:few_shot",
    "nearest_shots": "whet.baselines.prompted:nearest_shots",
}
"""Name -> how it is fitted, from rows alone or with the base's vectors; the probe is trained like a model."""
