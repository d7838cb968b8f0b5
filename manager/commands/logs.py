"""`logs`: what the bots print, one or many, as it comes."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from manager import labels, output, registry
from manager.commands.show import require_known
from manager.context import Context
from manager.errors import OK, EngineUnreachable, ManagerError, NotFound, UsageError
from manager.i18n import Text

if TYPE_CHECKING:
    from manager.engine import Engine
    from manager.fleet import Fleet

RECONNECT_S = 0.5
SILENCE_S = 5.0
"""After so long without a line the engine is asked whether it is still there: a frozen one ends no stream."""

ENGINE_AWAY_S = 60.0
"""An engine that is restarted is back within seconds; one that stops many containers first needs longer."""

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
        self._lines: queue.Queue[Line | Exception | None] = queue.Queue(maxsize=1000)
        self._away_since: float | None = None

    def run(self, ids: list[str]) -> int:
        width = max(map(len, ids))
        prefixes = {each: self._prefix(each, width, index) for index, each in enumerate(ids)}
        for each in ids:
            threading.Thread(target=self._read, args=(each,), daemon=True).start()
        ended = 0
        while ended < len(ids):
            try:
                item = self._lines.get(timeout=SILENCE_S)
            except queue.Empty:
                self._require_engine()
                continue
            if item is None:
                ended += 1
            elif isinstance(item, Exception):
                raise item
            else:
                with output.writing():
                    sys.stdout.buffer.write(prefixes[item[0]] + item[1])
                    if self._lines.empty():
                        sys.stdout.buffer.flush()
        with output.writing():
            sys.stdout.buffer.flush()
        return OK

    def _require_engine(self) -> None:
        """Silence: quiet bots, or an engine that is away. Raises EngineUnreachable when it does not come back."""
        try:
            self._engine.version()
        except EngineUnreachable:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
                output.warning(
                    Text("the engine does not answer; waiting {limit} s for it", limit=round(ENGINE_AWAY_S))
                )
            if not self._follow or now - self._away_since > ENGINE_AWAY_S:
                raise
        else:
            self._away_since = None

    def _prefix(self, instance: str, width: int, index: int) -> bytes:
        if not self._has_prefix:
            return b""
        text = f"{instance:<{width}} | "
        colour = COLOURS[index % len(COLOURS)]
        return (f"\x1b[{colour}m{text}\x1b[0m" if output.has_colour() else text).encode()

    def _read(self, instance: str) -> None:
        try:
            for stamp, line in _followed(
                self._engine, self._fleet, instance, follow=self._follow, tail=self._tail
            ):
                self._lines.put((instance, stamp + b" " + line if self._stamps else line))
            self._lines.put(None)
        except Exception as error:  # noqa: BLE001 - the main thread raises it; without a word it would wait for ever
            self._lines.put(error)


def _followed(
    engine: Engine, fleet: Fleet, instance: str, *, follow: bool, tail: int | Literal["all"]
) -> Iterator[tuple[bytes, bytes]]:
    """(time stamp, line) pairs of an instance. Following outlives its container, and its engine, for as long as it is read:
    the next one goes on where it ended. Within a stream nothing is dropped: standard output and standard error are stamped
    apart, so that stamps go back and forth.
    """
    last = b""
    since: float | None = None
    while True:
        seen = last
        try:
            container = _container_id(engine, fleet, instance)
            chunks = engine.logs(container, follow=follow, tail=tail, since=since) if container else iter(())
            for stamp, line in _lines(chunks):
                if stamp > seen:
                    last = max(last, stamp)
                    yield stamp, line
        except NotFound:
            pass  # removed while it was read: a recreation, or `down`
        except EngineUnreachable:
            if not follow:
                raise
        if not follow:
            return
        if last:
            tail, since = "all", _epoch(last)
        time.sleep(RECONNECT_S)


def _container_id(engine: Engine, fleet: Fleet, instance: str) -> str | None:
    """The instance's present container."""
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
