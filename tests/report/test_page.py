from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from whet.data.predictions import load
from whet.errors import UserError
from whet.report import pictures, write_report
from whet.report.page import builders

from .reading import Element, read
from .synthetic_run import make_run

NAMES = [build.__name__ for build in builders("classes")]
EVERY = ["support", "banking", "several", "pairs", "evil"]


def page_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def tree_of(folder: Path) -> Element:
    return read(page_of(folder))


@pytest.mark.parametrize("name", EVERY)
def test_page_has_every_section_with_content(runs: dict[str, Path], name: str) -> None:
    tree = tree_of(runs[name])
    assert [section.attributes["id"] for section in tree.all("section")] == NAMES
    absent = [one.parent.attributes["id"] for one in tree.all("p", class_="absent") if one.parent]
    assert absent == (["confusion"] if name == "several" else [])
    assert "unexpected form" not in tree.text


@pytest.mark.parametrize("name", EVERY)
def test_structure_is_accessible(runs: dict[str, Path], name: str) -> None:
    tree = tree_of(runs[name])
    assert tree.one("html").attributes["lang"] == "en"
    for landmark in ("header", "main", "footer"):
        tree.one(landmark)
    assert tree.one("nav").attributes["aria-label"]
    ids = Counter(element.attributes["id"] for element in tree.all() if "id" in element.attributes)
    assert max(ids.values()) == 1
    levels = [int(element.tag[1]) for element in tree.all() if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for link in tree.all("a"):
        assert link.attributes["href"].removeprefix("#") in ids
    for section in tree.all("section"):
        assert section.attributes["aria-labelledby"] in ids
    for drawing in tree.all("svg"):
        assert drawing.attributes["role"] == "img"
        assert len(drawing.attributes["aria-label"]) > 30
    for heading in tree.all("th"):
        assert heading.attributes["scope"] in ("row", "col")


@pytest.mark.parametrize("name", EVERY)
def test_tables_are_regular(runs: dict[str, Path], name: str) -> None:
    tables = tree_of(runs[name]).all("table")
    assert len(tables) > 10
    for table in tables:
        assert table.one("caption").text
        width = len(table.one("thead").all("th"))
        for row in table.one("tbody").all("tr"):
            assert [cell.tag for cell in row.children] == ["th"] + ["td"] * (width - 1)
    for figure in tree_of(runs[name]).all("figure"):
        assert figure.one("figcaption").text and figure.one("details").all("table")


@pytest.mark.parametrize("name", EVERY)
def test_page_is_self_contained(runs: dict[str, Path], name: str) -> None:
    page, tree = page_of(runs[name]), tree_of(runs[name])
    for element in tree.all():
        for attribute in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            value = element.attributes.get(attribute, "")
            assert value == "" or value.startswith("#") or value == "data:,", f"<{element.tag} {attribute}={value}>"
        assert not [key for key in element.attributes if key.startswith("on")]
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    policy = tree.one("meta", **{"http-equiv": "Content-Security-Policy"}).attributes["content"]
    assert policy.startswith("default-src 'none'")
    assert len(tree.all("script")) == 1


def test_what_users_wrote_is_escaped(runs: dict[str, Path]) -> None:
    page, tree = page_of(runs["evil"]), tree_of(runs["evil"])
    for dangerous in ("<script>alert", "<b>bold", "<img"):
        assert dangerous not in page
    assert tree.one("h1").text == "<script>alert(1)<"
    assert "<script>alert('label')</script>" in tree.one("section", id="classes").text
    assert '"quoted" & <b>bold</b>' in tree.one("section", id="confusion").text


def test_everything_a_file_can_say_is_escaped(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    evil = "<script>alert('x')</script>"
    for name in ("scores", "verdict", "findings", "environment", "data/ledger", "data/audit"):
        path = folder / f"{name}.json"
        value = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(poisoned(value, evil)), encoding="utf-8")
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    told = [event | {key: evil for key in ("model", "stage") if key in event} for event in lines]
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in told))
    (folder / "resolved.yaml").write_text(json.dumps({evil: {"value": evil, "reason": evil}}))
    (folder / "model" / "README.md").write_text(f"# x\n\n## Use\n\n{evil} `{evil}`\n\n```\n{evil}\n```\n\n### {evil}\n")
    write_report(folder)
    assert "<script>alert" not in page_of(folder)
    tree = tree_of(folder)
    assert len(tree.all("script")) == 1
    assert tree.one("section", id="use").text.count(evil) == 4
    assert evil in tree.one("section", id="verdict").text


def poisoned(value: object, evil: str) -> object:
    """Every free text replaced; codes and names that the page branches on stay."""
    kept = {"code", "bin", "ship", "best_baseline", "primary", "metric", "candidate", "against"}
    if isinstance(value, dict):
        return {key: one if key in kept else poisoned(one, evil) for key, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, evil) for one in value]
    return evil if isinstance(value, str) else value


