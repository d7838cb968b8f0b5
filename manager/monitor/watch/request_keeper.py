"""Keep the bots' shares of their exchanges' requests as bots come and go, and announce bans.

A ban is of an address, so that one bot that is told of it knows it for all others there. What a bot reports
may be wrong, or a lie: one that stands alone is believed for a short time only, and none for over a day.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from manager.config import request_limits
from manager.errors import ManagerError
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.ops.requests import request_budget, request_files, request_plan
from manager.ops.requests.request_budget import Budgets, Caller
from manager.ops.requests.request_files import MOST_BANNED_S
from manager.typed import NamedTuple

AGAIN_S = 60.0
"""Within this time a change of fleet.toml or an interval is taken up; a bot that comes or goes, at once."""
ALONE_S = 120.0
"""How long a ban is announced that a single bot reports. If it is one, those that try later report it."""
ALONE_AGAIN_S = 3600.0
"""Such a report is not believed again for so long."""

Place = tuple[str, str]
"""An exchange, and the address that it sees."""


class Claim(NamedTuple):
    """Hold what a bot reports: that it is banned until then."""

    instance: str
    until: float


class RequestKeeper:
    """Write the files of `request_files` when something has changed. `say` is given each new fault."""

    def __init__(self, say: Callable[[ManagerError], object]) -> None:
        self._say, self._fault = say, ""
        self._known: object = None
        self._next = 0.0
        self._alone_since: dict[Place, float] = {}
        self.budgets = Budgets()

    def look(self, snapshot: FleetSnapshot, now: float, unsettled: Collection[str] | None = None) -> None:
        """Write what has changed since the last look. Raises nothing.

        `unsettled`: while a command runs, the instances that it is at work on. The command has given all
        their shares, also those that it has yet to start; a ban cannot wait for its end.
        """
        claims, up = find_claims(snapshot.views), request_plan.up(snapshot)
        if (known := (up, claims, unsettled)) == self._known and now < self._next and not self._alone_since:
            return
        self._known, self._next = known, now + AGAIN_S
        try:
            table = request_limits.load(snapshot.project.fleet)
        except ManagerError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                self._say(error)
            return
        self._fault = ""
        asking = request_budget.callers(snapshot, table)
        running = {instance: asking[instance] for instance in asking if instance in up}
        bans = self.bans(running, claims, now)
        if unsettled is not None:
            for instance in running.keys() - {*claims, *unsettled}:
                until = bans.get(_place(running[instance]), 0.0)
                request_files.announce_ban(snapshot.project.fleet, instance, until, now)
            return
        allotted = request_budget.allot(running.values(), table)
        self.budgets = Budgets(
            request_budget.loads(running.values(), table),
            {instance: allotment.share for instance, allotment in allotted.items()},
        )
        for instance, allotment in allotted.items():
            request_files.write(
                snapshot.project.fleet,
                instance,
                allotment,
                now,
                banned_until=0.0 if instance in claims else bans.get(_place(running[instance]), 0.0),
            )

    def bans(
        self, running: Mapping[str, Caller], claims: Mapping[str, Claim], now: float
    ) -> dict[Place, float]:
        """Return until when each place's other bots are told that it is banned."""
        by_place: dict[Place, list[Claim]] = {}
        for instance, claim in claims.items():
            if instance in running and claim.until > now:
                by_place.setdefault(_place(running[instance]), []).append(claim)
        self._alone_since = {
            place: since
            for place, since in self._alone_since.items()
            if now - since < ALONE_AGAIN_S or place in by_place
        }
        ends = {}
        for place, told in by_place.items():
            until = min(max(claim.until for claim in told), now + MOST_BANNED_S)
            if len(told) == 1 and _others(running, place) > 0:
                until = min(until, self._alone_since.setdefault(place, now) + ALONE_S)
            ends[place] = until
        return {place: until for place, until in ends.items() if until > now}


def find_claims(views: Mapping[str, Instance]) -> dict[str, Claim]:
    """Return the bots that report a ban of their address, by the condition that their supervisors read."""
    claims = {}
    for instance, view in views.items():
        condition = view.supervisor.health_condition if view.supervisor and view.is_bot_up else None
        if condition is None or condition.code != "exchange_away":
            continue
        if condition.params.get("cause") != "banned":
            continue
        until = condition.params.get("retry_at")
        if isinstance(until, int | float) and not isinstance(until, bool):
            claims[instance] = Claim(instance, float(until))
    return claims


def _place(caller: Caller) -> Place:
    return caller.exchange, caller.address


def _others(running: Mapping[str, Caller], place: Place) -> int:
    return sum(_place(caller) == place for caller in running.values()) - 1
