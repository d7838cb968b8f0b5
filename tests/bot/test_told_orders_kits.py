"""Counter orders on the word of every exchange's websocket, in its own shapes, through ccxt's own class."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.exchanges.stream import FillStream, _next_updates
from gridbot.exchanges.told_fills import READERS, may_be_fill, told_fill
from gridbot.model.condition import Code
from gridbot.model.types import Side, ToldFill
from gridbot.trading.told_orders import BELIEVED_FOR_S, STALE_S
from tests import cases
from tests.bot import sockets
from tests.bot.kits.backpack import BackpackSpot
from tests.bot.kits.kit import TICK_S, KilledError, Kit, Run, running
from tests.bot.sockets import SOLD, Dialect
from tests.bot.test_told_orders import FINE_LOT, MOST, Teller, react, resting, word_of

D = Decimal
PERPS = (sockets.AsterSocket, sockets.ParadexSocket, sockets.LighterSocket, sockets.ApexSocket)
DIALECTS = (*PERPS, sockets.AsterSpotSocket)
each_socket = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
each_perp = pytest.mark.parametrize("dialect", PERPS, ids=lambda dialect: dialect.__name__)
# Where the row of the order, or of its execution, lies in the message.
ROWS: dict[type[Dialect], Callable[[Any], dict[str, Any]]] = {
    sockets.AsterSocket: lambda message: message["o"],
    sockets.AsterSpotSocket: lambda message: message,
    sockets.ParadexSocket: lambda message: message["params"]["data"],
    sockets.LighterSocket: lambda message: message["trades"]["2"][0],
    sockets.ApexSocket: lambda message: message["contents"]["orders"][0],
}
# What such a row has to say: without one of these it is no word.
NEEDED: dict[type[Dialect], tuple[str, ...]] = {
    sockets.AsterSocket: ("i", "c", "S", "o", "q", "p", "x", "X", "z"),
    sockets.AsterSpotSocket: ("i", "c", "S", "o", "q", "p", "x", "X", "z"),
    sockets.ParadexSocket: (
        *("order_id", "client_id", "price", "size", "remaining_size", "liquidity", "fill_type"),
    ),
    sockets.LighterSocket: (
        *("type", "size", "price", "ask_id", "ask_client_id", "ask_account_id", "is_maker_ask"),
    ),
    sockets.ApexSocket: (
        *("id", "clientOrderId", "side", "price", "size", "cumSuccessFillSize", "status", "type"),
    ),
}


@pytest.fixture(autouse=True)
def _has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bot.kits.kit.MAX_POSITION", MOST)


def heard(dialect: type[Dialect], message: Any) -> list[Any]:
    """Return the updates that ccxt's own class makes of a message."""
    kit = dialect.kit()
    stream = FillStream(kit.name, kit.keys, "", lambda: None, {})
    client = stream.client(kit.api.markets)
    resolved = SimpleNamespace(
        url=f"wss://x{dialect.path}", futures={}, subscriptions={}, resolve=lambda *_: None
    )
    client.handle_message(resolved, message)
    return [*(client.myTrades or []), *(client.orders or [] if kit.name == "apex" else [])]


def words(dialect: type[Dialect], message: Any) -> list[ToldFill]:
    kit = dialect.kit()
    told = (told_fill(kit.name, one, kit.adapter.market_symbol) for one in heard(dialect, message))
    return [word for word in told if word is not None]


def _known(dialect: type[Dialect], word: ToldFill) -> ToldFill:
    return replace(word, side=None) if dialect is sockets.ParadexSocket else word


@each_socket
@pytest.mark.parametrize("side", Side)
def test_a_whole_fill_is_read_with_all_that_tells_the_order(dialect: type[Dialect], side: Side) -> None:
    word = replace(SOLD, side=side)
    message = dialect().fill(word)
    assert words(dialect, message) == [_known(dialect, word)]
    assert any(may_be_fill(dialect.kit.name, one) for one in heard(dialect, dialect().fill(word)))


