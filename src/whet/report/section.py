"""A section of the page: its content is ready for the template, or a sentence says why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from whet.report.run_files import RunFiles


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page.

    ``name`` is its anchor and the name of its template; ``absent`` replaces the content where there is none.
    """

    name: str
    title: str
    content: dict[str, Any] = field(default_factory=dict)
    absent: str = ""


Builder = Callable[[RunFiles], Section]


def guarded(build: Builder, run: RunFiles) -> Section:
    """The section, or one that says what went wrong: a strange file must not cost the whole page."""
    try:
        return build(run)
    except Exception as error:  # said on the page; the run's other files still get theirs
        name = build.__name__
        what = f"{type(error).__name__}: {error}"
        return Section(
            name,
            name.capitalize(),
            absent=f"A file of this run has an unexpected form; this part is left out ({what}).",
        )
