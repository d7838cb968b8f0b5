"""Try once on an engine whether a container can write to the bots' folders, before the first bot is made.

What forbids it is no fault of a bot: another owner, SELinux, a folder that Docker Desktop does not share. A
bot would only restart again and again. Known to work is what another bot's supervisor writes to already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from manager.config.fleet import Fleet
from manager.config.spec import DATA_AT, LOGS_AT, SECRETS_AT, STATE_AT, InstanceSpec
from manager.engine import container_config, labels
from manager.engine.client import Engine, security_modes
from manager.engine.container_config import HostContext
from manager.errors import EngineError, EngineUnreachable, ManagerError
from manager.fleet.observe import FleetSnapshot
from manager.i18n import Text
from manager.ops import instance_folders
from manager.util import atomic_file, strict_json
from manager.util.sanitize import replace_unprintable
from manager.util.threads import Deferred

NAME = "mount-probe"
WITHIN_S = 60
CANNOT_WRITE = 3
FILE = ".botfleet-probe"
SCRIPT = f"""
status=0
for folder in {LOGS_AT} {DATA_AT} {STATE_AT}; do
  (echo > "$folder/{FILE}") && rm "$folder/{FILE}" || status={CANNOT_WRITE}
done
ls {SECRETS_AT} > /dev/null || status={CANNOT_WRITE}
exit $status
"""
MOST_ENGINES = 20


@contextmanager
def alongside(
    engine: Engine, snapshot: FleetSnapshot, spec: InstanceSpec, place: HostContext, info: Mapping[str, Any]
) -> Iterator[None]:
    """Probe while the block runs, and raise at its end what `probe` raises."""
    probing = Deferred(partial(probe, engine, snapshot, spec, place, info))
    try:
        yield
    finally:
        try:
            probing.result()
        except KeyboardInterrupt:
            probing.result()  # it removes its container
            raise


def probe(
    engine: Engine, snapshot: FleetSnapshot, spec: InstanceSpec, place: HostContext, info: Mapping[str, Any]
) -> None:
    """Raise ManagerError if a container of this instance cannot write to its folders.

    Does nothing on an engine on which that was tried for this project folder.
    """
    fleet, engine_id = snapshot.project.fleet, str(info.get("ID") or "")
    if not engine_id or is_known(fleet, engine_id):
        return
    if not _is_one_heard(snapshot):
        instance_folders.prepare(spec, fleet, place.owner)
        _try(engine, fleet, spec, place, info)
    _remember(fleet, engine_id)


def is_known(fleet: Fleet, engine_id: str) -> bool:
    """Return whether it was tried on this engine for this folder."""
    return [engine_id, str(fleet.project_dir)] in _known(fleet)


def _is_one_heard(snapshot: FleetSnapshot) -> bool:
    """Return whether the supervisor of a present container has written its state."""
    return any(
        view.container is not None
        and view.supervisor is not None
        and view.supervisor.container == view.container.id
        for view in snapshot.views.values()
    )


def _try(
    engine: Engine, fleet: Fleet, spec: InstanceSpec, place: HostContext, info: Mapping[str, Any]
) -> None:
    container = ""
    try:
        container = engine.create(f"{fleet.name}-{NAME}-{os.urandom(4).hex()}", body(spec, fleet, place))
        engine.start(container)
        code = engine.wait(container, WITHIN_S)
        err = engine.output(container, "stderr", 10) if code == CANNOT_WRITE else ""
    except EngineUnreachable:
        raise
    except EngineError as error:
        if container and "exec" in str(error):  # an image without a shell: its bots may write all the same
            return
        raise ManagerError(
            "a container with the bots' folders cannot be made: {why}; {advice}",
            why=error,
            advice=_advice(fleet, place, info),
        ) from error
    finally:
        if container:
            with suppress(EngineError):
                engine.discard(container)
    if code == CANNOT_WRITE:
        raise ManagerError(
            "a container cannot write to the bots' folders: {why}; {advice}",
            why=_on_host(err, spec, fleet),
            advice=_advice(fleet, place, info),
        )


def _advice(fleet: Fleet, place: HostContext, info: Mapping[str, Any]) -> Text:
    """Return what to do on this kind of engine."""
    if "selinux" in security_modes(info):
        return Text(
            "the engine uses SELinux: run `chcon -R -t container_file_t {folder}`", folder=fleet.data_dir
        )
    if "Docker Desktop" in str(info.get("OperatingSystem", "")):
        return Text(
            "share {folder} with Docker Desktop (Settings, Resources, File sharing)", folder=fleet.data_dir
        )
    return Text(
        "uid {uid} must be allowed to write to {folder}: look at its owner and its file system",
        uid=place.owner[0],
        folder=fleet.data_dir,
    )


def _on_host(err: str, spec: InstanceSpec, fleet: Fleet) -> str:
    """Return the first error, with the folder's path on the host."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    line = lines[0].removeprefix("sh: ") if lines else "-"
    for bind in sorted(container_config.binds(spec), key=lambda bind: -len(bind.target)):
        line = line.replace(bind.target, str(fleet.data_dir / bind.source))
    return replace_unprintable(line.replace(f"/{FILE}", ""))


def body(spec: InstanceSpec, fleet: Fleet, place: HostContext) -> dict[str, Any]:
    """Return the definition of the container that tries them: the instance's user and folders. Pure."""
    return {
        "Image": place.image_id or fleet.image_name,
        "User": f"{place.uid}:{place.gid}",
        "Entrypoint": ["sh", "-c", SCRIPT],
        "Cmd": [],
        "Labels": labels.of_oneoff(fleet.name, NAME),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "Mounts": container_config.mounts(spec, fleet),
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Memory": 64 << 20,
            "PidsLimit": 32,
        },
    }


def _known(fleet: Fleet) -> list[list[str]]:
    try:
        found: Any = strict_json.read(fleet.probed_file)
        found = found["engines"]
        return [[str(engine), str(folder)] for engine, folder in found]
    except (strict_json.JsonFault, OSError, TypeError, KeyError, ValueError):
        return []


def _remember(fleet: Fleet, engine_id: str) -> None:
    engines = [*_known(fleet), [engine_id, str(fleet.project_dir)]][-MOST_ENGINES:]
    with suppress(OSError):  # it is tried again next time
        atomic_file.write_atomically(fleet.probed_file, {"engines": engines})
