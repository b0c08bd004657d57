"""Rules across options: each a small function that says what contradicts what."""

from __future__ import annotations

from collections.abc import Iterator

from whet.recipe.address import REMEDY, mistake_of
from whet.recipe.distillation_rules import distilled
from whet.recipe.evidence import JudgeRecipe, PromptingRecipe
from whet.recipe.expanding import ADAPTING
from whet.recipe.few_shot_rules import few_shot
from whet.recipe.mixing import MixingRecipe
from whet.recipe.names import BASELINES, LANGUAGE, PROBED, PROMPTABLE, PROMPTED, SOFT
from whet.recipe.preference import PreferenceRecipe
from whet.recipe.preference_rules import preferred
from whet.recipe.quantised_rules import METHOD as ROUNDING
from whet.recipe.quantised_rules import OF_TRAINING, quantised
from whet.recipe.resolve import baselines, baselines_of
from whet.recipe.rows import AnswersRecipe, ChatRecipe, GenerationRecipe, MaskingRecipe, SimilarityRecipe, SourcesRecipe
from whet.recipe.schema import Recipe
from whet.recipe.space import mistakes
from whet.recipe.stages import ControlsRecipe, SelectionRecipe
from whet.recipe.training import QuantisationRecipe, RegularisationRecipe, TrainingRecipe

SAYING = ("text-generation", "translation", "summarization")
"""Tasks whose models write texts."""
WINDOWED = ("question-answering", "token-classification", "language-modeling")
"""Tasks that read a long text in windows; the others cut it."""

SAID: tuple[str, ...] = ("text-classification", "token-classification", *LANGUAGE)
"""Tasks whose models say how likely each answer is."""
WHOLE = ("text-classification", "sentence-similarity", "ranking", "regression")
"""Tasks whose truth belongs to texts, not to their tokens."""
WEIGHED = ("text-classification", "token-classification")
"""Tasks whose classes may weigh differently."""

OF_SOME_TASKS: dict[str, tuple[str, ...]] = {
    "answers": ("question-answering",),
    "similarity": ("sentence-similarity", "ranking"),
    "chat": (*SAYING, "preference"),
    "chat.train": SAYING[:1],
    "sources": SAYING[1:],
    "generation": (*SAYING, "preference"),
    "judge": SAYING,
    "evaluation.comet": ("translation",),
    "prompting": PROMPTABLE,
    "masking": ("fill-mask",),
    "selection": ADAPTING,
    "preference": ("preference",),
    "data.stride": WINDOWED,
    "data.corrections": ("text-classification",),
    "regularisation.r_drop": SAID,
    "regularisation.class_weights": WEIGHED,
    "regularisation.focal": WEIGHED,
    "regularisation.sampling": WEIGHED[:1],
    "regularisation.token_deletion": WHOLE,
    "regularisation.token_swap": WHOLE,
    "evaluation.label_noise": ("text-classification",),
    "forgetting.text": (*LANGUAGE, "preference"),
    "forgetting.probes": (*(task for task in BASELINES if task not in (*SAYING, "language-modeling", "preference")),),
    "forgetting.replay": LANGUAGE,
}
"""Options, and parts of the recipe, that belong to some tasks alone."""

Contradiction = tuple[str, str, str, str]
"""Code, option, what is wrong, what to do."""


def concerns(option: str, task: str) -> bool:
    """Whether ``option``, by its dotted name, belongs to ``task``."""
    return all(task in tasks for part, tasks in OF_SOME_TASKS.items() if f"{option}.".startswith(f"{part}."))


def matters(option: str, task: str, method: str) -> bool:
    """Whether ``option`` can have an effect on a training of this task by this method."""
    if method == ROUNDING and option.partition(".")[0] in OF_TRAINING:
        return False
    of_method = (methods for part, methods in OF_SOME_METHODS.items() if f"{option}.".startswith(f"{part}."))
    return concerns(option, task) and all(method in methods for methods in of_method)


