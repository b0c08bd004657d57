"""A name or path becomes a model that is ready to train, and a trained model becomes files again."""
