"""Where the loss of a language model sits: nats per token by row or document, and the texts it knows least and best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.report import numbers
from whet.report.mistakes import shortened
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, plain, words
from whet.report.task_charts import histogram
from whet.report.text_rows import Unit, by_document, models_of, units
from whet.report.value_sections import bars_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from whet.data.predictions import TextPredictions

NUM_WORST, NUM_BEST = 8, 4
LONGEST = 500
NUM_LENGTHS = 4
TITLES = {"loss": "Where the loss sits", "hardest": "Hardest and easiest texts"}


@dataclass(frozen=True, slots=True)
class Weighed:
    """A true text with its likelihood: ``prompt`` stands before it, "" for none."""

    prompt: str
    text: str
    facts: list[tuple[str, str]]
    line: int | None


def _weighed(run: RunFiles) -> tuple[TextPredictions, list[Unit]] | str:
    """The likelihoods of the shown model, or why there are none."""
    from whet.data.predictions import TextPredictions

    predictions = run.judged(TextPredictions)
    if isinstance(predictions, str):
        return predictions
    if predictions.nats is None or predictions.tokens is None:
        return f"{run.shown_model} gives no probabilities."
    found = units(predictions)
    return (predictions, found) if found else "No row has a token that counts."


def _word(predictions: TextPredictions) -> str:
    return "document" if by_document(predictions) else "row"


def loss(run: RunFiles) -> Section:
    """How nats per token are spread over rows or documents, for every model, and along their length."""
    made = _weighed(run)
    if isinstance(made, str):
        return Section("loss", TITLES["loss"], absent=made)
    predictions, found = made
    word = _word(predictions)
    content = {
        "picture": _picture(run.shown_model or "", found, word),
        "share": _share_of_worst(found),
        "word": word,
        "models": _models(run, predictions, found, word),
        "lengths": _lengths(found, word),
    }
    return Section("loss", TITLES["loss"], content)


def _picture(model: str, found: Sequence[Unit], word: str) -> Picture:
    rates = np.asarray([one.rate for one in found])
    counts = bars_of(rates)
    low, middle, high = (numbers.figure(float(np.quantile(rates, share))) for share in (0.1, 0.5, 0.9))
    alternative = f"Nats per token of {model} by {word}: half of the {word}s are below {middle}, one in ten below "
    alternative += f"{low}, one in ten above {high}."
    caption = f"{model}: how many {word}s have how many nats per token. Half are below {middle}, 10 % above {high}."
    rows = [[f"{numbers.figure(start)} to {numbers.figure(end)}", numbers.count(count)] for start, end, count in counts]
    data = plain("The numbers of the picture", ["Nats per token", f"{word.capitalize()}s"], rows)
    above = f"{word.capitalize()}s"
    svg = drawn("loss", alternative, {"any": lambda: histogram(counts, "Nats per token", False, above)})
    return Picture(caption, alternative, data, svg)


def _share_of_worst(found: Sequence[Unit]) -> str:
    """What part of all nats stands in the tenth with the most nats per token, "" where there are too few."""
    if len(found) < 10:
        return ""
    order = sorted(found, key=lambda one: -one.rate)[: len(found) // 10]
    nats, tokens = sum(one.nats for one in found), sum(one.tokens for one in found)
    if not nats:
        return ""
    mine = sum(one.nats for one in order) / nats, sum(one.tokens for one in order) / tokens
    return f"the hardest tenth holds {numbers.percent(mine[0])} of all nats in {numbers.percent(mine[1])} of the tokens"


def _models(run: RunFiles, shown: TextPredictions, found: Sequence[Unit], word: str) -> Table | None:
    """Quantiles of nats per token for every model that counts the same tokens, and how often the shown one is worse."""
    from whet.data.predictions import TextPredictions

    columns = [Column("Model"), Column("All tokens", True, "Nats of all rows over tokens of all rows.")]
    columns += [Column(title, True) for title in ("10 % below", "Median", "90 % below")]
    columns.append(Column(f"{word.capitalize()}s easier to it", True, f"{word.capitalize()}s that are likelier to it."))
    rows = []
    for model in models_of(run):
        other = run.predictions(model, TextPredictions)
        if other is None or not np.array_equal(other.ids, shown.ids) or not _same_tokens(other, shown):
            continue
        theirs = units(other)
        if len(theirs) != len(found):
            continue
        rates = np.asarray([one.rate for one in theirs])
        whole = sum(one.nats for one in theirs) / sum(one.tokens for one in theirs)
        cells = [words(model), number(whole, numbers.figure(whole))]
        for share in (0.1, 0.5, 0.9):
            value = float(np.quantile(rates, share))
            cells.append(number(value, numbers.figure(value)))
        better = sum(one.nats < mine.nats for one, mine in zip(theirs, found, strict=True))
        mine = model == run.shown_model
        cells.append(number(None if mine else better, numbers.ABSENT if mine else numbers.count(better)))
        rows.append(Row(cells, marked=mine))
    return Table(f"Nats per token by {word}, every model", columns, rows) if rows else None


def _same_tokens(first: TextPredictions, second: TextPredictions) -> bool:
    return first.tokens is not None and second.tokens is not None and np.array_equal(first.tokens, second.tokens)


def _lengths(found: Sequence[Unit], word: str) -> Table | None:
    """Nats per token along the number of tokens; None where the lengths are all alike."""
    tokens = np.asarray([one.tokens for one in found])
    edges = np.unique(np.quantile(tokens, np.linspace(0, 1, NUM_LENGTHS + 1)[1:-1]))
    places = np.searchsorted(edges, tokens, side="left")
    if len(np.unique(places)) < 2:
        return None
    rows = []
    for place in np.unique(places):
        mine = [one for one, here in zip(found, places, strict=True) if here == place]
        low, high, total = (of([one.tokens for one in mine]) for of in (min, max, sum))
        span = f"{numbers.count(low)} to {numbers.count(high)}" if high > low else numbers.count(low)
        rate = numbers.figure(sum(one.nats for one in mine) / total)
        rows.append([span, numbers.count(len(mine)), numbers.count(total), rate])
    titles = [f"Tokens of the {word}", f"{word.capitalize()}s", "Tokens together", "Nats per token"]
    return plain("By length", titles, rows)


def hardest(run: RunFiles) -> Section:
    """The texts with the most and with the fewest nats per token."""
    made = _weighed(run)
    if isinstance(made, str):
        return Section("hardest", TITLES["hardest"], absent=made)
    predictions, found = made
    order = sorted(range(len(found)), key=lambda place: (-found[place].rate, place))
    worst = order[: max(1, min(NUM_WORST, len(order) // 2))]
    best = [place for place in order[::-1][:NUM_BEST] if place not in worst]
    base = _base_rates(run, predictions)
    groups = []
    for title, chosen in (("Most nats per token", worst), ("Fewest nats per token", best)):
        firsts = {place: found[place].rows[0] for place in chosen}
        sources = run.sources(predictions, firsts.values(), ["text", "line"])
        shown = [
            _text(predictions, found[place], sources.get(row) or {}, base.get(row)) for place, row in firsts.items()
        ]
        if shown:
            groups.append((title, shown))
    content = {
        "model": run.shown_model,
        "groups": groups,
        "total": numbers.plural(len(found), _word(predictions)),
        "word": _word(predictions),
        "has_texts": any(one.text for _, shown in groups for one in shown),
    }
    return Section("hardest", TITLES["hardest"], content)


def _base_rates(run: RunFiles, shown: TextPredictions) -> dict[int, float]:
    """``{first row of a unit: nats per token}`` on the untouched base, where it counts the same tokens."""
    from whet.data.predictions import TextPredictions

    other: Any = run.predictions("base", TextPredictions) if run.shown_model != "base" else None
    if other is None or not np.array_equal(other.ids, shown.ids) or not _same_tokens(other, shown):
        return {}
    return {one.rows[0]: one.rate for one in units(other)}


def _text(predictions: TextPredictions, one: Unit, source: dict[str, Any], base: float | None) -> Weighed:
    row, given = one.rows[0], str(source.get("text") or "")
    facts = [("Nats per token", numbers.figure(one.rate))]
    if base is not None:
        facts.append(("On the untouched base", numbers.figure(base)))
    facts.append(("Tokens", numbers.count(one.tokens)))
    if one.num_right is not None:
        facts.append(("Likeliest token is the true one", numbers.percent(one.num_right / one.tokens)))
    if len(one.rows) > 1:
        facts.append(("Rows", numbers.count(len(one.rows))))
    accepted = predictions.gold[row] if predictions.gold is not None else ()
    if not accepted:
        return Weighed("", shortened(given, LONGEST), facts, source.get("line"))
    prompt = given if len(given) <= LONGEST // 2 else "… " + given[-LONGEST // 2 :].lstrip()
    return Weighed(prompt, shortened(accepted[0], LONGEST), facts, source.get("line"))
