"""Ask an exchange what a run with real money depends on: the key's permission, funds, leverage, fees, clock.

Nothing is placed. What an exchange does not say is None: unknown, and never taken for good or for bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from gridbot.exchanges.answers import SENSELESS
from gridbot.exchanges.ccxt_exchange import CcxtExchange
from gridbot.exchanges.key_permission import Permission, permission
from gridbot.exchanges.lent_coins import read_lent
from gridbot.exchanges.market_state import UNKNOWN_STATE, MarketState, read_state
from gridbot.exchanges.values import decimal, positive, product
from gridbot.model.errors import THROTTLED, ExchangeError, UnauthorizedError
from gridbot.model.types import ZERO, ExchangeOrder, Market, Order, Side

T = TypeVar("T")
# The unit of Backpack's fees; a rebate is negative
# (https://docs.backpack.exchange/#tag/Account/operation/get_account, 2025-09-02).
BASIS_POINTS = Decimal("1e-4")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Hold what the exchange says of the account. `maker_fee` and `maintenance` are shares of the value.

    `free`: what new positions may use, in the market's quote currency; on a spot market `held` is what is
    there of the base currency. `bound`: what this bot's position and open orders have of the funds by now,
    which is not in `free` and which a run that goes on may use. `lent`: what a spot account has lent of the
    quote currency, which is not in `free` either. `clock_offset`: seconds by which the
    exchange's clock is ahead of this one. `is_hedged`: the account keeps longs and shorts of a market as
    positions apart. `is_account_blocked`: it is the account that may not trade, whatever its keys may.
    `max_held_value`: what a position may be worth at the leverage that is set. `state`: whether the market
    takes orders. `says_least_value`: it is known what an order has to be worth. `is_isolated`: a position has
    no more than its own margin. `brackets`: up to which value a position has which maintenance margin, where
    that depends on it.
    """

    price: Decimal | None = None
    can_trade: bool | None = None
    is_account_blocked: bool = False
    are_keys_refused: bool = False
    refusal: str = ""
    free: Decimal | None = None
    held: Decimal | None = None
    bound: Decimal | None = None
    leverage: Decimal | None = None
    maintenance: Decimal | None = None
    maker_fee: Decimal | None = None
    clock_offset: float | None = None
    is_hedged: bool | None = None
    max_held_value: Decimal | None = None
    lent: Decimal | None = None
    state: MarketState = UNKNOWN_STATE
    says_least_value: bool = False
    is_isolated: bool | None = None
    brackets: Sequence[tuple[Decimal, Decimal]] = ()

    def maintenance_of(self, value: Decimal) -> Decimal | None:
        """Return the maintenance margin of a position of that value, as a share of it; None if unknown."""
        if self.brackets:
            return next((share for most, share in self.brackets if value <= most), self.brackets[-1][1])
        return self.maintenance


class OwnPart(NamedTuple):
    """Hold what is this bot's by its record. The rest of an account is others', and stays theirs."""

    position: Decimal = ZERO
    orders: Sequence[Order] = ()

    def has(self, order: ExchangeOrder) -> bool:
        """Tell whether an open order is one of these."""
        return any(
            own.exchange_id == order.exchange_id
            or (own.exchange_id is None and own.client_id == order.client_id and own.matches(order))
            for own in self.orders
        )


def read_facts(
    exchange: CcxtExchange, market: Market, own_part: Callable[[], OwnPart] = OwnPart
) -> AccountFacts:
    """Return what is known. A call that fails leaves its figures unknown. Raises no ExchangeError.

    `own_part` reads the record; it is called after the account has been asked, and so knows every order of
    this bot that is listed.
    """
    state = read_state(exchange.id, exchange.market_answer.get("info"))
    price = _known(exchange.price)
    may_trade = _known(lambda: permission(exchange, market, price)) or Permission(None)
    if not may_trade.may and (refused := _refused_keys(exchange)):
        return AccountFacts(are_keys_refused=True, refusal=refused, state=state)
    account = _known(lambda: exchange.ask("privateGetApiV1Account")) if exchange.id == "backpack" else None
    leverage = _known(lambda: positive(_leverage(exchange, account))) if market.perp else Decimal(1)
    return AccountFacts(
        price=price,
        can_trade=may_trade.may,
        is_account_blocked=may_trade.is_of_account,
        refusal=may_trade.why,
        free=_known(lambda: _free(exchange, market)),
        held=None if market.perp else _known(lambda: _balance(exchange, market.base, market)),
        bound=_known(lambda: _bound(exchange, market, price, leverage, own_part)),
        leverage=leverage,
        maintenance=_known(lambda: _maintenance(exchange)),
        maker_fee=_known(lambda: _maker_fee(exchange, market, account)),
        clock_offset=exchange.clock_offset(),
        is_hedged=_known(exchange.is_hedged) if market.perp else False,
        max_held_value=_known(exchange.max_held_value) if exchange.id == "aster" and market.perp else None,
        lent=None if market.perp else _known(lambda: read_lent(exchange, _quote_names(exchange))),
        state=state,
        says_least_value=_says_least_value(exchange),
        is_isolated=_known(lambda: _is_isolated(exchange)) if market.perp else None,
        brackets=(_known(lambda: _brackets(exchange)) or ()) if market.perp else (),
    )


