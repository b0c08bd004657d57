"""chrF, BLEU and ROUGE from counts of rows, beside sacrebleu, rouge-score and definitions written down again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from whet.evaluation.kinds import sums
from whet.evaluation.overlap import (
    bleu_counts,
    chrf_counts,
    chrf_of,
    cut_for_bleu,
    longest_common,
    repeated,
    rouge,
    words,
)
from whet.evaluation.sums import resampled

from .made_kinds import texts

sentence = st.text(alphabet="ab cd.,é漢'-\n", max_size=30)
rows = st.lists(st.tuples(sentence, st.lists(sentence, min_size=1, max_size=3)), min_size=1, max_size=6)


def streams(gold):
    most = max(map(len, gold))
    return [[row[place] if place < len(row) else None for row in gold] for place in range(most)]


@settings(max_examples=150, deadline=None)
@given(rows)
def test_any_rows_have_the_bleu_and_chrf_of_sacrebleu(rows):
    said, gold = [row[0] for row in rows], [row[1] for row in rows]
    part = sums(texts(gold, said, purpose="translation"))
    found = {name: float(value[0]) for name, value in part.metrics(["bleu", "chrf"], part.total).items()}
    cut = cut_for_bleu([tuple(row) for row in gold])
    expected = BLEU(tokenize=cut, force=True).corpus_score(said, streams(gold)).score
    assert 100 * found["bleu"] == pytest.approx(expected, abs=1e-9)
    assert 100 * found["chrf"] == pytest.approx(CHRF().corpus_score(said, streams(gold)).score, abs=1e-9)


def test_a_resample_has_the_bleu_and_chrf_of_its_rows():
    rng = np.random.default_rng(3)
    names = np.asarray(["the", "red", "fox", "jumps", "over", "a", "dog", "today", ",", "sees"])
    gold = [[" ".join(rng.choice(names, rng.integers(3, 14))) for _ in range(rng.integers(1, 4))] for _ in range(40)]
    said = [" ".join(word for word in row[0].split() if rng.random() < 0.8) for row in gold]
    part = sums(texts(gold, said, purpose="translation"))
    (totals,) = next(resampled([part], 20, np.random.default_rng(5)))
    drawn = np.random.default_rng(5).integers(0, 40, size=(20, 40))
    values = part.metrics(["bleu", "chrf"], totals)
    for number, chosen in enumerate(drawn):
        some, theirs = [said[row] for row in chosen], streams([gold[row] for row in chosen])
        bleu = BLEU(force=True).corpus_score(some, theirs).score
        assert 10 < bleu < 90
        assert 100 * values["bleu"][number] == pytest.approx(bleu, abs=1e-9)
        assert 100 * values["chrf"][number] == pytest.approx(CHRF().corpus_score(some, theirs).score, abs=1e-9)


def test_counts_by_hand():
    # said: the the cat / accepted: the cat sat down; two of three words match, one of two pairs, no triple
    assert bleu_counts("the the cat", ("the cat sat down",), "13a") == (3, 4, 2, 1, 0, 0, 3, 2, 1, 0)
    assert chrf_counts("ab a", ("ab b",))[:6] == (3, 3, 2, 2, 2, 1)
    both = np.asarray([chrf_counts("abc", ("abd",))], dtype=float)
    # runs of one: 2 of 3, of two: 1 of 2, of three: 0 of 1, both ways
    assert chrf_of(both)[0] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert chrf_counts("abc", ("xyz", "abd")) == chrf_counts("abc", ("abd",))
    assert rouge("the the cat", ("the cat sat down",)) == pytest.approx((4 / 7, 2 / 5, 4 / 7))
    assert rouge("a b c d", ("d c b a", "a c")) == pytest.approx((1.0, 0.0, 2 * 2 / 6))
    assert rouge("", ("a",)) == rouge("a", ("",)) == rouge("", ("",)) == (0.0, 0.0, 0.0)
    assert repeated("Go on and on. Go on and on!") == (1, 5)


def test_runs_of_characters_are_counted_where_there_are_hardly_any_words():
    assert repeated("." * 24) == (20, 21), "one of 21 runs is new"
    assert repeated("ha" * 12 + "\n") == (19, 21), "haha and ahah are new"
    assert repeated("." * 20) == (0, 0), "short"
    assert repeated("abcdefghijklmnopqrstuvwxyz") == (0, 23)
    assert repeated("one two three " + "." * 30) == (26, 41), "three words, 27 runs of dots"
    assert repeated("one two three four " + "." * 30) == (0, 1), "four words"
    assert repeated("one two three") == (0, 0)


english = st.text(alphabet="abC1 2.,'-_\n", max_size=40)


@settings(max_examples=150, deadline=None)
@given(english, st.lists(english, min_size=1, max_size=3))
def test_plain_english_has_the_rouge_of_rouge_score(said, gold):
    from rouge_score.rouge_scorer import RougeScorer

    names = ["rouge1", "rouge2", "rougeL"]
    expected = RougeScorer(names).score_multi(gold, said)
    assert rouge(said, tuple(gold)) == pytest.approx([expected[name].fmeasure for name in names])


def test_words_of_other_scripts_count_too():
    assert words("Füße, 3½ km_weit: 漢字です") == ["füße", "3½", "km", "weit", "漢", "字", "で", "す"]
    assert rouge("Все люди", ("все счастливые люди",))[0] == pytest.approx(4 / 5)
    assert rouge("我爱你", ("我不爱你",))[2] == pytest.approx(6 / 7)


def longest(first, second):
    """The table, filled row by row."""
    table = np.zeros((len(first) + 1, len(second) + 1), int)
    for i, one in enumerate(first, 1):
        for j, other in enumerate(second, 1):
            table[i, j] = table[i - 1, j - 1] + 1 if one == other else max(table[i - 1, j], table[i, j - 1])
    return table[-1, -1]


@settings(max_examples=100, deadline=None)
@given(st.text("abc", max_size=80), st.text("abcd", max_size=80))
def test_the_longest_common_subsequence_is_that_of_the_table(first, second):
    assert longest_common(first, second) == longest(first, second)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("The Sea of Japan (日本海) is a sea.", "13a"),
        ("", "13a"),
        ("12.5 %", "13a"),
        ("我爱北京天安门 OK", "zh"),
        ("これはペンです", "char"),
        ("ฉันรักเธอ", "char"),
        ("나는 학교에 갑니다", "13a"),
    ],
)
def test_scripts_without_blanks_are_cut_into_characters(text, cut):
    assert cut_for_bleu([(text, "other")]) == cut
