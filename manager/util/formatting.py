"""Format sizes, shares, ages and times.

Files and disks use powers of 1000 (MB, GB), as disks are sold and as fleet.toml limits them; memory uses
powers of 1024 (MiB), as the engine and the configs' `memory_limit_mb` do. Times are local; those without an
offset are for readers of the old system.
"""

from __future__ import annotations

import time

from manager.i18n import Text, mark
from manager.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from decimal import Decimal

MB, GB = 10**6, 10**9
MIB = 1 << 20


SECONDS, MINUTES, HOURS, DAYS = (
    mark("{count}s"),
    mark("{count}m"),
    mark("{count}h{minutes}m"),
    mark("{count}d"),
)


def age(seconds: float) -> str:
    """Return `42s`, `7m`, `3h05m`, `12d`, for a column."""
    template, params = _age(seconds)
    return template.format(**params)


def elapsed(seconds: float) -> Text:
    """Return the same for a sentence, in which a reader's language has its own words: `15 分鐘`."""
    template, params = _age(seconds)
    return Text(template, **params)


def _age(seconds: float) -> tuple[str, dict[str, object]]:
    seconds = max(0, int(seconds))
    minutes = seconds // 60
    if seconds < 60:
        return SECONDS, {"count": seconds}
    if minutes < 60:
        return MINUTES, {"count": minutes}
    if minutes < 48 * 60:
        return HOURS, {"count": minutes // 60, "minutes": f"{minutes % 60:02}"}
    return DAYS, {"count": minutes // 1440}


def duration(seconds: float) -> Text:
    """Return `4.7 s`, how long something took, for a sentence."""
    return Text("{seconds} s", seconds=f"{seconds:.1f}")


def offset(seconds: float) -> str:
    """Return `+4.7 s`, by what a clock differs, for a sentence."""
    return f"{round(seconds, 1) + 0.0:+.1f} s"


def file_size(count: float) -> str:
    """Return `812 B`, `3.4 MB`, `12 GB`, `1.5 TB`, for a sentence."""
    amount, unit = _scaled(count, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))
    return f"{amount:.3g} {unit}"


def size_beyond(count: int, limit: int) -> str:
    """Return a size that exceeds a limit, or what is free, in other words than that."""
    text = file_size(count)
    return text if text != file_size(limit) else f"{-(-count // 1000):,} kB"


def mebibytes(count: float) -> str:
    """Return `2048 MiB`, as the configs give a memory limit, for a sentence."""
    return f"{count / MIB:.0f} MiB"


def memory_size(count: int | None) -> str:
    """Return `512B`, `9.4M`, `138M`, `1.2G`, in powers of 1024, for a column; empty for None."""
    return "" if count is None else _compact(count, 1024)


def disk_size(count: int) -> str:
    """Return `512B`, `9.4M`, `138M`, `1.2G`, in powers of 1000 as the limits of `[disk]`, for a column."""
    return _compact(count, 1000)


def _compact(count: int, base: int) -> str:
    amount, unit = _scaled(count, base, "BKMGTP")
    return f"{amount:.1f}{unit}" if amount < 99.95 and unit != "B" else f"{amount:.0f}{unit}"


def percent(value: float | Decimal | None) -> str:
    """Return `3.4%`, for a column; empty for None."""
    return "" if value is None else f"{value:.1f}%"


def share(percent: float) -> str:
    """Return `79 %`, `0.5 %`, for a sentence: a percentage in at most one place."""
    return f"{round(percent, 1):g} %"


def _scaled(count: float, base: int, units: Iterable[str]) -> tuple[float, str]:
    """Return the amount in the first of the units in which it takes at most three digits."""
    first, *larger = units
    for unit in larger:
        if count < 999.5:
            break
        count, first = count / base, unit
    return count, first


def _local(epoch: float) -> datetime:
    from _datetime import datetime  # type: ignore[import-not-found]  # without the same in Python: 2 ms

    return datetime.fromtimestamp(epoch)  # type: ignore[no-any-return]


def iso(epoch: float) -> str:
    """Return `2026-01-31T08:00:00`, without an offset, as the old system wrote it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(round(epoch, 6)))


def iso_with_offset(epoch: float) -> str:
    """Return `2026-01-31T08:00:00+08:00`."""
    return _local(epoch).astimezone().isoformat(timespec="seconds")


def iso_precise(epoch: float) -> str:
    """Return `2026-01-31T08:00:00.123456`, as the old system's `status` wrote it."""
    return _local(epoch).isoformat(timespec="microseconds")


def date_and_time(epoch: float) -> str:
    """Return `2026-01-31 08:00:00`."""
    return _local(epoch).strftime("%Y-%m-%d %H:%M:%S")


def day(epoch: float) -> str:
    """Return `2026-01-31`, as the folders of dated logs are named."""
    return time.strftime("%Y-%m-%d", time.localtime(epoch))


def clock(epoch: float) -> str:
    """Return `08:00:00`."""
    return time.strftime("%H:%M:%S", time.localtime(epoch))


def stamp(epoch: float) -> str:
    """Return `20260131-080000`, for a file name."""
    return time.strftime("%Y%m%d-%H%M%S", time.localtime(epoch))


def host_port(host: str, port: int) -> str:
    """Return `host:port` as URLs have it: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