def _known(ask: Callable[[], T | None]) -> T | None:
    """Return the answer, asked for a second time if the first call fails; None if both fail."""
    for is_last in (False, True):
        try:
            return ask()
        except ExchangeError as err:
            if is_last or err.cause in THROTTLED:
                return None
        except SENSELESS:
            return None  # an answer of another shape
    return None


def _refused_keys(exchange: CcxtExchange) -> str:
    """Return what the exchange says where it refuses the keys for reading too, else nothing."""
    try:
        exchange.open_orders()
    except UnauthorizedError as err:
        return str(err)
    except ExchangeError:
        return ""  # something else may be wrong than the keys
    return ""


def _free(exchange: CcxtExchange, market: Market) -> Decimal | None:
    if exchange.id == "backpack" and market.perp:
        # What is lent counts as collateral, but not as available balance.
        return decimal(exchange.ask("privateGetApiV1CapitalCollateral").get("netEquityAvailable"))
    if exchange.id == "lighter":
        return decimal(_lighter_account(exchange).get("available_balance"))
    if exchange.id == "paradex":
        # ccxt's balance says only what is there, and not what positions and orders need of it.
        return decimal(_paradex_account(exchange).get("free_collateral"))
    # ccxt's apex has one balance for all markets, and calls it USDT.
    return _balance(exchange, "USDT" if exchange.id == "apex" else market.quote, market)


def _balance(exchange: CcxtExchange, currency: str, market: Market) -> Decimal | None:
    """Return the free balance, 0 where the account's balances are listed without this currency."""
    # ccxt's aster reads the spot wallet unless it is told which.
    kind = {"type": "swap" if market.perp else "spot"} if exchange.id == "aster" else {}
    balances = exchange.ask("fetch_balance", kind)
    if exchange.id != "backpack" and not balances.get("free"):
        return None  # the others list currencies that there is nothing of: this is no list
    return decimal((balances.get(currency) or {"free": 0}).get("free"))


def _bound(
    exchange: CcxtExchange,
    market: Market,
    price: Decimal | None,
    leverage: Decimal | None,
    own_part: Callable[[], OwnPart],
) -> Decimal | None:
    """Return the margin of this bot's position and orders; of spot, what its buy orders are to pay."""
    if price is None or leverage is None:
        return None
    orders = [order for order in exchange.open_orders() if isinstance(order, ExchangeOrder) and order.open]
    position = exchange.position() if market.perp else ZERO
    if position is None:
        return None
    own = own_part()
    own_orders = [order for order in orders if own.has(order)]
    if not market.perp:
        return _open_qty(own_orders, Side.BUY) * price
    # Positions of opposite bots cancel out, and need no margin: what the account has bound is the most.
    most = min(_margin_qty(own.position, own_orders), _margin_qty(position, orders))
    return most * price / leverage


def _margin_qty(position: Decimal, orders: Sequence[ExchangeOrder]) -> Decimal:
    """Return for how much margin is needed: the larger side, with the position that it would add to."""
    return max(abs(position), _open_qty(orders, Side.BUY) + position, _open_qty(orders, Side.SELL) - position)


def _open_qty(orders: Sequence[ExchangeOrder], side: Side) -> Decimal:
    return sum(((order.qty or ZERO) - (order.filled or ZERO) for order in orders if order.side is side), ZERO)


def _leverage(exchange: CcxtExchange, account: Any) -> Decimal | None:
    if exchange.id == "backpack":
        # The account's; a market may allow less (docs.backpack.exchange, "imfFunction", 2025-11-12).
        limit = positive(decimal(account.get("leverageLimit")))
        least = positive(decimal((_info(exchange).get("imfFunction") or {}).get("base")))
        return limit if limit is None or least is None else min(limit, 1 / least)
    if exchange.id == "aster":
        symbol = exchange.market_symbol
        return decimal(exchange.ask("fetch_leverages", [symbol])[symbol].get("longLeverage"))
    if exchange.id == "paradex":
        return decimal(_paradex_margin(exchange).get("leverage"))
    if exchange.id == "lighter":
        return _lighter_leverage(exchange)
    return None


def _lighter_leverage(exchange: CcxtExchange) -> Decimal | None:
    """Return what the account has set on the market, else what a market has at the beginning."""
    if position := _lighter_position(exchange):
        percent = decimal(position.get("initial_margin_fraction"))
        return None if not percent else 100 / percent
    fraction = decimal(_info(exchange).get("default_initial_margin_fraction"))
    return None if not fraction else 1 / (fraction * BASIS_POINTS)


