"""One file a task: its head, its loss, and how outputs become predictions."""
