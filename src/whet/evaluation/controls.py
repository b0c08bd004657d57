"""A training before the training, held against going without: differences over seeds and rows, by Holm's order.

Seed i of both sides begins alike, so that seeds are drawn in pairs. A difference counts where its interval at the level
of its turn leaves out zero: of K that are open, one that does so at level 1 - alpha / K is taken, then K - 1 are left
(Holm 1979, Scand. J. Stat. 6:65, by intervals in the place of p).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from whet.evaluation.measures import lower_is_better
from whet.evaluation.two_level import TwoLevel, two_level_difference

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Said = Literal["better", "worse", "cannot tell"]
FEWEST_SEEDS = 2
FEW_SEEDS = 5
"""Below it the interval rests on little, and it is said."""


@dataclass(frozen=True, slots=True)
class Held:
    """Adapted minus one kind of control.

    - ``seeds``: that came to their end on both sides; ``failed``: those that did not, on either;
    - ``low``, ``high``: 95 % interval over seeds and rows; ``each``: the difference of each seed on all rows.
    """

    kind: str
    said: Said
    seeds: int
    failed: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    each: tuple[float, ...] = ()
    of_seeds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def held_against(
    adapted: Mapping[int, Predictions],
    controls: Mapping[str, Mapping[int, Predictions]],
    metric: str,
    *,
    seed: int,
    wanted: int,
    alpha: float,
    num_resamples: int,
) -> list[Held]:
    """Each kind of control, in the order given.

    :param adapted: test predictions by the number of their seed; controls: the same by kind.
    :param wanted: seeds that were asked for.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    sides: dict[str, tuple[list[Predictions], list[Predictions]]] = {}
    for kind, runs in controls.items():
        both = sorted(adapted.keys() & runs.keys())
        sides[kind] = [adapted[one] for one in both], [runs[one] for one in both]

    def difference(kind: str, level: float) -> TwoLevel:
        ours, theirs = sides[kind]
        return two_level_difference(
            ours, theirs, metric, seed=seed, paired=True, num_resamples=num_resamples, level=level
        )

    able = [kind for kind, (ours, _) in sides.items() if len(ours) >= FEWEST_SEEDS]
    certain = _certain(able, difference, alpha)
    found = []
    for kind, (ours, _) in sides.items():
        failed = wanted - len(ours)
        if kind not in able:
            found.append(Held(kind, "cannot tell", len(ours), failed))
            continue
        one = difference(kind, 0.95)
        up = (one.value < 0) == lower_is_better(metric)
        said: Said = "cannot tell" if kind not in certain else "better" if up else "worse"
        found.append(Held(kind, said, len(ours), failed, one.value, one.low, one.high, one.each, one.of_seeds))
    return found


def _certain(kinds: Sequence[str], difference: Any, alpha: float) -> set[str]:
    """Those whose difference is none of chance."""
    left, certain = list(kinds), set[str]()
    while left:
        level = 1 - alpha / len(left)
        sure = [kind for kind in left if not (found := difference(kind, level)).low <= 0 <= found.high]
        if not sure:
            break
        certain.add(sure[0])
        left.remove(sure[0])
    return certain
