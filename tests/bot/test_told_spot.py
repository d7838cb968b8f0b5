"""Counter orders on a word of a spot purchase, and of `standard`: before the look, and safe beside lies."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.model.condition import Code
from gridbot.model.types import ZERO, Market, Order, OrderRequest, Side, SpotCoins
from gridbot.strategies.grid import Grid, counter_orders
from gridbot.trading.position_watch import LOOK_EVERY_S, RECENT_S
from gridbot.trading.told_orders import BELIEVED_FOR_S, STALE_S
from tests import cases
from tests.bot import sockets
from tests.bot.kits.backpack import Backpack, BackpackSpot
from tests.bot.kits.kit import Kit, Run, running
from tests.bot.test_told_orders import MOST, Teller, react, resting, word_of
from tests.bot.test_told_orders_kits import Asked, told_step
from tests.bot.worlds import SPOT, order_of
from tests.fake_exchange.book import BookOrder

D = Decimal
SPOT_KITS = (BackpackSpot, sockets.AsterSpotSocket.kit)
each_spot = pytest.mark.parametrize("kind", SPOT_KITS)


@pytest.fixture(autouse=True)
def _has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bot.kits.kit.MAX_POSITION", MOST)


def begun(kind: type[Kit], folder: Path, coins: str = "0") -> tuple[Kit, Run]:
    """Return a bot that has bought and sold once, so that it knows the fee, beside others' coins."""
    kit = kind()
    kit.book.balance, kit.book.covered = D(coins), True
    run = running(kit, folder)
    for price in (149, 150):
        kit.book.move(D(price))
        run.tick()
    run.tick(LOOK_EVERY_S)
    assert (run.store.ledger.position, resting(kit, 149).side) == (D(0), "Bid")
    return kit, run


@each_spot
def test_what_is_told_to_be_bought_is_sold_before_the_look(kind: type[Kit], tmp_path: Path) -> None:
    kit, run = begun(kind, tmp_path)
    asked = Asked(kit)
    kit.book.move(D(149))
    react(run, word_of(resting_or_filled(kit, 149)))
    assert asked.made[:2] == ["order", "look"]
    assert resting(kit, 150).side == "Ask"
    run.tick()
    assert (run.store.ledger.position, run.engine.condition().code) == (D("0.1"), Code.TRADING)
    run.end()


def resting_or_filled(kit: Kit, price: int) -> BookOrder:
    return next(one for one in reversed(kit.book.orders.values()) if one.price == price and not one.foreign)


@each_spot
def test_a_lie_sells_nothing_as_nothing_is_there(kind: type[Kit], tmp_path: Path) -> None:
    kit, run = begun(kind, tmp_path)
    asked = Asked(kit)
    react(run, word_of(resting(kit, 149), D("0.1")))
    assert asked.made[:2] == ["order", "look"]
    assert [one for one in kit.book.own_open() if one.side == "Ask"] == [], "the exchange has refused it"
    assert (run.engine._refusals.is_active, run.engine._placing.count_refused()) == (False, 0)
    run.tick(STALE_S + 0.5)
    run.tick()
    assert (run.store.ledger.position, run.engine.condition().code) == (D(0), Code.TRADING)
    run.end()


@each_spot
def test_beside_others_coins_the_look_comes_first(kind: type[Kit], tmp_path: Path) -> None:
    """There the exchange would not refuse what is not true, and sell what is theirs."""
    kit, run = begun(kind, tmp_path, coins="3")
    asked = Asked(kit)
    react(run, word_of(resting(kit, 149), D("0.1")))
    assert "order" not in asked.made
    kit.book.move(D(149))
    asked.made.clear()
    react(run, word_of(resting_or_filled(kit, 149)))
    assert asked.made[:2] == ["look", "order"]
    run.end()


@each_spot
def test_a_sale_that_is_listed_late_hides_nobodys_coins(kind: type[Kit], tmp_path: Path) -> None:
    """The balance tells of it first: for one look the account seems to hold no more than the bot."""
    kit, run = begun(kind, tmp_path, coins="0.1")
    kit.book.balance = D(0)
    run.tick(LOOK_EVERY_S)
    kit.book.balance = D("0.1")
    asked = Asked(kit)
    react(run, word_of(resting(kit, 149), D("0.1")))
    assert "order" not in asked.made
    assert [one for one in kit.book.own_open() if one.side == "Ask"] == []
    run.end()


def test_a_look_that_is_old_is_no_proof_that_nothing_was_paid_in(tmp_path: Path) -> None:
    kit, run = begun(BackpackSpot, tmp_path)
    kit.now += RECENT_S
    assert run.engine._watch.coins(kit.now) is not None
    kit.now += 1
    kit.book.balance = D(3)
    asked = Asked(kit)
    react(run, word_of(resting(kit, 149), D("0.1")))
    assert "order" not in asked.made
    run.end()


