"""The training loop: a generator of events. The caller prints, logs, saves and stops.

Read :func:`train` first; everything else on this page is one of its sentences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from whet import seeds
from whet.engine import checkpoint, memory
from whet.engine.averages import Average, Averages
from whet.engine.checkpoint import Keeper, Progress
from whet.engine.events import Ended, Evaluated, Event, Noted, Saved, Stepped
from whet.engine.optimisation import Group, OptimiserName, optimiser_of, schedule
from whet.engine.precision import Weights
from whet.engine.protocols import Batches, Evaluation, Influence, Objective
from whet.engine.step import StepResult, gradients, smaller_after
from whet.errors import Interrupted

FAILED_STEPS_IN_A_ROW = 3
"""So many skipped steps in a row send training back to its best state, with half the rate."""
MAX_ROLLBACKS = 2
PATIENT_SHARE = 0.5
"""Looks before this share of the steps never end training: while rates are high, what starts from a head that fits
already is worse for a while than where it began."""
EVENT_SECONDS = 0.5
"""Steps are reported about this often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; every number decided."""

    num_steps: int
    evaluate_every: int  # steps
    patience: int  # evaluations, of those after PATIENT_SHARE of the steps
    warmup_share: float
    clip_norm: float
    micro_batch_tokens: int
    checkpoint_seconds: float
    max_seconds: float | None
    seed: int
    optimiser: OptimiserName = "adamw"
    average: Average = "none"
    average_decay: float = 0.99
    influences: Sequence[Influence] = ()


class _Session:
    """What one process holds while it trains."""

    def __init__(self, weights: Weights, groups: Sequence[Group], plan: Plan, keeper: Keeper) -> None:
        self.weights, self.groups, self.plan, self.keeper = weights, groups, plan, keeper
        self.names = {id(p): name for name, p in weights.masters.items()}
        self.progress = Progress(micro_batch_tokens=plan.micro_batch_tokens)
        self.optimiser = optimiser_of(plan.optimiser, groups)
        self.averages = Averages(plan.average, plan.average_decay, weights.masters)
        self.factor = schedule(plan.num_steps, plan.warmup_share)
        self.saved_at = self.counted_at = time.monotonic()

    def restore(self) -> bool:
        """Go on from the last checkpoint, if there is one."""
        kept = self.keeper.load("last")
        if kept is None:
            return False
        tensors, progress = kept
        self.weights.load(tensors)
        checkpoint.load_optimiser(self.optimiser, tensors, self.weights.masters)
        self.averages.load(tensors)
        self.progress = Progress(**progress)
        return True

    def save(self) -> Saved:
        """Write a checkpoint."""
        start = time.monotonic()
        self._count_time()
        moments = checkpoint.optimiser_tensors(self.optimiser, self.names)
        tensors = self.weights.state() | moments | self.averages.state()
        self.keeper.save("last", tensors, self.progress.to_json())
        self.saved_at = time.monotonic()
        return Saved(self.progress.step, self.saved_at - start)

    def save_best(self) -> None:
        """Keep the weights that were looked at as the best so far."""
        self.keeper.save("best", {**self.weights.state(), **self.averages.values}, self.progress.to_json())

    def load_best(self) -> None:
        """Put the best weights into the model."""
        kept = self.keeper.load("best")
        if kept is not None:
            self.weights.load(kept[0])

    def roll_back(self) -> None:
        """Back to the best state with half the rate and a fresh optimiser."""
        self.load_best()
        self.averages.load(self.weights.masters, prefix="")
        self.optimiser = optimiser_of(self.plan.optimiser, self.groups)
        self.progress.rate_factor /= 2
        self.progress.rollbacks += 1
        self.progress.skipped_in_a_row = 0

    def apply(self) -> float:
        """Move the masters by their gradients and publish them; returns the first group's rate."""
        factor = self.factor(self.progress.step) * self.progress.rate_factor
        kept = [group for group in self.groups if group.parameters]
        for settings, group in zip(self.optimiser.param_groups, kept, strict=True):
            settings["lr"] = group.learning_rate * factor
        self.optimiser.step()
        self.weights.publish()
        self.progress.averaged = self.averages.stepped(self.weights.masters, self.progress.averaged)
        return kept[0].learning_rate * factor

    def out_of_time(self) -> bool:
        """Whether the limit in seconds is reached."""
        self._count_time()
        limit = self.plan.max_seconds
        return limit is not None and self.progress.wall_seconds >= limit

    def _count_time(self) -> None:
        now = time.monotonic()
        self.progress.wall_seconds += now - self.counted_at
        self.counted_at = now


