from __future__ import annotations

from pathlib import Path

import pytest

from whet.report import write_report

from .synthetic_run import make_run
from .synthetic_tasks import MAKERS, make_task_run

EVIL_LABELS = ["<script>alert('label')</script>", '"quoted" & <b>bold</b>', "a_very_long_label_without_any_break_" * 4]
EVIL_TEXTS = [
    "<script>alert('text')</script>",
    "<img src=x onerror=alert(1)>",
    "x" * 700,
    "日本語のテキスト " * 20,
    "two\nlines",
]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Complete run folders with their reports, made once: the usual one, many classes, several labels, pairs, evil."""
    root = tmp_path_factory.mktemp("runs")
    made = {
        "support": make_run(root / "support-full"),
        "banking": make_run(root / "banking", num_labels=77, num_rows=900, code="cannot_tell"),
        "several": make_run(root / "several-labels", multi_label=True, code="keep_baseline"),
        "pairs": make_run(root / "pairs", labels=["entailment", "neutral", "contradiction"], pairs=True),
        "evil": make_run(root / "<script>alert(1)<", labels=EVIL_LABELS, texts=EVIL_TEXTS),
    }
    for folder in made.values():
        write_report(folder)
    return made


@pytest.fixture(scope="session")
def task_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Run folders of the other kinds with their reports, made once: each as usual, and each full of markup."""
    root = tmp_path_factory.mktemp("task-runs")
    made = {kind: make_task_run(root / kind, kind) for kind in MAKERS}
    made |= {f"evil-{kind}": make_task_run(root / f"evil-{kind}", kind, evil=True) for kind in MAKERS}
    for folder in made.values():
        write_report(folder)
    return made
