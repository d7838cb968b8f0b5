"""Format amounts for users: signs, decimal places, currencies, and columns of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from manager.util.late_pattern import late_pattern

PARTS = late_pattern(r"([^.\s]*)(\.\S*)?(.*)", re.DOTALL)
"""Matches the part before the point, the decimals with the point, and the currency with its space."""


def money(value: Decimal, currency: str | None) -> str:
    """Return `+12.34 USDC` or `-0.0042 USDC`: always signed, and with more places for amounts below 1."""
    places = 2 if abs(value) >= 1 else 4
    text = f"{value:+.{places}f}" if round(value, places) else "0.00"
    return f"{text} {currency}" if currency else text


def paid(value: Decimal, currency: str | None) -> str:
    """Return `0.08 USDC` for fees, and `-0.02 USDC` for a rebate: a plus would read as income."""
    return money(value, currency).lstrip("+")


def amount(value: Decimal, currency: str | None) -> str:
    """Return `1.25 SOL`: with as many places as needed, at most eight."""
    text = f"{value:.8f}".rstrip("0").rstrip(".")
    text = "0" if text in {"-0", ""} else text
    return f"{text} {currency}" if currency else text


def aligned(texts: Sequence[str]) -> list[str]:
    """Return the texts with their decimal points aligned; empty ones stay empty."""
    parts = [match.groups("") if (match := PARTS.fullmatch(text)) else ("", "", text) for text in texts]
    before, after = (max((len(part[index]) for part in parts), default=0) for index in (0, 1))
    return [
        f"{head:>{before}}{tail:<{after}}{rest}".rstrip() if text else ""
        for text, (head, tail, rest) in zip(texts, parts, strict=True)
    ]
