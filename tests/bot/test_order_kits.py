"""What an order is when it reaches the exchange, in each one's own shape: to the last digit, and once."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import pytest

from gridbot.exchanges import ccxt_errors
from gridbot.model.errors import RejectedError, UnreachableError
from gridbot.model.types import ExchangeOrder, Order, Side
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, StatusError
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex

D = Decimal
KITS = (Apex, Aster, AsterSpot, Backpack, BackpackSpot, Lighter, Paradex)
STEPS = [("0.1", "0.01"), ("0.001", "0.00001"), ("0.00001", "0.1"), ("1", "1"), ("100", "0.0000001")]
ODD_STEPS = [("0.05", "0.25"), ("0.5", "0.05"), ("25", "5")]
CASES = [(kind, steps) for kind in KITS for steps in [*STEPS, *(ODD_STEPS if kind is not Lighter else [])]]


def an_order(client_id: int, qty: Decimal, price: Decimal, exchange_id: str | None = None) -> Order:
    return Order(client_id, "L1", Side.BUY, price, qty, D(0), "new", 0.0, exchange_id=exchange_id)


@pytest.mark.parametrize(("kind", "steps"), CASES)
def test_multiples_of_any_step_reach_the_exchange_as_they_are(
    kind: type[Kit], steps: tuple[str, str]
) -> None:
    kit = kind()
    lot, tick = map(D, steps)
    raw = kit.adapter._loaded()
    raw["precision"] = {"amount": float(lot), "price": float(tick)}
    raw["info"] = raw["info"] | {"size_decimals": _digits(lot), "price_decimals": _digits(tick)}
    kit.book.lot, kit.book.tick, kit.book.price = lot, tick, D(10**6)
    market = kit.adapter.market()
    assert (market.lot, market.tick) == (lot, tick)
    for client_id, (times, ticks) in enumerate(
        [(1, 1), (3, 7), (7, 29), (29, 57), (1001, 115), (123457, 3)], 100
    ):
        order = an_order(client_id, times * lot, ticks * tick)
        kit.adapter.place(order)
        [there] = [one for one in kit.book.open_orders() if one.client_id == client_id and not one.foreign]
        assert (there.qty, there.price) == (order.qty, order.price)
        kit.book.cancel(there.id)


def _digits(step: Decimal) -> int:
    return max(-int(step.normalize().as_tuple().exponent), 0)


def test_lighter_signs_again_where_another_bot_was_quicker_with_its_number() -> None:
    """It was refused for that alone and not carried out, so it is one order."""
    kit = Lighter()
    kit.used_nonces = 2
    kit.adapter.place(an_order(5, D("0.1"), D("140")))
    [order] = kit.book.own_open()
    kit.used_nonces = 1
    kit.adapter.cancel(an_order(5, D("0.1"), D("140"), order.id))
    assert kit.book.own_open() == []
    kit.used_nonces = 9
    with pytest.raises(RejectedError, match="invalid nonce"):
        kit.adapter.place(an_order(6, D("0.1"), D("140")))
    assert kit.book.own_open() == []


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, "", 7),
        ({"Retry-After": "1.5"}, "", 1.5),
        ({"Retry-After": "a date"}, "", 600),
        ({"Retry-After": "soon"}, "", None),
        ({}, "IP banned until {until}. Please use the websocket", 600),
        ({}, "Too many requests", None),
    ],
)
def test_a_pause_that_the_exchange_asks_for_is_understood(
    headers: dict[str, Any], body: str, seconds: float | None
) -> None:
    if headers.get("Retry-After") == "a date":
        headers = {"Retry-After": formatdate(time.time() + 600, usegmt=True)}
    kit = Aster()
    errors = kit.adapter._errors
    err = errors.DDoSProtection(body.format(until=int((time.time() + 600) * 1000)))
    err.__context__ = StatusError(418)
    error = ccxt_errors.translated(err, kit.adapter._answers, headers, "aster")
    assert isinstance(error, UnreachableError)
    assert error.cause == "banned"
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds, abs=5))


@pytest.mark.parametrize("age", [0, 30, 59, 90, 3600])
def test_lighter_finds_an_order_on_the_second_page_of_the_history(age: int) -> None:
    """Whatever its age is beside that of the oldest order on the first page, of 100."""
    kit = Lighter()
    order = replace(an_order(7, D("0.1"), D(140)), created_at=kit.now)
    there = kit.book.place("Bid", "Limit", order.price, order.qty, order.client_id)
    kit.book.cancel(there.id)
    kit.now += age
    for client_id in range(100, 220):
        kit.book.cancel(kit.book.place("Bid", "Limit", D(141), order.qty, client_id).id)
    [(_, exchange_order)] = kit.adapter.find([order])
    assert isinstance(exchange_order, ExchangeOrder)
    assert exchange_order.exchange_id == there.id
