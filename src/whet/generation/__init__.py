"""A language model writes: prompts read with caches, tokens chosen, answers as they read."""
