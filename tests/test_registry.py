from __future__ import annotations

import pathlib

import pytest

from whet import registry
from whet.errors import UserError

TABLE = {"path": "pathlib:PurePosixPath", "module": "no.such.module:Thing"}


def test_a_name_is_loaded_on_demand():
    assert registry.load(TABLE, "path", "x") is pathlib.PurePosixPath


@pytest.mark.parametrize(("name", "remedy"), [("paht", "Did you mean 'path'?"), ("zzz", "Use 'path' or 'module'.")])
def test_a_wrong_name_is_answered_with_the_right_ones(name: str, remedy: str):
    with pytest.raises(UserError) as caught:
        registry.load(TABLE, name, "--method")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where, problem.remedy) == ("G001", "--method", remedy)


def test_a_broken_entry_is_our_mistake():
    with pytest.raises(ModuleNotFoundError):
        registry.load(TABLE, "module", "x")
