"""Write runs, orders, trades and cells to one SQLite file (WAL). The loop is the only writer.

An order is stored with its client id before it is sent. A trade, the ledger it changes, its order's filled
quantity and its cell's inventory change in one transaction. So after a kill at any moment the file knows
every order that may exist at the exchange, and no trade is counted twice.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.model.types import ZERO, Fill, Funding, Market, Order, OrderRequest, as_text
from gridbot.store.database import LIVE, OPENING_PNL, open_for_writing, transaction
from gridbot.store.ledger import Ledger, apply_fill, position_change
from gridbot.store.order_reader import OrderReader
from gridbot.store.samples import Samples

# The note of a live order that the exchange has accepted without telling its own id of it.
ACCEPTED = "accepted"
# What the note of a live order begins with that was sent because another one was told to be filled: that
# one's client id and how much of it follow.
TOLD = "told:"


@dataclass(frozen=True, slots=True)
class Run:
    """Hold one run: trading from a fresh start to its completion, restarts included."""

    id: int
    started_at: float
    identity: str
    source: str
    ran_s: float
    paused: bool
    closing: str | None
    grid: dict[str, Any] | None


class Store(OrderReader):
    """Open or create the file and hold its lock until `close`. Raises DatabaseError."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        db, self._lock = open_for_writing(path, durable=durable)
        super().__init__(db)
        self.samples = Samples(self._db)
        self.ledger = Ledger()
        self.generation = 0
        self.run_id = 0
        self._funding: tuple[int, Decimal] | None = None
        self.run_began = 0.0
        self.opening_pnl = ZERO

    def close(self) -> None:
        """Close the file and release its lock."""
        self._db.close()
        os.close(self._lock)

    # runs

    def unfinished_run(self) -> Run | None:
        """Make the latest run that has not ended the current one and return it."""
        row = self._db.execute(
            "SELECT * FROM runs WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return self._adopt(row) if row else None

    def last_run(self) -> Run | None:
        """Make the latest run the current one and return it."""
        row = self._db.execute("SELECT * FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        return self._adopt(row) if row else None

    def begin_run(
        self,
        identity: str,
        source: str,
        settings: Mapping[str, Any],
        ledger: Ledger,
        facts: Mapping[str, str] | None = None,
    ) -> Run:
        """Start a run that begins with `ledger` and `facts`."""
        now = time.time()
        with transaction(self._db):
            self._db.execute(
                "UPDATE runs SET ended_at = ?, ended_why = 'superseded by a new run' WHERE ended_at IS NULL",
                (now,),
            )
            begun = self._db.execute(
                "INSERT INTO runs (started_at, identity, source, settings, ledger) VALUES (?, ?, ?, ?, ?)",
                (now, identity, source, json.dumps(settings, default=str), _dump(ledger)),
            )
            self._db.executemany(
                "INSERT INTO facts VALUES (?, ?, ?)",
                [(begun.lastrowid, name, value) for name, value in (facts or {}).items()],
            )
        run = self.last_run()
        assert run is not None
        return run

    def end_run(self, why: str) -> None:
        """Mark the current run as completed, so that no start resumes it."""
        self._db.execute(
            "UPDATE runs SET ended_at = ?, ended_why = ? WHERE id = ?", (time.time(), why, self.run_id)
        )

    def set_run(self, **values: Any) -> None:
        """Update columns of the current run: paused, closing, ran_s, source."""
        names = ", ".join(f"{name} = ?" for name in values)
        self._db.execute(f"UPDATE runs SET {names} WHERE id = ?", (*values.values(), self.run_id))

    def set_grid(self, grid: Mapping[str, Any], generation: int, cells: Mapping[int, Decimal]) -> None:
        """Replace the grid. Orders of an older generation get cancelled, and their cells no longer count."""
        with transaction(self._db):
            self.generation = generation
            self._db.execute("UPDATE runs SET grid = ? WHERE id = ?", (json.dumps(grid), self.run_id))
            self._write_cells(cells)

    def set_cells(self, cells: Mapping[int, Decimal]) -> None:
        """Replace the inventories of the current grid's cells."""
        with transaction(self._db):
            self._write_cells(cells)

    def _write_cells(self, cells: Mapping[int, Decimal]) -> None:
        rows = [(self.run_id, self.generation, cell, as_text(qty)) for cell, qty in cells.items()]
        self._db.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)", rows)

    def grid(self) -> dict[str, Any] | None:
        """Return what `set_grid` stored for this run."""
        row = self._db.execute("SELECT grid FROM runs WHERE id = ?", (self.run_id,)).fetchone()
        return json.loads(row["grid"]) if row and row["grid"] else None

    def cells(self) -> dict[int, Decimal]:
        """Return the inventory of each cell of the current grid."""
        rows = self._db.execute(
            "SELECT cell, qty FROM cells WHERE run_id = ? AND generation = ?", (self.run_id, self.generation)
        )
        return {row["cell"]: Decimal(row["qty"]) for row in rows}

    def fact(self, name: str) -> str | None:
        """Return what `set_fact` stored for this run."""
        row = self._db.execute(
            "SELECT value FROM facts WHERE run_id = ? AND name = ?", (self.run_id, name)
        ).fetchone()
        return None if row is None else str(row["value"])

    def set_fact(self, name: str, value: str) -> None:
        """Store something that is known of this run."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (self.run_id, name, value))

    # funding

    def add_funding(self, payments: Iterable[Funding]) -> None:
        """Store payments of this run, each once."""
        payments = list(payments)
        renamed = [(one.id, one.former_id, one.at) for one in payments if one.former_id is not None]
        self._db.executemany("UPDATE OR IGNORE funding SET id = ? WHERE id = ? AND at = ?", renamed)
        rows = [(payment.id, self.run_id, payment.at, as_text(payment.amount)) for payment in payments]
        self._db.executemany("INSERT OR IGNORE INTO funding VALUES (?, ?, ?, ?)", rows)
        self._funding = None

    @property
    def funding(self) -> Decimal:
        """Return the sum of the run's payments, below 0 when paid."""
        if self._funding is None or self._funding[0] != self.run_id:
            rows = self._db.execute("SELECT amount FROM funding WHERE run_id = ?", (self.run_id,))
            self._funding = (self.run_id, sum((Decimal(row["amount"]) for row in rows), ZERO))
        return self._funding[1]

    def pnl(self, price: Decimal) -> Decimal:
        """Return the run's profit at `price`, after fees and funding."""
        return self.ledger.pnl(price) + self.funding

    def pnl_since_begin(self, price: Decimal) -> Decimal:
        """Return the run's profit at `price` without what the price did before it began."""
        return self.pnl(price) - self.opening_pnl

    # orders

    def new_order(
        self,
        request: OrderRequest,
        now: float,
        taken: Iterable[int] = (),
        limit: int = 2**32 - 1,
        cause: tuple[int, Decimal] | None = None,
    ) -> Order:
        """Store an order before it is sent, under a client id that neither the file nor `taken` has.

        `cause`: the client id of the order that was told to be filled, and how much of it.
        """
        note = None if cause is None else f"{TOLD}{cause[0]}:{as_text(cause[1])}"
        avoid = set(taken)
        while True:
            client_id = secrets.randbelow(limit) + 1
            if client_id not in avoid and self.order(client_id) is None:
                break
        self._db.execute(
            "INSERT INTO orders (client_id, run_id, generation, slot, cell, side, price, qty, post_only,"
            " market, reduce_only, state, created_at, updated_at, note)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'new', ?, ?, ?)",
            (
                client_id,
                self.run_id,
                self.generation,
                request.slot,
                request.cell,
                request.side,
                as_text(request.price),
                as_text(request.qty),
                request.post_only,
                request.market,
                request.reduce_only,
                now,
                now,
                note,
            ),
        )
        order = self.order(client_id)
        assert order is not None
        return order

    def has_ordered(self) -> bool:
        """Tell whether this run has written down an order, whatever became of it."""
        query = "SELECT 1 FROM orders WHERE run_id = ? LIMIT 1"
        return self._db.execute(query, (self.run_id,)).fetchone() is not None

    def outdated_order_ids(self) -> set[int]:
        """Return the client ids of live orders that belong to an older grid or run."""
        rows = self._db.execute(
            f"SELECT client_id FROM orders WHERE {LIVE} AND (run_id != ? OR generation != ?)",
            (self.run_id, self.generation),
        )
        return {row["client_id"] for row in rows}

    def confirm(self, client_id: int, exchange_id: str) -> None:
        """Mark the order as known to the exchange."""
        self._db.execute(
            "UPDATE orders SET exchange_id = ?, state = 'open', updated_at = ? WHERE client_id = ?",
            (exchange_id, time.time(), client_id),
        )

    def has_exchange_id(self, exchange_id: str) -> bool:
        """Tell whether an order of this run has that id of the exchange."""
        query = "SELECT 1 FROM orders WHERE exchange_id = ? AND run_id = ?"
        return self._db.execute(query, (exchange_id, self.run_id)).fetchone() is not None

    def accept(self, client_id: int) -> None:
        """Mark an order that the exchange has accepted without telling its own id of it.

        Its `cause` stays known.
        """
        note = f"CASE WHEN note LIKE '{TOLD}%' THEN note || ':{ACCEPTED}' ELSE '{ACCEPTED}' END"
        self._db.execute(f"UPDATE orders SET note = {note} WHERE client_id = ?", (client_id,))

    def accepted(self) -> set[int]:
        """Return the client ids of live orders that were accepted without an id, by any process so far."""
        is_accepted = f"exchange_id IS NULL AND note LIKE '%{ACCEPTED}'"
        query = f"SELECT client_id FROM orders WHERE {LIVE} AND {is_accepted}"
        return {row["client_id"] for row in self._db.execute(query)}

    def told_causes(self) -> dict[int, tuple[int, Decimal]]:
        """Return the `cause` that `new_order` stored, of each live order that has one, by client id."""
        query = f"SELECT client_id, note FROM orders WHERE {LIVE} AND note LIKE '{TOLD}%'"
        notes = {row["client_id"]: row["note"].split(":") for row in self._db.execute(query)}
        return {client_id: (int(note[1]), Decimal(note[2])) for client_id, note in notes.items()}

    def set_exchange_id(self, client_id: int, exchange_id: str) -> None:
        """Store the exchange's id of an order, whatever the order's state."""
        self._db.execute("UPDATE orders SET exchange_id = ? WHERE client_id = ?", (exchange_id, client_id))

    def close_order(self, client_id: int, state: str, note: str | None = None) -> None:
        """Give a live order a final state."""
        self._db.execute(
            f"UPDATE orders SET state = ?, note = ?, updated_at = ? WHERE client_id = ? AND {LIVE}",
            (state, note, time.time(), client_id),
        )

    # trades

    def last_trade_time(self) -> float | None:
        """Return the time of the latest trade of the file."""
        value = self._db.execute("SELECT max(at) FROM trades").fetchone()[0]
        return None if value is None else float(value)

    def last_fill_time(self) -> float | None:
        """Return the time of the latest trade of the current run."""
        row = self._db.execute("SELECT max(at) FROM trades WHERE run_id = ?", (self.run_id,)).fetchone()
        return None if row[0] is None else float(row[0])

    def add_trade(self, fill: Fill, order: Order, market: Market) -> bool:
        """Store a fill of `order` and everything it changes. Return False when it is stored already."""
        with transaction(self._db):
            known = self._db.execute(
                "SELECT 1 FROM trades WHERE trade_id = ? AND exchange_id = ?",
                (fill.trade_id, fill.exchange_id),
            ).fetchone()
            if known:
                return False
            ledger = apply_fill(self.ledger, fill, market.base, market.quote)
            self._db.execute(
                "INSERT INTO trades VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    fill.trade_id,
                    fill.exchange_id,
                    order.client_id,
                    self.run_id,
                    fill.at,
                    fill.side,
                    as_text(fill.price),
                    as_text(fill.qty),
                    as_text(fill.fee),
                    fill.fee_currency,
                    fill.maker,
                    as_text(ledger.position),
                    as_text(ledger.realized),
                ),
            )
            row = self._db.execute(
                "SELECT filled, cell, run_id, generation FROM orders WHERE client_id = ?", (order.client_id,)
            ).fetchone()
            self._db.execute(
                "UPDATE orders SET filled = ? WHERE client_id = ?",
                (as_text(Decimal(row["filled"]) + fill.qty), order.client_id),
            )
            self._db.execute("UPDATE runs SET ledger = ? WHERE id = ?", (_dump(ledger), self.run_id))
            if row["cell"] is not None and (row["run_id"], row["generation"]) == (
                self.run_id,
                self.generation,
            ):
                self._move_cell(row["cell"], position_change(fill, market.base))
        self.ledger = ledger
        return True

    def booked(self, client_id: int) -> tuple[Decimal, Decimal]:
        """Return the value and the fees, in the quote currency, of an order's booked fills."""
        rows = self._db.execute(
            "SELECT price, qty, fee FROM trades WHERE client_id = ?", (client_id,)
        ).fetchall()
        return (
            sum((Decimal(row["price"]) * Decimal(row["qty"]) for row in rows), ZERO),
            sum((Decimal(row["fee"]) for row in rows), ZERO),
        )

    def _move_cell(self, cell: int, change: Decimal) -> None:
        key = (self.run_id, self.generation, cell)
        row = self._db.execute(
            "SELECT qty FROM cells WHERE run_id = ? AND generation = ? AND cell = ?", key
        ).fetchone()
        qty = (Decimal(row["qty"]) if row else ZERO) + change
        self._db.execute("INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)", (*key, as_text(qty)))

    def _adopt(self, row: sqlite3.Row) -> Run:
        grid = json.loads(row["grid"]) if row["grid"] else None
        self.run_id = row["id"]
        self.run_began = row["started_at"]
        self.generation = int(grid["generation"]) if grid else 0
        self.ledger = _load(row["ledger"])
        self.opening_pnl = Decimal(self.fact(OPENING_PNL) or 0)
        return Run(
            row["id"],
            row["started_at"],
            row["identity"],
            row["source"],
            row["ran_s"],
            bool(row["paused"]),
            row["closing"],
            grid,
        )


def _dump(ledger: Ledger) -> str:
    return json.dumps({name: str(value) for name, value in asdict(ledger).items()})


def _load(text: str) -> Ledger:
    raw = json.loads(text)
    trades = int(raw.pop("trades"))
    return Ledger(**{name: Decimal(value) for name, value in raw.items()}, trades=trades)
