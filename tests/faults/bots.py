"""The bots of a test: made, told to misbehave, and counted."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fleet import Project, eventually


def add(project: Project, instance: str, port: int | None, how: str = "well", **sections: Any) -> None:
    """The config of a bot that lives as `how` says (bot/run.py); its symbol is its own, so that it can be
    counted.
    """
    metadata = {"strategy": how, "symbol": symbol(project, instance), **sections.pop("metadata", {})}
    project.add(instance, port, metadata=metadata, **sections)


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
    return [pid for found, pid in _running() if found == symbol(project, instance)]


def said(project: Project, container: str) -> str:
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
        lambda: {project.states()[each] for each in instances} == {state},
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
    seen, ended = Watched(), threading.Event()
    prefix = f"{project.name}_"

    def look() -> None:
        while not ended.is_set():
            now = Counter(each.removeprefix(prefix) for each, _pid in _running() if each.startswith(prefix))
            for each, count in now.items():
                seen.most[each] = max(seen.most[each], count)
            seen.looks += 1
            time.sleep(0.005)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _running() -> Iterator[tuple[str, int]]:
    """(symbol, pid) of every bot on this machine."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"/app/run.py" in words and b"--symbol" in words:
            yield words[words.index(b"--symbol") + 1].decode(), int(process.name)


def parent(pid: int) -> int:
    """The parent's pid: a bot's supervisor."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)
