"""Write the view's texts about one instance: the lines below the table, and confirmations. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from manager.config.fleet import Fleet
from manager.fleet import amounts, causes, display
from manager.i18n import Text, _, mark, told
from manager.monitor.stats.collect import mode_mismatch
from manager.monitor.stats.instance_stats import InstanceStats

ASKED: Mapping[str, str] = {
    "start": mark("Start {id}?"),
    "stop": mark("Stop {id}?"),
    "restart": mark("Restart {id}?"),
    "upgrade": mark("Upgrade {id}?"),
    "close": mark("Close the position of {id}?"),
    "snooze": mark("Snooze the alerts of {id}?"),
    "unsnooze": mark("Send the alerts of {id} again?"),
    "orders": mark("Ask the exchange what {id} has there?"),
}
REAL_MONEY = mark("It trades real money: {where}.")
ON_PAPER = mark("It trades on paper: {where}.")
PLACES_ORDERS = mark("It places orders at once, with its current config.")
RUNS_ALREADY = mark("Its bot runs already.")
ORDERS_CANCELLED = mark("Its bot cancels its open orders; its position is kept.")
ORDERS_LEFT = mark("Its bot is not running: orders that it may have left at the exchange stay there.")
STAYS_STOPPED = mark("It stays stopped until you start it.")
STARTS_AGAIN = mark("Then it starts and places orders, with its current config.")
UPGRADED = mark(
    "Then it starts in the current image, with its current config; if it does not stay "
    "healthy, it is rolled back."
)
CLOSED = mark(
    "What it holds itself is traded away, at most 1 % beyond the mark price. Its record and the account are"
    " compared before, and nothing is traded where they differ."
)
SNOOZED = mark(
    "Its present alerts are sent once more then, if they are still the case; new ones are sent as always. The"
    " bot itself goes on as it is."
)
SENT_AGAIN = mark("Its present alerts are sent as if they had never been snoozed.")
EXCHANGE_ASKED = mark(
    "Its open orders and its position are asked for now, beside what its bot last reported. Nothing is"
    " changed, and its bot goes on."
)
NOTHING_CLOSED = mark("Nothing is closed while it is neither stopped nor halted.")
NOTHING_TO_UPGRADE = mark("It has the current image and config: nothing is done.")
UNCHANGED: Mapping[str, list[str]] = {
    "snooze": [SNOOZED],
    "unsnooze": [SENT_AGAIN],
    "orders": [EXCHANGE_ASKED],
}
"""Verbs that leave the bot and its orders as they are."""


def before(verb: str, row: InstanceStats) -> list[str]:
    """Return the confirmation before something is done with an instance: what trades there, what will
    happen.
    """
    view, report = row.view, row.report
    where = " ".join(word for word in (view.exchange, view.symbol) if word)
    sentences = [
        str(Text(ASKED[verb], id=row.id)),
        str(Text(REAL_MONEY if row.is_live else ON_PAPER, where=where)),
        told(
            _(sentence)
            for sentence in (
                _closing(row)
                if verb == "close"
                else UNCHANGED.get(verb)
                or _consequences(verb, is_up=view.is_bot_up, has_drifted=bool(view.drift))
            )
        ),
    ]
    if verb == "snooze" and (note := causes.note(view)):
        sentences.insert(2, note)
    known = [
        "" if report.open_orders is None else str(Text("open orders: {count}", count=report.open_orders)),
        ""
        if report.position is None
        else str(Text("position: {amount}", amount=amounts.amount(report.position, report.base))),
        "" if report.pnl is None else str(Text("P&L: {amount}", amount=display.pnl_text(report))),
    ]
    if any(known):
        sentences.insert(2, "   ".join(fact for fact in known if fact))
    return sentences


def _consequences(verb: str, *, is_up: bool, has_drifted: bool) -> list[str]:
    if verb == "start":
        return [PLACES_ORDERS] if not is_up else [RUNS_ALREADY]
    if verb == "upgrade":
        return [ORDERS_CANCELLED if is_up else ORDERS_LEFT, UPGRADED] if has_drifted else [NOTHING_TO_UPGRADE]
    return [ORDERS_CANCELLED if is_up else ORDERS_LEFT, STAYS_STOPPED if verb == "stop" else STARTS_AGAIN]


def _closing(row: InstanceStats) -> list[str]:
    view = row.view
    is_stopped = not view.is_bot_up and (view.saved.wish == "stopped" or view.saved.halted is not None)
    return [CLOSED, STAYS_STOPPED] if is_stopped else [NOTHING_CLOSED]


def detail(row: InstanceStats, fleet: Fleet) -> str:
    """Return two lines with what has no column: where and how it trades, and the reason for its state."""
    view, report = row.view, row.report
    facts = [
        view.id,
        view.exchange,
        view.symbol,
        view.strategy,
        display.mode_text(view.mode),
        display.doing_text(view),
    ]
    if report.open_orders is not None:
        facts.append(str(Text("open orders: {count}", count=report.open_orders)))
    for name, value, written in (
        (mark("realised"), report.realized, amounts.money),
        (mark("open"), report.unrealized, amounts.money),
        (mark("fees"), report.fees, amounts.paid),
    ):
        if value is not None:
            facts.append(f"{_(name)} {written(value, report.quote)}")
    if report.trades is not None:
        facts.append(str(Text("trades: {count}", count=report.trades)))
    if view.web_port is not None:
        facts.append(fleet.web_address(view.web_port))
    why = str(mode_mismatch(row)) if row.has_mode_mismatch else causes.note(view)
    return "  ".join(fact for fact in facts if fact) + "\n" + why
