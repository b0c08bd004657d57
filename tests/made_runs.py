"""Finished runs on tiny models, made once and shared by the tests of workflows and of the command."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import forked, made_rows
from tests.made_models import make_base

MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
FAST: dict[str, Any] = {"evaluation.resamples": 100}
TRAINED: dict[str, Any] = {**FAST, "training.epochs": 3.0, "training.learning_rate": 0.01}


@contextlib.contextmanager
def quiet_machine(store: Path) -> Iterator[None]:
    """One thread, which is faster for tiny sums on a busy machine, and a store of one's own."""
    import torch

    from whet.kernels import ceiling

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WHET_STORE", f"sqlite:///{store}")
            patch.setattr(ceiling, "measure", functools.partial(ceiling.measure, width=128, seconds=0.01))
            yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a shared run is fitted on, and how."""

    rows: Callable[[Path], Path]
    base: str
    method: str
    options: dict[str, Any]


KINDS = {
    "probe": Kind(made_rows.single, "plain", "probe", FAST),
    "full": Kind(made_rows.single, "plain", "full", TRAINED),
    "auto-pairs": Kind(made_rows.pairs, "mean", "auto", TRAINED),
    "lora-several": Kind(made_rows.several_jsonl, "mean", "lora", TRAINED),
    "full-separator": Kind(made_rows.several_csv, "plain", "full", {**TRAINED, "data.label_separator": ";"}),
    "merged": Kind(made_rows.single, "mean", "lora", {**TRAINED, "lora.merge": True}),
}


class Runs:
    """Bases, data sets and finished runs below one folder, each made when first asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._data: dict[Callable[[Path], Path], Path] = {}
        for name in ("bases", "data", "runs"):
            (root / name).mkdir(parents=True)

    def base(self, name: str = "plain") -> Path:
        """A BERT of two layers: ``plain`` with the native classifier, ``mean`` as pooled; or ``decoder``, a Llama."""
        folder = self.root / "bases" / name
        if name == "decoder":
            return folder if folder.exists() else make_base(folder, "llama", language=True)
        return folder if folder.exists() else make_base(folder, "bert", MEAN if name == "mean" else None)

    def data(self, rows: Callable[[Path], Path] = made_rows.single) -> Path:
        """The file that a maker of rows writes."""
        if rows not in self._data:
            self._data[rows] = rows(self.root / "data")
        return self._data[rows]

    def options(self, kind: str) -> dict[str, Any]:
        """What a run of ``kind`` is fitted with, by dotted names."""
        one = KINDS[kind]
        named = {"data.source": str(self.data(one.rows)), "base": str(self.base(one.base)), "method": one.method}
        return {**named, **one.options}

    def fit(self, kind: str, out: Path, **more: Any) -> Path:
        """A new run of ``kind`` in ``out``."""
        import whet

        options = {name.replace(".", "__"): value for name, value in self.options(kind).items()}
        source = options.pop("data__source")
        with quiet_machine(self.root / "runs.sqlite"):
            return whet.fit(source, out=out, **{**options, **more}).path

    def finished(self, kind: str) -> Path:
        """A finished run of ``kind``, to look at and not to change."""
        out = self.root / "runs" / kind / "run"
        return out if out.exists() else self.fit(kind, out)

    def copied(self, kind: str, to: Path) -> Path:
        """A copy of a finished run that may be changed."""
        return Path(shutil.copytree(self.finished(kind), to))

    def line(self, kind: str, out: Path) -> list[str]:
        """The words of a command that fits a run of ``kind``."""
        options = self.options(kind)
        words = ["fit", options.pop("data.source"), "--base", options.pop("base"), "--method", options.pop("method")]
        for name, value in options.items():
            words += ["--set", f"{name}={value}"]
        return [*words, "--out", str(out)]


@functools.cache
def _below(root: Path) -> Runs:
    return Runs(root)


def shared(factory: pytest.TempPathFactory) -> Runs:
    """The shared runs of this test session."""
    forked.warm_up()
    return _below(factory.getbasetemp() / "shared-runs")
