"""The torch line: doors, pages, data and numbers start without torch and transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import whet

SOURCE = Path(whet.__file__).parent
HEAVY = ("torch", "transformers", "peft")
FILES = ("errors", "findings", "registry", "files", "seeds", "folder")
ROOMS = ("recipe", "store", "data", "evaluation", "report")
ASKED = ("speaker", "endpoint", "judge")
"""Of the room that asks language models, what needs none on this machine."""


def modules_of(room: str) -> list[str]:
    """Every module of a room but migrations, which Alembic runs in its own context."""
    paths = [p for p in sorted((SOURCE / room).rglob("*.py")) if "migrations" not in p.parts]
    return [".".join(("whet", *p.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__") for p in paths]


def loaded_by(*modules: str) -> list[str]:
    code = f"import sys, {', '.join(modules)}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [name for name in HEAVY if repr(name) in done.stdout.splitlines()[-1]]


def test_the_package_and_the_rooms_below_the_line():
    assert (
        loaded_by("whet", *(f"whet.{name}" for name in FILES), *(m for room in ROOMS for m in modules_of(room))) == []
    )


def test_asking_a_model_elsewhere():
    assert loaded_by(*(f"whet.prompting.{name}" for name in ASKED)) == []


def test_the_door_for_people():
    if not (SOURCE / "cli" / "app.py").exists():
        pytest.skip("whet.cli.app is not there yet")
    assert loaded_by("whet.cli.app") == []


def test_the_check_would_notice():
    assert loaded_by("whet.kernels.flat") == ["torch"]
