"""Preferences on hh_rlhf_harmless with a small decoder: supervised tuning, then a run for each loss, one JSON each.

Usage: preference.py [NAME ...]. ``hh_tuned`` learns the better answers word for word and is what the others begin
from; ``hh_dpo`` and its like learn which of two answers is better. ``hh_saving`` times a step with prompts read once
and with a prompt before each answer, in turns, on the same batches. Needs ``decoder_plain`` of ``language.py``.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bases import make
from sets import BASES, Job, chosen
from tasks import OUT, fit, keep

DATA, TUNED = "hh_rlhf_harmless", "decoder_hh"
PUBLISHED = "none for this base; DPO's own figures are of models of billions of weights (arXiv 2305.18290)"
SHORT = {"data__max_length": 384, "training__batch_tokens": 8192, "training__max_seconds": 600}
LOSSES = ("dpo", "ipo", "orpo", "kto", "simpo")
JOBS = [
    Job(
        "hh_tuned",
        DATA,
        "text-generation",
        (
            *("--text", "prompt", "--label", "chosen"),
            *chosen(**SHORT, training__learning_rate=5e-4, training__epochs=3, generation__max_tokens=48),
            *chosen(evaluation__baselines="[]"),
        ),
        PUBLISHED,
        base="decoder_plain",
        keep=TUNED,
    ),
    *(
        Job(
            f"hh_{loss}",
            DATA,
            "preference",
            chosen(
                **SHORT,
                preference__loss=loss,
                training__learning_rate=1e-4,
                training__epochs=3,
                generation__max_tokens=48,
            ),
            PUBLISHED,
            base=TUNED,
        )
        for loss in LOSSES
    ),
]
REPEATS, STEPS, STEP_TOKENS = 5, 4, 8192
"""Of the timing: turns, batches in each, and tokens of a batch."""


def learnt(found: dict[str, Any], run: Path) -> dict[str, Any]:
    """What a run of preferences says beside its scores: its own answers, and findings X020 and on."""
    path = run / "preference.json"
    said = json.loads((run / "findings.json").read_text())
    return found | {
        "own_answers": json.loads(path.read_text()) if path.exists() else None,
        "learnt": [one for one in said if one["code"].startswith("X02")],
    }


def saving(base: Path) -> dict[str, Any]:
    """Seconds of a step, forward and backward, and tokens of it, with shared prompts and without."""
    import numpy as np
    import torch
    from sets import ROOT

    from whet.batches import flat, order
    from whet.batches.shared_beginnings import joined
    from whet.data import reading
    from whet.data.preferences import Preferences
    from whet.models import loading, places
    from whet.models.heads import Head
    from whet.tasks.preference import Preference
    from whet.tasks.preference_loss import PreferenceLoss
    from whet.tasks.task import Setting

    torch.set_num_threads(1)
    place = places.find(str(base))
    tokenizer = loading.load_tokenizer(place)
    model = loading.load_model(place, Head("language"), tokenizer, seed=0)
    model.use_flat_batches()
    task = Preference(Setting(options={"preference.loss": "simpo", "preference.normalise": True}))
    with tempfile.TemporaryDirectory() as work:
        train = reading.read(ROOT / DATA, into=Path(work), form=Preferences()).splits["train"]
        encoded = task.encode(tokenizer, task.blocks(train), 384, None)
        targets = task.targets(train, encoded)
    chosen_rows = order.shuffled(encoded.lengths, STEP_TOKENS, 0, 0)[:STEPS]
    batches = [flat.make(encoded, np.asarray(rows), targets) for rows in chosen_rows]
    seconds: dict[str, list[float]] = {"shared": [], "plain": []}
    for turn in range(REPEATS + 1):
        for name in seconds:
            model.may_share = name == "shared"
            start = time.perf_counter()
            for batch in batches:
                model.zero_grad()
                PreferenceLoss(task.how, True)(model, batch).total.backward()
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    tokens = {"plain": sum(one.num_tokens for one in batches)}
    tokens["shared"] = sum((one if (found := joined(one)) is None else found.batch).num_tokens for one in batches)
    medians = {name: statistics.median(some) for name, some in seconds.items()}
    return {
        "run": "hh_saving",
        "base": base.name,
        "steps": STEPS,
        "tokens": tokens,
        "seconds": {name: {"median": medians[name], "all": some} for name, some in seconds.items()},
        "faster": medians["plain"] / medians["shared"],
        "fewer_tokens": 1 - tokens["shared"] / tokens["plain"],
    }


def main(names: list[str]) -> None:
    for job in JOBS:
        if names and job.name not in names:
            continue
        if not (BASES / job.base).exists() and job.base != TUNED:
            make(job.base)
        with tempfile.TemporaryDirectory() as work:
            run = Path(work, "run")
            found = fit(job, run)
            found["command"] = " ".join(["whet", "fit", job.data, *job.words])
            if job.keep:
                shutil.rmtree(BASES / job.keep, ignore_errors=True)
                shutil.copytree(run / "model", BASES / job.keep)
            keep(learnt(found, run))
    if not names or "hh_saving" in names:
        found = saving(BASES / "decoder_plain")
        OUT.mkdir(exist_ok=True)
        (OUT / "hh_saving.json").write_text(json.dumps(found, indent=1))
        print(found["run"], found["faster"], found["fewer_tokens"], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
