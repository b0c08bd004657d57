"""``whet fit`` for tasks of language models, from the bases of ``bases.py``; one JSON file a job.

Usage: language.py [NAME ...]. Beside the scores a result holds samples: what is written before and after tuning.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from bases import MAKERS, make
from sets import BASES, LANGUAGE_JOBS, Job
from tasks import fit, keep

PROMPT_TOKENS, WRITTEN_TOKENS = 16, 60
"""Of samples of a model of plain texts: the beginning of a test row, and how much is written behind it."""
LONG_ENOUGH = 200
"""Characters of a row that such a sample begins like: short ones are often over at once."""
MODEL = "full"


def test_rows(run: Path) -> list[dict[str, Any]]:
    """The test rows of a run, as they were read."""
    with pa.memory_map(str(run / "data" / "test.arrow")) as source:
        rows: list[dict[str, Any]] = pa.ipc.open_file(source).read_all().to_pylist()
    return rows


def spread(rows: int, wanted: int) -> list[int]:
    """Numbers of ``wanted`` rows, evenly apart."""
    return [number * rows // wanted for number in range(wanted)]


def written(run: Path, wanted: int) -> Iterator[dict[str, str]]:
    """Samples of tasks that write answers: what the run itself kept of the base and of the tuned model."""
    rows = test_rows(run)
    said = {name: pq.read_table(run / "predictions" / f"{name}.test.parquet") for name in ("base", MODEL)}
    for number in spread(len(rows), wanted):
        before, after = (said[name].column("prediction")[number].as_py() or "" for name in ("base", MODEL))
        truth = said[MODEL].column("gold")[number].as_py()[0]
        yield {"prompt": rows[number]["text"], "truth": truth, "before": before, "after": after}


def continued(run: Path, base: Path, wanted: int) -> Iterator[dict[str, str]]:
    """Samples of models of plain texts: how test rows go on, by plain transformers, drawn with seed 0."""
    rows = [row["text"] for row in test_rows(run) if len(row["text"]) >= LONG_ENOUGH]
    texts = [rows[number] for number in spread(len(rows), wanted)]
    for text, before, after in zip(texts, _goes_on(base, texts), _goes_on(run / "model", texts), strict=True):
        yield {"prompt": before[0], "truth": text.removeprefix(before[0]), "before": before[1], "after": after[1]}


def _goes_on(folder: Path, texts: list[str]) -> list[tuple[str, str]]:
    """The beginning of each text, and what the model in ``folder`` writes behind it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    start = [tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id]
    found = []
    for text in texts:
        own = tokenizer(text, add_special_tokens=False)["input_ids"][:PROMPT_TOKENS]
        ids = torch.tensor([[*start, *own]])
        torch.manual_seed(0)
        told = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=WRITTEN_TOKENS, do_sample=True, temperature=0.8
        )[0]
        prompt, whole = (tokenizer.decode(some, skip_special_tokens=True) for some in (ids[0], told))
        found.append((prompt, whole.removeprefix(prompt)))
    return found


def samples(job: Job, run: Path) -> list[dict[str, str]]:
    """As many as the job asks for."""
    if not job.samples:
        return []
    if job.task == "language-modeling":
        return list(continued(run, BASES / job.base, job.samples))
    return list(written(run, job.samples))


def cut_off(run: Path) -> dict[str, Any]:
    """How training ended: completed, by patience, or by its time; and where its best state was."""
    events = map(json.loads, (run / "events.jsonl").read_text().splitlines())
    ended = [event for event in events if event.get("reason") and "best_step" in event]
    return ended[-1] if ended else {}


def main(names: list[str]) -> None:
    for job in LANGUAGE_JOBS:
        if names and job.name not in names:
            continue
        for needed in (job.base, job.data):
            if needed in MAKERS:
                make(needed)
        with tempfile.TemporaryDirectory() as work:
            run = Path(work, "run")
            found = fit(job, run)
            found["command"] = " ".join(["whet", "fit", job.data, *job.words])
            found["samples"] = samples(job, run)
            found["ended"] = cut_off(run)
            if job.keep:
                shutil.rmtree(BASES / job.keep, ignore_errors=True)
                shutil.copytree(run / "model", BASES / job.keep)
        keep(found)


if __name__ == "__main__":
    main(sys.argv[1:])
