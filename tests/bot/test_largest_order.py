"""No order is larger than the exchange takes: a stop loss that is refused for its size closes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.config.args import parse
from gridbot.model.condition import Code, Condition
from gridbot.model.types import Market, Order, Side
from gridbot.strategies.grid import Grid, plan
from gridbot.trading.run_ending import CompletedError, RunEnding
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack
from tests.bot.kits.kit import Kit, Run
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_preflight import LIVE, checks_of, run_of
from tests.bot.worlds import PERP

D = Decimal
# github.com/asterdex/api-docs, futures V3 and spot V3, 2026-06-30: "Exchange Information" and "Filters".
ASTER: dict[str, Any] = {
    "symbol": "SOLUSDT",
    "status": "TRADING",
    "baseAsset": "SOL",
    "quoteAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 1,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "10000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "9000", "stepSize": "0.1"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.1", "maxQty": "400", "stepSize": "0.1"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ],
}
ASTER_SPOT = ASTER | {
    "filters": [
        *ASTER["filters"][:3],
        {"filterType": "MAX_NUM_ORDERS", "limit": "200"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "5"},
        {"filterType": "MAX_NOTIONAL", "maxNotional": "300000"},
    ]
}
MARKETS: Mapping[type[Kit], Any] = {
    Aster: {"symbols": [ASTER | {"contractType": "PERPETUAL", "marginAsset": "USDT"}]},
    AsterSpot: {"symbols": [ASTER_SPOT]},
    # github.com/tradeparadex/paradex-docs, openapi.json 1.132.1, MarketResp, 2026-08-20.
    Paradex: {
        "results": [
            {
                "symbol": "SOL-USD-PERP",
                "base_currency": "SOL",
                "quote_currency": "USD",
                "settlement_currency": "USDC",
                "order_size_increment": "0.1",
                "price_tick_size": "0.01",
                "min_notional": "10",
                "asset_kind": "PERP",
                "max_order_size": "10000",
                "max_open_orders": 100,
                "position_limit": "20000",
            }
        ]
    },
    # github.com/elliottech/lighter-python, openapi.json at commit 051d1ba, PerpsOrderBookDetail.
    Lighter: {
        "code": 200,
        "order_book_details": [
            {
                "symbol": "SOL",
                "market_id": 2,
                "market_type": "perp",
                "status": "active",
                "min_base_amount": "0.1",
                "min_quote_amount": "10",
                "order_quote_limit": "2500000",
                "size_decimals": 1,
                "price_decimals": 2,
                "quote_multiplier": 1,
                "taker_fee": "0",
                "maker_fee": "0",
            }
        ],
    },
    # Unverified: known from ccxt 4.5.90.
    Apex: {
        "data": {
            "contractConfig": {
                "perpetualContract": [
                    {
                        "symbol": "SOL-USDT",
                        "crossSymbolName": "SOLUSDT",
                        "l2PairId": "58",
                        "baseTokenId": "SOL",
                        "settleAssetId": "USDT",
                        "enableTrade": True,
                        "stepSize": "0.1",
                        "tickSize": "0.01",
                        "minOrderSize": "0.1",
                        "maxOrderSize": "2750",
                        "maxPositionSize": "5500",
                    }
                ]
            }
        }
    },
    # docs.backpack.exchange, "Get markets", change log of 2025-11-12.
    Backpack: [
        {
            "symbol": "SOL_USDC_PERP",
            "baseSymbol": "SOL",
            "quoteSymbol": "USDC",
            "marketType": "PERP",
            "orderBookState": "Open",
            "filters": {
                "price": {"minPrice": "0.01", "maxPrice": None, "tickSize": "0.01"},
                "quantity": {"minQuantity": "0.1", "maxQuantity": "5000", "stepSize": "0.1"},
            },
        }
    ],
}
CLOSING = RunEnding(Condition(Code.STOPPED_OUT, "stop loss", {"by": "stop_loss"}), flatten=True)


def read_market(kind: type[Kit]) -> Market:
    """The market's rules from the exchange's own answer, through ccxt's class."""
    kit, answer = kind(), MARKETS[kind]
    kit.api.fetch = lambda url, *_: [] if str(url[0]).endswith("securities") else answer
    markets = kit.api.fetch_markets()
    kit.adapter._raw = next(market for market in markets if market["base"] == "SOL")
    kit.api.set_markets(markets)
    return kit.adapter.market()


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (Aster, {"max_qty": "9000", "max_market_qty": "400", "max_orders": "200", "min_notional": "5"}),
        (
            AsterSpot,
            {"max_qty": "9000", "max_market_qty": "400", "max_notional": "300000", "min_notional": "5"},
        ),
        (Paradex, {"max_qty": "10000", "max_orders": "100", "max_held": "20000"}),
        (Lighter, {"max_notional": "2500000"}),
        (Apex, {"max_qty": "2750", "max_held": "5500"}),
        (Backpack, {"max_qty": "5000"}),
    ],
)
def test_the_most_that_an_exchange_takes_is_known(kind: type[Kit], known: Mapping[str, str]) -> None:
    market = read_market(kind)
    names = ("max_qty", "max_market_qty", "max_notional", "max_orders", "min_notional", "max_held")
    limits = {name: getattr(market, name) for name in names}
    for name, value in known.items():
        assert limits[name] == D(value), name
    unsaid = {"max_qty", "max_market_qty", "max_notional", "max_held"} - known.keys()
    assert {limits[name] for name in unsaid} <= {None}


