"""Who is asked in words: the base of a run, another model on this machine, or an endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Prompted
from whet.data.predictions import Predictions
from whet.errors import Problem, UserError
from whet.prompting.speaker import Speaker
from whet.recipe.resolve import baselines
from whet.recipe.schema import PROMPTED
from whet.tasks.primed import primed
from whet.tasks.text_generation import TextGeneration

if TYPE_CHECKING:
    from whet.recipe.schema import JudgeRecipe, PromptingRecipe
    from whet.workflows.running import Running

OWN = "auto"
"""``prompting.base`` where the base of the run is asked."""


def asks_own(run: Running) -> bool:
    """Whether the run's own base is asked, rather than another model."""
    wanted = run.recipe.prompting
    return wanted.endpoint is None and wanted.base == OWN


def speaker(run: Running) -> Speaker:
    """Who is asked by the baselines of prompting.

    :raises UserError: P030, the base of the run is no language model; as :mod:`whet.prompting.endpoint` and
        :func:`whet.prompting.local.open_local`.
    """
    wanted = run.recipe.prompting
    if wanted.endpoint is not None:
        return endpoint(wanted, wanted.base)
    from whet.prompting.local import Local, open_local

    if wanted.base != OWN:
        return open_local(wanted.base)
    model = run.language_model
    template = str(run.options.get("chat.template", OWN))
    return Local(model.network, run.tokenizer, "the base itself", None if template == OWN else template)


def endpoint(wanted: PromptingRecipe | JudgeRecipe, model: str) -> Speaker:
    """A model behind an OpenAI-compatible endpoint, as the recipe describes it."""
    from whet.prompting.endpoint import Endpoint

    return Endpoint.of(wanted, model)


def prompted(run: Running) -> Prompted | None:
    """Answers of the run's own base to rows with training rows before them; None where it cannot give any.

    The function takes the name of the model, a split, and of each of its rows the numbers of the training rows
    that are shown; it gives the answers, and how many rows each was shown in the end.
    """
    task = run.task
    if not asks_own(run) or not isinstance(task, TextGeneration) or run.guesses != "next":
        return None

    def answer(name: str, split: str, shown: Sequence[Sequence[int]]) -> tuple[Predictions, NDArray[np.int64]]:
        examples, plain = run.examples(split), run.encoded[split]
        encoded, left = primed(task, run.tokenizer, examples, run.examples("train"), shown, plain, run.limit)
        tell = run.telling(f"{name} on {split}", len(encoded))
        return task.answer(name, run.language_model, run.tokenizer, encoded, examples, tell), left

    return answer


def refuse_silent(run: Running) -> None:
    """Check that everyone who is to be asked can be, before anything is computed.

    :raises UserError: P030, the base of the run is no language model; P020 to P022 and P026, an endpoint cannot be
        asked.
    """
    if run.recipe.judge.endpoint is not None:
        endpoint(run.recipe.judge, str(run.recipe.judge.model))
    asked = set(PROMPTED) & set(baselines(run.recipe).value)
    if asked and run.recipe.prompting.endpoint is not None:
        endpoint(run.recipe.prompting, run.recipe.prompting.base)
    if asked and asks_own(run) and run.guesses not in ("next", "target"):
        what = f"{run.recipe.base!r} is no language model that could be asked in words."
        remedy = "Name one with prompting.base, or an endpoint with prompting.endpoint, or leave prompting out."
        raise UserError(Problem("P030", "evaluation.baselines", what, remedy))