def _lighter_position(exchange: CcxtExchange) -> Mapping[str, Any]:
    """Return what the account has set and holds on the market, nothing where it never traded it."""
    wanted = str(exchange.market_answer["id"])
    listed = _lighter_account(exchange).get("positions") or []
    return next((one for one in listed if str(one.get("market_id")) == wanted), {})


def _lighter_account(exchange: CcxtExchange) -> Mapping[str, Any]:
    """Return the bot's own account; ccxt adds up those of one wallet, and none pays for another."""
    return exchange.own_account(exchange.ask("fetch_balance")["info"])


def _paradex_account(exchange: CcxtExchange) -> dict[str, Any]:
    """Return the account's summary.

    openapi.json 1.132.1 of github.com/tradeparadex/paradex-docs, 2026-08-20: "Get account information".
    """
    exchange.ask("authenticate_rest")
    answer = exchange.ask("privateGetAccount")
    return answer if isinstance(answer, dict) else {}


def _paradex_margin(exchange: CcxtExchange) -> Mapping[str, Any]:
    """Return what the account has set on the market."""
    _paradex_account(exchange)  # signs in
    wanted = exchange.market_answer["id"]
    listed = exchange.ask("privateGetAccountMargin", {"market": wanted}).get("configs") or []
    return next((one for one in listed if one.get("market") == wanted), {})


def _quote_names(exchange: CcxtExchange) -> tuple[str | None, str]:
    return exchange.market_answer.get("quoteId"), exchange.market_answer["quote"]


def _info(exchange: CcxtExchange) -> Mapping[str, Any]:
    """Return the market as the exchange itself describes it."""
    return exchange.market_answer.get("info") or {}


def _says_least_value(exchange: CcxtExchange) -> bool:
    """Tell whether the market's least value of an order is known: backpack has no such rule.

    docs.backpack.exchange, "OrderBookFilters", 2025-11-12.
    """
    least = (exchange.market_answer.get("limits") or {}).get("cost") or {}
    return exchange.id == "backpack" or decimal(least.get("min")) is not None


def _is_isolated(exchange: CcxtExchange) -> bool | None:
    """Tell whether a position on the market has its own margin only, None where that is not said."""
    word: Any = None
    match exchange.id:
        case "backpack":
            return False  # all of a subaccount is the margin of all its positions
        case "aster":
            symbol = exchange.market_symbol
            setting = exchange.ask("fetch_leverages", [symbol])[symbol]
            word = setting.get("marginMode")
            if str(setting["info"].get("isAutoAddMargin")).lower() == "true":
                return False  # all that is free is added before a position is liquidated
        case "paradex":
            word = _paradex_margin(exchange).get("margin_type")
        case "lighter":
            word = {0: "cross", 1: "isolated"}.get(_lighter_position(exchange).get("margin_mode", -1))
    return {"isolated": True, "cross": False, "crossed": False}.get(str(word).lower())


def _brackets(exchange: CcxtExchange) -> Sequence[tuple[Decimal, Decimal]]:
    """Return aster's (github.com/asterdex/api-docs, futures V3, "Leverage Bracket", 2026-06-30)."""
    if exchange.id != "aster":
        return ()
    answer = exchange.ask("fapiPrivateGetV3LeverageBracket", {"symbol": exchange.market_answer["id"]})
    wanted = exchange.market_answer["id"]
    markets = [one for one in ([answer] if isinstance(answer, dict) else answer) if one["symbol"] == wanted]
    steps = [
        (decimal(step["notionalCap"]), decimal(step["maintMarginRatio"])) for step in markets[0]["brackets"]
    ]
    return sorted((most, share) for most, share in steps if most is not None and share is not None)


def _maintenance(exchange: CcxtExchange) -> Decimal | None:
    info = _info(exchange)
    if exchange.id == "backpack":
        return decimal((info.get("mmfFunction") or {}).get("base"))
    if exchange.id == "lighter":
        return product(decimal(info.get("maintenance_margin_fraction")), BASIS_POINTS)
    if exchange.id == "paradex":
        margin = info.get("delta1_cross_margin_params") or {}
        return product(decimal(margin.get("imf_base")), decimal(margin.get("mmf_factor")))
    return decimal(info.get("maintenanceMarginRate")) if exchange.id == "apex" else None


def _maker_fee(exchange: CcxtExchange, market: Market, account: Any) -> Decimal | None:
    if exchange.id == "backpack":
        points = decimal(account.get("futuresMakerFee" if market.perp else "spotMakerFee"))
        return None if points is None else points * BASIS_POINTS
    if exchange.id == "aster":
        return decimal(exchange.ask("fetch_trading_fee", exchange.market_symbol).get("maker"))
    if exchange.id == "paradex":
        # Where the answer says no fee, ccxt gives a constant of its own.
        info = exchange.ask("fetch_trading_fee", exchange.market_symbol)["info"]
        return decimal(info["fee_config"]["api_fee"]["maker_fee"]["fee"])
    return None  # ccxt has constants for apex, and of lighter's fees those of a standard account
