"""Run the bot from argv to exit code: set up, run the loop, shut down."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.price_sources import assumed_market
from gridbot.model.condition import Condition
from gridbot.model.errors import EXIT_COMPLETED, EXIT_CRASH, BotError, ExchangeError
from gridbot.model.types import Market, as_text
from gridbot.runtime import log as logs
from gridbot.runtime.log import log
from gridbot.runtime.pace import Pace
from gridbot.runtime.report_file import ReportFile
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.cancel import CRASH_WITHIN_S, cancel_own_orders
from gridbot.trading.dead_man_switch import DeadManSwitch
from gridbot.trading.engine import Engine
from gridbot.trading.fill_watch import FillWatch
from gridbot.trading.first_order import require_sound
from gridbot.trading.loop import RunEnd, run_loop, stopped
from gridbot.trading.position_watch import own_position
from gridbot.trading.session import Session, StopRequestedError, open_session
from gridbot.trading.status import CONTRACT, build_report
from gridbot.web import server as web

POSITION_WITHIN_S = 3.0


def main(argv: Sequence[str], stop: StopSignal) -> int:
    """Run the bot and return its exit code, one of `errors`."""
    logs.configure()
    path = os.environ.get("BOTFLEET_REPORT")
    report_file = ReportFile(Path(path) if path else None)
    try:
        return _serve(args.parse(argv), stop, report_file)
    except BotError as err:
        log.error("%s", err)
        _report_failed_start(report_file, err.exit_code, str(err))
        return err.exit_code
    except Exception as err:  # noqa: BLE001 - a bug ends as a traceback and an exit code
        log.exception("the bot crashed")
        _report_failed_start(report_file, EXIT_CRASH, _crash(err))
        return EXIT_CRASH


def _report_failed_start(report_file: ReportFile, exit_code: int, why: str) -> None:
    """Write the final report of a bot that has not come so far as to trade: only why is known."""
    if report_file.is_final:
        return
    report_file.write(
        {
            "contract": CONTRACT,
            "at": round(time.time(), 3),
            "final": True,
            "condition": None,
            "reason": why,
            "why": why,
            "exit_code": exit_code,
        }
    )


def _crash(err: Exception) -> str:
    return f"crash: {type(err).__name__}: {err}"


def _serve(settings: Settings, stop: StopSignal, report_file: ReportFile) -> int:
    store = Store(settings.db_path, durable=settings.live)
    shared = SharedState(settings.interval)
    server = web.serve(settings, shared, stop)
    try:
        return _trade(settings, store, shared, stop, report_file)
    finally:
        shared.finished = True
        server.shutdown()
        store.close()


def _trade(
    settings: Settings, store: Store, shared: SharedState, stop: StopSignal, report_file: ReportFile
) -> int:
    share = os.environ.get("BOTFLEET_REQUESTS")
    pace = Pace(Path(share) if share else None, stop.is_set)
    try:
        session = open_session(settings, store, os.environ, shared, stop, report_file, pace)
    except StopRequestedError as request:
        last_report = request.report
        market = assumed_market(settings)
        return _shut_down(
            settings, store, request.exchange, market, stopped(stop), stop, report_file, lambda _: last_report
        )
    engine = _engine(settings, store, session, shared, stop, pace)
    require_sound(settings, store, session, os.environ)
    watch = FillWatch(stop)
    try:
        watch.open(settings, session.exchange)
        switch = DeadManSwitch(settings, session.exchange)
        end = run_loop(engine, stop, report_file, switch, pace, watch)
    except BotError as err:
        log.error("%s", err)
        end = RunEnd(err.exit_code, str(err))
    except Exception as err:  # noqa: BLE001 - orders have to be cancelled whatever went wrong
        log.exception("the bot crashed")
        end = RunEnd(EXIT_CRASH, _crash(err))
    watch.close()

    def report(condition: Condition | None) -> dict[str, Any]:
        return build_report(settings, store, engine.view(), condition or shared.condition)

    def read_last() -> None:
        if engine.price is not None:
            try:
                engine.add_sample(engine.price, time.time())
            except sqlite3.Error as err:
                log.warning("the last point of the equity curve cannot be stored: %s", err)
        engine.figures.read_last()

    return _shut_down(
        settings, store, session.exchange, session.market, end, stop, report_file, report, read_last
    )


def _engine(
    settings: Settings, store: Store, session: Session, shared: SharedState, stop: StopSignal, pace: Pace
) -> Engine:
    log.info(
        "%s %s on %s, %s prices, tick %s, lot %s",
        "LIVE" if settings.live else "PAPER",
        settings.symbol,
        settings.exchange,
        session.exchange.name,
        session.market.tick,
        session.market.lot,
    )
    strategy = make_strategy(settings, session.market, store)
    return Engine(
        *(settings, session.run, store, session.exchange, session.market, strategy, shared, stop.is_set),
        pace=pace,
    )


def _shut_down(
    settings: Settings,
    store: Store,
    exchange: Exchange,
    market: Market,
    end: RunEnd,
    stop: StopSignal,
    report_file: ReportFile,
    build: Callable[[Condition | None], dict[str, Any]],
    read_last: Callable[[], None] = lambda: None,
) -> int:
    """Cancel this bot's orders, write the report and return the exit code. `read_last` reads its figures."""

    def write_report(left: int, *, confirmed: bool, position: Decimal | None = None) -> None:
        report_file.write(
            {
                **build(end.condition),
                "final": True,
                "reason": end.why,
                "why": end.why,
                "exit_code": end.code,
                "open_orders_left": left,
                "confirmed": confirmed,
                "position_at_exchange": None if position is None else as_text(position),
            }
        )

    left, confirmed, held = len(store.live_orders()), False, None
    # Written after each step, in case the supervisor kills the bot before the next one ends.
    write_report(left, confirmed=confirmed)
    try:
        within = settings.stop_within if end.code == EXIT_COMPLETED else CRASH_WITHIN_S
        if stop.requested_at is not None:
            within = max(within - (time.monotonic() - stop.requested_at), 1.0)
        deadline = time.monotonic() + within
        left, confirmed = cancel_own_orders(
            store, exchange, market, within, is_exclusive=settings.exclusive_account
        )
        write_report(left, confirmed=confirmed)
        if confirmed and left == 0:
            DeadManSwitch(settings, exchange).end()
        held = _position_at_exchange(settings, store, exchange, deadline - time.monotonic())
    finally:
        if end.completed:
            store.end_run(end.why)
        read_last()
        write_report(left, confirmed=confirmed, position=held)
        ledger = store.ledger
        log.info(
            "stopped (%s): %d open orders left%s, position %s %s, %d trades",
            end.why,
            left,
            "" if confirmed else " (not confirmed)",
            ledger.position,
            market.base,
            ledger.trades,
        )
    return end.code


def _position_at_exchange(
    settings: Settings, store: Store, exchange: Exchange, within: float
) -> Decimal | None:
    """Ask for the position that is left behind; None where there is no answer, or no time for one."""
    if within < POSITION_WITHIN_S:
        return None
    exchange.shorten_timeouts()
    try:
        return own_position(settings, store, exchange)
    except ExchangeError as err:
        log.warning("%s does not say what position is left: %s", settings.exchange, err)
        return None
