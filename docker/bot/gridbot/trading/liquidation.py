"""Check how far beyond the grid's end a position would be liquidated. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from gridbot.config.settings import Settings
from gridbot.exchanges.account_facts import AccountFacts
from gridbot.model.check import Check, Level
from gridbot.model.types import ZERO, as_text
from gridbot.trading.worst_case import WorstCase

LIQUIDATION_WARN = Decimal("0.05")
# Assumed where the exchange doesn't say it: what large markets have.
MAINTENANCE = Decimal("0.025")


class _Distance(NamedTuple):
    """Hold how far beyond the end of its case a price of liquidation is, as a share of that end."""

    share: Decimal
    price: Decimal
    end: Decimal
    maintenance: Decimal


def liquidation(
    settings: Settings, cases: Sequence[WorstCase], facts: AccountFacts, funds: Decimal
) -> Iterator[Check]:
    """Compare the nearest price of liquidation with the grid's end.

    With cross margin all of the account's funds back the position; with isolated margin what it was opened
    with. What is not known is assumed for a warning, and no line is good by it, or bad.
    """
    distances = []
    is_known = facts.is_isolated is not None
    for case in cases:
        backing = funds
        if facts.is_isolated:
            if facts.leverage is None:
                yield _unknown()
                return
            backing = case.cost / facts.leverage
        share = facts.maintenance_of(case.value)
        is_known = is_known and share is not None
        maintenance = MAINTENANCE if share is None else share
        price = case.liquidation(backing, maintenance)
        is_stopped = not facts.is_isolated and _is_stopped_before(settings, case, funds, maintenance)
        if price > 0 and not is_stopped:
            least = case.liquidation(backing, ZERO if share is None else share)
            distances.append((_distance(case, price, maintenance), _distance(case, least, maintenance)))
    if not distances:
        yield Check("liquidation_none", Level.OK, "no price liquidates the account within reach")
        return
    nearest, at_least = min(distances, key=lambda pair: pair[0].share)
    yield _check(nearest, is_known=is_known, is_inside=at_least.share <= 0)


def _distance(case: WorstCase, price: Decimal, maintenance: Decimal) -> _Distance:
    return _Distance(case.side.sign * (case.end - price) / case.end, price, case.end, maintenance)


def _is_stopped_before(settings: Settings, case: WorstCase, funds: Decimal, maintenance: Decimal) -> bool:
    """Tell whether the stop loss ends the run while the funds still cover the maintenance margin."""
    if settings.stop_loss is None or settings.stop_loss >= case.loss:
        return False
    return funds - settings.stop_loss > maintenance * max(case.cost, case.value)


def _check(nearest: _Distance, *, is_known: bool, is_inside: bool) -> Check:
    price, end = as_text(round(nearest.price, 2)), as_text(nearest.end)
    params = {"price": price, "end": end, "percent": _percent(nearest.share)}
    at = f"liquidation at about {price}"
    if is_inside:
        return Check(
            "liquidation_inside",
            Level.FAIL,
            f"{at}, before the grid's end {end} is reached",
            "set a smaller quantity or max_position, a narrower range, or deposit more",
            params,
        )
    if not is_known:
        params["maintenance"] = _percent(nearest.maintenance)
        return Check(
            "liquidation_assumed",
            Level.WARN,
            f"{at}, {params['percent']} % beyond the grid's end {end}, with cross margin and a maintenance"
            f" margin of {params['maintenance']} %: the exchange doesn't say all of that",
            "look at margin mode and maintenance margin on the exchange's page",
            params,
        )
    is_near = nearest.share < LIQUIDATION_WARN
    return Check(
        "liquidation",
        Level.WARN if is_near else Level.OK,
        f"{at}, {params['percent']} % beyond the grid's end {end}",
        "set a smaller max_position, or deposit more" if is_near else "",
        params,
    )


def _unknown() -> Check:
    return Check(
        "liquidation_unknown",
        Level.WARN,
        "where the position is liquidated is not known: its margin is isolated, and the leverage is not said",
        "look at the leverage on the exchange's page",
    )


def _percent(share: Decimal) -> str:
    return as_text(round(share * 100, 3))