def test_before_its_first_purchase_a_bot_looks_first_as_its_fee_is_not_known(tmp_path: Path) -> None:
    kit = BackpackSpot()
    run, bought = running(kit, tmp_path), resting(kit, 149)
    asked = Asked(kit)
    kit.book.move(D(149))
    react(run, word_of(bought))
    assert asked.made[:2] == ["look", "order"]
    run.end()


SHORT_OF = (
    # free beside the sell orders, others' coins, kept share, what is sold at once
    ("0", "0", "1", "0.1"),
    ("0", "0", "0.999", "0.09"),  # less the fee, on the lot
    ("0", "0.09", "1", "0.1"),
    ("0", "0.1", "1", None),
    ("-0.1", "0.19", "1", None),  # beside a sale of what was told before
    ("-0.1", "0", "1", None),
    ("0.05", "0.04", "1", "0.1"),
    ("0.05", "0.05", "1", None),
    ("0.1", "7", "1", "0.1"),  # it is the bot's own, whatever is true
)


@pytest.mark.parametrize(("free", "beyond", "kept", "qty"), SHORT_OF)
def test_a_sale_that_is_sent_first_is_the_bots_own_or_is_refused(
    free: str, beyond: str, kept: str, qty: str | None
) -> None:
    grid = Grid((D(148), D(149), D(150), D(151)), 3, D("0.1"), D(2))
    market: Market = SPOT
    entry = order_of(OrderRequest("L1", Side.BUY, D(149), D("0.1"), 1, post_only=True), 1)
    held = D("0.5")
    other = order_of(OrderRequest("L9", Side.SELL, D(160), held - D(free), 9), 2)
    live: list[Order] = [entry, other]
    wanted = counter_orders(grid, market, {}, live, held, entry, D("0.1"), (), SpotCoins(D(beyond), D(kept)))
    assert [(one.side, one.price, one.qty) for one in wanted] == (
        [] if qty is None else [(Side.SELL, D(150), D(qty))]
    )


# standard


def quoting(kit: Kit, folder: Path, *more: str) -> Run:
    words = ["--exchange", kit.name, "--symbol", kit.symbol, "--strategy", "standard", "--spread", "1"]
    words += [
        "--quantity",
        "0.1",
        "--max-orders",
        "2",
        "--market-type",
        "perp" if kit.perp else "spot",
        *more,
    ]
    kit.settings = args.parse(
        [*words, *more], {"TRADING_MODE": "live", "GRIDBOT_OTHERS_POSITION": "0", "DB_PATH": "-"}
    )
    kit.book.covered = not kit.perp
    return running(kit, folder)


def quoted(kit: Kit, side: str) -> list[BookOrder]:
    orders = [order for order in kit.book.own_open() if order.side == side]
    return sorted(orders, key=lambda order: order.price or ZERO, reverse=side == "Bid")


PERPS = (Backpack, sockets.AsterSocket.kit, sockets.ParadexSocket.kit, sockets.LighterSocket.kit)


@pytest.mark.parametrize("kind", [*PERPS, BackpackSpot])
def test_a_quote_that_is_told_to_be_filled_is_quoted_anew_before_the_look(
    kind: type[Kit], tmp_path: Path
) -> None:
    kit = kind()
    run = quoting(kit, tmp_path)
    best, asked = quoted(kit, "Bid")[0], Asked(kit)
    assert best.price is not None
    kit.book.move(best.price)
    react(run, word_of(best))
    assert asked.made[:2] == ["order", "look"]
    for _ in range(3):
        run.tick()
    prices = [order.price for order in kit.book.own_open()]
    assert len(prices) == len(set(prices)) == (4 if kit.perp else 3)
    assert run.store.ledger.position == D("0.1")
    # Told again in the same place: the two slots take turns.
    best = quoted(kit, "Bid")[0]
    assert best.price is not None
    kit.book.move(best.price)
    asked.made.clear()
    react(run, word_of(best))
    assert asked.made[:2] == ["order", "look"]
    run.tick()
    assert run.engine.condition().code == Code.TRADING
    run.end()


@each_spot
def test_after_the_last_sale_the_next_bid_is_sent_before_the_look(kind: type[Kit], tmp_path: Path) -> None:
    """Nothing is left to sell, and the bids would wait for the look and for their cancellation."""
    kit = kind()
    run = quoting(kit, tmp_path)
    kit.book.move(quoted(kit, "Bid")[0].price or ZERO)
    run.tick()
    run.tick()
    [ask], asked = quoted(kit, "Ask"), Asked(kit)
    assert ask.price is not None
    kit.book.move(ask.price)
    react(run, word_of(ask))
    assert asked.made[:2] == ["order", "look"]
    run.tick()
    settled = {order.price for order in kit.book.own_open()}
    assert (len(settled), quoted(kit, "Ask"), run.store.ledger.position) == (2, [], D(0))
    asked.made.clear()
    run.tick()
    assert {order.price for order in kit.book.own_open()} == settled, "these are the quotes of that price"
    assert not {"order", "cancel"} & set(asked.made)
    assert run.engine.condition().code == Code.TRADING
    run.end()


