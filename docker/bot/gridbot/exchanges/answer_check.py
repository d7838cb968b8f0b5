"""Read known answers of an exchange before a live run, and compare what comes out with what must.

`known_answers` has a file for each exchange: answers of its shape (tests/bot/kits has them, too) and, written
by hand, what they say. They go through ccxt's class of the exchange and the adapter that trades, so that
another ccxt or a reader that is broken is noticed before it costs money. Nothing is sent.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.config.settings import Settings
from gridbot.exchanges import ccxt_client, unknown_answers
from gridbot.exchanges.answers import SENSELESS
from gridbot.exchanges.known_exchange import KnownExchange, require_form
from gridbot.exchanges.values import decimal
from gridbot.model.errors import BotError, ConfigError

FOLDER = Path(__file__).with_name("known_answers")


def difference(settings: Settings) -> str | None:
    """Return what is first read otherwise than it must be, None where all of it is read well.

    Raises ConfigError where there is nothing to compare: no known answers, or no such exchange in this ccxt.
    """
    known = load(settings)
    answer = "any answer"
    try:
        _require_class(settings)
        reader = KnownExchange(settings, known)
        for case in known["cases"]:
            answer = case["answer"]
            rows = reader.read(case)
            if what := differing(case["must"], rows) or reader.wrongly_sent(case):
                return f"{answer}: {what}"
        return unknown_answers.difference(reader, known["cases"])
    except BotError:
        raise  # there is no ccxt, say
    except Exception as err:  # noqa: BLE001 - another ccxt may raise whatever it likes
        return f"cannot read {answer} ({type(err).__name__}: {err})"


def load(settings: Settings) -> Mapping[str, Any]:
    """Return the known answers of the run's exchange and kind of market.

    Raises ConfigError naming the file where it is damaged: that is not ccxt's fault.
    """
    path, kind = FOLDER / f"{settings.exchange}.json", "perp" if settings.perp else "spot"
    try:
        known: Mapping[str, Any] = json.loads(path.read_bytes())[kind]
        require_form(known)
    except (OSError, *SENSELESS) as err:
        what = f"{type(err).__name__}: {err}"
        raise ConfigError(
            f"live trading on {settings.exchange} {kind} is refused: the known answers of this bot,"
            f" {FOLDER.name}/{path.name}, are damaged ({what}); build the image anew (manager build),"
            " or trade it on paper",
            "known_answers_damaged",
            exchange=settings.exchange,
            kind=kind,
            file=f"{FOLDER.name}/{path.name}",
            what=what,
        ) from err
    return known


def _require_class(settings: Settings) -> None:
    """Check that this ccxt has the run's exchange. Raises ConfigError."""
    exchange, kind = settings.exchange, "perp" if settings.perp else "spot"
    try:
        ccxt_client.load(exchange)
    except (ModuleNotFoundError, AttributeError) as err:
        if isinstance(err, ModuleNotFoundError) and err.name != f"ccxt.{exchange}":
            raise  # it has it, and lacks something else
        version = installed_version()
        raise ConfigError(
            f"live trading on {exchange} {kind} is refused: ccxt {version} does not have this exchange;"
            " build the image with the ccxt of docker/bot/requirements.lock (manager build),"
            " or trade it on paper",
            "not_in_ccxt",
            exchange=exchange,
            kind=kind,
            version=version,
        ) from err


def installed_version() -> str:
    """Return the version of the ccxt that is installed."""
    try:
        return str(importlib.import_module("ccxt.base.exchange").__version__)
    except Exception:  # noqa: BLE001 - a ccxt that cannot be imported is why live is refused
        return "?"


def differing(must: Sequence[Mapping[str, Any] | None], rows: Sequence[Any]) -> str | None:
    """Return what in these rows is first otherwise than it must be."""
    if len(rows) != len(must):
        return f"{len(rows)} rows instead of {len(must)}"
    for number, (row, fields) in enumerate(zip(rows, must, strict=True), 1):
        if fields is None:  # of an order that there is none of
            if row is not None:
                return f"row {number} is recognised, and there is none"
            continue
        if row is None:
            return f"row {number} is not recognised"
        for name, expected in fields.items():
            value = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
            if not _is_same(value, expected):
                why = getattr(row, "why", "")
                return f"{name} is {value} instead of {expected}" + (f" ({why})" if why else "")
    return None


def _is_same(value: Any, expected: Any) -> bool:
    if isinstance(value, tuple):
        return bool(list(value) == expected)
    if isinstance(value, Decimal | float):
        return decimal(expected) == decimal(value)
    if isinstance(value, str) and isinstance(expected, str) and decimal(expected) is not None:
        return decimal(expected) == decimal(value)
    return bool(value == expected)
