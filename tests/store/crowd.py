"""Many real processes on one index at once; a program of its own, started by test_crowd.

Forked after the imports, so that they meet in the database and not in the import system.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import alembic.command  # noqa: F401  once here instead of once in each child

from whet.store.connection import make_engine, writing
from whet.store.index import open_store
from whet.store.location import locate
from whet.store.schema import migrate


def together(num_processes: int, work: Callable[[int], None]) -> int:
    """Run ``work(0)``, ``work(1)``, ... in processes that start at one signal; how many failed."""
    wait, start = os.pipe()
    children = []
    for number in range(num_processes):
        child = os.fork()
        if child == 0:
            os.close(start)
            os.read(wait, 1)  # returns when the parent closes its end
            try:
                work(number)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    os.close(wait)
    os.close(start)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


def main(url: str, what: str, folder: Path) -> int:
    def opening(_: int) -> None:
        with open_store(url) as store:
            assert store.runs() == []

    def recording(number: int) -> None:
        with open_store(url) as store:
            if number == 0:
                for _ in range(3):
                    assert store.rebuild([folder]).problems == ()
            for run in sorted(folder.glob(f"{number}-*")):
                store.record(run)
                store.record(folder / "shared")
                assert store.find(run.name).folder == run

    def killed(_: int) -> None:
        engine = make_engine(locate(url))
        with writing(engine) as connection:
            migrate(connection, "head")
            os.kill(os.getpid(), 9)

    if what == "kill":
        assert together(1, killed) == 1
        return together(1, opening)
    return together(10, opening if what == "open" else recording)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
