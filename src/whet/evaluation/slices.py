"""Parts of the rows in which two models differ otherwise than elsewhere: found on one half, confirmed on the other.

Whoever looks at a hundred parts of a test set finds some in which a model has got worse, also where nothing has: that
is what chance does among a hundred. So the rows are cut in two. On the first half every part is looked at and the few
that stand out most are kept, with the direction in which they do; on the second half, which had no say in that, only
those few are tested, each in its direction, with Holm's correction. Where nothing differs, something is confirmed at
most once in twenty times (:data:`ALPHA`), however many parts were looked at.

What is compared is the *gain* of a row: by how much less wrong the new model decides it than the old one. A part
stands out where its mean gain is another than that of the rest of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.kinds import kind_of
from whet.evaluation.measures import MEASURES
from whet.evaluation.paired import holm
from whet.evaluation.sums import Floats
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions, SpanPredictions

Masks = Mapping[str, NDArray[np.bool_]]

ALPHA = 0.05
FEWEST = 15
"""Rows that a part, and the rest, must have in either half."""
FEWEST_ROWS = 4 * FEWEST
FEWEST_GROUPS = 10
"""Groups that a part, and the rest, must have in either half where rows come in groups: each counts as one."""
MOST_KEPT = 6
"""Parts that go on to the second half: more would make Holm's correction dear."""
STANDS_OUT = 2.0
"""How many standard errors the gain of a part must lie from that of the rest in the first half."""
SAME = 0.7
"""Two parts that share more than this of their rows (intersection by union) are one; the clearer one is kept."""
ROUNDS = 1999
NOTHING = 1e-7
"""A standard error that is rounding alone, where the largest gain is 1 from the mean: one row of a million is 1e-6."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows by what goes on after "rows ...": gains inside and in the rest, over both halves.

    ``p`` and ``p_holm`` are those of the second half alone; ``first`` and ``second`` the difference between inside and
    rest in each half. A gain above 0 is for the new model.
    """

    rows: str
    num_rows: int
    inside: float
    rest: float
    first: float
    second: float
    p: float
    p_holm: float
    confirmed: bool

    @property
    def better(self) -> bool:
        """Whether the new model gains more here than elsewhere."""
        return self.first > 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Slices:
    """What became of the search: the parts that stood out in the first half, clearest first.

    ``why_not``: why nothing was looked for; "" where it was.
    """

    num_looked_at: int
    num_rows: tuple[int, int]
    found: tuple[Slice, ...]
    why_not: str = ""

    @property
    def confirmed(self) -> tuple[Slice, ...]:
        """Those that the second half confirms."""
        return tuple(one for one in self.found if one.confirmed)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "looked_at": self.num_looked_at,
            "rows_of_halves": list(self.num_rows),
            "found": [one.to_json() for one in self.found],
            "why_not": self.why_not,
        }


def gains(new: Predictions, old: Predictions, metric: str) -> Floats:
    """(n,) by how much less wrong the new model decides each row; both on the same rows in the same order.

    What a kind counts as mistakes of a row; of spans by how many there are, so that long rows do not count for more.
    """
    return np.asarray(_wrong(old, metric) - _wrong(new, metric), dtype=np.float64)


def _wrong(predictions: Predictions, metric: str) -> Floats:
    found = kind_of(predictions).mistakes(predictions, metric)
    if predictions.kind != "spans":
        return found
    spans = cast("SpanPredictions", predictions)
    assert spans.gold is not None
    return np.asarray(found / np.maximum(1, np.diff(spans.gold.offsets) + np.diff(spans.said.offsets)))  # 1 - F1


def halves(num_rows: int, groups: NDArray[Any] | None, seed: int) -> NDArray[np.bool_]:
    """(n,) which rows are of the first half; those of one group stay together."""
    names = np.arange(num_rows) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    rng = generator(seed, "halves", num_rows)
    order = rng.permutation(int(names.max(initial=-1)) + 1)
    counts = np.bincount(names, minlength=len(order))[order]
    taken = np.zeros(len(order), dtype=bool)
    taken[order[np.cumsum(counts) - counts / 2 <= num_rows / 2]] = True
    return taken[names]


