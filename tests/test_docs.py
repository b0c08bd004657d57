"""Pages say what the code says: generated ones are current, and links between pages lead somewhere."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from whet.findings import CODES
from whet.recipe import Recipe
from whet.recipe.reading import all_options

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("whet_docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> Any:
    return _generator()


def test_generated_pages_are_current(generator: Any) -> None:
    assert generator.stale() == [], "run make docs"


def test_a_stale_page_is_told(
    generator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in generator.pages():
        shutil.copy(ROOT / "docs" / name, tmp_path)
    monkeypatch.setattr(generator, "HERE", tmp_path)
    monkeypatch.setattr(generator, "stale", lambda folder=tmp_path, known=generator.stale: known(folder))
    assert generator.main(["--check"]) == 0
    (tmp_path / "findings.md").write_text("old", encoding="utf-8")
    (tmp_path / "recipe.md").unlink()
    assert generator.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "docs/recipe.md is not current: run make docs",
        "docs/findings.md is not current: run make docs",
    ]
    assert (tmp_path / "findings.md").read_text(encoding="utf-8") == "old", "a check writes nothing"
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0


def test_pages_do_not_depend_on_the_terminal(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = generator.pages()
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys, "argv", ["elsewhere"])
    assert generator.pages() == before


def test_every_option_command_and_code_has_its_line(generator: Any) -> None:
    pages = generator.pages()
    for name in all_options():
        assert re.search(rf"^\| `{re.escape(name)}` \| \S", pages["recipe.md"], re.M), name
    for code, title in CODES.items():
        assert f"| `{code}` | {title} |" in pages["findings.md"]
    for name in generator.commands():
        assert f"## whet {name}\n" in pages["command-line.md"]
    assert json.loads(pages["recipe.schema.json"]) == Recipe.model_json_schema()


def test_every_option_is_described(generator: Any) -> None:
    for line in generator.pages()["recipe.md"].splitlines():
        if line.startswith("| `"):
            assert all(cell.strip() for cell in line.strip("|").split("|")), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert [name[:4] for name in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == pages
    for name in pages:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {name[:4]} "), name
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Context",
            "## Decision",
            "## Consequences",
        ], name


def test_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = ROOT / "src" / "whet"
    for name in set(re.findall(r"`((?:\w+/)+\w+\.py)`", text)):
        assert any((place / name).exists() for place in (ROOT, rooms, rooms.parent)), name
