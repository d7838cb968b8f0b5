"""Close the position of a bot that does not run, as far as its record and the account agree on it.

`look SHARE` says what would be done at a price that is at most that share worse than the market's, and sends
no order. `close SIDE QUANTITY PRICE` does it, with these as bounds. `record` says what its own trades make,
for another bot on the account.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from gridbot.config import args
from gridbot.config.settings import Settings
from gridbot.exchanges import signing_library, venues, verification
from gridbot.exchanges.closing import CcxtClosing, account_name
from gridbot.model.errors import EXIT_CRASH, BotError, ConfigError, DatabaseError, ExchangeError
from gridbot.model.types import Side
from gridbot.runtime import log as logs
from gridbot.store.store import Store
from gridbot.trading.close import CLOSE_WITHIN_S, LOOK_WITHIN_S, Closer
from gridbot.trading.closed import Terms


def main(argv: Sequence[str]) -> int:
    """Print the answer as the last line, one JSON object, and return 0.

    When nothing was done and nothing is known it prints why on stderr, in JSON by its code where it has one,
    and returns an exit code of `errors`.
    """
    logs.configure()
    try:
        terms, options = _command(argv)
        settings = args.parse(options)
        if not settings.live:
            raise ConfigError("TRADING_MODE: in paper mode no exchange has a position")
        verification.require_verified(settings, listens=False)
        signing_library.require_signing_library(settings.exchange)
        if not settings.db_path.exists():
            path = str(settings.db_path)
            raise DatabaseError(
                f"whose the position is cannot be told: there is no {path}", "no_record", path=path
            )
        answer = _carry_out(terms, settings)
    except BotError as err:
        print(err, file=sys.stderr)
        if err.code:
            print(json.dumps(err.as_code()))
        return err.exit_code
    except ExchangeError as err:
        print(f"the exchange gives no answer: {err}", file=sys.stderr)
        return EXIT_CRASH
    print(json.dumps(answer))
    return 0


def _carry_out(terms: Terms | Decimal | None, settings: Settings) -> dict[str, Any]:
    exchange = CcxtClosing(settings, venues.credentials(settings.exchange))
    store = Store(settings.db_path, durable=True)
    try:
        if isinstance(terms, Terms):
            return Closer(settings, store, exchange, CLOSE_WITHIN_S).close(terms).as_json()
        closer = Closer(settings, store, exchange, LOOK_WITHIN_S)
        if terms is None:
            return closer.record()
        look = closer.look(terms)
        return {**look, "account": account_name(settings.exchange, os.environ)}
    finally:
        store.close()


def _command(argv: Sequence[str]) -> tuple[Terms | Decimal | None, Sequence[str]]:
    """Return what is asked for (None: its record), and the bot's options that follow. Raises ConfigError."""
    try:
        match list(argv):
            case ["look", share, *options]:
                if not 0 < (number := Decimal(share)) < 1:
                    raise ConfigError(f"look: the share must be above 0 and below 1, not {share}")
                return number, options
            case ["record", *options]:
                return None, options
            case ["close", side, qty, price, *options]:
                terms = Terms(Side(side), Decimal(qty), Decimal(price))
                if not (terms.qty > 0 and terms.price > 0 and terms.qty.is_finite()):
                    raise ConfigError(f"close: quantity and price must be above 0, not {qty} and {price}")
                return terms, options
    except (InvalidOperation, ValueError) as err:
        raise ConfigError(f"{argv[0]}: not what it takes: {err}") from err
    raise ConfigError("say `look SHARE`, `close SIDE QUANTITY PRICE` or `record`, and then the bot's options")
