"""Which orders are open at the exchange now: those of this record, and others apart. Only asks.

The exchange is the one that knows; the record only tells whose an order is. So where nothing is open at all,
no record is needed to say so.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import venues
from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import (
    EXIT_CRASH,
    BotError,
    ConfigError,
    DatabaseError,
    ExchangeError,
    RefusedError,
    UnreachableError,
)
from gridbot.model.types import ExchangeOrder, as_text
from gridbot.store.database import open_for_reading
from gridbot.store.order_reader import OrderReader

MOST_NAMED = 50
RETRY_S = (0.5, 1.0, 2.0)


def main(argv: Sequence[str]) -> int:
    """Print one JSON object: `open_orders` (this record's), `others`, and `orders` with what is known of the first ones.

    Whatever keeps it from knowing is a line on stderr and an exit code of `errors`, never a number.
    """
    try:
        settings = args.parse(argv)
        if not settings.live:
            raise ConfigError("TRADING_MODE: in paper mode no exchange has orders")
        from gridbot.exchanges.ccxt_exchange import CcxtExchange

        venues.require_signing_library(settings.exchange)
        answer = ask(settings, CcxtExchange(settings, venues.credentials(settings.exchange)))
    except BotError as err:
        print(err, file=sys.stderr)
        return err.exit_code
    except ExchangeError as err:
        print(f"{settings.exchange} does not say which orders are open: {err}", file=sys.stderr)
        return EXIT_CRASH
    print(json.dumps(answer))
    return 0


def ask(
    settings: Settings, exchange: Exchange, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The answer. Raises ExchangeError; DatabaseError where orders are open and nobody can tell whose they are."""
    exchange.shorten_timeouts()
    listed = _listed(exchange, sleep)
    try:
        with open_for_reading(settings.db_path) as db:
            record = OrderReader(db)
            _require_one_market(settings, record)
            if pause := _until_settled(record, exchange.settle_s, time.time()):
                sleep(pause)
                listed = _listed(exchange, sleep)
            ours = [there for there in listed if record.find_own(there) is not None]
    except sqlite3.Error as err:
        sleep(exchange.settle_s)
        if listed := _listed(exchange, sleep):
            raise DatabaseError(
                f"{len(listed)} orders are open on {settings.symbol}; whose they are cannot be told: {settings.db_path}: {err}"
            ) from err
        return _answer([], 0)
    return _answer(ours, len(listed) - len(ours))


def _listed(exchange: Exchange, sleep: Callable[[float], None]) -> list[ExchangeOrder]:
    """The market's open orders, asked for more than once where no answer comes. Raises ExchangeError."""
    for pause in RETRY_S:
        try:
            return exchange.open_orders()
        except UnreachableError:
            sleep(pause)
    return exchange.open_orders()


def _require_one_market(settings: Settings, record: OrderReader) -> None:
    """Raises RefusedError when orders of an earlier run may be open on a market that is not asked."""
    for identity in sorted(record.open_order_identities() - {settings.identity}):
        if identity.endswith(" live"):
            raise RefusedError(f"orders of an earlier run may be open on {identity}, which is not asked")


def _until_settled(record: OrderReader, settle_s: float, now: float) -> float:
    """Seconds until an order that was sent and never answered is either listed or will never be."""
    sent = [order.created_at for order in record.live_orders() if order.exchange_id is None]
    return min(max(max(sent, default=0.0) + settle_s - now, 0.0), settle_s)


def _answer(ours: list[ExchangeOrder], others: int) -> dict[str, Any]:
    named = [
        {
            "id": there.exchange_id,
            "side": there.side.value,
            "price": None if there.price is None else as_text(there.price),
            "quantity": as_text(there.qty - there.filled),
        }
        for there in ours[:MOST_NAMED]
    ]
    return {"open_orders": len(ours), "others": others, "orders": named}
