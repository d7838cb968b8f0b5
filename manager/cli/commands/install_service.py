"""Run `install-service`: the systemd unit of `manager watch`, or of `manager serve`."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import OK, UsageError
from manager.fleet.session import Session
from manager.util import console


def install_service(session: Session, args: Namespace) -> int:
    """Write the systemd unit and start it; print or remove it if requested."""
    from manager.monitor.watch import service

    if args.serve and args.metrics:
        raise UsageError("--metrics belongs to `manager watch`: leave --serve or --metrics away")
    unit = service.unit_of(session.project().fleet, args.metrics, "serve" if args.serve else "watch")
    if args.print:
        console.say(unit.text, end="")
        return OK
    steps = service.remove(unit) if args.remove else service.install(unit)
    for line in steps:
        console.say(line)
    return OK
