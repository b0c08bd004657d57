"""Several task models over one trunk: what they have in common below their heads is one set of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.models.task_model import TaskModel


class Shared(nn.Module):
    """Models by the name of their task, the weights of whose trunks are those of the first.

    - ``spread``: (tasks,) the logarithm of each task's variance, learnt with the weights where losses are weighed by
      it (arXiv 1705.07115); 0 and fixed where they are not.
    """

    def __init__(self, models: Mapping[str, TaskModel], by_spread: bool = False) -> None:
        super().__init__()
        self.models = nn.ModuleDict(dict(models))
        self.spread = nn.Parameter(torch.zeros(len(models)), requires_grad=by_spread)
        first, *others = models.values()
        found = [
            f"{task}: {name}"
            for task, model in zip(list(models)[1:], others, strict=True)
            for name in tie(first, model)
        ]
        self.alone = tuple(found)
        """Weights of the other trunks that the first one has not."""

    def of(self, task: str) -> TaskModel:
        """The model of one task."""
        found = self.models[task]
        assert isinstance(found, TaskModel)
        return found

    def log_variance(self, task: str) -> Tensor:
        """() that of one task."""
        return self.spread[list(self.models).index(task)]

    def reseed(self, seed: int) -> None:
        """Set every generator that dropout draws from."""
        for task in self.models:
            self.of(task).reseed(seed)

    def state_of(self, task: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of ``state`` by this module's names what belongs to one task's model, by its own names."""
        own = {id(parameter): name for name, parameter in self.named_parameters()}
        parameters = self.of(task).named_parameters()
        return {name: state[own[id(one)]] for name, one in parameters if own[id(one)] in state}

    def named_of(self, parameters: Sequence[nn.Parameter]) -> Iterator[str]:
        """The names here of parameters of the models."""
        own = {id(parameter): name for name, parameter in self.named_parameters()}
        return (own[id(one)] for one in parameters)


def tie(first: TaskModel, other: TaskModel) -> list[str]:
    """Put the weights of ``first``'s trunk in the place of ``other``'s; names of those that ``other`` keeps to itself.

    Both lie where ``other`` does afterwards. What multiplies by one of them elsewhere, such as the last layer of a
    language model, follows.

    :raises UserError: M080, their trunks have no weight in common.
    """
    first.to(other.device)
    known = dict(first.trunk.named_parameters())
    swapped, alone = dict[int, nn.Parameter](), list[str]()
    for name, parameter in other.trunk.named_parameters():
        if name in known and known[name].shape == parameter.shape:
            swapped[id(parameter)] = known[name]
        else:
            alone.append(name)
    if not swapped:
        what = "has no weight that both tasks could share."
        raise UserError(Problem("M080", "base", what, "Give the tasks one base, and heads that fit on it."))
    for module in other.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) in swapped:
                module._parameters[name] = swapped[id(parameter)]
    return alone
