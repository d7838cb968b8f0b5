"""Read facts of the host: pids of container processes, ports, the owner of a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from manager.config.spec import BOT_ID
from manager.util.late_pattern import late_pattern

PROC = Path("/proc")
PORTS = PROC / "sys/net/ipv4"
MOST_PIDS = 1 << 22
"""No kernel assigns a higher pid."""
CONTAINER_ID = late_pattern(rb"[0-9a-f]{64}")
MOST_PARENTS = 16
"""Between a bot and its container's shim there are three."""
MOST_KNOWN = 4000
_Stamp = tuple[int, int]
_known: dict[tuple[str, str, int], tuple[int, _Stamp]] = {}
"""Folder of the processes, container id, pid inside → pid on the host as it was last found, and the stamp of
its folder. While that stays, no file of the process need be read: two of each of 400 processes were 25 ms.
"""


def host_pids(
    wanted: Iterable[tuple[str, int]], likely: Iterable[int] = (), proc: Path = PROC
) -> dict[tuple[str, int], int]:
    """Return (container id, pid inside) → pid on the host, for those found.

    `NSpid` in /proc/PID/status is the inner pid, the cgroup's path contains the container id: far cheaper
    than an inspect call each. Pids that were found before are checked first, then `likely` ones, then the
    youngest processes: with 40 bots 2 ms instead of 26.
    """
    missing = set(wanted)
    pids = _still_there(missing, proc)
    missing.difference_update(pids)
    if not missing:
        return pids
    inner_pids = {str(inner).encode() for _container, inner in missing}
    others = {*pids.values()}
    for pid in _candidates(likely, proc):
        if pid in others:
            continue
        stamp = _stamp(pid, proc)  # before the files, which might be those of the pid's next process
        inner = _inner_pid(f"{proc}/{pid}/status")
        if inner not in inner_pids:
            continue
        for container in _container_ids(pid, proc):
            key = container.decode(), int(inner)
            if key in missing:
                pids[key] = pid
                missing.discard(key)
                _remember(key, pid, stamp, proc)
        if not missing:  # before the next candidate is asked for: that may list all processes
            break
    return pids


def _still_there(wanted: Collection[tuple[str, int]], proc: Path) -> dict[tuple[str, int], int]:
    """Return those that were found before, and are the same processes."""
    pids = {}
    for container, inner in wanted:
        known = _known.get((f"{proc}", container, inner))
        if known is not None and _stamp(known[0], proc) == known[1]:
            pids[container, inner] = known[0]
    return pids


def _stamp(pid: int, proc: Path) -> _Stamp | None:
    """Return what no other process has: the kernel makes a folder anew for each, also when a pid comes again,
    and now and then for the same process.
    """
    try:
        status = os.lstat(f"{proc}/{pid}")
    except OSError:
        return None
    return status.st_ino, status.st_ctime_ns


def _remember(key: tuple[str, int], pid: int, stamp: _Stamp | None, proc: Path) -> None:
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    if stamp is not None:
        _known[f"{proc}", *key] = pid, stamp


def _container_ids(pid: int, proc: Path) -> set[bytes]:
    """Return the ids in the path of a process's cgroup.

    A rootless engine may have no cgroups: then those in the command line of the shim above the container.
    """
    ids = set(CONTAINER_ID.findall(_read(f"{proc}/{pid}/cgroup")))
    if ids:
        return ids
    for _step in range(MOST_PARENTS):
        pid = parent_pid(pid, proc)
        if not pid or not is_in_container(pid, proc):  # what runs outside has an honest command line
            return set(CONTAINER_ID.findall(_read(f"{proc}/{pid}/cmdline"))) if pid else set()
    return set()


def _candidates(likely: Iterable[int], proc: Path) -> Iterator[int]:
    yield from likely
    last = _last_pid(proc)
    pids = (int(entry.name) for entry in os.scandir(proc) if entry.name.isdigit())
    yield from sorted(pids, key=lambda pid: (last - pid) % MOST_PIDS)


def _last_pid(proc: Path) -> int:
    """Return the last assigned pid: pids wrap around, so the youngest process need not have the highest."""
    last = _read(f"{proc}/loadavg").split()[-1:]
    return int(last[0]) if last else 0


def _inner_pid(status_file: str) -> bytes:
    """Return the innermost pid of a process in another pid namespace; empty for one in ours."""
    _before, _label, rest = _read(status_file).partition(b"\nNSpid:")
    pids = rest.partition(b"\n")[0].split()
    return pids[-1] if len(pids) > 1 else b""


def is_in_container(pid: int, proc: Path = PROC) -> bool:
    """Return whether the process has a pid namespace of its own."""
    return bool(_inner_pid(f"{proc}/{pid}/status"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path costs more than the read
            return stream.read(4096)
    except OSError:
        return b""


def parent_pid(pid: int, proc: Path = PROC) -> int:
    """Return the parent's pid; 0 if the process does not exist."""
    _before, _label, rest = _read(f"{proc}/{pid}/status").partition(b"\nPPid:")
    return int(rest.partition(b"\n")[0] or 0)


def outgoing_ports() -> range:
    """Return the ports that the kernel gives to outgoing connections; none where it does not say."""
    words = _read(f"{PORTS}/ip_local_port_range").split()
    return range(int(words[0]), int(words[1]) + 1) if len(words) == 2 else range(0)


def is_reserved(port: int) -> bool:
    """Return whether an administrator has excepted this port from them."""
    ranges = _read(f"{PORTS}/ip_local_reserved_ports").decode("ascii").strip()
    for port_range in filter(None, ranges.split(",")):
        first, _dash, last = port_range.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False


def is_port_free(address: str, port: int) -> bool:
    """Return whether nothing listens on this TCP port at the moment.

    Where only this user, or nobody, can listen there, nothing does: the engine says why, if it cannot either.
    """
    return _bind_fault(address, port) != errno.EADDRINUSE


def why_unusable(address: str) -> str:
    """Return why nothing can listen at this address: it is not this machine's, or there is no IPv6. Empty if
    something can.
    """
    fault = _bind_fault(address, 0)
    return os.strerror(fault) if fault else ""


def _bind_fault(address: str, port: int) -> int:
    """Return the number of the error with which a listener would end; 0 if it would not."""
    import socket  # `ps` asks for no port

    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as the engine does: TIME_WAIT is no listener
            probe.bind((address, port))
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def bot_owner(data_dir: Path) -> tuple[int, int]:
    """Return the (uid, gid) that bots run as: the data folder's owner, but never root. Raises OSError."""
    owner = data_dir.stat()
    if owner.st_uid == 0:
        return BOT_ID, BOT_ID
    return owner.st_uid, owner.st_gid
