"""A judge at an endpoint: whose texts it likes better, those of the best model or those of a rival."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from whet.data.predictions import TextPredictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.files import write_json
from whet.seeds import generator
from whet.workflows import asking
from whet.workflows.events import Said
from whet.workflows.running import Running

PREFERRED = ("base", "few_shot", "zero_shot")
"""Whose texts the model's are held against where ``judge.against`` does not say, if the run has them."""


def wanted(run: Running) -> bool:
    """Whether the recipe names a judge."""
    return run.recipe.judge.endpoint is not None


def rival(run: Running, models: Sequence[str]) -> str:
    """Whose texts those of the trained model are held against.

    :raises UserError: R034, the run has no such model, or none that says texts.
    """
    named = run.recipe.judge.against
    known = [name for name in models if _said(run, name) is not None]
    if named != "auto" and named in known:
        return named
    found = next((name for name in (*PREFERRED, *known) if name in known), None)
    if named != "auto" or found is None:
        what = f"{named!r} is no model of the run that says texts."
        raise UserError(Problem("R034", "judge.against", what, f"Known here: {', '.join(known) or 'none'}."))
    return found


def judge(run: Running, baselines: Sequence[str], models: Sequence[str]) -> Iterator[Event]:
    """Test texts to judge.json."""
    from whet.prompting.judge import Judged
    from whet.prompting.judge import judge as ruled

    name, against = models[-1], rival(run, baselines)
    ours, theirs = _said(run, name), _said(run, against)
    assert ours is not None and theirs is not None and ours.said is not None and theirs.said is not None
    recipe, examples = run.recipe.judge, run.examples("test")
    size = min(recipe.max_rows, len(examples))
    rows = np.sort(generator(run.recipe.seed, "judged rows").choice(len(examples), size, replace=False))
    texts, accepted = examples.rows(rows, "text"), examples.rows(rows, "answers")
    asked = [
        Judged(text, gold[0] if gold else None, ours.said[row], theirs.said[row])
        for row, text, gold in zip(rows.tolist(), texts, accepted, strict=True)
    ]
    speaker = asking.judging(run)
    found = ruled(speaker, asked, recipe.instruction, run.telling("judged", size))
    spent = speaker.spent()
    write_json(
        run.folder.judge,
        {
            **found.to_json(),
            "model": name,
            "against": against,
            "ids": rows.tolist(),
            "spent": {"requests": spent.requests, "cached": spent.cached, "price": spent.price}
            | {"tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out},
        },
    )
    yield Said(
        f"{found.judge}: {name} is better than {against} in {found.wins}, worse in {found.losses}, neither in "
        f"{found.ties} of {size} test rows"
    )


def _said(run: Running, name: str) -> TextPredictions | None:
    """The texts of a model on test; None where it says none."""
    path = run.folder.predictions(name, "test")
    found = load_predictions(path) if path.exists() else None
    return found if isinstance(found, TextPredictions) and found.said is not None else None
