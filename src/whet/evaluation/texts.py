"""Texts: how likely the true ones are to a model, and how much of them it says.

Cross-entropy and what follows from it are ratios of totals: nats of all rows over tokens of all rows.
They can be compared between models that count the same tokens; bits per byte, between any that count
the same text. BLEU and chrF are of all rows together too, the other metrics are means over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.measures import CHOICE, lower_is_better
from whet.evaluation.overlap import (
    bleu,
    bleu_counts,
    chrf,
    chrf_counts,
    cut_for_bleu,
    repeated,
    rouge,
)
from whet.evaluation.sums import Block, Floats, Formula, Sums, assembled, columns_of, dense, mean_of, ratio

if TYPE_CHECKING:
    from whet.data.predictions import TextPredictions

PER_TOKEN = ("token_nats", "perplexity", "token_accuracy")
LIKELIHOOD = ("token_nats", "perplexity", "bits_per_byte", "token_accuracy")
"""How likely the true text is."""

SAID = {
    "generation": ("chrf", "rouge_l", "exact_match_text", CHOICE, "format_valid", "stop_rate", "repetition"),
    "translation": ("bleu", "chrf", "rouge_l", "rouge1", "rouge2", "format_valid", "stop_rate", "repetition"),
    "summarization": ("rouge_l", "rouge1", "rouge2", "chrf", "format_valid", "stop_rate", "repetition"),
    "language": (),
}
"""By purpose, what is measured of the text that is said."""

RESTS_ON = {CHOICE: "chosen", "format_valid": "valid", "stop_rate": "finished"}
"""Metrics that only some models have -> the field of the predictions that they rest on."""

MOST_NATS = 700.0
"""From here on perplexity is no longer written out (a number of 300 digits)."""


def metrics(predictions: TextPredictions) -> tuple[str, ...]:
    """Of the likelihood and of what is said, those that the model gives; first, what the purpose is judged by."""
    likelihood = tuple(name for name in LIKELIHOOD if _has(predictions, name))
    said = () if predictions.said is None else SAID[predictions.purpose]
    said = tuple(name for name in said if name not in RESTS_ON or getattr(predictions, RESTS_ON[name]) is not None)
    found = said + likelihood if predictions.purpose in ("translation", "summarization") else likelihood + said
    return tuple(sorted(found, key=lambda name: name != CHOICE))


def _has(predictions: TextPredictions, name: str) -> bool:
    if predictions.nats is None or predictions.tokens is None:
        return False
    if name == "bits_per_byte":
        return predictions.num_bytes is not None
    return name != "token_accuracy" or predictions.num_right is not None


def primary(predictions: TextPredictions) -> str:
    """BLEU of translations, ROUGE-L of summaries, else token cross-entropy; chrF where there are no probabilities.

    Where answers are a closed set, label accuracy.
    """
    return metrics(predictions)[0]


def check(predictions: TextPredictions) -> tuple[str, str] | None:
    """V105: a likelihood or a count that cannot be; V112: nothing to measure, or nothing to measure it against."""
    if not metrics(predictions):
        return "V112", "there is neither a text nor the likelihood of one in any row."
    if predictions.said is not None and not all(truth(predictions)):
        return "V112", f"{sum(not row for row in truth(predictions)):,} rows have no accepted text."
    counts = [one for one in (predictions.tokens, predictions.num_bytes, predictions.num_right) if one is not None]
    wrong = np.zeros(len(predictions), dtype=bool)
    for values in counts:
        wrong |= values < 0
    if predictions.num_right is not None and predictions.tokens is not None:
        wrong |= predictions.num_right > predictions.tokens
    if predictions.nats is not None:
        wrong |= ~(np.isfinite(predictions.nats) & (predictions.nats >= -1e-6))
    if wrong.any():
        return "V105", f"{int(wrong.sum()):,} rows hold likelihoods or counts of tokens that cannot be."
    return None


def comparable(first: TextPredictions, second: TextPredictions) -> bool:
    """Both say texts for the same purpose; by which metrics they can be compared, :func:`shared` tells."""
    return first.purpose == second.purpose


def shared(first: TextPredictions, second: TextPredictions) -> tuple[str, ...]:
    """The metrics that both have; those by token only where both count the same tokens, by byte the same bytes."""
    names = set(metrics(second))
    if not _equal(first.tokens, second.tokens):
        names -= set(PER_TOKEN)
    if not _equal(first.num_bytes, second.num_bytes):
        names -= {"bits_per_byte"}
    return tuple(name for name in metrics(first) if name in names)


def _equal(first: NDArray[Any] | None, second: NDArray[Any] | None) -> bool:
    return first is not None and second is not None and np.array_equal(first, second)


def aligned(predictions: TextPredictions, like: TextPredictions) -> TextPredictions:
    """As they are."""
    return predictions


def same_truth(first: TextPredictions, second: TextPredictions) -> bool:
    """The same texts are accepted, in any order; of a row that is its own truth, the hash of the row has shown it."""
    if first.gold is None or second.gold is None:
        return first.gold is second.gold
    return [set(row) for row in first.gold] == [set(row) for row in second.gold]


def truth(predictions: TextPredictions) -> tuple[tuple[str, ...], ...]:
    """The accepted texts, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def sums(predictions: TextPredictions, *, soft: bool = True) -> Sums:
    """Rows, tokens and what is right of them, counts of what is said; with ``soft`` nats."""
    counted: dict[str, NDArray[Any] | None] = {
        "tokens": predictions.tokens,
        "bytes": predictions.num_bytes,
        "right": predictions.num_right,
        "finished": predictions.finished,
        "valid": predictions.valid,
        "nats": predictions.nats if soft else None,
    }
    blocks = {name: dense(values) for name, values in counted.items() if values is not None}
    return assembled(
        len(predictions), {"rows": dense(np.ones(len(predictions)))} | blocks | _said(predictions), FORMULAS
    )


