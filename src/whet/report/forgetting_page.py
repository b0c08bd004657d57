"""Several runs side by side: what each learnt, and what it forgot, on a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.files import write_text
from whet.report.forgetting_section import TITLE, contents
from whet.report.page import page_with
from whet.report.section import Section

NOTHING = "None of these runs has a model whose forgetting could be measured."


def write_forgetting(path: Path, runs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Write the page of ``runs``: each with its name and what its forgetting.json holds.

    :raises UserError: F001, F002, F003, it cannot be written.
    """
    found = contents(runs)
    section = Section("forgetting", TITLE, found or {}, "" if found else NOTHING)
    write_text(path, page_with(TITLE, [section]))
