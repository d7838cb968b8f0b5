"""Keep what is needed to restore an old container, and restore it. The records are in upgrade_records.py."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from manager.config.fleet import Fleet
from manager.engine import port_holder
from manager.engine.client import Engine
from manager.engine.containers import Container
from manager.errors import EngineError, ManagerError, NotFound, writing_to
from manager.fleet import env_file, host, state_reset, upgrade_records
from manager.fleet.upgrade_records import UpgradeRecord
from manager.util import atomic_file, ownership, strict_json
from manager.util.trusted_folder import unlink_in_trusted

MAX_ENV_BYTES = 1_000_000


def keep(
    container: Container, fleet: Fleet, engine: Engine, *, image_id: str, config_hash: str, at: str
) -> UpgradeRecord:
    """Keep the image and the env file of a container that is about to be replaced.

    Raises ManagerError before anything is changed.
    """
    inspected = engine.inspect(container.id)
    tag = upgrade_records.tag_of(fleet, container.image_id)
    engine.tag(container.image_id, *tag.rsplit(":", 1))
    _copy(
        fleet.secrets_dir(container.instance) / env_file.ENV_FILE,
        upgrade_records.kept_env(fleet, container.instance),
    )
    return UpgradeRecord(
        "going",
        container.id,
        upgrade_records.definition(inspected, container.instance, tag),
        container.image_id,
        container.config_hash,
        image_id,
        config_hash,
        at,
    )


def tidy(steps: Mapping[str, UpgradeRecord], fleet: Fleet, engine: Engine) -> None:
    """Remove the images and env files that no record needs any more."""
    needed = {str(step.definition["Image"]) for step in steps.values()}
    with suppress(EngineError):
        for name in engine.tags(f"{upgrade_records.repository(fleet)}:{upgrade_records.TAG}*"):
            if name not in needed:
                engine.untag(name)
    with suppress(OSError):
        for path in fleet.rollback_env_dir.iterdir():
            if path.stem not in steps:
                unlink_in_trusted(path)


def require_restorable(
    step: UpgradeRecord, instance: str, present: Container | None, fleet: Fleet, engine: Engine
) -> None:
    """Raise ManagerError for what would fail after the stop: a missing image, a folder that is missing or
    read-only, a port in use.
    """
    try:
        engine.image(str(step.definition["Image"]))
    except NotFound as error:
        raise ManagerError(
            "cannot roll {id} back: its old image {image} is gone",
            id=instance,
            image=step.definition["Image"],
        ) from error
    for mount in step.definition["HostConfig"].get("Mounts") or ():
        if mount.get("Type") == "bind" and not Path(mount["Source"]).is_dir():
            raise ManagerError(
                "cannot roll {id} back: its old folder {path} is gone", id=instance, path=mount["Source"]
            )
    secrets = fleet.secrets_dir(instance)
    if secrets.exists() and not os.access(secrets, os.W_OK | os.X_OK):
        raise ManagerError("cannot write {path}: {why}", path=secrets, why=os.strerror(errno.EACCES))
    port = step.web_port
    if port is None or (present is not None and present.is_up and present.web_port == port):
        return
    if not host.is_port_free(fleet.bind_address, port):
        raise ManagerError(
            "cannot roll {id} back: its old port {port} is in use by {holder}",
            id=instance,
            port=port,
            holder=port_holder.holder(port, engine, fleet.name),
        )


def restore(step: UpgradeRecord, instance: str, fleet: Fleet, engine: Engine, owner: tuple[int, int]) -> str:
    """Recreate the old container, with its env file, without starting it; return its id.

    The new one must be removed before.
    """
    state_dir = fleet.instance_state_dir(instance)
    target = fleet.secrets_dir(instance) / env_file.ENV_FILE
    kept_env = upgrade_records.kept_env(fleet, instance)
    if kept_env.exists():
        _copy(kept_env, target, owner)
    state_reset.reset(state_dir)
    return engine.create(fleet.container_name(instance), step.definition)


def _copy(source: Path, target: Path, owner: tuple[int, int] | None = None) -> None:
    """Copy an env file atomically: 0400, in a 0700 folder."""
    try:
        data = strict_json.read_bytes(source, MAX_ENV_BYTES, follow=False)
    except FileNotFoundError:  # a container without variables of its own
        unlink_in_trusted(target)
        return
    except OSError as error:
        raise ManagerError("cannot read {path}: {why}", path=source, why=error.strerror or error) from error
    if len(data) > MAX_ENV_BYTES:
        raise ManagerError("{path} is larger than {limit} bytes", path=source, limit=MAX_ENV_BYTES)
    with writing_to(target):
        ownership.make_folder(target.parent, 0o700)
        atomic_file.replace_bytes(target, data, 0o400, owner)
