"""The loop. Knows no task, no dataset, no logger and no disk layout."""