def _said(predictions: TextPredictions) -> dict[str, Block]:
    """The blocks of those metrics of what is said that the purpose has."""
    if predictions.said is None:
        return {}
    names, gold = SAID[predictions.purpose], truth(predictions)
    pairs = list(zip(predictions.said, gold, strict=True))
    blocks = {"repeated": _table([repeated(said) for said in predictions.said])}
    if "bleu" in names:
        cut = cut_for_bleu(gold)
        blocks["bleu"] = _table([bleu_counts(said, row, cut) for said, row in pairs])
    if "chrf" in names:
        blocks["chrf"] = _table([chrf_counts(said, row) for said, row in pairs])
    if "rouge_l" in names:
        blocks["rouge"] = _table([rouge(said, row) for said, row in pairs])
    if "exact_match_text" in names:
        blocks["exact"] = dense(predictions.correct)
    if CHOICE in names and predictions.chosen is not None:
        blocks["chosen"] = dense(predictions.accepts(predictions.chosen))
    return blocks


def _table(rows: Sequence[Sequence[float]]) -> Block:
    return columns_of(np.asarray(rows, dtype=np.float64))


def _perplexity(part: Sums, totals: Floats) -> Floats:
    return np.asarray(np.exp(np.minimum(FORMULAS["token_nats"](part, totals), MOST_NATS)))


def _bits_per_byte(part: Sums, totals: Floats) -> Floats:
    return ratio(part.one("nats", totals), np.log(2) * part.one("bytes", totals))


def _rouge(place: int) -> Formula:
    return lambda part, totals: ratio(part.of("rouge", totals)[:, place], part.one("rows", totals))


def _repetition(part: Sums, totals: Floats) -> Floats:
    counts = part.of("repeated", totals)
    return ratio(counts[:, 0], counts[:, 1])


FORMULAS: dict[str, Formula] = {
    "token_nats": mean_of("nats", "tokens"),
    "perplexity": _perplexity,
    "bits_per_byte": _bits_per_byte,
    "token_accuracy": mean_of("right", "tokens"),
    "chrf": chrf,
    "bleu": bleu,
    "rouge1": _rouge(0),
    "rouge2": _rouge(1),
    "rouge_l": _rouge(2),
    "exact_match_text": mean_of("exact"),
    CHOICE: mean_of("chosen"),
    "format_valid": mean_of("valid"),
    "stop_rate": mean_of("finished"),
    "repetition": _repetition,
}


