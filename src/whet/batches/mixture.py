"""Batches of several tasks, in turn: each holds rows of one task, and how often each has its turn is fixed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from whet import seeds
from whet.batches.flat import FlatBatch, TrainingBatches


@dataclass(frozen=True, slots=True)
class TaskBatch:
    """A batch that says which task its rows are of."""

    task: str
    batch: FlatBatch

    @property
    def num_tokens(self) -> int:
        """Real tokens."""
        return self.batch.num_tokens

    def split(self, max_tokens: int) -> Sequence[TaskBatch]:
        """As the batch is split."""
        return [TaskBatch(self.task, part) for part in self.batch.split(max_tokens)]


def turns(sizes: Mapping[str, int], temperature: float) -> dict[str, int]:
    """How many batches of each task an epoch has, as many in all as the tasks have together.

    The share of a task of n batches is that of n^(1 / temperature) (arXiv 1907.05019): 1 takes all rows once,
    larger ones bring tasks of unlike size nearer. One each at least; remainders go to the largest first.

    >>> turns({"large": 90, "small": 10}, 1.0)
    {'large': 90, 'small': 10}
    >>> turns({"large": 90, "small": 10}, 2.0)
    {'large': 75, 'small': 25}
    """
    total = sum(sizes.values())
    weights = {task: size ** (1 / temperature) for task, size in sizes.items()}
    wanted = {task: total * weight / sum(weights.values()) for task, weight in weights.items()}
    found = {task: max(1, int(exact)) for task, exact in wanted.items()}
    for task in sorted(wanted, key=lambda one: int(wanted[one]) - wanted[one])[: max(0, total - sum(found.values()))]:
        found[task] += 1
    return found


@dataclass(frozen=True, slots=True)
class Mixture:
    """The batches of several tasks; each task goes through its own rows, epoch after epoch, at its own pace."""

    tasks: Mapping[str, TrainingBatches]
    turns: Mapping[str, int]
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches in an epoch of the whole."""
        return sum(self.turns.values())

    def order(self, epoch: int) -> list[str]:
        """Whose turn it is, batch by batch."""
        names = [task for task, count in self.turns.items() for _ in range(count)]
        drawn = seeds.generator(self.seed, "turns", epoch).permutation(len(names))
        return [names[place] for place in drawn]

    def starting_at(self, epoch: int, index: int) -> Iterator[TaskBatch]:
        """The batches of ``epoch`` from its ``index``-th on."""
        order = self.order(epoch)
        seen = {task: epoch * count + order[:index].count(task) for task, count in self.turns.items()}
        ways = {task: _going_on(batches, seen[task]) for task, batches in self.tasks.items()}
        for task in order[index:]:
            yield TaskBatch(task, next(ways[task]))


def _going_on(batches: TrainingBatches, seen: int) -> Iterator[FlatBatch]:
    """A task's batches without end, the first ``seen`` of them left out."""
    epoch = 0
    while seen >= (size := len(batches.rows_of(epoch))):
        seen, epoch = seen - size, epoch + 1
    while True:
        yield from batches.starting_at(epoch, seen)
        seen, epoch = 0, epoch + 1
