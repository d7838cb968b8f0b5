"""Print which orders are open at the exchange: this bot's, and the number of others. Nothing is changed.

The exchange is the one that knows; the record only tells whose an order is. So where nothing is open at all,
no record is needed to say so.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import signing_library, venues
from gridbot.exchanges.exchange import Exchange
from gridbot.model.errors import (
    BotError,
    ConfigError,
    DatabaseError,
    ExchangeError,
    RefusedError,
    UnreachableError,
)
from gridbot.model.types import ExchangeOrder, UnreadableOrder, as_text
from gridbot.store.database import latest_fact, open_for_reading, recorded_position
from gridbot.store.order_reader import OrderReader
from gridbot.trading import others_part

MAX_LISTED = 50
RETRY_S = (0.5, 1.0, 2.0)
# A caller waits for this command. When the exchange asks for more, no answer is the answer.
MOST_WAIT_S = 10.0


def main(argv: Sequence[str]) -> int:
    """Print one JSON object: `open_orders` (this bot's), `others`, `orders` with details of the first, and
    `position`.

    When the answer is unknown it prints why on stderr, and by a code on stdout where there is one, and
    returns an exit code of `errors`, never a number.
    """
    try:
        settings = args.parse(argv)
        if not settings.live:
            raise ConfigError("TRADING_MODE: in paper mode no exchange has orders", "orders_of_paper")
        from gridbot.exchanges.ccxt_exchange import CcxtExchange

        signing_library.require_signing_library(settings.exchange)
        answer = query_open_orders(settings, CcxtExchange(settings, venues.credentials(settings.exchange)))
    except BotError as err:
        return _refuse(err)
    except ExchangeError as err:
        facts = {"exchange": settings.exchange, "cause": err.cause, "error": str(err)}
        text = f"{settings.exchange} does not say which orders are open: {err}"
        return _refuse(BotError(text, "orders_not_said", **facts))
    print(json.dumps(answer))
    return 0


def _refuse(err: BotError) -> int:
    if err.code:
        print(json.dumps(err.as_code()))
    print(err, file=sys.stderr)
    return err.exit_code


def query_open_orders(
    settings: Settings, exchange: Exchange, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Return the answer. Raises ExchangeError or DatabaseError.

    An unreadable database is an error only while orders are open, because their owner is unknown then.
    """
    exchange.shorten_timeouts()
    listed = _fetch_open_orders(exchange, sleep)
    try:
        with open_for_reading(settings.db_path) as db:
            reader = OrderReader(db)
            _require_this_market(settings, reader)
            if pause := _seconds_until_settled(reader, exchange.settle_s, time.time()):
                sleep(pause)
                listed = _fetch_open_orders(exchange, sleep)
            ours = [order for order in listed if reader.find_own(order) is not None]
            facts = {
                name: latest_fact(db, name) for name in (others_part.OTHERS, others_part.APART_FROM_BOTS)
            }
            own = recorded_position(db)
    except sqlite3.Error as err:
        sleep(exchange.settle_s)
        if listed := _fetch_open_orders(exchange, sleep):
            raise DatabaseError(
                f"{len(listed)} orders are open on {settings.symbol}; whose they are cannot be told:"
                f" {settings.db_path}: {err}",
                "whose_unknown",
                count=str(len(listed)),
                symbol=settings.symbol,
                path=str(settings.db_path),
                error=str(err),
            ) from err
        return _answer([], 0)
    return _answer(ours, len(listed) - len(ours)) | _position(settings, exchange, facts.get, own)


def _position(
    settings: Settings, exchange: Exchange, fact: others_part.Facts, own: Decimal
) -> dict[str, str]:
    """Return the position that this bot has left, as the exchange has it; nothing where it does not say.

    Whether orders are open is the question; this must not keep its answer from being given.
    """
    try:
        account = exchange.position()
        base = exchange.market().base
    except ExchangeError as err:
        print(f"{settings.exchange} does not say what position is left: {err}", file=sys.stderr)
        return {}
    part = others_part.own_part(settings, fact, account, own)
    return {} if part is None else {"position": as_text(part), "base": base}


def _fetch_open_orders(exchange: Exchange, sleep: Callable[[float], None]) -> list[ExchangeOrder]:
    """Fetch the market's open orders, with retries while no answer comes. Raises ExchangeError."""
    for pause in RETRY_S:
        try:
            return _readable(exchange.open_orders())
        except UnreachableError as err:
            asked = err.retry_after or 0.0
            if asked > MOST_WAIT_S:
                raise
            sleep(pause + asked)
    return _readable(exchange.open_orders())


def _readable(rows: Sequence[ExchangeOrder | UnreadableOrder]) -> list[ExchangeOrder]:
    """Return the rows as orders. Raises UnreachableError for one that may be anyone's."""
    for row in rows:
        if isinstance(row, UnreadableOrder):
            raise UnreachableError(f"a row in the list of open orders cannot be read: {row.why}")
    return [row for row in rows if isinstance(row, ExchangeOrder)]


def _require_this_market(settings: Settings, reader: OrderReader) -> None:
    """Check that no order of an earlier run may be open on another market. Raises RefusedError."""
    for identity in sorted(reader.open_order_identities() - {settings.identity}):
        if identity.endswith(" live"):
            raise RefusedError(
                f"orders of an earlier run may be open on {identity}, which is not asked",
                "orders_of_other_market",
                identity=identity,
            )


def _seconds_until_settled(reader: OrderReader, settle_s: float, now: float) -> float:
    """Return the seconds until every order that was sent and not answered is listed or lost for good."""
    sent = [order.created_at for order in reader.live_orders() if order.exchange_id is None]
    return min(max(max(sent, default=0.0) + settle_s - now, 0.0), settle_s)


def _answer(ours: list[ExchangeOrder], others: int) -> dict[str, Any]:
    named = [
        {
            "id": order.exchange_id,
            "side": order.side.value,
            "price": _as_text_or_null(order.price),
            "quantity": _as_text_or_null(_remaining(order)),
        }
        for order in ours[:MAX_LISTED]
    ]
    return {"open_orders": len(ours), "others": others, "orders": named}


def _remaining(order: ExchangeOrder) -> Decimal | None:
    """Return what is still open of `order`, None where the exchange doesn't say."""
    return None if order.qty is None or order.filled is None else order.qty - order.filled


def _as_text_or_null(value: Decimal | None) -> str | None:
    return None if value is None else as_text(value)
