"""The bots of a test: made, told to misbehave, and counted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet import Project, eventually

SETTLED_S = 10.0
"""A process older than this executes no other program; the bots' were started by their supervisors' forks."""
LOOK_S = 0.02
"""A bot needs more than twice as long to start as a Python process."""


def add(project: Project, instance: str, port: int | None, how: str = "well", **sections: Any) -> None:
    """The config of a bot that lives as `how` says (bot/run.py); its symbol is its own, so that it can be
    counted.
    """
    metadata = {"strategy": how, "symbol": symbol(project, instance), **sections.pop("metadata", {})}
    project.add(instance, port, metadata=metadata, **sections)


def give_addresses(project: Project, addresses: Mapping[str, str]) -> None:
    """Give every bot of the project these variables: a config of its own may give it no address."""
    lines = "".join(f"{name}={address}\n" for name, address in addresses.items())
    (project.folder / ".env").write_text(lines)
    settings = project.folder / "config" / "fleet.toml"
    settings.write_text(settings.read_text().replace('"GRIDBOT_*"', '"GRIDBOT_*", "FAULT_*"'))


def symbol(project: Project, instance: str) -> str:
    """The word of a bot's argv that no other bot on the machine has."""
    return f"{project.name}_{instance}"


def tell(project: Project, instance: str, word: str) -> None:
    """Makes a running bot do something, within a tenth of a second."""
    folder = project.folder / "volumes" / "database" / instance
    (folder / "do.new").write_text(word)
    (folder / "do.new").rename(folder / "do")


def pids(project: Project, instance: str) -> list[int]:
    """The host pids of all processes that run this instance's bot, whatever container or engine they are
    in.
    """
    wanted, those = symbol(project, instance), []
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - a fifth of the time
        with contextlib.suppress(OSError):
            if _symbol(pid) == wanted:
                those.append(int(pid))
    return those


def printed(project: Project, container: str) -> str:
    """Everything a container has printed."""
    done = subprocess.run(
        ["docker", "logs", container],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **project.environ},
        check=False,
    )
    return done.stdout


def until(project: Project, state: str, *instances: str, timeout: float = 60) -> None:
    """Waits until all these instances are in this state."""
    eventually(
        lambda: {project.states()[instance_id] for instance_id in instances} == {state},
        timeout,
        f"{', '.join(instances)} {state}",
    )


@dataclass
class Watched:
    """What a watcher saw: the most bots of one instance at any moment, and how often it looked."""

    most: Counter[str] = field(default_factory=Counter)
    looks: int = 0


@contextmanager
def watched(project: Project) -> Iterator[Watched]:
    """Counts the bots of each of the project's instances, all the time."""
    seen, ended, processes = Watched(), threading.Event(), Processes()
    prefix = f"{project.name}_"

    def look() -> None:
        while not ended.is_set():
            now = Counter(
                name.removeprefix(prefix) for name, _pid in processes.bots() if name.startswith(prefix)
            )
            for name, count in now.items():
                seen.most[name] = max(seen.most[name], count)
            seen.looks += 1
            time.sleep(LOOK_S)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


class Processes:
    """All processes of this machine, for whoever looks again and again.

    Reading 200 command lines takes 4 ms: who did it all the time would leave the bots no core.
    """

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def bots(self) -> Iterator[tuple[str, int]]:
        """(symbol, pid) of every bot on this machine; what has long been another program is not read
        again.
        """
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        pids = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - as above
        before, self._began = self._began, {}
        for pid in pids:
            began = before.get(pid)
            if began is not None and now - began > SETTLED_S:
                self._began[pid] = began
                continue
            try:
                self._began[pid] = _began(pid) if began is None else began
                name = _symbol(pid)
            except OSError:
                continue
            if name is not None:
                self._began[pid] = now  # it is read as long as it lives: a zombie is no bot
                yield name, int(pid)


def _symbol(pid: str) -> str | None:
    """Return a bot's symbol, None for another program. Raises OSError when the process has ended."""
    with open(f"/proc/{pid}/cmdline", "rb", 0) as file:  # noqa: PTH123 - a Path takes twice as long
        line = file.read()
    if b"\0/app/run.py\0" not in line or b"\0--symbol\0" not in line:
        return None
    words = line.split(b"\0")
    return words[words.index(b"--symbol") + 1].decode()


def _began(pid: str) -> float:
    """Return when a process was started, in seconds since the machine was."""
    ticks = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[19]
    return int(ticks) / os.sysconf("SC_CLK_TCK")


def parent(pid: int) -> int:
    """The parent's pid: a bot's supervisor."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
