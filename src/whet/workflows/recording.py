"""The state of a run, a series or a search on disk, kept true to what happens; its entry in the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from whet.errors import Interrupted
from whet.files import read_json, sweep, write_json, write_text
from whet.folder import FAILED, FINISHED, INTERRUPTED, RUNNING, RunFolder, now
from whet.recipe import Recipe, dump
from whet.store.index import note_run
from whet.workflows import environment


@contextlib.contextmanager
def recorded(
    recipe: Recipe,
    folder: RunFolder,
    undone: Callable[[BaseException], bool],
    ended: Callable[[], Mapping[str, Any]],
) -> Iterator[None]:
    """Tidy up behind a process that was killed, keep the recipe, and note how it ends.

    :param undone: on an error, leaves nothing behind where the folder holds nothing worth it, and answers whether.
    :param ended: closes what came to its end; what the state says beside that.
    """
    sweep(folder.path)
    if not folder.recipe.exists():
        write_text(folder.recipe, dump(recipe))
    folder.write_state(RUNNING)
    try:
        yield
    except (Interrupted, KeyboardInterrupt, GeneratorExit):
        folder.write_state(INTERRUPTED)
        raise
    except BaseException as error:
        if not undone(error):
            with contextlib.suppress(Exception):
                folder.write_state(FAILED)
        raise
    else:
        folder.write_state(FINISHED, finished_at=now(), **ended())
    finally:
        if folder.path.exists():
            note_run(folder.path)


def on_this_machine(folder: RunFolder) -> bool:
    """Take as many threads as the folder began with, on which sums depend bit for bit; whether it begins here."""
    if folder.environment.exists():
        torch.set_num_threads(int(read_json(folder.environment)["threads"]))
        return False
    write_json(folder.environment, environment.describe())
    return True
