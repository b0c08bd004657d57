"""Likely secrets and personal data. Conservative: a number must pass its own check sum where it has one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SECRETS = ("API key", "private key", "card number", "IBAN")
"""Kinds that do harm by themselves; the others are personal."""

# All repetitions are bounded, so that no text, however long, takes more than linear time.
_PATTERNS: dict[str, re.Pattern[str]] = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z]{1,12} ){0,3}PRIVATE KEY-----"),
    "API key": re.compile(
        r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255}"
        r"|glpat-[A-Za-z0-9_-]{20,64}|sk-(?:[a-z]{2,8}-){0,2}[A-Za-z0-9_-]{32,200}|hf_[A-Za-z0-9]{30,64}"
        r"|xox[abprs]-[A-Za-z0-9-]{10,200}|AIza[0-9A-Za-z_-]{35}"
        r"|eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000})(?![A-Za-z0-9])"
    ),
    "e-mail": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
    "IBAN": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card number": re.compile(r"(?<![\d.,-])\d(?:[ -]?\d){12,18}(?![\d-])"),
    "IP address": re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]\d|\d)"),
    "phone number": re.compile(
        r"(?<![\w+])(?:\+[1-9]\d{0,2}[ .-]?(?:\(?\d{1,4}\)?[ .-]?){2,5}\d{2,4}"
        r"|\(\d{3}\) ?\d{3}-\d{4}|\d{3}[-.]\d{3}[-.]\d{4}|0\d{9,10})(?![\w-])"
    ),
}

_WORTH_A_LOOK = (
    r"@[A-Za-z0-9-]+\.[A-Za-z]|(?:\d[ -]?){13}|[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[A-Z0-9]|(?:\d{1,3}\.){3}\d"
    r"|\+[1-9]\d|\(\d{3}\) ?\d{3}-|\d{3}[-.]\d{3}[-.]\d{4}|0\d{9}"
    r"|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|sk-|hf_|xox[abprs]-|AIza|eyJ|-----BEGIN"
)
"""RE2, run over a whole block at once: a little wider than the patterns. Only what it finds is looked at one by one."""


def hits(texts: pa.Array) -> Iterator[tuple[int, str]]:
    """Pairs of row and kind, for every kind that a row holds."""
    rows = pc.indices_nonzero(pc.match_substring_regex(texts, _WORTH_A_LOOK)).to_numpy()
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        for kind in {kind for kind, _, _ in found(text)}:
            yield row, kind


def found(text: str) -> list[tuple[str, int, int]]:
    """Kind, begin and end of everything that looks private, from left to right, without overlap."""
    taken: list[tuple[str, int, int]] = []
    covered = bytearray(len(text))
    for kind, pattern in _PATTERNS.items():
        check = _CHECKS.get(kind)
        for match in pattern.finditer(text):
            begin, end = match.span()
            if not any(covered[begin:end]) and (check is None or check(match.group())):
                taken.append((kind, begin, end))
                covered[begin:end] = b"\1" * (end - begin)
    return sorted(taken, key=lambda one: one[1])


def masked(text: str) -> str:
    """The text with everything private replaced by its kind: ``"write to [e-mail]"``."""
    pieces, end = [], 0
    for kind, begin, stop in found(text):
        pieces += [text[end:begin], f"[{kind}]"]
        end = stop
    return "".join([*pieces, text[end:]])


def passes_luhn(number: str) -> bool:
    """The check sum of card numbers, over 13 to 19 digits that begin like those of a card network."""
    digits = [int(character) for character in number if character.isdigit()]
    if not 13 <= len(digits) <= 19 or digits[0] not in (2, 3, 4, 5, 6) or len(set(digits)) < 2:
        return False
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def passes_iban(text: str) -> bool:
    """The check sum of ISO 13616: country and check digits to the end, letters as 10 to 35, 1 modulo 97."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1


def _is_public_address(text: str) -> bool:
    """Three long parts at least: versions and section numbers have dots as well."""
    try:
        return ipaddress.IPv4Address(text).is_global and sum(int(part) >= 10 for part in text.split(".")) >= 3
    except ValueError:
        return False


def _is_phone(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    return 9 <= digits <= 15 and len(set(text)) > 3


_CHECKS: dict[str, Callable[[str], Any]] = {
    "card number": passes_luhn,
    "IBAN": passes_iban,
    "IP address": _is_public_address,
    "phone number": _is_phone,
}
