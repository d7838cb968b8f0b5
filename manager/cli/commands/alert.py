"""Run `alert test`, `alert list` and `alert snooze`: try the addresses, show what is wrong, leave it."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from manager.errors import FAILED, OK, UsageError
from manager.fleet import doing
from manager.fleet.selection import Selection, selected
from manager.fleet.session import Session
from manager.i18n import Text, _, bracketed, labelled, mark
from manager.util import console
from manager.util.formatting import date_and_time, iso_with_offset
from manager.util.text_table import Column

if TYPE_CHECKING:
    from manager.monitor.watch.snoozing import OpenAlert


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
            console.say(labelled(address.shown, f"{result}{bracketed(answer.why) if answer.why else ''}"))
    if args.json:
        console.say_json(rows)
    return OK if all(row["sent"] for row in rows) else FAILED


def alert_list(session: Session, args: Namespace) -> int:
    """Print what `manager watch` knows to be wrong now. Needs no engine."""
    from manager.monitor.watch import snoozing

    alerts = snoozing.open_alerts(session.project().fleet, time.time())
    if args.json:
        console.say_json([_alert_object(alert) for alert in alerts])
    else:
        console.say(console.table(_columns(), alerts) if alerts else _("no alert is open"))
    return OK


def alert_snooze(session: Session, args: Namespace) -> int:
    """Snooze the present alerts of the instances until a time, or end their snooze."""
    from manager.monitor.watch import snoozing

    snapshot = session.observe()
    fleet = snapshot.project.fleet
    until = args.until or snoozing.next_morning(time.time())
    for view in doing.with_reports(fleet, selected(Selection(args.ids, ()), snapshot)):
        if args.end:
            told = Text("{id}: its alerts are sent again", id=view.id)
            nothing = Text("{id} was not snoozed: its alerts are sent", id=view.id)
            console.say(told if snoozing.end(fleet, view.id) else nothing)
            continue
        snoozing.snooze(fleet, view, until)
        console.say(
            Text(
                "{id}: alerts snoozed until {time}; new ones are sent as always",
                id=view.id,
                time=date_and_time(until),
            )
        )
    return OK


def _columns() -> Sequence[Column[OpenAlert]]:
    from manager.monitor.watch.kinds import KIND_WORDS

    return (
        Column("id", "ID", lambda alert: alert.instance or "–"),
        Column("kind", mark("ALERT"), lambda alert: _(KIND_WORDS[alert.kind])),
        Column("since", mark("SINCE"), lambda alert: date_and_time(alert.since)),
        Column("told", mark("SENT"), lambda alert: date_and_time(alert.said_at) if alert.said_at else "–"),
        Column(
            "snoozed",
            mark("SNOOZED UNTIL"),
            lambda alert: date_and_time(alert.snoozed_until) if alert.snoozed_until else "",
        ),
    )


def _alert_object(alert: OpenAlert) -> dict[str, str | None]:
    return {
        "id": alert.instance or None,
        "kind": alert.kind,
        "since": iso_with_offset(alert.since),
        "told_at": iso_with_offset(alert.said_at) if alert.said_at else None,
        "snoozed_until": iso_with_offset(alert.snoozed_until) if alert.snoozed_until else None,
    }