def run_until_the_end(run: Run) -> None:
    for _ in range(12):
        run.tick(61.0)


@pytest.mark.parametrize("kind", [Apex, Aster, AsterSpot, Backpack, Lighter, Paradex])
def test_a_position_larger_than_one_order_is_closed_in_parts(kind: type[Kit], tmp_path: Path) -> None:
    kit = kind()
    limits = kit.adapter._loaded()["limits"]
    if kind is Lighter:
        limits["cost"]["max"] = 44.0  # 0.2 and a rest, at 9 of 10 parts
    else:
        limits["market" if kind in (Aster, AsterSpot) else "amount"] = {"min": 0.1, "max": 0.2}
    run = Run(kit, tmp_path)
    while abs(kit.book.position()) < D("0.5"):
        price = kit.book.price - 1
        kit.book.move(price)
        run.tick()
    kit.book.most_at_market = D("0.2")
    run.engine._closing = CLOSING
    with pytest.raises(CompletedError):
        run_until_the_end(run)
    closed = [order for order in kit.book.orders.values() if order.kind == "Market"]
    assert [order.qty for order in closed] == [D("0.2"), D("0.2"), D("0.1")]
    assert kit.book.position() == run.store.ledger.position == 0
    assert run.failures == []
    run.store.close()


def test_a_rest_that_would_be_too_small_for_an_order_is_kept_large_enough() -> None:
    market = replace(PERP, lot=D("0.1"), min_qty=D("0.5"), max_qty=D(10))
    assert market.one_order(D(10), D(150)) == 10
    assert market.one_order(D(25), D(150)) == 10
    assert market.one_order(D("10.3"), D(150)) == D("9.8")
    assert market.one_order(D("0.3"), D(150)) == D("0.3")
    by_value = replace(PERP, max_notional=D(1000))
    assert by_value.one_order(D(25), D(150)) == D("6.66")
    assert by_value.one_order(D(25), D(150), is_market=True) == D(6)


def test_an_exit_of_more_than_one_order_is_placed_once_and_stays() -> None:
    market = replace(PERP, max_qty=D(1))
    grid = Grid((D(100), D(110), D(120)), 2, D("0.5"), D(10))
    cells = {0: D(3)}
    placed = plan(grid, market, cells, (), D(105), D(3)).place
    [exit_order] = [request for request in placed if request.side is Side.SELL]
    assert (exit_order.qty, exit_order.price) == (D(1), D(110))
    live = Order(1, "L1", Side.SELL, D(110), D(1), D(0), "open", 0.0, 0, "x1")
    again = plan(grid, market, cells, (live,), D(105), D(3))
    assert (again.cancel, again.place) == ((), ())


def test_what_is_too_large_or_too_many_is_said_before_the_first_order() -> None:
    large = checks_of(run_of("--quantity", "0.2"), replace(PERP, max_qty=D("0.15")))["quantity_large"]
    assert (large.level.value, large.params["most"]) == ("fail", "0.15")
    by_value = checks_of(run_of(), replace(PERP, max_notional=D("15.5")))["quantity_large"]
    assert by_value.params["most"] == "0.09", "at the grid's upper end"
    many = checks_of(run_of("--grid-num", "7"), replace(PERP, max_orders=5))["orders_too_many"]
    assert (many.level.value, many.params["count"], many.params["most"]) == ("fail", "6", "5")
    few = checks_of(run_of("--max-position", "0.2"), replace(PERP, max_orders=5))
    assert "orders_too_many" not in few
    quotes = ("--exchange", "aster", "--symbol", "SOLUSDT", "--strategy", "standard", "--market-type", "perp")
    both = checks_of(
        parse((*quotes, "--quantity", "1", "--max-orders", "3"), LIVE), replace(PERP, max_orders=5)
    )
    assert both["orders_too_many"].params["count"] == "6"


def test_a_position_beyond_the_exchanges_limit_is_refused() -> None:
    limited = replace(PERP, max_held=D("0.4"))
    large = checks_of(run_of("--max-position", "0.5"), limited)["position_large"]
    assert (large.level.value, large.params["position"], large.params["most"]) == ("fail", "0.5", "0.4")
    assert "position_large" not in checks_of(run_of("--max-position", "0.4"), limited)
    unlimited = checks_of(run_of("--grid-num", "7"), replace(PERP, max_held=D("0.2")))["position_large"]
    assert unlimited.params["position"] == "0.3", "what one side of the grid holds at its end"
    by_value = checks_of(run_of("--max-position", "0.5"), max_held_value=D(70))["position_large"]
    assert by_value.params["most"] == "0.44", "at the grid's upper end"
    assert "position_large" not in checks_of(run_of("--max-position", "0.5"), max_held_value=D(80))


def test_asters_limit_is_the_one_at_the_leverage_that_is_set() -> None:
    kit = Aster()
    carry_out = kit.answer
    # github.com/asterdex/api-docs, futures V3, "Position Information V3", 2026-06-30.
    own = {"symbol": "SOLUSDT", "positionAmt": "0", "maxNotionalValue": "25000", "positionSide": "BOTH"}
    other = own | {"symbol": "BTCUSDT", "maxNotionalValue": "100"}

    def answer(path: str, method: str, params: dict[str, Any]) -> Any:
        return [other, own] if "positionRisk" in path else carry_out(path, method, params)

    kit.answer = answer  # type: ignore[method-assign]
    assert kit.adapter.max_held_value() == D(25000)
    del own["maxNotionalValue"]
    assert kit.adapter.max_held_value() is None
