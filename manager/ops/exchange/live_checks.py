"""Ask, from one-off containers, what a live instance would fail or lose by before it places an order.

The one-off is made from the instance's config and the fleet's present image, so it works before the first
start too. It gets its credentials as a bot does, from a folder that is removed with it, and the instance's
record, where there is one, to read: only the record tells which part of the account is the instance's own. It
limits its own run time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from manager.config.container_paths import SECRETS_AT
from manager.config.spec import InstanceSpec
from manager.engine import container_config, fleet_network, labels
from manager.engine.client import Engine
from manager.engine.container_config import HostContext
from manager.errors import ManagerError
from manager.fleet import closing_messages, preflight_messages
from manager.fleet.closing_messages import OF_PREFLIGHT
from manager.fleet.observe import NO_IMAGE, FleetSnapshot
from manager.fleet.preflight_messages import Line
from manager.i18n import Text
from manager.ops.exchange import oneoff
from manager.ops.folders import bot_user, instance_folders
from manager.typed import NamedTuple
from manager.util.threads import TaskGroup

ANSWER_WITHIN_S = 60
"""Loading ccxt takes seconds on a busy machine, and each of ten calls up to 4 s."""
AT_ONCE = 4
"""Each loads ccxt, and each exchange counts the requests of all."""
MOST_LINES = 50
REFUSED = (2, 3)
"""Exit codes of a bot that its config or its keys keep from running (docker/bot/README.md)."""


class LiveCheck(NamedTuple):
    """Hold what was found for one instance; `why`: it could not be asked.

    `says_what_to_do`: the exchange was not asked, since something in the fleet has to be put right first.
    """

    instance: str
    lines: tuple[Line, ...] = ()
    why: Text | None = None
    says_what_to_do: bool = False

    @property
    def is_sound(self) -> bool:
        """Tell whether it could be asked, and nothing failed."""
        return self.why is None and all(line.level != "fail" for line in self.lines)


def check(snapshot: FleetSnapshot, engine: Engine, instances: Iterable[str]) -> list[LiveCheck]:
    """Ask for each of these instances that is live; in the order of their ids. Raises ManagerError."""
    specs = snapshot.project.specs
    live = [
        specs[instance]
        for instance in sorted(set(instances))
        if instance in specs and specs[instance].mode == "live"
    ]
    if not live:
        return []
    program, place = _program(snapshot, engine), _place(snapshot, engine)
    fleet_network.ensure(engine, snapshot.project.fleet)
    tasks = TaskGroup([partial(_check_one, snapshot, engine, spec, program, place) for spec in live], AT_ONCE)
    return sorted(tasks.result() for _ in live)


def _program(snapshot: FleetSnapshot, engine: Engine) -> str:
    name = snapshot.project.fleet.image_name
    if snapshot.image == NO_IMAGE:
        raise ManagerError("the image {image} does not exist; build it with `manager build`", image=name)
    config = engine.image(name).get("Config") or {}
    program = str((config.get("Labels") or {}).get(labels.PREFLIGHT, ""))
    if not program:
        raise ManagerError(
            "the image {image} has no program for this (docker/README.md: {label}); build it with"
            " `manager build`",
            image=name,
            label=labels.PREFLIGHT,
        )
    return program


def _place(snapshot: FleetSnapshot, engine: Engine) -> HostContext:
    as_user = bot_user.bot_user(snapshot.project.fleet, snapshot.project.variables, engine.info())
    return HostContext(as_user.uid, as_user.gid, as_user.owner, snapshot.image.id, "")


def _check_one(
    snapshot: FleetSnapshot, engine: Engine, spec: InstanceSpec, program: str, place: HostContext
) -> LiveCheck:
    fleet = snapshot.project.fleet
    try:
        values = snapshot.env_values[spec.id]
        with instance_folders.scratch_env(spec, fleet, place.owner, values) as folder:
            folders = oneoff.folders(fleet, spec.id) | {SECRETS_AT: folder}
            definition = body(
                container_config.body(spec, fleet, place), spec.id, fleet.name, program, folders
            )
            name = f"{fleet.container_name(spec.id)}-preflight"
            ended = oneoff.run_defined(engine, name, definition, ANSWER_WITHIN_S, MOST_LINES)
    except ManagerError as error:
        return LiveCheck(spec.id, why=Text("{why}", why=error), says_what_to_do=True)
    if ended.code != 0:
        no_words = Text("the query exited with code {code}", code=ended.code)
        why = closing_messages.reason(ended.answer, OF_PREFLIGHT) or ended.in_its_words(no_words)
        return LiveCheck(spec.id, why=why, says_what_to_do=bool(ended.message) and ended.code in REFUSED)
    lines = decoded(ended.answer)
    return LiveCheck(spec.id, lines, None if lines else Text("its answer cannot be parsed"))


def body(
    made: Mapping[str, Any], instance: str, fleet: str, program: str, folders: Mapping[str, str]
) -> dict[str, Any]:
    """Return the one-off's definition: the instance's own with `folders` (place in it → folder). Pure."""
    host = {**made["HostConfig"], "PortBindings": {}, "RestartPolicy": {"Name": "no"}}
    host["Mounts"] = [
        {"Type": "bind", "Source": folder, "Target": place, "ReadOnly": True}
        for place, folder in folders.items()
    ]
    own = [f"BOTFLEET_ONCE={ANSWER_WITHIN_S}", f"BOTFLEET_BOT_COMMAND={program}"]
    return {
        **{key: made[key] for key in ("Image", "Hostname", "User", "Cmd")},
        "Env": [*made["Env"], *own],
        "Labels": labels.of_oneoff(fleet, instance),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
    }


def decoded(text: str) -> tuple[Line, ...]:
    """Parse the program's lines. One that is no check makes the answer empty, since it may be the bad one."""
    lines = []
    for line in text.splitlines():
        try:
            lines.append(preflight_messages.line(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return ()
    return tuple(lines)
