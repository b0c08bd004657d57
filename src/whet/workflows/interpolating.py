"""Between the base and what was trained from it: what is best on validation (arXiv 2109.01903)."""

from __future__ import annotations

from collections.abc import Iterator

from whet.engine.events import Event
from whet.files import write_json
from whet.models.interpolation import SHARES
from whet.workflows import interpolations, training
from whet.workflows.events import Said
from whet.workflows.running import Running


def interpolate(run: Running, name: str) -> Iterator[Event]:
    """Look at validation along the way from base to tuned model; the best share is what is kept from here on.

    Of equal scores the smaller share, which forgets less.
    """
    path = []
    encoded, examples, score = run.encoded["validation"], run.examples("validation"), run.task.score
    for done, share in enumerate(SHARES):
        run.tell(f"between base and {name}", done, len(SHARES))
        model = training.finished(run, name, share).model
        numbers = run.task.look(run.task.outputs(model, encoded), encoded, examples)
        path.append({"share": share, "score": float(numbers[score]), "loss": float(numbers["loss"])})
    best = max(path, key=lambda one: (one["score"], -one["share"]))
    write_json(interpolations.file_of(run, name), {"metric": score, "chosen": best["share"], "path": path})
    yield Said(f"{name}: {interpolations.in_words(score, best['share'], best['score'], path[-1]['score'])}")
