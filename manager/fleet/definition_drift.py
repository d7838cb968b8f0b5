"""Compare a container with its spec in what the engine's list and files say: mounts, image, user, limits,
restart policy, settings.

Limits and restart policy change by `docker update`, the others only when a container is made anew: by Compose
with an override file, `docker run` by hand. It costs no engine call.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from manager.config.fleet import Fleet
from manager.config.spec import InstanceSpec
from manager.engine import container_config
from manager.engine.container_config import binds
from manager.engine.containers import Container
from manager.fleet import cgroup_limits, engine_files, supervisor_state
from manager.fleet.host import bot_owner
from manager.fleet.project import Project
from manager.fleet.supervisor_state import SupervisorState
from manager.typed import Any, Literal, NamedTuple

DriftedPart = Literal["mounts", "user", "other image", "limits", "restart policy", "shares", "settings"]
UPDATED: frozenset[DriftedPart] = frozenset({"limits", "restart policy"})
"""What `docker update` changes, and the engine's update puts back: no start or new container is needed."""
KEPT_UNNAMED: Sequence[DriftedPart] = ("settings", "shares")
"""What no start and no `docker update` takes back, and a bot can trade with: whoever made it so may have
meant it. Only a new container is without it, which a person asks for.
"""
OF_HOST_CONFIG: frozenset[DriftedPart] = UPDATED | {*KEPT_UNNAMED}
"""What the engine's own words of a container tell, which not everybody may read."""
RESTART_POLICY = "RestartPolicy"

UID_VARIABLE = "BOTFLEET_UID"
WRITES_WITHIN_S = 20
"""A supervisor writes its first state within a second; on a busy machine within some."""
UNMAPPED_UID = 65534
"""What the kernel calls an owner that this user namespace does not know."""
MOST_KEPT = 1000
"""Containers of which it is kept whether they were redefined; a fleet has fewer."""

_compared: dict[str, tuple[tuple[object, ...], bool]] = {}
"""Container id → what decides whether its settings are ours, and whether they are not."""


class Definition(NamedTuple):
    """Hold what the engine says of a container, in the words of its API; None where that cannot be read.

    `image_config`: the Config of the image that it was made from, None for an image other than the fleet's.
    """

    host: Mapping[str, Any] | None
    config: Mapping[str, Any] | None
    image_config: Mapping[str, Any] | None = None


def drift(
    container: Container,
    spec: InstanceSpec,
    supervisor: SupervisorState | None,
    project: Project,
    image_config: Mapping[str, Any] | None,
) -> tuple[DriftedPart, ...]:
    """Return in what it was made otherwise than its spec says. Its config is as it was, and its folder is
    ours.
    """
    fleet = project.fleet
    drifts: list[DriftedPart] = []
    if not _has_mounts(container, spec, fleet):
        drifts.append("mounts")
    host = engine_files.host_config(container.id)
    config = None if host is None else engine_files.config(container.id)
    has_written = supervisor is not None and supervisor.container == container.id
    state_dir = fleet.instance_state_dir(container.instance)
    if (
        _is_another_user(state_dir, project.variables.get(UID_VARIABLE, ""))
        if has_written
        else is_made_for_another(config, container, project)
    ):
        drifts.append("user")
    if _is_another_image(container.image_name, fleet.image_name):
        drifts.append("other image")
    return (*drifts, *updated(Definition(host, config, image_config), container, spec, fleet))


def updated(
    definition: Definition, container: Container, spec: InstanceSpec, fleet: Fleet
) -> tuple[DriftedPart, ...]:
    """Return what `docker update` changed, and other settings than ours: by the engine's own words, by the
    kernel's, and by the list's.

    Where the engine's words may mean that it cannot keep a limit, the kernel's files tell.
    """
    host = definition.host
    names: list[str] = []
    if host is not None and (names := container_config.were_updated(host, spec, fleet)):
        unkept = {*container_config.UNKEPT} - cgroup_limits.enforced(container.id)
        names = container_config.were_updated(host, spec, fleet, unkept)
    drifts: list[DriftedPart] = []
    if _is_redefined(definition, container, spec, fleet):
        drifts.append("settings")
    if {*names} - {RESTART_POLICY} or (
        container.engine_state == "running" and cgroup_limits.are_others(container.id, spec, fleet)
    ):
        drifts.append("limits")
    if RESTART_POLICY in names:
        drifts.append("restart policy")
    if host is not None and container_config.were_added(host):
        drifts.append("shares")
    return tuple(drifts)


