"""Writes the pages of docs/ that are read off the code; ``--check`` only says whether they are current.

    python docs/generate.py            # make docs
    python docs/generate.py --check    # exit 1 when a page is stale

Nothing here depends on the terminal or on how a version of Typer words its help: the page of the
command line is read off the commands themselves, not off their help.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.main import get_command

from whet.cli.app import app
from whet.findings import CODES
from whet.recipe import Recipe
from whet.recipe.reading import all_options, describe, option_names

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py (make docs); do not edit. -->"


def pages() -> dict[str, str]:
    """Every generated page: file name to content."""
    return {
        "recipe.md": recipe_page(),
        "recipe.schema.json": json.dumps(Recipe.model_json_schema(), indent=2, ensure_ascii=False) + "\n",
        "findings.md": findings_page(),
        "command-line.md": command_page(),
    }


def stale(folder: Path = HERE) -> list[str]:
    """Names of the pages in ``folder`` that are not what :func:`pages` says."""
    found = []
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            found.append(name)
    return found


def main(words: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` compare them; the exit status."""
    if "--check" in words:
        old = stale()
        for name in old:
            print(f"docs/{name} is not current: run make docs")
        return 1 if old else 0
    for name in stale():
        (HERE / name).write_text(pages()[name], encoding="utf-8")
        print(f"docs/{name}")
    return 0


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; bars inside cells are escaped."""
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- the recipe ---------------------------------------------------------------------------------------

RECIPE_HEAD = f"""{NOTE}

# The recipe

A recipe is a YAML file with everything a run depends on. Only `data.source` must be given; a run
writes the whole recipe, every default spelled out, into its folder as `recipe.yaml`.

```yaml
data:
  source: tickets.csv
  label: intent
training:
  epochs: 3
```

```sh
whet check tickets.yaml                           # validate, show every value and its reason, train nothing
whet fit --recipe tickets.yaml                    # run it
whet fit tickets.csv --set training.epochs=3      # the same options without a file
```

`auto` means: derived from the data and the base when the run starts, never from scores. What it
became and why is in the run's `resolved.yaml` and report. An unknown name, one that stands twice, a value out of range
and two options that contradict each other are refused, all at once, before anything is read. The same as a
JSON schema, for editors: [recipe.schema.json](recipe.schema.json).

A recipe may hold several trainings: `stages` in a row, or `tasks` over one trunk. Each has a name and any options of
this page, laid over those above where it is of the same task; a mistake is told with its line and the name.

```yaml
base: distilbert/distilbert-base-uncased
stages:
  - name: reading
    task: fill-mask
    data: {{source: notes.txt}}
  - name: intents
    task: text-classification
    data: {{source: tickets.csv}}
```
"""


def recipe_page() -> str:
    """Every option by its part of the recipe."""
    names = all_options()
    top = [name for name in names if "." not in name]
    parts = [name for name in Recipe.model_fields if option_names(name)]
    sections = [RECIPE_HEAD, "## The run\n\n" + _option_table(top)]
    for part in parts:
        about = inspect.getdoc(Recipe.model_fields[part].annotation) or ""
        sections.append(f"## {part}\n\n{about}\n\n" + _option_table([n for n in names if n.startswith(f"{part}.")]))
    return "\n".join(f"{section.rstrip()}\n" for section in sections)


def _option_table(names: Sequence[str]) -> str:
    rows = []
    for name in names:
        field = _field(name)
        default = "(required)" if field.is_required() else f"`{json.dumps(field.default)}`"
        rows.append([f"`{name}`", describe(field.annotation, field.metadata), default, field.description or ""])
    return table(["option", "takes", "default", "what it is for"], rows)


def _field(name: str) -> Any:
    model: Any = Recipe
    *parents, leaf = name.split(".")
    for parent in parents:
        model = model.model_fields[parent].annotation
    return model.model_fields[leaf]


# --- findings -----------------------------------------------------------------------------------------

KINDS = {
    "A": "The data, before anything is trained",
    "E": "Training, and the model as it was saved",
    "G": "Conversations as a model sees them",
    "V": "Gates of the verdict",
    "W": "How training went, by its curves, answers and labels",
    "X": "What was learnt from beside the rows: stages, teachers, preferences, texts without labels",
}

FINDINGS_HEAD = f"""{NOTE}

# Findings

A finding is a coded observation: what was looked at, what was seen, where, and what to do about it.
`findings.json` of a run and the report hold all of them; `whet audit DATA` prints those of the data.

Each stands in one bin: `passed` (looked at, fine), `issue` (act), `tip` (could be better),
`not_applicable` (could not be looked at here, and why).
"""


def findings_page() -> str:
    """Every finding code with its title."""
    sections = [FINDINGS_HEAD]
    for letter, title in KINDS.items():
        rows = [[f"`{code}`", name] for code, name in CODES.items() if code.startswith(letter)]
        sections.append(f"## {letter}: {title}\n\n" + table(["code", "what is looked at"], rows))
    return "\n".join(f"{section.rstrip()}\n" for section in sections)


# --- the command line ---------------------------------------------------------------------------------

COMMAND_HEAD = f"""{NOTE}

# The command line

Exit status: 0 done; 1 a mistake in whet, or of `whet gate` a limit that does not hold; 2 a mistake in what was
asked for or in the data, said with place and remedy; 130 interrupted, everything saved. Every command takes `--help`.

With `--json` the last line on standard output is one JSON object, and everything else goes to standard
error. The environment variable `WHET_STORE` names another index of runs than the SQLite file in the
user's data folder, such as `postgresql://user@host/database`.
"""

KINDS_OF_VALUE = {str: "TEXT", int: "NUMBER", float: "NUMBER", Path: "PATH"}


def command_page() -> str:
    """Every command with its arguments and options."""
    sections = [COMMAND_HEAD]
    for name, command in commands().items():
        parameters = [one for one in command.params if not getattr(one, "hidden", False)]
        usage = " ".join(["whet", name, *(_usage(one) for one in parameters if _is_argument(one)), "[OPTIONS]"])
        rows = [[f"`{shown(command, one)}`", one.help or "", _default(one)] for one in parameters]
        about = table(["", "what it is for", "default"], rows)
        sections.append(f"## whet {name}\n\n```\n{usage}\n```\n\n{inspect.getdoc(command.callback)}\n\n{about}")
    return "\n".join(f"{section.rstrip()}\n" for section in sections)


def commands() -> dict[str, Any]:
    """The commands in the order of ``whet --help``."""
    return dict(get_command(app).commands)  # type: ignore[attr-defined]


def option_surface() -> dict[str, list[str]]:
    """Arguments (by metavar) and options of every command: what a test holds."""
    return {name: [shown(command, one) for one in command.params] for name, command in commands().items()}


def shown(command: Any, parameter: Any) -> str:
    """``--out DIR``, ``--json`` or ``DATA``."""
    kind = get_type_hints(command.callback)[parameter.name]
    kind = next((member for member in get_args(kind) if member is not type(None)), kind)  # without None, out of a list
    kind = next(iter(get_args(kind)), kind)
    metavar = parameter.metavar or KINDS_OF_VALUE.get(kind, "")
    if _is_argument(parameter):
        return str(metavar)
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if kind is bool else f"{names} {metavar}"


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _usage(argument: Any) -> str:
    word = str(argument.metavar)
    return word if argument.required or word.startswith("[") else f"[{word}]"


def _default(parameter: Any) -> str:
    return "" if parameter.default in (None, False) or parameter.required else f"`{parameter.default}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
