"""A closer look at one model that writes: what it said beside what is accepted, how it ends, how long it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.report import numbers
from whet.report.mistakes import shortened
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.score_tables import ranked
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, plain, words
from whet.report.task_charts import cloud
from whet.report.text_rows import beside, nearness, scores_of, wrote
from whet.report.value_sections import POINTS_DRAWN, parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import TextPredictions

A_GROUP = 4
"""Rows shown of the worst, of the middle and of the best."""
LONGEST_PROMPT = 300
LONGEST = 420
LONGEST_LABEL = 60
COMET = "comet"
MORE = ("format_valid", "label_accuracy", COMET)
"""What only some runs know of texts: columns of their own where it is known."""
TITLES = {"examples": "Said beside accepted", "writing": "How it writes"}


@dataclass(frozen=True, slots=True)
class Saying:
    """One text: who said it ("" for the accepted one), and what is to be known of it."""

    by: str
    text: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One row: its prompt (or source), the accepted text first among ``sayings``, then what models said."""

    prompt: str
    sayings: list[Saying]
    line: int | None


def examples(run: RunFiles) -> Section:
    """Rows far from, half way to and near the accepted text, beside what other models said."""
    found = wrote(run)
    if isinstance(found, str):
        return Section("examples", TITLES["examples"], absent=found)
    model, predictions = found
    near = nearness(predictions)
    others = {name: (one, nearness(one)) for name, one in beside(run, model, predictions).items()}
    groups = []
    for title, rows in chosen(near).items():
        sources = run.sources(predictions, rows, ["text", "line"])
        made = [
            _exchange(sources.get(row) or {}, row, {model: (predictions, near)} | others, predictions) for row in rows
        ]
        groups.append((title, made))
    has_prompts = any(one.prompt for _, made in groups for one in made)
    content = {
        "model": model,
        "is_shown": model == run.shown_model,
        "shown": run.shown_model,
        "groups": groups,
        "total": numbers.plural(len(predictions), "row"),
        "others": list(others),
        "has_prompts": has_prompts,
        "asked": "Prompt" if predictions.purpose == "generation" else "Source",
    }
    return Section("examples", TITLES["examples"], content)


