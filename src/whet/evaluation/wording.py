"""The reason of a verdict in a sentence or two that a busy engineer understands, with its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whet.evaluation.measures import MEASURES, lower_is_better

if TYPE_CHECKING:
    from whet.evaluation.paired import Comparison
    from whet.evaluation.verdict import Verdict

MODELS = {
    "majority": "always giving the most frequent answer",
    "mean": "always saying the mean",
    "unigram": "how often each token occurs",
    "copy_source": "copying the source",
    "lead3": "the first three sentences",
    "first_sentence": "the first sentence",
    "dictionary": "the dictionary of training entities",
    "bm25": "BM25",
    "nearest_answer": "the answer of the nearest training row",
    "tfidf_cosine": "the cosine of TF-IDF",
    "tfidf_sentence": "the sentence nearest by TF-IDF",
    "tfidf_linear": "TF-IDF with a linear model",
    "tfidf_ridge": "TF-IDF with ridge regression",
    "token_linear": "a linear model of word features",
    "label_names": "label-name similarity",
    "base_cosine": "the cosine of the untouched base",
    "longer": "taking the longer answer",
    "base": "the untouched base",
    "zero_shot": "prompting without examples",
    "few_shot": "prompting with examples",
    "nearest_shots": "prompting with the nearest examples",
    "probe": "the frozen probe",
    "prompt": "prompt tuning",
    "p-tuning": "p-tuning",
    "ia3": "IA3",
    "bitfit": "tuning of biases",
    "prefix": "prefix tuning",
    "lora": "LoRA",
    "qlora": "QLoRA",
    "quantised": "the base in few bits",
    "top-layers": "tuning of the top layers",
    "contrastive": "contrastive tuning",
    "full": "full fine-tuning",
    "together": "training with the other tasks",
    "self-trained": "self-training",
    "distilled": "distillation",
}
NOTHING = ("majority", "mean", "unigram")
"""What is said without looking at the row."""


def model_words(name: str) -> str:
    """The model as a sentence names it; unknown names as they are."""
    return MODELS.get(name, name)


def number(value: float, metric: str) -> str:
    """A value of the metric: shares in points (93.4), correlations and losses as they are (0.234)."""
    return f"{100 * value:.1f}" if MEASURES[metric].shown == "points" else f"{value:.3f}"


def amount(value: float, metric: str) -> str:
    """A difference with its unit: "0.7 points", "1 point", "0.012" or "0.012 nats"."""
    measure = MEASURES[metric]
    if measure.shown == "plain":
        text = f"{value:.3f}" if value == 0 or value >= 0.0005 else f"{value:.2g}"
        return f"{text} {measure.unit}".rstrip()
    text = f"{100 * value:.1f}"
    text = f"{100 * value:.2g}" if text == "0.0" and value > 0 else text.removesuffix(".0")
    return f"{text} point" if text == "1" else f"{text} points"


def p_words(p: float) -> str:
    """``p = 0.08`` or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def reason(verdict: Verdict) -> str:
    """Why the verdict is what it is, and how its model stands to baselines that the metric cannot measure."""
    return " ".join([_reason(verdict), *(_aside(verdict, one) for one in verdict.beside)])


def _aside(verdict: Verdict, one: Comparison) -> str:
    low, high = (-one.high, -one.low) if lower_is_better(one.metric) else (one.low, one.high)
    how = f"{amount(abs(one.gain), one.metric)} {'better' if one.gain > 0 else 'worse'} than it"
    if one.gain == 0:
        how = "exactly as good"
    after = " after Holm" if len(verdict.beside) > 1 else ""
    return sentence(
        f"{model_words(one.against)} cannot be measured by {MEASURES[verdict.metric].words} and is no rival here; by "
        f"{MEASURES[one.metric].words} {model_words(one.candidate)} is {how} ({100 * (1 - verdict.alpha):.0f} % "
        f"interval {number(low, one.metric)} to {number(high, one.metric)}, {p_words(one.p_holm)}{after})."
    )


