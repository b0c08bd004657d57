"""whet sharpens a pretrained language model on your task and proves whether it helped.

    import whet

    run = whet.fit("tickets.csv")
    print(run.verdict["reason"])
    print(run.predict(["my parcel never came"])[0].label)

The floors of the house. A room imports only from floors below its own; rooms on one floor do not
know each other. ``tests/test_floors.py`` holds it.

    10 cli                                the door for people
    9  workflows                          fit, evaluate, predict, compare: the only room that knows everyone
    8  baselines  report                  what must be beaten · the page for people
    7  inference  prompting               a trained model in use · one that is asked in words
    6  tasks  evaluation                  one file a task · predictions > numbers > verdict
    5  generation  objectives             a language model writes · what is minimised beside a task's loss
    4  models                             a model ready to train, and its files
    3  data  batches  engine              rows · tensors · the loop
    2  recipe  store  kernels  folder     what is wanted · index of runs · mathematics · a run's files
    1  findings  registry  files  seeds  threads
    0  errors

kernels, batches, engine, models, generation, objectives, tasks, inference and prompting may import torch;
the others may not, and the doors load it only when a command needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whet.errors import Interrupted, Problem, UserError

if TYPE_CHECKING:
    from whet.workflows.library import Run, compare, fit, gate, open_run, resume, sweep

__all__ = [
    "Interrupted",
    "Problem",
    "Run",
    "UserError",
    "compare",
    "fit",
    "gate",
    "open_run",
    "resume",
    "sweep",
]

_LATER = ("Run", "compare", "fit", "gate", "open_run", "resume", "sweep")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from whet.threads import settle

        settle()  # what follows loads torch
        from whet.workflows import library

        return getattr(library, name)
    raise AttributeError(f"module 'whet' has no attribute {name!r}")
