"""How much a said text shares with accepted ones: chrF, BLEU and ROUGE, as counts of each row.

Counts of rows add up to counts of any resample, from which the formulas below give what sacrebleu gives
for the same rows: chrF2 (Popovic 2015, W15-3049) and BLEU (Papineni et al. 2002, smoothed "exp").
BLEU's counts are sacrebleu's own. ROUGE (Lin 2004, W04-1013) is a mean over rows of F measures, without
stemming. Its words are letters and digits in lower case, so that plain English comes out as with the
package rouge-score, which knows no letters but a to z; Han and kana characters are words of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from whet.evaluation.sums import Floats, Sums, ratio

Gold = tuple[str, ...]
"""The accepted texts of one row, at least one."""

CHARACTERS = 6
"""The longest run of characters that chrF counts."""
BETA = 2
"""How much more recall weighs than precision in chrF."""
WORDS = 4
"""The longest run of words that BLEU counts, and the run (of words, or of characters) whose repetition is counted."""
FEW_CHARACTERS = 20
"""Up to so many, a text of fewer than four words is short, and repeats nothing."""
KEPT = 1 << 16
"""Rows whose counts are kept: comparing models asks for the same rows again and again."""

_OWN = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(f"[{_OWN}]|[^\\W_{_OWN}]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_WITHOUT_BLANKS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff]")
"""Thai, Lao, Burmese, Khmer and kana."""


def words(text: str) -> list[str]:
    """Runs of letters and digits in lower case."""
    return _WORD.findall(text.lower())


def cut_for_bleu(gold: Sequence[Gold]) -> str:
    """sacrebleu's way of cutting accepted texts into words: "13a", or for scripts without blanks "zh" or "char"."""
    text = "".join(row[0] for row in gold[:1000])
    letters = sum(map(str.isalpha, text))
    if len(_WITHOUT_BLANKS.findall(text)) * 5 > letters:
        return "char"
    return "zh" if len(_HAN.findall(text)) * 5 > letters else "13a"


@lru_cache(maxsize=8)
def bleu_metric(cut: str) -> Any:
    """sacrebleu's BLEU; effective order matters to single rows only, of which the counts alone are taken."""
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=cut, force=True, effective_order=True)


@lru_cache(maxsize=KEPT)
def bleu_counts(said: str, gold: Gold, cut: str) -> tuple[int, ...]:
    """Words said, words of the accepted text nearest in length; runs of 1 to 4 words: those that match, those said."""
    found = bleu_metric(cut).sentence_score(said, gold)
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def bleu(part: Sums, totals: Floats) -> Floats:
    """(R,) BLEU in 0..1 from (R, K) totals; an order without any match counts half of one, then a quarter."""
    counts = part.of("bleu", totals)
    said, gold = counts[:, 0], counts[:, 1]
    matched, total = counts[:, 2 : 2 + WORDS], counts[:, 2 + WORDS :]
    none = matched == 0
    smoothed = np.where(none, 0.5 ** np.cumsum(none, axis=1), matched)
    able = np.asarray(matched.any(axis=1) & (total > 0).all(axis=1))
    precision = np.where(able[:, None], smoothed, 1) / np.maximum(total, 1)
    brevity = np.exp(np.minimum(0, 1 - gold / np.maximum(said, 1)))
    return np.asarray(able * brevity * np.exp(np.log(precision).mean(axis=1)))


@lru_cache(maxsize=KEPT)
def chrf_counts(said: str, gold: Gold) -> tuple[int, ...]:
    """Of runs of 1 to 6 characters without blanks: how many are said, accepted, and both; of the best accepted text."""
    mine = _runs("".join(said.split()))
    best: tuple[int, ...] = ()
    value = -1.0
    for text in gold:
        theirs = _runs("".join(text.split()))
        found: list[int] = []
        for said_runs, gold_runs in zip(mine, theirs, strict=True):
            both = sum(min(count, gold_runs[run]) for run, count in said_runs.items() if run in gold_runs)
            found += [said_runs.total() if gold_runs else 0, gold_runs.total(), both]
        own = float(chrf_of(np.asarray([found], dtype=np.float64))[0]) if len(gold) > 1 else 0.0
        if own > value:
            best, value = tuple(found), own
    return best


def _runs(text: str) -> list[Counter[str]]:
    return [Counter([text[start : start + n] for start in range(len(text) - n + 1)]) for n in range(1, CHARACTERS + 1)]


def chrf_of(counts: Floats) -> Floats:
    """(R,) chrF in 0..1 from (R, 18) counts: means of precision and of recall over the lengths that both sides have."""
    said, gold, both = counts[:, 0::3], counts[:, 1::3], counts[:, 2::3]
    there = (said > 0) & (gold > 0)
    orders = there.sum(axis=1).astype(np.float64)
    precision = ratio((ratio(both, said) * there).sum(axis=1), orders)
    recall = ratio((ratio(both, gold) * there).sum(axis=1), orders)
    return ratio((1 + BETA**2) * precision * recall, BETA**2 * precision + recall)


def chrf(part: Sums, totals: Floats) -> Floats:
    """(R,) chrF in 0..1 from (R, K) totals."""
    return chrf_of(part.of("chrf", totals))


@lru_cache(maxsize=KEPT)
def rouge(said: str, gold: Gold) -> tuple[float, float, float]:
    """F measures of ROUGE-1, ROUGE-2 and ROUGE-L, each of the accepted text that suits it best."""
    mine = words(said)
    found = [_rouge(mine, words(text)) for text in gold]
    return (max(one for one, _, _ in found), max(two for _, two, _ in found), max(longest for _, _, longest in found))


def _rouge(said: list[str], gold: list[str]) -> tuple[float, float, float]:
    pairs = [Counter(pairwise(some)) for some in (said, gold)]
    return (
        _f(float((Counter(said) & Counter(gold)).total()), len(said), len(gold)),
        _f(float((pairs[0] & pairs[1]).total()), pairs[0].total(), pairs[1].total()),
        _f(float(longest_common(said, gold)), len(said), len(gold)),
    )


def _f(shared: float, said: int, gold: int) -> float:
    return 2 * shared / (said + gold) if shared else 0.0


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table as the bits of one number (Hyyrö 2004, AWOCA)."""
    places: dict[str, int] = {}
    for number, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << number
    whole = (1 << len(first)) - 1
    row = whole
    for word in second:
        here = row & places.get(word, 0)
        row = ((row + here) | (row - here)) & whole
    return len(first) - row.bit_count()


@lru_cache(maxsize=KEPT)
def repeated(said: str) -> tuple[int, int]:
    """How many runs of four words stood earlier in the text, and how many there are.

    Where a text has fewer than four words but more than 20 characters, such as one unbroken row of dots or
    letters, runs of four characters are counted in their place.
    """
    text, mine = said.strip(), words(said)
    units = text if len(mine) < WORDS and len(text) > FEW_CHARACTERS else mine
    runs = [tuple(units[start : start + WORDS]) for start in range(len(units) - WORDS + 1)]
    return len(runs) - len(set(runs)), len(runs)
