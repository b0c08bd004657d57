"""The model card: ``model/README.md`` with the front matter that the Hugging Face Hub reads.

It speaks of the model that lies beside it, which is not always the one that the verdict ships: a baseline
may win that is kept elsewhere, or not at all.

The licence is left open on purpose: it follows from the base, the data and the owner's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whet.evaluation.measures import MEASURES
from whet.evaluation.wording import model_words
from whet.files import write_text
from whet.folder import instead
from whet.report import numbers
from whet.report.kinds import hub_task, words
from whet.report.run_files import RunFiles, read_run
from whet.report.score_tables import metric_names, ranked, weakest

LIMITS = {
    "classes": "It knows only the labels above: a text about anything else gets one of them all the same.",
    "several": "It knows only the labels above; what is none of them can at best get no label.",
    "spans": "It knows only the types above; entities may not overlap or lie inside each other.",
    "answers": "It can only give words that stand in the context, in one piece; it knows nothing else.",
    "values": "Its values mean what the scores of the training rows meant; far outside their range it is guessing.",
    "ranks": "Its scores order the passages of one query; they are no probabilities and not alike across queries.",
    "texts": "It knows what is likely, not what is true: a fluent text may be wrong, and nothing in it checks that.",
    "preferences": "It was taught to prefer some answers to others: what it says may please and be wrong all the same.",
    "language-modeling": "It goes on with texts like those it was trained on; it was not taught to follow orders.",
    "fill-mask": "It fills in masked tokens with both sides known; its numbers are of masked tokens alone, not to be "
    "held against those of a model that reads from left to right.",
}
"""What a model of each kind, and of a task of which more is to be said, cannot do."""
FROZEN = "probe"
"""The model that leaves its base as it is."""
TASK_WORDS = {"language-modeling": "language modelling", "fill-mask": "filling in masked words"}
"""What a task is called in a sentence, where its name does not say it."""
PER_TOKEN = ("token_nats", "perplexity", "token_accuracy")
"""Metrics that speak of tokens, so of one tokenizer."""
OPEN_LICENSE = "# license: left open; choose one that the base model and the data allow"


def write_card(
    run_folder: Path,
    usage: str,
    base_model: str = "",
    dataset: str = "",
    model_name: str = "",
    library: str = "transformers",
) -> Path:
    """Write ``model/README.md`` into a run folder, out of the files that are there; return its path.

    :param usage: Markdown that shows how to use the model, without a heading; the report shows it too.
    :param base_model: hub id of the base; left out where empty (a local folder means nothing elsewhere).
    :param dataset: hub id or plain name of the data.
    :param model_name: the card's title; the run's name where empty.
    :param library: what loads the model: "transformers", "peft" or "sentence-transformers".
    :raises UserError: F010 no such run folder; F001, F002, F003 the card cannot be written.
    """
    run = read_run(run_folder)
    name = model_name or run.name
    parts = [
        front_matter(run, name, base_model, dataset, library),
        f"# {inline(name)}\n",
        _opening(run, base_model),
        _verdict(run),
        _scores(run),
        _data(run, dataset),
        _limits(run),
        f"## Use\n\n{_answering(run)}{usage.strip()}\n",
    ]
    path = run_folder / "model" / "README.md"
    path.parent.mkdir(exist_ok=True)
    write_text(path, "\n".join(part for part in parts if part))
    return path


def front_matter(run: RunFiles, name: str, base_model: str, dataset: str, library: str) -> str:
    """The YAML block between two lines of dashes."""
    import yaml

    named = run.task or "text-classification"
    task = hub_task(named, library)
    about: dict[str, Any] = {"library_name": library, "pipeline_tag": task}
    if base_model:
        about["base_model"] = base_model
    if dataset.count("/") == 1:  # only ids of the hub may stand in this field
        about["datasets"] = [dataset]
    about["tags"] = [*dict.fromkeys((task, named)), "whet"]
    entry = _index_entry(run, task, dataset)
    if entry:
        about["metrics"] = [one["type"] for one in entry["metrics"]]
        about["model-index"] = [{"name": name, "results": [entry]}]
    block = yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{OPEN_LICENSE}\n{block}---\n"


def _index_entry(run: RunFiles, task: str, dataset: str) -> dict[str, Any] | None:
    """One result in the model-index form; the interval stands in the metric's name, where the Hub shows it."""
    found = _own_scores(run)
    if not found:
        return None
    metrics = []
    for metric_name in metric_names({"model": found}, str((run.scores or {}).get("primary", ""))):
        value, low, high = numbers.measured(found.get(metric_name))
        if value is None:
            continue
        title = numbers.metric(metric_name).title
        if low is not None and high is not None:
            title += f" (95 % interval {low:.4f} to {high:.4f})"
        metrics.append({"type": metric_name, "value": round(value, 6), "name": title})
    split = str((run.scores or {}).get("split", "test"))
    kind = dataset if dataset.count("/") == 1 else "private"
    return {
        "task": {"type": task, "name": task.replace("-", " ").capitalize()},
        "dataset": {"name": dataset or "the data of this run", "type": kind, "split": split},
        "metrics": metrics,
    }


