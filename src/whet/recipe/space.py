"""What a search draws from: the dimensions of a space, which of them belong to a method, and mistakes in them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from whet.errors import did_you_mean
from whet.recipe.names import LANGUAGE
from whet.recipe.schema import Recipe

Setting = dict[str, Any]
"""Options by dotted name, as a trial draws them."""
SEARCHED: tuple[str, ...] = ("full", "lora", "bitfit")
"""Methods that are tried where neither the recipe nor the space names any; beside them the one that 'auto' takes."""
RATES = 5.0
"""The range of a rate goes from the one that 'auto' takes, divided by this, to as many times as much."""
RANKS = (4, 16, 64)
PASSES = (0.5, 1.0, 1.5)
"""Passes over the rows that are tried, as multiples of what 'auto' takes."""
DECAYS = (1.0, 0.9)
LOSSES = ("supervised", "cosine")
"""Of method contrastive."""
NEVER: tuple[str, ...] = (
    *("version", "task", "seed", "search", "stages", "controls", "evaluation", "prompting", "judge", "generation"),
    *("selection", "data", "forgetting.measure", "forgetting.text", "forgetting.probes", "forgetting.max_rows"),
    *("forgetting.limit", "training.max_seconds", "training.checkpoint_seconds"),
)
"""Options, and parts, that say what is measured or on which rows: settings that differ in them cannot be compared."""
STILL: tuple[str, ...] = ("data.max_length", "data.stride")
"""Options of these parts that may be searched all the same."""
TOKENS: tuple[str, ...] = ("base", "vocabulary", "masking", "chat", "sources", "data.max_length", "data.stride")
"""What changes which tokens are asked for: not searched where the likelihood of tokens is what is measured."""
KEYS = {"low", "high", "log", "step"}


@dataclass(frozen=True, slots=True)
class Dimension:
    """One option that is searched: a range, or ``choices`` where there are any.

    ``method``: the only method that draws from it; "" for all that the option belongs to.
    """

    option: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    whole: bool = False
    method: str = ""

    @property
    def name(self) -> str:
        """Tells it apart from other dimensions of the same option."""
        return f"{self.option} ({self.method})" if self.method else self.option

    def values(self) -> list[Any]:
        """Every value of it, for a grid; [] where there are endlessly many."""
        if self.choices:
            return list(self.choices)
        if self.step is None and not (self.whole and not self.log):
            return []
        step = self.step or 1.0
        found = [self.low + number * step for number in range(int((self.high - self.low) / step + 1e-9) + 1)]
        return [int(one) for one in found] if self.whole else found

    def to_json(self) -> dict[str, Any]:
        """A JSON object: the choices, or the ends of the range."""
        if self.choices:
            return {"option": self.option, "method": self.method, "choices": list(self.choices)}
        return {
            "option": self.option,
            "method": self.method,
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
        }


def dimensions(recipe: Recipe) -> list[Dimension]:
    """Of a recipe whose space is given; methods first, since others depend on them."""
    space = recipe.search.space
    assert space != "auto"
    found = [_dimension(option, wanted) for option, wanted in space.items()]
    return sorted(found, key=lambda one: one.option != "method")


def _dimension(option: str, wanted: Any) -> Dimension:
    if isinstance(wanted, list):
        return Dimension(option, tuple(wanted))
    whole = not accepts(option, 1.5) and accepts(option, 2)
    low, high = float(wanted["low"]), float(wanted["high"])
    step = float(wanted["step"]) if "step" in wanted else None
    return Dimension(option, (), low, high, bool(wanted.get("log", False)), step, whole)


def methods_of(recipe: Recipe) -> tuple[str, ...]:
    """The methods that a search tries: those of its space, of the recipe, or the usual ones."""
    space = recipe.search.space
    if space != "auto" and "method" in space:
        named = space["method"]
        return tuple(str(one) for one in named) if isinstance(named, list) else ()
    if recipe.method != "auto":
        return (recipe.method,)
    return SEARCHED if space == "auto" else ("auto",)


def usual(
    methods: Sequence[str], rates: Mapping[str, float], epochs: Mapping[str, float], bases: Sequence[str] = ()
) -> list[Dimension]:
    """The space of 'auto': of each method the rate around its own, passes, and what else it is known to hang on.

    :param rates: what 'auto' takes as peak rate, by method.
    :param epochs: what 'auto' takes as passes over the rows, by method.
    :param bases: what training may begin from, where there is a choice.
    """
    first = [Dimension("method", tuple(methods))] if len(methods) > 1 else []
    moving = [method for method in methods if method != "probe"]
    rate = [
        Dimension("training.learning_rate", (), rates[one] / RATES, rates[one] * RATES, log=True, method=one)
        for one in moving
    ]
    more = [Dimension("layers.decay", DECAYS)] if {"full", "top-layers"} & set(methods) else []
    more += [Dimension("lora.rank", RANKS)] if {"lora", "qlora"} & set(methods) else []
    more += [Dimension("contrastive.loss", LOSSES)] if "contrastive" in methods else []
    begun = [Dimension("base", tuple(bases))] if len(bases) > 1 else []
    return [*first, *begun, *rate, *_passes({one: epochs[one] for one in moving}), *more]


def _passes(epochs: Mapping[str, float]) -> list[Dimension]:
    """Passes around those that 'auto' takes: one dimension where all methods take as many, else one of each."""
    around = {one: tuple(dict.fromkeys(max(1.0, round(many * x)) for x in PASSES)) for one, many in epochs.items()}
    if len(set(around.values())) > 1:
        return [Dimension("training.epochs", choices, method=one) for one, choices in around.items()]
    return [Dimension("training.epochs", choices) for choices in set(around.values())]


def belongs(dimension: Dimension, method: str) -> bool:
    """Whether a trial of ``method`` draws from it."""
    if dimension.method:
        return dimension.method == method
    if dimension.option == "method":
        return True
    if method == "probe" and dimension.option.startswith(("training.", "regularisation.", "layers.")):
        return False
    return method == "auto" or all(method in known for known in _methods_with(dimension.option))


def _methods_with(option: str) -> Iterator[tuple[str, ...]]:
    from whet.recipe.rules import OF_SOME_METHODS

    for part, methods in OF_SOME_METHODS.items():
        if f"{option}.".startswith(f"{part}."):
            yield methods


def grid(found: Sequence[Dimension], methods: Sequence[str]) -> list[Setting]:
    """Every setting of a space without endless ranges; what a method does not use is not varied under it."""
    chosen: list[Setting] = []
    for method in methods:
        of_method = [one for one in found if one.option != "method" and belongs(one, method)]
        first = {"method": method} if any(one.option == "method" for one in found) else {}
        for values in itertools.product(*(one.values() for one in of_method)):
            chosen.append(first | {one.option: value for one, value in zip(of_method, values, strict=True)})
    return chosen


def base_in_words(base: str) -> str:
    """``runs/domain`` for the model of a run, however long its path is; another base as it is called."""
    parts = base.split("/")
    for inside, length in (("model", 1), ("models", 2)):  # RUN/model, RUN/models/NAME
        if len(parts) > length + 1 and parts[-length] == inside:
            return "/".join(parts[-length - 2 : -length])
    return base


def shares_tokens(setting: Mapping[str, Any]) -> bool:
    """Whether rows become the same token ids under a setting as without it."""
    parts = {name.partition(".")[0] for name in setting}
    still = {"training", "layers", "lora", "quantisation", "regularisation", "head", "method"}
    return parts <= still and setting.get("method") not in ("prompt", "p-tuning", "prefix")


# --- mistakes ---------------------------------------------------------------------------------------


def mistakes(recipe: Recipe) -> Iterator[tuple[str, str, str, str]]:
    """R085 to R087 and R089: everything in ``search`` that cannot be meant."""
    wanted = recipe.search
    if recipe.method == "probe" and (wanted.space == "auto" or not wanted.space.keys() & {"method"}):
        if wanted.space != "auto":
            what = "is set, but method is 'probe', which is fitted to the end without a rate."
            yield "R089", "search.space", what, "Set method to auto or full, or search over method."
        return
    if wanted.space == "auto":
        if wanted.sampler == "grid":
            what = "is 'grid', but the usual space holds ranges."
            yield "R087", "search.sampler", what, "Name choices in search.space, or use 'tpe'."
        return
    if not wanted.space:
        yield "R086", "search.space", "is empty.", "Name options to search over, or leave it at auto."
    for option, given in wanted.space.items():
        found = list(_of_option(option, given, recipe))
        yield from found
        if not found and wanted.sampler == "grid" and not _dimension(option, given).values():
            what = f"{option} is a range without steps, and search.sampler is 'grid'."
            yield "R087", "search.space", what, "Give it a step or a list of choices, or use 'tpe'."


def _of_option(option: str, given: Any, recipe: Recipe) -> Iterator[tuple[str, str, str, str]]:
    where = "search.space"
    if field_of(option) is None:
        known = sorted(options())
        remedy = did_you_mean(option, known) or "See docs/recipe.md for all options."
        yield "R085", where, f"{option!r} is not an option.", remedy
        return
    if _is_of(option, NEVER) and option not in STILL:
        remedy = "Take it out; seeds are repeated by search.seeds."
        if option == "stages":
            remedy = "Search over base in its place: the names of stages, and the first base."
        yield "R085", where, f"{option} says what is measured, or on which rows, and is not searched.", remedy
        return
    if recipe.task in LANGUAGE and _is_of(option, TOKENS):
        what = f"{option} changes the tokens whose likelihood is measured: such settings cannot be compared."
        yield "R085", where, what, "Take it out, and compare two sweeps by a metric of texts."
        return
    yield from _of_values(option, given)
    methods = methods_of(recipe)
    if option != "method" and not any(belongs(Dimension(option), one) for one in methods):
        named = " or ".join(dict.fromkeys(one for some in _methods_with(option) for one in some)) or "another"
        what = f"{option} belongs to none of the methods that are tried ({', '.join(methods)})."
        yield "R089", where, what, f"Search over method {named}, too, or take it out."


def _of_values(option: str, given: Any) -> Iterator[tuple[str, str, str, str]]:
    where, examples = "search.space", "such as [1, 2] or {low: 0.1, high: 1, log: true}."
    if isinstance(given, list):
        if not given or len({json.dumps(one) for one in given}) < len(given):
            yield "R086", where, f"{option} has no choices, or one twice.", f"Give different values, {examples}"
        wrong = [one for one in given if not accepts(option, one)]
        if wrong:
            shown = ", ".join(map(repr, wrong))
            yield "R086", where, f"{option} cannot be {shown}.", "Give values that the option takes."
        return
    low, high, step = given.get("low"), given.get("high"), given.get("step")
    if low is None or high is None or not low < high or not set(given) <= KEYS or (step is not None and step <= 0):
        yield "R086", where, f"{option}: {given} is no range.", f"Give low and high, {examples}"
    elif given.get("log") and (low <= 0 or step is not None):
        yield "R086", where, f"{option}: a range of ratios begins above 0 and has no step.", "Take out log or step."
    else:
        whole = accepts(option, round(low)) and not accepts(option, 1.5)
        wrong = [one for one in (low, high) if not accepts(option, int(one) if whole and one == int(one) else one)]
        if wrong or (isinstance(low, bool) or isinstance(high, bool)):
            yield (
                "R086",
                where,
                f"{option} cannot be {wrong[0] if wrong else low}.",
                "Give values that the option takes.",
            )


def _is_of(option: str, parts: Sequence[str]) -> bool:
    return any(f"{option}.".startswith(f"{part}.") for part in parts)


def options() -> Iterator[str]:
    """Every option of a recipe by its dotted name."""
    for name, field in Recipe.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from (f"{name}.{leaf}" for leaf in inner.model_fields)
        else:
            yield name


def field_of(option: str) -> Any:
    """The field of an option, by its dotted name; None where there is none that takes a value."""
    model: Any = Recipe
    *parents, leaf = option.split(".")
    for parent in parents:
        field = model.model_fields.get(parent)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    found = model.model_fields.get(leaf)
    if found is None or (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel)):
        return None
    return found


def accepts(option: str, value: Any) -> bool:
    """Whether an option takes a value of its kind as it is; no text in the place of a number."""
    field = field_of(option)
    kind: Any = field.annotation
    for rule in field.metadata:
        kind = Annotated[kind, rule]
    try:
        TypeAdapter(kind).validate_python(value, strict=not isinstance(value, float | int) or isinstance(value, bool))
    except ValidationError:
        return False
    return not (isinstance(value, bool) and bool not in _members(field.annotation))


def _members(annotation: Any) -> set[Any]:
    """The plain types of a union."""
    return {annotation} | {inner for one in get_args(annotation) for inner in _members(one)}


def applied(recipe: Recipe, setting: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe with those of a setting in their place."""
    values = recipe.model_dump()
    for option, value in setting.items():
        *parents, leaf = option.split(".")
        place = values
        for parent in parents:
            place = place[parent]
        place[leaf] = value
    return values
