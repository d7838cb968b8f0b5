"""Read the rows of the fleet's history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from manager.i18n import Text
from manager.monitor.history import turning
from manager.monitor.history.model import Event, Run, Sample, Span, Trade
from manager.util import kept_text

EVER = float("inf")


def fact(db: sqlite3.Connection, name: str) -> Any:
    """Return what `put_fact` has remembered; None for nothing."""
    row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    try:
        return None if row is None else json.loads(row[0])
    except ValueError:
        return None


def instances(db: sqlite3.Connection, since: float | None = None) -> list[str]:
    """Return all that anything is known of; with `since`, those that have samples from then on."""
    if since is not None:
        rows = db.execute("SELECT DISTINCT instance FROM samples WHERE at >= ?", (since,))
    else:
        rows = db.execute(
            "SELECT instance FROM samples UNION SELECT instance FROM trades UNION SELECT instance FROM runs"
        )
    return sorted(row[0] for row in rows)


def samples(db: sqlite3.Connection, instance: str, since: float = 0.0, until: float = EVER) -> list[Sample]:
    """Return an instance's samples, oldest first, with the last one before `since`: what is earned begins
    there. What a clock that was wrong has dated after `until` is left out.
    """
    rows = db.execute(
        "SELECT at, state, doing, kind, run, start, quote, base, pnl, realized, fees, position, price,"
        " trades, from_bot"
        " FROM samples WHERE instance = ?1 AND at >= coalesce((SELECT max(at) FROM samples WHERE instance ="
        " ?1 AND"
        " at < ?2), ?2) AND at <= ?3 ORDER BY at",
        (instance, since, until),
    )
    return [_sample(row) for row in rows]


OF_PNL = (
    "SELECT at, kind, run, start, quote, base, pnl, trades, from_bot FROM samples WHERE instance = ?1"
    " AND at >= coalesce((SELECT max(at) FROM samples WHERE instance = ?1 AND at < ?2), ?2) AND at <= ?3"
)
"""Only what P&L is computed from: a fleet has very many samples."""


def pnl_samples(
    db: sqlite3.Connection, instance: str, since: float = 0.0, until: float = EVER
) -> list[Sample]:
    """Return the samples as `samples` does, with only what P&L is computed from."""
    return _of_pnl(db.execute(f"{OF_PNL} ORDER BY at", (instance, since, until)))


def pnl_samples_at(
    db: sqlite3.Connection, instance: str, since: float, until: float = EVER, *, moments: Sequence[float]
) -> list[Sample]:
    """Return those of `pnl_samples` of which curves with values at these moments are made."""
    rows = db.execute(f"{OF_PNL} ORDER BY at", (instance, since, until))
    return _of_pnl(turning.kept(rows, covered(db, instance, since), moments))


def pnl_samples_every(
    db: sqlite3.Connection, instance: str, since: float, until: float = EVER, *, seconds: float
) -> list[Sample]:
    """Return the first sample with a P&L, and the last one of each run in so many seconds: for a curve over a
    long time.
    """
    rows = db.execute(
        f"WITH known AS ({OF_PNL} AND pnl IS NOT NULL)"
        # beside a maximum, SQLite takes the other columns from its row
        " SELECT max(at), kind, run, start, quote, base, pnl, trades, from_bot FROM known"
        " GROUP BY at = (SELECT min(at) FROM known), CAST(at / ?4 AS INTEGER), kind, quote, run, start"
        " ORDER BY 1",
        (instance, since, until, seconds),
    )
    return _of_pnl(rows)


def _of_pnl(rows: Iterable[Sequence[Any]]) -> list[Sample]:
    return [
        Sample(
            at,
            "",
            kind=kind,
            run=run,
            start=start,
            quote=quote,
            base=base,
            pnl=_amount(pnl),
            trades=trades,
            from_bot=bool(from_bot),
        )
        for at, kind, run, start, quote, base, pnl, trades, from_bot in rows
    ]


def first_at(db: sqlite3.Connection) -> float | None:
    """Return when the oldest sample of all was taken."""
    row = db.execute("SELECT min(at) FROM samples").fetchone()
    return None if row[0] is None else float(row[0])


def last_sample(db: sqlite3.Connection, instance: str) -> Sample | None:
    """Return an instance's newest sample that was not filled in."""
    row = db.execute(
        "SELECT at, state, doing, kind, run, start, quote, base, pnl, realized, fees, position, price,"
        " trades, from_bot"
        " FROM samples WHERE instance = ? AND NOT from_bot ORDER BY at DESC LIMIT 1",
        (instance,),
    ).fetchone()
    return _sample(row) if row else None


def run_ends(db: sqlite3.Connection, instance: str, until: float = EVER) -> list[Sample]:
    """Return the last sample with a P&L of each run, the newest first: a look-up a run, however many samples.

    A bot that does not say when its runs began has one.
    """
    ends: list[Sample] = []
    before = until
    while True:
        row = db.execute(
            "SELECT at, state, doing, kind, run, start, quote, base, pnl, realized, fees, position, price,"
            " trades, from_bot"
            " FROM samples WHERE instance = ?1 AND at < ?2 AND pnl IS NOT NULL"
            " AND (?3 IS NULL OR run IS NULL OR abs(run - ?3) >= 1) ORDER BY at DESC LIMIT 1",
            (instance, before, ends[-1].run if ends else None),
        ).fetchone()
        if row is None:
            return ends
        sample = _sample(row)
        ends.append(sample)
        if sample.run is None:
            return ends
        before = min(sample.run, sample.at)  # a run begins ahead of its samples if the clock was set back


