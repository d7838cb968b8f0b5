"""Run `--swarm logs`: the output of services, from the nodes that answer."""

from __future__ import annotations

import heapq
import threading
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator

from manager.cli.commands.swarm import connected
from manager.engine.swarm_calls import SwarmCalls
from manager.errors import FAILED, OK, ManagerError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.monitor.logs.lines import LogLine, join_frames
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.printing import Printer
from manager.ops.swarm import changes
from manager.ops.swarm.state import Service
from manager.util import console


def logs(session: Session, args: Namespace) -> int:
    """Print the output of services. Ends with 1 if a node does not answer: its lines are missing."""
    with connected() as calls:
        services = changes.chosen(changes.look(calls, session.project().fleet.name), args.ids)
        readable = [service for service in services if service.answers]
        for service in services:
            if not service.answers:
                console.error(
                    Text(
                        "{id}: node {node} does not answer: its lines are there, in logs/ of the data folder",
                        id=service.instance,
                        node=service.machine,
                    )
                )
        code = OK if len(readable) == len(services) else FAILED
        if not readable:
            return code
        printer = Printer(
            [service.instance for service in readable], stamps=args.timestamps, as_json=args.json
        )
        if args.follow:
            return max(code, _follow(calls, readable, args, printer))
        past = [_keyed(service, _lines(calls, service, args)) for service in readable]
        for _stamp, instance, line in heapq.merge(*past, key=lambda each: each[:2]):
            printer.show(instance, [line])
        printer.flush()
        return code


def _lines(calls: SwarmCalls, service: Service, args: Namespace) -> Iterable[LogLine]:
    """Return a service's lines, those that match; with `--grep`, the last N of them."""
    pattern = Pattern(args.grep) if args.grep else None
    frames = calls.logs(
        service.id,
        follow=args.follow,
        tail=args.tail if pattern is None and not args.errors else None,
        since=args.since,
    )
    lines = (
        line
        for line in join_frames(frames)
        if (not args.errors or line.stream == "stderr") and (pattern is None or pattern.matches(line.text))
    )
    if args.tail is None or args.follow:
        return lines
    return deque(lines, maxlen=args.tail)


def _keyed(service: Service, lines: Iterable[LogLine]) -> Iterator[tuple[str, str, LogLine]]:
    for line in lines:
        yield line.stamp, service.instance, line


def _follow(calls: SwarmCalls, services: list[Service], args: Namespace, printer: Printer) -> int:
    """Print lines as they come, until Ctrl-C or until no service is read any more."""
    turn, failed = threading.Lock(), []

    def read(service: Service) -> None:
        try:
            for line in _lines(calls, service, args):
                with turn:
                    printer.show(service.instance, [line])
                    printer.flush()
        except ManagerError as error:
            failed.append(service.instance)
            console.error(f"{service.instance}: {error}")

    readers = [threading.Thread(target=read, args=(service,), daemon=True) for service in services]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return FAILED if failed else OK
