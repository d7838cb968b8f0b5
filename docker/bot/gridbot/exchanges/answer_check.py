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
from gridbot.exchanges.known_exchange import KnownExchange
from gridbot.exchanges.values import decimal
from gridbot.model.errors import BotError

FOLDER = Path(__file__).with_name("known_answers")


def difference(settings: Settings) -> str | None:
    """Return what is first read otherwise than it must be, None where all of it is read well."""
    answer = "any answer"
    try:
        known = load(settings)
        reader = KnownExchange(settings, known)
        for case in known["cases"]:
            answer = case["answer"]
            if what := differing(case["must"], reader.read(case)):
                return f"{answer}: {what}"
    except BotError:
        raise  # there is no ccxt, say
    except Exception as err:  # noqa: BLE001 - another ccxt may raise whatever it likes
        return f"cannot read {answer} ({type(err).__name__}: {err})"
    return None


def load(settings: Settings) -> Mapping[str, Any]:
    """Return the known answers of the run's exchange and kind of market."""
    with (FOLDER / f"{settings.exchange}.json").open(encoding="utf-8") as file:
        known: Mapping[str, Any] = json.load(file)["perp" if settings.perp else "spot"]
    return known


def installed_version() -> str:
    """Return the version of the ccxt that is installed."""
    try:
        return str(importlib.import_module("ccxt.base.exchange").__version__)
    except Exception:  # noqa: BLE001 - a ccxt that cannot be imported is why live is refused
        return "?"


def differing(must: Sequence[Mapping[str, Any]], rows: Sequence[Any]) -> str | None:
    """Return what in these rows is first otherwise than it must be."""
    if len(rows) != len(must):
        return f"{len(rows)} rows instead of {len(must)}"
    for number, (row, fields) in enumerate(zip(rows, must, strict=True), 1):
        if row is None:
            return f"row {number} is not recognised"
        for name, expected in fields.items():
            value = row.get(name) if isinstance(row, dict) else getattr(row, name, None)
            if not _is_same(value, expected):
                why = getattr(row, "why", "")
                return f"{name} is {value} instead of {expected}" + (f" ({why})" if why else "")
    return None


def _is_same(value: Any, expected: Any) -> bool:
    if isinstance(value, Decimal | float):
        return decimal(expected) == decimal(value)
    if isinstance(value, str) and isinstance(expected, str) and decimal(expected) is not None:
        return decimal(expected) == decimal(value)
    return bool(value == expected)