@each_socket
def test_a_first_part_is_told_as_one_or_not_at_all(dialect: type[Dialect]) -> None:
    part = replace(SOLD, filled=D("0.04"))
    told = words(dialect, dialect().fill(part))
    if dialect is sockets.LighterSocket:  # as that of an order of 0.04, which is none of this bot's
        assert told == [replace(part, qty=D("0.04"))]
    else:
        assert told == [_known(dialect, part)]


@each_socket
@pytest.mark.parametrize("value", [None, "", "x", "NaN", "-1", True, [], {}], ids=repr)
def test_a_row_in_which_one_value_is_none_is_no_word(dialect: type[Dialect], value: Any) -> None:
    read = READERS[dialect.kit.name]
    heard_rows = [one["info"] for one in heard(dialect, dialect().fill())]
    row = next(one for one in heard_rows if read(one) is not None)
    for key in NEEDED[dialect]:
        if key in ("i", "id", "order_id", "ask_id") and value in ("x", "NaN", "-1"):
            continue  # the exchange's own id may be any text
        if row[key] is value:
            continue
        assert read({**row, key: value}) is None, key
        assert read({name: one for name, one in row.items() if name != key}) is None, key


def test_what_contradicts_itself_or_is_no_fill_of_a_resting_order_is_no_word() -> None:
    changes: dict[type[Dialect], tuple[dict[str, Any], ...]] = {
        sockets.AsterSocket: ({"x": "NEW"}, {"X": "PARTIALLY_FILLED"}, {"z": "0.2"}, {"o": "LIQUIDATION"}),
        sockets.ParadexSocket: (
            *({"liquidity": "TAKER"}, {"fill_type": "LIQUIDATION"}, {"remaining_size": "-0.1"}),
        ),
        sockets.LighterSocket: (
            *({"type": "liquidation"}, {"is_maker_ask": False}, {"bid_account_id": 1077}),
            {"ask_account_id": 5},
        ),
        sockets.ApexSocket: (
            *({"status": "PENDING"}, {"status": "CANCELED"}, {"cumSuccessFillSize": "0"}),
            *({"cumSuccessFillSize": "0.05"}, {"type": "STOP_LIMIT"}, {"cumMatchFillSize": "0.2"}),
        ),
    }
    for dialect, wrong in changes.items():
        read = READERS[dialect.kit.name]
        row = next(one["info"] for one in heard(dialect, dialect().fill()) if read(one["info"]))
        assert [read({**row, **change}) for change in wrong] == [None] * len(wrong), dialect


def test_the_echo_of_apexs_own_orders_wakes_nobody() -> None:
    message = sockets.ApexSocket().fill()
    message["contents"].pop("fills")
    message["contents"]["orders"][0] |= {"cumSuccessFillSize": "0", "status": "OPEN"}
    assert [may_be_fill("apex", one) for one in heard(sockets.ApexSocket, message)] == [False]


@pytest.mark.parametrize("is_fill", [True, False])
def test_apexs_orders_are_read_beside_its_fills_and_alone(*, is_fill: bool) -> None:
    """What an echo comes with is no fill of before, which would wake the loop again."""
    kit = sockets.ApexSocket.kit()
    client = FillStream(kit.name, kit.keys, "", lambda: None, {}).client(kit.api.markets)
    there = SimpleNamespace(url="", futures={}, subscriptions={}, resolve=lambda *_: None)
    client.handle_message(there, sockets.ApexSocket().fill())

    async def ready(*_args: Any) -> Any:
        return client.myTrades if is_fill else client.orders

    client.authenticate = client.watch_topics = ready
    updates = asyncio.run(_next_updates(kit.name, client, kit.adapter.market_symbol))
    assert ["orderId" in update["info"] for update in updates] == ([True, False] if is_fill else [False])


class Asked:
    """Whether orders were sent, and anything was asked, in which order."""

    def __init__(self, kit: Kit) -> None:
        self._kit, self._carry_out = kit, kit.api.fetch
        self.made = list[str]()
        kit.api.fetch = self._fetch

    def _fetch(self, url: tuple[str, dict[str, Any]], method: str = "GET", *rest: Any) -> Any:
        is_write = self._kit.is_write(url[0], method)
        kind = "cancel" if self._kit.is_cancel(*url, method) else "order"
        self.made.append(kind if is_write else "look")
        return self._carry_out(url, method, *rest)