def _own(run: RunFiles) -> str | None:
    """The model that the card is about."""
    return run.saved_model or run.shown_model


def _own_scores(run: RunFiles) -> Mapping[str, Any]:
    models = (run.scores or {}).get("models") or {}
    found: Mapping[str, Any] = models.get(_own(run)) or {}
    return found


def _opening(run: RunFiles, base_model: str) -> str:
    scores = run.scores or {}
    labels = [str(label) for label in scores.get("labels") or []]
    named = f" `{inline(base_model)}`" if base_model else ""
    if _own(run) == FROZEN:
        source = f"The frozen base{named} with a linear head," if named else "A frozen base with a linear head,"
    else:
        source = f"{named.strip()}, fine-tuned" if named else "A fine-tuned model"
    task = TASK_WORDS.get(run.task) or (run.task or "text-classification").replace("-", " ")
    several = " A text may carry several labels, or none." if scores.get("multi_label") else ""
    shown = ", ".join(f"`{inline(label)}`" for label in labels[:40]) + (", …" if len(labels) > 40 else "")
    word = "type" if run.kind == "spans" else "label"
    listing = f"\n\n{numbers.plural(len(labels), word)}: {shown}." if labels else ""
    return f"{source} for {task} with whet.{several}{listing}\n"


def _verdict(run: RunFiles) -> str:
    if not run.verdict:
        return ""
    parts = [inline(run.verdict.get("reason", "")), _other(run)]
    return "## Verdict\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _other(run: RunFiles) -> str:
    """That the verdict ships another model than this one, and how far apart they are."""
    own, ships = _own(run), run.ships
    if not own or not ships or own == ships:
        return ""
    text = f"**The verdict ships another model.** This one is `{inline(own)}`; the verdict ships `{inline(ships)}`"
    if model_words(ships) != ships:
        text += f" ({model_words(ships)})"
    return f"{text}{_distance(run, own, ships)}."


def _distance(run: RunFiles, own: str, ships: str) -> str:
    metric, models = str((run.scores or {}).get("primary", "accuracy")), (run.scores or {}).get("models") or {}
    ours, others = (numbers.measured((models.get(name) or {}).get(metric))[0] for name in (own, ships))
    if ours is None or others is None:
        return ""
    known = numbers.metric(metric)
    gain = (others - ours) * (1 if known.higher_is_better else -1)
    far = f"{numbers.amount(gain, metric)} {'better' if gain > 0 else 'worse'}" if gain else "exactly as good"
    values = f"{numbers.written(others, metric)} against {numbers.written(ours, metric)}"
    return f", {far} on the same {words(run.kind).rows} ({known.title} {values})"


def _answering(run: RunFiles) -> str:
    """Which model ``whet predict`` answers with, where that needs saying."""
    own, ships = _own(run), run.ships
    if not own or not ships or own == ships:
        return ""
    if not run.is_kept(ships):
        return f"{inline(instead(ships, own))}\n\n"
    ships = inline(ships)
    return f"whet answers with `{ships}`, which lies in `models/{ships}` of the run; here lies `{inline(own)}`.\n\n"


