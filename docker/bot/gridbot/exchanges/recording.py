"""Read a recording of prices with times from a CSV file, compressed by gzip or not."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO

from gridbot.model.errors import ConfigError

# Seconds since the epoch, the prices of the row in the order in which they were traded, and the funding rate
# from then on, None where the row says none.
Row = tuple[float, list[Decimal], Decimal | None]
TIMES = ("time", "timestamp", "at", "date", "datetime", "open_time", "close_time", "ts", "unix")
PRICES = ("price", "close", "last")
RATES = ("funding_rate", "fundingrate", "funding")
MOST_RATE = Decimal("0.1")
"""No exchange lets a fee or a payment of funding be so large a share; then percent are meant."""
BARS = ("open", "high", "low")
# Later than this, a number is no time in seconds but one in milliseconds, and so on.
LATEST_S = 1e11
# A day written as a number, with the time of day or without it, is a few weeks or centuries off as seconds.
COMPACT_DATE = re.compile(r"(19[789]|20)\d+")
COMPACT_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
SEPARATORS = (",", ";", "\t")
# How programs write a cell without a value.
UNSAID = ("", "nan", "none", "null", "na", "n/a", "-")
GZIP = b"\x1f\x8b"
SHOWN = 60


def read_recording(path: Path, step: float, *, has_rates: bool = True) -> Iterator[Row]:
    """Yield the rows; where the file has no times they are `step` seconds apart. Raises ConfigError.

    `has_rates`: whether a column of funding rates counts; else it may contain anything.

    A row of open, high, low and close gives four prices: the low before the high where it closes no lower
    than it opens, else the high first. No row is kept: a recording may be larger than the memory.
    """
    try:
        with _open(path) as file:
            first_line = file.readline()
            separator = next((mark for mark in SEPARATORS if mark in first_line), ",")
            reader = csv.reader(itertools.chain([first_line], file), delimiter=separator)
            head = next(reader, [])
            time_at, price_at, bar = _columns(path, head)
            rate_at = _place(head, RATES) if has_rates else None
            count, last = 0, float("-inf")
            for fields in reader:
                if not any(map(str.strip, fields)):
                    continue
                try:
                    at = count * step if time_at is None else _time(fields[time_at])
                    prices = [Decimal(fields[price_at])]
                    if bar is not None:
                        prices = [*(Decimal(fields[column]) for column in bar), *prices]
                    if not all(price.is_finite() and price > 0 for price in prices):
                        raise InvalidOperation
                except (InvalidOperation, ValueError, IndexError, OverflowError):
                    row, why = ",".join(fields)[:SHOWN], "not a price, or not a time"
                    raise ConfigError(f"{path}:{reader.line_num}: {why}: {row}") from None
                if bar is not None:
                    prices = _in_order(prices, f"{path}:{reader.line_num}")
                if at < last:
                    raise ConfigError(f"{path}:{reader.line_num}: earlier than the row before")
                count, last = count + 1, at
                rate = None if rate_at is None else _rate(fields, rate_at, f"{path}:{reader.line_num}")
                yield at, prices, rate
    except UnicodeDecodeError as err:
        raise ConfigError(f"cannot read {path}: it is not UTF-8 text") from err
    except (OSError, EOFError, zlib.error, csv.Error, ValueError) as err:
        if isinstance(err, ConfigError):
            raise
        raise ConfigError(f"cannot read {path}: {err}") from err
    if not count:
        raise ConfigError(f"{path}: no rows")


def _in_order(bar: Sequence[Decimal], where: str) -> list[Decimal]:
    """Return the prices of a bar in the order in which they are taken to be traded. Raises ConfigError."""
    first, high, low, close = bar
    if not low <= min(first, close) <= max(first, close) <= high:
        bounds = f"low {low} and high {high} do not enclose open {first} and close {close}"
        raise ConfigError(f"{where}: {bounds}")
    return [first, *((low, high) if close >= first else (high, low)), close]


def _open(path: Path) -> IO[str]:
    with path.open("rb") as file:
        is_packed = file.read(len(GZIP)) == GZIP
    if is_packed:
        return gzip.open(path, "rt", newline="", encoding="utf-8-sig")
    return path.open(newline="", encoding="utf-8-sig")


def _columns(path: Path, head: Sequence[str]) -> tuple[int | None, int, list[int] | None]:
    """Return the columns of the time, the price, and the rest of a bar. Raises ConfigError."""
    names, price_at = _names(head), _place(head, PRICES)
    if price_at is None:
        written = ",".join(head)[:SHOWN] or "nothing"
        raise ConfigError(f"{path}: no column price or close; the first line is: {written}")
    time_at = _place(head, TIMES)
    if time_at is None and (like := next((name for name in names if "time" in name or "date" in name), None)):
        raise ConfigError(f"{path}: no column time; if {like} is that, call it so")
    bar = [names.index(name) for name in BARS] if set(BARS) <= set(names) else None
    return time_at, price_at, bar


def _names(head: Sequence[str]) -> list[str]:
    return [name.strip().lower().replace(" ", "_") for name in head]


def _place(head: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Return the column of the first of these names that the file has."""
    names = _names(head)
    return next((names.index(name) for name in wanted if name in names), None)


def _rate(fields: Sequence[str], column: int, where: str) -> Decimal | None:
    """Return a row's funding rate, None where the cell is empty. Raises ConfigError."""
    text = fields[column].strip() if column < len(fields) else ""
    if text.lower() in UNSAID:
        return None
    try:
        rate = Decimal(text)
    except InvalidOperation:
        rate = Decimal("NaN")
    if not (rate.is_finite() and abs(rate) < MOST_RATE):
        raise ConfigError(f"{where}: not a funding rate as a share (0.0001 is 0.01 %): {text[:SHOWN]}")
    return rate


def _time(text: str) -> float:
    compact = COMPACT_FORMATS.get(len(text.strip())) if COMPACT_DATE.fullmatch(text.strip()) else None
    if compact is not None:
        with suppress(ValueError):
            return datetime.strptime(text.strip(), compact).replace(tzinfo=UTC).timestamp()
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
