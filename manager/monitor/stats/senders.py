"""Find the bots that send most from an address of which an exchange refuses requests.

An exchange counts an address, not a program, and a bot that keeps no limit says nothing of it. What a
container sends is counted by the kernel, whatever its bot says: packets, of which each request needs one or a
few.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from manager.config import request_limits
from manager.engine.containers import Container
from manager.errors import ManagerError
from manager.fleet.instance import Instance
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.monitor.stats.sampler import Sampler, Statistics
from manager.monitor.stats.usage import Sample, Usage
from manager.ops.requests import request_budget
from manager.typed import NamedTuple
from manager.util.formatting import elapsed, file_size, share

EVERY_S = 30.0
"""Between two samples, which cost the kernel's files, or the engine 3 ms of each container."""
URGENT_EVERY_S = 5.0
"""While a bot is refused."""
LEAST_BETWEEN_S = 20.0
MEASURED_S = 90.0
"""By then somebody else has measured, where anybody does."""
WINDOW_S = 300.0
REFUSED = frozenset({"rate_limited", "banned"})
"""Causes by which an exchange refuses an address."""
MAIN_PART = 0.5
TIMES = 3.0
"""Whoever sends this part of everything, and so many times what the next one does, stands out."""
LEAST_PACKETS = 60.0
"""A minute. No exchange known refuses fewer requests."""
OF_LIMIT = 0.5
"""Of the exchange's limit, where that is known. A bot whose page is open sends fewer packets."""
LEAST_SIZE = 80.0
"""Bytes of a packet on average. Who only receives a stream answers with bare acknowledgements of 66."""
MOST_LINES = 5
NOTHING: Mapping[str, Usage] = MappingProxyType({})


class Sender(NamedTuple):
    """Hold what a bot's container has sent a minute. `exchange`: as its config says."""

    instance: str
    exchange: str
    packets: float
    size: float


class Group(NamedTuple):
    """Hold all that send from the address of a bot, most first, and over how many seconds.

    `least`: packets a minute that the cause sends at least.
    """

    exchange: str
    senders: tuple[Sender, ...]
    seconds: float
    least: float = LEAST_PACKETS

    @property
    def culprit(self) -> Sender | None:
        """Return the one that stands out; None where none does, or nothing is to be compared."""
        if len(self.senders) < 2:
            return None
        first, second = self.senders[:2]
        stands_out = first.packets > MAIN_PART * self.packets and first.packets >= TIMES * second.packets
        has_requests = first.packets >= self.least and first.size >= LEAST_SIZE * first.packets
        return first if stands_out and has_requests else None

    @property
    def packets(self) -> float:
        return sum(sender.packets for sender in self.senders)

    def text(self) -> Text:
        """Return who is likely to be the cause."""
        culprit = self.culprit
        if culprit is None and self.packets >= self.least / OF_LIMIT:
            return Text(
                "no bot stands out: together they send {packets} packets a minute from this address, which"
                " may be too much; another program may use it too",
                packets=f"{self.packets:,.0f}",
            )
        if culprit is None:
            return Text(
                "none of the fleet's bots sends conspicuously much: another program may use this address"
            )
        params = {
            "id": culprit.instance,
            "percent": share(round(100 * culprit.packets / self.packets)),
            "packets": f"{culprit.packets:,.0f}",
        }
        if culprit.exchange == self.exchange:
            return Text(
                "probably because of {id}, which sends {percent} of all from this address ({packets} packets"
                " a minute)",
                **params,
            )
        return Text(
            "{id} sends {percent} of all from this address ({packets} packets a minute), though its config"
            " names {exchange}",
            exchange=culprit.exchange or "?",
            **params,
        )

    def lines(self) -> tuple[Text, ...]:
        """Return what each has sent."""
        shown = [
            Text(
                "{id} ({exchange}): {packets} packets a minute, {size}",
                id=sender.instance,
                exchange=sender.exchange or "?",
                packets=f"{sender.packets:,.0f}",
                size=file_size(sender.size),
            )
            for sender in self.senders[:MOST_LINES]
        ]
        return (Text("sent from this address within {time}:", time=elapsed(self.seconds)), *shown)


