"""A series of runs from one recipe: each a complete run folder, the whole of it resumable.

::

    RUN/recipe.yaml  state.json  stages.json  findings.json  scores.json  verdict.json  report.html
    RUN/runs/NAME/   a run as any other

The rows of all of them are read before the first one trains, so that what can be refused is refused then. What is
finished is not done again, what was begun goes on; what needs a run that failed is not begun, and says so. Scores and
verdict of the whole are those of its last stage, whose model answers where the whole is asked (``whet predict RUN``).
Where any run failed, everything that the others tell is written, and then the whole has failed: ``whet resume`` goes on
with what is missing.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whet import folder as folders
from whet.data import general
from whet.engine.events import Event
from whet.errors import Interrupted, Problem, UserError, did_you_mean
from whet.files import read_json, write_json, write_text
from whet.folder import FINISHED, INTERRUPTED, RUNNING, RunFolder
from whet.inference.teachers import OPTION, WORDS
from whet.models import places
from whet.models.pooling import declared
from whet.recipe import Recipe
from whet.recipe.expanding import NAMED, is_name
from whet.recipe.locating import located
from whet.recipe.resolve import resolve
from whet.recipe.rules import WHOLE
from whet.report import write_report
from whet.store.index import forget_run, note_run
from whet.workflows import (
    controlling,
    foreseen_teacher,
    preparing,
    replaying,
    rounding,
    selecting,
    self_training,
    stage_results,
    students,
    suspecting,
    together,
    transferring,
    using,
    written,
)
from whet.workflows.events import Said, StageFinished
from whet.workflows.nodes import PROSE, Node, nodes_of
from whet.workflows.recording import recorded
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.together import Joint

FitOne = Callable[[Recipe, RunFolder, Tell, Callable[[], bool]], Iterator[Event]]
"""How one run is carried out: :func:`whet.workflows.fit.fit`."""
FitTogether = Callable[[Joint], Iterator[Event]]
"""How runs whose tasks share a model are: :func:`whet.workflows.fit.fit_together`."""
RUNS = "runs"
"""The folder with a run for each node."""
IRRELEVANT = "irrelevant.txt"
OF_A_TRAINING = ("self_training", self_training.STEPS, suspecting.FILE, written.FILE, replaying.FILE)
"""What lies among a run's rows, but was said of them by its own models, or drawn by its own seed."""


