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
    with, which may be lost before the next entry is reached. What is not known is assumed for a warning, and
    no line is good by it, or bad.
    """
    distances, stopped = [], []
    is_known = facts.is_isolated is not None
    for case in cases:
        if facts.is_isolated and facts.leverage is None:
            yield _unknown()
            return
        share = facts.maintenance_of(case.value)
        is_known = is_known and share is not None
        maintenance = MAINTENANCE if share is None else share
        price = _price_of(case, facts, funds, maintenance)
        is_stopped = not facts.is_isolated and _is_stopped_before(settings, case, funds, maintenance)
        if price <= 0 or is_stopped:
            continue
        distance = _distance(case, price, maintenance)
        if (
            facts.is_isolated
            and distance.share <= 0
            and _is_stopped_alone(settings, case, facts, maintenance)
        ):
            stopped.append(distance)
            continue
        least = _price_of(case, facts, funds, ZERO if share is None else share)
        distances.append((distance, _distance(case, least, maintenance)))
    if stopped:
        yield _stopped(min(stopped, key=lambda distance: distance.share))
        if not distances:
            return
    if not distances:
        yield Check("liquidation_none", Level.OK, "no price liquidates the account within reach")
        return
    nearest, at_least = min(distances, key=lambda pair: pair[0].share)
    is_inside = at_least.share <= 0
    if is_inside and facts.is_isolated:
        yield _isolated(nearest)
    else:
        yield _check(nearest, is_known=is_known, is_inside=is_inside)


def _distance(case: WorstCase, price: Decimal, maintenance: Decimal) -> _Distance:
    return _Distance(case.side.sign * (case.end - price) / case.end, price, case.end, maintenance)


def _price_of(case: WorstCase, facts: AccountFacts, funds: Decimal, maintenance: Decimal) -> Decimal:
    """Return the price of liquidation: with isolated margin the first that is met before more is entered."""
    if not facts.is_isolated or facts.leverage is None:
        return case.liquidation(funds, maintenance)
    for part, next_price in case.parts():
        price = part.liquidation(part.cost / facts.leverage, maintenance)
        if case.side.sign * (price - next_price) > 0:
            return price
    return case.liquidation(case.cost / facts.leverage, maintenance)


def _is_stopped_before(settings: Settings, case: WorstCase, funds: Decimal, maintenance: Decimal) -> bool:
    """Tell whether the stop loss ends the run while the funds still cover the maintenance margin."""
    if settings.stop_loss is None or settings.stop_loss >= case.loss:
        return False
    return funds - settings.stop_loss > maintenance * max(case.cost, case.value)


def _is_stopped_alone(settings: Settings, case: WorstCase, facts: AccountFacts, maintenance: Decimal) -> bool:
    """Tell whether the stop loss comes before each price that liquidates what is entered by then.

    With isolated margin each entry adds its own, and nothing that the account has besides.
    """
    if settings.stop_loss is None or facts.leverage is None:
        return False
    sign = case.side.sign
    for part, next_price in case.parts():
        stop = (part.cost - sign * settings.stop_loss) / part.qty
        price = part.liquidation(part.cost / facts.leverage, maintenance)
        if part.qty == case.qty or max(sign * stop, sign * price) > sign * next_price:
            return sign * stop > sign * price
    return False


def _check(nearest: _Distance, *, is_known: bool, is_inside: bool) -> Check:
    params, end = _params(nearest), as_text(nearest.end)
    at = f"liquidation at about {params['price']}"
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


def _isolated(nearest: _Distance) -> Check:
    return Check(
        "liquidation_isolated",
        Level.FAIL,
        f"liquidation at about {_price(nearest)}, before the grid's end {as_text(nearest.end)} is reached:"
        " the position's margin is isolated",
        "set a lower leverage or cross margin on the exchange's page, or a narrower range",
        _params(nearest),
    )


def _stopped(nearest: _Distance) -> Check:
    return Check(
        "liquidation_stopped",
        Level.WARN,
        f"liquidation at about {_price(nearest)}, before the grid's end {as_text(nearest.end)} is reached,"
        " where the stop loss does not end the run before: earlier profit delays it",
        "set a lower leverage or cross margin on the exchange's page, or a narrower range",
        _params(nearest),
    )


def _params(nearest: _Distance) -> dict[str, str]:
    return {"price": _price(nearest), "end": as_text(nearest.end), "percent": _percent(nearest.share)}


def _price(nearest: _Distance) -> str:
    return as_text(round(nearest.price, 2))


def _unknown() -> Check:
    return Check(
        "liquidation_unknown",
        Level.WARN,
        "where the position is liquidated is not known: its margin is isolated, and the leverage is not said",
        "look at the leverage on the exchange's page",
    )


def _percent(share: Decimal) -> str:
    return as_text(round(share * 100, 3))