def contradictions(recipe: Recipe) -> Iterator[Contradiction]:
    """Everything in ``recipe`` that cannot be meant together."""
    yield from _columns_differ(recipe)
    yield from _options_of_the_method(recipe)
    yield from _adapters_start_from_something(recipe)
    yield from _quantised_in_one_way(recipe)
    yield from _training_without_training(recipe)
    yield from _regularised(recipe)
    yield from _micro_batch_fits(recipe)
    yield from _rows_left_to_train(recipe)
    yield from _probe_of_the_task(recipe)
    yield from _baselines_of_the_task(recipe)
    yield from _addresses(recipe)
    yield from _someone_to_ask(recipe)
    yield from _judged_against_somebody(recipe)
    yield from _beams_draw_nothing(recipe)
    if recipe.task in PROMPTABLE:
        yield from _prompting_is_used(recipe)
    yield from _forgetting_is_measured(recipe)
    yield from _chosen_for_something(recipe)
    yield from _controls_of_stages(recipe)
    yield from _mixed_of_several(recipe)
    yield from _options_of_the_task(recipe)
    yield from mistakes(recipe)
    yield from few_shot(recipe)
    yield from distilled(recipe)
    yield from preferred(recipe)
    yield from quantised(recipe)


def _columns_differ(recipe: Recipe) -> Iterator[Contradiction]:
    named = {k: getattr(recipe.data, k) for k in ("text", "text_pair", "label", "negative")}
    taken: dict[str, str] = {}
    for option, column in named.items():
        if column in ("auto", "none"):
            continue
        if column in taken:
            yield (
                "R020",
                f"data.{option}",
                f"names column {column!r}, as data.{taken[column]} does.",
                "Name two columns.",
            )
        taken[column] = option


OF_SOME_METHODS: dict[str, tuple[str, ...]] = {
    "lora": ("lora", "qlora"),
    "soft": SOFT,
    "contrastive": ("contrastive",),
    "soft.start": ("prompt",),
    "soft.width": ("p-tuning",),
    "quantisation": ("qlora", "quantised"),
    "layers.top": ("top-layers",),
    "layers.decay": ("top-layers", "full"),
    "layers.gradual": ("top-layers", "full"),
    "regularisation.mixout": ("top-layers", "full"),
    "forgetting.interpolate": ("full", "top-layers", "bitfit", "lora", "qlora", "ia3"),
    "forgetting.replay": (*SOFT, "ia3", "lora", "qlora", "bitfit", "top-layers", "full"),
}
"""Options, and parts of the recipe, that belong to some methods alone."""


def _options_of_the_method(recipe: Recipe) -> Iterator[Contradiction]:
    """What is set and would have no effect; ``auto`` becomes full, lora or contrastive, and may be told about each."""
    for name, methods in OF_SOME_METHODS.items():
        part, _, leaf = name.partition(".")
        given = getattr(recipe, part)
        fresh = type(given)()
        is_set = given != fresh if not leaf else getattr(given, leaf) != getattr(fresh, leaf)
        may_become = recipe.method == "auto" and {"lora", "full", "contrastive"} & set(methods)
        if not is_set or recipe.method in methods or may_become:
            continue
        if leaf and recipe.method not in OF_SOME_METHODS.get(part, (recipe.method,)):
            continue  # said of the whole part already
        remedy = f"Set method to {' or '.join(methods)}, or remove it."
        if part == "quantisation" and recipe.method in ("full", "top-layers", "bitfit"):
            remedy = "Weights of 4 or 8 bits cannot be moved: set method to qlora, or round the model in a stage of "
            remedy += "method quantised behind this one."
        yield "R021", name, f"is set, but method is {recipe.method!r}.", remedy


