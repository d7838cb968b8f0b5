"""Sum over currencies, by the rates in the settings. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from manager.config.fleet import Sums
from manager.typed import NamedTuple


class Total(NamedTuple):
    """Hold a sum in `currency`. `missing`: the currencies that no rate is stated for, which it lacks."""

    amount: Decimal
    currency: str
    missing: tuple[str, ...] = ()


def rate(currency: str, sums: Sums) -> Decimal | None:
    """Return how much of the sums' currency one of this one is; None without a rate."""
    if currency == sums.currency:
        return Decimal(1)
    return dict(sums.rates).get(currency)


def total(amounts: Iterable[tuple[str, Decimal]], sums: Sums) -> Total | None:
    """Return the sum of (currency, amount); None where the settings name no currency to add up in."""
    if not sums.currency:
        return None
    amount, missing = Decimal(0), set()
    for currency, summand in amounts:
        factor = rate(currency, sums)
        if factor is None:
            missing.add(currency)
        else:
            amount += summand * factor
    return Total(amount, sums.currency, tuple(sorted(missing)))
