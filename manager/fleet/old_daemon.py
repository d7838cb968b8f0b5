"""What the old system runs in its folder: its daemons and their bots, as processes of the host.

Its pid files and records are not enough to go by: it deleted the files of living bots, and lost records.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from manager.fleet import host, instances_json
from manager.fleet.instances_json import OLD_PLACE
from manager.util import strict_json

DEFAULT_CONFIG = "config/daemon_config.json"
DAEMON_WORD = re.compile(r"(^|/)daemon_manager(\.py)?$|^core\.daemon_manager$")
BOT_SCRIPT = "run.py"
BOT_WORD = re.compile(rf"(^|/){re.escape(BOT_SCRIPT)}$")
PASSING = frozenset({"stop", "status", "list"})
"""Commands of the old system that end by themselves, with words like a daemon's."""

MAX_PID_BYTES = 32


class Daemon(NamedTuple):
    """A daemon that runs: of which config, as far as its command line tells, and what it has started.

    `is_sure`: its folder is known too.
    """

    pid: int
    config: Path
    is_sure: bool
    children: frozenset[int] = frozenset()


class Running(NamedTuple):
    """What runs one instance: its daemons, and the bots that are theirs or that they left behind.

    `may_stop`: those that are certainly this folder's, and may be sent a signal.
    """

    daemons: tuple[int, ...] = ()
    bots: tuple[int, ...] = ()
    may_stop: frozenset[int] = frozenset()

    @property
    def pids(self) -> tuple[int, ...]:
        """All of them, daemons first."""
        return (*self.daemons, *self.bots)


class Loose(NamedTuple):
    """A bot at work in the folder under none of the daemons that run. `words`: what its command line is made of."""

    pid: int
    words: frozenset[str]


class OldSystem(NamedTuple):
    """One folder of the old system at one moment. `records`: None where its registry cannot be parsed."""

    folder: Path
    records: Mapping[str, Any] | None
    daemons: tuple[Daemon, ...]
    loose: tuple[Loose, ...] = ()

    def record(self, instance: str) -> dict[str, Any]:
        """What the registry says of an instance; empty for nothing."""
        found = (self.records or {}).get(instance)
        return found if isinstance(found, dict) else {}

    def running(self, instance: str, config: Path, log_dir: str, market: Sequence[str] = ()) -> Running:
        """What runs this instance now. `config`: its file; `log_dir`: relative to the folder.

        `market`: exchange and symbol. A bot that has lost its daemon and its pid file can only be told by these, and not for
        certain: it is seen, and never sent a signal.
        """
        ours = [each for each in self.daemons if each.config == config.resolve()]
        named = set(self._named(instance, log_dir))
        daemons = {each.pid for each in ours}
        bots = {pid for pid in named - daemons if _is_bot(pid, self.folder)}
        bots |= {instances_json.living_pid(self.record(instance))} - daemons - {0}
        for each in self.daemons:
            bots = bots | each.children if each.pid in daemons else bots - each.children - {each.pid}
        sure = {each.pid for each in ours if each.is_sure or each.pid in named}
        sure |= {pid for pid in bots if _is_of(pid, self.folder)}
        if market:
            bots |= {each.pid for each in self.loose if each.words.issuperset(market)}
        return Running(tuple(sorted(daemons)), tuple(sorted(bots)), frozenset(sure))

    def _named(self, instance: str, log_dir: str) -> Iterator[int]:
        """The pids that the registry and the pid files name."""
        yield instances_json.living_pid(self.record(instance))
        for folder in {self.folder / "logs" / instance, self.folder / log_dir}:
            for name in ("daemon.pid", "bot.pid"):
                yield _pid_in(folder / name)


def look(folder: Path) -> OldSystem:
    """Reads the registry and looks at the processes of the host once, whatever the number of instances."""
    folder = folder.resolve()
    daemons, loose = _processes(folder)
    return OldSystem(folder, instances_json.read(folder / OLD_PLACE), daemons, loose)


def is_alive(pid: int) -> bool:
    """Whether the process exists and has not ended: a zombie only waits to be counted."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.AccessDenied:
        return True
    except (psutil.Error, ValueError, OverflowError):
        return False


def _processes(folder: Path) -> tuple[tuple[Daemon, ...], tuple[Loose, ...]]:
    """The daemons of the host, and this folder's bots that are none of theirs."""
    children: dict[int, set[int]] = {}
    found, bots = [], []
    for process in psutil.process_iter(["cmdline", "ppid", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        children.setdefault(process.info["ppid"], set()).add(process.pid)
        words = process.info["cmdline"] or []
        if any(map(DAEMON_WORD.search, words)) and not PASSING.intersection(words):
            found.append(_daemon(process, words, folder))
        elif any(map(BOT_WORD.search, words)):
            bots.append(Loose(process.pid, frozenset(word.rpartition("=")[2] for word in words)))
    daemons = tuple(each._replace(children=frozenset(_descendants(each.pid, children))) for each in found)
    owned = {pid for each in daemons for pid in each.children}
    loose = (each for each in bots if each.pid not in owned and _is_of(each.pid, folder))
    return daemons, tuple(loose)


def _descendants(pid: int, children: Mapping[int, set[int]]) -> Iterator[int]:
    for each in children.get(pid, ()):
        yield each
        yield from _descendants(each, children)


def _daemon(process: psutil.Process, words: Sequence[str], folder: Path) -> Daemon:
    """A daemon may have left its folder for `/`, as daemons do: then its relative path is taken for one of ours."""
    written = _option(words) or DEFAULT_CONFIG
    with contextlib.suppress(psutil.Error, OSError):
        path = Path(process.cwd(), written)
        if path.exists():
            return Daemon(process.pid, path.resolve(), is_sure=True)
    return Daemon(process.pid, (folder / written).resolve(), is_sure=Path(written).is_absolute())


def _option(words: Sequence[str]) -> str:
    for index, word in enumerate(words):
        if word in {"--config", "-c"}:
            return words[index + 1] if index + 1 < len(words) else ""
        if word.startswith("--config="):
            return word.partition("=")[2]
    return ""


def _pid_in(path: Path) -> int:
    """The pid in a pid file; 0 for none, and where a younger process has got its number."""
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
    """Whether a pid that a pid file names is a bot's."""
    if not pid or not is_alive(pid):
        return False
    with contextlib.suppress(psutil.Error):
        if any(map(BOT_WORD.search, psutil.Process(pid).cmdline())):
            return True
    return _is_of(pid, folder)


def _is_of(pid: int, folder: Path) -> bool:
    """Whether the process works in this folder and in no container."""
    with contextlib.suppress(psutil.Error, OSError):
        return Path(psutil.Process(pid).cwd()).resolve() == folder and not host.is_in_container(pid)
    return False
