"""Who is asked in words: the base of a run, another model on this machine, or an endpoint.

Whoever it is, people are told how far it is, the run can be stopped meanwhile, and an endpoint's errors name the run
that goes on once they are mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Prompted
from whet.data.predictions import Predictions
from whet.errors import Interrupted, Problem, UserError
from whet.files import read_json
from whet.prompting.speaker import Progress, Prompt, Reply, Speaker, Spent
from whet.recipe.names import PROMPTED
from whet.recipe.resolve import baselines
from whet.tasks.primed import primed
from whet.tasks.text_generation import TextGeneration

if TYPE_CHECKING:
    from whet.prompting.endpoint import Endpoint
    from whet.workflows.running import Running

OWN = "auto"
"""``prompting.base`` where the base of the run is asked."""
Part = Literal["prompting", "judge", "distillation"]
"""Of the recipe: what names an endpoint and a limit of its own."""
LIMIT = "P025"
GOES_ON = ("P021", "P023", "P024", "P027")
"""What may go wrong at an endpoint while it is asked, and be mended."""


def asks_own(run: Running) -> bool:
    """Whether the run's own base is asked, rather than another model."""
    wanted = run.recipe.prompting
    return wanted.endpoint is None and wanted.base == OWN


def speaker(run: Running) -> Watched:
    """Who is asked by the baselines of prompting.

    :raises UserError: P030, the base of the run is no language model; as :mod:`whet.prompting.endpoint` and
        :func:`whet.prompting.local.open_local`.
    """
    wanted = run.recipe.prompting
    if wanted.endpoint is not None:
        found = endpoint(run, "prompting")
        finished = _finished(run, found.name)
        found.go_on(finished)
        return Watched(run, found, "prompting", finished)
    from whet.prompting.local import Local, open_local

    if wanted.base != OWN:
        return Watched(run, open_local(wanted.base, fast=run.task.fast))
    network, template = run.language_model.network, str(run.options.get("chat.template", OWN))
    spoken = None if template == OWN else template
    return Watched(run, Local(network, run.tokenizer, "the base itself", spoken, run.task.fast))


def judging(run: Running) -> Speaker:
    """Who judges texts.

    :raises UserError: as :mod:`whet.prompting.endpoint`.
    """
    found = endpoint(run, "judge")
    found.go_on(Spent())
    return Watched(run, found, "judge")


def teaching(run: Running) -> Speaker:
    """The teacher behind an endpoint.

    :raises UserError: as :mod:`whet.prompting.endpoint`.
    """
    found = endpoint(run, "distillation")
    found.go_on(Spent())
    return Watched(run, found, "distillation")


def endpoint(run: Running, part: Part) -> Endpoint:
    """A model behind an OpenAI-compatible endpoint, as a part of the recipe describes it.

    What it costs is kept in the folder of the run, so that a limit holds for the whole run, however often it goes on.
    """
    from whet.prompting.endpoint import Endpoint
    from whet.prompting.ledger import Ledger

    recipe = run.recipe
    names = {
        "prompting": recipe.prompting.base,
        "judge": str(recipe.judge.model),
        "distillation": str(recipe.distillation.teacher),
    }
    ledger = Ledger(run.folder.stages / "spent" / f"{part}.json")
    return Endpoint.of(getattr(recipe, part), names[part], ledger=ledger)


def _finished(run: Running, name: str) -> Spent:
    """What finished baselines have spent on a model, as it stands on record."""
    found = Spent()
    for baseline in PROMPTED:
        facts = run.folder.facts(baseline)
        if not ((run.folder.stages / f"baseline {baseline}.json").exists() and facts.exists()):
            continue
        asked = read_json(facts)["prompting"]
        if asked["asked"] == name:
            for one in fields(Spent):
                more = asked["spent"][one.name]
                if more is not None:
                    setattr(found, one.name, (getattr(found, one.name) or 0) + more)
    return found


