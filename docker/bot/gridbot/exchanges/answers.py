"""Read ccxt's answers into this bot's types. What they leave out is unknown, never 0 or the text "None".

A value that the bot can do without is None. An execution that lacks one it needs is an `UnreadableFill`, an
order an `UnreadableOrder`: one row that makes no sense does not hide the others.
Each exchange's own deviations are a subclass in a module of its own, which looks the missing value up in the
raw answer (`info`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from gridbot.exchanges.payments import payment_of
from gridbot.exchanges.values import (
    decimal,
    distinct,
    identity,
    names_market,
    number,
    positive,
    product,
    signed,
    text,
    word,
)
from gridbot.model.errors import UnclearError, UnreachableError
from gridbot.model.types import (
    ExchangeOrder,
    Fill,
    Funding,
    LateRefusal,
    Order,
    Side,
    UnreadableFill,
    UnreadableOrder,
)

Raw = Mapping[str, Any]
T = TypeVar("T")
# How exchanges refuse to cancel what has ended; a market that is closed, say, is another refusal.
ENDED = re.compile(
    r"ORDER (IS |WAS |HAS BEEN )?(ALREADY )?(CLOSED|FILLED|CANCELL?ED|INACTIVE|EMPTY)\b"
    r"|ORDER (IS )?(NOT|NO LONGER) (ACTIVE|OPEN)\b(?! YET)"
    r"|ORDER DOES NOT EXIST|NOT AN ACTIVE (LIMIT )?ORDER|UNKNOWN ORDER|NO SUCH ORDER"
)
# What reading an answer of an unexpected shape raises.
SENSELESS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
# How many rows an exchange may put on a page although it was asked for more: it is asked for the next one.
SHORTER_PAGES = (50, 100, 200, 500)
FINAL = ("closed", "filled", "canceled", "cancelled", "expired", "rejected")


@dataclass(frozen=True, slots=True)
class Page:
    """Say what to ask for one page of executions: from when on (milliseconds), and what else."""

    since: int
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """Hold what a page of executions had: as ccxt gives them, the exchange's answer, and the time there."""

    trades: Sequence[Raw]
    answer: Mapping[str, Any]
    now: int


