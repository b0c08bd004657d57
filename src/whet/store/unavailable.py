"""The one error of this room that a run survives, and the remedies that it names."""

from __future__ import annotations

from whet.errors import UserError


class StoreUnavailable(UserError):
    """The index cannot be used just now. Run folders are not touched by that: a run may go on."""

    @property
    def is_damage(self) -> bool:
        """Whether the index itself is broken, so that only making it anew helps."""
        return any(problem.code == "S003" for problem in self.problems)


REBUILD = "Run 'whet runs --rebuild': it moves the damaged file aside and reads the run folders again."
REBUILD_SERVER = "Drop the tables runs, scores, replies and alembic_version, then run 'whet runs --rebuild'."
ELSEWHERE = "Set WHET_STORE to another place; no run folder is affected."
