"""V008: texts that are no answers: empty ones, ones that never end, ones that repeat themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from whet.evaluation.overlap import repeated
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import Predictions, TextPredictions

MOST_EMPTY = 0.1
"""Share of texts that may be empty, where no empty one is accepted."""
LEAST_FINISHED = 0.5
"""Share of texts that should end by themselves."""
MOST_REPEATED = 0.5
"""Share of runs of four words that may have stood earlier in the same text."""

REMEDIES = {
    "empty": "see whether a text of generation.stop begins the answers",
    "unfinished": "raise generation.max_tokens if the accepted texts are as long, and see that the training answers "
    "end with the stop token (G001)",
    "repeated": "try generation.temperature above 0",
}


def degenerate(predictions: Predictions) -> Finding:
    """V008: whether what a model writes on the test rows is empty, cut off at the limit, or repeats itself.

    An issue where more than 10 % of the texts are empty, fewer than half end by themselves, or more than half
    of all runs of four words stood earlier in the same text.
    """
    name = predictions.model
    if predictions.kind == "preferences":
        message = "Rewards of given answers are judged; answers of its own (preference.samples) are looked at in X021."
        return Finding("V008", "not_applicable", message, name)
    if predictions.kind != "texts" or cast("TextPredictions", predictions).said is None:
        return Finding("V008", "not_applicable", "This model writes no texts.", name)
    evidence = _figures(cast("TextPredictions", predictions))
    rows, stop_rate, repetition = evidence["num_rows"], evidence["stop_rate"], evidence["repetition"]
    told = {
        "empty": f"{evidence['empty']:,} are empty ({100 * evidence['empty'] / rows:.0f} %)",
        "unfinished": ""
        if stop_rate is None
        else f"{evidence['unfinished']:,} are cut off by the limit on their length ({100 * (1 - stop_rate):.0f} %)",
        "repeated": f"{100 * repetition:.0f} % of what is written stood earlier in the same text",
    }
    wrong = {
        "empty": evidence["empty"] > MOST_EMPTY * rows,
        "unfinished": stop_rate is not None and stop_rate < LEAST_FINISHED,
        "repeated": repetition > MOST_REPEATED,
    }
    if not any(wrong.values()):
        message = f"Of {rows:,} test texts {_joined([text for text in told.values() if text])}."
        return Finding("V008", "passed", message, name, "", evidence)
    message = f"Of {rows:,} test texts {_joined([text for part, text in told.items() if wrong[part]])}."
    remedy = "; ".join(["Train for longer", *(text for part, text in REMEDIES.items() if wrong[part])]) + "."
    return Finding("V008", "issue", message, name, remedy, evidence)


def _figures(predictions: TextPredictions) -> dict[str, Any]:
    """Rows, counts and shares; what nobody knows is None."""
    assert predictions.said is not None
    gold = predictions.gold or ((),) * len(predictions)
    pairs = zip(predictions.said, gold, strict=True)
    again, runs = (sum(one) for one in zip(*map(repeated, predictions.said), strict=True))
    finished = predictions.finished
    return {
        "num_rows": len(predictions),
        "empty": sum(not said.strip() and all(text.strip() for text in row) for said, row in pairs),
        "unfinished": None if finished is None else int((~finished).sum()),
        "stop_rate": None if finished is None else float(finished.mean()),
        "repetition": again / runs if runs else 0.0,
    }


def _joined(parts: list[str]) -> str:
    """``one, two and three``."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)