class Series:
    """The nodes of one series with their folders."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool], fit_one: FitOne
    ) -> None:
        self.recipe, self.folder, self.tell, self.should_stop = recipe, folder, tell, should_stop
        self.fit_one = fit_one
        self.nodes = nodes_of(recipe)
        self.by_name = {node.name: node for node in self.nodes}

    def place(self, name: str) -> RunFolder:
        """The run folder of a node."""
        return RunFolder((self.folder.path / RUNS / name).resolve())

    def is_finished(self, name: str) -> bool:
        """Whether a node's run has come to its end."""
        return self.state_of(name) == FINISHED

    def state_of(self, name: str) -> str | None:
        """The state of a node's run; None where it was never begun."""
        place = self.place(name)
        return str(read_json(place.state)["state"]) if place.state.exists() else None

    @property
    def stages(self) -> list[Node]:
        """The nodes that are stages of the recipe."""
        return [node for node in self.nodes if node.is_stage]

    # --- recipes with what others left put in -------------------------------------------------------

    def root_of(self, node: Node) -> str:
        """The base that a node's own goes back to."""
        named = node.needs.get("base")
        return node.recipe.base if named is None else self.root_of(self.by_name[named])

    def early(self, node: Node) -> Recipe:
        """A node's recipe as long as nothing else is finished: its rows can be read by it."""
        recipe = self._with_text(node).model_copy(update={"base": self.root_of(node)})
        return self._with_pooling(node, recipe)

    def begun(self, node: Node) -> Running:
        """A node's run as long as nothing else is finished: all but what needs the teacher can be refused of it."""
        run = Running(self.early(node), self.place(node.name), self.tell, self.should_stop)
        run.teacher_to_come, run.base_to_come = "distillation.teacher" in node.needs, "base" in node.needs
        return run

    def reading(self, node: Node) -> Running:
        """As :meth:`begun`, reading texts as the stages before it will have taught its base to: tokens and limit."""
        run, named = self.begun(node), node.needs.get("base")
        if named is None:
            return run
        before = self.reading(self.by_name[named])
        words, data = run.recipe.vocabulary, run.recipe.data
        added = words.model_copy(update={"add": [*before.changes.add_tokens, *words.add]})
        if data.max_length == "auto" and before.recipe.data.max_length != "auto":
            data = data.model_copy(update={"max_length": before.recipe.data.max_length})
        run.recipe = run.recipe.model_copy(update={"vocabulary": added, "data": data})
        return run

    def model_of(self, name: str) -> Path:
        """The model of a finished node that another one begins from: the one that was trained, whatever ships."""
        place = self.place(name)
        return using.kept_models(place)[stage_results.model_of(place)]

    def begun_from(self, name: str) -> Path:
        """As :meth:`model_of`; of a node that is not finished, where its folder keeps a model."""
        return self.model_of(name) if self.is_finished(name) else self.place(name).model

    def final(self, node: Node, foreseen: bool = False) -> Recipe:
        """A node's recipe with the places of what it needs.

        :param foreseen: also of nodes that are not finished, for what is looked at beforehand.
        """
        recipe = self._with_text(node)
        for option, name in node.needs.items():
            place = self.place(name)
            part, _, leaf = option.partition(".")
            value = str(place.path)
            if option == "base":
                value = str(self.begun_from(name) if foreseen else self.model_of(name))
            changed: Any = getattr(recipe, part).model_copy(update={leaf: value}) if leaf else value
            recipe = recipe.model_copy(update={part: changed})
        return self._with_pooling(node, self._with_target(node, recipe))

    def _with_target(self, node: Node, recipe: Recipe) -> Recipe:
        """Where the rows of another stage are what its own shall be like, with those that it trains on.

        Named by their file, the rows that the other stage is tested on would be among them.
        """
        target = recipe.selection.target
        for other in self.stages:
            place = self.place(other.name)
            same = target is not None and _named(other.recipe.data.source) == _named(target)
            if same and other is not node and (place.data / "train.arrow").exists():
                chosen = recipe.selection.model_copy(update={"target": str(place.path)})
                return recipe.model_copy(update={"selection": chosen})
        return recipe

    def _with_text(self, node: Node) -> Recipe:
        """With the general text in a file where it is asked for."""
        if node.recipe.data.source != PROSE:
            return node.recipe
        path = self.folder.path / IRRELEVANT
        if not path.exists():
            write_text(path, "".join(f"{text}\n" for text in general.prose()))
        data = node.recipe.data.model_copy(update={"source": str(path.resolve())})
        return node.recipe.model_copy(update={"data": data})

    def _with_pooling(self, node: Node, recipe: Recipe) -> Recipe:
        """What the first base declares of its pooling holds for the models that came of it."""
        if "base" not in node.needs or recipe.task not in WHOLE or recipe.head.pooling != "auto":
            return recipe
        found = declared(places.find(self.root_of(node)).around)
        if found is None:
            return recipe
        return recipe.model_copy(update={"head": recipe.head.model_copy(update={"pooling": found})})


