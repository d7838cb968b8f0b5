"""Run a program of an instance's image once, in a container made from the instance's own.

The one-off is made from the instance's container (image, user, network, folders, argv) and not from its
config, which may be invalid or changed. It gets credentials as the bot does, in its secrets folder. It
limits its own run time, and is always removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from manager.config.container_paths import DATA_AT, SECRETS_AT
from manager.config.fleet import Fleet
from manager.engine import labels
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import EngineError, NameTaken
from manager.i18n import Text, quoted
from manager.typed import NamedTuple
from manager.util.sanitize import replace_unprintable

FOLDERS = (DATA_AT, SECRETS_AT)
MARGIN_S = 15
"""Time for the container to start, and for its end to be noticed."""
MOST_WORDS = 300


class Ended(NamedTuple):
    """Hold how the program ended: its exit code, its answer, and the last line of stderr."""

    code: int
    answer: str
    message: str

    def in_its_words(self, otherwise: Text) -> Text:
        """Return what the program has said last, or this where it has said nothing."""
        return quoted(self.message) if self.message else otherwise


def run(
    container: Container,
    fleet: Fleet,
    engine: Engine,
    program: str,
    purpose: str,
    within_s: int,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Ended:
    """Run `program`, a command line to which the bot's options are appended. Raises ManagerError.

    `purpose` names the container; `within_s` is when its supervisor kills the program. `variables` are what
    it reads beside the bot's own.
    """
    inspected = engine.inspect(container.id)
    definition = body(
        inspected,
        container.instance,
        fleet.name,
        program,
        within_s,
        variables,
        folders(fleet, container.instance),
    )
    return run_defined(engine, f"{container.name}-{purpose}", definition, within_s)


def folders(fleet: Fleet, instance: str) -> dict[str, str]:
    """Return place in the container → the folder of today.

    The container may mount it by a path from before the project folder was moved, where nothing is any more.
    """
    present = {DATA_AT: fleet.database_dir(instance), SECRETS_AT: fleet.secrets_dir(instance)}
    return {target: str(folder) for target, folder in present.items() if folder.is_dir()}


def run_defined(
    engine: Engine, name: str, definition: Mapping[str, Any], within_s: int, most_lines: int = 1
) -> Ended:
    """Run a container of this definition to its end, and remove it. Raises ManagerError."""
    container_id = _create(name, definition, engine)
    try:
        engine.start(container_id)
        code = engine.wait(container_id, within_s + MARGIN_S)
        answer = engine.output(container_id, "stdout", most_lines)
        return Ended(code, answer, _last_line(engine.output(container_id, "stderr", 5)))
    finally:
        engine.discard(container_id)


def sweep(fleet: Fleet, engine: Engine) -> None:
    """Remove the one-offs of a manager that was killed."""
    for row in engine.containers(labels.oneoff_filter(fleet.name)):
        with suppress(EngineError):
            engine.discard(row["Id"])


def body(
    inspected: Mapping[str, Any],
    instance: str,
    fleet: str,
    program: str,
    within_s: int,
    variables: Mapping[str, str] = MappingProxyType({}),
    folders: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the one-off's definition: the instance's own, without port, restart and health check. Pure.

    Of its folders only two are mounted: `folders` (place in the container → folder), else those of its own.
    """
    own_places = [place for place in FOLDERS if place not in folders]
    config, host = inspected["Config"], inspected["HostConfig"]
    own = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    own |= variables
    own |= {"BOTFLEET_ONCE": str(within_s), "BOTFLEET_BOT_COMMAND": program}
    return {
        "Image": inspected["Image"],
        "Hostname": config.get("Hostname", ""),
        "User": config.get("User", ""),
        "Cmd": config.get("Cmd"),
        "Env": [f"{name}={value}" for name, value in own.items()],
        "Labels": labels.of_oneoff(fleet, instance),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            **host,
            "Binds": [entry for entry in host.get("Binds") or () if entry.split(":")[1] in own_places],
            "Mounts": [
                *(entry for entry in host.get("Mounts") or () if entry.get("Target") in own_places),
                *(_mount(place, folder) for place, folder in folders.items()),
            ],
            "PortBindings": {},
            "RestartPolicy": {"Name": "no"},
        },
    }


def _mount(place: str, folder: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": folder, "Target": place, "ReadOnly": place == SECRETS_AT}


def _create(name: str, definition: Mapping[str, Any], engine: Engine) -> str:
    try:
        return engine.create(name, definition)
    except NameTaken:  # by what a killed manager has left
        engine.discard(name)
        return engine.create(name, definition)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return replace_unprintable(lines[-1])[:MOST_WORDS] if lines else ""
