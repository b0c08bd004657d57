from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whet import seeds

names = st.lists(st.text(alphabet="abc xyz", min_size=1, max_size=6) | st.integers(0, 99), min_size=1, max_size=3)


def test_streams_stay_what_they_were():
    """Written down: a change here changes every run that anybody has made."""
    assert seeds.derive(0, "order", 0) == 3955691223199900983
    assert seeds.generator(0, "order", 0).integers(1 << 40) == 730521240814
    code = "from whet import seeds; print(seeds.derive(7, 'order', 3), seeds.generator(7, 'x').integers(1 << 40))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == [str(seeds.derive(7, "order", 3)), str(seeds.generator(7, "x").integers(1 << 40))]


@given(st.integers(0, 2**31 - 1), names)
def test_a_seed_fits_63_bits_and_depends_on_nothing_else(seed: int, path: list[str | int]):
    found = seeds.derive(seed, *path)
    assert 0 <= found < 2**63
    np.random.default_rng().random(3)
    assert seeds.derive(seed, *path) == found


@given(st.integers(0, 2**31 - 1), names, names)
def test_other_names_and_seeds_are_other_streams(seed: int, one: list[str | int], other: list[str | int]):
    if [str(n) for n in one] != [str(n) for n in other]:
        assert seeds.derive(seed, *one) != seeds.derive(seed, *other)
    assert seeds.derive(seed, *one) != seeds.derive(seed + 1, *one)


def test_drawing_more_here_moves_nothing_there():
    first = seeds.generator(1, "a")
    first.random(1000)
    assert seeds.generator(1, "b").random() == seeds.generator(1, "b").random()
    assert seeds.generator(1, "a").random() != first.random()
