"""What is known of rows of questions as a whole."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.normal import hashes


def answerable(examples: Examples) -> NDArray[np.bool_]:
    """(n,) whether the context of a row has an answer."""
    parts = [pc.list_value_length(batch["answers"]).to_numpy(zero_copy_only=False) > 0 for batch in examples.blocks()]
    return np.concatenate([np.zeros(0, dtype=bool), *parts])


def context_hashes(examples: Examples) -> NDArray[np.uint64]:
    """(n,) hash of each row's normalised context."""
    parts = [np.zeros(0, np.uint64)]
    for batch in examples.blocks():
        known = batch["text_pair"].dictionary_encode()
        parts.append(hashes(known.dictionary.to_pylist())[known.indices.to_numpy()])
    return np.concatenate(parts)
