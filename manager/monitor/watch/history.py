"""What one look at the fleet cannot tell: when bots were restarted, which containers there were. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from manager.fleet.instance import Instance

REMEMBERED_S = 86400.0
"""The digest speaks of a day."""
MOST_RESTARTS = 500
"""Of one instance: a bot that dies at once, with a delay of 0, would fill the memory."""


class Past(NamedTuple):
    """One instance's. `total`: the supervisor's restart count at the last look. `created`: its last container's birth."""

    total: int = 0
    restarts: tuple[float, ...] = ()
    created: float = 0.0


class History(NamedTuple):
    """All instances'."""

    pasts: Mapping[str, Past]

    def restarts_since(self, instance: str, since: float) -> int:
        """How often its bot was restarted after this moment, as far as it was seen."""
        return sum(at >= since for at in self.pasts.get(instance, Past()).restarts)

    def is_taken_down(self, instance: str, at: float | None) -> bool:
        """Whether `manager down` took the last container that was seen of it."""
        return at is not None and at >= self.pasts.get(instance, Past()).created

    def after(self, views: Iterable[Instance], now: float) -> History:
        """The history after one more look."""
        return History({view.id: _after(self.pasts.get(view.id), view, now) for view in views})

    def as_json(self) -> dict[str, Any]:
        """For the state file."""
        return {each: past._asdict() for each, past in self.pasts.items()}


NO_HISTORY = History({})


def from_json(raw: Mapping[str, Any]) -> History:
    """What `as_json` gave. Raises TypeError, ValueError, KeyError or AttributeError for anything else."""
    return History(
        {
            str(each): Past(
                int(past["total"]), tuple(float(at) for at in past["restarts"]), float(past["created"])
            )
            for each, past in raw.items()
        }
    )


def _after(before: Past | None, view: Instance, now: float) -> Past:
    said, past = view.supervisor, before or Past()
    restarts = tuple(at for at in past.restarts if at > now - REMEMBERED_S)
    created = float(view.container.created) if view.container else past.created
    if said is None:
        return Past(past.total, restarts, created)
    more = said.restarts_total - past.total
    if more < 0:  # a person started it afresh
        more = said.restarts_total
    if before is None:  # from before our time: nobody knows when
        more = 0
    restarts += (now,) * min(more, MOST_RESTARTS)
    return Past(said.restarts_total, restarts[-MOST_RESTARTS:], created)