def test_verdict_stands_on_top_in_its_own_words(runs: dict[str, Path]) -> None:
    for name, word in (("support", "Ship full"), ("banking", "Cannot tell"), ("several", "Keep the baseline probe")):
        section = tree_of(runs[name]).all("section")[0]
        told = json.loads((runs[name] / "verdict.json").read_text(encoding="utf-8"))
        box = section.one("div", class_="verdict")
        assert box.attributes["class"] == f"verdict {told['code']}"
        assert word in box.one("p", class_="headline").text
        assert box.one("p", class_="reason").text == told["reason"]
    facts = tree_of(runs["banking"]).one("dl", class_="facts").text
    assert "Test rows that would decide about 1,900" in facts


def rows_of(table: Element) -> list[list[str]]:
    return [[cell.text for cell in row.children] for row in table.one("tbody").all("tr")]


def captioned(section: Element, start: str) -> Element:
    return next(table for table in section.all("table") if table.one("caption").text.startswith(start))


def test_comparison_shows_every_model_metric_and_interval(runs: dict[str, Path]) -> None:
    scores = json.loads((runs["support"] / "scores.json").read_text(encoding="utf-8"))
    section = tree_of(runs["support"]).one("section", id="comparison")
    table = captioned(section, "All models")
    shown = {row[0].split()[0]: row for row in rows_of(table)}
    assert set(shown) == set(scores["models"])
    values = [scores["models"][row[0].split()[0]]["accuracy"]["value"] for row in rows_of(table)]
    assert values == sorted(values, reverse=True)
    found = scores["models"]["probe"]["accuracy"]
    expected = f"{found['value'] * 100:.1f} % {found['low'] * 100:.1f} to {found['high'] * 100:.1f}"
    assert shown["probe"][1] == expected
    assert "best baseline" in shown["probe"][0] and "ships" in shown["full"][0]
    assert len(rows_of(captioned(section, "Paired"))) == 4
    assert rows_of(captioned(section, "Cost"))[0][1:] == ["2 min 24 s", "409", "90.9 MB", "22.7 M"]
    assert "6 rows of the test split also stand in train" in section.text
    headings = [cell.text for cell in table.one("thead").all("th")]
    assert headings == ["Model", "Accuracy", "Macro F1", "MCC", "Log loss ↓", "Brier ↓", "ECE ↓"]
    assert "micro F1 equals accuracy" in section.text
    several = captioned(tree_of(runs["several"]).one("section", id="comparison"), "All models")
    assert "Micro F1" in several.one("thead").text


def test_mistakes_are_the_surest_ones_with_their_texts(runs: dict[str, Path]) -> None:
    import pyarrow as pa

    folder = runs["banking"]  # ships the probe
    predictions = load(folder / "predictions" / "probe.test.parquet")
    wrong = [row for row in range(len(predictions)) if not predictions.correct[row]]
    wrong.sort(key=lambda row: -predictions.scores[row].max())
    with pa.memory_map(str(folder / "data" / "test.arrow")) as source:
        texts = pa.ipc.open_file(source).read_all()["text"].to_pylist()
    items = tree_of(folder).one("ol", class_="mistakes").all("li")
    assert len(items) == min(20, len(wrong)) == 20
    for item, row in zip(items, wrong, strict=False):
        assert item.one("blockquote").text == " ".join(texts[row].split())
        assert predictions.labels[predictions.gold[row]] in item.all("dd")[0].text
        shown = item.all("dd")[1].text
        assert predictions.labels[predictions.predicted[row]] in shown
        assert f"{predictions.scores[row].max() * 100:.1f}" in shown


