"""Sections of RESULTS.md: domain adaptation, distillation, a few examples, preferences, the search."""

from typing import Any

from few_shot import PUBLISHED
from results_of_methods import MIB, read, table

from whet.evaluation.measures import MEASURES

SETS = {
    "domain": ("chemprot", "ncbi_disease"),
    "distilling": ("banking77", "sst2", "wnut17"),
    "few_shot": ("banking77", "sst2", "sms_spam"),
}
LOSSES = ("dpo", "ipo", "orpo", "kto", "simpo")
BRANCHES = {
    "adapted": "the domain's texts first",
    "none": "without them",
    "irrelevant": "as much other text first",
    "equal-compute": "the task alone, as many tokens more",
}
WORDS_OF_DOMAIN = """\
Command: `python benchmarks/domain.py FOLDER`; `minilm` reads pubmed_trials_text once with words hidden, then learns the
task from 1,000 labelled rows; test splits are whole. Differences with 95 % intervals over seeds and test rows; the last
column is what the run itself concludes."""
WORDS_OF_DISTILLING = """\
Command: `python benchmarks/distilling.py FOLDER`; the teacher is `minilm` tuned whole, the control is the same
student tuned on labels alone. Kept: share of the teacher's score. Speed: rows a second in turn with the teacher and on
the same cores, as a multiple of its. Differences with 95 % intervals over test rows."""
WORDS_OF_FEW = """\
Command: `python benchmarks/few_shot.py`; means over draws on the whole test split, and the difference of contrastive
tuning to the others, with 95 % intervals over draws and test rows. As many rows as are trained on serve as validation.
A model that is asked in words stands beside them where one is named with `--prompting`."""
WORDS_OF_PREFERENCE = """\
Command: `python benchmarks/preference.py`, base `decoder_plain` tuned on the better answers first, seed 0. Pairs:
share of test pairs whose better answer is preferred, before (the reference's own likelihoods) and after. KL: nats an
answer, on answers of the tuned model's own."""
WORDS_OF_SEARCH = """\
Command: `python benchmarks/sweeping.py`; the process is killed half-way and the search resumed. Quality on test rows
with its 95 % interval over seeds and rows."""


def stages() -> list[str]:
    """All sections whose results are there."""
    return [*domain(), *distilling(), *few_shot(), *preferences(), *search()]


def _shown(value: float, metric: str) -> str:
    return f"{100 * value:.1f}" if MEASURES[metric].shown == "points" else f"{value:.3f}"


def _with_interval(one: dict[str, Any] | None, metric: str, name: str = "value") -> str:
    if not one or one.get(name) is None:
        return "-"
    return f"{_shown(one[name], metric)} ({_shown(one['low'], metric)} to {_shown(one['high'], metric)})"


def domain() -> list[str]:
    """Domain adaptation against its controls."""
    found = {name: one for name in SETS["domain"] if (one := read(f"domain_{name}"))}
    if not found:
        return []
    rows, words = [], []
    for name, one in found.items():
        metric, held = one["metric"], {control["kind"]: control for control in one["controls"]}
        for branch, values in one["values"].items():
            known = [value for value in values if value is not None]
            each = ", ".join(_shown(value, metric) for value in known)
            mean = _shown(sum(known) / len(known), metric) if known else "-"
            gain = _with_interval(held.get(branch), metric)
            rows.append([name, BRANCHES[branch], mean, each, gain, held.get(branch, {}).get("said", "")])
        words.append(f"{name}: {one['words']}")
    head = ["set", "training", "mean", "seeds", "gain of the domain's texts over it", "said"]
    metrics = ", ".join(f"{name} {MEASURES[one['metric']].words}" for name, one in found.items())
    lines = ["## Texts of the domain first", "", WORDS_OF_DOMAIN, "", f"Metrics: {metrics}.", "", *table(head, rows)]
    return [*lines, *(line for one in words for line in (one, ""))]


def distilling() -> list[str]:
    """What students keep, beside their controls."""
    found = {name: one for name in SETS["distilling"] if (one := read(f"distilling_{name}"))}
    if not found:
        return []
    head = ["set", "model", "quality", "kept", "distilled - control", "parameters, M", "size, MB", "speed"]
    rows = []
    for name, one in found.items():
        for number, (student, told) in enumerate(one["students"].items()):
            metric, models = told["metric"], told["models"]
            teacher = models["teacher"]
            if not number:
                rows.append([name, "teacher", *_about(teacher, teacher, metric, None, "")])
            for model in ("distilled", told["control"]):
                kept = told["kept"].get(model)
                gain = _with_interval(told["gain"], metric, "difference") if model == "distilled" else ""
                label = f"{student}{'' if model == 'distilled' else ', control'}"
                rows.append([name, label, *_about(models[model], teacher, metric, kept, gain)])
    return ["## Distillation", "", WORDS_OF_DISTILLING, "", *table(head, rows)]


def _about(
    one: dict[str, Any], teacher: dict[str, Any], metric: str, kept: dict[str, Any] | None, gain: str
) -> list[str]:
    """Quality, what is kept, the gain, size and speed."""
    share = "" if kept is None else f"{kept['share']:.1%} ({kept['low']:.1%} to {kept['high']:.1%})"
    speed = f"{one['rows_per_second'] / teacher['rows_per_second']:.2f}" if one.get("rows_per_second") else "-"
    size = f"{one['size_bytes'] / 1e6:.1f}" if one.get("size_bytes") else "-"
    return [_with_interval(one["value"], metric), share, gain, f"{one['parameters'] / 1e6:.1f}", size, speed]


