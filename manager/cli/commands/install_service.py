"""`install-service`: the systemd unit of `manager watch`."""

from __future__ import annotations

from manager.errors import OK
from manager.fleet.session import Context
from manager.util import console


def install_service(context: Context) -> int:
    """Writes the systemd unit and starts it; shows or removes it when asked."""
    from manager.monitor.watch import service

    unit = service.unit_of(context.project().fleet)
    if context.args.print:
        console.say(unit.text, end="")
        return OK
    steps = service.remove(unit) if context.args.remove else service.install(unit)
    for line in steps:
        console.say(line)
    return OK
