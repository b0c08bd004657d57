"""Is it worth reading texts of a domain before its task? All controls, several seeds.

``minilm`` reads pubmed_trials_text with words hidden, then learns chemprot or ncbi_disease. Held against: the task
alone, as much reading of other text (test articles of wikitext2, which has no training part here), and the task alone
for as many more tokens.

    python benchmarks/domain.py FOLDER [set ...] [--seeds N]

Runs are kept in FOLDER, and what was begun there is gone on with. What is read does not hang on the task, so that the
second set takes those runs over from the first. Writes results/domain_<set>.json.
"""

import argparse
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from sets import ROOT

import whet

OUT = Path(__file__).parent / "results"
SETS = {"chemprot": ("chemprot", "text-classification"), "ncbi_disease": ("ncbi_disease_ner", "token-classification")}
RECIPE = """\
base: minilm
seed: 0
controls: {{kinds: [none, irrelevant, equal-compute], seeds: {seeds}, irrelevant: {root}/wikitext2/test.jsonl.gz}}
stages:
  - name: domain
    task: fill-mask
    method: full
    data: {{source: {root}/pubmed_trials_text, max_length: 256}}
    training: {{epochs: 2}}
    evaluation: {{baselines: [unigram]}}
    forgetting: {{measure: false}}
  - name: task
    task: {task}
    method: full
    data: {{source: {root}/{source}}}
    training: {{epochs: 2}}
    evaluation: {{baselines: [probe], label_noise: false}}
    forgetting: {{measure: false}}
"""


def fitted(folder: Path, name: str, seeds: int) -> whet.Run:
    """The whole series of a set, gone on with where it was begun."""
    source, task = SETS[name]
    recipe, run = folder / f"{name}.yaml", folder / name
    folder.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE.format(root=ROOT, source=source, task=task, seeds=seeds), encoding="utf-8")
    if state_of(run) is None:
        with contextlib.suppress(RowsAreRead):
            return whet.fit(recipe, out=run, on_event=until_rows_are_read)
    for other in SETS:
        take_over(folder / other / "runs", run / "runs")
    return whet.open_run(run) if state_of(run) == "finished" else whet.resume(run)


class RowsAreRead(KeyboardInterrupt):
    """Every stage has its rows, and none is trained: the moment for runs of another set."""


def until_rows_are_read(event: Any) -> None:
    """Stop before the first run."""
    row = event.to_json()
    if row["kind"] == "said" and row["message"].startswith("run 1 of "):
        raise RowsAreRead


def take_over(given: Path, to: Path) -> None:
    """Finished readings of another set; both recipes ask for the same ones."""
    for one in sorted(given.glob("domain*")):
        if given != to and state_of(one) == "finished" and state_of(to / one.name) != "finished":
            shutil.rmtree(to / one.name, ignore_errors=True)
            shutil.copytree(one, to / one.name)


def state_of(run: Path) -> str | None:
    """The state of a run; None where there is none."""
    path = run / "state.json"
    return str(json.loads(path.read_text())["state"]) if path.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.sets:
        run = fitted(asked.folder, name, asked.seeds)
        found = json.loads((run.path / "controls.json").read_text())
        OUT.joinpath(f"domain_{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(name, found["words"], flush=True)


if __name__ == "__main__":
    main()
