"""A run folder becomes one HTML page that needs nothing beside itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whet.files import write_text
from whet.report import (
    about_sections,
    answer_sections,
    calibration_section,
    class_sections,
    comparison_section,
    data_sections,
    distillation_section,
    forgetting_section,
    judge_section,
    loss_sections,
    more_data_section,
    numbers,
    preference_sections,
    prompting_section,
    rank_sections,
    selection_section,
    span_sections,
    text_sections,
    training_sections,
    value_sections,
    verdict_sections,
)
from whet.report.kinds import OF_LANGUAGE, words
from whet.report.pictures import PACKAGE, can_draw
from whet.report.run_files import RunFiles, read_run
from whet.report.section import Builder, Section, guarded

if TYPE_CHECKING:
    from jinja2 import Environment

FIRST: list[Builder] = [
    verdict_sections.verdict,
    verdict_sections.gates,
    comparison_section.comparison,
    training_sections.training,
]
LAST: list[Builder] = [
    data_sections.data,
    data_sections.ledger,
    about_sections.settings,
    about_sections.environment,
    about_sections.use,
]
BUILDERS: dict[str, list[Builder]] = {
    "classes": [
        class_sections.classes,
        class_sections.confusion,
        calibration_section.calibration,
        class_sections.mistakes,
    ],
    "spans": [
        span_sections.types,
        span_sections.errors,
        span_sections.spans,
        span_sections.confusion,
        calibration_section.calibration,
    ],
    "answers": [
        answer_sections.questions,
        answer_sections.answers,
        calibration_section.calibration,
    ],
    "values": [
        value_sections.scatter,
        value_sections.residuals,
        value_sections.furthest,
    ],
    "ranks": [
        rank_sections.depth,
        rank_sections.lists,
    ],
    "texts": [
        text_sections.examples,
        text_sections.writing,
        loss_sections.loss,
        loss_sections.hardest,
    ],
    "preferences": [
        preference_sections.rewards,
        preference_sections.disagreements,
        preference_sections.own_answers,
    ],
}
"""The closer look at one model, per kind of predictions."""
WRITTEN: tuple[Builder, ...] = (text_sections.examples, text_sections.writing)
"""Sections on what was written, which a task that only learns texts has none of."""


ASKED: list[tuple[Callable[[RunFiles], bool], Builder]] = [
    (distillation_section.distilled, distillation_section.distillation),
    (selection_section.was_chosen, selection_section.selection),
    (forgetting_section.measured, forgetting_section.forgetting),
    (prompting_section.prompted, prompting_section.prompting),
    (judge_section.judged, judge_section.judge),
    (more_data_section.was_drawn, more_data_section.more_data),
]
"""Sections of runs in which something more was looked at or asked, and whether a run is one."""


def builders(kind: str, task: str = "", asked: Sequence[Builder] = ()) -> list[Builder]:
    """The sections in the order of the page; of a kind that is not known, those that all kinds have.

    :param asked: those of :data:`ASKED` that the run has.
    """
    closer = [one for one in BUILDERS.get(kind, []) if task not in OF_LANGUAGE or one not in WRITTEN]
    return [*FIRST, *asked, *closer, *LAST]


def write_report(run_folder: Path) -> Path:
    """Write ``report.html`` into a run folder, out of the files that are there; return its path.

    A file that is missing (an interrupted run, a stage that was left out) or damaged costs its
    section, never the page.

    :raises UserError: F010 no such folder; F001, F002, F003 the page cannot be written.
    """
    path = run_folder / "report.html"
    if (run_folder / "stages.json").is_file():
        from whet.report.series_page import series_sections

        write_text(path, page_with(run_folder.resolve().name, series_sections(run_folder)))
        return path
    run = read_run(run_folder)
    write_text(path, page(run))
    return path


def page(run: RunFiles) -> str:
    """The page as text; same files, same page."""
    chosen = builders(run.kind, run.task, [build for was_asked, build in ASKED if was_asked(run)])
    sections = [guarded(build, run) for build in chosen]
    return _rendered(run, sections, _about(run))


def page_with(name: str, sections: Sequence[Section]) -> str:
    """A page that belongs to no single run."""
    return _rendered(RunFiles(Path(name)), sections, [])


def _rendered(run: RunFiles, sections: Sequence[Section], about: Sequence[tuple[str, str]]) -> str:
    script, style = _resource("page.js"), _resource("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _templates()
        .get_template("page.html")
        .render(
            run=run,
            sections=sections,
            about=about,
            script=script,
            style=style,
            script_digest=digest,
            percent=numbers.percent,
            missing_package="" if can_draw() or not _has_pictures(sections) else PACKAGE,
        )
    )


def _templates() -> Environment:
    """Templates with escaping on for every value, and a missing name as an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("whet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _resource(name: str) -> str:
    return (resources.files("whet.report") / "templates" / name).read_text(encoding="utf-8")


def _has_pictures(sections: Sequence[Section]) -> bool:
    return any(section.content.get("picture") or section.content.get("models") for section in sections)


def _about(run: RunFiles) -> list[tuple[str, str]]:
    """(name, value) pairs under the title, as far as the files know them."""
    scores, environment = run.scores or {}, run.environment or {}
    pairs: list[tuple[str, Any]] = [("Task", run.task), ("Model", _setting(run, "base"))]
    labels = scores.get("labels")
    named = words(run.kind).labels.capitalize() or "Labels"
    pairs.append((named, len(labels) if labels else None))
    pairs.append(("whet", environment.get("whet")))
    return [(name, str(value)) for name, value in pairs if value]


def _setting(run: RunFiles, name: str) -> Any:
    entry = (run.resolved or {}).get(name)
    if isinstance(entry, dict) and "value" in entry:
        return entry["value"]
    return (run.recipe or {}).get(name)
