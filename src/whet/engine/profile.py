"""Where the time of training goes, as torch's profiler sees it: every operation's own time, by what it is for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

PRODUCTS, ATTENTION, MASKS, OPTIMISER, DATA, OTHER = PARTS = (
    "products",
    "attention",
    "masks",
    "optimiser",
    "data",
    "other",
)
"""What time is for: products of matrices but for attention's, attention, masks of dropout, clipping and moving weights,
making batches, and all else (norms, activations, copies, the loss, Python between them)."""
_MULTIPLIES = (
    "aten::mm",
    "aten::addmm",
    "aten::addmm_",
    "aten::_addmm_activation",
    "mkldnn::_linear_pointwise",
    "aten::mkldnn_linear",
)
_BACKWARD = {
    "_MixBackward": ATTENTION,
    "_BehindBackward": ATTENTION,
    "_PadBackward": ATTENTION,
    "_UnpadBackward": ATTENTION,
    "ScaledDotProduct": ATTENTION,
}
"""Of functions of autograd, which run outside the calls that they belong to."""

Place = tuple[Any, str]
"""A module or class, and the name of a function in it."""


@dataclass
class Shares:
    """Seconds by part, filled when the block of :func:`watched` has ended; ``steps``: set by who took them."""

    seconds: dict[str, float] = field(default_factory=dict)


@contextlib.contextmanager
def watched(marks: Mapping[str, tuple[Place, ...]]) -> Iterator[Shares]:
    """Add up what happens in the block on a CPU.

    :param marks: for a part the functions whose whole time, forward, is its own.
    """
    found = Shares()
    with contextlib.ExitStack() as held:
        for part, places in marks.items():
            for owner, name in places:
                held.enter_context(_marked(owner, name, part))
        watch = held.enter_context(profile(activities=[ProfilerActivity.CPU]))
        yield found
    found.seconds = _added_up(watch.events())


@contextlib.contextmanager
def _marked(owner: Any, name: str, part: str) -> Iterator[None]:
    """``owner.name`` notes, while it runs, which part it is."""
    plain: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(plain)
    def noted(*args: Any, **more: Any) -> Any:
        with record_function(_MARK + part):
            return plain(*args, **more)

    setattr(owner, name, noted)
    try:
        yield
    finally:
        setattr(owner, name, plain)


_MARK = "whet."


def _added_up(events: Any) -> dict[str, float]:
    found = dict.fromkeys(PARTS, 0.0)
    for event in events:
        found[_part_of(event)] += event.self_cpu_time_total / 1e6
    return found


def _part_of(event: Any) -> str:
    """The part of the innermost mark around an operation; else whether it multiplies."""
    around = event
    while around is not None:
        if around.name.startswith(_MARK):
            return str(around.name.removeprefix(_MARK))
        known = next((part for name, part in _BACKWARD.items() if name in around.name), None)
        if known is not None:
            return known
        around = around.cpu_parent
    return PRODUCTS if event.name in _MULTIPLIES else OTHER