def spoken(dialect: type[Dialect], word: ToldFill) -> ToldFill:
    """Return what the bot understands of the message that tells of `word`."""
    [understood] = words(dialect, dialect().fill(word))
    return understood


@each_perp
def test_a_clear_word_is_answered_before_the_look(dialect: type[Dialect], tmp_path: Path) -> None:
    kit = dialect.kit()
    run, bought = running(kit, tmp_path), resting(kit, 149)
    asked = Asked(kit)
    kit.book.move(D(149))
    react(run, spoken(dialect, word_of(bought)))
    assert asked.made[:2] == ["order", "look"]
    assert resting(kit, 150).side == "Ask"
    run.tick(1.0)
    sold = resting(kit, 150)
    asked.made.clear()
    kit.book.move(D(150))
    react(run, spoken(dialect, word_of(sold)))
    assert asked.made[:2] == ["order", "look"]
    run.tick(1.0)
    assert (resting(kit, 149).side, run.store.ledger.position) == ("Bid", D(0))
    assert (run.failures, run.engine.awaits_proof) == ([], False)
    run.end()


@each_perp
def test_a_word_that_is_not_true_is_taken_back(dialect: type[Dialect], tmp_path: Path) -> None:
    kit = dialect.kit()
    run, order = running(kit, tmp_path), resting(kit, 149)
    react(run, spoken(dialect, word_of(order, D("0.1"))))
    lie = resting(kit, 150)
    assert lie.side == "Ask"
    run.tick(STALE_S + 0.5)
    assert not lie.open
    assert run.engine.condition().code == Code.LEDGER_DIFFERS
    run.tick(1.0)
    run.tick(1.0)
    assert run.engine.condition().code == Code.TRADING
    run.end()


@pytest.mark.parametrize("dialect", [sockets.LighterSocket, sockets.ParadexSocket])
def test_one_that_is_accepted_first_and_then_refused_counts_as_not_sent(
    dialect: type[Dialect], tmp_path: Path
) -> None:
    kit = dialect.kit()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.book.price = D("150.9")  # where it would take
    react(run, spoken(dialect, word_of(order, D("0.1"))))
    run.tick(1.0)
    run.tick(1.0)
    assert kit.book.fills == []
    assert (run.engine._placing._backoff, run.engine._placing.refusals.is_active) == ({}, False)
    assert run.engine._placing._on_word == set()
    kinds = {row["kind"] for row in run.store._db.execute("SELECT kind FROM errors")}
    assert kinds == {"ledger_differs"}, "that the word was not true"
    kit.book._fill(order, D(149), D("0.1"), maker=True)
    run.tick(1.0)
    assert len(kit.book.fills) == 2, "it is sold without a pause, and may take"
    run.end()


def test_an_order_that_is_accepted_without_an_id_keeps_its_cause(tmp_path: Path) -> None:
    """Else nothing would take it back, in this process or in the next one."""
    kit = sockets.LighterSocket.kit()
    run, order = running(kit, tmp_path), resting(kit, 149)
    kit.spoilt["orders"] = lambda answer: answer | {"orders": None}
    react(run, spoken(sockets.LighterSocket, word_of(order, D("0.1"))))
    sent = next(one for one in run.store.live_orders() if one.price == D(150))
    assert (run.store.accepted(), sent.exchange_id) == ({sent.client_id}, None)
    assert run.store.told_causes() == {sent.client_id: (order.client_id, D("0.1"))}
    run.store.close()
    run.start()
    assert run.engine._reconciler._accepted == {sent.client_id}
    del kit.spoilt["orders"]
    for _ in range(3):
        run.tick(STALE_S)
    assert [one for one in kit.book.own_open() if one.price == D(150)] == []
    run.end()


