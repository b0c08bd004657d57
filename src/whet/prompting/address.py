"""The address of an endpoint, in one form."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from whet.errors import Problem, UserError
from whet.recipe.address import REMEDY, mistake_of

PATH = "/chat/completions"
"""What follows an address in every request."""


def read_address(url: str) -> tuple[str, str]:
    """The address in one form, and its host with its port.

    :raises UserError: P020.
    """
    wrong = mistake_of(url)
    if wrong:
        raise UserError(Problem("P020", "the address of the endpoint", wrong, REMEDY))
    parts = urlsplit(url.strip())
    host, port = str(parts.hostname), parts.port
    shown = f"[{host}]" if ":" in host else host
    shown += f":{port}" if port else ""
    path = parts.path.rstrip("/").removesuffix(PATH)
    return f"{parts.scheme}://{shown}{path}", shown


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