def _reason(verdict: Verdict) -> str:
    lead = verdict.leading
    if lead is None:
        return f"There is no candidate; the cheapest baseline near the best is {_standing(verdict, verdict.ship)}."
    if verdict.code == "ship":
        return _ship(verdict, lead)
    return _keep(verdict, lead) if verdict.code == "keep_baseline" else _cannot_tell(verdict, lead)


def _standing(verdict: Verdict, name: str) -> str:
    return f"{model_words(name)} ({MEASURES[verdict.metric].words} {number(verdict.values[name], verdict.metric)})"


def _relation(verdict: Verdict, one: Comparison) -> str:
    """``full fine-tuning is 0.7 points better than the frozen probe (95 % interval ..., p = ... after Holm)``."""
    low, high = (-one.high, -one.low) if lower_is_better(verdict.metric) else (one.low, one.high)
    how = f"{amount(abs(one.gain), verdict.metric)} {'better' if one.gain > 0 else 'worse'} than"
    if one.gain == 0:
        how = "exactly as good as"
    after = " after Holm" if len(verdict.comparisons) > 1 else ""
    rows = f"{one.num_rows:,} test {MEASURES[verdict.metric].rows}"
    return (
        f"{model_words(one.candidate)} is {how} {model_words(one.against)} on {rows} "
        f"({MEASURES[verdict.metric].words} {number(verdict.values[one.candidate], verdict.metric)} against "
        f"{number(verdict.values[one.against], verdict.metric)}; {100 * (1 - verdict.alpha):.0f} % interval "
        f"{number(low, verdict.metric)} to {number(high, verdict.metric)}, {p_words(one.p_holm)}{after})"
    )


def _ship(verdict: Verdict, lead: Comparison) -> str:
    chosen = next(one for one in verdict.comparisons if one.candidate == verdict.ship)
    text = f"{_relation(verdict, chosen)}: ship {model_words(verdict.ship)}."
    if verdict.ship != lead.candidate and any(
        one["model"] == verdict.ship and one["low"] > -verdict.margin for one in verdict.near_best
    ):
        text += (
            f" {model_words(lead.candidate)} costs more and is better by less than the margin of "
            f"{amount(verdict.margin, verdict.metric)}."
        )
    return sentence(text)


def _keep(verdict: Verdict, lead: Comparison) -> str:
    margin = amount(verdict.margin, verdict.metric)
    why = "both say the same of every one" if lead.alike else f"surely no gain of {margin} or more"
    text = f"{_relation(verdict, lead)}: {why}, so keep {model_words(verdict.ship)}"
    if verdict.ship != verdict.best_baseline:
        text += f", the cheapest within {margin} of the best"
    if verdict.ship in NOTHING:
        text += "; no model has shown to be worth anything here"
    return sentence(text + ".")


def _cannot_tell(verdict: Verdict, lead: Comparison) -> str:
    rows = MEASURES[verdict.metric].rows
    if lead.alike:
        told = f"{_relation(verdict, lead)}: both say the same of every one, so that more {rows} like these"
        return sentence(f"{told} would not tell them apart. Use the cheaper, {model_words(verdict.ship)}.")
    text = f"{_relation(verdict, lead)}: cannot tell"
    effect = verdict.minimum_detectable_effect
    if effect is None:
        text += f"; so few {rows} can show no difference at all"
    else:
        text += f"; this many {rows} show differences of {amount(effect, verdict.metric)} or more"
    if verdict.rows_to_decide is not None:
        text += f", about {verdict.rows_to_decide:,} test {rows} would decide"
    return sentence(f"{text}. Until then use the cheaper, {model_words(verdict.ship)}.")


def sentence(text: str) -> str:
    """``text`` with a capital at the beginning of each sentence, unless a name stands there, such as ``run/full``."""
    return ". ".join(_begun(part) for part in text.split(". "))


def _begun(text: str) -> str:
    is_name = "/" in text.split(" ", 1)[0]
    return text if is_name else text[:1].upper() + text[1:]
