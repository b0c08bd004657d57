"""Is it worth reading texts of a domain before its task? All controls, several seeds.

``minilm`` reads pubmed_trials_text with words hidden, then learns chemprot or ncbi_disease. Held against: the task
alone, as much reading of other text (wikitext2), and the task alone for as many more tokens.

    python benchmarks/domain.py FOLDER [set ...] [--seeds N]

Runs are kept in FOLDER, and what was begun there is gone on with. Writes results/domain_<set>.json.
"""

import argparse
import json
from pathlib import Path

from sets import ROOT

import whet

OUT = Path(__file__).parent / "results"
SETS = {"chemprot": ("chemprot", "text-classification"), "ncbi_disease": ("ncbi_disease_ner", "token-classification")}
RECIPE = """\
base: minilm
seed: 0
controls: {{kinds: [none, irrelevant, equal-compute], seeds: {seeds}, irrelevant: {root}/wikitext2}}
stages:
  - name: domain
    task: fill-mask
    method: full
    data: {{source: {root}/pubmed_trials_text, max_length: 256}}
    training: {{epochs: 3}}
    evaluation: {{baselines: [unigram]}}
    forgetting: {{measure: false}}
  - name: task
    task: {task}
    method: full
    data: {{source: {root}/{source}}}
    training: {{epochs: 3}}
    evaluation: {{baselines: [probe], label_noise: false}}
    forgetting: {{measure: false}}
"""


def fitted(folder: Path, name: str, seeds: int) -> whet.Run:
    """The whole series of a set, gone on with where it was begun."""
    source, task = SETS[name]
    recipe, run = folder / f"{name}.yaml", folder / name
    folder.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE.format(root=ROOT, source=source, task=task, seeds=seeds), encoding="utf-8")
    state = run / "state.json"
    if not state.exists():
        return whet.fit(recipe, out=run)
    finished = json.loads(state.read_text())["state"] == "finished"
    return whet.open_run(run) if finished else whet.resume(run)


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
