"""``whet resume``: go on with a run that was interrupted."""

from __future__ import annotations

import typer

from whet.cli.options import Json, Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("resume")(resume)


def resume(run: Run, json: Json = False) -> None:
    """Go on with RUN where it stopped; the result is that of a run never interrupted."""
    from whet.cli.live import carry_out
    from whet.workflows.starting import reopen

    carry_out(lambda: reopen(run), json)
