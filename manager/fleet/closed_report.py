"""Put into a stopped bot's kept report what closing has left: no other program writes it again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from manager.fleet import bot_report, supervisor_state
from manager.util import atomic_file, strict_json

FIGURES = ("entry_price", "price", "pnl", "unrealized", "realized", "fees", "trades", "last_fill")
"""What closing changes beside the position."""
MAX_LENGTH = bot_report.MAX_NUMBER_LENGTH


def keep(state_dir: Path, position: Decimal | None, figures: Mapping[str, Any]) -> None:
    """Replace the position in the kept report, and the figures that depend on it.

    `position` None: it is not known. What `figures` do not say is unknown from now on, too. A report that was
    no supervisor's copy is left alone, and so is one that cannot be written.
    """
    path = state_dir / supervisor_state.REPORT_FILE
    with suppress(OSError, ValueError, RecursionError):
        content = strict_json.read_bytes(path, bot_report.MAX_BYTES, follow=False)
        raw = json.loads(content) if len(content) <= bot_report.MAX_BYTES else None
        if not isinstance(raw, dict) or not isinstance(raw.get("report"), dict):
            return
        left, now = None if position is None else format(position, "f"), round(time.time(), 3)
        report = {
            **raw["report"],
            **{name: _figure(figures.get(name)) for name in FIGURES},
            "position": left,
            "position_at_exchange": left,
            "at": now,
        }
        changed = {**raw, "written_at": now, "report": report}
        atomic_file.replace_bytes(path, json.dumps(changed).encode() + b"\n", 0o644)


def _figure(value: Any) -> str | int | float | None:
    """Return a number as the program gives it; it comes from the bot's image."""
    is_number = bot_report.amount(value) is not None and len(str(value)) <= MAX_LENGTH
    return value if is_number else None