def chosen(near: NDArray[np.float64], most: int = A_GROUP) -> dict[str, list[int]]:
    """Rows by title: the worst first, then those around the middle, then the best; no row twice."""
    order = [int(row) for row in np.argsort(near, kind="stable")]
    size = min(most, -(-len(order) // 3))
    middle = max(size, (len(order) - size) // 2)
    last = max(middle + size, len(order) - size)
    found = {
        "Furthest from what is accepted": order[:size],
        "In the middle": order[middle : middle + size],
        "Nearest to what is accepted": order[last:][::-1],
    }
    return {title: rows for title, rows in found.items() if rows}


def _exchange(
    source: Mapping[str, Any],
    row: int,
    said_by: Mapping[str, tuple[TextPredictions, NDArray[np.float64]]],
    truth: TextPredictions,
) -> Exchange:
    accepted = truth.gold[row] if truth.gold is not None else ()
    more = [("Others accepted", numbers.count(len(accepted) - 1))] if len(accepted) > 1 else []
    sayings = [Saying("", shortened(accepted[0], LONGEST) if accepted else "", more)]
    for model, (predictions, near) in said_by.items():
        assert predictions.said is not None
        facts = [("chrF", numbers.percent(near[row]))]
        if predictions.finished is not None and not predictions.finished[row]:
            facts.append(("Cut", "by the limit on its length"))
        if predictions.valid is not None and not predictions.valid[row]:
            facts.append(("Form", "not the one asked for"))
        if predictions.chosen is not None:
            facts.append(("Chosen answer", shortened(predictions.chosen[row], LONGEST_LABEL)))
        sayings.append(Saying(model, shortened(predictions.said[row].strip(), LONGEST), facts))
    return Exchange(_end_of(str(source.get("text") or "")), sayings, source.get("line"))


def _end_of(text: str) -> str:
    """The end of a long prompt, where the question stands."""
    return text if len(text) <= LONGEST_PROMPT else "… " + text[-LONGEST_PROMPT:].lstrip()


def writing(run: RunFiles) -> Section:
    """Whether texts end by themselves, repeat themselves or stay empty, and how long they are."""
    found = wrote(run)
    if isinstance(found, str):
        return Section("writing", TITLES["writing"], absent=found)
    model, predictions = found
    signatures = ((run.scores or {}).get("details") or {}).get(model, {}).get("signatures") or {}
    content = {
        "table": _endings(run),
        "picture": _lengths(model, predictions),
        "signatures": [(numbers.metric(name).title, text) for name, text in signatures.items()],
    }
    return Section("writing", TITLES["writing"], content)


def _endings(run: RunFiles) -> Table | None:
    """One row for each model that wrote, best first."""
    scores, details = scores_of(run), (run.scores or {}).get("details") or {}
    columns = [
        Column("Model"),
        Column("Ended by itself", True, "Share of texts that came to an end before the limit on their length."),
        Column("Unfinished", True, "Texts that the limit on their length cut off."),
        Column("Empty", True, "Texts without a word."),
        Column("Repetition", True, numbers.metric("repetition").meaning),
        Column("Said", True, "Characters of what is said, median."),
        Column("Accepted", True, "Characters of the accepted text, median."),
        Column("Said / accepted", True, "Characters said for each character of the accepted texts."),
    ]
    order = [one for one in ranked(scores, str((run.scores or {}).get("primary", ""))) if _wrote(details.get(one))]
    more = [one for one in MORE if any(_more(one, scores[model], details[model]) is not None for model in order)]
    columns += [Column(_title(one), True, _meaning(one)) for one in more]
    rows = []
    for model in order:
        about = details[model]
        lengths, counts = about["lengths"], about.get("counts") or {}
        ended, repetition = (numbers.measured(scores[model].get(name))[0] for name in ("stop_rate", "repetition"))
        cells = [words(model), number(ended, numbers.percent(ended))]
        for value in (counts.get("cut_short"), counts.get("empty")):
            cells.append(number(value, numbers.count(value)))
        cells.append(number(repetition, numbers.percent(repetition)))
        for value in (lengths["said"]["median"], lengths["gold"]["median"]):
            cells.append(number(value, numbers.count(value)))
        ratio = about.get("length_ratio")
        cells.append(number(ratio, numbers.decimal(ratio, 2)))
        for name in more:
            value = _more(name, scores[model], about)
            cells.append(number(value, numbers.decimal(value) if name == COMET else numbers.percent(value)))
        rows.append(Row(cells, marked=model == run.shown_model))
    caption = "How texts end, and how many characters they have (medians)"
    return Table(caption, columns, rows, sortable=len(rows) > 2) if rows else None


def _wrote(about: Any) -> bool:
    return bool((about or {}).get("lengths"))


def _more(name: str, scores: Mapping[str, Any], about: Mapping[str, Any]) -> float | None:
    """A number of :data:`MORE`; None where the model has none."""
    return numbers.measured(about.get(COMET) if name == COMET else scores.get(name))[0]


def _title(name: str) -> str:
    return "COMET" if name == COMET else numbers.metric(name).title


def _meaning(name: str) -> str:
    learned = "Agreement with source and reference, as a learned model sees it."
    return learned if name == COMET else numbers.metric(name).meaning


def _lengths(model: str, predictions: TextPredictions) -> Picture:
    """Every row as a dot: characters of the accepted text across, of the said one upwards."""
    assert predictions.said is not None and predictions.gold is not None
    true = np.asarray([len(accepted[0]) if accepted else 0 for accepted in predictions.gold], dtype=np.float64)
    said = np.asarray([len(text) for text in predictions.said], dtype=np.float64)
    order = np.argsort(true, kind="stable")
    every = -(-len(order) // POINTS_DRAWN)
    points = [(float(true[row]), float(said[row])) for row in order[::every]]
    along = parts(true, said)
    spoken = "; ".join(f"where {one[2]:,.0f} are accepted it says {one[3]:,.0f}" for one in along)
    alternative = f"Characters said by {model} against characters of the accepted text. On average: {spoken}."
    caption = f"{model}: every dot is a row, the length of the accepted text across, of the said one upwards, in "
    caption += "characters; the squares are means. On the dotted diagonal they are equally long."
    if every > 1:
        caption += f" Drawn is one row in {every}."
    rows: list[list[str]] = []
    for low, high, accepted, mean, count in along:
        span = f"{low:,.0f} to {high:,.0f}" if high > low else f"{low:,.0f}"
        rows.append([span, *(numbers.count(value) for value in (count, accepted, mean))])
    data = plain("Means along the length", ["Characters accepted", "Rows", "Mean accepted", "Mean said"], rows)
    means = [(one[2], one[3]) for one in along]
    svg = drawn("writing", alternative, {"any": lambda: cloud(points, means, ("Characters accepted", "Said"), True)})
    return Picture(caption, alternative, data, svg)
