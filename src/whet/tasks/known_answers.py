"""Training answers that the base gives already: what teaches it nothing."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from whet.batches.encoding import Encoded, token_numbers
from whet.findings import Bin, Finding

CODE = "G009"
SOME, MOST = 0.1, 0.5
"""Shares of the rows from which on they are worth a word, and an issue."""


def already_said(outputs: Tensor, encoded: Encoded, places: list[str]) -> Finding:
    """G009: in how many rows every token of the last answer, the one that ends it included, is the base's likeliest.

    That is so exactly where the base, always saying its likeliest token, gives this answer.

    :param outputs: (N, 3) of the untouched base, as :func:`whet.tasks.language_loss.read_nats` gives them.
    :param encoded: n rows; ``second`` is where the last answer of each begins.
    :param places: (n,) where each row comes from.
    """
    counted, right = outputs[:, 0].numpy() > 0, outputs[:, 2].numpy() > 0
    known = []
    for row in range(len(encoded)):
        tokens = token_numbers(encoded.offsets, encoded.sequences(np.asarray([row])))
        tokens = tokens[max(0, int(encoded.second[row])) :] if encoded.parts == 1 else tokens
        asked = tokens[counted[tokens]]
        if len(asked) and right[asked].all():
            known.append(row)
    total, share = len(encoded), len(known) / max(1, len(encoded))
    evidence = {"rows": total, "known": len(known), "examples": [places[row] for row in known[:3]]}
    message = f"The base gives the answer of {len(known):,} of {total:,} sampled training rows already, word for word."
    if share < SOME:
        return Finding(CODE, "passed", message, "train", evidence=evidence)
    remedy = "Such rows teach it nothing: train on those that it gets wrong, and look whether the base is enough."
    kind: Bin = "issue" if share >= MOST else "tip"
    return Finding(CODE, kind, message, "train", remedy, evidence)
