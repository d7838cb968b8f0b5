"""Check, before the first order with real money, what makes a run impossible or a loss by construction. Pure.

A figure that the exchange does not say makes a warning: neither good nor bad is assumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

from gridbot.config.settings import Settings
from gridbot.exchanges.account_facts import AccountFacts
from gridbot.model.check import Check, Level
from gridbot.model.errors import ConfigError
from gridbot.model.levels import make_levels
from gridbot.model.types import ZERO, Market, as_text, ceil_to, floor_to
from gridbot.trading.limit_checks import largest, position_limit
from gridbot.trading.liquidation import liquidation
from gridbot.trading.moved_range import moved_range
from gridbot.trading.share_checks import share_rounded, share_small
from gridbot.trading.worst_case import RunningGrid, WorstCase, worst_cases

# Of the gross profit of one grid; above this share most of the work is done for the exchange.
FEES_WARN = Decimal("0.5")
CLOCK_WARN_S = 1.0
KEYS_REFUSED = "keys_refused"


def check_run(
    settings: Settings, market: Market, facts: AccountFacts, running: RunningGrid | None = None
) -> list[Check]:
    """Return all checks, in the order in which a person would look. `running`: what the run goes on with."""
    if facts.are_keys_refused:  # all else needs them
        return [keys_refused(facts.refusal), _market(market), *_closed(market, facts)]
    checks = [*_keys(facts), *_hedge_mode(facts), _market(market), *_state(market, facts)]
    try:
        levels = _levels(settings, market, running)
    except ConfigError as err:
        return [
            *checks,
            Check(
                "levels_invalid",
                Level.FAIL,
                str(err),
                "set fewer levels or a wider range",
                {"error": str(err)},
            ),
            *_clock(facts),
        ]
    prices = levels or ([facts.price] if facts.price else [])
    checks += _quantity(settings, market, prices, facts)
    checks += moved_range(settings, market)
    checks += largest(settings, market, prices)
    checks += position_limit(settings, market, levels, facts, running)
    checks += _funds(settings, market, levels, facts, running)
    checks += _profit(settings, levels, facts)
    return [*checks, *_clock(facts)]


def market_missing(error: str) -> Check:
    """Return the check of a symbol that the exchange doesn't have, or has as another kind."""
    return Check(
        "symbol_missing", Level.FAIL, error, "correct metadata.symbol in the config", {"error": error}
    )


def keys_refused(error: str) -> Check:
    """Return the check of keys that the exchange doesn't take, or that can't be its own."""
    return Check(
        KEYS_REFUSED,
        Level.FAIL,
        f"the keys are refused: {error}",
        "correct the keys in .env",
        {"error": error},
    )


def _levels(settings: Settings, market: Market, running: RunningGrid | None) -> tuple[Decimal, ...]:
    if not settings.is_grid:
        return ()
    lower, upper = settings.grid_lower, settings.grid_upper
    if running is not None:
        lower, upper = running.lower, running.upper
    return make_levels(lower, upper, settings.grid_num, settings.grid_mode, market.tick)


def _keys(facts: AccountFacts) -> Iterator[Check]:
    if facts.can_trade:
        yield Check("keys_trade", Level.OK, "the keys may trade")
    elif facts.can_trade is None:
        yield Check(
            "keys_unknown",
            Level.WARN,
            "whether the keys may trade is not known: the exchange doesn't say it",
            "look at the key's permissions on the exchange's page",
        )
    elif facts.is_account_blocked:
        yield Check(
            "account_blocked",
            Level.FAIL,
            f"the account may not trade: {facts.refusal}",
            "look on the exchange's page what it needs; other keys of it may not trade either",
            {"error": facts.refusal},
        )
    else:
        yield Check(
            "keys_read_only",
            Level.FAIL,
            f"the keys may not trade: {facts.refusal}",
            "make a key that may trade, and write it into .env",
            {"error": facts.refusal},
        )


def _hedge_mode(facts: AccountFacts) -> Iterator[Check]:
    """Fail in hedge mode, where each order must name one of two positions: this bot's orders name none."""
    if facts.is_hedged:
        yield Check(
            "hedge_mode",
            Level.FAIL,
            "the account is in hedge mode: longs and shorts of a market are positions apart, and reduce-only"
            " orders are refused",
            "set the account to one-way mode on the exchange's page",
        )


def _market(market: Market) -> Check:
    tick, lot, value = as_text(market.tick), as_text(market.lot), as_text(market.min_notional)
    return Check(
        "symbol",
        Level.OK,
        f"{market.symbol}: tick {tick}, lot {lot}, smallest order {value} {market.quote}",
        params={"symbol": market.symbol, "tick": tick, "lot": lot, "least": value, "quote": market.quote},
    )


