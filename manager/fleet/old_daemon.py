"""Find what the old system runs in its folder: its daemons and their bots, as processes of the host.

Its pid files and records are unreliable: it deleted files of running bots, and lost records.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from manager.fleet import host, instances_json
from manager.fleet.instances_json import OLD_PLACE
from manager.typed import NamedTuple
from manager.util import strict_json
from manager.util.real_path import real_path

DEFAULT_CONFIG = "config/daemon_config.json"
DAEMON_WORD = re.compile(r"(^|/)daemon_manager(\.py)?$|^core\.daemon_manager$")
BOT_SCRIPT = "run.py"
BOT_WORD = re.compile(rf"(^|/){re.escape(BOT_SCRIPT)}$")
PASSING = frozenset({"stop", "status", "list"})
"""Commands of the old system that end by themselves, with command lines like a daemon's."""

MAX_PID_BYTES = 32


class Daemon(NamedTuple):
    """Hold a running daemon: its config, as far as its command line tells, and the processes it started.

    `is_sure`: its folder is known too.
    """

    pid: int
    config: Path
    is_sure: bool
    children: frozenset[int] = frozenset()


class Running(NamedTuple):
    """Hold what runs one instance: its daemons, and their bots, including orphaned ones.

    `may_stop`: those that certainly belong to this folder, and may get a signal.
    """

    daemons: tuple[int, ...] = ()
    bots: tuple[int, ...] = ()
    may_stop: frozenset[int] = frozenset()

    @property
    def pids(self) -> tuple[int, ...]:
        """Return all of them, daemons first."""
        return (*self.daemons, *self.bots)


class Loose(NamedTuple):
    """Hold a bot that runs in the folder without a running daemon. `words`: of its command line."""

    pid: int
    words: frozenset[str]


class OldSystem(NamedTuple):
    """Hold one folder of the old system at one moment. `records`: None if its registry cannot be parsed."""

    folder: Path
    records: Mapping[str, Any] | None
    daemons: tuple[Daemon, ...]
    loose: tuple[Loose, ...] = ()

    def record(self, instance: str) -> dict[str, Any]:
        """Return the registry's record of an instance; empty if there is none."""
        record = (self.records or {}).get(instance)
        return record if isinstance(record, dict) else {}

    def running(self, instance: str, config: Path, log_dir: str, market: Sequence[str] = ()) -> Running:
        """Return what runs this instance. `config`: its file; `log_dir`: relative to the folder.

        `market`: exchange and symbol, by which a bot without daemon and pid file is recognised. That is not
        certain, so it is reported, but never gets a signal.
        """
        ours = [daemon for daemon in self.daemons if daemon.config == real_path(config)]
        named = set(self._named(instance, log_dir))
        daemons = {daemon.pid for daemon in ours}
        bots = {pid for pid in named - daemons if _is_bot(pid, self.folder)}
        registered = instances_json.living_pid(self.record(instance))
        bots |= {registered} - daemons if _may_be_of(registered, self.folder) else set()
        for daemon in self.daemons:
            bots = bots | daemon.children if daemon.pid in daemons else bots - daemon.children - {daemon.pid}
        sure = {daemon.pid for daemon in ours if daemon.is_sure or daemon.pid in named}
        sure |= {pid for pid in bots if _is_of(pid, self.folder)}
        if market:
            bots |= {bot.pid for bot in self.loose if bot.words.issuperset(market)}
        return Running(tuple(sorted(daemons)), tuple(sorted(bots)), frozenset(sure))

    def _named(self, instance: str, log_dir: str) -> Iterator[int]:
        """Yield the pids in the registry and the pid files."""
        yield instances_json.living_pid(self.record(instance))
        for folder in {self.folder / "logs" / instance, self.folder / log_dir}:
            for name in ("daemon.pid", "bot.pid"):
                yield _pid_in(folder / name)


