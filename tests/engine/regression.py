"""A training so small that every promise of the loop can be tried: a two-layer network on made-up rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from whet.engine.checkpoint import Keeper
from whet.engine.events import Ended, Event
from whet.engine.loop import Plan, train
from whet.engine.optimisation import Group
from whet.engine.precision import Weights
from whet.engine.protocols import Evaluation, StepLoss

ROWS, WIDTH, ROWS_PER_BATCH = 24, 5, 4
TOKENS_PER_ROW = 3
PER_EPOCH = ROWS // ROWS_PER_BATCH


@dataclass(frozen=True)
class Rows:
    """Some rows; each counts as three tokens."""

    inputs: Tensor
    targets: Tensor

    @property
    def num_tokens(self) -> int:
        return TOKENS_PER_ROW * len(self.inputs)

    def split(self, max_tokens: int) -> Sequence[Rows]:
        size = max(1, max_tokens // TOKENS_PER_ROW)
        return [Rows(*pair) for pair in zip(self.inputs.split(size), self.targets.split(size), strict=True)]


@dataclass(frozen=True)
class Order:
    """The rows in an order that depends on the epoch alone."""

    rows: Rows
    per_epoch: int = PER_EPOCH

    def starting_at(self, epoch: int, index: int) -> Iterator[Rows]:
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(epoch))
        for chosen in order.split(ROWS_PER_BATCH)[index:]:
            yield Rows(self.rows.inputs[chosen], self.rows.targets[chosen])


def rows(dtype: torch.dtype = torch.float32) -> Rows:
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS, WIDTH, generator=random, dtype=dtype)
    return Rows(inputs, (inputs[:, :2].prod(1) + inputs[:, 2]).unsqueeze(1))


def network(dropout: float = 0.2, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(WIDTH, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1)).to(dtype)


def squares(model: nn.Module, batch: Rows) -> StepLoss:
    """The summed squared error."""
    return StepLoss((model(batch.inputs) - batch.targets).square().sum(), len(batch.inputs))


@dataclass
class Memory:
    """Keeps states in memory; copies, as a disk would."""

    states: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] = field(default_factory=dict)
    saves: list[str] = field(default_factory=list)

    def save(self, name: str, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        self.states[name] = ({key: value.clone() for key, value in tensors.items()}, dict(progress))
        self.saves.append(name)

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        kept = self.states.get(name)
        return None if kept is None else ({k: v.clone() for k, v in kept[0].items()}, dict(kept[1]))


def plan(**changes: Any) -> Plan:
    usual: dict[str, Any] = {
        "num_steps": 3 * PER_EPOCH,
        "evaluate_every": 4,
        "patience": 100,
        "warmup_share": 0.1,
        "clip_norm": 1.0,
        "micro_batch_tokens": 1000,
        "checkpoint_seconds": 1e9,
        "max_seconds": None,
        "seed": 3,
    }
    return Plan(**usual | changes)


@dataclass
class Trial:
    """One process that trains: a fresh model, and whatever its keeper remembers."""

    keeper: Keeper = field(default_factory=Memory)
    settings: Plan = field(default_factory=plan)
    objective: Callable[[nn.Module, Rows], StepLoss] = squares
    dropout: float = 0.2
    dtype: torch.dtype = torch.float32
    precision: torch.dtype = torch.float32
    rate: float = 0.02
    scores: Callable[[int], float] | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = network(self.dropout, self.dtype)
        self.weights = Weights(self.model, self.precision)
        self.looks = 0

    def evaluate(self) -> Evaluation:
        assert not self.model.training
        self.looks += 1
        known = rows(self.dtype)
        inputs = known.inputs.to(self.precision if self.precision != torch.float32 else self.dtype)
        loss = float((self.model(inputs).to(self.dtype) - known.targets).square().mean())
        score = -loss if self.scores is None else self.scores(self.looks)
        return Evaluation(score, 0.0, {"loss": loss})

    def start(self, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """The events as they come; kept in ``events`` too."""
        named = list(self.weights.masters.items())
        groups = [
            Group("head", [p for p in named if p[0].startswith("3")], 2 * self.rate, 0.0),
            Group("trunk", [p for p in named if not p[0].startswith("3")], self.rate, 0.01),
            Group("nothing", [], 1.0, 0.0),
        ]
        self.model.train()
        for event in train(
            self.weights,
            groups,
            self.objective,
            Order(rows(self.dtype)),
            self.settings,
            self.evaluate,
            self.keeper,
            torch.manual_seed,
            should_stop,
        ):
            self.events.append(event)
            yield event

    def run(self) -> Ended:
        """Train to the end."""
        *_, ended = self.start()
        assert isinstance(ended, Ended)
        return ended

    def state(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
