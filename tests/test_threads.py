"""Waiting threads spin briefly, unless torch is loaded already or somebody decided otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import os
from whet.threads import spin_briefly
print(spin_briefly(), os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "True 40000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "False None"), ({"GOMP_SPINCOUNT": "7"}, "False 7")],
)
def test_the_users_word_counts(given: dict[str, str], expected: str):
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**kept, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_it_is_too_late_once_torch_is_loaded(monkeypatch: pytest.MonkeyPatch):
    from whet.threads import spin_briefly

    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not spin_briefly()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_few_kernels_are_kept_but_where_the_user_says_so(monkeypatch: pytest.MonkeyPatch):
    from whet.threads import KERNELS, keep_few_kernels

    first, second = KERNELS
    monkeypatch.delenv(first, raising=False)
    monkeypatch.setenv(second, "7")
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not keep_few_kernels()
    assert first not in os.environ
    monkeypatch.delitem(sys.modules, "torch")
    assert keep_few_kernels()
    assert os.environ[first] == KERNELS[first]
    assert os.environ[second] == "7"
    monkeypatch.delenv(first)


def test_sums_let_go_of_the_cores_but_where_the_user_says_so(monkeypatch: pytest.MonkeyPatch):
    from whet.threads import REST, rest_early

    name = "OPENBLAS_THREAD_TIMEOUT"
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "numpy", sys)
    assert not rest_early() and name not in os.environ
    monkeypatch.delitem(sys.modules, "numpy")
    assert rest_early() and os.environ[name] == REST
    monkeypatch.setenv(name, "26")
    assert rest_early() and os.environ[name] == "26"


@pytest.mark.parametrize("code", ["import whet; whet.fit", "from whet.cli import app; app.settle()"])
def test_they_are_told_before_numpy_is_loaded(code: str):
    more = "; import os; print(os.environ.get('OPENBLAS_THREAD_TIMEOUT'))"
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    done = subprocess.run([sys.executable, "-c", code + more], env=kept, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "10"