FILL = "fill {}"
"""The fact of an instance: when its databases were last read, and why not all of them."""


def why_not_filled(db: sqlite3.Connection, instance: str) -> Text | None:
    """Return why not all of an instance's databases could be read when they last were."""
    last = fact(db, FILL.format(instance))
    why = kept_text.unkept(last.get("why")) if isinstance(last, dict) else None
    return why if why is None or isinstance(why, Text) else Text("{why}", why=why) if why else None


def exits_since(db: sqlite3.Connection, instance: str, since: float) -> set[float]:
    """Return when the exits were that are known, from that moment on."""
    rows = db.execute(
        "SELECT at FROM events WHERE instance = ? AND what = 'exit' AND at >= ?", (instance, since)
    )
    return {float(row[0]) for row in rows}


def events(db: sqlite3.Connection, instance: str | None, since: float = 0.0) -> list[Event]:
    """Return the events of an instance, of all for None, oldest first."""
    rows = db.execute(
        "SELECT at, instance, what, text, reason FROM events WHERE at >= ?1 AND (?2 IS NULL OR instance ="
        " ?2)"
        " ORDER BY at, id",
        (since, instance),
    )
    return [
        Event(at, of, event, text, None if reason is None else json.loads(reason))
        for at, of, event, text, reason in rows
    ]


def trades(db: sqlite3.Connection, chosen: Sequence[str], since: float = 0.0) -> list[Trade]:
    """Return the trades of these instances, oldest first."""
    marks = ",".join("?" * len(chosen))
    rows = db.execute(
        "SELECT at, instance, exchange, symbol, kind, trade_id, order_id, side, price, quantity, fee,"
        " fee_currency,"
        f" is_maker, position, realized FROM trades WHERE at >= ? AND instance IN ({marks})"
        " ORDER BY at, trade_id",
        (since, *chosen),
    )
    return [_trade(row) for row in rows]


def _trade(row: Sequence[Any]) -> Trade:
    at, instance, exchange, symbol, kind, trade_id, order_id, side, *amounts = row
    price, quantity, fee, fee_currency, is_maker, position, realized = amounts
    return Trade(
        at,
        instance,
        exchange,
        symbol,
        kind,
        trade_id,
        order_id,
        side,
        Decimal(price),
        Decimal(quantity),
        Decimal(fee),
        fee_currency,
        bool(is_maker),
        _amount(position),
        _amount(realized),
    )


def runs(db: sqlite3.Connection, instance: str) -> list[Run]:
    """Return an instance's runs, oldest first."""
    rows = db.execute(
        "SELECT began, ended, why, kind FROM runs WHERE instance = ? ORDER BY began", (instance,)
    )
    return [Run(*row) for row in rows]


def present_run(db: sqlite3.Connection, instance: str) -> float | None:
    """Return when the run began that was sampled last; None where no sample says."""
    row = db.execute(
        "SELECT run FROM samples WHERE instance = ? AND run IS NOT NULL ORDER BY at DESC LIMIT 1", (instance,)
    ).fetchone()
    return None if row is None else float(row[0])


def last_seen(db: sqlite3.Connection, instance: str, run: Run) -> float | None:
    """Return when this run was last sampled while its bot was up."""
    row = db.execute(
        "SELECT max(at) FROM samples WHERE instance = ? AND run BETWEEN ? AND ?"
        " AND state IN ('starting', 'running', 'unhealthy')",
        (instance, run.began - 1, run.began + 1),
    ).fetchone()
    return None if row[0] is None else float(row[0])


def watched(db: sqlite3.Connection) -> list[Span]:
    """Return when a watch ran, oldest first."""
    return [Span(*row) for row in db.execute("SELECT begin, end FROM watched ORDER BY begin")]


def covered(db: sqlite3.Connection, instance: str, since: float = 0.0) -> list[Span]:
    """Return when it is known what the instance did, by begin; without what ended before `since`."""
    rows = db.execute(
        "SELECT begin, end FROM watched WHERE end >= ?2 UNION ALL"
        " SELECT begin, end FROM filled WHERE instance = ?1 AND end >= ?2 ORDER BY 1, 2",
        (instance, since),
    )
    return [Span(*row) for row in rows]


def _sample(row: Sequence[Any]) -> Sample:
    at, state, doing, kind, run, start, quote, base, *amounts, trades, from_bot = row
    pnl, realized, fees, position, price = map(_amount, amounts)
    return Sample(
        at,
        state,
        doing,
        kind,
        run,
        start,
        quote,
        base,
        pnl,
        realized,
        fees,
        position,
        price,
        trades,
        bool(from_bot),
    )


def _amount(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None
