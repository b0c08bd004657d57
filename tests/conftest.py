"""What holds for every test: no network, nobody's real store, a fixed number of threads."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

# before torch, transformers and datasets are imported: they read these once
for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[_name] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a busy machine must not stop the tests
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # said once, no warning when a test forks

# times on a busy machine say nothing about the code; explaining a failure takes minutes
settings.register_profile(
    "whet",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
settings.load_profile("whet")


def pytest_collection_finish() -> None:
    """Fix the number of threads, on which sums depend bit for bit: one is fastest for models this small.

    What tests start as a program of its own chooses for itself.
    """
    if torch := sys.modules.get("torch"):  # not for the sake of rooms that never load it
        torch.set_num_threads(1)


class NetworkUsed(RuntimeError):
    """A test tried to leave this machine."""


def _stays_here(address: Any) -> bool:
    """Whether a socket address is a path (AF_UNIX), a loopback address or a name for one."""
    if isinstance(address, (str, bytes)):
        return True
    host = address[0] if isinstance(address, tuple) and address else address
    if host in ("localhost", "", None):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded(method: Callable[..., Any], place: int) -> Callable[..., Any]:
    """``method`` of a socket, whose argument at ``place`` from the end or start is the address."""

    def call(self: socket.socket, *given: Any) -> Any:
        if self.family != socket.AF_UNIX and not _stays_here(given[place]):
            raise NetworkUsed(f"tests run offline, and one tried to reach {given[place]}")
        return method(self, *given)

    return call


@pytest.fixture(autouse=True, scope="session")
def offline() -> Iterator[None]:
    """Sockets reach this machine and nothing else (PostgreSQL and a browser are on loopback)."""
    known = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        if not _stays_here((host,)):
            raise NetworkUsed(f"tests run offline, and one asked for the address of {host!r}")
        return known(host, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        for name, place in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), place))
        yield


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has an index of runs of its own."""
    folder: Path = tmp_path_factory.mktemp("store", numbered=True)
    monkeypatch.setenv("WHET_STORE", f"sqlite:///{folder}/runs.sqlite")
