"""What a fine-tuned model must beat; every baseline answers in the form of the model."""

TABLE = {
    "majority": "whet.baselines.majority:scores",
    "tfidf_linear": "whet.baselines.tfidf_linear:scores",
    "label_names": "whet.baselines.label_names:scores",
}
"""Baselines that need rows alone or the base's vectors; the probe is trained like a model."""