def few_shot() -> list[str]:
    """A few examples a class."""
    found = {name: one["table"] for name in SETS["few_shot"] if (one := read(f"few_shot_{name}"))}
    if not found:
        return []
    asked = any("few_shot" in one["accuracy"] for sizes in found.values() for one in sizes)
    ways = ("tfidf_linear", "probe", "contrastive", "full", *(["few_shot"] if asked else []))
    against = tuple(way for way in ways if way not in ("tfidf_linear", "contrastive"))
    rows = []
    for name, sizes in found.items():
        for one in sizes:
            values, minus = [_mean_of(one, way) for way in ways], one.get("accuracy_contrastive_minus", {})
            gains = [_with_interval(minus.get(way), "accuracy") for way in against]
            published = PUBLISHED.get((name, one["size"]), "")
            rows.append([name, str(one["size"]), str(one["draws"]), *values, *gains, published])
    head = ["set", "a class", "draws", *ways, *(f"contrastive - {way}" for way in against), "published"]
    return ["## A few examples a class", "", WORDS_OF_FEW, "", "Metric: accuracy.", "", *table(head, rows)]


def _mean_of(one: dict[str, Any], way: str) -> str:
    """Over draws; with its interval where there are several."""
    if way not in one["accuracy"]:
        return "-"
    interval = one.get("accuracy_intervals", {}).get(way)
    return _with_interval(interval, "accuracy") if interval else _shown(one["accuracy"][way], "accuracy")


def preferences() -> list[str]:
    """Losses on pairs of answers, and what reading a prompt once saves."""
    found = {loss: one for loss in LOSSES if (one := read(f"hh_{loss}"))}
    if not found:
        return []
    rows = []
    for loss, one in found.items():
        metric, method = one["verdict"]["metric"], one["verdict"]["comparisons"][0]["candidate"]
        scores, own = one["scores"], (one["own_answers"] or {}).get(method, {})
        before = next((scores[name] for name in ("reference", "base") if name in scores), {})
        cells = [
            loss,
            method,
            _with_interval(before.get(metric), metric),
            _with_interval(scores[method][metric], metric),
        ]
        far = own.get("kl")
        cells += ["-" if not far else f"{far['value']:.2f} ({far['low']:.2f} to {far['high']:.2f})"]
        tokens = own.get("tokens", {})
        cells += [f"{tokens['base']:.0f} to {tokens['tuned']:.0f}" if tokens else "-"]
        rows.append([*cells, one["verdict"]["reason"]])
    head = ["loss", "method", "pairs before", "pairs after", "KL", "tokens of own answers", "the verdict's words"]
    lines = ["## Preferences", "", WORDS_OF_PREFERENCE, "", *table(head, rows)]
    saved = read("hh_saving")
    if saved:
        lines += [
            f"Prompts read once: {saved['fewer_tokens']:.0%} fewer tokens in a step and {saved['faster']:.2f} times as "
            f"fast, in turn ({saved['steps']} batches, `preference.py hh_saving`).",
            "",
        ]
    return lines


COSTS = (
    ("added_bytes", MIB, ",.0f"),
    ("train_seconds", 1, ".0f"),
)
"""Of a model of the search: where it stands, its unit, and how it is written."""


def _moves(costs: dict[str, Any]) -> str:
    """Share of the weights."""
    moved, total = costs.get("trainable_parameters"), costs.get("total_parameters")
    return f"{100 * moved / total:.1f} %" if moved is not None and total else "-"


def _shipped(costs: dict[str, Any]) -> str:
    """Megabytes in all: of an adapter with its base."""
    size = costs.get("size_bytes")
    return f"{(size + costs.get('base_bytes', 0)) / 1e6:.1f}" if size else "-"


def _forgotten(one: dict[str, Any] | None) -> str:
    """Points, or nats a token of a language model."""
    if not one or one.get("value") is None:
        return "-"
    return f"{one['value']:.3f} nats" if one.get("way") == "text" else f"{100 * one['value']:.1f}"


def _cost(costs: dict[str, Any], name: str, unit: float, form: str) -> str:
    return "-" if costs.get(name) is None else f"{costs[name] / unit:{form}}"


def _latency(costs: dict[str, Any]) -> str:
    rate = costs.get("predict_rows_per_second")
    return f"{1000 / rate:.2f}" if rate else "-"


def search() -> list[str]:
    """The search, killed and resumed."""
    found = read("sweeping")
    if not found:
        return []
    costs = ["moves", "memory beside the program's, MiB", "training, s", "to ship, MB", "ms a row"]
    head = ["model", "quality", "seeds", "forgotten", *costs]
    metric, rows = found["metric"], []
    for one in found["table"]:
        cells = [one["words"], _with_interval(one["value"], metric), str(one["num_seeds"])]
        costs_of = one["costs"]
        cells += [_forgotten(one.get("forgetting")), _moves(costs_of)]
        cells += [_cost(costs_of, *cost) for cost in COSTS]
        rows.append([*cells, _shipped(costs_of), _latency(costs_of)])
    counts, killed = found["counts"], found["killed"]
    told = f"{len(found['trials'])} trials on {found['set']} in {found['seconds']:.0f} s (limit "
    told += f"{60 * found['wanted']['minutes']:.0f}): {counts['complete']} complete, {counts['pruned']} given up, "
    told += f"{counts['failed']} failed; each counted once: {'yes' if found['each_once'] else 'no'}."
    if killed:
        told += f" Killed after {killed['seconds']:.0f} s and {killed['begun']} trials."
    lines = [
        "## Search",
        "",
        WORDS_OF_SEARCH,
        "",
        told,
        "",
        f"Metric: {MEASURES[metric].words}.",
        "",
        *table(head, rows),
    ]
    said = [f"{code}: {message}" for code, message in found["findings"].items()]
    return [*lines, f"Verdict: {found['verdict']}", "", *(line for one in said for line in (one, ""))]
