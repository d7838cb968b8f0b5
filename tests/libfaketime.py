"""Find libfaketime, with which a process sees another time."""

from __future__ import annotations

from pathlib import Path

LIBFAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
