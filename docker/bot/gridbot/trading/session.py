"""Choose the exchange and the run before the first tick. Both stay the same until the process ends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges import signing_library, venues, verification
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.paper import PaperExchange
from gridbot.exchanges.price_sources import LivePrices, ReplayPrices, assumed_market, synthetic_prices
from gridbot.model.errors import ConfigError, ExchangeError, RefusedError, UnreachableError
from gridbot.model.types import Market, as_text
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.runtime.report_file import ReportFile
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.store.database import CLOSING, CURRENCIES, HELD_SINCE, OPENING_PNL
from gridbot.store.ledger import Ledger, opening_ledger
from gridbot.store.store import Run, Store
from gridbot.trading import other_keys
from gridbot.trading.cancel import cancel_own_orders
from gridbot.trading.outage import Outage
from gridbot.trading.retry import RetryPauses, wait
from gridbot.trading.status import MarketView, build_report, order_json

# How long a start waits for the exchange before a paper run uses the synthetic market.
FIRST_ANSWER_S = 5.0
RETRY_FIRST_S = 1.0


@dataclass(frozen=True, slots=True)
class Session:
    """Hold where and what the bot trades."""

    exchange: Exchange
    market: Market
    run: Run


class StopRequestedError(Exception):
    """Report that a stop was requested before `exchange` had answered. `report` is the last one."""

    def __init__(self, exchange: Exchange, report: dict[str, Any]) -> None:
        super().__init__()
        self.exchange, self.report = exchange, report


def open_session(
    settings: Settings,
    store: Store,
    env: Mapping[str, str],
    shared: SharedState,
    stop: StopSignal,
    report_file: ReportFile,
    pace: Pace,
) -> Session:
    """Load the market and begin or resume the run, however long the exchange is away.

    Raises BotError or StopRequestedError.
    """
    exchange = _choose_exchange(settings, store, env, shared.record_tick, pace)
    outage, pauses = Outage(0.0), RetryPauses(RETRY_FIRST_S, settings.retry_cap)
    is_known = _is_ledger_known(settings, store)
    attempts = 0
    while True:
        try:
            market = exchange.market()
            run = (
                _open_live_run(settings, store, exchange, env)
                if settings.live
                else _open_run(settings, store, exchange, env)
            )
            store.set_fact(CURRENCIES, f"{market.base} {market.quote}")
            return Session(exchange, market, run)
        except UnreachableError as err:
            if attempts % 10 == 0:
                log.warning("waiting for the exchange: %s", err)
            outage.record(err, time.time())
            pause = pauses.after(err)
        except ExchangeError as err:
            raise RefusedError(f"{settings.exchange} refused: {err}") from err
        attempts += 1
        orders = store.live_orders()
        condition = outage.condition(len(orders))
        assert condition is not None
        view = _last_view(settings, store, exchange.name) if is_known else MarketView(source=exchange.name)
        report = build_report(settings, store, view, condition, is_known=is_known)
        shared.status = {**report, "open_orders": [order_json(order) for order in orders]}
        shared.condition = condition
        report_file.update(report)
        if wait(shared, stop, pause):
            raise StopRequestedError(exchange, report)


def _is_ledger_known(settings: Settings, store: Store) -> bool:
    """Tell whether the store's ledger is that of the run that begins, before the exchange has answered."""
    run = store.unfinished_run()
    return run.identity == settings.identity if run is not None else store.last_run() is None


def _last_view(settings: Settings, store: Store, source: str) -> MarketView:
    """Return what the run knew of the market last: the exchange has not answered this process yet."""
    currencies, mark = (store.fact(CURRENCIES) or "").split(" "), store.samples.last_mark(store.run_id)
    if len(currencies) != 2 or mark is None:
        return MarketView(source=source)
    base, quote = currencies
    return MarketView(
        source=source,
        market=replace(assumed_market(settings), base=base, quote=quote),
        price=round(mark.price, 8),
        price_at=mark.at,
        funding=store.funding or None,
    )


def _choose_exchange(
    settings: Settings,
    store: Store,
    env: Mapping[str, str],
    on_call: Callable[[float], None],
    pace: Pace,
) -> Exchange:
    if settings.live:
        from gridbot.exchanges.ccxt_exchange import CcxtExchange

        verification.require_verified(settings, env)
        signing_library.require_signing_library(settings.exchange, env)
        credentials = venues.credentials(settings.exchange, env)
        venues.require_usable(settings.exchange, env)
        return CcxtExchange(settings, credentials, env, on_call, pace)
    if settings.replay:
        return PaperExchange(lambda: assumed_market(settings), ReplayPrices(settings.replay))
    source = settings.source
    run = store.unfinished_run()
    if source == "auto" and run is not None and run.identity == settings.identity and run.source != "replay":
        source = run.source
        if source == "synthetic":
            log.info(
                "going on with this run on the synthetic market"
                " (GRIDBOT_MARKET=live begins one on live prices)"
            )
    if source == "auto" and is_reachable(settings, env):
        live = _live_prices(settings, env, on_call, pace)
        try:
            live.price()
            return live
        except ExchangeError as err:
            log.info("no live prices: %s", err)
    elif source == "live":
        return _live_prices(settings, env, on_call, pace)
    start = store.samples.last_price() if run is not None and run.source == "synthetic" else None
    market = assumed_market(settings)
    return PaperExchange(lambda: market, synthetic_prices(settings, market, start, settings.instance))


