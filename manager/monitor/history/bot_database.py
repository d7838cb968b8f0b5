"""Read the bundled bot's own database of its trades: a copy, never the bot's file.

A bot may be hostile, and so may its database be: the copy was made and checked by a process without rights
(manager/ops/backup/copier.py); here only known columns of real tables are read, values are checked, and a
query that does not end is stopped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import MappingProxyType
from typing import Any

from manager.monitor.history.model import Run, Sample, Span, Trade
from manager.monitor.history.sampling import EVERY_S
from manager.typed import NamedTuple
from manager.util.real_path import real_path
from manager.util.sanitize import replace_unprintable

SCHEMAS = frozenset({1})
"""The versions (`user_version`) whose meaning is known."""
COLUMNS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "runs": frozenset({"id", "started_at", "ended_at", "ended_why", "source", "settings"}),
        "trades": frozenset(
            {
                "trade_id",
                "exchange_id",
                "run_id",
                "at",
                "side",
                "price",
                "qty",
                "fee",
                "fee_currency",
                "maker",
                "position",
                "realized",
            }
        ),
        "equity": frozenset({"at", "run_id", "price", "position", "pnl", "realized", "fees"}),
    }
)
MOST_ROWS = 2_000_000
MOST_STEPS = 20_000
STEP = 100_000
"""Virtual machine instructions between two looks: about a minute in all."""
MAX_TEXT = 200
MAX_NUMBER = Decimal(10) ** 15
MAX_TIME = 1e11
SIDES = frozenset({"buy", "sell"})
KINDS_OF_MARKETS = frozenset({"PERP", "PERPETUAL", "SWAP", "FUTURES"})
"""Second parts of symbols that are no currency: SOL-PERP."""


class BotRun(NamedTuple):
    """Hold a run with its number in the database, and what it traded."""

    id: int
    run: Run
    exchange: str
    symbol: str


class BotRecord(NamedTuple):
    """Hold all of one database that is asked for. `equity`: at most a point a minute."""

    runs: Sequence[Run]
    trades: Sequence[Trade]
    equity: Sequence[Sample]


class UnknownSchema(Exception):
    """Signal that the database is not one whose meaning is known."""


def read(path: Path, instance: str, spans: Iterable[Span], *, quote: str | None = None) -> BotRecord:
    """Return what the copy of a database knows: all runs and trades, and the P&L within the spans.

    `quote`: the currency of the newest run's P&L where it is known; a run on another market had its own.
    Raises UnknownSchema and sqlite3.Error.
    """
    db = sqlite3.connect(f"{real_path(path).as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA cell_size_check=ON")
        db.set_progress_handler(_Limit(), STEP)
        _require_known(db)
        runs = {bot_run.id: bot_run for bot_run in _runs(db)}
        trades = list(_trades(db, instance, runs))
        newest = max(runs.values(), key=lambda bot_run: bot_run.run.began, default=None)
        quotes = {} if newest is None or quote is None else {newest.symbol: quote}
        equity = [point for span in spans for point in _equity(db, span, runs, quotes)]
        return BotRecord([bot_run.run for bot_run in runs.values()], trades, equity)
    finally:
        db.close()


class _Limit:
    """Stop a query that takes too long: a view can be one that never ends."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def __call__(self) -> int:
        self._left -= 1
        return int(self._left < 0)


def _require_known(db: sqlite3.Connection) -> None:
    if db.execute("PRAGMA user_version").fetchone()[0] not in SCHEMAS:
        raise UnknownSchema
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, columns in COLUMNS.items():
        present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if table not in tables or not columns <= present:
            raise UnknownSchema


def _rows(db: sqlite3.Connection, query: str, *values: object) -> Iterator[Sequence[Any]]:
    for number, row in enumerate(db.execute(query, values)):
        if number >= MOST_ROWS:
            return
        yield row


def _runs(db: sqlite3.Connection) -> Iterator[BotRun]:
    query = "SELECT id, started_at, ended_at, ended_why, source, settings FROM runs ORDER BY id"
    for number, began, ended, why, source, settings in _rows(db, query):
        if not isinstance(number, int) or (began_at := _time(began)) is None:
            continue
        values = _settings(settings)
        kind = (
            "live" if values.get("live") is True else source if source in ("synthetic", "replay") else "paper"
        )
        run = Run(began_at, _time(ended), _text(why), kind)
        yield BotRun(number, run, _text(values.get("exchange")), _text(values.get("symbol")))


def _settings(text: object) -> Mapping[str, Any]:
    try:
        values = json.loads(text) if isinstance(text, str) and len(text) < 100_000 else None
    except (ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {}


def _trades(db: sqlite3.Connection, instance: str, runs: Mapping[int, BotRun]) -> Iterator[Trade]:
    query = (
        "SELECT at, run_id, trade_id, exchange_id, side, price, qty, fee, fee_currency, maker, position,"
        " realized"
        " FROM trades ORDER BY at"
    )
    for at, run_id, trade_id, order_id, side, *amounts, maker, position, realized in _rows(db, query):
        price, quantity, fee = (_amount(amounts[index]) for index in range(3))
        run, moment = runs.get(run_id), _time(at)
        if moment is None or side not in SIDES or price is None or quantity is None or fee is None:
            continue
        yield Trade(
            moment,
            instance,
            run.exchange if run else "",
            run.symbol if run else "",
            run.run.kind if run else "",
            _text(trade_id),
            _text(order_id),
            side,
            price,
            quantity,
            fee,
            _text(amounts[3]),
            maker == 1,
            _amount(position),
            _amount(realized),
        )


def _equity(
    db: sqlite3.Connection, span: Span, runs: Mapping[int, BotRun], quotes: Mapping[str, str]
) -> Iterator[Sample]:
    query = (  # with max(at) SQLite takes the other columns from the row that has it
        "SELECT max(at), run_id, price, position, pnl, realized, fees FROM equity WHERE at > ? AND at < ?"
        " GROUP BY run_id, CAST(at / ? AS INTEGER) ORDER BY 1"
    )
    for at, run_id, *amounts in _rows(db, query, span.begin, span.end, EVERY_S):
        run, moment = runs.get(run_id), _time(at)
        price, position, pnl, realized, fees = map(_amount, amounts)
        if run is None or moment is None or pnl is None:
            continue
        base, second = currencies(run.symbol)
        yield Sample(
            moment,
            "running",
            None,
            run.run.kind,
            run.run.began,
            None,
            quotes.get(run.symbol, second),
            base,
            pnl,
            realized,
            fees,
            position,
            price,
            None,
            True,
        )


def currencies(symbol: str) -> tuple[str | None, str | None]:
    """Return base and quote of a symbol such as SOL_USDC_PERP or BTC/USDT:USDT."""
    for separator in "_/-":
        parts = symbol.split(separator)
        if len(parts) > 1:
            quote = parts[1].partition(":")[0]  # what follows is what a derivative is settled in
            return parts[0] or None, quote if quote and quote.upper() not in KINDS_OF_MARKETS else None
    return None, None


def _time(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MAX_TIME else None


def _amount(value: object) -> Decimal | None:
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value)) if len(str(value)) <= 60 else None
    except InvalidOperation:
        return None
    if number is None or not number.is_finite() or number.copy_abs() >= MAX_NUMBER:
        return None
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent >= -400 else None


def _text(value: object) -> str:
    return replace_unprintable(value[:MAX_TEXT]) if isinstance(value, str) else ""