class Senders:
    """Sample the containers of a fleet, and compare what they have sent."""

    def __init__(self, statistics: Statistics, clock: Callable[[], float]) -> None:
        self._sampler, self._clock = Sampler(statistics), clock
        self._looks: deque[tuple[float, Mapping[str, Sample]]] = deque()
        self._taken: Mapping[str, Usage] = NOTHING
        """What somebody else had measured for the last look that was taken from there."""
        self._refused: tuple[Mapping[str, Instance] | None, bool] = None, False
        """The instances that were looked through last, and whether any of their bots is refused."""

    def look_if_due(self, snapshot: FleetSnapshot, measured: Mapping[str, Usage] = NOTHING) -> None:
        """Take the next sample. `measured`: by somebody else every minute, which is enough while no bot is
        refused.

        Raises EngineError where the engine has to be asked.
        """
        last_at = self._looks[-1][0] if self._looks else float("-inf")
        if measured is not self._taken:  # which is asked every second, and measured every half minute
            self._taken = measured
            newest = max((usage.last.at for usage in measured.values()), default=last_at)
            if newest - last_at >= LEAST_BETWEEN_S:
                self._add(newest, measured)
                return
        waited = self._clock() - last_at
        if waited >= URGENT_EVERY_S and (
            waited >= (MEASURED_S if measured else EVERY_S) or self._is_any_refused(snapshot.views)
        ):
            self.look(snapshot.observed.containers.values())

    def _is_any_refused(self, views: Mapping[str, Instance]) -> bool:
        """Return whether any bot is refused. Asked every second, mostly about the very object of before."""
        if self._refused[0] is not views:
            self._refused = views, bool(refused(views))
        return self._refused[1]

    def look(self, containers: Iterable[Container]) -> None:
        """Take a sample. Raises EngineError where the engine has to be asked."""
        now = self._clock()
        self._add(now, self._sampler.measure(container.id for container in containers if container.is_up))

    def _add(self, now: float, usages: Mapping[str, Usage]) -> None:
        self._looks.append((now, {container: usage.last for container, usage in usages.items()}))
        while len(self._looks) > 2 and now - self._looks[1][0] >= WINDOW_S:
            self._looks.popleft()

    def group_of(self, instance: str, snapshot: FleetSnapshot) -> Group | None:
        """Return who sends from this instance's address; None before there are two samples."""
        view = snapshot.views.get(instance)
        if view is None or len(self._looks) < 2:
            return None
        address = _address(instance, snapshot)
        senders = [
            sender
            for other in snapshot.views.values()
            if _address(other.id, snapshot) == address and (sender := self._sender(other)) is not None
        ]
        ordered = tuple(sorted(senders, key=lambda sender: (-sender.packets, sender.instance)))
        seconds = self._looks[-1][0] - self._looks[0][0]
        return Group(_exchange(view), ordered, seconds, _least(view, snapshot)) if ordered else None

    def _sender(self, view: Instance) -> Sender | None:
        """Return what its container has sent since the oldest sample that has it; None if that is unknown."""
        if view.container is None:
            return None
        known = [(at, look[view.container.id]) for at, look in self._looks if view.container.id in look]
        since = _since_its_start([(at, sample.packets_sent, sample.sent) for at, sample in known])
        if len(since) < 2 or since[-1][0] <= since[0][0]:
            return None
        (began, packets_before, size_before), (ended, packets, size) = since[0], since[-1]
        minutes = (ended - began) / 60
        packets, size = packets - packets_before, size - size_before
        return Sender(view.id, _exchange(view), packets / minutes, size / minutes)


def _since_its_start(
    counts: Sequence[tuple[float, int | None, int | None]],
) -> list[tuple[float, int, int]]:
    """Return the counts since it was last started, which begin at 0 again; none of what is not counted."""
    since: list[tuple[float, int, int]] = []
    for at, packets, size in counts:
        if packets is None or size is None:
            return []
        if since and packets < since[-1][1]:
            since.clear()
        since.append((at, packets, size))
    return since


def refused(views: Mapping[str, Instance]) -> Sequence[str]:
    """Return the bots that report that their exchange refuses them for the number of requests."""
    return [
        instance
        for instance, view in views.items()
        if view.supervisor is not None
        and (condition := view.supervisor.health_condition) is not None
        and view.is_bot_up
        and condition.code == "exchange_away"
        and condition.params.get("cause") in REFUSED
    ]


def _least(view: Instance, snapshot: FleetSnapshot) -> float:
    try:
        limits = request_limits.load(snapshot.project.fleet).exchanges.get(_exchange(view))
    except ManagerError:  # whoever computes the shares says it
        limits = None
    known = [limit for limit in (limits.address, limits.account) if limit] if limits else []
    return max(OF_LIMIT * min(known, default=0.0), LEAST_PACKETS)


def _address(instance: str, snapshot: FleetSnapshot) -> str:
    return request_budget.address_of(snapshot.env_values.get(instance, {}))


def place_of(instance: str, snapshot: FleetSnapshot) -> tuple[str, str]:
    """Return the exchange and what tells its address apart."""
    return _exchange(snapshot.views[instance]), _address(instance, snapshot)


def _exchange(view: Instance) -> str:
    return (view.exchange or "").lower()