def test_texts_of_other_rows_are_not_shown(tmp_path: Path, runs: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    other = make_run(tmp_path / "other", num_labels=5)
    shutil.copy(other / "data" / "test.arrow", folder / "data" / "test.arrow")
    write_report(folder)
    quotes = [quote.text for quote in tree_of(folder).one("ol", class_="mistakes").all("blockquote")]
    assert quotes and all("is another one" in quote for quote in quotes)


def test_pairs_show_both_texts(runs: dict[str, Path]) -> None:
    first = tree_of(runs["pairs"]).one("ol", class_="mistakes").all("li")[0]
    assert "And the second text of row" in first.one("span", class_="pair").text


def test_many_classes_fold_the_table_and_drop_the_heat_map(runs: dict[str, Path]) -> None:
    tree = tree_of(runs["banking"])
    classes = tree.one("section", id="classes")
    captions = [table.one("caption").text for table in classes.all("table")]
    assert captions == ["The 10 weakest classes of probe", "All 77 classes of probe"]
    assert len(classes.one("details").all("tr")) == 78
    confusion = tree.one("section", id="confusion")
    assert not confusion.all("svg")
    counts = [int(row[2]) for row in rows_of(confusion.one("table"))]
    assert len(counts) == 20 and counts == sorted(counts, reverse=True)
    assert len(tree_of(runs["support"]).one("section", id="confusion").all("svg")) == 1


def test_findings_stand_where_they_belong(runs: dict[str, Path]) -> None:
    tree = tree_of(runs["support"])

    def codes(name: str) -> list[str]:
        items = tree.one("section", id=name).all("li", class_="finding")
        return re.findall(r"\b[A-Z]\d{3}\b", " ".join(item.one("p", class_="what").text for item in items))

    assert codes("gates") == ["V004", "V002", "V006", "V007", "V001", "V003", "V005"]
    assert codes("training") == ["E007", "E008"]
    assert codes("data") == ["A004", "A011", "A012", "A001", "A002", "A006"]
    gates = tree.one("section", id="gates").all("li", class_="finding")
    words = [item.one("p", class_="what").text for item in gates]
    assert "Issue" in words[0] and "Passed" in words[-1]
    assert "where is my parcel" in tree.one("section", id="data").one("li", class_="issue").text


def test_use_comes_from_the_card_or_is_general(tmp_path: Path, runs: dict[str, Path]) -> None:
    assert "whet predict support-full rows.csv" in tree_of(runs["support"]).one("section", id="use").text
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    card = (
        "# Card\n\n## Use\n\nSay it with `care`:\n\n```python\n# not a heading\nload('x')\n```\n\n## Limits\n\nNone.\n"
    )
    (folder / "model" / "README.md").write_text(card)
    write_report(folder)
    use = tree_of(folder).one("section", id="use")
    assert use.one("pre").text == "# not a heading load('x')"
    assert "Limits" not in use.text and "whet predict" not in use.text


def test_an_empty_folder_has_a_page(tmp_path: Path) -> None:
    path = write_report(tmp_path)
    assert path == tmp_path / "report.html"
    tree = tree_of(tmp_path)
    assert len(tree.all("p", class_="absent")) == len(NAMES)
    assert "unexpected form" not in tree.text


@pytest.mark.parametrize(
    "name",
    [
        "scores.json",
        "verdict.json",
        "findings.json",
        "events.jsonl",
        "environment.json",
        "resolved.yaml",
        "data/audit.json",
        "data/ledger.json",
        "data/test.arrow",
        "predictions/full.test.parquet",
    ],
)
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_missing_or_damaged_file_costs_its_section_only(
    tmp_path: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str, how: str
) -> None:
    monkeypatch.setattr(pictures, "can_draw", lambda: False)  # quicker, and the tables are there all the same
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    if how == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(b"{\n\x00\xff]\n[")
    write_report(folder)
    tree = tree_of(folder)
    assert [section.attributes["id"] for section in tree.all("section")] == NAMES
    assert "unexpected form" not in tree.text
    assert len(tree.all("p", class_="absent")) <= 6
    if how == "damaged":
        assert name in tree.one("div", class_="notice").text
    else:
        assert not tree.all("div", class_="notice")


def test_a_file_of_another_form_costs_its_section_only(tmp_path: Path, runs: dict[str, Path]) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    (folder / "data" / "ledger.json").write_text('{"splits": {"train": 7}}')
    (folder / "verdict.json").write_text("[1, 2]")
    write_report(folder)
    tree = tree_of(folder)
    assert "unexpected form" in tree.one("section", id="ledger").text
    assert "verdict.json holds list" in tree.one("div", class_="notice").text
    assert tree.one("section", id="comparison").all("svg")


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="F010"):
        write_report(tmp_path / "nowhere")


def test_without_the_drawing_package_tables_remain(
    tmp_path: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whet.report.pictures.can_draw", lambda: False)
    monkeypatch.setattr("whet.report.page.can_draw", lambda: False)
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    write_report(folder)
    tree = tree_of(folder)
    assert not tree.all("svg")
    assert "pip install vl-convert-python" in tree.one("p", class_="notice").text
    assert len(tree.all("figure")) == 5
    for figure in tree.all("figure"):
        assert figure.all("table") and not figure.all("details")


def test_the_room_stays_light() -> None:
    code = (
        "import sys, whet.report; print([name for name in ('torch', 'transformers', 'altair') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_same_files_same_page(tmp_path: Path, runs: dict[str, Path]) -> None:
    folder = tmp_path / runs["support"].name
    shutil.copytree(runs["support"], folder)
    before = page_of(folder)
    write_report(folder)
    assert page_of(folder) == before


def test_page_is_quick_and_small(runs: dict[str, Path]) -> None:
    start = time.perf_counter()
    path = write_report(runs["banking"])
    assert time.perf_counter() - start < 5
    assert path.stat().st_size < 600_000


def colours(style: str) -> tuple[dict[str, str], dict[str, str]]:
    light, dark = (
        re.search(pattern, style, re.S)[1] for pattern in (r":root \{(.*?)\}", r"dark\) \{\s*:root \{(.*?)\}")
    )  # type: ignore[index]
    return dict(re.findall(r"--(\w+): (#\w{6})", light)), dict(re.findall(r"--(\w+): (#\w{6})", dark))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_colours_have_contrast_in_light_and_dark(runs: dict[str, Path]) -> None:
    style = tree_of(runs["support"]).one("style").text
    light, dark = colours(style)
    assert set(light) == set(dark)
    for theme in (light, dark):
        for ground in ("paper", "raised"):
            for ink in ("ink", "quiet", "first", "second", "good", "bad", "warn"):
                low, high = sorted((luminance(theme[ink]), luminance(theme[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {ground}"