class Watched:
    """A speaker of a run: it tells people how far it is, and stops where the run is asked to.

    Of an endpoint, ``part`` names where it stands in the recipe.
    """

    def __init__(self, run: Running, speaker: Speaker, part: Part | None = None, before: Spent | None = None) -> None:
        """Watch ``speaker``.

        :param before: what it has cost before that which is done now was begun, maybe by an earlier process.
        """
        self._run, self._speaker, self._part, self._before = run, speaker, part, before

    @property
    def name(self) -> str:
        """For people."""
        return self._speaker.name

    @property
    def weighs(self) -> bool:
        """Whether it can be asked for likelihoods."""
        return self._speaker.weighs

    @property
    def longest(self) -> int | None:
        """Tokens of prompt and answer together."""
        return self._speaker.longest

    @property
    def network(self) -> Any:
        """What is asked, where it is on this machine; else None."""
        return getattr(self._speaker, "network", None)

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt."""
        return self._speaker.count(prompt)

    def say(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Reply]:
        """Answer ``prompts``, in their order.

        :raises Interrupted: the run was asked to stop; replies so far are kept, as far as an endpoint gave them.
        :raises UserError: as the speaker, with what goes on after it.
        """
        heard = hearing(self._run, progress or self._telling(len(prompts)))
        with self._placed():
            found = self._speaker.say(prompts, max_tokens=max_tokens, stop=stop, progress=heard)
        self._before = None
        return found

    def weigh(
        self, prompts: Sequence[Prompt], answers: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(n, L) nats of answers behind prompts; raises as :meth:`say`."""
        heard = hearing(self._run, progress or self._telling(len(prompts)))
        return self._speaker.weigh(prompts, answers, heard)

    def spent(self) -> Spent:
        """What it has cost; before it is first asked, what finished baselines have cost.

        Who goes on with a baseline that was cut short so counts from where that was begun.
        """
        return self._speaker.spent() if self._before is None else self._before

    def _telling(self, total: int) -> Progress:
        return self._run.telling(f"answers of {self.name}", total)

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Say with what is raised what to change and how to go on: an endpoint knows of no run."""
        try:
            yield
        except UserError as error:
            raise UserError([self._with_place(one) for one in error.problems], error.num_problems) from None

    def _with_place(self, problem: Problem) -> Problem:
        folder, remedy = self._run.folder, problem.remedy
        if problem.code == LIMIT:
            remedy = f"Raise {self._part}.max_cost in {folder.recipe}; replies so far are kept and cost nothing again."
        if problem.code in (LIMIT, *GOES_ON):
            remedy += f" Go on with: {folder.going_on}"
        return Problem(problem.code, problem.where, problem.what, remedy)


def hearing(run: Running, tell: Progress) -> Progress:
    """Tells progress, and ends the asking with :class:`~whet.errors.Interrupted` where the run is asked to stop."""

    def heard(done: int) -> None:
        if run.should_stop():
            raise Interrupted
        tell(done)

    return heard


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
        tell = hearing(run, run.telling(f"{name} on {split}", len(encoded)))
        return task.answer(name, run.language_model, run.tokenizer, encoded, examples, tell), left

    return answer


def refuse_silent(run: Running) -> None:
    """Check that everyone who is to be asked can be, before anything is computed.

    :raises UserError: P030, the base of the run is no language model; P020 to P022 and P026, an endpoint cannot be
        asked.
    """
    if run.recipe.judge.endpoint is not None:
        endpoint(run, "judge")
    if run.recipe.distillation.endpoint is not None:
        endpoint(run, "distillation")
    asked = set(PROMPTED) & set(baselines(run.recipe).value)
    if asked and run.recipe.prompting.endpoint is not None:
        endpoint(run, "prompting")
    if asked and asks_own(run) and run.guesses not in ("next", "target"):
        what = f"{run.recipe.base!r} is no language model that could be asked in words."
        remedy = "Name one with prompting.base, or an endpoint with prompting.endpoint, or leave prompting out."
        raise UserError(Problem("P030", "evaluation.baselines", what, remedy))
