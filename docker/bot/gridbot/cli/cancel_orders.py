"""Cancel the orders of a bot that does not run, and print how many the exchange still lists.

The record tells which orders are this bot's. Where it is gone or broken nothing can be cancelled, and only an
exchange that lists no order at all is an answer.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from typing import Any

from gridbot.cli.open_orders import query_open_orders
from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import signing_library, venues
from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import EXIT_CRASH, BotError, ConfigError, DatabaseError, ExchangeError
from gridbot.model.types import as_text
from gridbot.runtime import log as logs
from gridbot.store.store import Store
from gridbot.trading.cancel import ask_patiently, cancel_own_orders
from gridbot.trading.dead_man_switch import DeadManSwitch
from gridbot.trading.left_figures import left_figures
from gridbot.trading.position_watch import own_position
from gridbot.trading.session import cancel_orders_of_earlier_run


def main(argv: Sequence[str]) -> int:
    """Print `{"open_orders_left": n}` as the last line, a count that the exchange has given, and return 0.

    Before it stands `{"report": {…}}`, where it is known: what the bot's report would say now.

    When the count is unknown it prints why on stderr and returns an exit code of `errors`, never a number.
    """
    logs.configure()
    try:
        settings = args.parse(argv)
        if not settings.live:
            raise ConfigError("TRADING_MODE: in paper mode no exchange has orders")
        from gridbot.exchanges.ccxt_exchange import CcxtExchange

        signing_library.require_signing_library(settings.exchange)
        exchange = CcxtExchange(settings, venues.credentials(settings.exchange))
        left = cancel_orders(settings, exchange)
    except BotError as err:
        print(err, file=sys.stderr)
        return err.exit_code
    except ExchangeError as err:
        print(f"{settings.exchange} does not confirm that the orders are cancelled: {err}", file=sys.stderr)
        return EXIT_CRASH
    print(json.dumps({"open_orders_left": left}))
    return 0


def cancel_orders(settings: Settings, exchange: Exchange) -> int:
    """Return how many of this bot's orders the exchange lists after the cancellations.

    Raises BotError or ExchangeError. The record is never created: an empty one would disown every order.
    """
    try:
        if settings.db_path.exists() and _cancel(settings, exchange):
            return 0
    except DatabaseError as err:
        if not isinstance(err.__cause__, sqlite3.Error):  # another bot is running on it
            raise
    return int(query_open_orders(settings, exchange)["open_orders"])


def _cancel(settings: Settings, exchange: Exchange) -> bool:
    """Cancel, and return whether the exchange has confirmed that nothing is left."""
    store = Store(settings.db_path, durable=True)
    try:
        last = store.last_run()
        if last is None:
            return False
        if last.identity != settings.identity:
            return cancel_orders_of_earlier_run(settings, store, last, os.environ) and not _is_any_open(
                settings, exchange
            )
        began = time.monotonic()
        market = ask_patiently(exchange.market, settings.stop_within)
        left, is_confirmed = cancel_own_orders(
            store,
            exchange,
            market,
            began + settings.stop_within - time.monotonic(),
            is_exclusive=settings.exclusive_account,
        )
        if is_confirmed and left == 0:
            DeadManSwitch(settings, exchange).end()
            print(json.dumps({"report": _figures(settings, store, exchange)}))
            return True
        return False
    finally:
        store.close()


def _figures(settings: Settings, store: Store, exchange: Exchange) -> dict[str, Any]:
    """Return what is left, at the exchange's price: its orders may have been filled since the bot died."""
    price = held = None
    try:
        price = exchange.price()
        held = own_position(settings, store, exchange)
    except ExchangeError as err:
        print(f"{settings.exchange} does not say what position is left: {err}", file=sys.stderr)
    figures = left_figures(store, price)
    return figures if held is None else {**figures, "position_at_exchange": as_text(held)}


def _is_any_open(settings: Settings, exchange: Exchange) -> bool:
    return bool(query_open_orders(settings, exchange)["open_orders"])
