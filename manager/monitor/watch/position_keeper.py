"""Tell live bots that share an account and a market what the others there hold, by their records.

An account has one position for all of them, and each knows only its own trades.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from decimal import Decimal

from manager.config import markets
from manager.engine import labels
from manager.fleet.observe import FleetSnapshot
from manager.ops.exchange import account_parts
from manager.ops.folders import others_file

EVERY_S = 5.0
"""A bot that trades beside others writes its report as often."""


class PositionKeeper:
    """Write the files of `others_file`. A fleet in which no account is shared costs nothing."""

    def __init__(self) -> None:
        self._beside: Mapping[str, tuple[str, ...]] = {}
        self._next = 0.0

    def look(self, snapshot: FleetSnapshot, unsettled: Collection[str] = ()) -> None:
        """Find out who trades beside whom. Raises nothing.

        `unsettled`: instances on which a command is at work, which tells them itself when it starts them.
        """
        before = self._beside
        kept = {instance: others for instance, others in before.items() if instance in unsettled}
        self._beside = {**kept, **neighbours(snapshot)}
        alone = before.keys() - self._beside.keys()
        if snapshot.project.fleet.allow_shared_credentials:  # a start without `watch` may have left one
            alone |= {one for one in snapshot.project.specs if snapshot.plan_input.is_up(one)} - {
                *self._beside
            }
        for instance in alone - {*unsettled}:
            others_file.remove(snapshot.project.fleet, instance)
        self._next = 0.0

    def tell_if_due(self, snapshot: FleetSnapshot, now: float) -> None:
        """Write what each of them has to know. What is not known leaves the file as it is."""
        if not self._beside or 0 <= self._next - now <= EVERY_S:
            return
        self._next = now + EVERY_S
        for instance, others in self._beside.items():
            told = [account_parts.told_by(snapshot, other, now) for other in others]
            known = [part for part in told if part is not None]
            if len(known) == len(told):
                total = sum((part.position for part in known), Decimal())
                oldest = min(part.at for part in known)
                others_file.write(snapshot.project.fleet, instance, total, oldest)


def neighbours(snapshot: FleetSnapshot) -> dict[str, tuple[str, ...]]:
    """Return each live bot that is up -> the instances that trade its market on its account."""
    if not snapshot.project.fleet.allow_shared_credentials:
        return {}
    containers = snapshot.observed.containers
    live = [container for container in containers.values() if container.mode == "live"]
    # A position outlives its container.
    markets = [_made(snapshot, container.instance) for container in live]
    specs = snapshot.project.specs
    markets += [_market(spec.exchange, spec.symbol) for spec in specs.values() if spec.id not in containers]
    count, parts = Counter(markets), {}
    for container in live:
        is_up = snapshot.plan_input.is_up(container.instance)
        if is_up and count[_made(snapshot, container.instance)] > 1:
            others = sorted(set(account_parts.on_the_account(snapshot, container)))
            if others:
                parts[container.instance] = tuple(others)
    return parts


def _made(snapshot: FleetSnapshot, instance: str) -> tuple[str, str]:
    made = snapshot.observed.containers[instance].labels
    return _market(made.get(labels.EXCHANGE, ""), made.get(labels.SYMBOL, ""))


def _market(exchange: str, symbol: str) -> tuple[str, str]:
    # Two spellings of one market have this in common; `on_the_account` looks closer.
    return exchange.lower(), markets.base_of(symbol)
