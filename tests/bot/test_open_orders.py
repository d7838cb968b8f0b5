"""open_orders.py: what is open at the exchange, this record's apart from others', and never a guess."""

from __future__ import annotations

import json
import os
import subprocess
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.cli import open_orders as orders
from gridbot.config.args import parse
from gridbot.exchanges.price_sources import assumed_market
from gridbot.model.errors import DatabaseError, RefusedError, UnreachableError
from gridbot.model.types import ExchangeOrder, Market, OrderRequest, Side
from gridbot.store.ledger import Ledger
from gridbot.store.store import Store
from manager.fleet import asking_messages
from tests.bot.bots import GRID, BotFactory, run_program
from tests.bot.test_live import FAST, fake, live, settled
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

ENV = {"TRADING_MODE": "live", "BACKPACK_KEY": "k", "BACKPACK_SECRET": "s"}


class Listing:
    """An exchange of which only the open orders are asked; each call gives the next list."""

    name = "backpack"
    settle_s = 8.0
    clock_ahead = 0.0

    def __init__(self, *lists: list[ExchangeOrder], holds: Decimal | None = None) -> None:
        self.lists, self.holds = list(lists), holds

    def shorten_timeouts(self) -> None: ...

    def open_orders(self) -> list[ExchangeOrder]:
        return self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]

    def market(self) -> Market:
        return assumed_market(parse(GRID, {}))

    def position(self) -> Decimal:
        if self.holds is None:
            raise UnreachableError("502")
        return self.holds


def there(number: int, client_id: int | None, price: str = "144") -> ExchangeOrder:
    return ExchangeOrder(str(number), client_id, Side.BUY, Decimal(price), Decimal(1), Decimal(0), open=True)


def ask(path: Path, *lists: list[ExchangeOrder]) -> tuple[dict[str, Any], list[float]]:
    slept: list[float] = []
    settings = parse(GRID, {**ENV, "DB_PATH": str(path)})
    answer = orders.query_open_orders(settings, Listing(*lists), slept.append)  # type: ignore[arg-type]
    return answer, slept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.db"


def record(path: Path, identity: str = "backpack SOL_USDC_PERP perp live", *, sent_at: float = 0.0) -> int:
    """A record of one order that was sent and never answered; its client id."""
    store = Store(path, durable=False)
    store.begin_run(identity, "live", {}, Ledger())
    order = store.new_order(OrderRequest("1", Side.BUY, Decimal(144), Decimal(1)), sent_at)
    store.close()
    return order.client_id


def run(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    own = {"PATH": os.environ["PATH"], "DB_PATH": str(folder / "bot.db")}
    return run_program("open_orders.py", GRID, {**own, **env})


def test_a_killed_bots_orders_are_told_apart_from_others(
    start_bot: BotFactory, fake: FakeExchange, tmp_path: Path
) -> None:
    fake.book.place("Bid", "Limit", Decimal(141), Decimal(1), 7, foreign=True)
    bot = live(start_bot, fake)
    settled(bot, fake)
    bot.kill()
    before = (tmp_path / "bot.db").read_bytes()
    asked = len(fake.requests)
    done = run(tmp_path, TRADING_MODE="live", **fake.env | FAST)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["open_orders"], answer["others"]) == (6, 1)
    assert (answer["position"], answer["base"]) == ("0", "SOL")
    assert {"144", "156"} <= {order["price"] for order in answer["orders"]}
    assert {method for method, _path in fake.requests[asked:]} == {"GET"}
    assert (tmp_path / "bot.db").read_bytes() == before
    again = live(start_bot, fake)
    settled(again, fake)
    assert again.stop() == 0
    assert json.loads(run(tmp_path, TRADING_MODE="live", **fake.env | FAST).stdout)["open_orders"] == 0


