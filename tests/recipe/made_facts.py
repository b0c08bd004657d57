"""What is known of data and base where nothing else is said: minilm, and ten thousand short texts."""

from __future__ import annotations

from typing import Any

FACTS: dict[str, Any] = {
    "num_rows": 10_000,
    "num_tokens": 150_000,
    "longest": 90,
    "num_labels": 77,
    "num_parameters": 22_700_000,
    "limit": 256,
    "dtype": "bf16",
    "dtype_reason": "the CPU multiplies bf16 natively",
    "pooling": "mean",
    "pooling_reason": "the base was trained with it",
    "memory_bytes": 16 * 2**30,
}
