"""Run `alert test`: send a test message to every address."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import FAILED, OK, UsageError
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.util import console


def alert_test(session: Session, args: Namespace) -> int:
    """Send a test message to each address, and print for each whether it was sent."""
    from manager.monitor.watch import addresses, deliver
    from manager.monitor.watch.messages import Message

    project = session.project()
    targets = addresses.resolve(project.fleet.alerts.urls, project.variables)
    if not targets:
        raise UsageError(
            'config/fleet.toml names no address: add urls = ["${{ALERT_URL}}"] to [alerts], and ALERT_URL=…'
            " to .env"
        )
    title = str(Text("botfleet {fleet}: this is a test; alerts arrive here", fleet=project.fleet.name))
    rows = []
    for address in targets:
        answer = deliver.send(address, Message(title, "", "news"))
        rows.append(
            {"address": address.shown, "variable": address.reference, "sent": answer.ok, "why": answer.why}
        )
        if not args.json:
            result = _("sent") if answer.ok else _("NOT sent")
            console.say(f"{address.shown}: {result}{f' ({answer.why})' if answer.why else ''}")
    if args.json:
        console.say_json(rows)
    return OK if all(row["sent"] for row in rows) else FAILED
