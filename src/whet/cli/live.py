"""A run on the screen: drive it, show what happens, stop it gently, print what came out."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from whet.cli.screen import ProgressLine, console, duration, figure, measured, print_at_once, print_json, table
from whet.cli.series_table import render_series
from whet.errors import Interrupted
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.files import read_json
from whet.folder import INTERRUPTED, RunFolder, answering_run
from whet.report.kinds import words

if TYPE_CHECKING:
    from rich.console import Console

    from whet.engine.events import Event
    from whet.recipe import Recipe

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = "Stopping: saving the state first. Ctrl-C again stops at once."


class StopRequest:
    """Set by the first Ctrl-C or SIGTERM; the second ends the process at once."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self.requested = False
        self._notify = notify

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal's handler."""
        if self.requested:
            os._exit(128 + number)
        self.requested = True
        self._notify()

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to signals inside the block."""
        before = {number: signal.signal(number, self) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def carry_out(begin: Callable[[], tuple[Recipe, RunFolder]], as_json: bool) -> None:
    """Run to the end, and print the comparison and the verdict (or one JSON object)."""
    from whet.files import Lock
    from whet.workflows.fit import fit
    from whet.workflows.summary import summary

    screen = console(to_stderr=as_json)
    recipe, folder = begin()
    progress = ProgressLine(screen)
    stop = StopRequest(lambda: print_at_once(screen, STOPPING))
    screen.print(f"run: {folder.path}", markup=False)
    try:
        with Lock(folder.path), stop.listening():
            for event in fit(recipe, folder, progress.tell, lambda: stop.requested):
                show_event(screen, progress, event)
    except Interrupted:
        progress.clear()
        if as_json:
            print_json({"run": str(folder.path), "state": INTERRUPTED})
        raise Interrupted(f"Stopped; everything is saved. Go on with: whet resume {folder.path}") from None
    finally:
        progress.clear()
    found = summary(folder)
    if as_json:
        print_json(found)
    else:
        render(screen, folder, found)


def show_event(screen: Console, progress: ProgressLine, event: Event) -> None:
    """Say what happens: a line, or the progress of a step."""
    row = event.to_json()
    shown = _SHOWN.get(row["kind"])
    if row["kind"] == "step":
        progress.say(_step(row))
    elif shown is not None:
        text = shown(row)
        if text:
            progress.clear()
            screen.print(text, markup=False)


def _step(row: dict[str, Any]) -> str:
    left = (row["num_steps"] - row["step"]) * (row["tokens"] / row["step"]) / max(row["tokens_per_second"], 1e-9)
    return (
        f"{row.get('model', '')} step {row['step']:,} of {row['num_steps']:,}, loss {row['loss']:.3f}, "
        f"{row['tokens_per_second']:,.0f} tokens a second, at most {duration(left)} left"
    )


def _evaluation(row: dict[str, Any]) -> str:
    mark = "  best so far" if row["best"] else ""
    where = f"  {row['model']} step {row['step']:,} (epoch {row['epoch']:.1f})"
    seen = [f"{MEASURES[name].words} {figure(row[name], name)}" for name in row if name in MEASURES]
    seen.append(f"loss {row['loss']:.3f}")
    return f"{where}: validation {', '.join(seen)}{mark}"


def _stage(row: dict[str, Any]) -> str:
    if row["state"] == "started":
        return ""
    if row["state"] == "skipped":
        return f"- {row['stage']}: done before"
    return f"- {row['stage']}: {row['seconds_taken']:.1f} s"


_SHOWN: dict[str, Callable[[dict[str, Any]], str]] = {
    "stage": _stage,
    "said": lambda row: f"  {row['message']}",
    "evaluation": _evaluation,
    "note": lambda row: f"  {row['code']} {row['message']}",
    "end": lambda row: f"  {row['model']} ended ({row['reason']}); the best state is that of step {row['best_step']:,}",
}


def _ascending(scores: dict[str, Any], metric: str) -> list[str]:
    """Models from the worst to the best; those that the metric cannot measure first."""
    sign = -1 if lower_is_better(metric) else 1
    return sorted(
        scores, key=lambda model: sign * scores[model][metric]["value"] if metric in scores[model] else -1e300
    )


def render(screen: Console, folder: RunFolder, found: dict[str, Any]) -> None:
    """The comparison, the verdict, and where things are."""
    if "stages" in found:
        render_series(screen, found)
    scores, verdict = found["scores"], found["verdict"]
    shown = [name for name in SHOWN if _tells(scores, name)]
    names = _ascending(scores, verdict["metric"])
    shown = [verdict["metric"], *(metric for metric in shown if metric != verdict["metric"])][:MOST_SHOWN]
    rows = [
        [f"{'> ' if name == verdict['ship'] else '  '}{name}"]
        + [_number(scores[name].get(metric), metric, with_interval=metric == verdict["metric"]) for metric in shown]
        for name in names
    ]
    titles = ["model", *(MEASURES[name].words for name in shown)]
    most = fitting([titles, *rows], screen.width)
    table(screen, titles[:most], [row[:most] for row in rows], right=range(1, most))
    counted = words(read_json(folder.scores)["kind"]).rows
    screen.print(f"Test {counted}: {found['num_test_rows']:,}; 95 % interval in brackets.", style="dim")
    for finding in found["findings"]:
        if finding["bin"] == "issue":
            screen.print(f"! {finding['code']} {finding['message']}", markup=False)
    if found["tokens_per_second"]:
        share = f", {found['mfu']:.0%} of the matrix-product ceiling" if found["mfu"] else ""
        screen.print(f"Training: {found['tokens_per_second']:,.0f} tokens a second{share}.", markup=False)
    screen.print(f"\nVerdict ({verdict['code'].replace('_', ' ')}): {verdict['reason']}", style="bold", markup=False)
    model = RunFolder(answering_run(folder.path)).model  # of several trainings, that of the last
    screen.print(
        f"\nreport:  {folder.report}\nmodel:   {model}\npredict: whet predict {folder.path} FILE", markup=False
    )


SHOWN = (
    *("accuracy", "micro_f1", "macro_f1", "log_loss", "entity_f1", "entity_precision", "entity_recall"),
    *("answer_f1", "exact_match", "no_answer_accuracy", "spearman", "pearson", "r2", "mae"),
    *("ndcg_at_10", "mrr_at_10", "recall_at_10", "ece"),
    *("label_accuracy", "bleu", "chrf", "rouge_l", "perplexity", "token_nats", "bits_per_byte", "token_accuracy"),
)
"""Metrics of the table, where models share them: first the one judged by, then these."""
MOST_SHOWN = 4
"""Metrics in the table, as far as the terminal has room; all of them are in the report."""
GAP = 3
"""Characters between two columns of a table."""


def fitting(lines: list[list[str]], width: int) -> int:
    """How many columns stand side by side in ``width`` characters without a cell being broken, at least two."""
    taken = 2
    for number, cells in enumerate(zip(*lines, strict=True)):
        taken += max(map(len, cells)) + (GAP if number else 0)
        if taken > width:
            return max(2, number)
    return len(lines[0])


def _number(value: dict[str, Any] | None, metric: str, with_interval: bool) -> str:
    kept = value if with_interval or value is None else {"value": value["value"]}
    return measured(kept, percent=MEASURES[metric].shown == "points")


def _tells(scores: dict[str, Any], metric: str) -> bool:
    """Whether models can be told apart by it: micro F1 is accuracy where every row has one label."""
    if metric == "micro_f1" and all("accuracy" in one for one in scores.values()):
        return any(abs(s[metric]["value"] - s["accuracy"]["value"]) > 1e-9 for s in scores.values() if metric in s)
    return sum(metric in one for one in scores.values()) >= min(2, len(scores))
