"""Read a recording of prices with times from a CSV file."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gridbot.model.errors import ConfigError

# Seconds since the epoch, and the prices of the row in the order in which they were traded.
Row = tuple[float, list[Decimal]]
TIMES = ("time", "timestamp", "at", "date", "datetime", "open_time")
PRICES = ("price", "close", "last")
# Later than this, a number is no time in seconds but one in milliseconds, and so on.
LATEST_S = 1e11


def read_recording(path: Path, step: float) -> Iterator[Row]:
    """Yield the rows; where the file has no times they are `step` seconds apart. Raises ConfigError.

    A row of open, high, low and close gives four prices, the nearer extreme first. No row is kept: a
    recording may be larger than the memory.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip().lower() for name in next(reader, [])]
            price_at = next((names.index(name) for name in PRICES if name in names), None)
            if price_at is None:
                raise ConfigError(f"{path}: no column price or close")
            time_at = next((names.index(name) for name in TIMES if name in names), None)
            bars = ("open", "high", "low")
            bar = [names.index(name) for name in bars] if set(bars) <= set(names) else None
            count, last = 0, float("-inf")
            for fields in reader:
                if not any(map(str.strip, fields)):
                    continue
                try:
                    at = count * step if time_at is None else _time(fields[time_at])
                    prices = [Decimal(fields[price_at])]
                    if bar is not None:
                        first, high, low = (Decimal(fields[column]) for column in bar)
                        if high < low:
                            raise InvalidOperation
                        extremes = (low, high) if prices[0] >= first else (high, low)
                        prices = [first, *extremes, prices[0]]
                    if not all(price.is_finite() and price > 0 for price in prices):
                        raise InvalidOperation
                except (InvalidOperation, ValueError, IndexError, OverflowError):
                    raise ConfigError(f"{path}:{reader.line_num}: not a price, or not a time") from None
                if at < last:
                    raise ConfigError(f"{path}:{reader.line_num}: earlier than the row before")
                count, last = count + 1, at
                yield at, prices
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as err:
        if isinstance(err, ConfigError):
            raise
        raise ConfigError(f"cannot read {path}: {err}") from err
    if not count:
        raise ConfigError(f"{path}: no rows")


def _time(text: str) -> float:
    try:
        at = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(at):
        raise ValueError(text)
    while abs(at) > LATEST_S:
        at /= 1000
    return at
