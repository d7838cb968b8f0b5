"""Find out the name of the host's time zone, for containers, which have no /etc/localtime of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from manager.util.real_path import real_path

LOCALTIME = Path("/etc/localtime")
TIMEZONE = Path("/etc/timezone")
ZONES = Path("/usr/share/zoneinfo")
ZONEINFO = "/zoneinfo/"
MAX_BYTES = 65_536
TZIF = b"TZif"


def time_zone() -> str:
    """Return the host's zone (`Asia/Taipei`), by its /etc/localtime: a link to the zone's file, or a copy.

    Not the caller's TZ: two users with different zones would restart each other's bots.
    """
    if linked := _linked():
        return linked
    rules = _content(LOCALTIME)
    if not rules.startswith(TZIF):
        return _named() or "UTC"
    copied = next((name for name in _candidates() if _is_copy(name, rules)), "")
    return copied or _named() or _rule_text(rules) or "UTC"


def earlier_time_zone() -> str:
    """Return what versions before 0.2 took for the zone: bots that they started are not restarted for it."""
    return _linked() or _named() or "UTC"


def _linked() -> str:
    return str(real_path(LOCALTIME)).partition(ZONEINFO)[2]


def _named() -> str:
    """Return the zone that Debian keeps as a name. After a change by hand it may be another one."""
    try:
        return TIMEZONE.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _candidates() -> Iterator[str]:
    """Yield the names that are tried: the likely ones, then one for each region with rules of its own."""
    yield from (_named(), "UTC")
    try:
        table = (ZONES / "zone1970.tab").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    for line in table.splitlines():
        columns = line.split("\t")
        if len(columns) >= 3 and not line.startswith("#"):
            yield columns[2]


def _is_copy(name: str, rules: bytes) -> bool:
    path = ZONES / name
    try:
        return bool(name) and path.stat().st_size == len(rules) and path.read_bytes() == rules
    except (OSError, ValueError):
        return False


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES)
    except OSError:
        return b""


def _rule_text(rules: bytes) -> str:
    """Return the rule in POSIX form at the end of a zone's file, such as `CST-8`; empty without one."""
    last = rules.removesuffix(b"\n").rpartition(b"\n")[2]
    return last.decode("ascii", "replace") if last.isascii() and last.decode().isprintable() else ""