def search(
    gain: Floats,
    parts: Masks | Callable[[NDArray[np.bool_]], Masks],
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    alpha: float = ALPHA,
) -> Slices:
    """Find parts on the first half of the rows and confirm them on the second.

    :param gain: (n,) as :func:`gains`.
    :param parts: (n,) masks by name, or what makes them of the (n,) mask of the first half, for parts that are
        themselves looked for, such as frequent words. They must not depend on what any model said.
    :param groups: (n,) what rows have in common; whole groups go into one half, and count as one.
    """
    n = len(gain)
    first = halves(n, groups, seed)
    sizes = (int(first.sum()), int((~first).sum()))
    if why := _too_few(n, sizes, first, groups):
        return Slices(0, sizes, (), why)
    if not gain.any():
        return Slices(0, sizes, (), "Both models decide every row equally well.")
    masks = parts(first) if callable(parts) else parts
    large = {name: rows for name, rows in masks.items() if _large(rows, first, groups)}
    kept = _standing_out(gain, large, first, groups)
    tested = [_p(gain[~first], rows[~first], None if groups is None else groups[~first], sign, seed, name)
              for name, rows, sign in kept]  # fmt: skip
    found = tuple(
        _slice(gain, name, rows, first, p, corrected, alpha)
        for (name, rows, _), p, corrected in zip(kept, tested, holm(tested), strict=True)
    )
    return Slices(len(large), sizes, found)


def _too_few(n: int, sizes: tuple[int, int], first: NDArray[np.bool_], groups: NDArray[Any] | None) -> str:
    """Why no part can be large enough; "" where one can."""
    if groups is None:
        few = n < FEWEST_ROWS
        return f"{n:,} rows are too few to look for parts of them (at least {FEWEST_ROWS})." if few else ""
    if n >= FEWEST_ROWS and min(sizes) >= 2 * FEWEST and _fewest([first, ~first], groups) >= FEWEST_GROUPS:
        return ""
    return (
        f"{n:,} rows of {len(np.unique(groups)):,} groups are too few to look for parts of them (at least "
        f"{FEWEST_ROWS} rows, and {FEWEST_GROUPS} groups in each half of them)."
    )


def _large(rows: NDArray[np.bool_], first: NDArray[np.bool_], groups: NDArray[Any] | None) -> bool:
    pieces = [half & here for half in (first, ~first) for here in (rows, ~rows)]
    if min(int(piece.sum()) for piece in pieces) < FEWEST:
        return False
    return groups is None or _fewest(pieces, groups) >= FEWEST_GROUPS


def _fewest(pieces: Sequence[NDArray[np.bool_]], groups: NDArray[Any]) -> int:
    return min(len(np.unique(groups[piece])) for piece in pieces)


def _standing_out(
    gain: Floats, parts: Masks, first: NDArray[np.bool_], groups: NDArray[Any] | None
) -> list[tuple[str, NDArray[np.bool_], int]]:
    """The clearest parts of the first half, no two of them nearly the same, with their direction."""
    some = None if groups is None else groups[first]
    scores = {name: _studentised(gain[first], rows[first][None], some)[0] for name, rows in parts.items()}
    order = sorted((name for name in scores if abs(scores[name]) >= STANDS_OUT), key=lambda name: -abs(scores[name]))
    kept: list[tuple[str, NDArray[np.bool_], int]] = []
    for name in order:
        if len(kept) < MOST_KEPT and not any(_alike(parts[name][first], rows[first]) for _, rows, _ in kept):
            kept.append((name, parts[name], 1 if scores[name] > 0 else -1))
    return kept


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    """Whether two parts are much the same, or one much the same as all that the other is not: as clear, as rest."""
    return any(float((one & some).sum()) > SAME * float((one | some).sum()) for some in (other, ~other))


