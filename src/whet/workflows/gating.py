"""``whet gate``: may a new run take the place of an old one, by limits on what that costs?"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError
from whet.evaluation import limit_checks
from whet.evaluation.kinds import is_share_of_all, primary_of
from whet.evaluation.limits import Outcome, holds, state_of_all
from whet.evaluation.paired import compare
from whet.evaluation.rows import same_rows
from whet.files import read_json
from whet.workflows.comparing import seen_in
from whet.workflows.latency import Timed, in_turn
from whet.workflows.limits_file import NAMES, Wanted
from whet.workflows.rows import Tell
from whet.workflows.two_runs import ShippedRun, opened, rows_of


def gate(path: Path, against: Path, wanted: Wanted, tell: Tell, seed: int = 0) -> dict[str, Any]:
    """Hold the model that ``path`` ships against the one that ``against`` ships, limit by limit.

    Returned are ``state`` ("passed", "failed" or "cannot_tell"), ``go_on`` (whether nothing stops the change) and
    ``outcomes``, each with its figure, interval, limit and a sentence.

    :raises UserError: V123, no limit is left; what :func:`whet.workflows.two_runs.opened` and
        :func:`whet.evaluation.rows.same_rows` raise; G001 and V113, a metric that cannot measure them.
    """
    limits = wanted.limits
    if all(getattr(limits, name) is None for name in NAMES):
        raise UserError(Problem("V123", "limits", "every limit is null: nothing would be looked at.", "Set one."))
    old, new = opened([against, path])
    first, second = same_rows(new.predictions, old.predictions)
    metric = wanted.metric or primary_of([first, second])
    found = compare(first, second, metric, seed=seed)
    rows = rows_of([new, old])
    shared = first.groups is None and is_share_of_all(first, metric)
    outcomes = limit_checks.quality(found, limits, shared)
    seen = {} if rows is None else seen_in(rows, first, new.folder)
    outcomes += limit_checks.flips(first, second, limits, metric, seen, wanted.asked)
    outcomes += limit_checks.calibration(first, second, limits, wanted.asked, seed=seed)
    outcomes += _forgetting(new, old, wanted)
    timed = Timed() if limits.max_slower is None else in_turn(new, old, rows, seed, tell)
    outcomes += limit_checks.latency(timed.new, timed.old, timed.num_rows, timed.why_not, limits, wanted.asked)
    return _told(new, old, metric, len(first), outcomes, wanted)


def _forgetting(new: ShippedRun, old: ShippedRun, wanted: Wanted) -> list[Outcome]:
    found = [_forgotten(run) for run in (new, old)]
    own = read_json(new.folder.forgetting).get("limit") if found[0] is not None else None
    return limit_checks.forgetting(found[0], found[1], own, wanted.limits, wanted.asked)


def _forgotten(run: ShippedRun) -> dict[str, Any] | None:
    if not run.folder.forgetting.exists():
        return None
    known: dict[str, Any] = read_json(run.folder.forgetting)["models"]
    return known.get(run.ships)


def _told(
    new: ShippedRun, old: ShippedRun, metric: str, num_rows: int, outcomes: Collection[Outcome], wanted: Wanted
) -> dict[str, Any]:
    state = state_of_all(list(outcomes))
    return {
        "run": str(new.folder.path),
        "against": str(old.folder.path),
        "models": {"run": new.ships, "against": old.ships},
        "metric": metric,
        "num_test_rows": num_rows,
        "state": state,
        "strict": wanted.strict,
        "go_on": holds(state, wanted.strict),
        "outcomes": [one.to_json() for one in outcomes],
    }
