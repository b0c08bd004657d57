"""A saved model answers: rows in, predictions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from whet import registry
from whet.batches.encoding import Encoded
from whet.batches.flat import collect
from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.engine import devices
from whet.errors import Problem, UserError
from whet.evaluation.settling import settled
from whet.inference import rounded
from whet.inference.referring import refer
from whet.inference.rounded import Precision, Rounding
from whet.models import saving
from whet.models.saving import About
from whet.models.task_model import TaskModel
from whet.tasks import TASKS
from whet.tasks.task import BATCH_TOKENS, Setting, Task


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A model loaded from a folder of a run, in fp32 or answering in 16 bits."""

    model: TaskModel
    tokenizer: Any
    about: About
    how: Task
    rounding: Rounding | None = None

    @staticmethod
    def load(folder: Path, precision: Precision = "fp32") -> TrainedModel:
        """Open ``folder`` (run/model, or one below run/models).

        :param precision: what it answers in, see :mod:`whet.inference.rounded`.
        :raises UserError: as :func:`whet.models.saving.load`; M076, it writes texts, in fp32 alone.
        """
        model, tokenizer, about = saving.load(folder)
        rounded.refuse(precision, about.head_kind)
        model.use_flat_batches()
        model.to(devices.best()).eval()
        rounding = None if precision == "fp32" else Rounding()
        return TrainedModel(model, tokenizer, about, task_of(about), rounding)

    def predict(self, examples: Examples, progress: Callable[[int], None] | None = None) -> Predictions:
        """Answers to all rows, with the truth beside them where ``examples`` hold it.

        :raises UserError: M041, the model wants pairs and got single texts, or the other way round.
        """
        self._refuse_other_form(examples.has_pairs)
        encoded = self.how.encode(self.tokenizer, self.how.blocks(examples), self.about.max_length, None)
        if self.rounding is not None:
            self.rounding.settle(self.how, self.model, encoded)
        refer(self.how, self.model, self.tokenizer, self.about, encoded, progress)
        found = self.how.answer("model", self.model, self.tokenizer, encoded, examples, progress)
        fitted = {name: value for name, value in self.how.setting.settled.items() if name != "temperature"}
        return settled(found, fitted)  # the temperature lies in the head

    def _refuse_other_form(self, given_pairs: bool) -> None:
        if given_pairs == self.about.pairs or self.task == "preference":  # answers may be given as second texts
            return
        wants, got = ("pairs of texts", "single texts") if self.about.pairs else ("single texts", "pairs")
        remedy = "Name the column of the second text with --text-pair." if self.about.pairs else "Give one text a row."
        raise UserError(Problem("M041", "the model", f"was trained on {wants} and got {got}.", remedy))

    @property
    def task(self) -> str:
        """What it was trained for."""
        return self.about.task

    @property
    def labels(self) -> Sequence[str]:
        """C names; () where rows have none."""
        return self.how.setting.labels

    @property
    def multi_label(self) -> bool:
        """Whether a text may carry several labels."""
        return self.about.multi_label


def task_of(about: About) -> Task:
    """The task of a saved model, as it was when the model was saved."""
    facts = about.task_facts
    fitted = dict(facts.get("settled", {}))
    if about.thresholds is not None:
        fitted["thresholds"] = about.thresholds
    setting = Setting(
        labels=tuple(facts.get("labels", about.labels)),
        multi_label=about.multi_label,
        pairs=about.pairs,
        columns=tuple(facts.get("columns", ())),
        options=facts.get("options", {}),
        settled=fitted,
    )
    found: Task = registry.load(TASKS, about.task, "task")(setting)
    return found


def with_facts(about: About, task: Task, fitted: dict[str, Any]) -> About:
    """``about`` with what :func:`task_of` needs: the setting, what training rows taught, what validation fitted."""
    setting = task.setting
    facts = {
        "labels": list(setting.labels),
        "columns": list(setting.columns),
        "options": dict(setting.options),
        "settled": {**task.carried, **fitted},
    }
    return replace(about, task_facts=facts)


def features(model: TaskModel, encoded: Encoded, progress: Callable[[int], None] | None = None) -> Tensor:
    """(S, F) or (N, F) what the last linear layer sees, in their order."""
    return collect(model.features, encoded, BATCH_TOKENS, model.level == "token", progress)