def _state(market: Market, facts: AccountFacts) -> Iterator[Check]:
    yield from _closed(market, facts)
    if facts.state.is_open is None:
        yield Check(
            "market_unknown",
            Level.WARN,
            f"whether {market.symbol} takes orders is not known: the exchange doesn't say it",
            "look on the exchange's page whether the market is open",
            {"symbol": market.symbol},
        )


def _closed(market: Market, facts: AccountFacts) -> Iterator[Check]:
    """Fail where a market that is listed takes no orders: it is suspended, or being delisted."""
    if facts.state.is_open is False:
        yield Check(
            "market_closed",
            Level.FAIL,
            f"{market.symbol} takes no orders: the exchange says {facts.state.word}",
            "wait until it is open again, or choose another market",
            {"symbol": market.symbol, "word": facts.state.word},
        )


def _quantity(
    settings: Settings, market: Market, prices: Sequence[Decimal], facts: AccountFacts
) -> Iterator[Check]:
    qty = floor_to(settings.quantity, market.lot)
    given, lot = as_text(settings.quantity), as_text(market.lot)
    if qty < market.min_qty or qty <= 0:
        smallest = ceil_to(max(market.min_qty, market.lot), market.lot)
        least = as_text(smallest)
        if settings.shares is not None:
            yield share_small(settings, market, settings.shares, smallest)
            return
        yield Check(
            "quantity_small",
            Level.FAIL,
            f"quantity {given} is less than {market.symbol} allows: {least}",
            f"set a quantity of at least {least}",
            {"quantity": given, "least": least, "symbol": market.symbol},
        )
        return
    if qty != settings.quantity and settings.shares is not None:
        yield share_rounded(settings, market, settings.shares)
    elif qty != settings.quantity:
        yield Check(
            "quantity_rounded",
            Level.WARN,
            f"quantity {given} is no multiple of the lot {lot}: {as_text(qty)} is traded",
            f"set the quantity to {as_text(qty)}",
            {"quantity": given, "lot": lot, "used": as_text(qty)},
        )
    if prices:
        yield _notional(qty, market, prices, facts)


def _notional(qty: Decimal, market: Market, prices: Sequence[Decimal], facts: AccountFacts) -> Check:
    """Compare the value of the smallest order with the least that the exchange takes."""
    small = [price for price in prices if qty * price < market.min_notional]
    lowest, least = min(prices), as_text(market.min_notional)
    if small:
        needed = (market.min_notional / lowest / market.lot).to_integral_value(rounding="ROUND_CEILING")
        enough = as_text(needed * market.lot)
        return Check(
            "notional_small",
            Level.FAIL,
            f"{len(small)} levels are below the exchange's minimum of {least} {market.quote}:"
            f" {as_text(qty)} at {as_text(lowest)} is {as_text(qty * lowest)}",
            f"set a quantity of at least {enough}",
            {
                "count": str(len(small)),
                "least": least,
                "quote": market.quote,
                "quantity": as_text(qty),
                "price": as_text(lowest),
                "value": as_text(qty * lowest),
                "enough": enough,
            },
        )
    value = as_text(qty * lowest)
    if not facts.says_least_value:
        return Check(
            "notional_unknown",
            Level.WARN,
            f"the smallest order is {value} {market.quote}; the exchange doesn't say the least",
            "look on the exchange's page for the smallest order of the market",
            {"value": value, "quote": market.quote},
        )
    return Check(
        "notional",
        Level.OK,
        f"the smallest order is {value} {market.quote}, the exchange's minimum {least}",
        params={"value": value, "quote": market.quote, "least": least},
    )


def _funds(
    settings: Settings,
    market: Market,
    levels: Sequence[Decimal],
    facts: AccountFacts,
    running: RunningGrid | None,
) -> Iterator[Check]:
    if facts.free is None or facts.price is None:
        yield Check(
            "funds_unknown",
            Level.WARN,
            "whether the funds suffice is not known: the exchange doesn't say what is free",
            "compare the balance with max_position times the price, divided by the leverage",
        )
        return
    leverage, available = facts.leverage or Decimal(1), facts.free + (facts.bound or ZERO)
    cases = worst_cases(settings, market, levels, facts.price, running)
    if not cases:
        return
    worst = max(cases, key=lambda case: _needed(settings, case, leverage))
    yield _worst_case(worst, _needed(settings, worst, leverage), available, market, facts)
    if market.perp and settings.is_grid:
        yield from liquidation(settings, cases, facts, available)


