"""Fine-tune or prompt: a language model that is asked in words beside the tuned model, and what both cost.

Out of ``prompting.json``, which a run leaves where such baselines were asked (``standing`` of
:mod:`whet.evaluation.break_even`), and the scores of all models on the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.evaluation.break_even import rounded
from whet.files import read_json
from whet.report import kinds, numbers
from whet.report.run_files import RunFiles
from whet.report.score_tables import heading, metric_names
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, words

TITLE = "Fine-tune or prompt"
FILE = "prompting.json"
WAYS = {
    "zero_shot": "without examples",
    "few_shot": "with examples",
    "nearest_shots": "with the nearest examples",
}
NEVER = "never"
Facts = Mapping[str, Any]


def prompted(run: RunFiles) -> bool:
    """Whether a language model was asked in words in this run."""
    return (run.folder / FILE).is_file()


def prompting(run: RunFiles) -> Section:
    """Scores and costs of each way of prompting beside those of the tuned model."""
    told = read_json(run.folder / FILE)
    ways: dict[str, Facts] = {name: told["ways"][name] for name in [*WAYS, *told["ways"]] if name in told["ways"]}
    if not ways:
        return Section("prompting", TITLE, absent="No language model was asked in words.")
    tuned = str(told.get("tuned") or "")
    content: dict[str, Any] = {
        "asked": list(dict.fromkeys(str(one.get("asked")) for one in ways.values())),
        "quality": _quality(run, tuned, ways),
        "costs": _costs(told, tuned, ways),
        "even": [(name, str(one["words"])) for name, one in ways.items() if one.get("words")],
        "left_out": _left_out(told, ways),
        "draws": _draws(ways),
        "notes": [note for name, one in ways.items() for note in _notes(name, one, kinds.words(run.kind))],
        "instructions": list(dict.fromkeys(str(one["instruction"]) for one in ways.values() if one.get("instruction"))),
    }
    return Section("prompting", TITLE, content)


def _quality(run: RunFiles, tuned: str, ways: Mapping[str, Facts]) -> Table | None:
    """The tuned model and each way, on the same rows of test."""
    scores = run.scores or {}
    models = {name: scores["models"][name] for name in (tuned, *ways) if name in (scores.get("models") or {})}
    if not models:
        return None
    names = _metrics(models, str(scores.get("primary", "accuracy")))
    columns = [Column("Model")]
    columns += [Column(heading(name), True, numbers.metric(name).meaning) for name in names]
    columns += [
        Column("Examples shown", True, "Training rows with their answers before each question, on average."),
        Column("Over draws", True, "Worst to best value of the draws of examples, on validation."),
        Column("Not readable", True, "Replies on test that are no answer; these rows got what is said unseen."),
    ]
    rows = []
    for model, metrics in models.items():
        cells = [words(model, WAYS.get(model, "tuned"))]
        for name in names:
            value, low, high = numbers.measured(metrics.get(name))
            cells.append(number(value, numbers.written(value, name), numbers.interval(low, high, name)))
        rows.append(Row([*cells, *_asking_cells(ways.get(model))], marked=model == tuned))
    kind = kinds.words(run.kind)
    size = numbers.plural(scores.get("num_rows"), kind.row, kind.rows)
    return Table(f"The tuned model and prompting on the same {size} of test", columns, rows)


def _metrics(models: Mapping[str, Facts], primary: str) -> list[str]:
    """The primary metric, and the first that all have where it is not one of these."""
    names = metric_names(models, primary)
    shared = [name for name in names if all(name in one for one in models.values())]
    return list(dict.fromkeys([*names[:1], *shared[:1]]))


def _asking_cells(way: Facts | None) -> list[Cell]:
    if way is None:
        return [Cell(numbers.ABSENT)] * 3
    shots = way.get("shots") or {}
    mean, fewer = shots.get("mean"), shots.get("rows_with_fewer")
    shown = "" if not numbers.is_number(mean) else f"{mean:.1f}".removesuffix(".0")
    note = f"fewer in {numbers.plural(fewer, 'row')}: no room" if fewer else ""
    spread = way.get("spread") or {}
    values = [value for value in spread.get("validation") or [] if numbers.is_number(value)]
    metric = str(spread.get("metric"))
    range_ = numbers.interval(min(values), max(values), metric) if len(values) > 1 else numbers.ABSENT
    lost = (way.get("unparsable") or {}).get("test")
    weighed = Cell("none", "answers were weighed") if way.get("weighed") else number(lost, numbers.count(lost))
    return [
        number(mean, shown or numbers.ABSENT, note),
        Cell(range_, f"{len(values)} draws" if values else ""),
        weighed,
    ]


def _costs(told: Facts, tuned: str, ways: Mapping[str, Facts]) -> Table:
    """What a request costs, and after how many of them the tuned model has cost less."""
    columns = [
        Column("Model"),
        Column("Seconds a request", True, "On average; beneath it from the cheapest to the dearest tenth."),
        Column("Tokens read", True, "Of a request, on average."),
        Column("Tokens written", True, "Of a request, on average."),
        Column("Price a request", True, "In the currency of the prices in the recipe."),
        Column("Even by time", True, "Requests after which training has taken less time than prompting."),
        Column("Even by price", True, "Requests after which fine-tuning has cost less than prompting."),
        Column("Labels saved", True, "Training rows that prompting needs no labels of."),
    ]
    rows = []
    for name, way in ways.items():
        costs, even = way.get("a_request") or {}, way.get("break_even") or {}
        cells = [words(name), _spread(costs.get("seconds"), numbers.seconds)]
        cells += [_spread(costs.get(part), numbers.count) for part in ("tokens_in", "tokens_out")]
        cells.append(_spread(costs.get("price"), numbers.figure))
        cells += [_range(even.get(unit)) for unit in ("seconds", "money")]
        saved = way.get("labels_saved")
        rows.append(Row([*cells, number(saved, numbers.count(saved))]))
    speed, train = told.get("rows_per_second"), told.get("train_seconds")
    own = [words(tuned, f"after {numbers.seconds(train)} of training" if numbers.is_number(train) else "")]
    seconds = 1 / speed if numbers.is_number(speed) and speed > 0 else None
    own.append(number(seconds, _short(seconds)))
    rows.insert(0, Row([*own, *[Cell(numbers.ABSENT)] * (len(columns) - 2)], marked=True))
    return Table("What a request costs, and when fine-tuning has paid for itself", columns, rows)


def _short(seconds: Any) -> str:
    """Seconds of a request, which may be thousandths."""
    if not numbers.is_number(seconds):
        return numbers.ABSENT
    return numbers.seconds(seconds) if seconds >= 0.1 else f"{numbers.decimal(1000 * seconds, 1)}{numbers.GAP}ms"


def _spread(spread: Any, written: Any) -> Cell:
    if not isinstance(spread, Mapping):
        return Cell(numbers.ABSENT)
    low, mean, high = (spread.get(part) for part in ("low", "mean", "high"))
    shown = _short if written is numbers.seconds else written
    note = f"{shown(low)} to {shown(high)}" if low != high else ""
    return number(mean, shown(mean), note)


def _range(even: Any) -> Cell:
    """``1,200 to 3,400``; ``1,200 to never``; ``never``."""
    if not isinstance(even, Mapping):
        return Cell(numbers.ABSENT)
    low, high = even.get("low"), even.get("high")
    if not numbers.is_number(low):
        return Cell(NEVER)
    last = _requests(high) if numbers.is_number(high) else NEVER
    first = _requests(low)
    return number(low, first if first == last else f"{first} to {last}")


def _requests(value: float) -> str:
    return numbers.count(rounded(value))


def _left_out(told: Facts, ways: Mapping[str, Facts]) -> str:
    """What the prices that are not known leave open."""
    prices = told.get("prices") or {}
    if not any((way.get("break_even") or {}).get("money") for way in ways.values()):
        if prices.get("machine") is not None:
            return "What is paid cannot be compared: the prices of the endpoint are not in the recipe."
        return "What is paid cannot be compared: prompting.machine_price is not in the recipe."
    if prices.get("label") is None:
        return "Labels count as free: prompting.label_price is not in the recipe."
    return ""


def _draws(ways: Mapping[str, Facts]) -> Table | None:
    """Every draw of examples with its value."""
    spread = next((way["spread"] for way in ways.values() if way.get("spread")), None)
    if spread is None:
        return None
    metric, test = str(spread["metric"]), spread.get("test")
    title = heading(metric)
    columns = [Column("Draw"), Column(f"{title}, validation", True)]
    columns += [Column(f"{title}, test", True)] if test else []
    columns.append(Column("Training rows, in the order shown", prose=True))
    rows = []
    for place, (value, draw) in enumerate(zip(spread["validation"], spread["draws"], strict=True)):
        cells = [words(place + 1, "answers the test rows" if place == spread["best"] else "")]
        cells.append(number(value, numbers.written(value, metric)))
        if test:
            cells.append(number(test[place], numbers.written(test[place], metric)))
        rows.append(Row([*cells, Cell(", ".join(map(str, draw)))], marked=place == spread["best"]))
    size = numbers.plural(spread.get("rows"), "validation row")
    return Table(f"Draws of examples for few_shot, tried on {size}", columns, rows)


def _notes(name: str, way: Facts, kind: kinds.Kind) -> list[str]:
    """What is to be known of how a way was asked."""
    notes = []
    spent = way.get("spent") or {}
    if numbers.is_number(spent.get("requests")):
        price = f", price {numbers.figure(spent['price'])}" if numbers.is_number(spent.get("price")) else ""
        cached = f" and {numbers.count(spent['cached'])} known from before" if spent.get("cached") else ""
        took = numbers.seconds(spent.get("seconds"))
        notes.append(f"{name}: {numbers.plural(spent['requests'], 'request')}{cached}, {took}{price}.")
    if way.get("rows_cut"):
        notes.append(f"{name}: {numbers.plural(way['rows_cut'], kind.row, kind.rows)} had no room and were shortened.")
    for what, count in (way.get("counted") or {}).items():
        if count:
            notes.append(f"{name}: {what}: {numbers.count(count)}.")
    if way.get("weighed"):
        how = "after calibration by inputs that say nothing" if way.get("calibrated") else "without calibration"
        notes.append(f"{name}: the likeliest answer counts, {how}.")
    return notes
