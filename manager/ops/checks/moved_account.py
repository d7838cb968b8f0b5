"""Keep a live bot off the account of an instance that went to a machine which does not tell. Pure.

The config of what was moved away stays here, and says whose account it trades on. The machine that it went to
is asked what it trades on; only where nobody answers for it does the config count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from manager.config import bot_environment
from manager.config.bot_environment import Account
from manager.fleet.observe import FleetSnapshot
from manager.fleet.tombstone import Tombstone
from manager.i18n import Text
from manager.ops.hosts.account_looks import HostAnswer
from manager.typed import NamedTuple


class MovedAccount(NamedTuple):
    """Hold a live instance that was moved away, and the account that its config names."""

    instance: str
    account: Account
    stone: Tombstone
    file: str


def of(snapshot: FleetSnapshot) -> Iterator[MovedAccount]:
    """Yield the live instances of the fleet that have a tombstone."""
    project, tombstones = snapshot.project, snapshot.plan_input.tombstones
    for instance in sorted(project.moved & tombstones.keys()):
        if (spec := project.specs[instance]).mode == "live":
            account = bot_environment.account_of(spec, project.fleet, project.variables)
            yield MovedAccount(instance, account, tombstones[instance], spec.config_file)


def why_not(
    instance: str,
    mine: Account,
    moved: Iterable[MovedAccount],
    answers: Iterable[HostAnswer],
    dead_hosts: Sequence[str],
) -> Text | None:
    """Return why the instance may not start on this account; None if it may."""
    told = list(answers)
    for other in moved:
        if other.instance == instance or not bot_environment.is_same(mine, other.account):
            continue
        answer = _where_it_is(other, told)
        host = answer.host.name if answer else other.stone.to
        words = {"other": other.instance, "symbol": mine.symbol, "host": host, "file": other.file}
        if other.stone.is_unfinished:
            return Text(
                "{other} trades {symbol} live, apparently with the same credentials, and {why}",
                **words,
                why=other.stone.why,
            )
        if answer is None:
            return Text(
                "{other}, apparently with the same credentials, was moved to {host}, which is not in"
                " config/hosts.toml: it may trade {symbol} there; add that machine by `manager host add`, or"
                " move {file} away once nothing trades there any more",
                **words,
            )
        if answer.why is not None and answer.is_reached:
            return Text(
                "{other}, apparently with the same credentials, was moved to {host}, whose manager does not"
                " report its accounts ({why}); `manager host check {host}` shows what to fix there",
                **words,
                why=answer.why,
            )
        if answer.why is not None and host not in dead_hosts:
            return Text(
                "{other}, apparently with the same credentials, was moved to {host}, which does not answer"
                " ({why}): it may trade {symbol} there. If nothing trades there any more, add --host-is-dead"
                " {host}",
                **words,
                why=answer.why,
            )
    return None


def _where_it_is(moved: MovedAccount, answers: Sequence[HostAnswer]) -> HostAnswer | None:
    """Return what is known of the machine that it went to, which may have another name here by now."""
    by_host = {answer.host.name: answer for answer in answers}
    knowing = (answer for answer in answers if _has(answer, moved))
    return by_host.get(moved.stone.to) or next(knowing, None)


def _has(answer: HostAnswer, moved: MovedAccount) -> bool:
    records = (answer.look.generations if answer.look else None) or {}
    record = records.get(moved.instance)
    return record is not None and record.is_here and record.move == moved.stone.move