def test_no_answer_and_paper_mode_are_no_number(fake: FakeExchange, tmp_path: Path) -> None:
    fake.faults.down = True
    done = run(tmp_path, TRADING_MODE="live", **fake.env | FAST)
    told = json.loads(done.stdout)
    assert (done.returncode, told.keys()) == (1, {"code", "params"})
    assert (told["params"]["cause"], told["params"]["exchange"]) == ("unreachable", "backpack")
    why = asking_messages.why_not(done.stdout)
    words = told["params"]["error"]
    text = "backpack does not say which orders are open: the exchange does not answer"
    assert str(why) == f"{text} ({words})"
    assert "backpack does not say which orders are open" in done.stderr
    paper = run(tmp_path)
    assert paper.returncode == 2
    assert f"{asking_messages.why_not(paper.stdout)}\n" == paper.stderr


def test_an_order_that_was_sent_last_is_waited_for(path: Path) -> None:
    client_id = record(path, sent_at=time.time())
    answer, (slept,) = ask(path, [], [there(1, client_id)])
    assert answer["open_orders"] == 1
    assert 7 < slept <= 8
    assert ask(path, [there(2, client_id, "145")])[0] == {"open_orders": 0, "others": 1, "orders": []}


@pytest.mark.parametrize(("qty", "filled"), [(Decimal(1), None), (None, Decimal(0)), (None, None)])
def test_a_quantity_that_the_exchange_does_not_say_is_null(
    path: Path, qty: Decimal | None, filled: Decimal | None
) -> None:
    order = ExchangeOrder("1", record(path), Side.BUY, Decimal(144), qty, filled, open=True)
    answer, _ = ask(path, [order])
    assert answer["orders"] == [{"id": "1", "side": "buy", "price": "144", "quantity": None}]


def test_the_position_is_the_exchanges_without_what_others_hold(path: Path) -> None:
    record(path)
    store = Store(path, durable=False)
    assert store.last_run() is not None
    store.set_fact("others_position", "10")
    store.close()
    settings = parse(GRID, {**ENV, "DB_PATH": str(path)})
    listing: Any = Listing([], holds=Decimal("9.4"))
    answer = orders.query_open_orders(settings, listing, lambda _pause: None)
    assert (answer["position"], answer["base"]) == ("-0.6", "SOL")


@pytest.mark.parametrize(("word", "age", "position"), [("10", 1, "0"), ("9.4", 1, None), ("10", 300, None)])
def test_beside_other_bots_the_account_confirms_the_record_or_says_nothing(
    path: Path, word: str, age: float, position: str | None
) -> None:
    """What the others hold is older than the account's position: their orders may have been filled since."""
    record(path)
    others = path.with_name("others.json")
    others.write_text(json.dumps({"schema": 1, "position": word, "at": time.time() - age}))
    settings = parse(GRID, {**ENV, "DB_PATH": str(path), "BOTFLEET_OTHERS": str(others)})
    listing: Any = Listing([], holds=Decimal(10))
    answer = orders.query_open_orders(settings, listing, lambda _pause: None)
    assert (answer["open_orders"], answer.get("position")) == (0, position)


def test_a_position_that_nobody_says_keeps_the_orders_from_no_one(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(path)
    assert "position" not in ask(path, [])[0]
    assert "backpack does not say what position is left: 502" in capsys.readouterr().err


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_broken_or_lost_record_matters_only_where_orders_are_open(path: Path, is_lost: bool) -> None:
    if not is_lost:
        path.write_text("no database" * 1000)
    assert ask(path, [])[0]["open_orders"] == 0
    with pytest.raises(DatabaseError, match="1 orders are open on SOL_USDC_PERP; whose they are"):
        ask(path, [there(1, None)])


def test_a_market_of_an_earlier_run_is_not_taken_for_asked(path: Path) -> None:
    record(path, "backpack ETH_USDC_PERP perp live")
    with pytest.raises(RefusedError, match="ETH_USDC_PERP perp live, which is not asked"):
        ask(path, [])
