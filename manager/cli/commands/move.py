"""Run `move`: bring an instance to another machine, with its data and the variables that it needs."""

from __future__ import annotations

import sys
from argparse import Namespace

from manager.errors import OK, EngineUnreachable, Locked, ManagerError, TimedOut, UsageError
from manager.fleet.session import Session
from manager.i18n import Text
from manager.ops.hosts import registry, versions
from manager.ops.hosts.registry import HERE
from manager.util import console
from manager.util.real_path import real_path


def move(session: Session, args: Namespace) -> int:
    """Move an instance from here to a host, or from a host to here; or call an unfinished move off."""
    from manager.ops.move import moving, steps
    from manager.ops.move.bound import Move
    from manager.ops.move.sides import Side

    if args.side is not None:
        steps.run(session, args.side, steps.Streams(sys.stdin.buffer, sys.stdout.buffer))
        return OK
    named = [name for name in (args.to, args.from_) if name is not None]
    if args.id is None or len(named) != (0 if args.back else 1):
        raise UsageError(
            "a move is `manager move ID HOST`, `manager move ID --from HOST`, or, to call one off,"
            " `manager move ID --back`"
        )
    folder, fleet = real_path(session.project_dir()), session.project().fleet

    def side(name: str) -> Side:
        host = None if name == HERE else registry.get(folder, name)
        return Side(folder, host, own_name=fleet.host_name if host is None else "")

    if args.back:
        return moving.back(fleet, args.id, side, _say)
    source, target = (side(HERE), side(args.to)) if args.to is not None else (side(args.from_), side(HERE))
    if source == target:
        raise UsageError("{id} is on this machine; name another one", id=args.id)
    try:
        return moving.run(Move(fleet, args.id, source, target, _say, session.given_at), is_dry=args.dry_run)
    except (EngineUnreachable, Locked, TimedOut):
        raise
    except ManagerError:
        host = source.host or target.host
        if host is not None and (text := versions.ask(host)) is not None:
            console.warning(text)
        raise


def _say(text: Text) -> None:
    console.say(text)