def _scores(run: RunFiles) -> str:
    scores = run.scores or {}
    models = scores.get("models") or {}
    if not models:
        return ""
    primary = str(scores.get("primary", "accuracy"))
    names = metric_names(models, primary)
    head = ["Model", *(numbers.metric(name).title for name in names)]
    lines = [_line(head), _line(["---", *["---:"] * len(names)])]
    for model in ranked(models, primary):
        shown = [f"**{inline(model)}**" if model == _own(run) else inline(model)]
        for name in names:
            value, low, high = numbers.measured(models[model].get(name))
            interval = numbers.interval(low, high, name)
            shown.append(numbers.written(value, name) + (f" ({interval})" if interval else ""))
        lines.append(_line(shown))
    kind = words(run.kind)
    rows = numbers.plural(scores.get("num_rows"), kind.row, kind.rows)
    note = f"All models on the same {rows} of {inline(scores.get('split', 'test'))}, with 95 % intervals; "
    note += "this model in bold."
    turned = [numbers.spoken(name) for name in names if not numbers.metric(name).higher_is_better]
    if turned:
        listed = " and ".join(part for part in (", ".join(turned[:-1]), turned[-1]) if part)
        note += f" Smaller is better for {listed}."
    if any(name in PER_TOKEN for name in names):
        note += " What is counted by token compares with models of the same tokenizer only, bits per byte with any."
    return "## Scores\n\n" + note + "\n\n" + "\n".join(lines) + "\n"


def _data(run: RunFiles, dataset: str) -> str:
    splits = (run.audit or {}).get("splits") or {}
    if not splits and not dataset:
        return ""
    lines = [f"Trained and tested on {inline(dataset)}.\n"] if dataset else []
    labelled = (
        [words(run.kind).labels.capitalize() or "Labels"] if any(one.get("labels") for one in splits.values()) else []
    )
    if splits:
        head = ["Split", "Rows", *labelled, "Characters, median"]
        lines += [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for name, about in splits.items():
        median = (about.get("characters") or {}).get("median")
        counts = [about.get("rows"), *([len(about.get("labels") or {})] if labelled else []), median]
        lines.append(_line([inline(name), *(numbers.count(count) for count in counts)]))
    return "## Data\n\n" + "\n".join(lines) + "\n"


def _limits(run: RunFiles) -> str:
    scores, told = run.scores or {}, run.verdict or {}
    lines = [LIMITS["several" if scores.get("multi_label") else run.kind]] if run.kind in LIMITS else []
    lines += [LIMITS[run.task]] if run.task in LIMITS else []
    lines += _cut_short(run)
    lines.append(
        "The scores hold for texts like those of the test split; other sources, times or languages may differ."
    )
    if told.get("minimum_detectable_effect") is not None and scores.get("num_rows"):
        metric = str(told.get("metric", "accuracy"))
        kind, of = words(run.kind), "" if metric == "accuracy" else f" of {numbers.spoken(metric)}"
        lines.append(
            f"{numbers.plural(scores['num_rows'], f'test {kind.row}', f'test {kind.rows}')} cannot tell models apart "
            f"that differ by less than {_size(told['minimum_detectable_effect'], metric)}{of}."
        )
    own = _own(run)
    classes = (scores.get("per_class") or {}).get(own) or run.details_of(own).get("per_type") or []
    worst = [one for one in weakest(classes, 3) if one["f1"] < 1]
    if worst:
        named = ", ".join(f"`{inline(one['label'])}` (F1 {numbers.percent(one['f1'])})" for one in worst)
        lines.append(f"Weakest {'types' if run.kind == 'spans' else 'labels'}: {named}.")
    for one in run.findings or []:
        if one.get("bin") == "issue" and str(one.get("code", "")).startswith(("V", "A")):
            lines.append(f"{one.get('code')}: {inline(one.get('message', ''))}")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"


def _size(effect: float, metric: str) -> str:
    """A size of a difference in points, or in the metric's own unit where it has one."""
    known = MEASURES.get(metric)
    own = f"{numbers.GAP}{known.unit}" if known is not None and known.unit and known.shown == "plain" else ""
    return numbers.amount(effect, metric) + own


def _cut_short(run: RunFiles) -> list[str]:
    """How many texts of the test split came to no end of their own, where any."""
    about = ((run.scores or {}).get("details") or {}).get(_own(run))
    counts = about.get("counts") if isinstance(about, dict) else None
    if not isinstance(counts, dict) or not counts.get("cut_short"):
        return []
    rows = numbers.plural(counts.get("rows"), "text")
    cut = numbers.count(counts["cut_short"])
    return [f"Of {rows} that it wrote for the test split, the limit on their length cut off {cut}."]


def inline(text: Any) -> str:
    """Text that cannot break out of a line, a table cell or a code span, nor become HTML."""
    flat = " ".join(str(text).split())
    for sign, harmless in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "'")):
        flat = flat.replace(sign, harmless)
    return flat


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
