"""What a row is called by what is no name, in each exchange's own shape: it hides nothing and is nobody's."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from gridbot.model.errors import UnclearError
from gridbot.model.types import ExchangeOrder, Fill, Order, Side
from tests.bot.kits.apex import Apex
from tests.bot.kits.aster import Aster, AsterSpot
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit
from tests.bot.kits.lighter import Lighter
from tests.bot.kits.paradex import Paradex
from tests.bot.test_missing_fields_kits import CLIENT_IDS, MISSING, lacking, spoil_reads

D = Decimal
# Of lighter's markets one is called 0.
NAMED = (Apex, Aster, Backpack, Paradex)
KITS = (*NAMED, AsterSpot, BackpackSpot, Lighter)
MARKET = ("symbol", "market")
NO_NAMES = (MISSING, None, "", 0, "0")
each_no_name = pytest.mark.parametrize("value", NO_NAMES)


def order_of(kit: Kit, client_id: int = 5) -> Order:
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), client_id)
    return Order(client_id, "L1", Side.BUY, D(140), D("0.3"), D(0), "open", 0.0, 0, placed.id)


@pytest.mark.parametrize("kind", NAMED)
@each_no_name
def test_a_position_in_a_market_without_a_name_may_be_ours(kind: type[Kit], value: Any) -> None:
    kit = kind()
    kit.book.place("Bid", "Market", None, D("0.3"))
    assert kit.adapter.position() == D("0.3")
    kit.spoilt["positions"] = partial(lacking, names=MARKET, value=value)
    with pytest.raises(UnclearError, match="without its market"):
        kit.adapter.position()


@pytest.mark.parametrize("kind", [*NAMED, AsterSpot, BackpackSpot])
@each_no_name
def test_an_order_in_a_market_without_a_name_is_listed(kind: type[Kit], value: Any) -> None:
    kit = kind()
    own = order_of(kit)
    kit.spoilt["orders"] = partial(lacking, names=(*MARKET, "positionSide"), value=value)
    assert own.exchange_id in {row.exchange_id for row in kit.adapter.open_orders()}


@pytest.mark.parametrize("value", [MISSING, None, ""])
def test_an_order_that_does_not_say_of_which_side_it_is_stays_a_perpetuals(value: Any) -> None:
    kit = Aster()
    kit.api.set_markets([*kit.api.markets.values(), *AsterSpot().api.markets.values()])
    own = order_of(kit)
    kit.spoilt["orders"] = partial(lacking, names=("positionSide",), value=value)
    assert own.exchange_id in {row.exchange_id for row in kit.adapter.open_orders()}


@pytest.mark.parametrize(("kind", "other"), [*((kind, "XY-USD-PERP") for kind in NAMED), (Lighter, 0)])
def test_rows_of_a_market_that_is_not_known_are_not_this_markets(kind: type[Kit], other: Any) -> None:
    """As of one that opened after the bot began; ccxt gives them the market that was asked for."""
    kit = kind()
    order_of(kit)
    kit.book.place("Bid", "Market", None, kit.book.lot, 6)
    spoil_reads(kit, (*MARKET, "market_id", "market_index"), other)
    assert kit.adapter.open_orders() == []
    assert kit.adapter.fills(kit.now - 60) == []


@pytest.mark.parametrize("kind", KITS)
@pytest.mark.parametrize("value", [0, "0", "05", "5a"])
def test_a_client_id_that_is_written_otherwise_is_not_this_bots(kind: type[Kit], value: Any) -> None:
    kit = kind()
    own = order_of(kit)
    kit.book.place("Bid", "Market", None, kit.book.lot, 5 + 1)
    spoil_reads(kit, (*CLIENT_IDS, "bid_client_id"), value)
    assert {row.client_id for row in kit.adapter.open_orders()} == {None}
    [fill] = kit.adapter.fills(kit.now - 60)
    assert isinstance(fill, Fill)
    assert fill.client_id is None
    kit.book.cancel(str(own.exchange_id))
    [(_, row)] = kit.adapter.find([own])
    assert isinstance(row, ExchangeOrder)
    assert row.exchange_id == own.exchange_id


@pytest.mark.parametrize(("names", "value"), [(("remaining_size",), "0"), (("cancel_reason",), 0)])
def test_an_open_order_is_open_and_not_filled_whatever_else_it_says(
    names: tuple[str, ...], value: Any
) -> None:
    kit = Paradex()
    own = order_of(kit)
    kit.spoilt["orders"] = partial(lacking, names=names, value=value)
    [row] = [row for row in kit.adapter.open_orders() if row.exchange_id == own.exchange_id]
    assert isinstance(row, ExchangeOrder)
    assert (row.open, row.filled) == (True, None if names == ("remaining_size",) else 0)


@pytest.mark.parametrize("kind", [AsterSpot, BackpackSpot])
@each_no_name
def test_a_fee_on_a_spot_market_in_no_currency_is_unknown(kind: type[Kit], value: Any) -> None:
    """It may be one in what was bought; the market's rate counts."""
    kit = kind()
    placed = kit.book.place("Bid", "Limit", D(140), D("0.3"), 5)
    kit.book._fill(placed, D(140), D("0.3"), maker=True)
    kit.book.fills[0].fee = D("0.00003")
    kit.spoilt["executions"] = partial(lacking, names=("feeSymbol", "commissionAsset"), value=value)
    [fill] = kit.adapter.fills(kit.now - 60)
    assert isinstance(fill, Fill)
    assert (fill.fee_currency, fill.fee > D("0.003")) == (kit.quote, True)
