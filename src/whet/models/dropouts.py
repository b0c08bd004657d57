"""The dropouts of a model, wherever its family keeps them: as modules, or as chances that attention reads."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from whet.models.task_model import TaskModel

CHANCES = ("p", "drop_prob")
"""What modules of dropout call their chance."""


def set_dropout(model: TaskModel, chance: float) -> int:
    """Give every dropout below ``model`` the same ``chance``, in its configuration too; returns how many there are.

    To be called before adapters are put in, whose dropout is an option of its own.
    """
    places = list(_places(model))
    for module, name in places:
        setattr(module, name, chance)
    config = model.network.config
    for name, value in config.to_dict().items():
        if _is_chance(name) and _is_number(value):
            setattr(config, name, chance)
    return len(places)


def still(part: nn.Module) -> None:
    """Nothing in ``part`` is dropped any more."""
    for module, name in list(_places(part)):
        setattr(module, name, 0.0)


def drops_anything(model: nn.Module) -> bool:
    """Whether two passes of ``model`` while training could differ; adapters count."""
    return any(getattr(module, name) > 0 for module, name in _places(model))


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in model.modules():
        own = "Dropout" in type(module).__name__
        for name, value in vars(module).items():
            if _is_number(value) and ((own and name in CHANCES) or _is_chance(name)):
                yield module, name


def _is_chance(name: str) -> bool:
    """Such as hidden_dropout_prob, attention_dropout, dropout_rate or GPT-2's resid_pdrop."""
    return "dropout" in name or name.endswith("_pdrop")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
