"""The pages of entities, answers, values and ranked lists: what they show of what the files say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from whet.evaluation.measures import lower_is_better
from whet.report import pictures, write_report
from whet.report.page import BUILDERS, builders
from whet.report.run_files import read_run

from .synthetic_tasks import EVIL, MAKERS
from .task_reading import scores_of, shown_model
from .test_page import captioned, page_of, poisoned, rows_of, tree_of

KIND_OF = {kind: kind for kind in MAKERS} | {"similarity": "values", "regression": "values", "language": "texts"}
PICTURES = {"spans": 5, "answers": 4, "similarity": 5, "regression": 5, "ranks": 5, "texts": 5, "language": 4}
PRIMARY = {
    "spans": "Entity F1",
    "answers": "Answer F1",
    "similarity": "Spearman",
    "regression": "R²",
    "ranks": "nDCG@10",
    "texts": "Token cross-entropy ↓",
    "language": "Token cross-entropy ↓",
}


def test_there_are_sections_for_every_kind_of_predictions() -> None:
    from whet.evaluation.kinds import KINDS

    assert set(BUILDERS) == set(KINDS)


def section_names(kind: str) -> list[str]:
    return [build.__name__ for build in builders(KIND_OF[kind], "language-modeling" if kind == "language" else "")]


@pytest.mark.parametrize("evil", ["", "evil-"])
@pytest.mark.parametrize("kind", list(MAKERS))
def test_every_section_has_content(task_runs: dict[str, Path], kind: str, evil: str) -> None:
    tree = tree_of(task_runs[evil + kind])
    assert [section.attributes["id"] for section in tree.all("section")] == section_names(kind)
    assert [one.text for one in tree.all("p", class_="absent")] == []
    assert "unexpected form" not in tree.text
    assert len(tree.all("figure")) == PICTURES[kind]
    for drawing in tree.all("svg"):
        assert drawing.attributes["role"] == "img" and len(drawing.attributes["aria-label"]) > 30


@pytest.mark.parametrize("kind", list(MAKERS))
def test_markup_in_the_data_stays_text(task_runs: dict[str, Path], kind: str) -> None:
    page, tree = page_of(task_runs[f"evil-{kind}"]), tree_of(task_runs[f"evil-{kind}"])
    assert "<script>alert" not in page and len(tree.all("script")) == 1
    assert EVIL[:12] in tree.text
    assert not [key for element in tree.all() for key in element.attributes if key.startswith("on")]


@pytest.mark.parametrize("kind", list(MAKERS))
def test_everything_a_file_can_say_is_escaped(task_runs: dict[str, Path], tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs[kind], folder)
    for name in ("scores", "verdict", "findings", "data/ledger", "data/audit"):
        path = folder / f"{name}.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        changed = poisoned(value, EVIL)
        if isinstance(value, dict) and "kind" in value:
            assert isinstance(changed, dict)
            changed["kind"] = value["kind"]
        path.write_text(json.dumps(changed), encoding="utf-8")
    write_report(folder)
    assert "<script>alert" not in page_of(folder)
    assert EVIL in tree_of(folder).text


@pytest.mark.parametrize("kind", list(MAKERS))
def test_page_is_small(task_runs: dict[str, Path], kind: str) -> None:
    assert (task_runs[kind] / "report.html").stat().st_size < 300_000


@pytest.mark.parametrize("kind", list(MAKERS))
@pytest.mark.parametrize("name", ["scores.json", "verdict.json", "data/test.arrow", "predictions", "data/audit.json"])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_lost_file_costs_its_sections_only(
    tmp_path: Path, task_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str, name: str, how: str
) -> None:
    monkeypatch.setattr(pictures, "can_draw", lambda: False)  # quicker, and the tables are there all the same
    folder = tmp_path / "run"
    shutil.copytree(task_runs[kind], folder)
    for path in sorted((folder / name).iterdir()) if name == "predictions" else [folder / name]:
        if how == "missing":
            path.unlink()
        else:
            path.write_bytes(b"{\n\x00\xff]\n[")
    write_report(folder)
    tree = tree_of(folder)
    assert [section.attributes["id"] for section in tree.all("section")] == section_names(kind)
    assert "unexpected form" not in tree.text
    notices = [notice.text for box in tree.all("div", class_="notice") for notice in box.all("li")]
    if how == "damaged":
        assert len(notices) == 1 and notices[0].startswith(name), "each damaged file is named once"
        assert str(tmp_path) not in notices[0], "a page that travels names no path of this machine"
    else:
        assert notices == []


@pytest.mark.parametrize("kind", list(MAKERS))
def test_without_the_drawing_package_tables_remain(
    tmp_path: Path, task_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("whet.report.pictures.can_draw", lambda: False)
    monkeypatch.setattr("whet.report.page.can_draw", lambda: False)
    folder = tmp_path / "run"
    shutil.copytree(task_runs[kind], folder)
    write_report(folder)
    tree = tree_of(folder)
    assert not tree.all("svg")
    assert len(tree.all("figure")) == PICTURES[kind]
    assert "pip install" in tree.one("p", class_="notice").text
    for figure in tree.all("figure"):
        assert figure.all("table")


@pytest.mark.parametrize("kind", list(MAKERS))
def test_another_kind_of_predictions_under_the_same_name_is_not_taken(
    tmp_path: Path, task_runs: dict[str, Path], kind: str
) -> None:
    folder, other = tmp_path / "run", next(one for one in MAKERS if KIND_OF[one] != KIND_OF[kind])
    shutil.copytree(task_runs[kind], folder)
    shutil.copy(
        task_runs[other] / "predictions" / "full.test.parquet",
        folder / "predictions" / f"{shown_model(folder)}.test.parquet",
    )
    write_report(folder)
    tree = tree_of(folder)
    assert "unexpected form" not in tree.text
    assert "No predictions were saved for this model." in tree.text


def test_the_kind_is_known_before_scores_are(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    for kind in MAKERS:
        folder = tmp_path / kind
        shutil.copytree(task_runs[kind], folder)
        (folder / "scores.json").unlink()
        assert read_run(folder).kind == KIND_OF[kind]
        shutil.rmtree(folder / "predictions")
        assert read_run(folder).kind == KIND_OF[kind]


@pytest.mark.parametrize("kind", list(MAKERS))
def test_comparison_has_the_metrics_of_the_kind(task_runs: dict[str, Path], kind: str) -> None:
    folder = task_runs[kind]
    scores = scores_of(folder)
    section = tree_of(folder).one("section", id="comparison")
    table = captioned(section, "All models")
    headings = [cell.text for cell in table.one("thead").all("th")]
    assert headings[:2] == ["Model", PRIMARY[kind]]
    assert len(headings) == 1 + len(scores["models"]["full"])
    found = scores["models"]["full"][scores["primary"]]
    points = kind in ("spans", "answers")
    expected = f"{100 * found['value']:.1f} %" if points else f"{found['value']:.3f}"
    shown = next(row for row in rows_of(table) if row[0].startswith("full"))
    assert shown[1].startswith(expected)
    unit = "1.0 points" if points else "0.010"
    assert f"A difference within {unit} counts as no worse." in section.text
    rows = {"answers": "questions", "ranks": "queries", "spans": "texts"}.get(kind, "rows")
    assert f"{scores['num_rows']:,} {rows} of test" in table.one("caption").text
    assert ("↓" in " ".join(headings[1:])) == any(lower_is_better(name) for name in scores["models"]["full"])
    assert "micro F1 equals" not in section.text


def test_intervals_over_groups_are_told(task_runs: dict[str, Path]) -> None:
    assert "The questions come in 40 groups" in tree_of(task_runs["answers"]).one("section", id="comparison").text
    assert "groups" not in tree_of(task_runs["ranks"]).one("section", id="comparison").text


@pytest.mark.parametrize("kind", list(MAKERS))
def test_training_and_data_read_right(task_runs: dict[str, Path], kind: str) -> None:
    tree = tree_of(task_runs[kind])
    scores = scores_of(task_runs[kind])
    captions = [one.text for one in tree.one("section", id="training").all("figcaption")]
    title = captioned(tree.one("section", id="comparison"), "All models").one("thead").all("th")[1].text
    assert captions[0].startswith("Loss of full.") and captions[1].startswith(f"{title.removesuffix(' ↓')} of full.")
    splits = captioned(tree.one("section", id="data"), "The splits")
    headings = [cell.text for cell in splits.one("thead").all("th")]
    assert ("Types" in headings) == ("labels" in scores) == (kind == "spans")
    ledger = tree.one("section", id="ledger")
    assert "a tag began inside" in captioned(ledger, "Rows that were kept").text
    assert rows_of(captioned(ledger, "Rows read"))[0][4] == "2"


@pytest.mark.parametrize("kind", ["spans", "answers", "similarity", "texts", "language"])
def test_texts_of_other_rows_are_not_shown(tmp_path: Path, task_runs: dict[str, Path], kind: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(task_runs[kind], folder)
    shutil.copy(task_runs[f"evil-{kind}"] / "data" / "test.arrow", folder / "data" / "test.arrow")
    write_report(folder)
    tree = tree_of(folder)
    assert "not in this run folder" in tree.text and "alert(" not in tree.text


def test_settings_of_other_tasks_are_left_out(tmp_path: Path, task_runs: dict[str, Path]) -> None:
    folder = Path(shutil.copytree(task_runs["regression"], tmp_path / "run"))
    found = yaml.safe_load((folder / "resolved.yaml").read_text(encoding="utf-8"))
    others = {"similarity.encoder": "bi", "answers.nbest": 5, "lora.rank": 16}
    found |= {name: {"value": value, "reason": "default"} for name, value in others.items()}
    (folder / "resolved.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    write_report(folder)
    text = tree_of(folder).one("section", id="settings").text
    assert "lora.rank" in text and "similarity" not in text and "answers." not in text