def _studentised(gain: Floats, inside: NDArray[np.bool_], groups: NDArray[Any] | None) -> Floats:
    """(R,) the difference of the mean gains by its standard error, of R ways to say which rows are inside.

    Where gains are one number inside and another outside there is no error left: the difference is infinitely clear.
    NaN where a side has fewer than two groups.

    :param inside: (R, n) masks.
    :param groups: rows of one group count as one piece of evidence.
    """
    gain = _levelled(gain)
    difference, variance = _by_rows(gain, inside) if groups is None else _by_groups(gain, inside, groups)
    error = np.sqrt(variance)
    clear = np.where(np.abs(difference) > NOTHING, np.copysign(np.inf, difference), 0.0)
    found = np.divide(difference, error, out=clear, where=error > NOTHING)
    return np.asarray(np.where(np.isnan(error), np.nan, found))


def _levelled(gain: Floats) -> Floats:
    """Gains with mean 0 of which the largest is 1 from it, so that rounding can be told from a difference."""
    apart = gain - gain.mean()
    widest = float(np.abs(apart).max(initial=0.0))
    small = NOTHING * float(np.abs(gain).max(initial=0.0))
    return np.asarray(apart / widest if widest > small else np.zeros_like(apart))


def _by_rows(gain: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(R,) differences of the means and their variances, every row by itself (Welch)."""
    part = inside.astype(np.float64)
    m1 = part.sum(axis=1)
    m0 = part.shape[1] - m1
    mean1, mean0 = (part @ gain) / m1, ((1 - part) @ gain) / m0
    square = gain**2
    var1 = np.maximum((part @ square) / m1 - mean1**2, 0.0) / np.maximum(m1 - 1, 1)
    var0 = np.maximum(((1 - part) @ square) / m0 - mean0**2, 0.0) / np.maximum(m0 - 1, 1)
    return mean1 - mean0, var1 + var0


def _by_groups(gain: Floats, inside: NDArray[np.bool_], groups: NDArray[Any]) -> tuple[Floats, Floats]:
    """The same with rows that come in groups: how the difference moves as each group is left out (the jackknife).

    The sandwich, which does not leave it out, takes a group that makes up most of a side for one without error. A group
    with rows on both sides moves both means at once.
    """
    index = np.unique(groups, return_inverse=True)[1].ravel()
    order = np.argsort(index, kind="stable")
    gain, inside = gain[order], inside[:, order]
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    mean1, moved1 = _left_out(gain, inside, starts)
    mean0, moved0 = _left_out(gain, ~inside, starts)
    return mean1 - mean0, np.asarray(((moved1 - moved0) ** 2).sum(axis=1))


def _left_out(gain: Floats, rows: NDArray[np.bool_], starts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(R,) the means of the rows in R masks, and (R, G) how far each moves without one of G groups.

    :param gain: (n,) ordered by group, as ``rows``; each group begins at one of ``starts``.
    """
    part = rows.astype(np.float64)
    counts, sums = (np.add.reduceat(one, starts, axis=1) for one in (part, part * gain))
    total = np.maximum(counts.sum(axis=1), 1)[:, None]
    mean = sums.sum(axis=1, keepdims=True) / total
    share, number = counts / total, (counts > 0).sum(axis=1, keepdims=True)
    pull = (sums - mean * counts) / total / np.where(share < 1, 1 - share, 1)
    scale = np.where(number > 1, np.sqrt((number - 1) / np.maximum(number, 1)), np.nan)
    return mean[:, 0], np.asarray(pull * scale)


def _p(gain: Floats, inside: NDArray[np.bool_], groups: NDArray[Any] | None, sign: int, seed: int, name: str) -> float:
    """One-sided p of the second half, in the direction that the first half found.

    Which rows are inside is drawn anew, and the studentised difference counted that is as large: exact where gains
    inside and outside are alike, and right on large samples where they only have one mean (Janssen 1997, Stat. Probab.
    Lett. 36:9). Where rows come in groups, whole groups change places: Student's distribution with as many degrees of
    freedom as there are groups inside confirms far too often where few groups changed at all, since a part without one
    of them then looks as if it had no error.
    """
    observed = sign * float(_studentised(gain, inside[None], groups)[0])
    rng = generator(seed, "confirm", name)
    count, n, left = 0, len(gain), ROUNDS
    while left:
        some = min(left, max(1, 2_000_000 // n))
        drawn = _drawn(rng, inside, groups, some)
        count += int((~(sign * _studentised(gain, drawn, groups) < observed - 1e-9)).sum())  # NaN counts as large
        left -= some
    return (1 + count) / (ROUNDS + 1)


def _drawn(
    rng: np.random.Generator, inside: NDArray[np.bool_], groups: NDArray[Any] | None, some: int
) -> NDArray[np.bool_]:
    """(some, n) other ways to say which rows are inside.

    Without groups as many rows. With groups each gets the share of another one that is inside, as a run of its rows
    that begins anywhere and goes round: neighbours in a group are often alike.
    """
    if groups is None:
        return rng.permuted(np.broadcast_to(inside, (some, len(inside))), axis=1)
    index = np.unique(groups, return_inverse=True)[1].ravel()
    sizes = np.bincount(index)
    order = np.argsort(index, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shares = rng.permuted(np.broadcast_to(np.bincount(index, weights=inside) / sizes, (some, len(sizes))), axis=1)
    counts = (shares * sizes + rng.random(shares.shape)).astype(np.int64)  # a part of a row is one as often as that
    begins = rng.integers(0, sizes, shares.shape)
    return np.asarray((place - begins[:, index]) % sizes[index] < counts[:, index])


def _slice(
    gain: Floats,
    name: str,
    rows: NDArray[np.bool_],
    first: NDArray[np.bool_],
    p: float,
    corrected: float,
    alpha: float,
) -> Slice:
    apart = [float(gain[half & rows].mean() - gain[half & ~rows].mean()) for half in (first, ~first)]
    inside, rest = float(gain[rows].mean()), float(gain[~rows].mean())
    return Slice(name, int(rows.sum()), inside, rest, apart[0], apart[1], p, corrected, corrected < alpha)


def named_parts(predictions: Predictions, one: str) -> dict[str, NDArray[np.bool_]]:
    """The parts that a kind knows (classes, types, sorts of question), by what goes on after "rows ...".

    :param one: what a part is called.
    """
    return {f"of {one} {name!r}": rows for name, rows in kind_of(predictions).slices(predictions).items()}


UNITS = {
    "spans": "points of F1",
    "answers": "points of F1",
    "values": "nearer to the truth",
    "ranks": "points of nDCG@10",
}
"""What a mean gain is in, by kind, where rows are not simply right or wrong."""


def gain_words(value: float, kind: str, metric: str, several: bool = False) -> str:
    """A mean gain with its sign and unit: ``-4.2 points``.

    :param several: whether a row may carry several labels.
    """
    unit = "fewer wrong labels a row" if several else UNITS.get(kind, "points")
    if kind == "texts":
        unit = f"by {MEASURES[metric].words}" if MEASURES[metric].shown == "plain" else "points"
    return f"{100 * value:+.1f} {unit}" if unit.startswith("points") else f"{value:+.3f} {unit}"


def in_words(found: Slices, new: str, old: str, shown: Callable[[float], str]) -> Sequence[str]:
    """What was found, in sentences for people who have never met such a search.

    :param shown: a mean gain as it is written, such as :func:`gain_words`.
    """
    if found.why_not:
        return [found.why_not]
    if not found.num_looked_at:
        return ["No part of the rows is large enough in both halves of them to be looked at."]
    looked = (
        f"{found.num_looked_at:,} parts of the rows (labels, lengths, languages, words and the like) were looked at on "
        f"one half of them ({found.num_rows[0]:,} rows)"
    )
    if not found.found:
        return [f"{looked}: in none do the models differ otherwise than in the rest."]
    stood = "1 stood out and was" if len(found.found) == 1 else f"{len(found.found)} stood out and were"
    told = f"{looked}; {stood} tested on the other half ({found.num_rows[1]:,} rows)"
    confirmed = found.confirmed
    if not confirmed:
        return [f"{told}: none was confirmed there, so that chance is explanation enough."]
    sentences = [f"{told}: {len(confirmed)} {'was' if len(confirmed) == 1 else 'were'} confirmed."]
    for one in confirmed:
        how = "more" if one.better else "less"
        sentences.append(
            f"On the {one.num_rows:,} rows {one.rows}, {new} gains surely {how} over {old} than on the rest: "
            f"{shown(one.inside)} against {shown(one.rest)}."
        )
    return sentences
