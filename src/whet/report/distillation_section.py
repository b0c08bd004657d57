"""What a student keeps of its teacher, and what the same model came to without it. Out of ``distillation.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from whet.evaluation import retention
from whet.evaluation.wording import model_words
from whet.files import read_json
from whet.report import numbers
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, words

TITLE = "What was learnt from a teacher"
ROLES = {retention.TEACHER: "the teacher", retention.STUDENT: "learnt from it"}
Facts = Mapping[str, Any]


def distilled(run: RunFiles) -> bool:
    """Whether a model of this run learnt from a teacher."""
    return (run.folder / retention.FILE).is_file()


def distillation(run: RunFiles) -> Section:
    """The retention table, and what it says in words."""
    told = read_json(run.folder / retention.FILE)
    return Section(
        "distillation",
        TITLE,
        {
            "passed_over": _passed_over(told),
            "words": retention.finding(told).message,
            "table": _table(told),
            "made_of": _made_of(told.get("student")),
            "how": " ".join(_how(told)),
            "beside": retention.TEACHER in told["models"],
            "control": told.get("control") is not None,
        },
    )


def _table(told: Facts) -> Table:
    metric = str(told["metric"])
    timed = f", over {told['timed_rows']:,} test rows" if told.get("timed_rows") else ""
    columns = [
        Column("Model"),
        Column(numbers.metric(metric).title, True),
        Column("Kept of the teacher", True, "Share of the teacher's score"),
        Column("Against the control", True, "Paired difference on the same rows"),
        Column("Weights", True),
        Column("Size", True, "Of all files of the saved model"),
        Column("Rows a second", True, f"On this machine, in turn{timed}; tokenising left out"),
    ]
    wanted = (retention.TEACHER, str(told.get("control")), retention.STUDENT)
    order = [name for name in wanted if name in told["models"]]
    return Table("Teacher and student on the same test rows", columns, [_row(told, name, metric) for name in order])


def _row(told: Facts, name: str, metric: str) -> Row:
    facts, kept, gain = told["models"][name], told["kept"].get(name) or {}, told.get("gain")
    value, low, high = numbers.measured(facts["value"])
    share = numbers.ABSENT if kept.get("share") is None else f"{100 * kept['share']:.1f}{numbers.GAP}%"
    between = "" if kept.get("low") is None else f"{100 * kept['low']:.1f} to {100 * kept['high']:.1f}"
    apart = Cell(numbers.ABSENT)
    if name == retention.STUDENT and gain is not None:
        text = numbers.difference(gain["difference"], metric) + numbers.unit(metric)
        apart = number(gain["difference"], text, numbers.interval(gain["low"], gain["high"], metric))
    size, rate = facts.get("size_bytes"), facts.get("rows_per_second")
    role = ROLES.get(name, "on the labels alone")
    if name == retention.TEACHER:
        role = f"the teacher: {retention.teacher_words(told)}"
    if name == retention.TEACHER and sum((told.get("seen") or {}).values()):
        others = "; what is kept of it is told by the test rows that it had not seen"
        role += others if told["kept"] else "; not comparable, it was trained on too many of the test rows"
    return Row(
        [
            words(name if name in ROLES else model_words(name), role),
            number(value, numbers.written(value, metric), numbers.interval(low, high, metric)),
            number(kept.get("share"), share, between),
            apart,
            number(facts.get("parameters"), numbers.count(facts.get("parameters"))),
            number(size, numbers.ABSENT if size is None else f"{size / 1e6:.1f}{numbers.GAP}MB"),
            number(rate, numbers.ABSENT if rate is None else numbers.count(round(rate))),
        ],
        marked=name == retention.STUDENT,
    )


def _how(told: Facts) -> Iterator[str]:
    """What the teacher was asked, and how the student learns from it, in sentences."""
    who, wish, rows = retention.teacher_words(told), told["options"], numbers.count(told.get("rows"))
    inside = [
        f"{what} with weight {wish[part]:g}"
        for part, what in (("hidden", "its hidden states"), ("attention", "what its tokens look at"))
        if wish.get(part)
    ]
    writes = wish.get("texts", "none") != "none"
    kind = "prompts without a target" if writes else "texts without labels"
    beside = f" and {numbers.count(told['unlabelled'])} {kind}" if told.get("unlabelled") else ""
    if writes:
        place = "beside the targets" if wish["texts"] == "join" else "in the place of the targets"
        wrote = numbers.count(told["written"]) if "written" in told else "some"
        yield f"The teacher, {who}, wrote to {wrote} of {rows} training rows{beside}; its texts stand {place}."
    if told.get("spent"):
        yield f"It took {retention.spent_in_words(told['spent'])}."
    if wish["weight"] or inside:
        yield f"The teacher, {who}, was asked about {rows} training rows{beside} once, and what it said was kept."
        heat = f", at temperature {wish['temperature']:g}"
        if told.get("replies"):
            heat = ""
            yield f"It was asked in words. {retention.replies_in_words(told)}"
        share = f"{100 * wish['weight']:g} % of a row from it{heat}"
        yield f"The student learns {', '.join([*([share] if wish['weight'] else []), *inside])}."


def _passed_over(told: Facts) -> str:
    """That the teacher's run has a tuned model which does not teach, and how to take it; "" where it has none."""
    found = retention.who_teaches(told)
    return "" if found.bin == "passed" else f"{found.message} {found.remedy}"


def _made_of(student: Facts | None) -> str:
    """What the base of the student is, in words; "" where it is as it came."""
    if student is None:
        return ""
    parts = [named] if (named := retention.layers_in_words(student)) else []
    parts += [f"{student['width']} numbers a token in {student['heads']} heads"] if student.get("width") else []
    return f"{' and '.join(parts)} of {student['made_of']}"