def _named(source: str) -> str:
    """The same of one source, however it is written; a hub id as it stands."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source


def carry_out(
    recipe: Recipe,
    folder: RunFolder,
    tell: Tell,
    should_stop: Callable[[], bool],
    fit_one: FitOne,
    fit_together: FitTogether,
) -> Iterator[Event]:
    """Make every run of ``recipe``; yield what happens.

    :raises Interrupted: ``should_stop`` said so; everything needed to go on is in the folder.
    :raises UserError: F030, a run needs the model of one that failed; and what the failed one raised.
    """
    with _recorded(recipe, folder):
        series = Series(recipe, folder, tell, should_stop, fit_one)
        yield from look_ahead(series)
        for problem in note_run(folder.path):
            yield Said(str(problem))
        failed: dict[str, Exception] = {}
        not_begun: dict[str, Problem] = {}
        if recipe.tasks:
            yield from fit_together(_joint(series))
        for number, node in enumerate(series.nodes, 1):
            yield from make(series, node, number, failed, not_begun)
        yield from _finish(series, failed, not_begun)


# --- before anything is trained -----------------------------------------------------------------------


def look_ahead(series: Series) -> Iterator[Event]:
    """Read the rows of every stage and control, before anything is trained, and what else they name.

    :raises UserError: everything that is refused of any of them; F032, a teacher of another kind or with other labels;
        T021 to T024, one that cannot teach.
    """
    told, unread = Refused(series), set[str]()
    for node in series.nodes:
        if node.rows_of is not None or series.is_finished(node.name):
            continue
        _create(series, series.place(node.name))
        with told.of(node):
            unread.add(node.name)
            run = series.begun(node)
            yield from run.stage("read", lambda run=run: preparing.read(run))  # type: ignore[misc]
            unread.remove(node.name)
            if node.recipe.selection.way != "none":
                selecting.refuse(run)
    for node in series.nodes:
        chooses = node.recipe.selection.way != "none" and node.rows_of is None
        if chooses and not series.is_finished(node.name) and node.needs.get("selection.target") not in unread:
            with told.of(node):
                _refuse_target(series, node)
    for node in series.stages:
        teacher = node.needs.get("distillation.teacher")
        finished = series.is_finished(node.name)
        if teacher is not None and not finished and not unread & {teacher, node.name}:
            with told.of(node):
                _refuse_teacher(series, node, series.by_name[teacher])
    for node in series.stages:
        before = node.needs.get("base")
        if before is not None and node.recipe.method == rounding.NAME and not unread & {before, node.name}:
            with told.of(node):
                _refuse_rounding(series, node, series.by_name[before])
    told.raise_if_any()


class Refused:
    """Problems of several runs of a series, to be told at once."""

    def __init__(self, series: Series) -> None:
        self.series, self.problems, self.hidden = series, list[Problem](), 0
        self._as_raised = set[Problem]()

    @contextlib.contextmanager
    def of(self, node: Node) -> Iterator[None]:
        """Keep what is refused inside, as a problem of ``node``; of a control only what is none of its stage, too."""
        try:
            yield
        except UserError as error:
            new = [one for one in error.problems if node.is_stage or one not in self._as_raised]
            self.add(node.name, UserError(new, error.num_problems - len(error.problems) + len(new)))

    def add(self, name: str, error: UserError) -> None:
        """Keep the problems of a run."""
        self._as_raised |= set(error.problems)
        self.problems += [of_part(self.series, name, problem) for problem in error.problems]
        self.hidden += error.num_problems - len(error.problems)

    def raise_if_any(self) -> None:
        """:raises UserError: everything that was kept."""
        if self.problems:
            raise UserError(self.problems, len(self.problems) + self.hidden)


def of_part(series: Series, name: str, problem: Problem) -> Problem:
    """A problem of a run, said to be of that stage or task, with the option that it comes of and its line."""
    node, other = series.by_name[name], "controls.irrelevant"
    if node.branch == "irrelevant" and series.recipe.controls.irrelevant and problem.option == "data.source":
        return located(replace(problem, option=other), series.recipe)
    part = "task" if series.recipe.tasks else "stage" if node.is_stage else "run"
    found = located(_of_no_stage(series, node, problem), node.recipe)
    return replace(found, where=f"{part} {name!r}, {found.where}")


def _of_no_stage(series: Series, node: Node, problem: Problem) -> Problem:
    """Of a name that was found nowhere and may have been meant for another stage: that there is no such stage."""
    part, _, leaf = problem.option.partition(".")
    if problem.code not in ("M004", "D011") or problem.option not in NAMED or problem.option in node.needs:
        return problem
    value = getattr(node.recipe, part)
    name, names = str(getattr(value, leaf) if leaf else value), [one.name for one in series.stages]
    earlier = NAMED[problem.option] == "model"
    known = names[: names.index(node.stage)] if earlier else [one for one in names if one != node.stage]
    if not known or not is_name(name):
        return problem
    what = f"there is no stage {name!r} ({'those before it' if earlier else 'the others'}: {', '.join(known)})"
    remedy = did_you_mean(name, known) or problem.remedy
    return replace(problem, what=f"{what}; and {_WHERE_ELSE[problem.code]}{problem.what}", remedy=remedy)


_WHERE_ELSE = {"M004": "as a base it ", "D011": ""}
"""How a problem of a name that was looked for elsewhere goes on behind another sentence."""


def _refuse_target(series: Series, node: Node) -> None:
    """:raises UserError: R057, a stage is to choose rows that are like its own; as selecting.refuse_target."""
    named, stage = str(node.recipe.selection.target), node.needs.get("selection.target")
    if named == node.stage and not Path(named).exists():
        what = f"is {named!r}, this very stage."
        raise UserError(Problem("R057", "selection.target", what, "Name another stage, or texts of what is wanted."))
    selecting.refuse_target(series.begun(node), named if stage is None else str(series.place(stage).path))


def _refuse_teacher(series: Series, node: Node, teacher: Node) -> None:
    """Everything that the trained teacher would be refused for.

    :raises UserError: F032, a stage is to be the teacher of one that does something else, or whose labels differ; T021
        to T024, as :func:`whet.workflows.foreseen_teacher.refuse`.
    """
    ours, theirs = series.begun(node).head_kind, series.begun(teacher).head_kind
    learns = f"learns from stage {teacher.name!r},"
    if theirs != ours:
        what = f"{learns} which {WORDS[theirs]}; for {node.recipe.task} a teacher is wanted that {WORDS[ours]}."
        raise UserError(Problem("F032", OPTION, what, "Name another teacher."))
    if odd := _labels(series, teacher.name) ^ _labels(series, node.name):
        what = f"{learns} whose labels are others: {', '.join(sorted(odd)[:5])}."
        remedy = "Give both stages rows with the same labels, or name another teacher."
        raise UserError(Problem("F032", OPTION, what, remedy))
    foreseen_teacher.refuse(series.reading(node), teacher.name, series.reading(teacher))


def _refuse_rounding(series: Series, node: Node, before: Node) -> None:
    """:raises UserError: M075, a stage is to round the model of one that does something else, or lacks its labels."""
    ours, theirs = series.begun(node).head_kind, series.begun(before).head_kind
    lacks = _labels(series, node.name) - _labels(series, before.name)
    if ours == theirs and not lacks:
        return
    what = f"is the model of stage {before.name!r}, which {WORDS[theirs]}"
    what += f" and has no rows of: {', '.join(sorted(lacks)[:5])}." if ours == theirs else f", not {WORDS[ours]}."
    remedy = "Name a stage that was trained for the same, on rows with the same labels."
    raise UserError(Problem("M075", "base", what, remedy))


def _labels(series: Series, name: str) -> set[str]:
    return set(read_json(series.place(name).data / "fingerprint.json")["labels"])


def _create(series: Series, place: RunFolder) -> None:
    if not place.state.exists():
        folders.create(place.path, str(series.folder.read_state().get("whet", "")))
        place.write_state(INTERRUPTED)


def _joint(series: Series) -> Joint:
    """The runs of tasks that are learnt together."""
    tasks = {
        node.name: Running(series.final(node), series.place(node.name), series.tell, series.should_stop)
        for node in series.nodes
    }
    for run in tasks.values():
        run.sharing, run.alone = tuple(tasks.values()), series.recipe.mixing.control
    return Joint(series.recipe, series.folder, tasks, series.should_stop)


# --- one node -----------------------------------------------------------------------------------------


def make(
    series: Series, node: Node, number: int, failed: dict[str, Exception], not_begun: dict[str, Problem]
) -> Iterator[Event]:
    """Carry out one node, unless it is finished or something that it needs is not."""
    if series.is_finished(node.name):
        yield StageFinished(node.name, 0.0, skipped=True)
        return
    if series.should_stop():
        raise Interrupted
    missing = [name for name in node.waits_for if not series.is_finished(name)]
    if missing:
        of = "which failed" if missing[0] in failed else "which was not begun"
        what = f"was not begun: it needs {missing[0]!r}, {of}."
        not_begun[node.name] = Problem("F030", f"stage {node.name!r}", what, _remedy(series))
        yield Said(str(not_begun[node.name]))
        return
    place = series.place(node.name)
    yield Said(f"run {number} of {len(series.nodes)}: {node.name} ({node.recipe.task})")
    try:
        _create(series, place)
        _take_rows(series, node)
        _forget_student(node, place)
        recipe = series.final(node)
        if node.tokens_of:
            recipe, words = _as_long(series, node, recipe)
            yield Said(words)
        yield from series.fit_one(recipe, place, series.tell, series.should_stop)
    except Exception as error:
        if isinstance(error, Interrupted):
            raise
        failed[node.name] = error
        yield Said(f"{node.name} failed: {error}")


def _remedy(series: Series) -> str:
    return f"When the reason is removed, go on with: whet resume {series.folder.path}"


def _take_rows(series: Series, node: Node) -> None:
    """The rows that another node of the same stage read, with what was chosen of them; not what it said of them."""
    if node.rows_of is None:
        return
    given, place = series.place(node.rows_of), series.place(node.name)
    if (place.data / "fingerprint.json").exists():
        return
    own = ("fingerprint.json", *OF_A_TRAINING)
    shutil.copytree(given.data, place.data, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*own))
    for name in ("read", "choose rows", "audit"):
        if (given.stages / f"{name}.json").exists():
            write_json(place.stages / f"{name}.json", {"seconds": 0.0})
    shutil.copy(given.data / "fingerprint.json", place.data / "fingerprint.json")


def _forget_student(node: Node, place: RunFolder) -> None:
    """The smaller base of what was looked at beforehand: it was made of the first base, not of the stage before."""
    if "base" in node.needs and students.wanted(node.recipe) and not (place.stages / "shrink.json").exists():
        shutil.rmtree(place.path / students.FOLDER, ignore_errors=True)


def _as_long(series: Series, node: Node, recipe: Recipe) -> tuple[Recipe, str]:
    """The recipe with as many epochs as make the tokens of ``node.tokens_of``, and that in words.

    What ends training early is put off: the control is one of equal length. The best state is kept, as ever.
    """
    wanted = sum(stage_results.tokens(series.place(name)) for name in node.tokens_of)
    run = Running(recipe, series.place(node.name), series.tell, series.should_stop)
    for name, stage in (("read", preparing.read), ("audit", preparing.look), ("encode", preparing.encode)):
        list(run.stage(name, lambda stage=stage: stage(run)))  # type: ignore[misc]
    each = run.encoded["train"].num_tokens
    before = float(resolve(recipe, preparing.facts_of(run))["training.epochs"].value) if node.adds else 0.0
    epochs = float(f"{before + wanted / max(1, each):.4g}")
    patience = int(np.ceil(epochs * recipe.training.evaluations_per_epoch)) + 1
    training = recipe.training.model_copy(update={"epochs": epochs, "patience": patience})
    like = " and ".join(dict.fromkeys(series.by_name[name].stage for name in node.tokens_of))
    more = f"{before:.4g} of its own, and " if node.adds else ""
    why = f"{more}as many tokens as {like} was trained on ({wanted:,})"
    reasons = {"training.epochs": why, "training.patience": "so that nothing ends this control early"}
    told = f"{node.name}: {epochs:g} epochs, for {wanted:,} tokens{' more' if node.adds else ''}"
    return recipe.model_copy(update={"training": training}).knowing(reasons=reasons), told


# --- the end ------------------------------------------------------------------------------------------


def _finish(series: Series, failed: dict[str, Exception], not_begun: dict[str, Problem]) -> Iterator[Event]:
    """Results of all nodes, the comparison with controls, findings, the page; of those that failed, too.

    :raises UserError: F030, a run was not begun; and what those raised that failed.
    """
    folder, last = series.folder, series.stages[-1]
    why = {**{name: str(error) for name, error in failed.items()}, **{n: p.what for n, p in not_begun.items()}}
    results = [stage_results.result(series.place(node.name), node, why.get(node.name)) for node in series.nodes]
    write_json(folder.path / stage_results.FILE, {"stages": results, "last": last.name})
    found = []
    if series.is_finished(last.name):
        if series.recipe.tasks:
            found += together.findings(series.recipe, {node.name: series.place(node.name) for node in series.nodes})
        found += transferring.findings(series.recipe, series.stages, series.place)
        found += controlling.compare(series.folder, series.recipe, series.nodes, series.place)
        found += controlling.seen_before(series.stages, series.place, bool(series.recipe.tasks))
        for name in ("scores.json", "verdict.json"):
            shutil.copy(series.place(last.name).path / name, folder.path / name)
        folder.write_state(RUNNING, **_answers(folder))  # even if another run failed
    write_json(folder.findings, [finding.to_json() for finding in found])
    for finding in found:
        yield Said(f"{finding.code} {finding.message}")
    write_report(folder.path)
    yield Said(f"report: {folder.report}")
    if failed or not_begun:
        yield Said(_remedy(series))
        raise_failed(series, failed, not_begun)


def _answers(folder: RunFolder) -> dict[str, str]:
    """Which run answers where the whole is asked."""
    return {"answers": f"{RUNS}/{read_json(folder.path / stage_results.FILE)['last']}"}


def raise_failed(series: Series, failed: dict[str, Exception], not_begun: dict[str, Problem]) -> None:
    """:raises UserError: what runs were stopped by, or not begun for; whatever else stopped one."""
    told = Refused(series)
    for name, error in failed.items():
        if not isinstance(error, UserError):
            raise error
        told.add(name, error)
    told.problems += not_begun.values()
    told.raise_if_any()


def _recorded(recipe: Recipe, folder: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Keep the state of the whole true to what happens, and its entry in the store."""
    begun = not folder.recipe.exists()

    def undone(error: BaseException) -> bool:
        worth = any(folder.path.glob(f"{RUNS}/*/stages/encode.json")) or (folder.path / stage_results.FILE).exists()
        if not begun or not isinstance(error, UserError) or worth:
            return False
        shutil.rmtree(folder.path, ignore_errors=True)  # refused before anything was trained
        forget_run(folder.path)
        return True

    return recorded(recipe, folder, undone, lambda: _answers(folder))
