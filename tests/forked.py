"""The command in a process of its own, forked from one that has imported everything: half a second, not five.

Such a process can be stopped, killed, and given a mistake of the machine (a patch) of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

PRELOADED = [
    "whet.cli.app",
    "whet.cli.live",
    "whet.workflows.fit",
    "transformers.models.bert.modeling_bert",
    "sklearn.linear_model",
    "sklearn.feature_extraction.text",
    "scipy.stats",
    "scipy.optimize",
    "statsmodels.stats.multitest",
    "altair",
    "vl_convert",
    "peft",
    "pyarrow.parquet",
    "pyarrow.csv",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "rich.table",
    "jinja2",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)


def warm_up() -> None:
    """Begin to import, while the caller does something else."""
    forkserver.ensure_running()


LONGEST = 120.0
"""Seconds after which a process is taken for stuck."""

Patch = Callable[[], None]


@dataclass
class Child:
    """A process that runs one command, with what it wrote."""

    process: ForkServerProcess
    folder: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    def code(self) -> int:
        """Wait for the exit code; the number of the signal below zero for a killed process."""
        self.process.join(LONGEST)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {LONGEST} s\n{self.out}\n{self.err}")
        return self.process.exitcode

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until ``condition`` holds; the process must be alive then."""
        end = time.monotonic() + LONGEST
        while not condition():
            assert self.process.is_alive(), self.out + self.err
            assert time.monotonic() < end, self.out + self.err
            time.sleep(0.01)


def start(words: Sequence[str], folder: Path, patches: Sequence[Patch] = ()) -> Child:
    """Begin ``whet WORDS`` after ``patches``; ``folder`` takes its output."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {name: value for name, value in os.environ.items() if name.startswith("WHET_")}
    process = _CONTEXT.Process(target=_run, args=(list(words), folder, list(patches), known))
    process.start()
    return Child(process, folder)


def run(words: Sequence[str], folder: Path, patches: Sequence[Patch] = ()) -> Child:
    """``whet WORDS`` to its end."""
    child = start(words, folder, patches)
    child.code()
    return child


def _run(words: list[str], folder: Path, patches: list[Any], known: dict[str, str]) -> None:
    os.environ.update(known)
    for number, name in ((1, "stdout"), (2, "stderr")):
        with (folder / name).open("wb", buffering=0) as file:
            os.dup2(file.fileno(), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    import torch

    from whet.cli.app import main

    torch.set_num_threads(1)
    for patch in patches:
        patch()
    sys.argv = ["whet", *words]
    main()
