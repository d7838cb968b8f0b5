"""Read single values of an answer: what is left out, or makes no sense, is None."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from math import prod
from typing import Any

# Digits before the point: with the twelve after it that the ledger keeps, as many as are exact.
MOST_DIGITS = 15
# Also of a time in a smaller unit than it should be.
OF_A_TIME = 24
# Numbers that are no id: two rows with one of them are not the same.
NO_ID = re.compile(r"[+-]?0+(\.0*)?|nan|[+-]?inf(inity)?", re.IGNORECASE)


def decimal(value: Any, most_digits: int = MOST_DIGITS) -> Decimal | None:
    """Return `value` as an exact number, None for one that is left out, empty or no number, or that has more
    digits before the point than anything that is traded.
    """
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number.adjusted() < most_digits else None


def positive(value: Any, most_digits: int = MOST_DIGITS) -> Decimal | None:
    """Return a price or a quantity as an exact number, None for anything else: neither is ever 0 or below."""
    number = decimal(value, most_digits)
    return number if number is not None and number > 0 else None


def middle(bid: Any, ask: Any) -> Decimal | None:
    """Return the middle of the book, None where a side of it says no price, or the two are crossed."""
    best_bid, best_ask = positive(bid), positive(ask)
    if best_bid is None or best_ask is None or best_bid > best_ask:
        return None
    return (best_bid + best_ask) / 2


def text(value: Any) -> str | None:
    """Return an id as text, None for one that is left out."""
    return None if value is None or value in ("", "None") else str(value)


def may_name(value: Any) -> bool:
    """Tell whether this may be an id: no list is, no truth, and no number that was rounded."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def word(value: Any) -> str | None:
    """Return a name, None for what stands in the place of one."""
    name = text(value)
    return None if name is None or name.lower() in ("0", "none", "null", "undefined") else name


def identity(value: Any) -> str | None:
    """Return the exchange's id of an order or an execution, None for what is none: nothing has the id 0."""
    name = word(value) if may_name(value) else None
    return None if name is None or NO_ID.fullmatch(name) else name


def product(*factors: Decimal | None) -> Decimal | None:
    """Return the product, None where a factor is unknown."""
    known = [factor for factor in factors if factor is not None]
    return prod(known, start=Decimal(1)) if len(known) == len(factors) else None


def number(value: Any) -> int | None:
    """Return a client id, None for one that is not one of this bot's: 0, or written as no whole number is."""
    digits = str(value or "")
    is_number = digits.isascii() and digits.isdigit() and not digits.startswith("0")
    return int(digits) if is_number else None


def signed(size: Decimal | None, side: Any) -> Decimal | None:
    """Return `size` with the sign of a side, None where either is unknown."""
    if not size or str(side or "").lower() in ("both", "net"):
        return size  # of an account in which longs and shorts are one position
    sides = {"long": 1, "buy": 1, "short": -1, "sell": -1}
    sign = sides.get(str(side or "").lower())
    return None if sign is None else abs(size) * sign


def distinct(rows: Sequence[Any]) -> list[Any]:
    """Return the rows without those listed twice, as at the border of two pages."""
    distinct: list[Any] = []
    for row in rows:
        if row not in distinct:
            distinct.append(row)
    return distinct


def names_market(market: Mapping[str, Any], name: Any) -> bool:
    """Tell whether a name is one of this market, whatever stands between its letters."""
    letters = _letters(str(name))
    return letters in {_letters(str(market.get(key) or "")) for key in ("symbol", "id", "id2")} - {""}


@functools.lru_cache(maxsize=256)
def _letters(name: str) -> str:
    return "".join(letter for letter in name if letter.isalnum() or letter == ":").upper()
