"""Which run a start goes on with, and what it does with what an earlier one has left."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.model.errors import ConfigError, RefusedError
from gridbot.model.types import Order, OrderRequest, Side
from gridbot.runtime.pace import Pace
from gridbot.runtime.report_file import ReportFile
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.store.database import CLOSING
from gridbot.store.ledger import Ledger, opening_ledger
from gridbot.store.store import Store
from gridbot.trading import session
from gridbot.trading.session import Session

D = Decimal
LINE = (
    "--exchange backpack --symbol SOL_USDC_PERP --strategy perp_grid --grid-lower 100 --grid-upper 140"
    " --grid-num 5 --quantity 1"
)
LIVE = {"TRADING_MODE": "live", "DB_PATH": "unused"}
SYNTHETIC = args.parse(LINE.split(), {"GRIDBOT_MARKET": "synthetic"})
OTHER_MARKET = "backpack ETH_USDC_PERP perp"


@pytest.fixture(name="stop")
def _stop() -> StopSignal:
    return StopSignal()


def opened(store: Store, stop: StopSignal, settings: Settings = SYNTHETIC) -> Session:
    return session.open_session(settings, store, {}, SharedState(1.0), stop, ReportFile(None), Pace())


def an_order(store: Store) -> Order:
    return store.new_order(OrderRequest("L1", Side.BUY, D(99), D(1), 1), 0.0)


def test_a_start_goes_on_with_the_run_that_has_not_ended(store: Store, stop: StopSignal) -> None:
    assert opened(store, stop).run.id == opened(store, stop).run.id


def test_a_run_whose_position_was_closed_from_outside_is_not_gone_on_with(
    store: Store, stop: StopSignal
) -> None:
    """Its cells hold nothing any more: it would sell what is not there."""
    first = opened(store, stop).run
    store.set_fact(CLOSING, "{}")
    assert opened(store, stop).run.id == first.id + 1


def test_a_replay_begins_anew_each_time(store: Store, stop: StopSignal, tmp_path: Path) -> None:
    prices = tmp_path / "prices.csv"
    prices.write_text("price\n120\n121\n")
    replay = args.parse([*LINE.split(), "--replay", str(prices)], {})
    first = opened(store, stop, replay).run
    assert (first.source, opened(store, stop, replay).run.id) == ("replay", first.id + 1)


def test_behind_a_replay_live_prices_are_asked_for(
    store: Store, stop: StopSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def is_reachable(settings: Settings, _env: object) -> bool:
        asked.append(settings.exchange)
        return False

    monkeypatch.setattr(session, "is_reachable", is_reachable)
    auto = replace(SYNTHETIC, source="auto")
    store.begin_run(auto.identity, "replay", {}, Ledger())
    assert (opened(store, stop, auto).run.source, asked) == ("synthetic", ["backpack"])
    opened(store, stop, auto)
    assert asked == ["backpack"], "the synthetic run is gone on with"


@pytest.mark.parametrize(("source", "position"), [("synthetic", 0), ("live", 2)])
def test_what_a_run_held_on_a_market_of_its_own_ends_with_it(
    store: Store, stop: StopSignal, monkeypatch: pytest.MonkeyPatch, source: str, position: int
) -> None:
    """The next one's synthetic prices are not those that it was bought at."""
    begun = opened(store, stop)
    monkeypatch.setattr(type(begun.exchange), "name", source, raising=False)
    monkeypatch.setattr(session, "_choose_exchange", lambda *_args: begun.exchange)
    begun.exchange.name = source
    store.begin_run(SYNTHETIC.identity, source, {}, opening_ledger(D(2), D(120)))
    store.end_run("completed")
    opened(store, stop)
    assert store.ledger.position == position


def test_paper_orders_on_another_market_end_before_a_new_run_hides_them(
    store: Store, stop: StopSignal
) -> None:
    store.begin_run(f"{OTHER_MARKET} paper", "synthetic", {}, Ledger())
    order = an_order(store)
    opened(store, stop)
    stored = store.order(order.client_id)
    assert stored is not None
    assert stored.state == "canceled"


def test_live_orders_are_not_hidden_by_a_run_on_paper(store: Store, stop: StopSignal) -> None:
    store.begin_run(f"{OTHER_MARKET} live", "live", {}, Ledger())
    order = an_order(store)
    with pytest.raises(ConfigError, match="a live run has left 1 orders on backpack ETH_USDC_PERP"):
        opened(store, stop)
    assert [live.client_id for live in store.live_orders()] == [order.client_id]


@pytest.mark.parametrize(("left", "is_confirmed"), [(0, True), (0, False), (2, False)])
def test_orders_that_are_left_on_another_market_keep_a_live_run_from_beginning(
    store: Store, monkeypatch: pytest.MonkeyPatch, left: int, *, is_confirmed: bool
) -> None:
    last = store.begin_run(f"{OTHER_MARKET} live", "live", {}, Ledger())
    an_order(store)
    monkeypatch.setattr(session, "cancel_own_orders", lambda *_args, **_kwargs: (left, is_confirmed))
    monkeypatch.setattr("gridbot.exchanges.ccxt_exchange.CcxtExchange", lambda *_args: None)
    keys = {"BACKPACK_API_KEY": "k", "BACKPACK_SECRET": "s"}
    live = args.parse(LINE.split(), LIVE)
    if left:
        with pytest.raises(RefusedError, match="2 orders of this database are still open"):
            session.cancel_orders_of_earlier_run(live, store, last, keys)
    else:
        assert session.cancel_orders_of_earlier_run(live, store, last, keys) is is_confirmed