def train(
    weights: Weights,
    groups: Sequence[Group],
    objective: Objective[Any],
    batches: Batches[Any],
    plan: Plan,
    evaluate: Callable[[], Evaluation],
    keeper: Keeper,
    reseed: Callable[[int], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train; yield what happens; leave the best state in the model.

    Goes on from ``keeper``'s last checkpoint where there is one: on a CPU the result is then bit
    for bit that of a run never interrupted.

    :param reseed: sets every generator that the model draws from (dropout).
    :param should_stop: asked after every step; True saves and ends.
    :raises Interrupted: after ``should_stop`` said so.
    :raises ModelTooLarge: one row does not fit into memory.
    """
    session = _Session(weights, groups, plan, keeper)
    if not session.restore():
        yield _look(session, evaluate, 0.0)
    progress, reporter = session.progress, _Reporter(session)
    reason = _ended_before(session)
    while not reason and progress.step < plan.num_steps:
        for batch in batches.starting_at(progress.epoch, progress.index):
            rollbacks = progress.rollbacks
            result = yield from _step(session, objective, batch, reseed, reporter)
            epoch = progress.epoch + progress.index / batches.per_epoch
            yield from reporter.due(result, epoch)
            if reason := _diverged(session):
                break
            last = progress.step >= plan.num_steps
            late = session.out_of_time()
            if last or late or progress.step % plan.evaluate_every == 0:
                yield _look(session, evaluate, epoch)
            reason = "max_seconds" if late else _impatient(session)
            if reason or last:
                break
            stopping = should_stop()
            rolled_back = progress.rollbacks > rollbacks  # a replay might find a later best state to go back to
            if stopping or rolled_back or time.monotonic() - session.saved_at > plan.checkpoint_seconds:
                yield session.save()
            if stopping:
                raise Interrupted
        else:
            progress.epoch, progress.index = progress.epoch + 1, 0
            continue
        break
    yield session.save()
    session.load_best()
    yield Ended(
        reason or "completed",
        progress.step,
        progress.tokens,
        progress.train_seconds,
        progress.best_step,
        progress.best_score,
    )


def _step(
    session: _Session, objective: Objective[Any], batch: Any, reseed: Callable[[int], None], reporter: _Reporter
) -> Generator[Event, None, StepResult]:
    """Take one step, with smaller micro-batches if memory runs out, or skip it if it is not finite."""
    progress, plan = session.progress, session.plan
    start = time.perf_counter()
    while True:
        session.weights.clear_gradients()
        try:
            result = gradients(
                session.weights,
                objective,
                batch,
                progress.micro_batch_tokens,
                lambda micro: reseed(seeds.derive(plan.seed, "step", progress.step, micro)),
                plan.clip_norm,
                plan.influences,
                progress.step,
            )
            break
        except Exception as error:
            before = progress.micro_batch_tokens
            progress.micro_batch_tokens = smaller_after(error, session.weights, before, batch)
        message = f"memory ran out: micro-batches of {progress.micro_batch_tokens} tokens, not {before}; same batch"
        if progress.micro_batch_tokens == before:
            message = "memory ran out: layers keep their inputs alone, and are computed again on the way back"
        yield Noted("E004", message, progress.step)
    if result.finite:
        reporter.learning_rate = session.apply()
        progress.skipped_in_a_row = 0
    else:
        progress.skipped += 1
        progress.skipped_in_a_row += 1
        yield Noted("E001", f"step {progress.step} was skipped: its loss or gradient is not finite", progress.step)
        if progress.skipped_in_a_row >= FAILED_STEPS_IN_A_ROW and progress.rollbacks < MAX_ROLLBACKS:
            session.roll_back()
            yield Noted("E002", f"back to the state of step {progress.best_step}, with half the rate", progress.step)
    session.weights.clear_gradients()
    progress.step += 1
    progress.index += 1
    progress.tokens += batch.num_tokens
    progress.train_seconds += time.perf_counter() - start
    return result


def _ended_before(session: _Session) -> str:
    """Why training that goes on from a checkpoint was over already; empty where it was not."""
    return _diverged(session) or _impatient(session)


def _impatient(session: _Session) -> str:
    return "patience" if session.progress.since_best >= session.plan.patience else ""


def _diverged(session: _Session) -> str:
    gave_up = session.progress.skipped_in_a_row >= FAILED_STEPS_IN_A_ROW
    return "diverged" if gave_up else ""


def _look(session: _Session, evaluate: Callable[[], Evaluation], epoch: float) -> Evaluated:
    """Evaluate, and keep the state if it is the best so far."""
    progress = session.progress
    if progress.step:
        progress.averaged = session.averages.looked(session.weights.masters, progress.averaged)
    session.weights.model.eval()
    memory.hand_back()  # reading needs other sizes than training, and training than reading
    with session.weights.lent(session.averages.values), torch.inference_mode():
        found = evaluate()
    memory.hand_back()
    session.weights.model.train()
    best = (found.score, found.tie_break) > (progress.best_score, progress.best_tie_break)
    if best:
        progress.best_step, progress.best_score, progress.best_tie_break = progress.step, found.score, found.tie_break
        progress.since_best = 0
        session.save_best()
    elif progress.step > PATIENT_SHARE * session.plan.num_steps:
        progress.since_best += 1
    return Evaluated(progress.step, epoch, best, found.numbers)


class _Reporter:
    """Gathers steps into one event every now and then."""

    def __init__(self, session: _Session) -> None:
        self.session = session
        self.learning_rate = 0.0
        self._clear()

    def _clear(self) -> None:
        self.losses: list[float] = []
        self.since = time.monotonic()
        self.tokens, self.seconds = self.session.progress.tokens, self.session.progress.train_seconds

    def due(self, result: StepResult, epoch: float) -> Iterator[Event]:
        progress, plan = self.session.progress, self.session.plan
        if result.finite:
            self.losses.append(result.loss)
        if not self.losses or (time.monotonic() - self.since < EVENT_SECONDS and progress.step < plan.num_steps):
            return
        rate = (progress.tokens - self.tokens) / max(progress.train_seconds - self.seconds, 1e-9)
        mean = sum(self.losses) / len(self.losses)
        norm = result.grad_norm if result.finite else 0.0
        yield Stepped(progress.step, plan.num_steps, epoch, mean, self.learning_rate, norm, progress.tokens, rate)
        self._clear()