def look(folder: Path) -> OldSystem:
    """Read the registry and the host's processes once, for any number of instances."""
    folder = real_path(folder)
    daemons, loose = _processes(folder)
    return OldSystem(folder, instances_json.read(folder / OLD_PLACE), daemons, loose)


def is_alive(pid: int) -> bool:
    """Return whether the process exists and has not ended. A zombie has ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def _processes(folder: Path) -> tuple[tuple[Daemon, ...], tuple[Loose, ...]]:
    """Return the host's daemons, and this folder's bots that none of them started."""
    children: dict[int, set[int]] = {}
    found_daemons: list[Daemon] = []
    bots: list[Loose] = []
    for process in psutil.process_iter(["cmdline", "ppid", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        children.setdefault(process.info["ppid"], set()).add(process.pid)
        words = process.info["cmdline"] or []
        if any(map(DAEMON_WORD.search, words)) and not PASSING.intersection(words):
            found_daemons.append(_daemon(process, words, folder))
        elif any(map(BOT_WORD.search, words)):
            bots.append(Loose(process.pid, frozenset(word.rpartition("=")[2] for word in words)))
    daemons = tuple(
        daemon._replace(children=frozenset(_descendants(daemon.pid, children))) for daemon in found_daemons
    )
    owned = {pid for daemon in daemons for pid in daemon.children}
    loose = (bot for bot in bots if bot.pid not in owned and _is_of(bot.pid, folder))
    return daemons, tuple(loose)


def _descendants(pid: int, children: Mapping[int, set[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from _descendants(child, children)


def _daemon(process: psutil.Process, words: Sequence[str], folder: Path) -> Daemon:
    """Describe a daemon. One that changed its folder to `/` is assumed to have a relative path of ours."""
    written = _option(words) or DEFAULT_CONFIG
    with contextlib.suppress(psutil.Error, OSError):
        path = Path(process.cwd(), written)
        if path.exists():
            return Daemon(process.pid, real_path(path), is_sure=True)
    return Daemon(process.pid, real_path(folder / written), is_sure=Path(written).is_absolute())


def _option(words: Sequence[str]) -> str:
    for index, word in enumerate(words):
        if word in {"--config", "-c"}:
            return words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--config="):
            return word.partition("=")[2]
    return ""


def _pid_in(path: Path) -> int:
    """Return the pid in a pid file; 0 if there is none, or it was reused by a younger process."""
    with contextlib.suppress(OSError, ValueError, OverflowError, psutil.Error):
        pid = int(strict_json.read_bytes(path, MAX_PID_BYTES, follow=False))
        written = path.stat().st_mtime
        return (
            pid
            if pid > 0 and psutil.Process(pid).create_time() <= written + instances_json.CLOCK_SLACK_S
            else 0
        )
    return 0


def _is_bot(pid: int, folder: Path) -> bool:
    """Return whether a pid from a pid file is a bot's."""
    if not pid or not is_alive(pid):
        return False
    with contextlib.suppress(psutil.Error):
        if any(map(BOT_WORD.search, psutil.Process(pid).cmdline())):
            return True
    return _is_of(pid, folder)


def _may_be_of(pid: int, folder: Path) -> bool:
    """Return whether a registered pid may still be this folder's, and was not given to another program.

    The old system wrote new times into dead records. A process that does not show is not ruled out.
    """
    if not pid or not is_alive(pid):
        return False
    try:
        process = psutil.Process(pid)
        words, at = process.cmdline(), real_path(Path(process.cwd()))
    except (psutil.Error, OSError):
        return is_alive(pid)
    is_known = any(BOT_WORD.search(word) or DAEMON_WORD.search(word) for word in words)
    return is_known or at.is_relative_to(folder) or any(str(folder) in word for word in words)


def _is_of(pid: int, folder: Path) -> bool:
    """Return whether the process works in this folder, outside of containers."""
    with contextlib.suppress(psutil.Error, OSError):
        return real_path(Path(psutil.Process(pid).cwd())) == folder and not host.is_in_container(pid)
    return False