def points(predictions: TextPredictions) -> dict[str, float]:
    """BLEU and chrF by sacrebleu; ratios and means are exact as they are."""
    return {name: score for name, (score, _) in _by_sacrebleu(predictions).items()}


def _by_sacrebleu(predictions: TextPredictions) -> dict[str, tuple[float, str]]:
    """Of BLEU and chrF, where the purpose has them, value in 0..1 and signature."""
    if predictions.said is None:
        return {}
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    gold, names = truth(predictions), SAID[predictions.purpose]
    most = max(map(len, gold))
    streams = [[row[place] if place < len(row) else None for row in gold] for place in range(most)]
    found = {}
    ways: dict[str, Any] = {"bleu": lambda: BLEU(tokenize=cut_for_bleu(gold), force=True), "chrf": CHRF}
    for name, way in ways.items():
        if name in names:
            measure = way()
            score = measure.corpus_score(list(predictions.said), streams).score
            found[name] = (score / 100, str(measure.get_signature()))
    return found


def population(predictions: TextPredictions, metric: str) -> NDArray[np.bool_] | None:
    """Every metric speaks of all rows."""
    return None


def decisions(predictions: TextPredictions) -> None:
    """A text is said without a probability of being right."""


def right(predictions: TextPredictions, part: str | None = None) -> NDArray[np.bool_] | None:
    """Whether the text is an accepted one; None where nothing is said."""
    return None if predictions.said is None else predictions.correct


def right_by(predictions: TextPredictions, metric: str) -> NDArray[np.bool_] | None:
    """Whether the answer chosen from a closed set is an accepted one, where that is measured; else as :func:`right`."""
    if metric == CHOICE and predictions.chosen is not None:
        return predictions.accepts(predictions.chosen)
    return right(predictions)


def mistakes(predictions: TextPredictions, metric: str | None = None) -> Floats:
    """(n,) the metric of each row by itself, turned so that more is worse; chrF for BLEU, which needs many rows."""
    name = metric or primary(predictions)
    part = sums(predictions)
    name = "chrf" if name == "bleu" else name
    values = part.formulas[name](part, part.matrix.toarray())
    return values if lower_is_better(name) else 1.0 - values


def slices(predictions: TextPredictions) -> dict[str, NDArray[np.bool_]]:
    """None."""
    return {}


def details(predictions: TextPredictions) -> dict[str, Any]:
    """Counts, lengths in characters of what is said and of what is accepted, and how BLEU and chrF were counted."""
    counts = {"rows": len(predictions)}
    for name, values in (("tokens", predictions.tokens), ("bytes", predictions.num_bytes)):
        counts |= {} if values is None else {name: int(values.sum())}
    found: dict[str, Any] = {"purpose": predictions.purpose, "counts": counts}
    if predictions.said is None:
        return found
    said = np.asarray([len(text) for text in predictions.said])
    gold = np.asarray([len(row[0]) for row in truth(predictions)])
    counts |= {"exact": int(predictions.correct.sum()), "empty": sum(not text.strip() for text in predictions.said)}
    if predictions.num_said is not None:
        counts["said_tokens"] = int(predictions.num_said.sum())
    if predictions.finished is not None:
        counts["cut_short"] = int((~predictions.finished).sum())
    if predictions.valid is not None:
        counts["of_other_form"] = int((~predictions.valid).sum())
    if predictions.chosen is not None:
        counts["labels_right"] = int(predictions.accepts(predictions.chosen).sum())
    sides = {"said": said, "gold": gold}
    lengths = {name: {"mean": float(some.mean()), "median": float(np.median(some))} for name, some in sides.items()}
    signatures = {name: signature for name, (_, signature) in _by_sacrebleu(predictions).items()}
    if "rouge_l" in SAID[predictions.purpose]:
        signatures["rouge"] = "F1|best of references|words in lower case|no stemming"
    ratios = {"length_ratio": float(said.sum() / gold.sum())} if gold.sum() else {}
    return found | {"lengths": lengths, **ratios, "signatures": signatures}
