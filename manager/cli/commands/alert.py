"""`alert test`: a test message to every address."""

from __future__ import annotations

from argparse import Namespace

from manager.errors import FAILED, OK, UsageError
from manager.fleet.session import Session
from manager.i18n import Text, _
from manager.util import console


def alert_test(session: Session, args: Namespace) -> int:
    """Sends a test message to each address, now, and says of each whether it went out."""
    from manager.monitor.watch import addresses, deliver
    from manager.monitor.watch.messages import Message

    project = session.project()
    found = addresses.resolve(project.fleet.alerts.urls, project.variables)
    if not found:
        raise UsageError(
            'config/fleet.toml names no address: add urls = ["${{ALERT_URL}}"] to [alerts], and ALERT_URL=… to .env'
        )
    title = str(Text("botfleet {fleet}: this is a test; alerts arrive here", fleet=project.fleet.name))
    rows = []
    for each in found:
        answer = deliver.send(each, Message(title, "", "news"))
        rows.append({"address": each.shown, "variable": each.reference, "sent": answer.ok, "why": answer.why})
        if not args.json:
            said = _("sent") if answer.ok else _("NOT sent")
            console.say(f"{each.shown}: {said}{f' ({answer.why})' if answer.why else ''}")
    if args.json:
        console.say_json(rows)
    return OK if all(row["sent"] for row in rows) else FAILED
