from __future__ import annotations

import numpy as np
import pytest

from whet.data import likeness
from whet.seeds import generator

TARGET = ["the patient was given aspirin", "patients were given a drug", "aspirin and the patient"]
POOL = ["the patient took aspirin", "stocks fell on monday", "", "the market and the bank", "a drug was given"]


def test_a_text_is_its_words_and_pairs_of_neighbours():
    buckets = likeness.Buckets()
    assert len(buckets.of("One two,  three")) == 4 + 3  # a comma is a word
    assert len(buckets.of("")) == 0 and len(buckets.of("word")) == 1
    assert buckets.of("Aspirin Helps").tolist() == buckets.of("aspirin helps").tolist()
    one, other = buckets.of("dog bites man"), buckets.of("man bites dog")
    assert set(one[:3]) == set(other[:3]) and set(one[3:]) != set(other[3:])
    assert buckets.of("x y").max() < likeness.BUCKETS


def test_buckets_do_not_depend_on_what_was_hashed_before():
    warm = likeness.Buckets()
    warm.counted(POOL)
    assert warm.of(TARGET[0]).tolist() == likeness.Buckets().of(TARGET[0]).tolist()


def test_weights_are_the_published_ratio_of_likelihoods_drawn_to_that_of_the_pool():
    buckets = likeness.Buckets()
    p, q = np.zeros(likeness.BUCKETS), np.zeros(likeness.BUCKETS)
    for table, texts in ((p, TARGET), (q, POOL)):
        for text in texts:
            for bucket in buckets.of(text):
                table[bucket] += 1
    p, q = p / p.sum(), q / q.sum()
    sums = [sum(np.log(p[b] + 1e-8) - np.log(q[b] + 1e-8) for b in buckets.of(text)) for text in POOL]
    sizes = np.asarray([len(buckets.of(text)) for text in POOL])
    ratios = likeness.log_ratios(buckets.counted(TARGET), buckets.counted(POOL))
    found = likeness.log_weights(POOL, ratios, buckets)
    length, usual = sizes.mean(), np.sum(sums) / sizes.sum()
    drawn = (np.asarray(sums) + length * usual) / (sizes + length) * length
    assert np.allclose(found - found[2], 2 * (drawn - drawn[2])), "at the published scale"
    assert found[2] == pytest.approx(usual * length) and found[0] > found[1]


def test_of_texts_of_one_length_the_weight_is_the_sum():
    buckets = likeness.Buckets()
    pool = ["the patient took aspirin", "stocks fell on monday"]
    ratios = likeness.log_ratios(buckets.counted(TARGET), buckets.counted(pool))
    assert np.allclose(likeness.log_weights(pool, ratios, buckets), [ratios[buckets.of(text)].sum() for text in pool])


def test_as_published_the_weight_is_the_sum_however_long_a_text_is():
    buckets = likeness.Buckets()
    ratios = likeness.log_ratios(buckets.counted(TARGET), buckets.counted(POOL))
    found = likeness.log_weights(POOL, ratios, buckets, even=False)
    assert np.allclose(found, [ratios[buckets.of(text)].sum() for text in POOL])


def test_a_text_said_twice_weighs_no_less_for_being_long():
    buckets = likeness.Buckets()
    pool = ["the patient took aspirin", "the patient took aspirin " * 20, "stocks fell on monday " * 20]
    ratios = likeness.log_ratios(buckets.counted(TARGET), buckets.counted(["stocks fell on monday"] * 9 + pool))
    short, long, other = likeness.log_weights(pool, ratios, buckets)
    assert other < min(short, long) and abs(long - short) < abs(long - other)


def test_where_nothing_is_to_be_chosen_short_texts_are_not():
    """Target and pool of one source: chosen ones are about as long as the pool's, whose mean is above its median."""
    draw, share = generator(0, "lengths"), 1 / np.arange(1, 2001)

    def texts(count: int) -> list[str]:
        sizes = np.maximum(2, np.exp(draw.normal(np.log(30), 1.0, count))).astype(int)
        return [" ".join(f"w{word}" for word in draw.choice(2000, size, p=share / share.sum())) for size in sizes]

    pool, target, buckets = texts(1500), texts(150), likeness.Buckets()
    ratios = likeness.log_ratios(buckets.counted(target), buckets.counted(pool))
    chosen = likeness.drawn(likeness.log_weights(pool, ratios, buckets), 150, 0)
    before, after = likeness.median_words(pool), likeness.median_words([pool[row] for row in chosen])
    assert 0.7 < after / before < 1.7
    assert likeness.median_words(["one, two", ""]) == 1.5


def test_rows_are_drawn_in_proportion_to_their_weights():
    weights = np.log(np.asarray([8.0, 4.0, 2.0, 1.0, 1.0]))
    first = np.bincount([int(likeness.drawn(weights, 1, seed)[0]) for seed in range(4000)], minlength=5) / 4000
    assert np.allclose(first, np.exp(weights) / np.exp(weights).sum(), atol=0.03)
    assert likeness.drawn(weights, 5, 1).tolist() == [0, 1, 2, 3, 4]
    assert likeness.drawn(weights, 3, 9).tolist() == likeness.drawn(weights, 3, 9).tolist()


def test_the_highest_come_in_their_order_and_the_first_of_equals():
    assert likeness.highest(np.asarray([0.5, 2.0, 0.5, 3.0]), 3).tolist() == [0, 1, 3]


def test_the_distance_falls_where_rows_are_chosen_that_are_alike():
    buckets = likeness.Buckets()
    target = buckets.counted(TARGET)
    alike, all_ = buckets.counted([POOL[0], POOL[4]]), buckets.counted(POOL)
    assert likeness.divergence(target, alike) < likeness.divergence(target, all_)
    assert likeness.divergence(target, target) == pytest.approx(0.0)


def test_nearness_is_the_mean_cosine_to_the_nearest():
    draw = generator(0, "vectors")
    texts, target = (draw.normal(size=(n, 6)).astype(np.float32) for n in (70, 9))
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    wanted = np.sort(texts @ target.T, axis=1)[:, -3:].mean(1)
    assert np.allclose(likeness.nearness(texts, target, 3, block=16), wanted, atol=1e-6)
    assert np.allclose(likeness.nearness(texts, target, 50), (texts @ target.T).mean(1), atol=1e-6)
