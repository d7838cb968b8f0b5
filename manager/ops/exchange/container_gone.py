"""Say what is known of a live bot's orders whose container is gone: the exchange cannot be asked from it."""

from __future__ import annotations

import time

from manager.fleet import doing, leftovers
from manager.fleet.bot_report import KeptReport, position_of
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops.actions.answer import Answer
from manager.util import formatting


def not_asked(snapshot: FleetSnapshot, instance: str) -> Text | None:
    """Return why the exchange was not asked, and what the bot last reported; None if nothing is unknown."""
    view = _view(snapshot, instance)
    if view is None or not (leftovers.may_have_left_orders(view) or leftovers.is_left_unknown(view)):
        return None
    return why(view.report)


def left_by(snapshot: FleetSnapshot, instance: str) -> Answer | None:
    """Return the answer that stands for an exchange that was not asked; None if nothing is unknown.

    What `manager down` has taken down since the bot's last start was asked for, and said, at that time.
    """
    view = _view(snapshot, instance)
    if view is None:
        return None
    may_have_left = leftovers.may_have_left_orders(view) and not leftovers.was_taken_down(view)
    if not may_have_left and not leftovers.is_left_unknown(view):
        return None
    return Answer(None, why=why(view.report), exchange=view.exchange or "?", symbol=view.symbol or "?")


def why(kept_report: KeptReport | None) -> Text:
    """Return why the exchange was not asked, and what the bot last reported."""
    if kept_report is None or kept_report.report.open_orders is None or kept_report.at is None:
        return Text("its container is gone, so the exchange cannot be asked, and its bot did not report")
    position = position_of(kept_report)
    return Text(
        "its container is gone, so the exchange cannot be asked; {age} ago its bot reported {count} open"
        " orders, position {amount}",
        age=formatting.elapsed(time.time() - kept_report.at),
        count=kept_report.report.open_orders,
        amount="?" if position is None else str(position),
    )


def _view(snapshot: FleetSnapshot, instance: str) -> Instance | None:
    view = snapshot.views.get(instance)
    return None if view is None else doing.with_reports(snapshot.project.fleet, [view])[0]
