"""Find out whether a key may trade, without an order that could be carried out."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.model.errors import ExchangeError, NotFoundError, UnauthorizedError
from gridbot.model.types import Market, as_text, floor_to

# Exchanges number their orders far beyond this, so there is nothing to cancel.
NO_ORDER = "1"


class Permission(NamedTuple):
    """Hold whether a key may trade, and what the exchange said where it may not.

    `is_of_account`: it is the account that may not, whatever its keys may.
    """

    may: bool | None
    why: str = ""
    is_of_account: bool = False


def permission(exchange: CcxtExchange, market: Market, price: Decimal | None) -> Permission | None:
    """Return whether the key may trade, and what the exchange said where it may not. Raises ExchangeError.

    No exchange has a call that lists a key's permissions. None where nothing tells of them.
    """
    if exchange.id == "aster":
        return _aster(exchange, market, price)
    if exchange.id == "paradex":
        # An account in liquidation takes no orders.
        exchange.ask("authenticate_rest")
        answer = exchange.ask("privateGetAccount")
        status = answer.get("status") if isinstance(answer, Mapping) else None
        if status not in (None, "", "ACTIVE"):
            return Permission(False, f"the account is {status}", is_of_account=True)
    if exchange.id == "lighter":
        # A transaction answers nothing of the order that it names, and its key signs all or none.
        return None
    may = _may_cancel(exchange)
    if exchange.id != "backpack" or may is None or not may.may:
        return may
    # Without a quantity nothing can be placed, whatever the key may.
    unusable = {"symbol": exchange.market_answer["id"], "side": "Bid", "orderType": "Limit"}
    return _refused_by(exchange, "privatePostApiV1Order", unusable) or may


def _aster(exchange: CcxtExchange, market: Market, price: Decimal | None) -> Permission | None:
    """Return what it says: `canTrade` is of the account, and a key of it may do less."""
    call = "fapiPrivateGetV3AccountWithJoinMargin" if market.perp else "sapiPrivateGetV3Account"
    may = exchange.ask(call).get("canTrade")
    if may is False:
        return Permission(False, "canTrade is false", is_of_account=True)
    if may is not True or price is None:
        return None
    if not market.perp:
        return _may_cancel(exchange)
    # Checked as an order is, and not sent to the market.
    test = {
        "symbol": exchange.market_answer["id"],
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": as_text(market.smallest_order(price)),
        "price": as_text(floor_to(price, market.tick)),
    }
    try:
        exchange.ask("fapiPrivatePostV3OrderTest", test)
    except ExchangeError as err:
        return Permission(False, str(err)) if _is_refused(err) else None
    return Permission(True)


def _may_cancel(exchange: CcxtExchange) -> Permission | None:
    """Return what a cancellation of an order that does not exist tells: it needs what orders need."""
    try:
        exchange.ask("cancel_order", NO_ORDER, exchange.market_symbol)
    except NotFoundError:
        return Permission(True)
    except ExchangeError as err:
        if _is_refused(err):
            return Permission(False, str(err))
        if "RESOURCE_NOT_FOUND" in str(err):
            return Permission(True)
        raise
    return None


def _refused_by(exchange: CcxtExchange, call: str, params: Mapping[str, Any]) -> Permission | None:
    """Return the refusal of a key that may not do this; any other answer tells nothing of the key."""
    try:
        exchange.ask(call, params)
    except ExchangeError as err:
        return Permission(False, str(err)) if _is_refused(err) else None
    return None


def _is_refused(err: ExchangeError) -> bool:
    return isinstance(err, UnauthorizedError) or err.cause == "unauthorized"