def _is_redefined(definition: Definition, container: Container, spec: InstanceSpec, fleet: Fleet) -> bool:
    """Return whether any setting is not as we make it. It is compared once as long as all that decides is the
    same: whoever observes the fleet every few seconds would spend a quarter of an observation on it.
    """
    basis = (*definition, container.labels, container.command, spec, fleet)
    known = _compared.get(container.id)
    if known is None or known[0] != basis:
        while len(_compared) >= MOST_KEPT:
            _compared.pop(next(iter(_compared)), None)
        known = _compared[container.id] = basis, bool(redefined(definition, container, spec, fleet))
    return known[1]


def redefined(
    definition: Definition, container: Container, spec: InstanceSpec, fleet: Fleet
) -> tuple[str, ...]:
    """Return the settings that are not as we make them, as names in the engine's API and labels."""
    host, config, image_config = definition
    names = [
        *(container_config.were_redefined(host, spec, fleet) if host is not None else ()),
        *container_config.were_relisted(container, spec, image_config),
        *(
            container_config.were_reconfigured(config, spec, fleet, image_config)
            if config is not None
            else ()
        ),
    ]
    return tuple(dict.fromkeys(names))


def has_outgrown(host: Mapping[str, Any] | None, container: Container, spec: InstanceSpec) -> bool:
    """Return whether a container may need the memory that it was given, and its spec does not give it."""
    given = int((host or {}).get("Memory") or 0)
    return (
        container.is_up
        and not 0 < given <= spec.memory
        and cgroup_limits.would_end(container.id, spec.memory)
    )


def unwritten(container: Container | None, supervisor: SupervisorState | None, fleet: Fleet) -> str:
    """Return the folder to which its supervisor should have written by now, and has not; empty if there is
    none.
    """
    if container is None or container.engine_state != "running" or container.health == "healthy":
        return ""
    is_young = container.up_seconds is not None and container.up_seconds < WRITES_WITHIN_S
    if is_young or (supervisor is not None and supervisor.container == container.id):
        return ""
    folder = fleet.instance_state_dir(container.instance)
    path = folder / supervisor_state.STATE_FILE
    is_seen = os.access(folder, os.R_OK | os.X_OK) and (supervisor is not None or not path.exists())
    return str(folder) if is_seen else ""


def _has_mounts(container: Container, spec: InstanceSpec, fleet: Fleet) -> bool:
    """Return whether it has the folders of its spec, each with its rights. More are the user's own."""
    if container.mounts is None:
        return True
    for bind in binds(spec):
        mount = container.mounts.get(bind.target)
        if mount is None or mount.is_writable is bind.read_only:
            return False
        if mount.source == f"{fleet.data_dir}/{bind.source}":
            continue
        wanted = fleet.data_dir / bind.source
        if mount.source != str(wanted) and is_same_file(Path(mount.source), wanted) is False:
            return False
    return True


def is_same_file(there: Path, here: Path) -> bool | None:
    """Return whether two paths lead to the same file; None if one of them cannot be read."""
    try:
        first, second = there.stat(), here.stat()
    except OSError:
        return None
    return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)


def _is_another_user(state_dir: Path, configured: str) -> bool:
    """Return whether its supervisor writes as another user than the folder was made for.

    The kernel says who: the list does not, and an inspect is a call for each instance.
    """
    try:
        writes_as = os.lstat(f"{state_dir}/{supervisor_state.STATE_FILE}").st_uid
        owner = os.stat(state_dir).st_uid  # noqa: PTH116
    except OSError:
        return False
    if configured.isascii() and configured.isdigit():
        owner = int(configured)
    is_rootless = writes_as == os.geteuid() != 0
    return writes_as not in {owner, UNMAPPED_UID} and not is_rootless


def is_made_for_another(config: Mapping[str, Any] | None, container: Container, project: Project) -> bool:
    """Return whether a container was made for a user to whom no folder of the bots belongs: who cannot write
    there what would show it. Of one that has written, its files tell.
    """
    if config is None:
        return False
    made_for = str(config.get("User") or "0").partition(":")[0]
    configured = project.variables.get(UID_VARIABLE, "")
    if made_for == configured or (made_for == "0" and os.geteuid() != 0):  # the latter on a rootless engine
        return False
    fleet = project.fleet
    try:
        owners = {os.stat(fleet.instance_state_dir(container.instance)).st_uid}  # noqa: PTH116
        owners.add(bot_owner(fleet.data_dir)[0])
    except OSError:
        return False
    return UNMAPPED_UID not in owners and made_for not in {str(owner) for owner in owners}


def _is_another_image(made_from: str, wanted: str) -> bool:
    """Return whether it was made from an image of another name. The engine shows an id where the name has
    moved on.
    """
    if not made_from or made_from.startswith("sha256:") or "@" in made_from:
        return False
    return _repository(made_from) != _repository(wanted)


def _repository(image: str) -> str:
    name = image.removeprefix("docker.io/").removeprefix("library/").partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name