def _adapters_start_from_something(recipe: Recipe) -> Iterator[Contradiction]:
    """PiSSA takes singular vectors out of whole weights, LoftQ makes up for what quantising took away."""
    start = recipe.lora.start
    if start == "pissa" and recipe.method == "qlora":
        yield (
            "R036",
            "lora.start",
            "is 'pissa', which starts from the base's whole weights, but method qlora quantises them.",
            "Use 'loftq', which starts from what quantising took away, or method lora.",
        )
    if start == "loftq" and recipe.method == "lora":
        yield (
            "R036",
            "lora.start",
            f"is 'loftq', but method {recipe.method!r} quantises nothing that could be made up for.",
            "Set method to qlora, or lora.start to 'zeros' or 'pissa'.",
        )
    if start == "loftq" and recipe.method == "auto":
        yield "R036", "lora.start", "is 'loftq', and 'auto' never becomes qlora.", "Set method to qlora."
    if start == "loftq" and recipe.method == "qlora" and recipe.forgetting.interpolate:
        yield (
            "R036",
            "lora.start",
            "is 'loftq', whose adapters do not begin as the base, but forgetting.interpolate goes back to it.",
            "Set lora.start to 'zeros', or remove forgetting.interpolate.",
        )


def _quantised_in_one_way(recipe: Recipe) -> Iterator[Contradiction]:
    """Kinds and double scales are those of 4 bits."""
    known, fresh = recipe.quantisation, QuantisationRecipe()
    rounds, of_four = recipe.method in ("qlora", ROUNDING), (known.kind, known.double) != (fresh.kind, fresh.double)
    if rounds and known.bits == 8 and of_four:
        yield (
            "R037",
            "quantisation",
            "kind and double belong to 4 bits, but bits is 8.",
            "Set quantisation.bits to 4, or remove them.",
        )


