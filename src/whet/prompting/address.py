"""The address of an endpoint, in one form."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from whet.errors import Problem, UserError

PATH = "/chat/completions"
"""What follows an address in every request."""


def read_address(url: str) -> tuple[str, str]:
    """The address in one form, and its host with its port.

    :raises UserError: P020.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https"):
        raise UserError(_no_address("is no address of a service."))
    if parts.username or parts.password or parts.query or parts.fragment:
        # nothing of it is repeated: it may hold a secret
        raise UserError(_no_address("carries more than a place: a name, a password or a query."))
    shown = f"[{host}]" if ":" in host else host
    shown += f":{port}" if port else ""
    path = parts.path.rstrip("/").removesuffix(PATH)
    return f"{parts.scheme}://{shown}{path}", shown


def _no_address(what: str) -> Problem:
    remedy = "Give one such as http://localhost:8000/v1; the key stands in an environment variable."
    return Problem("P020", "the address of the endpoint", what, remedy)


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host
    name = name.strip("[]")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
