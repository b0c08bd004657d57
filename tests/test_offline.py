"""The tests' own fence: they reach this machine and nothing else."""

from __future__ import annotations

import os
import socket

import pytest

from tests.conftest import NetworkUsed


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("::ffff:192.0.2.1", 80), ("example.org", 443)])
def test_nothing_leaves_this_machine(address: tuple[str, int]):
    with socket.socket() as plain:
        for method in (plain.connect, plain.connect_ex):
            with pytest.raises(NetworkUsed):
                method(address)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(NetworkUsed):
        datagrams.sendto(b"x", address)
    with pytest.raises(NetworkUsed):
        socket.getaddrinfo(*address)


def test_loopback_and_local_sockets_are_open():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")
        assert right.recv(1) == b"x"
    assert socket.getaddrinfo("localhost", 80)


def test_the_hub_knows_that_it_is_offline():
    from huggingface_hub import constants

    assert constants.HF_HUB_OFFLINE
    assert os.environ["WHET_STORE"].startswith("sqlite:////")
