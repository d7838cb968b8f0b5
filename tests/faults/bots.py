"""The bots of a test: made, told to misbehave, and counted."""

from __future__ import annotations

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
    return [pid for name, pid in Processes().bots() if name == symbol(project, instance)]


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

    Reading 200 command lines takes 8 ms: who did it all the time would leave the bots no core.
    """

    def __init__(self) -> None:
        self._first_seen: dict[str, float] = {}

    def bots(self) -> Iterator[tuple[str, int]]:
        """(symbol, pid) of every bot on this machine; what has long been another program is not read
        again.
        """
        now = time.monotonic()
        with os.scandir("/proc") as entries:
            pids = [entry.name for entry in entries if entry.name.isdigit()]
        self._first_seen = {pid: self._first_seen.get(pid, now) for pid in pids}
        for pid in pids:
            if now - self._first_seen[pid] > SETTLED_S:
                continue
            try:
                words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"/app/run.py" in words and b"--symbol" in words:
                self._first_seen[pid] = now  # it is read as long as it lives: a zombie is no bot
                yield words[words.index(b"--symbol") + 1].decode(), int(pid)


def parent(pid: int) -> int:
    """The parent's pid: a bot's supervisor."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
