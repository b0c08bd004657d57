"""Is it worth reading texts of a domain before its task? All controls, several seeds.

``minilm`` reads pubmed_trials_text with words hidden, then learns chemprot or ncbi_disease from a thousand labelled
rows, where such reading has most to give. Held against: the task alone, as much reading of other text (test articles of
wikitext2, which has no training part here), and the task alone for as many more tokens. Test splits are whole.

    python benchmarks/domain.py FOLDER [set ...] [--first K] [--seeds N]

Seeds K to K + N - 1 are one series of runs in FOLDER, so that several processes can take seeds of their own; what was
begun is gone on with. What is read does not hang on the task, so that the second set takes those runs over from the
first. Writes results/domain_<set>.json from all series that are there.
"""

import argparse
import contextlib
import gzip
import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sets import ROOT

import whet
from whet.errors import UserError
from whet.folder import RunFolder
from whet.recipe import Recipe, load
from whet.workflows import controlling
from whet.workflows.nodes import Node, named, nodes_of

OUT = Path(__file__).parent / "results"
SETS = {
    "chemprot": ("chemprot", "text-classification", "majority"),
    "ncbi_disease": ("ncbi_disease_ner", "token-classification", "dictionary"),
}
"""Where the rows of each lie, its task, and the cheapest baseline of that task."""
TEXTS, OTHER = "pubmed_trials_text", "wikitext2"
LABELLED = {"train": 1000, "validation": 500}
"""Rows of each task that are drawn, once for all seeds."""
LOOKED_AT = {"validation": 48, "test": 48}
"""Texts by which it is told how well the domain's are foreseen; all others are read."""
RECIPE = """\
base: minilm
seed: {first}
controls: {{kinds: [none, irrelevant, equal-compute], seeds: {seeds}, irrelevant: {root}/wikitext2/test.jsonl.gz}}
stages:
  - name: domain
    task: fill-mask
    method: full
    data: {{source: {rows}/pubmed_trials_text, max_length: 256}}
    training: {{epochs: {passes}}}
    evaluation: {{baselines: [unigram]}}
    forgetting: {{measure: false}}
  - name: task
    task: {task}
    method: full
    data: {{source: {rows}/{source}}}
    training: {{epochs: 3}}
    evaluation: {{baselines: [{floor}], label_noise: false}}
    forgetting: {{measure: false}}
"""
PASSES = 1


def drawn(folder: Path, source: str, numbers: dict[str, int]) -> None:
    """A set under ``folder`` with so many rows of its splits, in the order of the set; other splits are whole."""
    to = folder / source
    if to.exists():
        return
    new = folder / f".{source}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        with gzip.open(ROOT / source / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            lines = list(file)
        chosen = range(len(lines))
        if split in numbers:
            chosen = sorted(random.Random(f"{source} {split}").sample(chosen, numbers[split]))
        (new / f"{split}.jsonl").write_text("".join(lines[place] for place in chosen), encoding="utf-8")
    new.rename(to)


def fitted(folder: Path, name: str, first: int, seeds: int) -> None:
    """One series of a set, gone on with where it was begun."""
    source, task, floor = SETS[name]
    rows, run = folder / "rows", folder / f"{name}-{first}"
    drawn(rows, source, LABELLED)
    drawn(rows, TEXTS, LOOKED_AT)
    recipe = folder / f"{name}-{first}.yaml"
    values = {"root": ROOT, "rows": rows, "source": source, "task": task, "floor": floor, "passes": PASSES}
    recipe.write_text(RECIPE.format(first=first, seeds=seeds, **values), encoding="utf-8")
    if state_of(run) is None:
        with contextlib.suppress(RowsAreRead):
            whet.fit(recipe, out=run, on_event=until_rows_are_read)
    for other in SETS:
        take_over(folder / f"{other}-{first}" / "runs", run / "runs")
    if state_of(run) != "finished":
        whet.resume(run)


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


# --- what all series say together -----------------------------------------------------------------------


def together(folder: Path, name: str) -> dict[str, Any] | None:
    """Adapted against each control, over the seeds of all series that have all of their branches; None: none has."""
    series = {int(re.sub(r".*-", "", one.stem)): one.with_suffix("") for one in folder.glob(f"{name}-*.yaml")}
    whole: list[tuple[Path, int]] = []
    for first, run in sorted(series.items()):
        nodes = nodes_of(load(folder / f"{name}-{first}.yaml"))
        for number in range(1 + max(node.number for node in nodes)):
            own = [node.name for node in nodes if node.number == number and node.stage == "task"]
            if all(state_of(run / "runs" / one) == "finished" for one in own):
                whole.append((run, number))
    if len(whole) < 2:
        return None
    recipe = asked_for(load(folder / f"{name}-{min(series)}.yaml"), len(whole))
    nodes = nodes_of(recipe)
    out = folder / name
    out.mkdir(exist_ok=True)
    try:
        controlling.compare(RunFolder(out), recipe, nodes, places(nodes, whole))
    except UserError as error:
        raise SystemExit(str(error)) from error
    found: dict[str, Any] = json.loads((out / controlling.FILE).read_text())
    found["irrelevant"] = f"{OTHER}, test articles"
    return {**found, "rows": LABELLED, "passes": PASSES}


def asked_for(recipe: Recipe, seeds: int) -> Recipe:
    """The recipe of one series for as many seeds as there are."""
    return recipe.model_copy(update={"controls": recipe.controls.model_copy(update={"seeds": seeds})})


def places(nodes: list[Node], whole: list[tuple[Path, int]]) -> Callable[[str], RunFolder]:
    """Where the run of a node lies: seed i of them all is the i-th of those that are whole."""
    found = {}
    for node in nodes:
        run, number = whole[node.number]
        found[node.name] = RunFolder(run / "runs" / named(node.stage, node.branch, number))
    return lambda name: found[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", default=list(SETS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=5, help="two or more; 0: only tell of what is there")
    asked = parser.parse_args()
    for name in asked.sets:
        if asked.seeds:
            fitted(asked.folder, name, asked.first, asked.seeds)
        found = together(asked.folder, name)
        if found is not None:
            OUT.joinpath(f"domain_{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
            print(name, found["words"], flush=True)


if __name__ == "__main__":
    main()