def _training_without_training(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.method == "probe" and recipe.training != TrainingRecipe(fast_paths=recipe.training.fast_paths):
        yield (
            "R022",
            "training",
            "options of training are set, but the probe trains no weights of the base.",
            "Choose another method or remove them.",
        )


def _regularised(recipe: Recipe) -> Iterator[Contradiction]:
    """What keeps from overfitting has an effect, and none undoes or repeats another."""
    found = recipe.regularisation
    if recipe.method == "probe" and found != RegularisationRecipe():
        yield (
            "R040",
            "regularisation",
            "options of it are set, but the probe trains no weights of the base.",
            "Choose another method or remove them.",
        )
    if found.r_drop and found.dropout == 0 and (recipe.method not in ("lora", "qlora") or not recipe.lora.dropout):
        yield (
            "R041",
            "regularisation.r_drop",
            "compares two passes under dropout, and regularisation.dropout is 0: both would be the same.",
            "Raise regularisation.dropout, or remove r_drop.",
        )
    if found.class_weights == "balanced" and found.sampling == "balanced":
        yield (
            "R042",
            "regularisation.sampling",
            "is 'balanced', as class_weights is: rare classes would count twice over.",
            "Keep one of them.",
        )
    if found.average != "ema" and found.average_decay != RegularisationRecipe().average_decay:
        yield (
            "R043",
            "regularisation.average_decay",
            f"is set, but average is {found.average!r}.",
            "Set regularisation.average to 'ema', or remove it.",
        )


def _micro_batch_fits(recipe: Recipe) -> Iterator[Contradiction]:
    whole, micro = recipe.training.batch_tokens, recipe.training.micro_batch_tokens
    if isinstance(whole, int) and isinstance(micro, int) and micro > whole:
        yield (
            "R023",
            "training.micro_batch_tokens",
            f"{micro} is more than training.batch_tokens ({whole}).",
            "Lower it or raise the other.",
        )


def _rows_left_to_train(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.data.validation_share + recipe.data.test_share >= 0.9:
        yield "R024", "data.test_share", "validation and test together leave too few rows to train on.", "Lower one."


def _probe_of_the_task(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.method == "probe" and recipe.task not in PROBED:
        yield (
            "R025",
            "method",
            f"{recipe.task} has no linear head to fit on a frozen base.",
            "Use full or lora.",
        )
    if recipe.head.start == "probe" and recipe.task not in PROBED:
        yield "R025", "head.start", f"{recipe.task} has no probe to start from.", "Use 'random', or leave it out."


def _baselines_of_the_task(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.evaluation.baselines == "auto":
        return
    promptable = recipe.task in PROMPTABLE
    known = (*baselines_of(recipe), *(("prompting", *PROMPTED) if promptable else ()))
    named = recipe.evaluation.baselines
    for name in [named] if isinstance(named, str) else named:
        if name not in known:
            yield (
                "R026",
                "evaluation.baselines",
                f"{name!r} is no baseline of {recipe.task}.",
                f"Its baselines: {', '.join(dict.fromkeys(known))}.",
            )


def _addresses(recipe: Recipe) -> Iterator[Contradiction]:
    """What can be seen of an address without asking there."""
    for part in ("prompting", "judge", "distillation"):
        endpoint = getattr(recipe, part).endpoint
        if endpoint is not None and (wrong := mistake_of(endpoint)):
            yield "P020", f"{part}.endpoint", wrong, REMEDY


def _someone_to_ask(recipe: Recipe) -> Iterator[Contradiction]:
    """An endpoint and the model there go together; prices and limits belong to an endpoint."""
    names = {"prompting": ("base", recipe.prompting.base == "auto"), "judge": ("model", recipe.judge.model is None)}
    for part, (option, unnamed) in names.items():
        asked: PromptingRecipe | JudgeRecipe = getattr(recipe, part)
        if asked.endpoint is not None and unnamed:
            yield (
                "R032",
                f"{part}.{option}",
                "is not set, but there is an endpoint.",
                "Name the model that answers there.",
            )
        if asked.endpoint is None and (asked.max_cost is not None or asked.price_input or asked.price_output):
            yield (
                "R032",
                f"{part}.endpoint",
                "is not set, but prices or a limit are.",
                "Name the endpoint, or remove them.",
            )
        if asked.max_cost is not None and asked.price_input is None and asked.price_output is None:
            yield (
                "R032",
                f"{part}.max_cost",
                "is set, but no prices are.",
                f"Set {part}.price_input and {part}.price_output.",
            )
    if recipe.judge.endpoint is None and recipe.judge != JudgeRecipe() and recipe.judge.max_cost is None:
        yield (
            "R032",
            "judge.endpoint",
            "is not set, but options of the judge are.",
            "Name the endpoint, or remove them.",
        )


def _judged_against_somebody(recipe: Recipe) -> Iterator[Contradiction]:
    named, several = recipe.judge.against, baselines(recipe).value
    if recipe.judge.endpoint is not None and named != "auto" and named not in several:
        yield (
            "R034",
            "judge.against",
            f"is {named!r}, which is no baseline of this run.",
            f"Name one of {', '.join(sorted(several))}.",
        )


def _prompting_is_used(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.prompting != PromptingRecipe() and not set(PROMPTED) & set(baselines(recipe).value):
        yield (
            "R033",
            "prompting",
            "its options are set, but no baseline is asked in words.",
            "Add prompting to evaluation.baselines, or remove them.",
        )


def _beams_draw_nothing(recipe: Recipe) -> Iterator[Contradiction]:
    wanted = recipe.generation
    if wanted.num_beams > 1 and wanted.temperature > 0:
        yield (
            "R035",
            "generation.num_beams",
            f"is {wanted.num_beams}, and temperature is {wanted.temperature:g}: beams draw nothing.",
            "Set one of them.",
        )
    if wanted.num_beams == 1 and wanted.length_penalty != 1.0:
        yield "R035", "generation.length_penalty", "is set, but belongs to beams.", "Set generation.num_beams."


def _forgetting_is_measured(recipe: Recipe) -> Iterator[Contradiction]:
    """What is measured against, and how much may be forgotten, count where it is measured."""
    wanted = recipe.forgetting
    if wanted.measure:
        return
    used = "forgetting.replay" if wanted.replay else ""
    for name, is_set in {"limit": wanted.limit is not None, "probes": bool(wanted.probes), "text": wanted.text}.items():
        if is_set and not (name == "text" and used):
            yield (
                "R048",
                f"forgetting.{name}",
                "is set, but forgetting.measure is false.",
                "Set forgetting.measure=true, or remove it.",
            )


def _chosen_for_something(recipe: Recipe) -> Iterator[Contradiction]:
    """Rows are chosen in some way, for some target, and by one number."""
    wanted, fresh = recipe.selection, SelectionRecipe()
    if wanted.way == "none" and wanted != fresh:
        yield (
            "R055",
            "selection.way",
            "is 'none', but options of choosing rows are set.",
            "Set it to 'dsir' or 'nearest', or remove them.",
        )
    if wanted.way != "none" and wanted.target is None:
        yield (
            "R056",
            "selection.target",
            "is not set: what shall the chosen rows be like?",
            "Name texts of what is wanted, or put a stage behind this one.",
        )
    if wanted.rows != "auto" and wanted.share != fresh.share:
        yield "R055", "selection.share", "is set, and so is selection.rows.", "Keep one of them."
    if wanted.way == "dsir" and wanted.neighbours != fresh.neighbours:
        yield "R055", "selection.neighbours", "is set, but belongs to 'nearest'.", "Remove it."
    if wanted.way == "nearest" and not wanted.even_lengths:
        yield "R055", "selection.even_lengths", "is set, but belongs to 'dsir'.", "Remove it."


def _controls_of_stages(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.controls != ControlsRecipe():
        yield (
            "R053",
            "controls",
            "hold a stage on texts against going without, but there are no stages.",
            "Give stages: a training on texts first, the task behind it.",
        )


def _mixed_of_several(recipe: Recipe) -> Iterator[Contradiction]:
    if recipe.mixing != MixingRecipe():
        yield (
            "R094",
            "mixing",
            "says how tasks take turns that are learnt together, but there are no tasks.",
            "Give tasks, or remove it.",
        )


def _options_of_the_task(recipe: Recipe) -> Iterator[Contradiction]:
    parts = {
        "answers": recipe.answers != AnswersRecipe(),
        "similarity": recipe.similarity != SimilarityRecipe(),
        "chat": recipe.chat != ChatRecipe(),
        "chat.train": recipe.chat.train != "answers",
        "sources": recipe.sources != SourcesRecipe(),
        "judge": recipe.judge != JudgeRecipe(),
        "evaluation.comet": recipe.evaluation.comet is not None,
        "prompting": recipe.prompting != PromptingRecipe(),
        "generation": recipe.generation != GenerationRecipe(),
        "masking": recipe.masking != MaskingRecipe(),
        "selection": recipe.selection != SelectionRecipe(),
        "preference": recipe.preference != PreferenceRecipe(),
        "data.stride": recipe.data.stride != "auto",
        "data.corrections": recipe.data.corrections is not None,
        "regularisation.r_drop": recipe.regularisation.r_drop > 0,
        "regularisation.class_weights": recipe.regularisation.class_weights != "none",
        "regularisation.focal": recipe.regularisation.focal > 0,
        "regularisation.sampling": recipe.regularisation.sampling != "none",
        "regularisation.token_deletion": recipe.regularisation.token_deletion > 0,
        "regularisation.token_swap": recipe.regularisation.token_swap > 0,
        "forgetting.text": recipe.forgetting.text is not None,
        "forgetting.probes": bool(recipe.forgetting.probes),
        "forgetting.replay": recipe.forgetting.replay > 0,
    }
    for name, is_set in parts.items():
        tasks = OF_SOME_TASKS[name]
        if is_set and recipe.task not in tasks:
            yield (
                "R027",
                name,
                f"is set, but belongs to {' and '.join(tasks)}.",
                f"Remove it, or set task to {tasks[0]}.",
            )
    if recipe.task == "ranking" and recipe.similarity.loss not in ("auto", "contrastive"):
        yield (
            "R027",
            "similarity.loss",
            f"is {recipe.similarity.loss!r}, but ranking learns with 'contrastive' alone.",
            "Leave it at auto.",
        )
