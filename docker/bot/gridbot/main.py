"""From argv to exit code: puts the rooms together, runs the loop, and leaves in good order."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict

from gridbot import args, report, strategy, web
from gridbot import log as logs
from gridbot.args import Settings
from gridbot.board import Board
from gridbot.engine import CompletedError, Engine
from gridbot.errors import EXIT_COMPLETED, EXIT_CRASH, BotError, ExchangeError
from gridbot.exchange import Exchange
from gridbot.ledger import Ledger
from gridbot.market import EndOfDataError, Replay, invented_market, synthetic_for
from gridbot.paper import Paper
from gridbot.signals import StopSignal
from gridbot.status import status_of
from gridbot.stop import cancel_own
from gridbot.store import Run, Store

log = logging.getLogger("gridbot")
RETRY_AT_MOST_S = 30.0


def main(argv: Sequence[str], stop: StopSignal) -> int:
    """Run the bot to its end. The exit code is one of `errors`."""
    logs.set_up()
    try:
        return _run(args.parse(argv), stop)
    except BotError as err:
        log.error("%s", err)
        return err.exit_code
    except Exception:
        log.exception("the bot crashed")
        return EXIT_CRASH


def _run(settings: Settings, stop: StopSignal) -> int:
    store = Store(settings.db_path, durable=settings.live)
    board = Board(settings.interval)
    server = web.serve(settings, board, stop)
    try:
        return _trade(settings, store, board, stop)
    finally:
        board.finished = True
        server.shutdown()
        store.close()


def _trade(settings: Settings, store: Store, board: Board, stop: StopSignal) -> int:
    exchange, run = _paper(settings, store)
    market = exchange.market()
    engine = Engine(
        settings, run, store, exchange, market, strategy.make(settings, market, store), board, stop.is_set
    )
    log.info(
        "%s %s on %s (%s prices)",
        "LIVE" if settings.live else "PAPER",
        settings.symbol,
        settings.exchange,
        exchange.name,
    )
    why, code = _loop(engine, stop)
    left, confirmed = cancel_own(store, exchange, market)
    if why is not None:
        store.end_run(why)
    report.write(
        settings.report, open_orders_left=left, confirmed=confirmed, why=why or stop.reason or "crash"
    )
    log.info("stopped: %s, %d open orders left", why or stop.reason or "crash", left)
    return code


def _loop(engine: Engine, stop: StopSignal) -> tuple[str | None, int]:
    failures = 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            engine.tick()
            failures = 0
        except ExchangeError as err:
            failures += 1
            engine.store.error(time.time(), "exchange", str(err))
            log.warning("the exchange is out of reach: %s", err)
        except CompletedError as err:
            return str(err), EXIT_COMPLETED
        except EndOfDataError:
            return "the replay is over", EXIT_COMPLETED
        engine.board.ticked()
        engine.board.status = status_of(engine)
        pause = engine.settings.interval * 2 ** min(failures, 6) if failures else engine.settings.interval
        stop.wait(
            max(min(pause, max(RETRY_AT_MOST_S, engine.settings.interval)) - (time.monotonic() - began), 0)
        )
    return None, EXIT_COMPLETED


def _paper(settings: Settings, store: Store) -> tuple[Exchange, Run]:
    identity = f"{settings.exchange} {settings.symbol} {'live' if settings.live else 'paper'}"
    name = "replay" if settings.replay else "synthetic"
    run = store.unfinished_run()
    if run is None or run.identity != identity or run.source != name:
        run = store.begin_run(identity, name, asdict(settings), Ledger())
    market = invented_market(settings)
    if settings.replay:
        return Paper(market, Replay(settings.replay)), run
    return Paper(
        market, synthetic_for(settings, market, store.last_price(), f"{settings.instance}|{run.id}")
    ), run
