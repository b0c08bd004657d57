"""``whet import``: a checkpoint of another program as a folder that transformers, and whet, load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_)


def import_(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A checkpoint of llama2.c (.bin).")],
    into: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder to write; it must not exist.")],
    tokenizer: Annotated[Path, typer.Option(help="Its tokenizer (.bin).")],
    json: Json = False,
) -> None:
    """Convert CHECKPOINT into FOLDER: weights as safetensors, a fast tokenizer, a configuration."""
    from whet.cli.screen import console, print_json
    from whet.workflows.importing import import_llama_c

    found = import_llama_c(checkpoint, tokenizer, into)
    if json:
        print_json(found)
        return
    console(to_stderr=False).print(f"{into}: {found['parameters']:,} weights. Use it with --base {into}.")
