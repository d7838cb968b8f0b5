"""Run `--swarm logs`: the output of services, from the nodes that answer."""

from __future__ import annotations

import heapq
import threading
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice

from manager.cli.commands.swarm import connected
from manager.engine.swarm_calls import SwarmCalls
from manager.errors import FAILED, OK, EngineError, ManagerError
from manager.fleet.session import Session
from manager.i18n import Text, labelled
from manager.monitor.logs.lines import LogLine, join_frames
from manager.monitor.logs.pattern import Pattern
from manager.monitor.logs.printing import Printer
from manager.ops.swarm import changes
from manager.ops.swarm.state import Service
from manager.util import console

LOOK_S = 5.0
"""A node counts as down after 13 s without a sign."""


def logs(session: Session, args: Namespace) -> int:
    """Print the output of services. Ends with 1 if a node does not answer: its lines are missing."""
    with connected() as calls:
        fleet = session.project().fleet.name
        services = changes.chosen(changes.look(calls, fleet), args.ids)
        readable = [service for service in services if service.answers]
        for service in services:
            if not service.answers:
                console.error(_not_read(service))
        code = OK if len(readable) == len(services) else FAILED
        if not readable:
            return code
        printer = Printer(
            [service.instance for service in readable], stamps=args.timestamps, as_json=args.json
        )
        if args.follow:
            return max(code, _follow(calls, fleet, readable, args, printer))
        failed: list[str] = []
        with ThreadPoolExecutor(
            len(readable)
        ) as pool:  # a node that has just been cut off is silent for long
            past = pool.map(lambda service: _begun(calls, service, args, failed), readable)
        for _stamp, instance, line in heapq.merge(*past, key=lambda entry: entry[:2]):
            printer.show(instance, [line])
        printer.flush()
        return FAILED if failed else code


def _not_read(service: Service) -> Text:
    return Text(
        "{id}: node {node} does not answer: its lines are there, in logs/ of the data folder",
        id=service.instance,
        node=service.machine,
    )


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


Keyed = tuple[str, str, LogLine]


def _begun(calls: SwarmCalls, service: Service, args: Namespace, failed: list[str]) -> Iterator[Keyed]:
    """Return a service's lines after the first has come, or has failed to."""
    lines = _keyed(calls, service, args, failed)
    return chain([*islice(lines, 1)], lines)


def _keyed(calls: SwarmCalls, service: Service, args: Namespace, failed: list[str]) -> Iterator[Keyed]:
    """Yield a service's lines; where they break off, say so, and go on with the others'."""
    try:
        for line in _lines(calls, service, args):
            yield line.stamp, service.instance, line
    except EngineError as error:
        failed.append(service.instance)
        console.error(labelled(service.instance, error))


def _follow(calls: SwarmCalls, fleet: str, services: list[Service], args: Namespace, printer: Printer) -> int:
    """Print lines as they come, until Ctrl-C or until no service is read any more.

    The Swarm says nothing when a node falls silent, and the stream stays open: so the nodes are looked at.
    """
    turn, failed = threading.Lock(), []

    def read(service: Service) -> None:
        try:
            for line in _lines(calls, service, args):
                with turn:
                    printer.show(service.instance, [line])
                    printer.flush()
        except ManagerError as error:
            failed.append(service.instance)
            console.error(labelled(service.instance, error))

    readers = [threading.Thread(target=read, args=(service,), daemon=True) for service in services]
    for reader in readers:
        reader.start()
    followed, silent = {service.instance for service in services}, set[str]()
    while any(reader.is_alive() for reader in readers):
        next(reader for reader in readers if reader.is_alive()).join(LOOK_S)
        for text in _news(calls, fleet, followed, silent):
            failed.append("")
            console.error(text)
    return FAILED if failed else OK


def _news(calls: SwarmCalls, fleet: str, followed: set[str], silent: set[str]) -> Iterator[Text]:
    """Yield whose nodes have fallen silent since the last look, or answer again.

    `silent`: those that were silent at that look.
    """
    try:
        services = changes.look(calls, fleet)
    except EngineError as error:
        if followed - silent:
            yield Text("whether the nodes answer is not known: {why}", why=error)
        silent |= followed
        return
    for service in services:
        if not service.answers and service.instance in followed - silent:
            silent.add(service.instance)
            yield _not_read(service)
        elif service.answers and service.instance in silent:
            silent.remove(service.instance)
            yield Text(
                "{id}: node {node} answers again; run the command again to follow it",
                id=service.instance,
                node=service.machine,
            )
