"""Put into a stopped bot's kept report what is left at its exchange: no other program writes it again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from manager.fleet import bot_report, supervisor_state
from manager.fleet.bot_report import Position
from manager.typed import Any
from manager.util import atomic_file, strict_json

FIGURES = (
    *("entry_price", "price", "pnl", "unrealized", "realized", "fees", "trades", "last_fill"),
    *("maker_share", "reject_rate", "max_drawdown", "profit_per_grid", "apr"),
)
"""What closing changes beside the position."""
OF_THE_END = ("final", "condition", "reason", "why", "exit_code", "confirmed", "position_at_exchange")
"""How a run has ended: of the one before, where a bot was killed before its first report."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


def keep(
    state_dir: Path, position: Decimal | None, figures: Mapping[str, Any], *, is_settled: bool = False
) -> None:
    """Replace the position in the kept report, and the figures that depend on it.

    `position` None: it is not known. What `figures` do not say is unknown from now on, too. `is_settled`: no
    order is left that may change it. A report that was no supervisor's copy is left alone until then, and so
    is one that cannot be written.
    """
    left = None if position is None else format(position, "f")
    changed = {name: _figure(figures.get(name)) for name in FIGURES}
    others = {"open_orders_left": 0, "run_ended": True} if is_settled else NOTHING
    _change(state_dir, {**changed, "position": left, "position_at_exchange": left}, others)


def keep_answer(state_dir: Path, orders_left: int, position: Position | None) -> None:
    """Put into the kept report what the exchange says that a bot has left that did not say it itself.

    Once its container is removed, nothing else can tell. A bot that was killed before its first report gets
    one.
    """
    report: dict[str, Any] = {"mode": "live"}
    if position is not None:
        report |= {"position_at_exchange": format(position.amount, "f")}
        report |= {"base": position.base} if position.base else {}
    others = {"open_orders_left": orders_left, "run_ended": True}
    if not os.path.lexists(state_dir / supervisor_state.REPORT_FILE):
        _write(state_dir, {**others, "report": report})
    else:
        _change(state_dir, report, others)


def _change(state_dir: Path, report: Mapping[str, Any], others: Mapping[str, Any] = NOTHING) -> None:
    """Change the report, and `others` beside it. One that was no supervisor's copy, but the bot's own file,
    is left alone unless its orders are told, which no bot will tell again. A damaged copy always is.
    """
    with suppress(OSError, ValueError, RecursionError):
        content = strict_json.read_bytes(
            state_dir / supervisor_state.REPORT_FILE, bot_report.MAX_BYTES, follow=False
        )
        raw = json.loads(content) if len(content) <= bot_report.MAX_BYTES else None
        if isinstance(raw, dict) and "open_orders_left" in others and {"schema", "report"}.isdisjoint(raw):
            raw = {"report": raw}
        if isinstance(raw, dict) and isinstance(raw.get("report"), dict):
            told_at = raw.pop(bot_report.ORDERS_TOLD_AT, raw["report"].get("at") or raw.get("written_at"))
            if "open_orders_left" not in others:  # the file's time is another from now on
                raw[bot_report.ORDERS_TOLD_AT] = told_at
            own = raw["report"]
            if "run_ended" in others and raw.pop("previous_run", False) is True:  # told of the last run now
                own = {name: value for name, value in own.items() if name not in OF_THE_END}
            _write(state_dir, {**raw, **others, "report": {**own, **report}})


def _write(state_dir: Path, changed: Mapping[str, Any]) -> None:
    now = round(time.time(), 3)
    content = {**changed, "written_at": now, "report": {**changed["report"], "at": now}}
    with suppress(OSError):
        atomic_file.replace_bytes(
            state_dir / supervisor_state.REPORT_FILE, json.dumps(content).encode() + b"\n", 0o644
        )


def _figure(value: Any) -> str | int | float | None:
    """Return a number as the program gives it; it comes from the bot's image."""
    return value if bot_report.amount(value) is not None else None
