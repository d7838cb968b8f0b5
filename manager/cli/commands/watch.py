"""`watch`, `alert test`, `install-service`: the resident, its addresses, its systemd unit."""

from __future__ import annotations

from manager.errors import FAILED, OK, Locked, UsageError
from manager.fleet import lock
from manager.fleet.session import Context
from manager.i18n import Text, _
from manager.util import console


def watch(context: Context) -> int:
    """Watches the fleet until SIGTERM or Ctrl-C."""
    from manager.monitor.watch.loop import Watch

    fleet = context.project().fleet
    try:
        with lock.held(fleet.watch_lock_file, "watch"):
            Watch(context).run()
    except Locked as error:
        raise Locked("{holder} watches this fleet already", holder=error.params["holder"]) from error
    console.say(_("watching ends"))
    return OK


def alert_test(context: Context) -> int:
    """Sends a test message to each address, now, and says of each whether it went out."""
    from manager.monitor.watch import addresses, deliver
    from manager.monitor.watch.messages import Message

    project = context.project()
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
        if not context.as_json:
            said = _("sent") if answer.ok else _("NOT sent")
            console.say(f"{each.shown}: {said}{f' ({answer.why})' if answer.why else ''}")
    if context.as_json:
        console.say_json(rows)
    return OK if all(row["sent"] for row in rows) else FAILED


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