def _worst_case(
    worst: WorstCase, needs: Decimal, available: Decimal, market: Market, facts: AccountFacts
) -> Check:
    """Compare what the account has available with what the worst case needs."""
    leverage = facts.leverage or Decimal(1)
    needed, free = _money(needs), _money(available)
    params = {
        "needed": needed,
        "free": free,
        "quote": market.quote,
        "leverage": "?" if facts.leverage is None else _money(leverage),
        "position": as_text(worst.qty),
        "base": market.base,
        "end": as_text(worst.end),
    }
    held = f"{as_text(worst.qty)} {market.base} at {as_text(worst.end)}"
    if needs <= available:
        return Check(
            "funds",
            Level.OK,
            f"{free} {market.quote} is free, the worst case ({held}) needs {needed}",
            params=params,
        )
    if facts.leverage is None:
        return Check(
            "leverage_unknown",
            Level.WARN,
            f"{free} {market.quote} is free, the worst case ({held}) needs {needed} without leverage;"
            " the leverage is not known",
            "look at the leverage on the exchange's page",
            params,
        )
    if facts.lent and needs <= available + facts.lent:
        params["lent"] = _money(facts.lent)
        return Check(
            "funds_lent",
            Level.WARN,
            f"{free} {market.quote} is free and {params['lent']} lent, the worst case ({held}) needs"
            f" {needed}: orders may not be able to use what is lent",
            "redeem it on the exchange's page, and turn auto-lend off there",
            params,
        )
    return Check(
        "funds_short",
        Level.FAIL,
        f"{free} {market.quote} is free, the worst case ({held}) needs {needed} at a leverage of"
        f" {params['leverage']}",
        "set a smaller quantity or max_position, a narrower range, or deposit more",
        params,
    )


def _needed(settings: Settings, case: WorstCase, leverage: Decimal) -> Decimal:
    """Return the funds that a worst case needs: a stop loss ends the run before more than that is lost."""
    loss = case.loss if settings.stop_loss is None else min(case.loss, settings.stop_loss)
    return case.funds(leverage) - case.loss + loss


def _profit(settings: Settings, levels: Sequence[Decimal], facts: AccountFacts) -> Iterator[Check]:
    """Compare the narrowest cell, or the spread, with what buying and selling it costs as a maker."""
    if settings.is_grid:
        gross = min((high - low) / low for low, high in itertools.pairwise(levels))
        cost_of = min(high / low for low, high in itertools.pairwise(levels)) + 1
    else:
        gross, cost_of = settings.spread / 100, Decimal(2)
    spacing = _percent(gross)
    if facts.maker_fee is None:
        yield Check(
            "fees_unknown",
            Level.WARN,
            f"the account's fees are not known; a grid earns {spacing} % before them",
            f"make sure that twice the maker fee is far below {spacing} %",
            {"gross": spacing},
        )
        return
    fees = facts.maker_fee * cost_of
    params = {"gross": spacing, "fees": _percent(fees), "net": _percent(gross - fees)}
    text = f"a grid earns {spacing} % and pays {params['fees']} % in fees: {params['net']} % is left"
    wider = "set fewer levels or a wider range" if settings.is_grid else "set a wider spread"
    if gross <= fees:
        yield Check("profit_below_fees", Level.FAIL, text, wider, params)
    elif fees > gross * FEES_WARN:
        yield Check("profit_small", Level.WARN, text, wider, params)
    else:
        yield Check("profit", Level.OK, text, params=params)


def _clock(facts: AccountFacts) -> Iterator[Check]:
    if facts.clock_offset is None:
        yield Check(
            "clock_unknown",
            Level.WARN,
            "the exchange doesn't say what time it is",
            "make sure that this machine's clock is kept by NTP",
        )
        return
    seconds = f"{abs(facts.clock_offset):.1f}"
    if abs(facts.clock_offset) <= CLOCK_WARN_S:
        yield Check("clock", Level.OK, f"the clocks differ by {seconds} s", params={"seconds": seconds})
        return
    side = "behind" if facts.clock_offset > 0 else "ahead"
    of = "behind" if side == "behind" else "ahead of"
    yield Check(
        f"clock_{side}",
        Level.WARN,
        f"this machine's clock is {seconds} s {of} the exchange's",
        "let NTP set the clock; the bot uses the exchange's meanwhile",
        {"seconds": seconds},
    )


def _money(value: Decimal) -> str:
    return as_text(round(value, 2))


def _percent(share: Decimal) -> str:
    return as_text(round(share * 100, 3))
