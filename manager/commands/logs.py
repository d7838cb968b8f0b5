"""`logs`: what the bots print, one or many, as it comes."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from manager import labels, registry
from manager.commands.show import require_known
from manager.context import Context
from manager.errors import OK, ManagerError, NotFound, UsageError

if TYPE_CHECKING:
    from manager.engine import Engine
    from manager.fleet import Fleet

RECONNECT_S = 0.5
COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")

Line = tuple[str, bytes]


def logs(context: Context) -> int:
    """Prints the containers' output; with -f for ever, through restarts and recreations."""
    survey = context.survey()
    named = survey.project.select(context.args.ids, context.args.config)
    ids = list(survey.observed.containers) if named is None else named
    for each in ids:
        require_known(each, survey)
    if not ids:
        raise UsageError("there is no instance to show the logs of")
    missing = [each for each in ids if each not in survey.observed.containers]
    if missing and not context.args.follow:
        raise ManagerError("{id} has no container, so the engine keeps no log of it", id=missing[0])
    follower = _Follower(context, survey.project.fleet, len(ids) > 1)
    return follower.run(ids)


class _Follower:
    """Reads several containers at once, a thread each, and prints whole lines."""

    def __init__(self, context: Context, fleet: Fleet, has_prefix: bool) -> None:
        self._engine = context.engine(fleet.parallelism)
        self._fleet = fleet
        self._follow = bool(context.args.follow)
        self._tail: int | Literal["all"] = context.args.tail if context.args.tail is not None else "all"
        self._stamps = bool(context.args.timestamps)
        self._has_prefix = has_prefix
        self._lines: queue.Queue[Line | ManagerError | None] = queue.Queue(maxsize=1000)

    def run(self, ids: list[str]) -> int:
        width = max(map(len, ids))
        prefixes = {each: self._prefix(each, width, index) for index, each in enumerate(ids)}
        for each in ids:
            threading.Thread(target=self._read, args=(each,), daemon=True).start()
        ended = 0
        while ended < len(ids):
            item = self._lines.get()
            if item is None:
                ended += 1
            elif isinstance(item, ManagerError):
                raise item
            else:
                sys.stdout.buffer.write(prefixes[item[0]] + item[1])
                if self._lines.empty():
                    sys.stdout.buffer.flush()
        sys.stdout.buffer.flush()
        return OK

    def _prefix(self, instance: str, width: int, index: int) -> bytes:
        if not self._has_prefix:
            return b""
        from manager.output import has_colour

        text = f"{instance:<{width}} | "
        return (f"\x1b[{COLOURS[index % len(COLOURS)]}m{text}\x1b[0m" if has_colour() else text).encode()

    def _read(self, instance: str) -> None:
        try:
            for stamp, line in _followed(
                self._engine, self._fleet, instance, follow=self._follow, tail=self._tail
            ):
                self._lines.put((instance, stamp + b" " + line if self._stamps else line))
            self._lines.put(None)
        except ManagerError as error:
            self._lines.put(error)


def _followed(
    engine: Engine, fleet: Fleet, instance: str, *, follow: bool, tail: int | Literal["all"]
) -> Iterator[tuple[bytes, bytes]]:
    """(time stamp, line) pairs of an instance. Following outlives its container: the next one goes on where it ended."""
    last = b""
    since: float | None = None
    while True:
        container = _container_id(engine, fleet, instance)
        if container is not None:
            try:
                for stamp, line in _lines(engine.logs(container, follow=follow, tail=tail, since=since)):
                    if stamp > last:
                        last = stamp
                        yield stamp, line
            except NotFound:
                pass  # removed while it was read: a recreation, or `down`
        if not follow:
            return
        tail, since = "all", _epoch(last)
        time.sleep(RECONNECT_S)


def _container_id(engine: Engine, fleet: Fleet, instance: str) -> str | None:
    """The instance's present container. While following, an engine that is being restarted is waited for."""
    rows = engine.containers([*labels.fleet_filter(fleet.name), f"{labels.INSTANCE}={instance}"])
    found = registry.observe(rows, fleet.name).containers.get(instance)
    return found.id if found else None


def _lines(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            stamp, _space, text = line.partition(b" ")
            yield stamp, text + b"\n"
    if rest:
        stamp, _space, text = rest.partition(b" ")
        yield stamp, text + b"\n"


def _epoch(stamp: bytes) -> float | None:
    """The engine's RFC 3339 stamp as seconds, rounded down so that nothing is missed; doubles are dropped by stamp."""
    if not stamp:
        return None
    from datetime import datetime

    return int(datetime.fromisoformat(stamp.decode()[:19] + "+00:00").timestamp())
