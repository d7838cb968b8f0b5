"""Check for supervisors of an earlier version, which containers keep until they are upgraded. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

from manager.i18n import Text
from manager.monitor.doctor.facts import FleetFacts
from manager.monitor.doctor.findings import Finding, warn

OLDER_SUPERVISORS = (
    ("condition", Text("does not check for a halt itself"), False),
    ("condition", Text("restarts its bot while the exchange is away, and counts these restarts"), False),
    ("cancel", Text("does not keep the bot's last report"), False),
    ("cancel", Text("does not cancel the open orders of a failed bot"), True),
    ("anchor_pid", Text("gives instances.json a pid that changes with each restart of the bot"), False),
)
"""Missing key of supervisor.json, how a supervisor without it behaves, whether only for live bots."""


def check_all(facts: FleetFacts) -> Iterator[Finding]:
    """Yield what older supervisors lack, one finding for all instances that lack the same."""
    groups: dict[tuple[bool, tuple[Text, ...]], list[str]] = {}
    for instance in facts.instances:
        lacks = tuple(
            text
            for key, text, is_live_only in OLDER_SUPERVISORS
            if key in instance.supervisor_lacks and (instance.mode == "live" or not is_live_only)
        )
        if lacks:
            groups.setdefault(("image" in instance.drift, lacks), []).append(instance.id)
    for (has_newer_image, lacks), names in groups.items():
        yield warn(
            "older-supervisor",
            Text(
                "{names}: older supervisor: {lacks}",
                names=", ".join(names),
                lacks=reduce(lambda first, rest: Text("{first}; {rest}", first=first, rest=rest), lacks),
            ),
            Text("run `manager upgrade`")
            if has_newer_image
            else Text("rebuild the image (`manager build`), then run `manager upgrade`"),
        )
