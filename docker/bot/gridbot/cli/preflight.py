"""Print the pre-flight checks of a live run as JSON lines. Nothing is placed."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Sequence

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import signing_library, venues, verification
from gridbot.exchanges.account_facts import OwnPart, read_facts
from gridbot.model.check import Check
from gridbot.model.errors import (
    EXIT_CRASH,
    BotError,
    ConfigError,
    ExchangeError,
    KeysError,
    RefusedError,
)
from gridbot.model.types import ZERO, Market
from gridbot.store.database import latest_grid, latest_identity, open_for_reading, recorded_position
from gridbot.store.order_reader import OrderReader
from gridbot.trading.preflight import check_run, keys_refused, market_missing
from gridbot.trading.worst_case import RunningGrid, running_grid


def main(argv: Sequence[str]) -> int:
    """Print one JSON object a line. Returns 0 when the checks were made, whatever they found.

    When nothing was asked it prints why on stderr, and its code, where it has one, in JSON.
    """
    try:
        settings = args.parse(argv, {**os.environ, "TRADING_MODE": "live"})
        checks = check_all(settings)
    except BotError as err:
        print(err, file=sys.stderr)
        if err.code:
            print(json.dumps(err.as_code()))
        return err.exit_code
    except ExchangeError as err:
        print(f"{settings.exchange} does not answer: {err}", file=sys.stderr)
        return EXIT_CRASH
    for check in checks:
        print(json.dumps(check.as_json()))
    return 0


def check_all(settings: Settings) -> list[Check]:
    """Ask the exchange and return the checks. Raises BotError or ExchangeError where it cannot be asked."""
    from gridbot.exchanges.ccxt_exchange import CcxtExchange

    verification.require_verified(settings)
    signing_library.require_signing_library(settings.exchange)
    credentials = venues.credentials(settings.exchange)
    try:
        venues.require_usable(settings.exchange)
    except KeysError as err:
        return [keys_refused(str(err))]
    exchange = CcxtExchange(settings, credentials)
    exchange.shorten_timeouts()
    try:
        market = exchange.market()
    except (RefusedError, ConfigError) as err:
        return [market_missing(str(err))]
    facts = read_facts(exchange, market, lambda: _own_part(settings))
    return check_run(settings, market, facts, _running_grid(settings, market))


def _running_grid(settings: Settings, market: Market) -> RunningGrid | None:
    """Return the grid that the bot goes on with by its record, None where it would begin one."""
    try:
        with open_for_reading(settings.db_path) as db:
            stored = latest_grid(db) if latest_identity(db) == settings.identity else None
        return running_grid(settings, market, stored)
    except (sqlite3.Error, ArithmeticError, LookupError, TypeError, ValueError):
        return None


def _own_part(settings: Settings) -> OwnPart:
    """Return what is this bot's by its record; nothing where there is none, or it cannot be read."""
    try:
        with open_for_reading(settings.db_path) as db:
            is_of_this_market = latest_identity(db) == settings.identity
            position = recorded_position(db) if is_of_this_market else ZERO
            return OwnPart(position, OrderReader(db).live_orders())
    except sqlite3.Error:
        return OwnPart()
