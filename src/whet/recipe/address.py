"""Whether an address of a service can be one, before anybody is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

SCHEMES = ("http", "https")
REMEDY = "Give one such as http://localhost:8000/v1; the key stands in an environment variable."


def mistake_of(url: str) -> str:
    """What is wrong with an address, in words that follow its name; "" where nothing is.

    What may hold a secret is not repeated.
    """
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address of a service."
    if host and parts.scheme in SCHEMES:
        more = parts.username or parts.password or parts.query or parts.fragment
        return "carries more than a place: a name, a password or a query." if more else ""
    told = "" if any(mark in url for mark in "@?#") else f"is {url!r}, which "
    lacks = "" if parts.scheme in SCHEMES else ": it does not begin with http:// or https://"
    return f"{told}is no address of a service{lacks}."
