"""Warn of bots that a `down` of the whole fleet leaves running, because no config names them."""

from __future__ import annotations

from collections.abc import Sequence

from manager.fleet import bot_report
from manager.fleet.instance import market_of
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text, listed
from manager.ops.actions.action import Action
from manager.ops.actions.events import OnEvent, Warned

MODES = ("live", "paper")


def warn_of_running(after: FleetSnapshot, actions: Sequence[Action], on_event: OnEvent) -> None:
    """Name each that was left and runs, with what it holds."""
    orphans = set(after.plan_input.orphans)
    for action in actions:
        instance = action.instance
        if action.kind != "leave" or instance not in orphans or not after.plan_input.is_up(instance):
            continue
        if after.foreign_folder(after.plan_input.containers[instance]) is None:
            on_event(Warned(_text(after, instance)))


def _text(after: FleetSnapshot, instance: str) -> Text:
    container = after.plan_input.containers[instance]
    exchange, symbol = market_of(container)
    kept = bot_report.read_kept(after.project.fleet.instance_state_dir(instance))
    position = None if kept is None else bot_report.position_of(kept)
    orders = None if kept is None else kept.report.open_orders
    holds = [
        Text("orders unknown") if orders is None else Text("{count} open orders", count=orders),
        Text("position unknown") if position is None else Text("position {amount}", amount=position),
    ]
    return Text(
        "{id} STILL RUNS ({mode}, {exchange}, {symbol}, {holds}): no config names it, and `manager down`"
        " leaves it; `manager down {id}` takes it down",
        id=instance,
        mode=Text(container.mode) if container.mode in MODES else "?",
        exchange=exchange,
        symbol=symbol,
        holds=listed(holds),
    )
