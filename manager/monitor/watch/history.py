"""Track what a single snapshot cannot tell: when bots were restarted, which containers existed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from manager.fleet.instance import Instance
from manager.typed import NamedTuple

REMEMBERED_S = 86400.0
"""The daily report covers a day."""
MOST_RESTARTS = 500
"""Limit per instance: a bot that crashes at once, with a delay of 0, would fill the memory."""


class Past(NamedTuple):
    """Hold one instance's past.

    `total`: the supervisor's last restart count. `created`: its last container's creation.
    """

    total: int = 0
    restarts: tuple[float, ...] = ()
    created: float = 0.0


class History(NamedTuple):
    """Hold all instances' pasts."""

    pasts: Mapping[str, Past]

    def restarts_within(self, instance: str, seconds: float, now: float) -> int:
        """Return how often its bot was restarted in the last seconds, as far as that was observed.

        A time that is ahead of the clock is of before somebody set it back: how long ago is not known.
        """
        return sum(now - seconds <= at <= now for at in self.pasts.get(instance, Past()).restarts)

    def shifted(self, seconds: float) -> History:
        """Return the history by a clock that was set by so many seconds: all is as long ago as it was."""
        return History(
            {
                instance: past._replace(restarts=tuple(at + seconds for at in past.restarts))
                for instance, past in self.pasts.items()
            }
        )

    def is_taken_down(self, instance: str, at: float | None) -> bool:
        """Return whether `manager down` removed its last observed container."""
        return at is not None and at >= self.pasts.get(instance, Past()).created

    def after(self, views: Iterable[Instance], now: float) -> History:
        """Return the history after another snapshot; the very object of before where nothing is new."""
        pasts = {view.id: _after(self.pasts.get(view.id), view, now) for view in views}
        return self if pasts == self.pasts else History(pasts)

    def as_json(self) -> dict[str, Any]:
        """Return the content for the state file."""
        return {instance: past._asdict() for instance, past in self.pasts.items()}


NO_HISTORY = History({})


def from_json(raw: Mapping[str, Any]) -> History:
    """Parse the output of `as_json`.

    Raises TypeError, ValueError, KeyError or AttributeError if it is invalid.
    """
    return History(
        {
            str(instance): Past(
                int(past["total"]), tuple(float(at) for at in past["restarts"]), float(past["created"])
            )
            for instance, past in raw.items()
        }
    )


def _after(before: Past | None, view: Instance, now: float) -> Past:
    supervisor, past = view.supervisor, before or Past()
    restarts = tuple(
        at for at in past.restarts if now - REMEMBERED_S < at <= now
    )  # the clock may be set back
    created = float(view.container.created) if view.container else past.created
    if supervisor is None:
        return Past(past.total, restarts, created)
    more = supervisor.restarts_total - past.total
    if more < 0:  # a user started it, which resets the count
        more = supervisor.restarts_total
    if before is None:  # before the first observation: the time is unknown
        more = 0
    restarts += (now,) * min(more, MOST_RESTARTS)
    return Past(supervisor.restarts_total, restarts[-MOST_RESTARTS:], created)
