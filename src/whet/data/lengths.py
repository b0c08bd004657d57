"""How long texts are, in characters; and the finding about the length limit, in tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whet.findings import Finding


def characters(texts: pa.Array, pairs: pa.Array | None) -> NDArray[np.int32]:
    """(n,) characters of each row, both texts together."""
    count = pc.utf8_length(texts) if pairs is None else pc.add(pc.utf8_length(texts), pc.utf8_length(pairs))
    return np.asarray(count.to_numpy(zero_copy_only=False), dtype=np.int32)


def summary(parts: Sequence[NDArray[np.int32]]) -> dict[str, int]:
    """Median, 95th percentile and maximum, as the audit reports them."""
    every = np.concatenate([np.zeros(0, np.int32), *parts])
    if not len(every):
        return {"median": 0, "p95": 0, "max": 0}
    median, p95, most = np.quantile(every, [0.5, 0.95, 1.0])
    return {"median": round(float(median)), "p95": round(float(p95)), "max": int(most)}


def length_not_counted() -> Finding:
    """What stands for A009 until the texts are encoded."""
    return Finding("A009", "not_applicable", "Tokens are counted when the texts are encoded for a base model.")


def length_finding(
    num_cut: int,
    num_rows: int,
    tokens_cut: int,
    tokens_total: int,
    limit: int,
    num_windowed: int | None = None,
    answer_tokens_cut: int | None = None,
) -> Finding:
    """A009: how many rows are longer than the limit, what share of all tokens is cut, what is read in windows.

    :param num_cut: rows longer than ``limit``; :param num_rows: all rows.
    :param tokens_cut: tokens behind the limit; :param tokens_total: all tokens, cut ones included.
    :param num_windowed: rows that are read in several windows; None where nobody counted them.
    :param answer_tokens_cut: of the tokens behind the limit, those of what a model is to say; None: it says nothing.
    """
    evidence = {
        "rows": num_cut,
        "num_rows": num_rows,
        "tokens_cut": tokens_cut,
        "tokens_total": tokens_total,
        "limit": limit,
        **({} if num_windowed is None else {"windowed": num_windowed}),
        **({} if answer_tokens_cut is None else {"answer_tokens_cut": answer_tokens_cut}),
    }
    if not num_cut:
        message = _whole(num_rows, limit, num_windowed)
        return Finding("A009", "passed", message, evidence=evidence)
    rows_share, tokens_share = num_cut / max(1, num_rows), tokens_cut / max(1, tokens_total)
    verb = "is" if num_cut == 1 else "are"
    message = (
        f"{num_cut:,} of {num_rows:,} rows {verb} longer than {limit:,} tokens; "
        f"{tokens_share:.1%} of all tokens are cut off."
    )
    if num_windowed:
        message += f" {_windows(num_windowed)}."
    if answer_tokens_cut is not None:
        message += f" Of what is to be said {f'{answer_tokens_cut:,} are' if answer_tokens_cut else 'nothing is'} lost."
    heavy = rows_share >= 0.1 or tokens_share >= 0.05
    behind = "put what decides the label first" if answer_tokens_cut is None else "say where to cut with chat.cut"
    remedy = f"Raise data.max_length if the base allows it, or {behind}."
    return Finding("A009", "issue" if heavy else "tip", message, remedy=remedy, evidence=evidence)


def _whole(num_rows: int, limit: int, num_windowed: int | None) -> str:
    if num_windowed is None:
        return f"Nothing of the {num_rows:,} rows is cut off; at most {limit:,} tokens are read at once."
    if not num_windowed:
        return f"All {num_rows:,} rows fit into {limit:,} tokens."
    return f"Nothing of the {num_rows:,} rows is cut off; {_windows(num_windowed)} of up to {limit:,} tokens."


def _windows(count: int) -> str:
    return f"{count:,} longer {'one is' if count == 1 else 'ones are'} read in windows"
