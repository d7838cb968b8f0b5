"""Translate the pre-flight checks that the image's program prints by code (docker/README.md). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from manager.i18n import Text, mark, quoted
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable

Level = Literal["ok", "warn", "fail"]
LEVELS: Mapping[str, Level] = {"ok": "ok", "warn": "warn", "fail": "fail"}
MOST_WORDS = 300

NOT_ISOLATED = mark("set a lower leverage or cross margin on the exchange's page, or a narrower range")
SMALLER = mark("set a smaller quantity or max_position, a narrower range, or deposit more")
WIDER = mark("set fewer levels or a wider range (or a wider spread)")
WORDS = "{error}"
"""Of a code that says no more than the program's own words."""
SENTENCES: Mapping[str, tuple[str, str | None]] = {
    "keys_trade": (mark("the keys may trade"), None),
    "keys_unknown": (
        mark("whether the keys may trade is not known: the exchange does not report it"),
        mark("look at the key's permissions on the exchange's page"),
    ),
    "keys_read_only": (
        mark("the keys may not trade: {error}"),
        mark("make a key that may trade, and write it into .env"),
    ),
    "account_blocked": (
        mark("the account may not trade: {error}"),
        mark("look on the exchange's page what it needs; other keys of it may not trade either"),
    ),
    "keys_refused": (
        mark("the keys are refused: {error}"),
        mark("correct the keys in .env"),
    ),
    "hedge_mode": (
        mark(
            "the account is in hedge mode: longs and shorts of a market are positions apart, which the bot"
            " cannot trade"
        ),
        mark("set the account to one-way mode on the exchange's page"),
    ),
    "symbol": (mark("{symbol}: tick {tick}, lot {lot}, smallest order {least} {quote}"), None),
    "market_closed": (
        mark("{symbol} takes no orders: the exchange says {word}"),
        mark("wait until it is open again, or choose another market"),
    ),
    "market_unknown": (
        mark("whether {symbol} takes orders is not known: the exchange does not report it"),
        mark("look on the exchange's page whether the market is open"),
    ),
    "symbol_missing": (WORDS, mark("correct metadata.symbol in the config")),
    "levels_invalid": (WORDS, mark("set fewer levels or a wider range")),
    "quantity_small": (
        mark("quantity {quantity} is less than {symbol} allows: {least}"),
        mark("set a quantity of at least {least}"),
    ),
    "share_small": (
        mark(
            "max_position {most_held} over {shares} orders is {quantity} each, less than {symbol} allows:"
            " {least}"
        ),
        mark("set a max_position of at least {enough}, or a quantity of at least {least}"),
    ),
    "share_large": (
        mark(
            "max_position {most_held} over {shares} orders is {quantity} each, more than {symbol} allows:"
            " {most}"
        ),
        mark("set a max_position of at most {enough}, or a quantity of at most {most}"),
    ),
    "share_rounded": (
        mark(
            "an order is {used}: max_position {most_held} over {shares} orders is {quantity} each, rounded"
            " down to the lot {lot}"
        ),
        None,
    ),
    "quantity_large": (
        mark("quantity {quantity} is more than {symbol} allows: {most}"),
        mark("set a quantity of at most {most}"),
    ),
    "orders_too_many": (
        mark("up to {count} orders rest at once, and {symbol} allows {most}"),
        mark("set fewer levels or orders"),
    ),
    "position_large": (
        mark("a position of {position} {base} is more than {symbol} allows this account: {most}"),
        mark("set a max_position of at most {most}, or a lower leverage where the limit depends on it"),
    ),
    "quantity_rounded": (
        mark("quantity {quantity} is no multiple of the lot {lot}: {used} is traded"),
        mark("set the quantity to {used}"),
    ),
    "notional": (mark("the smallest order is {value} {quote}, the exchange's minimum {least}"), None),
    "notional_small": (
        mark(
            "{count} levels are below the exchange's minimum of {least} {quote}: {quantity} at {price} is"
            " {value}"
        ),
        mark("set a quantity of at least {enough}"),
    ),
    "notional_unknown": (
        mark("the smallest order is {value} {quote}; the exchange does not report what one has to be worth"),
        mark("look on the exchange's page for the smallest order of the market"),
    ),
    "notional_small_moved": (
        mark(
            "when adjust_range moves the range down to {end}, {count} levels are below the exchange's minimum"
            " of {least} {quote}"
        ),
        mark("set a quantity of at least {enough}"),
    ),
    "funds": (
        mark("{free} {quote} is free, the worst case ({position} {base} at {end}) needs {needed}"),
        None,
    ),
    "funds_short": (
        mark(
            "{free} {quote} is free, the worst case ({position} {base} at {end}) needs {needed} at a leverage"
            " of {leverage}"
        ),
        SMALLER,
    ),
    "funds_lent": (
        mark(
            "{free} {quote} is free and {lent} lent, the worst case ({position} {base} at {end}) needs"
            " {needed}: orders may not be able to use what is lent"
        ),
        mark("redeem it on the exchange's page, and turn auto-lend off there"),
    ),
    "funds_unknown": (
        mark("whether the funds suffice is not known: the exchange does not report the free balance"),
        mark("compare the balance with max_position times the price, divided by the leverage"),
    ),
    "leverage_unknown": (
        mark(
            "{free} {quote} is free, the worst case ({position} {base} at {end}) needs {needed} without"
            " leverage; the leverage is not known"
        ),
        mark("look at the leverage on the exchange's page"),
    ),
    "liquidation": (
        mark("liquidation at about {price}, {percent} % beyond the grid's end {end}"),
        mark("set a smaller max_position, or deposit more"),
    ),
    "liquidation_assumed": (
        mark(
            "liquidation at about {price}, {percent} % beyond the grid's end {end}, with cross margin and a"
            " maintenance margin of {maintenance} %: the exchange does not report all of that"
        ),
        mark("look at margin mode and maintenance margin on the exchange's page"),
    ),
    "liquidation_unknown": (
        mark(
            "where the position is liquidated is not known: its margin is isolated, and the exchange does not"
            " report the leverage"
        ),
        mark("look at the leverage on the exchange's page"),
    ),
    "liquidation_none": (mark("no price liquidates the account within reach"), None),
    "liquidation_inside": (
        mark("liquidation at about {price}, before the grid's end {end} is reached"),
        SMALLER,
    ),
    "liquidation_isolated": (
        mark(
            "liquidation at about {price}, before the grid's end {end} is reached: the position's margin is"
            " isolated"
        ),
        NOT_ISOLATED,
    ),
    "liquidation_stopped": (
        mark(
            "liquidation at about {price}, before the grid's end {end} is reached, where the stop loss does"
            " not end the run before: earlier profit delays it"
        ),
        NOT_ISOLATED,
    ),
    "profit": (mark("a grid earns {gross} % and pays {fees} % in fees: {net} % is left"), None),
    "profit_small": (mark("a grid earns {gross} % and pays {fees} % in fees: {net} % is left"), WIDER),
    "profit_below_fees": (mark("a grid earns {gross} % and pays {fees} % in fees: {net} % is left"), WIDER),
    "fees_unknown": (
        mark("the account's fees are not known; a grid earns {gross} % before them"),
        mark("make sure that twice the maker fee is far below {gross} %"),
    ),
    "clock": (mark("the clocks of exchange and machine differ by {seconds} s"), None),
    "clock_behind": (
        mark("this machine's clock is {seconds} s behind the exchange's"),
        mark("let NTP set the clock; the bot uses the exchange's meanwhile"),
    ),
    "clock_ahead": (
        mark("this machine's clock is {seconds} s ahead of the exchange's"),
        mark("let NTP set the clock; the bot uses the exchange's meanwhile"),
    ),
    "clock_unknown": (
        mark("the exchange reports no time"),
        mark("make sure that this machine's clock is kept by NTP"),
    ),
}
"""Code → what was seen, and the remedy. Any other code is shown in the program's own words."""


class Line(NamedTuple):
    """Hold one check. `remedy` is None where there is nothing to do."""

    level: Level
    code: str
    text: Text
    remedy: Text | None


def line(raw: Mapping[str, Any]) -> Line:
    """Return what the program has printed as one line. Raises KeyError or TypeError where it is no check."""
    level, code = LEVELS[raw["level"]], str(raw["code"])
    params = {str(name): _shown(value) for name, value in dict(raw.get("params") or {}).items()}
    known = SENTENCES.get(code)
    if known is not None:
        try:
            text = quoted(params["error"]) if known[0] == WORDS else Text(known[0], **params)
            remedy = Text(known[1], **params) if known[1] and level != "ok" else None
            str(text), str(remedy)  # a parameter may be missing
            return Line(level, code, text, remedy)
        except LookupError:
            pass
    own = _shown(raw.get("remedy") or "")
    return Line(
        level,
        _shown(code),
        quoted(_shown(raw.get("text") or code)),
        quoted(own) if own and level != "ok" else None,
    )


def _shown(value: object) -> str:
    return replace_unprintable(str(value))[:MOST_WORDS]