@each_spot
@pytest.mark.parametrize("most", ["0.4", "0.3"])
def test_a_lie_of_a_sale_sells_nothing_and_buys_within_the_most(
    kind: type[Kit], most: str, tmp_path: Path
) -> None:
    kit = kind()
    run = quoting(kit, tmp_path, "--max-position", most)
    kit.book.move(quoted(kit, "Bid")[0].price or ZERO)
    run.tick()
    run.tick()
    [ask], asked = quoted(kit, "Ask"), Asked(kit)
    react(run, word_of(ask, D("0.1")))
    # What is held and three bids are 0.4: with less the look comes first, and finds nothing.
    assert (asked.made[:1] == ["order"]) is (most == "0.4")
    assert kit.book.position() + sum(order.qty for order in quoted(kit, "Bid")) <= D(most)
    assert quoted(kit, "Ask") == [ask]
    # The bid is filled before it is taken back: so much is bought, and no more than the most.
    kit.book.move(quoted(kit, "Bid")[0].price or ZERO)
    for seconds in (STALE_S + 0.5, 1.0, 1.0, 1.0):
        run.tick(seconds)
        assert 0 <= kit.book.position() <= D(most)
    assert run.store.ledger.position == kit.book.position() == D("0.2")
    assert run.engine.condition().code == Code.TRADING
    run.end()


@pytest.mark.parametrize("most", ["0.5", "0.2"])
def test_a_quote_for_a_lie_has_room_beside_all_and_is_taken_back(tmp_path: Path, most: str) -> None:
    kit = Backpack()
    run = quoting(kit, tmp_path, "--max-position", most)
    before = {order.price for order in kit.book.own_open()}
    asked = Asked(kit)
    react(run, word_of(quoted(kit, "Bid")[0], D("0.1")))
    bids = sum(order.qty for order in quoted(kit, "Bid"))
    assert bids <= D(most)
    # Without room for one more the look comes first, and finds nothing.
    assert (asked.made[:1] == ["order"]) is (most == "0.5")
    run.tick(STALE_S + 0.5)
    run.tick()
    run.tick()
    assert {order.price for order in kit.book.own_open()} == before
    assert run.engine.condition().code == Code.TRADING
    run.end()


def test_a_part_is_no_reason_to_quote_anew(tmp_path: Path) -> None:
    kit = Backpack(lot=D("0.01"))
    run = quoting(kit, tmp_path)
    best, asked = quoted(kit, "Bid")[0], Asked(kit)
    react(run, word_of(best, D("0.04")))
    assert asked.made[:1] == ["look"]
    run.end()


FAULTS = (None, "late fills", "answer lost", "request lost", "rejected", "partial fills")
LIARS = (Backpack, BackpackSpot, sockets.AsterSpotSocket.kit, sockets.LighterSocket.kit)


@pytest.mark.parametrize("fault", FAULTS if cases.is_long else [None])
@pytest.mark.parametrize("is_standard", [True, False])
@pytest.mark.parametrize("kind", LIARS if cases.is_long else LIARS[:2])
def test_account_and_ledger_agree_beside_a_socket_that_lies(
    kind: type[Kit], fault: str | None, tmp_path: Path, *, is_standard: bool
) -> None:
    """And a bot that is killed now and then. On spot nothing is sold that it has not bought."""
    sent, lies = 0, 0
    for seed in range(6 if cases.is_long else 1):
        kit = kind(seed, lot=D("0.01") if fault == "partial fills" else D("0.1"))
        kit.fault = fault
        kit.book.partial_fills = 0.7 if fault == "partial fills" else 0.0
        kit.book.covered = not kit.perp
        chance, folder = random.Random(seed), tmp_path / str(seed)
        if is_standard:
            most = chance.choice(["0.3", "1.2"])
            run = quoting(kit, folder, "--max-position", most)
        else:
            most, run = str(MOST), running(kit, folder)
        kit.killed = 0.03
        teller, asked, price = Teller(run, seed), Asked(kit), D(150)
        for _ in range(80 if cases.is_long else 40):
            price, is_answered = told_step(run, teller, asked, price)
            sent += is_answered
            assert abs(kit.book.position()) <= D(most)
            assert kit.perp or kit.book.position() >= 0, "what is not there was sold"
        lies += teller.lies
        kit.killed = 0.0
        run.tick(BELIEVED_FOR_S)
        run.end()
    assert min(sent, lies) > 0
