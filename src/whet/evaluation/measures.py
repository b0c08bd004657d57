"""The table of metrics: what each is called, which way is better, its bounds, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Shown = Literal["points", "plain"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What a reader must know of a metric.

    - ``words``: its name inside a sentence; ``meaning``: what it is, in a sentence of its own.
    - ``bounds``: smallest and largest value; None where there are none.
    - ``shown``: "points": 0.934 is written 93.4; "plain": it stays 0.934. ``unit`` follows a plain difference.
    - ``rows``: what one counts that counts the rows of a split.
    - ``proportion``: it is the share of some rows that are right, so that exact methods for shares hold.
    """

    words: str
    meaning: str
    lower_is_better: bool = False
    bounds: tuple[float, float] | None = (0.0, 1.0)
    shown: Shown = "points"
    proportion: bool = False
    unit: str = ""
    rows: str = "rows"


def _loss(words: str, meaning: str, *, shown: Shown = "plain", unit: str = "") -> Measure:
    return Measure(words, meaning, lower_is_better=True, bounds=None, shown=shown, unit=unit)


def _correlation(words: str, meaning: str) -> Measure:
    return Measure(words, meaning, bounds=(-1.0, 1.0), shown="plain")


def _ranking(words: str, meaning: str) -> Measure:
    return Measure(words, meaning, shown="plain", rows="queries")


CHOICE = "label_accuracy"
"""The metric of texts that are a choice from a closed set of answers; where it is known, it is what counts."""

MEASURES: dict[str, Measure] = {
    # classes
    "accuracy": Measure("accuracy", "Share of rows whose whole decision is right.", proportion=True),
    "macro_f1": Measure("macro F1", "F1 of every class or type, averaged with equal weight: rare ones count."),
    "micro_f1": Measure("micro F1", "F1 over all decisions together: frequent classes count more."),
    "mcc": _correlation("MCC", "Correlation of truth and prediction: 1 is perfect, 0 is chance."),
    "log_loss": _loss("log loss", "Mean negative log probability of the truth, in nats.", unit="nats"),
    "brier": _loss("Brier score", "Mean squared distance of the probabilities from the truth."),
    "ece": _loss("ECE", "Expected calibration error: mean gap between confidence and accuracy.", shown="points"),
    # spans
    "entity_f1": Measure("entity F1", "F1 over all spans; one counts when both ends and its type are right."),
    "entity_precision": Measure("precision", "Share of the said spans that are right, ends and type."),
    "entity_recall": Measure("recall", "Share of the true spans that are found, ends and type."),
    "boundary_f1": Measure("boundary F1", "F1 over all spans when only their ends count and not their type."),
    # answers
    "answer_f1": Measure("answer F1", "Words shared with the nearest accepted answer, as F1, averaged over questions."),
    "exact_match": Measure("exact match", "Share of questions answered in the very words accepted.", proportion=True),
    "answerable_f1": Measure("F1 of answerable questions", "Answer F1 over the questions that have an answer."),
    "answerable_exact": Measure(
        "exact match of answerable questions",
        "Exact match over the questions that have an answer.",
        proportion=True,
    ),
    "no_answer_accuracy": Measure(
        "no-answer accuracy", "Share of the questions without an answer that are left unanswered.", proportion=True
    ),
    # values
    "spearman": _correlation("Spearman", "Correlation of the ranks: whether the order is right, whatever the scale."),
    "pearson": _correlation("Pearson", "Linear correlation of said and true values."),
    "r2": Measure(
        "R²", "Share of the truth's variance that is explained; 0 is saying the mean.", bounds=None, shown="plain"
    ),
    "mae": _loss("mean absolute error", "Mean distance from the true value, in its own unit."),
    "mse": _loss("mean squared error", "Mean squared distance from the true value."),
    # ranks
    "ndcg_at_10": _ranking("nDCG@10", "Gain of the first ten passages, discounted by rank, over the best possible."),
    "mrr_at_10": _ranking("MRR@10", "Mean of 1 / rank of the first relevant passage among ten, else 0."),
    "recall_at_1": _ranking("recall@1", "Share of a query's relevant passages in first place, averaged."),
    "recall_at_10": _ranking("recall@10", "Share of a query's relevant passages among the first ten, averaged."),
    "map_at_100": _ranking("MAP@100", "Mean over queries of the average precision of the first hundred passages."),
    # texts
    "token_nats": _loss("token cross-entropy", "Mean negative log probability of the true tokens.", unit="nats"),
    "perplexity": _loss("perplexity", "Of how many equally likely tokens the true one would be as hard to guess."),
    "bits_per_byte": _loss(
        "bits per byte", "Negative log probability of the true text by its length: any tokenizer.", unit="bits"
    ),
    "token_accuracy": Measure("token accuracy", "Share of the true tokens that the model thinks likeliest."),
    "chrf": Measure("chrF", "Characters in a row shared with an accepted text, recall before precision."),
    "bleu": Measure("BLEU", "Words in a row shared with accepted texts, as precision over all rows together."),
    "rouge_l": Measure("ROUGE-L", "Words shared in the same order with the nearest accepted text, as F1."),
    "rouge1": Measure("ROUGE-1", "Words shared with the nearest accepted text, as F1."),
    "rouge2": Measure("ROUGE-2", "Pairs of words shared with the nearest accepted text, as F1."),
    "exact_match_text": Measure("exact match", "Share of rows whose very text is an accepted one.", proportion=True),
    CHOICE: Measure(
        "label accuracy",
        "Share of rows where the answer chosen among those known from training is an accepted one.",
        proportion=True,
    ),
    "pair_accuracy": Measure(
        "pair accuracy", "Share of pairs of which the better answer has the larger reward.", proportion=True
    ),
    "longer_accuracy": Measure(
        "pair accuracy where the longer is better",
        "Pair accuracy over the pairs whose better answer is the longer one.",
        proportion=True,
    ),
    "shorter_accuracy": Measure(
        "pair accuracy where the shorter is better",
        "Pair accuracy over the pairs whose better answer is the shorter one: rewarding length fails here.",
        proportion=True,
    ),
    "reward_auc": Measure(
        "AUC of rewards", "Chance that an answer that was liked has a larger reward than one that was not."
    ),
    "format_valid": Measure("valid form", "Share of texts that have the form asked for: the JSON schema, the pattern."),
    "stop_rate": Measure("stop rate", "Share of texts that end by themselves, not by the limit on their length."),
    "repetition": Measure(
        "repetition",
        "Share of runs of four words, or of four characters where words are few, that stood earlier in the same text.",
        lower_is_better=True,
    ),
}


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value is the better one."""
    return MEASURES[metric].lower_is_better
