"""The runs of a series, in the order in which they can be made: its stages, and those of its controls.

A node is a recipe with its seed, and what it needs of others. Of controls, each seed has a branch of its own:

- ``adapted``: all stages;
- ``none``: the stages behind those on texts, from the base that those began from;
- ``irrelevant``: all stages, those on texts with other text and for as many tokens;
- ``equal-compute``: as ``none``, the first of them for as many tokens more as the stages on texts took.

The nodes of one stage are trained and measured on the same rows, whatever their seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from whet.recipe import Recipe
from whet.recipe.evidence import ForgettingRecipe, JudgeRecipe, PromptingRecipe
from whet.recipe.expanding import Stage, num_adapting
from whet.recipe.names import BASELINES
from whet.recipe.reading import joined_tasks, stages_of
from whet.recipe.rows import DataRecipe
from whet.recipe.stages import SelectionRecipe

ADAPTED = "adapted"
PROSE = "general text that comes along"
"""What stands for the source of irrelevant text where the recipe names none; see :mod:`whet.data.general`."""


@dataclass(frozen=True, slots=True)
class Node:
    """One run of a series.

    - ``name``: of its folder; ``stage``: which stage of the recipe it is;
    - ``needs``: option of its recipe -> the node whose model, or rows, stand there;
    - ``branch``, ``number``: of controls, and the how-manieth seed it is;
    - ``rows_of``: the node whose rows it takes;
    - ``tokens_of``: nodes whose tokens decide how long it trains; ``adds``: beside its own epochs, not in their place.
    """

    name: str
    stage: str
    recipe: Recipe
    needs: Mapping[str, str] = field(default_factory=dict)
    branch: str = ADAPTED
    number: int = 0
    rows_of: str | None = None
    tokens_of: tuple[str, ...] = ()
    adds: bool = False

    @property
    def is_stage(self) -> bool:
        """Whether it is a stage itself, and no control or further seed."""
        return self.branch == ADAPTED and self.number == 0

    @property
    def waits_for(self) -> list[str]:
        """The nodes that must be finished before it can begin."""
        models = [name for option, name in self.needs.items() if option != "selection.target"]
        rows = [] if self.rows_of is None else [self.rows_of]
        return list(dict.fromkeys([*models, *rows, *self.tokens_of]))


def came_of(node: Node, by_name: Mapping[str, Node], options: Sequence[str] = ("base",)) -> list[Node]:
    """The nodes whose models a node began from, or needed by other ``options``, and theirs; the first of them first."""
    found: list[Node] = []
    for option in options:
        before = by_name.get(node.needs.get(option, ""))
        if before is not None:
            found += [one for one in [*came_of(before, by_name, options), before] if one not in found]
    return found


def nodes_of(recipe: Recipe) -> list[Node]:
    """The nodes of a recipe with stages, or with tasks that are learnt together.

    :raises UserError: as :func:`whet.recipe.reading.stages_of` and :func:`whet.recipe.reading.joined_tasks`.
    """
    if recipe.tasks:
        return [Node(name, name, one) for name, one in joined_tasks(recipe).items()]
    stages = stages_of(recipe)
    found = [Node(one.name, one.name, one.recipe, one.needs) for one in stages]
    if not recipe.controls.kinds:
        return found
    for number in range(recipe.controls.seeds):
        if number:
            found += _adapted(stages, number)
        for kind in recipe.controls.kinds:
            found += _branch(recipe, stages, kind, number)
    return found


def named(stage: str, branch: str, number: int) -> str:
    """The name of a node; a point stands in no name of a stage."""
    return stage if (branch, number) == (ADAPTED, 0) else f"{stage}.{branch}.{number}"


def _adapted(stages: Sequence[Stage], number: int) -> list[Node]:
    """All stages anew with another seed."""
    return [_node(one, ADAPTED, number, _within(one.needs, stages, ADAPTED, number)) for one in stages]


def _branch(recipe: Recipe, stages: Sequence[Stage], kind: str, number: int) -> list[Node]:
    count = num_adapting(recipe)
    texts, behind = stages[:count], stages[count:]
    found: list[Node] = []
    if kind == "irrelevant":
        for one in texts:
            node = _node(one, kind, number, _within(one.needs, texts, kind, number))
            other = {"data": _other_text(recipe, node.recipe.data), "selection": SelectionRecipe()}
            changed = node.recipe.model_copy(update=other)
            rows = None if number == 0 else named(one.name, kind, 0)
            length = (named(one.name, ADAPTED, number),)
            found.append(replace(node, recipe=changed, rows_of=rows, tokens_of=length))
        return [*found, *(_node(one, kind, number, _within(one.needs, stages, kind, number)) for one in behind)]
    bases = {one.name: one.recipe.base for one in texts}
    for place, one in enumerate(behind):
        node = _node(one, kind, number, _within(one.needs, behind, kind, number))
        base = one.recipe.base
        while base in bases:  # from what the stages on texts began from
            base = bases[base]
        node = replace(node, recipe=node.recipe.model_copy(update={"base": base}))
        if kind == "equal-compute" and place == 0:
            node = replace(node, tokens_of=tuple(named(text.name, ADAPTED, number) for text in texts), adds=True)
        found.append(node)
    return found


def _other_text(recipe: Recipe, domain: DataRecipe) -> DataRecipe:
    """Where irrelevant text is; it is cut into pieces as that of the domain is."""
    named = recipe.controls.irrelevant
    other = DataRecipe(source=PROSE, max_length=domain.max_length, stride=domain.stride)
    return other if named is None else other.model_copy(update={"source": named, "encoding": domain.encoding})


def _node(stage: Stage, branch: str, number: int, needs: Mapping[str, str]) -> Node:
    recipe = lean(stage.recipe).model_copy(update={"seed": stage.recipe.seed + number})
    return Node(named(stage.name, branch, number), stage.name, recipe, needs, branch, number, stage.name)


def _within(needs: Mapping[str, str], stages: Sequence[Stage], branch: str, number: int) -> dict[str, str]:
    """The same needs among the nodes of a branch; what was needed of other stages is left out."""
    names = [one.name for one in stages]
    kept = {option: name for option, name in needs.items() if name in names and option != "selection.target"}
    return {option: named(name, branch, number) for option, name in kept.items()}


def lean(recipe: Recipe) -> Recipe:
    """The same training with as little around it as a run can do: the cheapest baseline, no judge, nothing asked."""
    evaluation = recipe.evaluation.model_copy(
        update={"baselines": [BASELINES[recipe.task][0]], "label_noise": False, "comet": None}
    )
    changes: dict[str, object] = {"evaluation": evaluation, "prompting": PromptingRecipe(), "judge": JudgeRecipe()}
    usual = ForgettingRecipe(replay=recipe.forgetting.replay, interpolate=recipe.forgetting.interpolate)
    if recipe.forgetting == usual and not recipe.forgetting.replay:
        changes["forgetting"] = usual.model_copy(update={"measure": False})
    return recipe.model_copy(update=changes)
