"""Check that containers are as their configs say, and name the command that makes each of them so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from manager.fleet.definition_drift import OF_HOST_CONFIG
from manager.i18n import Text
from manager.monitor.doctor.facts import FleetFacts, ImageMend, Mend, Updated
from manager.monitor.doctor.findings import Finding, warn

START = Text("they are stopped: `manager start {ids}` starts them as their configs say")
UPGRADE = Text("run `manager upgrade {ids}`, which tries again what was rolled back")
CORRECT = Text("correct their configs first")
DRIFT: Mapping[Mend, Text] = {
    "up": Text("run `manager plan` to see the differences, `manager up` to apply them"),
    "restart": Text("run `manager restart {ids}`; `manager up` leaves them alone, `manager plan` says why"),
    "start": START,
    "upgrade": UPGRADE,
    "config": CORRECT,
}
"""How to apply the configs."""
IMAGE: Mapping[ImageMend, Text] = {
    "recreate": Text("run `manager up --recreate` or `manager upgrade`"),
    "named": Text("run `manager up --recreate {ids}`; without ids it leaves them alone"),
    "upgrade": UPGRADE,
}
UPDATED: Mapping[Mend, Text] = {
    "up": Text("run `manager up`: it puts them back, and the bots run on"),
    "restart": Text("run `manager restart {ids}`; `manager up` does not undo all of it"),
    "start": START,
    "upgrade": UPGRADE,
    "config": CORRECT,
}


def check_all(facts: FleetFacts) -> Iterator[Finding]:
    """Yield one finding for each command that mends something, with the instances that it mends."""
    drifting = [one for one in facts.instances if {*one.drift} - {"image", *OF_HOST_CONFIG}]
    for mend, remedy in DRIFT.items():
        ids = [one.id for one in drifting if one.mend == mend]
        yield from _warning("drift", ids, ids, Text("differ from their configs"), remedy)
    for image_mend, remedy in IMAGE.items():
        ids = [one.id for one in facts.instances if "image" in one.drift and one.image_mend == image_mend]
        yield from _warning("image-drift", ids, ids, Text("run an older image"), remedy)
    what = Text("have other limits or another restart policy than their configs say (`docker update`)")
    for mend, remedy in UPDATED.items():
        updated: Sequence[Updated] = [
            one for one in facts.updated if one.mend == mend and not one.is_redefined
        ]
        yield from _warning("limits", updated, [one.id for one in updated], what, remedy)
    what = Text("have container settings that are not their configs'")
    for mend, remedy in DRIFT.items():
        redefined = [one for one in facts.updated if one.mend == mend and one.is_redefined]
        yield from _warning("settings", redefined, [one.id for one in redefined], what, remedy)


def _warning(
    check: str, shown: Sequence[object], ids: Iterable[str], what: Text, remedy: Text
) -> Iterator[Finding]:
    if shown:
        names = ", ".join(map(str, shown))
        yield warn(
            check, Text("{names}: {what}", names=names, what=what), Text(remedy.message, ids=" ".join(ids))
        )