def _live_prices(
    settings: Settings, env: Mapping[str, str], on_call: Callable[[float], None], pace: Pace
) -> PaperExchange:
    from gridbot.exchanges.ccxt_exchange import CcxtExchange

    public = CcxtExchange(settings, None, env, on_call, pace)
    return PaperExchange(public.market, LivePrices(public.price), mark=public.mark_price)


def is_reachable(settings: Settings, env: Mapping[str, str], within: float = FIRST_ANSWER_S) -> bool:
    """Tell whether the exchange's port is open. Without a network this avoids importing ccxt at all."""
    if env.get("HTTPS_PROXY") or env.get("https_proxy"):
        return True  # only the proxy can tell
    url = venues.base_url(settings.exchange, env) or f"https://{venues.VENUES[settings.exchange].host}"
    parts = urllib.parse.urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    reached: list[bool] = []

    def connect() -> None:
        with contextlib.suppress(OSError):
            socket.create_connection((parts.hostname or "", port), timeout=within).close()
            reached.append(True)

    # In a thread, because name resolution has no timeout.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(within)
    return bool(reached)


def _open_live_run(settings: Settings, store: Store, exchange: Exchange, env: Mapping[str, str]) -> Run:
    """Open the run, and take down whose account it trades on."""
    account = other_keys.digest(settings.exchange, venues.credentials(settings.exchange, env))
    store.last_run()
    before, was_unproven = store.fact(other_keys.ACCOUNT), other_keys.is_unproven(store)
    run = _open_run(settings, store, exchange, env)
    market = exchange.market()
    least = max(market.lot, market.min_qty)
    other_keys.note(store, account, before, was_unproven=was_unproven, least=least)
    return run


def _open_run(settings: Settings, store: Store, exchange: Exchange, env: Mapping[str, str]) -> Run:
    """Resume the unfinished run if it matches, else begin a run with the last one's position."""
    identity, source = settings.identity, exchange.name
    run = store.unfinished_run()
    is_the_same = run is not None and (run.identity, run.source) == (identity, source) and source != "replay"
    # A position that was closed, or half closed, from outside leaves cells that hold nothing any more.
    if run is not None and is_the_same and not store.fact(CLOSING):
        return run
    last = store.last_run()
    ledger, facts = Ledger(), dict[str, str]()
    if last is not None and last.identity == identity and (settings.live or last.source == source == "live"):
        if store.ledger.position:
            ledger, facts = _take_over(store, last, exchange.price())
    elif last is not None and store.live_orders():
        cancel_orders_of_earlier_run(settings, store, last, env)
    return store.begin_run(identity, source, asdict(replace(settings, web_token=None)), ledger, facts)


def _take_over(store: Store, last: Run, price: Decimal) -> tuple[Ledger, dict[str, str]]:
    """Return the ledger of a run that goes on with the last one's position, and what it keeps of that.

    It counts from the price at which the last one's P&L ends: what the price did between the two is in the
    new one's, so that the runs' P&L add up to all that was earned. A limit counts from `price`.
    """
    position, mark = store.ledger.position, store.samples.last_mark(last.id)
    if mark is None:
        log.info("taking over a position of %s", as_text(position))
        return opening_ledger(position, price), {}
    ledger = opening_ledger(position, mark.price)
    opening = ledger.pnl(price)
    log.info(
        "taking over a position of %s, valued at %s when the last run ended; since then the price has made"
        " %+.4f of it, with which this run's P&L begins",
        *(as_text(position), as_text(mark.price), opening),
    )
    return ledger, {OPENING_PNL: as_text(opening), HELD_SINCE: repr(mark.at)}


def cancel_orders_of_earlier_run(settings: Settings, store: Store, last: Run, env: Mapping[str, str]) -> bool:
    """Cancel orders that an earlier run on another market left open, before a new run hides them.

    Returns whether the exchange has confirmed it. Raises BotError when some are left.
    """
    orders = store.live_orders()
    exchange_name, symbol, kind, mode = last.identity.split(" ")
    if mode == "paper":
        for order in orders:
            store.close_order(order.client_id, "canceled", "a paper order of an earlier run")
        return True
    if not settings.live:
        raise ConfigError(
            f"DB_PATH: a live run has left {len(orders)} orders on {exchange_name} {symbol} in this database;"
            " let it run live once more to cancel them, or use another database"
        )
    from gridbot.exchanges.ccxt_exchange import CcxtExchange

    log.warning("cancelling %d orders left on %s %s", len(orders), exchange_name, symbol)
    old = replace(settings, exchange=exchange_name, symbol=symbol, perp=kind == "perp")
    exchange = CcxtExchange(old, venues.credentials(exchange_name, env), env)
    left, is_confirmed = cancel_own_orders(
        store,
        exchange,
        assumed_market(old),
        settings.stop_within,
        is_exclusive=settings.exclusive_account,
    )
    if left:
        raise RefusedError(f"{left} orders of this database are still open on {exchange_name} {symbol}")
    return is_confirmed
