"""Check a Swarm for what makes two bots, a lost halt or an open port more likely. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from manager.engine import labels
from manager.engine.swarm_stack import MACHINE, NODE, halted_label
from manager.i18n import Text, mark
from manager.ops.swarm.privileges import MAY, UNKNOWN, NodePrivileges
from manager.typed import NamedTuple

Level = Literal["ok", "warning", "failed"]
LEVELS: Mapping[Level, str] = {"ok": mark("ok"), "warning": mark("warning"), "failed": mark("FAILED")}

NANO = 1_000_000_000
HEARTBEAT_S = 20
"""With 5 s, the default, a node counts as down after 13 s; a cut of a minute needs 20 s or more."""
OLDEST_ENGINE = (20, 10)
"""Earlier engines give a service's container all capabilities."""


class Finding(NamedTuple):
    """Hold one result of a check."""

    level: Level
    text: Text


def findings(
    fleet: str,
    services: Sequence[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> list[Finding]:
    """Return what is wrong, and what is well; from the Swarm's own answers."""
    findings = [*_of_managers(nodes), *_of_nodes(nodes), *_of_heartbeat(settings)]
    findings += [finding for row in services for finding in _of_service(fleet, row)]
    return findings or [Finding("ok", Text("nothing to complain about"))]


def of_privileges(
    services: Iterable[Mapping[str, Any]],
    nodes: Iterable[Mapping[str, Any]],
    machines: Sequence[NodePrivileges],
) -> Iterator[Finding]:
    """Yield what is known of each node's no-new-privileges; what is not known is said."""
    by_node = {told.node: told for told in machines if told.why is None}
    silent = {told.machine: told for told in machines if told.why is not None}
    names = {
        str(own.get(NODE)): str(own.get(MACHINE)) for row in services if (own := row["Spec"].get("Labels"))
    }
    for node in nodes:
        name = str((node.get("Description") or {}).get("Hostname") or node["ID"])
        told = by_node.get(str(node["ID"]))
        if told is not None:
            yield from _of_tasks(name, told.tasks)
        elif (away := silent.get(names.get(str(node["ID"]), ""))) is not None:
            yield _unknown(name, Text("{why}", why=away.why))
        else:
            yield _unknown(name, Text("no machine in config/hosts.toml reports that it is this node"))


def _of_tasks(name: str, tasks: Mapping[str, str]) -> Iterator[Finding]:
    if not tasks:
        yield _unknown(name, Text("no bot of this fleet runs there"))
        return
    may, unknown = (sorted(task for task in tasks if tasks[task] == what) for what in (MAY, UNKNOWN))
    if may:
        yield Finding(
            "warning",
            Text(
                'node {name}: the bots can gain privileges ({ids}): write "no-new-privileges": true into'
                " /etc/docker/daemon.json there, and restart its engine",
                name=name,
                ids=", ".join(may),
            ),
        )
    if unknown:
        yield _unknown(
            name,
            Text(
                "the kernel there does not show the privileges of the processes of {ids}",
                ids=", ".join(unknown),
            ),
        )
    if not may and not unknown:
        yield Finding("ok", Text("node {name}: no bot can gain privileges (no-new-privileges)", name=name))


def _unknown(name: str, why: Text) -> Finding:
    return Finding(
        "warning",
        Text("node {name}: whether its bots can gain privileges is unknown: {why}", name=name, why=why),
    )


def _of_managers(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    count = sum(1 for node in nodes if (node.get("Spec") or {}).get("Role") == "manager")
    if count % 2 == 0 or count == 1:
        yield Finding(
            "warning",
            Text(
                "{count} managers: with {left} of them lost nothing can be halted from here, and all bots run"
                " on; 3 managers bear the loss of one",
                count=count,
                left=count // 2 or 1,
            ),
        )


def _of_nodes(nodes: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    for node in nodes:
        described = node.get("Description") or {}
        name = str(described.get("Hostname") or node["ID"])
        if (node.get("Status") or {}).get("State") != "ready":
            yield Finding("failed", Text("node {name} does not answer: its bots may trade", name=name))
        availability = (node.get("Spec") or {}).get("Availability", "active")
        if availability != "active":
            yield Finding(
                "warning",
                Text(
                    "node {name} takes no tasks ({availability}): its bots do not come back after a restart;"
                    " `docker node update --availability active {name}`",
                    name=name,
                    availability=availability,
                ),
            )
        version = str((described.get("Engine") or {}).get("EngineVersion") or "")
        if (number := _version(version)) and number < OLDEST_ENGINE:
            yield Finding(
                "failed",
                Text(
                    "node {name} has engine {version}, which drops no capabilities of services: update it",
                    name=name,
                    version=version,
                ),
            )


def _of_heartbeat(settings: Mapping[str, Any]) -> Iterator[Finding]:
    period = ((settings.get("Spec") or {}).get("Dispatcher") or {}).get("HeartbeatPeriod")
    if isinstance(period, int) and period < HEARTBEAT_S * NANO:
        yield Finding(
            "warning",
            Text(
                "nodes send a heartbeat every {seconds} s: a bot whose node was cut off for three times as"
                " long is restarted when the link heals; `docker swarm update"
                " --dispatcher-heartbeat {wanted}s`",
                seconds=round(period / NANO),
                wanted=HEARTBEAT_S,
            ),
        )


def _of_service(fleet: str, row: Mapping[str, Any]) -> Iterator[Finding]:
    spec = row.get("Spec") or {}
    own = spec.get("Labels") or {}
    instance = str(own.get(labels.INSTANCE, ""))
    template = spec.get("TaskTemplate") or {}
    constraints = [
        text.replace(" ", "") for text in (template.get("Placement") or {}).get("Constraints") or ()
    ]
    if f"node.id=={own.get(NODE)}" not in constraints:
        yield Finding(
            "failed",
            Text(
                "{id} is not pinned to the node that has its data: the Swarm may start it on another one"
                " while it trades; run `manager --swarm up {id}`",
                id=instance,
            ),
        )
    if not any(text.startswith(f"node.labels.{halted_label(fleet, instance)}!=") for text in constraints):
        yield Finding(
            "failed",
            Text("{id}: a halt of it would not last; run `manager --swarm up {id}`", id=instance),
        )
    replicated = ((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas")
    if replicated not in (0, 1):
        yield Finding(
            "failed",
            Text(
                "{id} is to run {count} times; only one has the bot: `manager --swarm up {id}`",
                id=instance,
                count=replicated if replicated is not None else "?",
            ),
        )
    if (spec.get("UpdateConfig") or {}).get("Order", "stop-first") != "stop-first":
        yield Finding(
            "failed",
            Text("{id} is to start before it stops; run `manager --swarm up {id}`", id=instance),
        )
    if (row.get("Endpoint") or {}).get("Ports") or (spec.get("EndpointSpec") or {}).get("Ports"):
        yield Finding(
            "failed",
            Text(
                "{id} has a published port, which everybody may reach; run `manager --swarm up {id}`",
                id=instance,
            ),
        )


def _version(text: str) -> tuple[int, int] | None:
    major, _dot, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
