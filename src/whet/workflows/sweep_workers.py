"""Further processes of this machine that try settings of a sweep, and the end of waiting for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from whet.engine.events import Event
from whet.errors import Interrupted
from whet.folder import RunFolder
from whet.workflows.events import Said
from whet.workflows.sweep_study import Study

Process = subprocess.Popen[bytes]
POLL_SECONDS = 0.2
END_SECONDS = 60.0
"""A helper that was asked to stop saves its state in less."""


@contextlib.contextmanager
def helpers(folder: RunFolder, workers: int) -> Iterator[list[Process]]:
    """``workers`` - 1 processes that call ``whet sweep --resume`` as helpers; what they say goes to RUN/workers.

    Those that still work when the block ends are asked to stop, and save their state. As long as there are others,
    this process takes its share of the threads; afterwards, when it is alone, as many as before.
    """
    with threads_kept():
        threads = max(1, (os.cpu_count() or 1) // workers)
        if workers > 1:
            torch.set_num_threads(min(threads, torch.get_num_threads()))
        named = {"OMP_NUM_THREADS": str(threads)} if workers > 1 and "OMP_NUM_THREADS" not in os.environ else {}
        found = _started(folder, workers, named)
        try:
            yield found
        finally:
            _ended(found)


@contextlib.contextmanager
def threads_kept() -> Iterator[None]:
    """Whatever the block sets torch's threads to, afterwards there are as many as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _started(folder: RunFolder, workers: int, named: Mapping[str, str]) -> list[Process]:
    found: list[Process] = []
    for number in range(2, workers + 1):
        path = folder.path / "workers" / f"{number}.log"
        path.parent.mkdir(exist_ok=True)
        line = [sys.executable, "-m", "whet.cli.app", "sweep", "--resume", str(folder.path)]
        line += ["--helper", str(os.getpid())]
        with path.open("ab") as log:
            found.append(subprocess.Popen(line, stdout=log, stderr=log, env={**os.environ, **named}))
    return found


def _ended(found: Sequence[Process]) -> None:
    """Ask all to stop, and wait for them."""
    for one in found:
        if one.poll() is None:
            one.send_signal(signal.SIGTERM)
    for one in found:
        try:
            one.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()


def awaited(study: Study, others: Sequence[Process], should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Until every trial has ended, or one is under way that nobody is at, which then is to be gone on with.

    :raises Interrupted: asked to stop.
    """
    told = False
    while True:
        if should_stop():
            raise Interrupted
        running = [one for one in study.trials() if one.state == "running"]
        if not running and not are_at_work(others):
            return
        if running and not told:
            yield Said(f"waiting for {', '.join(f'trial {one.number}' for one in running)}")
            told = True
        if running and study.has_orphan():
            return
        time.sleep(POLL_SECONDS)


def await_end(others: Sequence[Process], should_stop: Callable[[], bool]) -> None:
    """Until all our helpers have ended.

    :raises Interrupted: asked to stop.
    """
    while are_at_work(others):
        if should_stop():
            raise Interrupted
        time.sleep(POLL_SECONDS)


def are_at_work(others: Sequence[Process]) -> bool:
    """Whether any of our helpers has not ended."""
    return any(one.poll() is None for one in others)


def is_orphan(parent: int) -> bool:
    """Whether the process that leads the sweep has gone."""
    return os.getppid() != parent
