"""A record goes on with other keys: nothing is traded until the account is seen to be the same one."""

from __future__ import annotations

import itertools
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import ClassVar, NoReturn

import pytest

from gridbot.config import args
from gridbot.model.condition import Code
from gridbot.model.errors import UnreachableError
from gridbot.store.ledger import Ledger, opening_ledger
from gridbot.store.store import Store
from gridbot.trading import other_keys
from gridbot.trading.others_part import OTHERS
from gridbot.trading.position_watch import LOOK_EVERY_S, SECOND_LOOK_S
from tests.bot.bots import Bot
from tests.bot.test_live import FAST, MESH, fake
from tests.bot.test_position_watch import LINE, LIVE, Bench
from tests.bot.worlds import SPOT
from tests.fake_exchange.book import Book
from tests.fake_exchange.server import FakeExchange

__all__ = ["fake"]

D = Decimal


class Resumed(Bench):
    """A bot that goes on with a position of 0.8, less than one order, and other keys than before."""

    ledger = opening_ledger(D("0.8"), D(121))
    stored: ClassVar[dict[str, str]] = {other_keys.UNPROVEN: "1"}

    def facts(self) -> dict[str, str]:
        return dict(self.stored)


def holding(store: Store, amount: str) -> Resumed:
    bench = Resumed(store)
    bench.account.own = D(amount)
    return bench


def test_another_account_gets_no_order_of_what_the_first_one_holds(store: Store) -> None:
    bench = holding(store, "0")
    bench.tick()
    bench.account.own = D(0)
    assert bench.account.placed == [], "not even before the second look"
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS
    assert "they may be another account's" in str(bench.engine.condition().reason)
    bench.account.own = D(0)
    bench.tick(LOOK_EVERY_S)
    assert (bench.account.placed, other_keys.is_unproven(store)) == ([], True)
    bench.account.own = D("0.8")  # the first account's keys again
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING
    assert bench.account.placed
    assert not other_keys.is_unproven(store)


@pytest.mark.parametrize("held", ["0.8", "1.1"])
def test_a_new_key_of_the_same_account_trades_at_once(store: Store, held: str) -> None:
    """What others hold there, too, up to half of the position, is as good as nothing."""
    bench = holding(store, held)
    assert bench.tick() is Code.TRADING
    assert bench.account.placed
    assert not other_keys.is_unproven(store)


def test_what_was_others_on_the_first_account_stays_theirs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Resumed, "stored", {**Resumed.stored, OTHERS: "5"})
    bench = holding(store, "5.8")
    assert bench.tick() is Code.TRADING
    assert bench.account.placed


def test_a_balance_that_is_not_said_keeps_nothing_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = holding(store, "0")
    monkeypatch.setattr(bench.account, "position", lambda: None)
    assert bench.tick() is Code.TRADING
    assert bench.account.placed


def test_only_what_is_held_can_lie_on_another_account(store: Store) -> None:
    settings = args.parse(LINE.split(), LIVE)
    store.begin_run(settings.identity, "live", {}, Ledger())
    note = partial(other_keys.note, store, was_unproven=False, least=D("0.1"))
    note("a", None)
    note("b", store.fact(other_keys.ACCOUNT))
    assert not other_keys.is_unproven(store)
    store.begin_run(settings.identity, "live", {}, opening_ledger(D(1), D(121)))
    note("b", None)
    assert not other_keys.is_unproven(store), "a record of before that was known goes on as ever"
    note("c", "b")
    assert other_keys.is_unproven(store)


def test_dust_that_cannot_be_sold_keeps_no_bot_from_another_account(store: Store) -> None:
    settings = args.parse(LINE.split(), LIVE)
    store.begin_run(settings.identity, "live", {}, opening_ledger(D("0.0004"), D(121)))
    other_keys.note(store, "b", "a", was_unproven=False, least=D("0.1"))
    assert not other_keys.is_unproven(store), "a spot position that was closed leaves what fees cost"
    other_keys.note(store, "b", "b", was_unproven=True, least=D("0.1"))
    assert not other_keys.is_unproven(store)


def test_a_look_without_an_answer_proves_no_account(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = holding(store, "0")
    bench.tick()
    watch = bench.engine._watch
    monkeypatch.setattr(bench.account, "position", unreachable)
    with pytest.raises(UnreachableError):
        bench.tick(SECOND_LOOK_S)
    assert watch.is_in_doubt, "a word of the websocket would be acted on before the next look"


def test_a_balance_that_is_lost_once_proves_no_account(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resumed, "line", LINE.replace("perp_grid", "grid").replace("_PERP", ""))
    monkeypatch.setattr(Resumed, "market", SPOT)
    bench = holding(store, "0")
    monkeypatch.setattr(bench.account, "holdings", unreachable)
    assert bench.tick() is Code.TRADING
    assert bench.tick(SECOND_LOOK_S) is Code.LEDGER_DIFFERS, "a bot that cannot trade says so"
    assert bench.account.placed == []
    monkeypatch.setattr(bench.account, "holdings", lambda: D("0.8"))
    assert bench.tick(SECOND_LOOK_S) is Code.TRADING
    assert bench.account.placed


def unreachable() -> NoReturn:
    raise UnreachableError("no answer")


def test_the_account_is_known_by_what_names_it() -> None:
    known = [
        other_keys.digest(exchange, credentials)
        for exchange, credentials in (
            ("backpack", {"apiKey": "a", "secret": "1"}),
            ("backpack", {"apiKey": "b", "secret": "1"}),
            ("paradex", {"walletAddress": "a", "privateKey": "1"}),
            ("lighter", {"privateKey": "1", "options.accountIndex": "7", "options.apiKeyIndex": "1"}),
            ("aster", {"privateKey": "1"}),
            ("aster", {"privateKey": "1", "options.signerAddress": "0x1"}),
            ("apex", {"apiKey": "a", "secret": "1"}),
        )
    ]
    assert all(one != other for one, other in itertools.combinations(known, 2))
    new_key = {"privateKey": "2", "options.accountIndex": "7", "options.apiKeyIndex": "2"}
    assert other_keys.digest("lighter", new_key) == known[3]


def test_a_bot_that_gets_another_accounts_keys_sends_nothing_there(
    fake: FakeExchange, tmp_path: Path
) -> None:
    other = fake.add_account(Book())
    env = {**FAST, "TRADING_MODE": "live", **fake.env}
    bot = Bot(tmp_path, (*MESH, "--interval", "0.1"), env)
    bot.wait_for(lambda: len(fake.book.own_open()) == 6)
    fake.book.move(D(148))
    bot.wait_for(lambda: bot.status().get("position") == "0.1")
    assert bot.stop() == 0
    again = Bot(tmp_path, (*MESH, "--interval", "0.1"), {**env, **fake.env_of(other)})
    try:
        again.wait_for(lambda: (again.status().get("condition") or {}).get("code") == "ledger_differs", 60)
        assert (other.book.orders, other.book.fills) == ({}, [])
    finally:
        assert again.stop() == 0