@pytest.mark.parametrize("kind", [BackpackSpot, sockets.AsterSpotSocket.kit])
@pytest.mark.parametrize("is_true", [True, False])
def test_on_a_spot_market_only_a_purchase_comes_before_the_look(
    kind: type[Kit], tmp_path: Path, *, is_true: bool
) -> None:
    """A sale that nothing was bought for would sell what is another's, where the account holds any."""
    kit = kind()
    kit.book.balance = D(3)
    run, bought = running(kit, tmp_path), resting(kit, 149)
    asked = Asked(kit)
    kit.book.move(D(149))
    react(run, word_of(bought))
    assert asked.made[:2] == ["look", "order"]
    sold = resting(kit, 150)
    asked.made.clear()
    if is_true:
        kit.book.move(D(150))
    react(run, word_of(sold, D("0.1")))
    assert asked.made[:2] == ["order", "look"]
    back = resting(kit, 149)
    assert back.side == "Bid"
    run.tick(STALE_S + 0.5)
    assert back.open is is_true
    run.tick()
    assert run.store.ledger.position == kit.book.position() == (0 if is_true else D("0.1"))
    run.end()


def test_what_is_free_of_a_spot_markets_orders_is_sold_before_the_look(tmp_path: Path) -> None:
    """As after a sell order that a person has cancelled: what is sold is this bot's, whatever is true."""
    kit = BackpackSpot()
    run = running(kit, tmp_path)
    kit.book.move(D(149))
    run.tick()
    kit.book.cancel(resting(kit, 150).id)
    run.engine._placing.place = lambda *_: []  # type: ignore[method-assign]
    run.tick()
    del run.engine._placing.place
    lower = resting(kit, 148)
    kit.book.move(D(148))
    asked = Asked(kit)
    react(run, word_of(lower))
    assert asked.made[:2] == ["order", "look"]
    run.tick()
    run.end()


KITS = (*(dialect.kit for dialect in DIALECTS), BackpackSpot)
SHORT = (sockets.LighterSocket.kit, BackpackSpot)
FAULTS = (None, "partial fills", "late fills", "answer lost", "request lost", "rejected", "out of order")


def told_step(run: Run, teller: Teller, asked: Asked, price: Decimal) -> tuple[Decimal, bool]:
    """Move the price, and have the bot told and tick; one that is killed starts again.

    Return the new price, and whether an order was the first that the bot sent on the word.
    """
    kit, is_answered = run.kit, False
    price += D(kit.random.choice([-100, -50, 0, 50, 100])) / 100
    price = min(max(price, D(142)), D(158))
    kit.book.move(price)
    try:
        run.engine._told.is_distrusted = False  # else the first lie would be the last word
        asked.made.clear()
        react(run, *teller.speak())
        is_answered = asked.made[:1] == ["order"]
        assert kit.perp or kit.book.position() >= 0, "another's was sold"
        run.tick(kit.random.choice([0.5, 1.0, TICK_S]))
    except KilledError:
        run.store.close()
        run.start()
    return price, is_answered


@pytest.mark.parametrize("fault", FAULTS if cases.is_long else ["answer lost"])
@pytest.mark.parametrize("kind", KITS if cases.is_long else SHORT)
def test_account_and_ledger_agree_beside_a_socket_that_lies(
    kind: type[Kit], fault: str | None, tmp_path: Path
) -> None:
    """And a bot that is killed now and then."""
    sent, seeds = 0, range(5 if cases.is_long else 1)
    for seed in seeds:
        kit = kind(seed, lot=FINE_LOT if fault == "partial fills" else D("0.1"))
        kit.fault, kit.killed = fault, 0.03
        kit.book.partial_fills = 0.7 if fault == "partial fills" else 0.0
        kit.book.balance = D(0) if kit.perp else D(3)
        run = Run(kit, tmp_path / str(seed))
        teller, asked, price = Teller(run, seed), Asked(kit), D(150)
        for _ in range(80 if cases.is_long else 40):
            price, is_answered = told_step(run, teller, asked, price)
            sent += is_answered
        assert min(teller.lies, len(kit.book.fills)) > 0
        kit.killed = 0.0
        run.tick(BELIEVED_FOR_S)
        run.end()
    assert sent > 0 or len(seeds) == 1, "no order was sent on a word"
