"""Write the report that the supervisor reads."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


def write(path: Path | None, *, open_orders_left: int, confirmed: bool, why: str) -> None:
    """Write the report, whole or not at all.

    `confirmed` means that the count was read from the exchange, not assumed.
    """
    if path is None:
        return
    text = json.dumps(
        {
            "open_orders_left": open_orders_left,
            "confirmed": confirmed,
            "why": why,
            "at": round(time.time(), 3),
        }
    )
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
