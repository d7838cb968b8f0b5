"""Cache the fleet's settings: in the file of the configs' cache, of which `logs ID` needs no more.

It is in the user's cache folder and valid while config/fleet.toml and this program have not changed.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

from manager import __version__
from manager.config.fleet import Alerts, DiskRules, Fleet, HistoryRules, Limits, Sums
from manager.typed import TYPE_CHECKING, Any
from manager.util import source_stamp

if TYPE_CHECKING:
    from decimal import Decimal

PATHS = ("project_dir", "data_dir")


def read(project_dir: Path) -> Fleet | None:
    """Return the settings of a project folder; None when they must be loaded."""
    try:
        content = json.loads(path(project_dir).read_bytes())
        now = signature(project_dir)
        return fleet_from(content["fleet"]) if content["signature"][: len(now)] == now else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ArithmeticError):
        return None


def path(project_dir: Path) -> Path:
    """Return the path of a project's cache file. Raises RuntimeError for a user without a home folder.

    Two projects whose names collide share a file, and only lose the benefit of the cache.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if not base.is_absolute():  # it would be another one in each folder
        raise RuntimeError(f"not an absolute path: {base}")
    return base / "botfleet" / f"{project_dir.name}-{zlib.crc32(os.fsencode(project_dir)):08x}.json"


def signature(project_dir: Path) -> list[Any]:
    """Return a value that changes with the settings, this program, the machine's name and cores."""
    program = [__version__, source_stamp.of_loaded("config")]
    machine = [os.cpu_count(), os.uname().nodename]
    return [program, machine, stamp(project_dir / "config" / "fleet.toml")]


def stamp(path: Path | os.DirEntry[str]) -> list[Any]:
    """Return what changes with each change of a file."""
    try:
        stat = path.stat()
    except OSError:
        return [path.name]
    return [path.name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def plain(fleet: Fleet) -> dict[str, Any]:
    """Convert the settings to plain data for `fleet_from`: amounts as text, because JSON's numbers are not
    exact.
    """
    sums, limits = fleet.sums, fleet.limits
    return {
        **fleet._asdict(),
        **{name: str(getattr(fleet, name)) for name in PATHS},
        "sums": [sums.currency, [[currency, str(rate)] for currency, rate in sums.rates]],
        "limits": [str(limits.fleet_daily_loss), str(limits.account_daily_loss), limits.on_loss],
    }


def fleet_from(raw: dict[str, Any]) -> Fleet:
    first, *others = raw["alerts"]
    currency, rates = raw["sums"]
    of_fleet, of_account, on_loss = raw["limits"]
    nested = {
        "alerts": Alerts(tuple(first), *others),
        "sums": Sums(currency, tuple((of, _decimal(rate)) for of, rate in rates)),
        "limits": Limits(_limit(of_fleet), _limit(of_account), on_loss),
        "history": HistoryRules(*raw["history"]),
        "disk": DiskRules(*raw["disk"]),
        "requests": tuple(
            (exchange, tuple((key, value) for key, value in changed)) for exchange, changed in raw["requests"]
        ),
    }
    return Fleet(**{**with_tuples(raw), **{name: Path(raw[name]) for name in PATHS}, **nested})


def _limit(text: str) -> Decimal | int:
    """Return an amount; where none is set, without loading `decimal`."""
    return 0 if text == "0" else _decimal(text)


def _decimal(text: str) -> Decimal:
    from decimal import Decimal

    return Decimal(text)


def with_tuples(raw: dict[str, Any]) -> dict[str, Any]:
    """Turn lists back into tuples: JSON has no tuples, and our plain data has no lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
