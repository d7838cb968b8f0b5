"""Run the bot from argv to exit code: set up, run the loop, shut down."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges.exchange import Exchange
from gridbot.exchanges.price_sources import EndOfDataError, assumed_market
from gridbot.model.errors import (
    EXIT_COMPLETED,
    EXIT_CRASH,
    BotError,
    ExchangeError,
    KeysError,
    UnauthorizedError,
)
from gridbot.model.types import Market
from gridbot.runtime import log as logs
from gridbot.runtime import report_file as report
from gridbot.runtime.log import log
from gridbot.runtime.shared_state import SharedState
from gridbot.runtime.stop_signal import StopSignal
from gridbot.store.store import Store
from gridbot.strategies.strategy import make_strategy
from gridbot.trading.cancel import CRASH_WITHIN_S, cancel_own_orders
from gridbot.trading.engine import CompletedError, Engine
from gridbot.trading.session import Session, StopRequestedError, open_session
from gridbot.trading.status import build_status
from gridbot.web import server as web

RETRY_AT_MOST_S = 30.0
# One refused signature may come from a clock that was being set; this many in a row mean wrong keys.
MAX_UNAUTHORIZED = 3


@dataclass(frozen=True, slots=True)
class RunEnd:
    """Hold how the loop ended. A run that is not `completed` is resumed at the next start."""

    code: int
    why: str
    completed: bool = False


def main(argv: Sequence[str], stop: StopSignal) -> int:
    """Run the bot and return its exit code, one of `errors`."""
    logs.configure()
    try:
        return _serve(args.parse(argv), stop)
    except BotError as err:
        log.error("%s", err)
        return err.exit_code
    except Exception:  # noqa: BLE001 - a bug ends as a traceback and an exit code
        log.exception("the bot crashed")
        return EXIT_CRASH


def _serve(settings: Settings, stop: StopSignal) -> int:
    store = Store(settings.db_path, durable=settings.live)
    shared = SharedState(settings.interval, settings.out_of_reach)
    server = web.serve(settings, shared, stop)
    try:
        return _trade(settings, store, shared, stop)
    finally:
        shared.finished = True
        server.shutdown()
        store.close()


def _trade(settings: Settings, store: Store, shared: SharedState, stop: StopSignal) -> int:
    def set_note(text: str) -> None:
        shared.note = text

    try:
        session = open_session(settings, store, os.environ, stop.wait, set_note)
    except StopRequestedError as err:
        end = RunEnd(EXIT_COMPLETED, stop.reason or "stopped")
        return _shut_down(settings, store, err.exchange, assumed_market(settings), end, stop)
    try:
        end = _loop(_engine(settings, store, session, shared, stop), stop)
    except BotError as err:
        log.error("%s", err)
        end = RunEnd(err.exit_code, str(err))
    except Exception as err:  # noqa: BLE001 - orders have to be cancelled whatever went wrong
        log.exception("the bot crashed")
        end = RunEnd(EXIT_CRASH, f"crash: {type(err).__name__}: {err}")
    return _shut_down(settings, store, session.exchange, session.market, end, stop)


def _engine(
    settings: Settings, store: Store, session: Session, shared: SharedState, stop: StopSignal
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
        settings, session.run, store, session.exchange, session.market, strategy, shared, stop.is_set
    )


def _loop(engine: Engine, stop: StopSignal) -> RunEnd:
    settings, failures, unauthorized = engine.settings, 0, 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            engine.tick()
            if failures:
                log.info("the exchange answers again")
            failures = unauthorized = 0
        except ExchangeError as err:
            failures += 1
            unauthorized = unauthorized + 1 if isinstance(err, UnauthorizedError) else 0
            if unauthorized >= MAX_UNAUTHORIZED:
                raise KeysError(f"{settings.exchange} doesn't accept the keys: {err}") from err
            engine.record_failure(err, first=failures == 1)
        except CompletedError as err:
            return RunEnd(EXIT_COMPLETED, str(err), completed=True)
        except EndOfDataError:
            return RunEnd(EXIT_COMPLETED, "the replay is over", completed=True)
        engine.shared.record_tick()
        engine.shared.status = build_status(engine)
        pause = settings.interval
        if failures > 1:
            pause = max(pause, min(pause * 2 ** min(failures - 1, 10), RETRY_AT_MOST_S))
        stop.wait(max(pause - (time.monotonic() - began), 0))
    return RunEnd(EXIT_COMPLETED, stop.reason or "stopped")


def _shut_down(
    settings: Settings, store: Store, exchange: Exchange, market: Market, end: RunEnd, stop: StopSignal
) -> int:
    """Cancel this bot's orders, write the report and return the exit code."""
    left, confirmed = len(store.live_orders()), False
    # Written now in case the supervisor kills the bot before the cancellations end.
    report.write(settings.report, open_orders_left=left, confirmed=confirmed, why=end.why)
    try:
        within = settings.stop_within if end.code == EXIT_COMPLETED else CRASH_WITHIN_S
        if stop.requested_at is not None:
            within = max(within - (time.monotonic() - stop.requested_at), 1.0)
        left, confirmed = cancel_own_orders(store, exchange, market, within)
    finally:
        if end.completed:
            store.end_run(end.why)
        report.write(settings.report, open_orders_left=left, confirmed=confirmed, why=end.why)
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
