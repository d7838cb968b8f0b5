"""Tell what the other bots of the fleet hold on the account and market of an instance, by their records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

from manager.config import bot_environment
from manager.engine.containers import Container
from manager.fleet import bot_report, supervisor_state
from manager.fleet.bot_report import KeptReport
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.typed import NamedTuple

VARIABLE = "OTHER_BOTS_POSITION"
"""By which a program learns the sum (docker/README.md)."""
RECENT_S = 30.0
"""A bot that runs may have traded since a report that is older."""


class KnownPosition(NamedTuple):
    """Hold a position, and until when it is known to have been that."""

    position: Decimal
    at: float


NOTHING_SAID: Mapping[str, Text] = MappingProxyType({})


def of_others(
    snapshot: FleetSnapshot, container: Container, why_not: Mapping[str, Text] = NOTHING_SAID
) -> Decimal | Text | None:
    """Return the sum of what they hold; None if no other bot trades there; else what is not known.

    `why_not`: what kept an instance's record from being settled.
    """
    total: Decimal | None = None
    for instance in sorted(set(on_the_account(snapshot, container))):
        part = _part(snapshot, instance)
        if part is None and instance in why_not:
            return Text(
                "{other} trades on the same account, and how much of the position is its own is not known:"
                " {why}",
                other=instance,
                why=why_not[instance],
            )
        if part is None:
            return Text(
                "{other} trades on the same account, and how much of the position is its own is not known:"
                " it reports this while it runs, and when it is stopped (`manager start {other}`, `manager"
                " stop {other}`)",
                other=instance,
            )
        total = part + (total or Decimal())
    return total


def on_the_account(snapshot: FleetSnapshot, container: Container) -> Iterator[str]:
    """Yield the instances that trade this market live, apparently on the same account.

    One whose account cannot be read is none of them: what it holds makes record and account differ.
    """
    project = snapshot.project
    mine = bot_environment.account_in(snapshot.trading_of(container))
    if mine.credentials is None:
        return
    present = [*snapshot.observed.containers.values(), *snapshot.observed.strays]
    for other in present:
        if other.instance != container.instance and other.mode == "live":
            theirs = bot_environment.account_in(snapshot.trading_of(other))
            if theirs.credentials is not None and bot_environment.is_same(mine, theirs):
                yield other.instance
    # A position outlives its container.
    for instance in project.specs.keys() - {other.instance for other in present}:
        spec = project.specs[instance]
        if spec.mode == "live":
            theirs = bot_environment.account_of(spec, project.fleet, project.variables)
            if bot_environment.is_same(mine, theirs):
                yield instance


def is_known(snapshot: FleetSnapshot, instance: str) -> bool:
    """Return whether it is known what an instance holds."""
    return _part(snapshot, instance) is not None


def _part(snapshot: FleetSnapshot, instance: str) -> Decimal | None:
    """Return what an instance's record says that it holds; None if that is not known, or too old."""
    now = time.time()
    told = told_by(snapshot, instance, now)
    return None if told is None or now - told.at > RECENT_S else told.position


def told_by(snapshot: FleetSnapshot, instance: str, now: float) -> KnownPosition | None:
    """Return what an instance's record says that it holds, and when that was so; None if it is not known."""
    state_dir = snapshot.project.fleet.instance_state_dir(instance)
    if not (state_dir / supervisor_state.REPORT_FILE).exists():
        return (
            None if snapshot.observed.containers.get(instance) else KnownPosition(Decimal(), now)
        )  # never ran?
    kept_report = bot_report.read_kept(state_dir)
    if kept_report is None:
        return None
    if kept_report.report.mode == "paper":
        return KnownPosition(Decimal(), now)
    if kept_report.has_ended or not supervisor_state.has_bot(state_dir):
        left = _left(kept_report, state_dir)
        return None if left is None else KnownPosition(left, now)
    if kept_report.report.position is None or kept_report.at is None:
        return None
    # A time that is ahead of this clock is no newer for it.
    return KnownPosition(
        kept_report.report.position, kept_report.at if kept_report.at <= now else now - (kept_report.at - now)
    )


def _left(kept_report: KeptReport, state_dir: Path) -> Decimal | None:
    """Return what a bot that does not run has left; None if that is not known.

    What a bot said that was killed meanwhile, or given up, is no evidence: orders that it has left are filled
    after its last word. Evidence is a last word after which no order was left, and what a program has found
    out after the end.
    """
    supervisor = supervisor_state.read(state_dir)
    cancel = supervisor.cancel if supervisor is not None and supervisor.state == "failed" else None
    if cancel is not None and cancel.state != "confirmed":
        return None
    if cancel is None and not (kept_report.has_ended and kept_report.orders_left == 0):
        return None
    if kept_report.left_at_exchange is not None:
        return kept_report.left_at_exchange
    return kept_report.report.position if cancel is not None or kept_report.report.is_final else None