class Answers:
    """Read answers as ccxt documents them.

    `usual_maker_fee` is the rate that counts where neither an execution nor the market says one.
    `most_on_page`: how many executions one call is asked for. `causes`: a word of the exchange's refusals ->
    why it refuses, where ccxt's class of the error doesn't say it. `unknown_outcomes`: words of its errors
    that leave open whether the request was carried out. `lists`: a method of ccxt -> where its
    list is in the exchange's answer; the answer itself where the method isn't named. `market_key`: what
    names the market in a position's own row. `filled_key`: what says in an order's own row how much of it is
    filled. `end_key`: what says there why it has ended; `late_refusals`: a part of that -> why the exchange
    refuses it, of orders that it accepts before it checks them.
    """

    causes: Mapping[str, str] = MappingProxyType({})
    unknown_outcomes: tuple[str, ...] = ()
    lists: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    market_key = "symbol"
    filled_key = end_key = ""
    late_refusals: Mapping[str, str] = MappingProxyType({})
    most_on_page = 1000
    usual_maker_fee: Decimal | None = None

    def __init__(self, exchange: str, account: str | None = None) -> None:
        """Take `account`, the account's number, where the exchange names both sides of a trade by it."""
        self._exchange, self._account = exchange, account

    def rows(self, method: str, answer: Any) -> list[Any] | None:
        """Return the list in an answer, None where it has none, which ccxt takes for an empty one."""
        for key in self.lists.get(method, ()):
            answer = answer.get(key) if isinstance(answer, Mapping) else None
        return answer if isinstance(answer, list) else None

    def own_account(self, answer: Any) -> Raw:
        """Return this account's part of an answer that may be of several."""
        return answer if isinstance(answer, Mapping) else {}

    def is_of(self, raw: Raw, market: Raw) -> bool:
        """Tell whether an order or trade is of `market`; ccxt doesn't filter every list."""
        # ccxt gives what it can't place the market that was asked for.
        name = self._market_name(info_of(raw)) or identity(raw.get("symbol"))
        return name is None or names_market(market, name)

    def net_position(self, rows: Sequence[Any], market: Raw) -> Decimal:
        """Return the position of `market` among the exchange's own rows. Raises UnclearError.

        ccxt leaves out rows that it cannot place, and aster's without an entry price.
        """
        return sum((self._own_part(row, market) for row in distinct(rows)), Decimal(0))

    def _own_part(self, row: Any, market: Raw) -> Decimal:
        """Return what one row adds to the position. Raises UnclearError if it may be ours and is unclear."""
        try:
            name = self._market_name(row)
            if name is not None and not names_market(market, name):
                return Decimal(0)
            net = self.position({"info": row})
        except SENSELESS:
            name = net = None
        if net is None:
            raise UnclearError(f"{self._exchange} answered a position without its size or side")
        if net and name is None:
            raise UnclearError(f"{self._exchange} answered a position without its market")
        return net

    def _market_name(self, row: Raw) -> str | None:
        return identity(row.get(self.market_key))

    def is_hedged(self, rows: Sequence[Any], market: Raw) -> bool:
        """Tell whether longs and shorts of `market` are positions apart, each with orders of its own."""
        sides: set[bool] = set()
        for row in rows:
            if not isinstance(row, Mapping) or not names_market(market, row.get(self.market_key)):
                continue
            if str(row.get("positionSide") or "").upper() in ("LONG", "SHORT"):
                return True
            if net := self.position({"info": row}):
                sides.add(net > 0)
        return len(sides) > 1

    def max_notional(self, market: Raw) -> Decimal | None:
        """Return the largest value of one order, None where the exchange says none."""
        return decimal(((market.get("limits") or {}).get("cost") or {}).get("max"))

    def max_orders(self, market: Raw) -> int | None:  # noqa: ARG002
        """Return how many orders may rest in a market, None where the exchange says none."""
        return None

    def max_held(self, market: Raw) -> Decimal | None:  # noqa: ARG002
        """Return the largest position of an account, None where the exchange says none."""
        return None

    def max_held_value(self, rows: Sequence[Any], market: Raw) -> Decimal | None:  # noqa: ARG002
        """Return what a position may be worth by the account's own rows, None where they don't say it."""
        return None

    def used_part(self, headers: Raw) -> float | None:  # noqa: ARG002
        """Return which part of the address's limit of this minute is used, None where it is not said."""
        return None

    def is_missing_order(self, message: str) -> bool:
        """Tell whether the exchange's refusal says that it knows no such order."""
        return "ORDER_NOT_FOUND" in message.upper().replace(" ", "_")

    def is_ended_order(self, message: str, *, is_missing: bool) -> bool:
        """Tell whether a cancellation was refused because the order is not open any more.

        `is_missing`: the refusal is known to say that there is no such order.
        """
        return is_missing or ENDED.search(message.upper().replace("_", " ")) is not None

    def cause_of(self, message: str) -> str | None:
        """Return why the exchange refuses, None where its words don't tell."""
        causes = (why for word, why in self.causes.items() if re.search(rf"\b{word}\b", message))
        return next(causes, None)

    def own_status(self, message: str) -> int | None:
        """Return what the exchange's words say in place of a status of HTTP, None where they don't."""

    def is_refused_order(self, message: str) -> bool:  # noqa: ARG002
        """Tell whether what ccxt takes for bad credentials or too many requests is a refused order."""
        return False

    def is_used_nonce(self, message: str) -> bool:  # noqa: ARG002
        """Tell whether a request was refused only because another one was signed with its number before."""
        return False

    def first_page(self, since: int) -> Page:
        """Return the first page of the executions from `since` on."""
        return Page(since)

    def next_page(self, page: Page, listed: Listed) -> Page | None:  # noqa: ARG002
        """Return the page after `page`, which held `listed`; None after the last one."""
        return None

    def is_full(self, rows: Sequence[Any]) -> bool:
        """Tell whether there may be more rows than these, which are on one page."""
        return len(rows) >= self.most_on_page or len(rows) in SHORTER_PAGES

    def next_funding(self, page: Page, listed: Listed) -> Page | None:
        """Return the page of funding payments after `page`, None after the last one."""
        return self.next_page(page, listed)

    def payment(self, raw: Raw, market: Raw) -> Funding | None:
        """Read a funding payment, None where it is not clear."""
        return payment_of(raw, market, identity(raw.get("id")))

    def next_history(self, answer: Raw) -> dict[str, Any] | None:  # noqa: ARG002
        """Return what to ask for the page of the history after `answer`, None after the last one."""
        return None

    def history_of(self, order: Order) -> dict[str, Any] | None:  # noqa: ARG002
        """Return what to ask the history for to find one order that has ended, None where it can't."""
        return None

    def new_id(self, answer: Any, order: Order) -> str | None:
        """Return the id that an answer gives a new order. Raises UnclearError if it is about another one."""
        if not isinstance(answer, Mapping):
            return None
        if _differ(number(answer.get("clientOrderId")), order.client_id):
            raise UnclearError(f"{self._exchange} answered a new order with another order")
        return identity(answer.get("id"))

    def order_asked_for(self, order: Order, raw: Raw, market: Raw) -> ExchangeOrder | UnreadableOrder:
        """Read the answer about one order. One about another order says nothing of it."""
        row = self.order(raw, market)
        if order.exchange_id is not None:
            is_another = row.exchange_id != order.exchange_id
        else:
            is_another = _differ(row.client_id, order.client_id)
        if is_another and isinstance(row, ExchangeOrder):
            why = f"{self._exchange} answered with another order, {row.exchange_id}"
            return UnreadableOrder(order.exchange_id, order.client_id, why)
        return row

    def order(self, raw: Raw, market: Raw) -> ExchangeOrder | UnreadableOrder:
        """Read an order, as far as it says which one it is."""
        try:
            return self._read_order(raw, market)
        except UnreachableError as err:
            why = str(err)
        except SENSELESS as err:
            why = f"cannot make sense of {self._exchange}'s answer: {type(err).__name__}: {err}"
        return UnreadableOrder(identity(raw.get("id")), number(raw.get("clientOrderId")), why)

    def _read_order(self, raw: Raw, market: Raw) -> ExchangeOrder:
        qty, filled = positive(raw.get("amount")), self._filled(raw)
        if filled is not None and (filled < 0 or (qty is not None and filled > qty)):
            filled = None  # of no order is less filled than nothing, or more than all
        average = positive(raw.get("average")) or positive(raw.get("price"))
        return ExchangeOrder(
            exchange_id=self._need(identity(raw.get("id")), "an order's id"),
            client_id=number(raw.get("clientOrderId")),
            side=self._need(side_of(raw.get("side")), "an order's side"),
            price=positive(raw.get("price")),
            qty=qty,
            filled=filled,
            open=self._is_open(raw),
            average=average,
            fee=product(average, filled, self._maker_rate(market)),
            refusal=self._late_refusal(raw),
        )

    def fill(self, raw: Raw, market: Raw) -> Fill | UnreadableFill:
        """Read an execution, as far as it says what it did."""
        try:
            return self._read_fill(raw, market)
        except UnreachableError as err:
            return self._unreadable(raw, str(err))
        except SENSELESS as err:
            why = f"cannot make sense of {self._exchange}'s answer: {type(err).__name__}: {err}"
            return UnreadableFill(identity(raw.get("id")), identity(raw.get("order")), None, why)

    def _unreadable(self, raw: Raw, why: str) -> UnreadableFill:
        """Return what is known of an execution: whose it is, where that is said."""
        try:
            side = self._side(raw)
        except UnreachableError:
            # Whose it is may depend on the side, as at lighter.
            return UnreadableFill(identity(raw.get("id")), identity(raw.get("order")), None, why)
        order_id, client_id = self._order_id(raw, side), self._client_id(raw, side)
        return UnreadableFill(identity(raw.get("id")), order_id, client_id, why)

    def _read_fill(self, raw: Raw, market: Raw) -> Fill:
        maker = self._is_maker(raw)
        price = self._need(positive(raw.get("price")), "a trade's price")
        qty = self._need(positive(raw.get("amount")), "a trade's quantity")
        side = self._side(raw)
        fee, currency = self._fee(raw)
        rate = self._maker_rate(market) if maker else self._taker_rate(market)
        # What a third currency is worth is unknown here, and a fee in it is no fee of 0.
        if fee is None or (rate is not None and not _is_counted(currency, market)):
            fee, currency = price * qty * self._need(rate, "a trade's fee"), None
        return Fill(
            trade_id=self._need(identity(raw.get("id")), "a trade's id"),
            exchange_id=self._need(self._order_id(raw, side), "a trade's order"),
            client_id=self._client_id(raw, side),
            side=side,
            price=price,
            qty=qty,
            fee=fee,
            fee_currency=currency or str(market.get("settle") or market.get("quote") or ""),
            at=float(self._need(decimal(raw.get("timestamp")), "a trade's time")) / 1000,
            maker=maker,
        )

    def position(self, raw: Raw) -> Decimal | None:
        """Return a position, below 0 for a short one; None where it is unknown."""
        size = decimal(raw.get("contracts"))
        contract = decimal(raw.get("contractSize"))
        return signed(None if size is None else size * (1 if contract is None else contract), raw.get("side"))

    def _need(self, value: T | None, name: str) -> T:
        if value is None:
            raise UnreachableError(f"{self._exchange} answered without {name}")
        return value

    def _is_open(self, raw: Raw) -> bool:
        # A state that is not known to be final may be an open one.
        # ccxt hands on as they are the words that it doesn't know, such as apex's EXPIRED.
        return not str(raw.get("status") or "").lower().startswith(FINAL)

    def _late_refusal(self, raw: Raw) -> LateRefusal | None:
        """Return why an order that was accepted has been refused after all, None where it wasn't."""
        word = text(info_of(raw).get(self.end_key)) if self.end_key else None
        cause = next((why for part, why in self.late_refusals.items() if part in str(word)), None)
        return None if word is None or cause is None else LateRefusal(word, cause)

    def _maker_rate(self, market: Raw) -> Decimal | None:
        rate = decimal(market.get("maker"))
        return self.usual_maker_fee if rate is None else rate

    def _taker_rate(self, market: Raw) -> Decimal | None:
        return decimal(market.get("taker"))

    def _filled(self, raw: Raw) -> Decimal | None:
        """Return what is filled as the exchange says it: all of an order that it calls filled.

        ccxt works out what is left out: of a cancelled order of lighter's, of which nothing remains, all.
        """
        info = info_of(raw)
        filled = decimal(info.get(self.filled_key) if self.filled_key else raw.get("filled"))
        if not filled and str(info.get("status")).upper() == "FILLED":
            return decimal(raw.get("amount"))
        return filled

    def _side(self, raw: Raw) -> Side:
        return self._need(side_of(raw.get("side")), "a trade's side")

    def _order_id(self, raw: Raw, side: Side) -> str | None:  # noqa: ARG002 (lighter's needs it)
        return identity(raw.get("order"))

    def _client_id(self, raw: Raw, side: Side) -> int | None:  # noqa: ARG002
        info = info_of(raw)
        return number(info.get("clientId") or info.get("client_id") or info.get("clientOrderId"))

    def _fee(self, raw: Raw) -> tuple[Decimal | None, str | None]:
        fee = raw.get("fee") or {}
        cost, currency = decimal(fee.get("cost")), word(fee.get("currency"))
        # On a spot market it may be paid in either currency.
        return None if currency is None and ":" not in str(raw.get("symbol")) else cost, currency

    def _is_maker(self, raw: Raw) -> bool:
        return raw.get("takerOrMaker") == "maker"


def _differ(echoed: int | None, client_id: int) -> bool:
    """Tell whether a client id in an answer is another one's: some have none, a 0, or a form of their own."""
    return bool(echoed) and echoed != client_id


def _is_counted(currency: str | None, market: Raw) -> bool:
    return currency in (None, *(market.get(key) for key in ("quote", "settle", "base")))


def info_of(raw: Raw) -> Raw:
    """Return the exchange's own row, an empty one where it is none."""
    info = raw.get("info")
    return info if isinstance(info, Mapping) else {}


def side_of(value: Any) -> Side | None:
    """Return a side, None for one that is left out or is no side."""
    name = str(value or "").lower()
    return Side(name) if name in ("buy", "sell") else None
